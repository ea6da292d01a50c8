//! What holds for pictures whatever carries them: each test runs unchanged over
//! UDP and multicast, in the clear and sealed, framed TCP and QUIC.

use std::time::{Duration, SystemTime};

use sockkit::{
    latest::{self, Publisher},
    link::{
        Acceptor, Address, Node,
        channel::{Channel, DatagramConfig, Limits},
        sealing::Key,
    },
    picture::{Picture, jpeg},
    shard::{MessageKind, Parity},
    stream::{Receiver, ReceiverConfig, Sender, SenderConfig},
};
use tokio::time::{Instant, sleep, timeout};

use super::{
    WITHIN, address, every_encoding, large, last_figures, next, publish_forever, raw, receiver,
    sender, socket_of, until,
};

/// What carries the pictures.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Over {
    Udp,
    Multicast,
    SealedUdp,
    SealedMulticast,
    Tcp,
    Quic,
}

use Over::{Multicast, Quic, SealedMulticast, SealedUdp, Tcp, Udp};

macro_rules! over_each_transport {
    ($($test:ident),* $(,)?) => {
        over_each_transport!(@ udp Udp $($test)*);
        over_each_transport!(@ multicast Multicast $($test)*);
        over_each_transport!(@ sealed_udp SealedUdp $($test)*);
        over_each_transport!(@ sealed_multicast SealedMulticast $($test)*);
        over_each_transport!(@ framed_tcp Tcp $($test)*);
        over_each_transport!(@ quic Quic $($test)*);
    };
    (@ $module:ident $over:ident $($test:ident)*) => {
        mod $module {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(super::$over).await;
                }
            )*
        }
    };
}

over_each_transport!(
    a_picture_arrives_as_it_was,
    raw_pictures_arrive_as_jpeg_unless_told_otherwise,
    the_last_picture_goes_out_before_the_sender_has_finished,
    h264_is_refused_and_counted,
    many_watch_one_sender,
    one_that_takes_its_time_gets_the_newest,
    a_restarted_sender_is_shown,
    a_restarted_receiver_sees_pictures,
    what_is_no_picture_is_counted_and_passed_over,
    a_sender_hears_how_its_receivers_fare,
    the_age_is_that_of_the_capture,
    what_is_stopped_frees_its_address,
);

impl Over {
    fn is_connected(self) -> bool {
        matches!(self, Tcp | Quic)
    }

    fn is_group(self) -> bool {
        matches!(self, Multicast | SealedMulticast)
    }

    fn key(self) -> Option<Key> {
        matches!(self, SealedUdp | SealedMulticast).then(|| Key::new(&[7; 32]))
    }

    /// A sender, and so many receivers of it.
    async fn ends(
        self,
        count: usize,
        config: SenderConfig,
    ) -> (Publisher<Picture>, Sender, Vec<Receiver>) {
        if self.is_connected() {
            let (camera, sender) = sender(&[self.place()], config).await;
            let mut receivers = Vec::new();
            for _ in 0..count {
                receivers.push(self.receiver(sender.address()).await);
            }
            return (camera, sender, receivers);
        }
        let mut receivers = vec![self.receiver(&self.place()).await];
        while receivers.len() < count {
            let at = match self.is_group() {
                true => receivers[0].address().clone(),
                false => self.place(),
            };
            receivers.push(self.receiver(&at).await);
        }
        let to: Vec<_> = match self.is_group() {
            true => vec![receivers[0].address().clone()],
            false => receivers.iter().map(|one| one.address().clone()).collect(),
        };
        let (camera, sender) = sender(&to, self.sending(config)).await;
        (camera, sender, receivers)
    }

    /// Where the side that waits is opened first.
    fn place(self) -> Address {
        address(match self {
            Udp | SealedUdp => "udp://127.0.0.1:0",
            Multicast | SealedMulticast => "udp://239.255.77.7:0",
            Tcp => "tcp://127.0.0.1:0",
            Quic => "quic://127.0.0.1:0",
        })
    }

    fn sending(self, config: SenderConfig) -> SenderConfig {
        let config = match self.is_group() {
            true => config.datagrams(by_loopback()),
            false => config,
        };
        match self.key() {
            Some(key) => config.sealed(key),
            None => config,
        }
    }

    async fn receiver(self, at: &Address) -> Receiver {
        let config = ReceiverConfig::default();
        let config = match self.is_group() {
            true => config.datagrams(by_loopback()),
            false => config,
        };
        let config = match self.key() {
            Some(key) => config.sealed(key),
            None => config,
        };
        Receiver::open(at, config).await.unwrap()
    }

    /// A channel to a receiver of datagrams.
    fn channel(self, to: &Address) -> Channel {
        let config = by_loopback().destinations([socket_of(to)]);
        let config = match self.key() {
            Some(key) => config.sealed(key),
            None => config,
        };
        Channel::datagrams(config, &Limits::default()).unwrap()
    }
}

/// Groups of this machine alone.
fn by_loopback() -> DatagramConfig {
    DatagramConfig::default().interface("127.0.0.1".parse().unwrap())
}

/// The same sender, started again while its receiver stays.
async fn start_again(
    over: Over,
    old: Address,
    receiver: &Receiver,
) -> (Publisher<Picture>, Sender) {
    let to = match over.is_connected() {
        true => old,
        false => receiver.address().clone(),
    };
    let deadline = Instant::now() + WITHIN;
    loop {
        let (camera, pictures) = latest::channel();
        let config = over.sending(SenderConfig::default().raw());
        match Sender::open(std::slice::from_ref(&to), config, pictures).await {
            Ok(sender) => return (camera, sender),
            // A QUIC socket is kept until its peers have heard of the end.
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        sleep(Duration::from_millis(5)).await;
    }
}

async fn a_picture_arrives_as_it_was(over: Over) {
    let (camera, sender, receivers) = over.ends(1, SenderConfig::default().raw()).await;
    let mut pictures = receivers[0].pictures();
    for picture in every_encoding() {
        camera.publish(picture.clone());
        // Not `assert_eq`, which would print every pixel.
        assert!(
            next(&mut pictures).await == picture,
            "{}",
            picture.encoding()
        );
    }
    let stats = receivers[0].stats().snapshot();
    assert_eq!((stats.received, stats.lost, stats.refused), (8, 0, 0));
    let sent = last_figures(camera, &sender).await;
    assert_eq!((sent.pictures, sent.sent, sent.failed), (8, 8, 0));
    assert!(sent.bytes > stats.bytes, "{sent:?}, {stats:?}");
}

async fn raw_pictures_arrive_as_jpeg_unless_told_otherwise(over: Over) {
    let config = SenderConfig::default().jpeg_quality(35);
    let (camera, _sender, receivers) = over.ends(1, config).await;
    let mut pictures = receivers[0].pictures();
    for picture in every_encoding() {
        camera.publish(picture.clone());
        let expected = jpeg::encode(&picture, 35).unwrap();
        assert!(
            next(&mut pictures).await == expected,
            "{}",
            picture.encoding()
        );
    }
}

async fn the_last_picture_goes_out_before_the_sender_has_finished(over: Over) {
    let (camera, sender, receivers) = over.ends(1, SenderConfig::default()).await;
    let mut pictures = receivers[0].pictures();
    camera.publish(raw(1));
    next(&mut pictures).await;
    for number in 2..=150 {
        camera.publish(large(number));
    }
    let stats = last_figures(camera, &sender).await;
    assert_eq!((stats.sent + stats.skipped, stats.failed), (150, 0));
    while next(&mut pictures).await.number() < 150 {}
}

async fn h264_is_refused_and_counted(over: Over) {
    for config in [SenderConfig::default(), SenderConfig::default().raw()] {
        let (camera, sender, _receivers) = over.ends(1, config).await;
        camera.publish(Picture::from_h264(true, 64, 48, vec![0, 0, 1, 0x65]).unwrap());
        let stats = last_figures(camera, &sender).await;
        assert_eq!((stats.sent, stats.failed), (0, 1));
    }
}

async fn many_watch_one_sender(over: Over) {
    let (camera, sender, receivers) = over.ends(20, SenderConfig::default().raw()).await;
    let mut views: Vec<_> = receivers.iter().map(Receiver::pictures).collect();
    for number in 1..=3 {
        camera.publish(raw(number));
        for pictures in &mut views {
            while next(pictures).await.number() < number {}
        }
    }
    let stats = sender.stats();
    let viewers = if over.is_connected() { 20 } else { 0 };
    assert_eq!((stats.viewers, stats.connected), (viewers, viewers));
    assert_eq!(last_figures(camera, &sender).await.pictures, 3);
}

async fn one_that_takes_its_time_gets_the_newest(over: Over) {
    let (camera, _sender, receivers) = over.ends(2, SenderConfig::default().raw()).await;
    let mut idle = receivers[0].pictures();
    let mut views: Vec<_> = receivers.iter().map(Receiver::pictures).collect();
    for number in 1..=50 {
        camera.publish(raw(number));
        for pictures in &mut views {
            while next(pictures).await.number() < number {}
        }
    }
    assert_eq!(next(&mut idle).await.number(), 50);
    assert_eq!(idle.missed(), receivers[0].stats().snapshot().received - 1);
}

async fn a_restarted_sender_is_shown(over: Over) {
    let (camera, first, receivers) = over.ends(1, SenderConfig::default().raw()).await;
    let mut pictures = receivers[0].pictures();
    camera.publish(raw(1 << 32));
    assert_eq!(next(&mut pictures).await.number(), 1 << 32);
    let old = first.address().clone();
    first.shutdown().await;

    let (camera, _second) = start_again(over, old, &receivers[0]).await;
    tokio::select! {
        picture = next(&mut pictures) => assert!(picture.number() < 1 << 32, "{picture:?}"),
        () = publish_forever(&camera, raw) => unreachable!(),
    }
    assert_eq!(receivers[0].stats().snapshot().restarts, 1);
}

async fn a_restarted_receiver_sees_pictures(over: Over) {
    let (camera, sender, mut receivers) = over.ends(1, SenderConfig::default().raw()).await;
    let run = async {
        let first = receivers.remove(0);
        next(&mut first.pictures()).await;
        let at = first.address().clone();
        first.shutdown().await;
        // On loopback each of them is answered that the port is closed, and the
        // answer is there before the next one is sent.
        let taken = sender.stats().pictures;
        until(|| sender.stats().pictures >= taken + 3).await;
        let second = over.receiver(&at).await;
        next(&mut second.pictures()).await;
    };
    tokio::select! {
        () = run => {}
        () = publish_forever(&camera, raw) => unreachable!(),
    }
    until(|| sender.stats().viewers == 0).await;
}

async fn what_is_no_picture_is_counted_and_passed_over(over: Over) {
    let node = Node::default().messages(b"sockkit-pictures/1", Duration::from_secs(3));
    let mut acceptor = match over.is_connected() {
        true => Some(node.listen(&over.place()).await.unwrap()),
        false => None,
    };
    let at = acceptor
        .as_ref()
        .map_or_else(|| over.place(), Acceptor::address);
    let receiver = over.receiver(&at).await;
    let mut unknown_codec = raw(1).to_message().unwrap().to_vec();
    unknown_codec[6] = 9;
    let mut too_short = raw(1).to_message().unwrap().to_vec();
    too_short.pop();
    let sound = raw(1).to_message().unwrap();
    let messages = [
        "HTTP/1.1 400 Bad Request\r\n\r\n".into(),
        vec![0; 100_000].into(),
        unknown_codec.into(),
        too_short.into(),
        sound,
    ];
    // A connection that brings no picture is dropped, and made again.
    let mut channels = Vec::new();
    for message in messages {
        let channel = match &mut acceptor {
            Some(acceptor) => {
                let connection = timeout(WITHIN, acceptor.accept()).await.unwrap().unwrap();
                Channel::connection(connection, &Limits::default())
            }
            None => over.channel(receiver.address()),
        };
        channel
            .send(MessageKind(1), &[message], Parity::NONE)
            .await
            .unwrap();
        channels.push(channel);
    }
    next(&mut receiver.pictures()).await;
    let stats = receiver.stats().snapshot();
    assert_eq!((stats.received, stats.refused, stats.lost), (1, 4, 0));
}

async fn a_sender_hears_how_its_receivers_fare(over: Over) {
    let (camera, sender, _receivers) = over.ends(2, SenderConfig::default().raw()).await;
    // A group's receivers on one machine have one address and port.
    let expected = if over.is_group() { 1 } else { 2 };
    let reported = until(|| {
        let reports = sender.reports();
        let fares_well = |report: &sockkit::stream::Report| report.received > 0 && report.lost == 0;
        reports.len() == expected && reports.iter().all(|(_, report)| fares_well(report))
    });
    tokio::select! {
        () = reported => {}
        () = publish_forever(&camera, raw) => unreachable!(),
    }
}

async fn the_age_is_that_of_the_capture(over: Over) {
    let (camera, _sender, receivers) = over.ends(1, SenderConfig::default().raw()).await;
    let (stats, waited) = (receivers[0].stats(), Duration::from_millis(250));
    let old = |number| raw(number).captured_at((SystemTime::now() - waited).into());
    let began = Instant::now();
    tokio::select! {
        // A sender in a group may have another address than its receiver, which
        // then asks for its clock.
        () = until(|| stats.snapshot().age_p50.is_some()) => {}
        () = publish_forever(&camera, old) => unreachable!(),
    }
    let stats = stats.snapshot();
    let (age, error) = (stats.age_p50.unwrap(), stats.age_error.unwrap());
    assert!(age + error >= waited, "{stats:?}");
    assert!(age <= waited + began.elapsed() + error, "{stats:?}");
    assert!(over.is_group() || error == Duration::ZERO, "{stats:?}");
}

async fn what_is_stopped_frees_its_address(over: Over) {
    let (camera, sender, mut receivers) = over.ends(1, SenderConfig::default().raw()).await;
    let one = receivers.remove(0);
    let mut pictures = one.pictures();
    camera.publish(raw(1));
    next(&mut pictures).await;
    let old = sender.address().clone();
    timeout(WITHIN, sender.shutdown()).await.unwrap();
    drop(start_again(over, old, &one).await);

    let at = one.address().clone();
    timeout(WITHIN, one.shutdown()).await.unwrap();
    let ended = async { while pictures.next().await.is_some() {} };
    timeout(WITHIN, ended).await.unwrap();
    drop(receiver(&at).await);
}
