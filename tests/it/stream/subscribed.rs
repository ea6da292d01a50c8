//! Datagrams whose keys come over an authenticated connection.

use std::{
    io,
    net::{Ipv4Addr, UdpSocket},
    slice::from_ref,
};

use sockkit::{
    link::{
        Node,
        channel::{Channel, ChannelError, DatagramConfig, Limits, RecvError},
        identity::{Identity, StateFolder},
        sealing::Key,
        trust::{PeerStore, Right, Trust},
    },
    shard::{MessageKind, Parity},
    stream::ConnectionState,
    tcp::End,
};
use tempfile::{TempDir, tempdir};

use super::*;

fn identity() -> Identity {
    Identity::throw_away().unwrap()
}

fn store() -> (TempDir, PeerStore) {
    let home = tempdir().unwrap();
    let store = PeerStore::new(&StateFolder::at(home.path().join("state")));
    (home, store)
}

/// A camera that listens for those who may watch, according to `known`.
async fn listening(known: PeerStore) -> (Publisher<Picture>, Sender) {
    let trust = Trust::none().known(known, Right::Watch);
    let config = SenderConfig::default().authenticate(identity(), trust);
    let (camera, pictures) = latest::channel();
    let at = [address("udp://127.0.0.1:0")];
    let sender = Sender::listen(&at, config, pictures).await.unwrap();
    (camera, sender)
}

fn subscribed(to: &Sender, identity: Identity) -> Receiver {
    let config = ReceiverConfig::default().authenticate(identity, Trust::anyone());
    Receiver::subscribe(to.address(), &config).unwrap()
}

/// Waits until a connection has ended, and returns why.
async fn is_down(mut states: Subscriber<ConnectionState>) -> End {
    let down = async {
        loop {
            if let ConnectionState::Down { why } = states.next().await.unwrap() {
                return why;
            }
        }
    };
    timeout(WITHIN, down).await.expect("it ends")
}

/// Publishes until the viewer shows one more.
async fn shown(camera: &Publisher<Picture>, receiver: &Receiver) -> Picture {
    let mut pictures = receiver.pictures();
    let _ = pictures.latest();
    let one = async {
        tokio::select! {
            () = publish_forever(camera, raw) => unreachable!(),
            picture = pictures.next() => picture.unwrap(),
        }
    };
    timeout(WITHIN, one).await.expect("a picture in time")
}

#[tokio::test]
async fn viewers_that_are_trusted_see_pictures_and_are_heard() {
    let (_home, known) = store();
    let (camera, sender) = listening(known.clone()).await;
    let viewers = [identity(), identity()];
    for viewer in &viewers {
        let right = Some(Right::Watch);
        known
            .remember(viewer.fingerprint(), "viewer", right)
            .unwrap();
    }
    let receivers = viewers.map(|viewer| subscribed(&sender, viewer));
    for receiver in &receivers {
        shown(&camera, receiver).await;
    }
    tokio::select! {
        () = publish_forever(&camera, raw) => unreachable!(),
        () = until(|| sender.reports().len() == 2) => {}
    }
    assert_eq!(sender.stats().viewers, 2);

    let stranger = subscribed(&sender, identity());
    is_down(stranger.connection_state().unwrap()).await;
    assert_eq!(stranger.stats().snapshot().received, 0);
    for receiver in receivers {
        let stats = receiver.stats().snapshot();
        assert_eq!((stats.unopened, stats.refused), (0, 0), "{stats:?}");
        receiver.shutdown().await;
    }
    until(|| sender.stats().viewers == 0).await;
}

#[tokio::test]
async fn a_viewer_that_is_forgotten_or_may_not_watch_any_more_sees_nothing_new() {
    for forgets in [true, false] {
        let (_home, known) = store();
        let (camera, sender) = listening(known.clone()).await;
        let (gone, stays) = (identity(), identity());
        let key = gone.fingerprint();
        for viewer in [&gone, &stays] {
            let right = Some(Right::Watch);
            known
                .remember(viewer.fingerprint(), "viewer", right)
                .unwrap();
        }
        let (gone, stays) = (subscribed(&sender, gone), subscribed(&sender, stays));
        shown(&camera, &gone).await;
        match forgets {
            true => known.forget(key).unwrap(),
            false => known.set_rights(key, "give".parse().unwrap()).unwrap(),
        }
        tokio::select! {
            () = publish_forever(&camera, raw) => unreachable!(),
            _ = is_down(gone.connection_state().unwrap()) => {}
        }
        let before = gone.stats().snapshot().received;
        for _ in 0..5 {
            shown(&camera, &stays).await;
        }
        assert_eq!(gone.stats().snapshot().received, before);
    }
}

#[tokio::test]
async fn a_camera_pushes_to_a_viewer_that_lets_it() {
    let (_home, known) = store();
    let trust = Trust::none().known(known.clone(), Right::Show);
    let config = ReceiverConfig::default().authenticate(identity(), trust);
    let at = address("udp://127.0.0.1:0");
    let receiver = Receiver::listen(&at, config).await.unwrap();

    let push = |identity| {
        let config = SenderConfig::default().authenticate(identity, Trust::anyone());
        let (camera, pictures) = latest::channel();
        let sender = Sender::push(receiver.address(), config, pictures).unwrap();
        (camera, sender)
    };
    let porch = identity();
    let key = porch.fingerprint();
    known.remember(key, "porch", Some(Right::Show)).unwrap();
    let (camera, sender) = push(porch.clone());
    shown(&camera, &receiver).await;

    // Another one that may, too, is told that there is one; it takes the place of none.
    let second = identity();
    let right = Some(Right::Show);
    known
        .remember(second.fingerprint(), "second", right)
        .unwrap();
    let (_other, refused) = push(second);
    let why = is_down(refused.connection_state().unwrap()).await;
    assert_eq!(why, End::Failed(io::ErrorKind::ResourceBusy));
    refused.shutdown().await;

    // One that is started again is the same.
    sender.shutdown().await;
    let (camera, sender) = push(porch);
    shown(&camera, &receiver).await;

    known.forget(key).unwrap();
    let states = sender.connection_state().unwrap();
    is_down(states).await;
    sender.shutdown().await;

    let third = identity();
    let right = Some(Right::Show);
    known.remember(third.fingerprint(), "third", right).unwrap();
    let (_camera, sender) = push(third);
    let mut states = sender.connection_state().unwrap();
    let up = async { while !matches!(states.next().await.unwrap(), ConnectionState::Up { .. }) {} };
    timeout(WITHIN, up).await.expect("it connects");
    receiver.shutdown().await;
    let why = is_down(states).await;
    assert_eq!(why, End::Finished, "the viewer has left");
}

/// Peers that may show, and hand over no key, hold the place for a moment only.
#[tokio::test]
async fn a_silent_sender_does_not_keep_a_camera_away() {
    let (_home, known) = store();
    let trust = Trust::none().known(known.clone(), Right::Show);
    let config = ReceiverConfig::default().authenticate(identity(), trust);
    let at = address("udp://127.0.0.1:0");
    let receiver = Receiver::listen(&at, config).await.unwrap();
    let (silent, porch) = (identity(), identity());
    for peer in [&silent, &porch] {
        let right = Some(Right::Show);
        known.remember(peer.fingerprint(), "peer", right).unwrap();
    }
    let node = Node::default()
        .messages(b"sockkit-subscription/1", WITHIN)
        .authenticate(silent, Trust::anyone());
    let to = receiver.address().to_string().replace("udp://", "tcp://");
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(node.dial(&address(&to)).await.unwrap());
    }

    let config = SenderConfig::default().authenticate(porch, Trust::anyone());
    let (camera, pictures) = latest::channel();
    let sender = Sender::push(receiver.address(), config, pictures).unwrap();
    let mut states = sender.connection_state().unwrap();
    let told = async {
        loop {
            match states.next().await.unwrap() {
                ConnectionState::Down { why } => return Some(why),
                ConnectionState::Up { .. } => return None,
                _ => {}
            }
        }
    };
    let told = timeout(WITHIN, told).await.expect("it is told");
    let busy = End::Failed(io::ErrorKind::ResourceBusy);
    assert!(told.is_none_or(|why| why == busy), "{told:?}");
    shown(&camera, &receiver).await;
}

/// Two ends of a subscription.
pub(super) async fn channels(camera: Identity) -> (Channel, Channel) {
    let node = |identity| {
        let node = Node::default().messages(b"test", WITHIN);
        node.authenticate(identity, Trust::anyone())
    };
    let at = address("tcp://127.0.0.1:0");
    let mut acceptor = node(camera).listen(&at).await.unwrap();
    let (to, dialler) = (acceptor.address(), node(identity()));
    let (dialled, accepted) = tokio::join!(dialler.dial(&to), acceptor.accept());
    let limits = Limits::default();
    let (here, there) = tokio::join!(
        Channel::serve(accepted.unwrap().into(), DatagramConfig::default(), &limits),
        Channel::subscribe(dialled.unwrap().into(), DatagramConfig::default(), &limits),
    );
    (here.unwrap(), there.unwrap())
}

const KIND: MessageKind = MessageKind(1);

async fn send(channel: &Channel, text: &'static str) {
    channel
        .send(KIND, &[text.into()], Parity::NONE)
        .await
        .unwrap();
}

#[tokio::test]
async fn each_end_of_a_subscription_ends_with_the_other() {
    let (mut here, mut there) = channels(identity()).await;
    send(&here, "hello").await;
    let message = timeout(WITHIN, there.recv()).await.unwrap().unwrap();
    assert_eq!(message.bytes, "hello");
    assert_eq!(Some(message.from), there.source());
    there
        .reply(message.from, KIND, || b"well".to_vec())
        .await
        .unwrap();
    let reply = timeout(WITHIN, here.recv()).await.unwrap().unwrap();
    assert_eq!(reply.bytes, "well");
    assert_eq!(here.destinations(), [reply.from]);
    // Its address is the one that was told, whichever a copy comes from.
    here.reply(reply.from, KIND, || b"good".to_vec())
        .await
        .unwrap();
    let message = timeout(WITHIN, there.recv()).await.unwrap().unwrap();
    assert_eq!(message.bytes, "good");

    drop(there);
    let end = timeout(WITHIN, here.recv()).await.unwrap().unwrap_err();
    assert!(end.end().is_some(), "{end:?}");
    let after = here.send(KIND, &["more".into()], Parity::NONE).await;
    assert!(after.unwrap_err().is_final());
}

#[tokio::test]
async fn what_was_sent_before_an_orderly_end_arrives() {
    let (here, mut there) = channels(identity()).await;
    for _ in 0..3 {
        send(&here, "sent, and not yet received").await;
    }
    timeout(WITHIN, here.close()).await.unwrap().unwrap();
    for _ in 0..3 {
        let message = timeout(WITHIN, there.recv()).await.unwrap().unwrap();
        assert_eq!(message.bytes, "sent, and not yet received");
    }
    for _ in 0..2 {
        let end = timeout(WITHIN, there.recv()).await.unwrap().unwrap_err();
        assert!(matches!(end, RecvError::Finished), "{end:?}");
    }
    let after = here.send(KIND, &["more".into()], Parity::NONE).await;
    assert!(after.unwrap_err().is_final());
}

/// It would have no effect: each viewer gets a key of its own.
#[tokio::test]
async fn a_key_besides_those_of_a_subscription_is_refused() {
    let at = address("udp://127.0.0.1:0");
    let party = || (identity(), Trust::anyone());
    let key = || Key::new(&[7; 32]);
    let sends = |(identity, trust)| SenderConfig::default().authenticate(identity, trust);
    let receives = |(identity, trust)| ReceiverConfig::default().authenticate(identity, trust);
    let (_camera, pictures) = latest::channel();
    let sealed = DatagramConfig::default().sealed(key());
    let errors = [
        Sender::listen(
            from_ref(&at),
            sends(party()).sealed(key()),
            pictures.clone(),
        )
        .await
        .unwrap_err(),
        Sender::push(&at, sends(party()).datagrams(sealed), pictures).unwrap_err(),
        Receiver::subscribe(&at, &receives(party()).sealed(key())).unwrap_err(),
        Receiver::listen(&at, receives(party()).sealed(key()))
            .await
            .unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, ChannelError::KeyUnused { .. }), "{error:?}");
    }
}

/// Nothing would be sent to it.
#[tokio::test]
async fn a_group_that_no_viewer_is_admitted_to_is_refused() {
    let party = || (identity(), Trust::anyone());
    let config = |(identity, trust)| {
        let config = SenderConfig::default().authenticate(identity, trust);
        config.group("239.255.77.42:5006".parse().unwrap())
    };
    let (_camera, pictures) = latest::channel();
    let mut errors = Vec::new();
    for at in ["tcp://127.0.0.1:0", "udp://127.0.0.1:9"].map(address) {
        let opened = Sender::open(from_ref(&at), config(party()), pictures.clone()).await;
        errors.push(opened.unwrap_err());
    }
    let at = address("udp://127.0.0.1:9");
    errors.push(Sender::push(&at, config(party()), pictures).unwrap_err());
    for error in errors {
        assert!(
            matches!(error, ChannelError::GroupUnused { .. }),
            "{error:?}"
        );
    }
}

/// Another viewer, with a key of its own, and a stranger.
#[tokio::test]
async fn what_others_send_to_a_subscriber_is_not_taken() {
    let (here, mut there) = channels(identity()).await;
    let (other, _) = channels(identity()).await;
    let at = here.destinations()[0];
    other
        .reply(at, KIND, || b"of another subscription".to_vec())
        .await
        .unwrap();
    let plain = Channel::datagrams(DatagramConfig::to([at]), &Limits::default()).unwrap();
    send(&plain, "in the clear").await;
    // What it sends itself, reflected.
    let mirror = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    mirror.set_read_timeout(Some(WITHIN)).unwrap();
    let to = mirror.local_addr().unwrap();
    there.reply(to, KIND, || b"its own".to_vec()).await.unwrap();
    let mut own = [0; 2_048];
    let (length, _) = mirror.recv_from(&mut own).unwrap();
    mirror.send_to(&own[..length], at).unwrap();
    for _ in 0..3 {
        let refused = timeout(WITHIN, there.recv()).await.unwrap().unwrap_err();
        assert!(
            matches!(refused, RecvError::NotOpened { .. }),
            "{refused:?}"
        );
    }
    send(&here, "honest").await;
    let message = timeout(WITHIN, there.recv()).await.unwrap().unwrap();
    assert_eq!(message.bytes, "honest");
}
