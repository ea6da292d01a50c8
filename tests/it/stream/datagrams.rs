//! What holds for pictures over datagrams alone.

use std::{net::SocketAddr, time::Duration};

use sockkit::{
    latest::{self, Publisher},
    link::{Address, channel::ChannelError},
    picture::{Encoding, Picture, PixelFormat, Timestamp, jpeg},
    shard::{MessageKind, Parity, SplitConfig, Splitter, StreamId},
    stream::{Receiver, ReceiverConfig, Sender, SenderConfig, SenderStats, Stats},
};
use tokio::{
    net::UdpSocket,
    time::{Instant, interval, sleep, timeout},
};

use super::{WITHIN, address, last_figures, next, publish_forever, raw, socket_of};

#[tokio::test]
async fn a_destination_that_is_not_there_costs_the_others_nothing() {
    let closed = closed_port().await;
    let receiver = receiver().await;
    let to = [
        address(&format!("udp://{closed}")),
        receiver.address().clone(),
    ];
    let (camera, _sender) = super::sender(&to, SenderConfig::default().raw()).await;
    let mut pictures = receiver.pictures();
    for number in 1..=20 {
        camera.publish(raw(number));
        assert_eq!(next(&mut pictures).await.number(), number);
    }
}

/// How long it takes until a picture of the second one is shown.
async fn restart_a_sender() -> Duration {
    let receiver = receiver().await;
    let mut pictures = receiver.pictures();
    let (camera, first) = sender(&[&receiver]).await;
    camera.publish(raw(1 << 32));
    assert_eq!(next(&mut pictures).await.number(), 1 << 32);
    first.shutdown().await;

    let restarted = Instant::now();
    let (camera, _second) = sender(&[&receiver]).await;
    let publish = publish_forever(&camera, raw);
    let again = async { next(&mut pictures).await };
    tokio::select! {
        picture = again => assert!(picture.number() < 1 << 32, "{picture:?}"),
        () = publish => unreachable!(),
    }
    assert_eq!(receiver.stats().snapshot().restarts, 1);
    restarted.elapsed()
}

/// How long it takes until the second one shows a picture.
async fn restart_a_receiver() -> Duration {
    let first = receiver().await;
    let address = first.address().clone();
    let (camera, sender) = sender(&[&first]).await;
    let run = async {
        next(&mut first.pictures()).await;
        first.shutdown().await;
        // On loopback each of them is answered that the port is closed, and the
        // answer is there before the next one is sent.
        let sent = sender.stats().sent;
        while sender.stats().sent < sent + 3 {
            sleep(Duration::from_millis(1)).await;
        }
        let restarted = Instant::now();
        let second = super::receiver(&address).await;
        next(&mut second.pictures()).await;
        restarted.elapsed()
    };
    tokio::select! {
        took = run => took,
        () = publish_forever(&camera, raw) => unreachable!(),
    }
}

#[tokio::test]
async fn garbage_is_counted_and_passed_over() {
    let receiver = receiver().await;
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for length in [0, 1, 35, 36, 1_400, 60_000] {
        let garbage: Vec<u8> = (0..length).map(|_| fastrand::u8(..)).collect();
        stranger
            .send_to(&garbage, socket_of(receiver.address()))
            .await
            .unwrap();
    }
    let (camera, _sender) = sender(&[&receiver]).await;
    camera.publish(raw(1));
    next(&mut receiver.pictures()).await;
    let stats = receiver.stats().snapshot();
    assert_eq!((stats.received, stats.refused, stats.lost), (1, 6, 0));
}

#[tokio::test]
async fn forged_reports_from_three_hundred_ports_hide_no_receiver() {
    let receiver = receiver().await;
    let (camera, sender) = sender(&[&receiver]).await;
    let to = SocketAddr::from(([127, 0, 0, 1], sender.address().port()));
    let mut strangers = Vec::new();
    for stranger in 0..300 {
        let absurd = if stranger % 2 == 0 { 0 } else { 1 << 63 };
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.send_to(&forged_report(absurd), to).await.unwrap();
        strangers.push(socket);
    }
    let all = async {
        loop {
            let reports = sender.reports();
            let is_ours = |(from, _): &(SocketAddr, _)| *from == socket_of(receiver.address());
            if reports.iter().any(is_ours) {
                return reports;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        reports = all => {
            assert!(reports.len() <= 65, "{} reports", reports.len());
            assert!(reports.iter().all(|(_, report)| report.lost == 0), "{reports:?}");
        }
        () = publish_forever(&camera, raw) => unreachable!(),
        () = sleep(WITHIN) => panic!("no report"),
    }
}

/// A report of a receiver that says it lost so many, as one datagram.
fn forged_report(lost: u64) -> Vec<u8> {
    let head = b"SKCT\x01\x03\0\0";
    let received = 1u64.to_be_bytes();
    let message = [&head[..], &received, &lost.to_be_bytes(), &[0; 16]].concat();
    let mut splitter = Splitter::new(SplitConfig::default(), StreamId(1));
    let shards = splitter
        .split(MessageKind(2), &message, Parity::NONE)
        .unwrap();
    shards.as_bytes().to_vec()
}

#[tokio::test]
async fn addresses_that_cannot_be_are_refused() {
    let taken = receiver().await;
    let again = Receiver::open(taken.address(), ReceiverConfig::default()).await;
    assert!(matches!(again, Err(ChannelError::Bind(_))));
    let elsewhere = address("udp://192.0.2.1:0");
    let elsewhere = Receiver::open(&elsewhere, ReceiverConfig::default()).await;
    assert!(matches!(elsewhere, Err(ChannelError::Bind(_))));
    let to = |other| [taken.address().clone(), address(other)];
    let error = fails(&to("udp://[::1]:9")).await;
    assert!(matches!(error, ChannelError::MixedVersions { .. }));
    let error = fails(&to("tcp://127.0.0.1:0")).await;
    assert!(matches!(error, ChannelError::MixedTransports { .. }));
    assert!(matches!(fails(&[]).await, ChannelError::NoDestination));
}

async fn fails(to: &[Address]) -> ChannelError {
    let sender = Sender::open(to, SenderConfig::default(), latest::channel().1).await;
    sender.unwrap_err()
}

/// Streams pictures at 60 a second, until the last one has arrived.
async fn stream_for(
    encoding: Encoding,
    (width, height): (u32, u32),
    pictures: u64,
) -> (Stats, SenderStats) {
    let texture: Vec<u8> = (0..width * height * 3)
        .map(|at| (at / 7 % 251) as u8)
        .collect();
    let rgb = Picture::new(PixelFormat::Rgb, width, height, texture).unwrap();
    let picture = match encoding {
        Encoding::Raw(format) => rgb.convert(format).unwrap(),
        _ => jpeg::encode(&rgb, jpeg::DEFAULT_QUALITY).unwrap(),
    };
    let receiver = receiver().await;
    let mut shown = receiver.pictures();
    let (camera, sender) = sender(&[&receiver]).await;
    let mut ticks = interval(Duration::from_secs(1) / 60);
    for number in 0..pictures {
        ticks.tick().await;
        let now = Timestamp::from(std::time::SystemTime::now());
        camera.publish(picture.clone().numbered(number).captured_at(now));
    }
    let last = async { while next(&mut shown).await.number() < pictures - 1 {} };
    // The last one may be the one that is lost.
    let _ = timeout(Duration::from_secs(1), last).await;
    let sent = last_figures(camera, &sender).await;
    (receiver.stats().snapshot(), sent)
}

mod real_time {
    use sockkit::testing::real_time::check;

    use super::*;

    #[test]
    #[ignore = "real time"]
    fn a_restarted_sender_is_shown_within_a_second() {
        check("stream: a restarted sender is shown", || {
            within_a_second(run(restart_a_sender()))
        });
    }

    #[test]
    #[ignore = "real time"]
    fn a_restarted_receiver_sees_pictures_within_a_second() {
        check("stream: a restarted receiver sees pictures", || {
            within_a_second(run(restart_a_receiver()))
        });
    }

    #[test]
    #[ignore = "real time"]
    fn raw_vga_at_sixty_a_second_loses_none() {
        check("stream: raw VGA at 60 a second", || {
            none_lost(PixelFormat::Bgr.into(), (640, 480))
        });
    }

    #[test]
    #[ignore = "real time"]
    fn hd_jpeg_at_sixty_a_second_loses_none() {
        check("stream: HD JPEG at 60 a second", || {
            none_lost(Encoding::Jpeg, (1_280, 720))
        });
    }

    fn none_lost(encoding: Encoding, size_px: (u32, u32)) -> Result<(), String> {
        let (stats, sent) = run(stream_for(encoding, size_px, 2 * 60));
        if (stats.lost, stats.received) == (0, sent.sent) {
            return Ok(());
        }
        Err(format!("{stats:?}, {sent:?}"))
    }

    fn within_a_second(took: Duration) -> Result<(), String> {
        if took < Duration::from_secs(1) {
            return Ok(());
        }
        Err(format!("it took {took:?}"))
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Runtime::new().unwrap().block_on(future)
    }
}

async fn receiver() -> Receiver {
    super::receiver(&address("udp://127.0.0.1:0")).await
}

async fn sender(to: &[&Receiver]) -> (Publisher<Picture>, Sender) {
    let to: Vec<_> = to
        .iter()
        .map(|receiver| receiver.address().clone())
        .collect();
    super::sender(&to, SenderConfig::default().raw()).await
}

async fn closed_port() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.local_addr().unwrap()
}
