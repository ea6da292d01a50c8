//! Pictures in sealed datagrams: what those see who have another key, or none.

use sockkit::{
    latest::Publisher,
    link::{
        channel::{Channel, ChannelError, DatagramConfig, Limits},
        sealing::Key,
    },
    picture::Picture,
    shard::{MessageKind, Parity},
    stream::{Receiver, ReceiverConfig, Sender, SenderConfig, Unopened},
};

use std::time::Duration;

use tokio::{net::UdpSocket, time::timeout};

use super::{WITHIN, address, next, publish_forever, raw, sender, socket_of, until};

fn key(secret: u8) -> Key {
    Key::new(&[secret; 32])
}

async fn ends(there: Option<Key>, here: Option<Key>) -> (Publisher<Picture>, Sender, Receiver) {
    let config = ReceiverConfig::default();
    let config = match here {
        Some(key) => config.sealed(key),
        None => config,
    };
    let receiver = Receiver::open(&address("udp://127.0.0.1:0"), config).await;
    let receiver = receiver.unwrap();
    let config = SenderConfig::default().raw();
    let config = match there {
        Some(key) => config.sealed(key),
        None => config,
    };
    let (camera, sender) = sender(&[receiver.address().clone()], config).await;
    (camera, sender, receiver)
}

#[tokio::test]
async fn a_receiver_whose_key_does_not_fit_knows_why_it_shows_nothing() {
    for (there, here, expected) in [
        (Some(key(1)), None, Unopened::NoKey),
        (Some(key(1)), Some(key(2)), Unopened::OtherKey),
        (None, Some(key(2)), Unopened::NotSealed),
    ] {
        let (camera, _sender, receiver) = ends(there, here).await;
        let stats = receiver.stats();
        tokio::select! {
            () = until(|| stats.snapshot().why_unopened == Some(expected)) => {}
            () = publish_forever(&camera, raw) => unreachable!(),
        }
        let stats = stats.snapshot();
        assert!(stats.unopened > 0, "{stats:?}");
        assert_eq!((stats.received, stats.refused), (0, 0), "{stats:?}");
    }
}

#[tokio::test]
async fn what_is_in_the_clear_does_not_reach_one_that_watches_sealed_pictures() {
    let (camera, _sender, receiver) = ends(Some(key(1)), Some(key(1))).await;
    let to = [receiver.address().clone()];
    let (stranger, _there) = sender(&to, SenderConfig::default().raw()).await;
    let mut pictures = receiver.pictures();
    stranger.publish(raw(1_000));
    until(|| receiver.stats().snapshot().unopened > 0).await;
    camera.publish(raw(1));
    assert_eq!(next(&mut pictures).await.number(), 1);
}

/// A report of nothing at all, as `docs/wire/video.md` draws it.
fn report() -> Vec<u8> {
    [b"SKCT\x01\x03\0\0", &[0; 40][..]].concat()
}

#[tokio::test]
async fn a_report_in_the_clear_is_not_heard() {
    let (camera, sender, receiver) = ends(Some(key(1)), Some(key(1))).await;
    let to = ([127, 0, 0, 1], sender.address().port());
    let config = DatagramConfig::to([to.into()]);
    // In the clear, under another key, and as a sender seals.
    for config in [
        config.clone(),
        config.clone().sealed(key(2)),
        config.sealed(key(1)),
    ] {
        let stranger = Channel::datagrams(config, &Limits::default()).unwrap();
        let report = [report().into()];
        stranger
            .send(MessageKind(2), &report, Parity::NONE)
            .await
            .unwrap();
    }
    // The receiver's own comes after them.
    tokio::select! {
        () = until(|| !sender.reports().is_empty()) => {}
        () = publish_forever(&camera, raw) => unreachable!(),
    }
    let from: Vec<_> = sender.reports().into_iter().map(|(from, _)| from).collect();
    assert_eq!(from, [socket_of(receiver.address())]);
}

#[tokio::test]
async fn nothing_of_a_picture_is_on_the_wire() {
    let wire = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let to = [address(&format!("udp://{}", wire.local_addr().unwrap()))];
    let config = SenderConfig::default().raw();
    let (plain, _in_the_clear) = sender(&to, config.clone()).await;
    let (camera, _sealed) = sender(&to, config.sealed(key(1))).await;
    let mut shows = [true, false].into_iter();
    for camera in [plain, camera] {
        camera.publish(raw(1));
        let mut datagram = vec![0; 2_000];
        let received = timeout(WITHIN, wire.recv(&mut datagram)).await.unwrap();
        datagram.truncate(received.unwrap());
        // Its pixels, all alike, and its own header.
        let has = |part: &[u8]| datagram.windows(part.len()).any(|window| window == part);
        let is_shown = shows.next().unwrap();
        assert_eq!((has(&[100; 16]), has(b"SKPI")), (is_shown, is_shown));
        // The rest of the first one.
        while timeout(Duration::from_millis(100), wire.recv(&mut datagram))
            .await
            .is_ok()
        {}
    }
}

#[tokio::test]
async fn a_key_seals_no_connection_and_says_so() {
    let (_camera, pictures) = sockkit::latest::channel();
    let at = address("tcp://127.0.0.1:0");
    let config = SenderConfig::default().sealed(key(1));
    let refused = Sender::open(std::slice::from_ref(&at), config, pictures).await;
    assert!(matches!(refused, Err(ChannelError::NotSealed { .. })));
    let refused = Receiver::open(&at, ReceiverConfig::default().sealed(key(1))).await;
    assert!(matches!(refused, Err(ChannelError::NotSealed { .. })));
}
