//! Pictures over real sockets.

use std::{net::SocketAddr, time::Duration};

use sockkit::{
    latest::{self, Publisher, Subscriber},
    picture::{Encoding, Picture, PixelFormat, Timestamp, jpeg},
    shard::{Kind, Parity, SplitConfig, Splitter, StreamId},
    stream::{Receiver, ReceiverConfig, Sender, SenderConfig, SenderStats, Stats, StreamError},
};
use tokio::{
    net::UdpSocket,
    time::{Instant, interval, sleep, timeout},
};

#[tokio::test]
async fn a_picture_arrives_as_it_was() {
    let receiver = receiver();
    let mut pictures = receiver.pictures();
    let (camera, _sender) = sender(SenderConfig::to(receiver.local_addr()));
    for picture in every_encoding() {
        camera.publish(picture.clone());
        // Not `assert_eq`, which would print every pixel.
        assert!(
            next(&mut pictures).await == picture,
            "{}",
            picture.encoding()
        );
    }
    let stats = receiver.stats().snapshot();
    assert_eq!((stats.received, stats.lost, stats.refused), (8, 0, 0));
}

#[tokio::test]
async fn raw_pictures_arrive_as_jpeg_unless_told_otherwise() {
    let receiver = receiver();
    let mut arrived = receiver.pictures();
    let (camera, pictures) = latest::channel();
    let config = SenderConfig::to(receiver.local_addr()).jpeg_quality(35);
    let _sender = Sender::bind(config, pictures).unwrap();
    for picture in every_encoding() {
        camera.publish(picture.clone());
        let expected = jpeg::encode(&picture, 35).unwrap();
        assert!(
            next(&mut arrived).await == expected,
            "{}",
            picture.encoding()
        );
    }
}

#[tokio::test]
async fn the_last_picture_goes_out_before_the_sender_has_finished() {
    let receiver = receiver();
    let mut arrived = receiver.pictures();
    let (camera, pictures) = latest::channel();
    let sender = Sender::bind(SenderConfig::to(receiver.local_addr()), pictures).unwrap();
    for number in 1..=150 {
        camera.publish(raw(number));
    }
    drop(camera);
    timeout(Duration::from_secs(10), sender.finished())
        .await
        .unwrap();
    let stats = sender.stats();
    assert_eq!((stats.sent + stats.skipped, stats.failed), (150, 0));
    while next(&mut arrived).await.number() < 150 {}
}

#[tokio::test]
async fn h264_is_refused_and_counted() {
    for config in [SenderConfig::raw, std::convert::identity] {
        let (camera, pictures) = latest::channel();
        let config = config(SenderConfig::to(receiver().local_addr()));
        let sender = Sender::bind(config, pictures).unwrap();
        camera.publish(Picture::from_h264(true, 64, 48, vec![0, 0, 1, 0x65]).unwrap());
        drop(camera);
        timeout(Duration::from_secs(10), sender.finished())
            .await
            .unwrap();
        let stats = sender.stats();
        assert_eq!((stats.sent, stats.failed), (0, 1));
    }
}

#[tokio::test]
async fn one_sender_reaches_many() {
    let receivers = [receiver(), receiver(), receiver()];
    let config = receivers[1..].iter().fold(
        SenderConfig::to(receivers[0].local_addr()),
        |config, receiver| config.also_to(receiver.local_addr()),
    );
    let (camera, sender) = sender(config.parity(Parity::percent(20)));
    camera.publish(raw(5));
    for receiver in &receivers {
        assert_eq!(next(&mut receiver.pictures()).await.number(), 5);
    }
    assert_eq!(last_figures(camera, &sender).await.sent, 1);
}

#[tokio::test]
async fn a_destination_that_is_not_there_costs_the_others_nothing() {
    let nobody = closed_port().await;
    let receiver = receiver();
    let config = SenderConfig::to(nobody).also_to(receiver.local_addr());
    let (camera, _sender) = sender(config);
    let mut pictures = receiver.pictures();
    for number in 1..=20 {
        camera.publish(raw(number));
        assert_eq!(next(&mut pictures).await.number(), number);
    }
}

#[tokio::test]
async fn a_group_is_joined_and_reached() {
    let group: SocketAddr = (std::net::Ipv4Addr::new(239, 255, 77, 7), 0).into();
    let loopback = || "127.0.0.1".parse().unwrap();
    let receiver = Receiver::bind(ReceiverConfig::at(group).interface(loopback())).unwrap();
    let to = SocketAddr::new(group.ip(), receiver.local_addr().port());
    let second = Receiver::bind(ReceiverConfig::at(to).interface(loopback())).unwrap();
    let (camera, _sender) = sender(SenderConfig::to(to).interface(loopback()));
    camera.publish(raw(3));
    for receiver in [receiver, second] {
        assert_eq!(next(&mut receiver.pictures()).await.number(), 3);
    }
}

#[tokio::test]
async fn a_restarted_sender_is_shown() {
    restart_a_sender().await;
}

/// How long it takes until a picture of the second one is shown.
async fn restart_a_sender() -> Duration {
    let receiver = receiver();
    let mut pictures = receiver.pictures();
    let (camera, first) = sender(SenderConfig::to(receiver.local_addr()));
    camera.publish(raw(1 << 32));
    assert_eq!(next(&mut pictures).await.number(), 1 << 32);
    first.shutdown().await;

    let restarted = Instant::now();
    let (camera, _second) = sender(SenderConfig::to(receiver.local_addr()));
    let publish = publish_forever(&camera);
    let again = async { next(&mut pictures).await };
    tokio::select! {
        picture = again => assert!(picture.number() < 1 << 32, "{picture:?}"),
        () = publish => unreachable!(),
    }
    assert_eq!(receiver.stats().snapshot().restarts, 1);
    restarted.elapsed()
}

#[tokio::test]
async fn a_restarted_receiver_sees_pictures() {
    restart_a_receiver().await;
}

/// How long it takes until the second one shows a picture.
async fn restart_a_receiver() -> Duration {
    let first = receiver();
    let address = first.local_addr();
    let (camera, sender) = sender(SenderConfig::to(address));
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
        let second = Receiver::bind(ReceiverConfig::at(address)).unwrap();
        next(&mut second.pictures()).await;
        restarted.elapsed()
    };
    tokio::select! {
        took = run => took,
        () = publish_forever(&camera) => unreachable!(),
    }
}

#[tokio::test]
async fn garbage_is_counted_and_passed_over() {
    let receiver = receiver();
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for length in [0, 1, 35, 36, 1_400, 60_000] {
        let garbage: Vec<u8> = (0..length).map(|_| fastrand::u8(..)).collect();
        stranger
            .send_to(&garbage, receiver.local_addr())
            .await
            .unwrap();
    }
    let (camera, _sender) = sender(SenderConfig::to(receiver.local_addr()));
    camera.publish(raw(1));
    next(&mut receiver.pictures()).await;
    let stats = receiver.stats().snapshot();
    assert_eq!((stats.received, stats.refused, stats.lost), (1, 6, 0));
}

#[tokio::test]
async fn the_age_is_that_of_the_capture() {
    let receiver = receiver();
    let (camera, _sender) = sender(SenderConfig::to(receiver.local_addr()));
    let taken = Timestamp::from(std::time::SystemTime::now() - Duration::from_millis(250));
    camera.publish(raw(1).captured_at(taken));
    next(&mut receiver.pictures()).await;
    let now = Timestamp::from(std::time::SystemTime::now());
    let stats = receiver.stats().snapshot();
    let age = stats.age_p50.unwrap();
    let most = now.saturating_since(taken);
    assert!(
        (Duration::from_millis(250)..=most).contains(&age),
        "{age:?}"
    );
    assert_eq!(stats.age_error, Some(Duration::ZERO));
}

#[tokio::test]
async fn a_sender_hears_how_its_receivers_fare() {
    let receiver = receiver();
    let (camera, sender) = sender(SenderConfig::to(receiver.local_addr()));
    let reported = async {
        loop {
            if let [(from, report)] = sender.reports()[..] {
                return (from, report);
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        (from, report) = reported => {
            assert_eq!(from, receiver.local_addr());
            assert!(report.received > 0 && report.lost == 0, "{report:?}");
        }
        () = publish_forever(&camera) => unreachable!(),
        () = sleep(WITHIN) => panic!("no report"),
    }
}

#[tokio::test]
async fn forged_reports_from_three_hundred_ports_hide_no_receiver() {
    let receiver = receiver();
    let (camera, sender) = sender(SenderConfig::to(receiver.local_addr()));
    let to = SocketAddr::from(([127, 0, 0, 1], sender.local_addr().port()));
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
            let is_ours = |(from, _): &(SocketAddr, _)| *from == receiver.local_addr();
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
        () = publish_forever(&camera) => unreachable!(),
        () = sleep(WITHIN) => panic!("no report"),
    }
}

/// A report of a receiver that says it lost so many, as one datagram.
fn forged_report(lost: u64) -> Vec<u8> {
    let head = b"SKCT\x01\x03\0\0";
    let received = 1u64.to_be_bytes();
    let message = [&head[..], &received, &lost.to_be_bytes(), &[0; 16]].concat();
    let mut splitter = Splitter::new(SplitConfig::default(), StreamId(1));
    let shards = splitter.split(Kind(2), &message, Parity::NONE).unwrap();
    shards.as_bytes().to_vec()
}

#[tokio::test]
async fn a_stopped_sender_frees_its_port_and_ends_nothing_else() {
    let receiver = receiver();
    let (camera, sender) = sender(SenderConfig::to(receiver.local_addr()));
    camera.publish(raw(1));
    next(&mut receiver.pictures()).await;
    let address = sender.local_addr();
    timeout(WITHIN, sender.shutdown()).await.unwrap();
    UdpSocket::bind(address).await.unwrap();
    let address = receiver.local_addr();
    let mut pictures = receiver.pictures();
    timeout(WITHIN, receiver.shutdown()).await.unwrap();
    next(&mut pictures).await;
    assert_eq!(timeout(WITHIN, pictures.next()).await.unwrap(), None);
    UdpSocket::bind(address).await.unwrap();
}

#[tokio::test]
async fn addresses_that_cannot_be_are_refused() {
    let taken = receiver();
    let again = Receiver::bind(ReceiverConfig::at(taken.local_addr()));
    assert!(matches!(again, Err(StreamError::Bind(_))));
    let mixed = SenderConfig::to(taken.local_addr()).also_to("[::1]:9".parse().unwrap());
    let error = Sender::bind(mixed, latest::channel().1).unwrap_err();
    assert!(matches!(error, StreamError::MixedVersions { .. }));
    let elsewhere = ReceiverConfig::at("192.0.2.1:0".parse().unwrap());
    assert!(matches!(
        Receiver::bind(elsewhere),
        Err(StreamError::Bind(_))
    ));
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
    let receiver = receiver();
    let mut shown = receiver.pictures();
    let (camera, sender) = sender(SenderConfig::to(receiver.local_addr()));
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

/// A picture may arrive before its sender has counted it, not once it has finished.
async fn last_figures(camera: Publisher<Picture>, sender: &Sender) -> SenderStats {
    drop(camera);
    timeout(WITHIN, sender.finished()).await.unwrap();
    sender.stats()
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

fn receiver() -> Receiver {
    Receiver::bind(ReceiverConfig::at("127.0.0.1:0".parse().unwrap())).unwrap()
}

fn sender(config: SenderConfig) -> (Publisher<Picture>, Sender) {
    let (camera, pictures) = latest::channel();
    (camera, Sender::bind(config.raw(), pictures).unwrap())
}

async fn next(pictures: &mut Subscriber<Picture>) -> Picture {
    timeout(WITHIN, pictures.next())
        .await
        .expect("a picture in time")
        .expect("the receiver runs")
}

async fn publish_forever(camera: &Publisher<Picture>) {
    let mut ticks = interval(Duration::from_millis(20));
    for number in 0.. {
        ticks.tick().await;
        camera.publish(raw(number));
    }
}

async fn closed_port() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.local_addr().unwrap()
}

/// One picture of each pixel format, and a JPEG.
fn every_encoding() -> impl Iterator<Item = Picture> {
    let formats = PixelFormat::ALL.into_iter().zip(1..);
    let raw = formats.map(|(format, number)| raw(number).convert(format).unwrap());
    raw.chain([jpeg::encode(&self::raw(8), jpeg::DEFAULT_QUALITY).unwrap()])
}

fn raw(number: u64) -> Picture {
    Picture::new(PixelFormat::Rgb, 64, 48, vec![100; 64 * 48 * 3])
        .unwrap()
        .captured_at(std::time::SystemTime::now().into())
        .numbered(number)
}

const WITHIN: Duration = Duration::from_secs(10);
