//! What holds for pictures over framed TCP alone.

use std::{io::ErrorKind, net::SocketAddr, time::Duration};

use sockkit::{
    BindError,
    latest::{self, Publisher, Subscriber},
    link::{Address, Host, ListenError, Scheme, channel::ChannelError},
    options::SocketOptions,
    picture::{Picture, Timestamp},
    stream::{ConnectionState, Receiver, ReceiverConfig, Sender, SenderConfig},
    tcp::{Connector, End, Timeout},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, interval, sleep, timeout},
};

use super::{WITHIN, address, gray, large, next, publish_forever, raw, socket_of, until};

#[tokio::test]
async fn a_viewer_that_does_not_read_costs_the_others_nothing_and_then_sees_the_newest() {
    let (camera, sender) = sender().await;
    let reader = receiver(&sender).await;
    let mut pictures = reader.pictures();
    let mut sleeper = frugal(socket_of(sender.address())).await;
    until(|| sender.stats().viewers == 2).await;
    for number in 1..=100 {
        camera.publish(large(number));
        assert_eq!(next(&mut pictures).await.number(), number);
    }
    let mut woken = Vec::new();
    while woken.last() != Some(&100) {
        woken.push(read_number(&mut sleeper).await);
    }
    // One that it had begun to read, one that waited for it, and the newest.
    assert!(woken.len() <= 3, "{woken:?}");
    let stats = sender.stats();
    assert!(stats.skipped >= 97, "{stats:?}");
    assert_eq!(reader.stats().snapshot().skipped, 0);
}

/// Left to itself, the kernel takes 64 KiB of small ones, here twenty.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn small_pictures_do_not_queue_here_for_a_viewer_that_does_not_read() {
    let (camera, sender) = sender().await;
    let reader = receiver(&sender).await;
    let mut pictures = reader.pictures();
    let mut sleeper = TcpStream::connect(socket_of(sender.address()))
        .await
        .unwrap();
    until(|| sender.stats().viewers == 2).await;
    for number in 1..=200 {
        camera.publish(raw(number));
        assert_eq!(next(&mut pictures).await.number(), number);
    }
    let in_its_buffer = sleeper.peek(&mut vec![0; 1 << 20]).await.unwrap();
    let (mut read, mut on_our_side) = (0, 0);
    loop {
        on_our_side += u32::from(read >= in_its_buffer);
        let message = read_frame(&mut sleeper).await;
        read += 8 + message.len();
        if number_of(message) == 200 {
            break;
        }
    }
    // 4 KiB of older ones, and the newest.
    assert!(on_our_side <= 4, "{on_our_side}");
}

#[tokio::test]
async fn a_viewer_that_takes_nothing_for_too_long_is_dropped() {
    let (camera, pictures) = latest::channel();
    let patience = Duration::from_millis(300);
    let config = SenderConfig::default().raw().write_timeout(patience);
    let sender = open(config, pictures).await;
    let mut sleeper = frugal(socket_of(sender.address())).await;
    until(|| sender.stats().viewers == 1).await;
    tokio::select! {
        () = publish_forever(&camera, large) => unreachable!(),
        () = until(|| sender.stats().viewers == 0) => {}
    }
    let mut rest = Vec::new();
    let _ = timeout(WITHIN, sleeper.read_to_end(&mut rest))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_viewer_that_reads_too_slowly_is_dropped_though_it_reads() {
    let (camera, pictures) = latest::channel();
    let config = SenderConfig::default().raw();
    let sender = open(config.write_timeout(Duration::from_secs(1)), pictures).await;
    let mut slow = frugal(socket_of(sender.address())).await;
    until(|| sender.stats().viewers == 1).await;
    // A picture in half a second; a tenth of a second is what it may take.
    let reading = async {
        let mut picture = vec![0; 40_000];
        while slow.read_exact(&mut picture).await.is_ok() {
            sleep(Duration::from_millis(500)).await;
        }
        std::future::pending().await
    };
    tokio::select! {
        () = publish_forever(&camera, |number| gray(200, 200, number)) => unreachable!(),
        () = reading => unreachable!(),
        () = until(|| sender.stats().viewers == 0) => {}
    }
}

#[tokio::test]
async fn a_deadline_of_for_ever_is_none() {
    let (camera, pictures) = latest::channel();
    let config = SenderConfig::default().raw().write_timeout(Duration::MAX);
    let sender = open(config, pictures).await;
    let receiver = receiver(&sender).await;
    let mut shown = receiver.pictures();
    let mut sleeper = frugal(socket_of(sender.address())).await;
    until(|| sender.stats().viewers == 2).await;
    for number in 1..=10 {
        camera.publish(large(number));
        while next(&mut shown).await.number() < number {}
    }
    while read_number(&mut sleeper).await < 10 {}
}

/// Loopback has more than one address on Linux alone.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn one_host_with_a_hundred_and_forty_connections_leaves_room_for_others() {
    let (camera, sender) = sender().await;
    let mut deaf = Vec::new();
    for _ in 0..140 {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 2], 0).into()).unwrap();
        // Those beyond its share are reset, some before they know better.
        deaf.extend(socket.connect(socket_of(sender.address())).await.ok());
    }
    let receiver = receiver(&sender).await;
    let mut pictures = receiver.pictures();
    until(|| sender.stats().viewers == 33).await;
    for number in 1..=10 {
        camera.publish(large(number));
        assert_eq!(next(&mut pictures).await.number(), number);
    }
    assert_eq!(sender.stats().connected, 33);
}

#[tokio::test]
async fn the_share_of_one_host_can_be_all_places() {
    let (_camera, pictures) = latest::channel();
    let config = SenderConfig::default().raw();
    let config = config.max_viewers(8).max_viewers_per_host(8);
    let sender = open(config, pictures).await;
    let mut receivers = Vec::new();
    for _ in 0..8 {
        receivers.push(receiver(&sender).await);
    }
    until(|| sender.stats().viewers == 8).await;
}

#[tokio::test]
async fn one_viewer_too_many_waits_until_there_is_a_place() {
    let (camera, pictures) = latest::channel();
    let config = SenderConfig::default().raw().max_viewers(1);
    let sender = open(config, pictures).await;
    let first = receiver(&sender).await;
    camera.publish(raw(1));
    next(&mut first.pictures()).await;

    let second = receiver(&sender).await;
    let mut link = second.connection_state().unwrap();
    until_link(&mut link, ConnectionState::Down { why: End::Reset }).await;
    first.shutdown().await;
    next(&mut second.pictures()).await;
}

/// How long it takes until a picture of the second one is shown.
async fn restart_a_sender() -> Duration {
    let (camera, first) = sender().await;
    let address = first.address().clone();
    let receiver = receiver(&first).await;
    let mut pictures = receiver.pictures();
    camera.publish(raw(1 << 32));
    assert_eq!(next(&mut pictures).await.number(), 1 << 32);
    first.shutdown().await;

    let (camera, pictures_of_second) = latest::channel();
    let restarted = Instant::now();
    let config = SenderConfig::default().raw();
    let second = Sender::open(&[address], config, pictures_of_second).await;
    let _second = second.unwrap();
    tokio::select! {
        picture = next(&mut pictures) => assert!(picture.number() < 1 << 32, "{picture:?}"),
        () = publish_forever(&camera, raw) => unreachable!(),
    }
    assert_eq!(receiver.stats().snapshot().restarts, 1);
    restarted.elapsed()
}

#[tokio::test]
async fn a_sender_may_begin_after_its_receivers() {
    begin_after_the_receiver().await;
}

/// How long it takes until the receiver shows a picture.
async fn begin_after_the_receiver() -> Duration {
    let address = closed_port().await;
    let receiver = dial(address).await;
    let mut link = receiver.connection_state().unwrap();
    assert_eq!(link.next().await, Some(ConnectionState::Dialling));
    let refused = ConnectionState::Down { why: End::Refused };
    assert_eq!(link.next().await, Some(refused));

    let (camera, pictures) = latest::channel();
    let config = SenderConfig::default().raw();
    let sender = Sender::open(&[at(address)], config, pictures).await;
    let _sender = sender.unwrap();
    camera.publish(raw(7));
    let begun = Instant::now();
    assert_eq!(next(&mut receiver.pictures()).await.number(), 7);
    let took = begun.elapsed();
    assert_eq!(link.latest(), Some(ConnectionState::Up { peer: address }));
    assert_eq!(receiver.stats().snapshot().restarts, 0);
    took
}

/// How long it takes until the second one shows a picture.
async fn restart_a_receiver() -> Duration {
    let (camera, sender) = sender().await;
    let run = async {
        let first = receiver(&sender).await;
        next(&mut first.pictures()).await;
        first.shutdown().await;
        let restarted = Instant::now();
        let second = receiver(&sender).await;
        next(&mut second.pictures()).await;
        restarted.elapsed()
    };
    let took = tokio::select! {
        took = run => took,
        () = publish_forever(&camera, raw) => unreachable!(),
    };
    until(|| sender.stats().viewers == 0).await;
    took
}

#[tokio::test]
async fn a_sender_of_garbage_is_counted_dropped_and_dialled_again() {
    let impostor = TcpListener::bind(LOOPBACK).await.unwrap();
    let address = impostor.local_addr().unwrap();
    let receiver = dial(address).await;
    let random: Vec<u8> = (0..200).map(|_| fastrand::u8(..)).collect();
    let mut unknown_codec = raw(1).to_message().unwrap().to_vec();
    unknown_codec[6] = 9;
    let nonsense: [&[u8]; 5] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        &(1_u64 << 63).to_be_bytes(),
        &((64_u64 << 20) + 1).to_be_bytes(),
        &framed(&random),
        &framed(&unknown_codec),
    ];
    for bytes in nonsense {
        let mut connection = timeout(WITHIN, impostor.accept()).await.unwrap().unwrap().0;
        connection.write_all(bytes).await.unwrap();
        closed(&mut connection).await;
    }
    let mut connection = timeout(WITHIN, impostor.accept()).await.unwrap().unwrap().0;
    let later = [b"SKCT\x01\x63\0\0", &[7; 40][..]].concat();
    connection.write_all(&framed(&later)).await.unwrap();
    connection
        .write_all(&framed(&raw(1).to_message().unwrap()))
        .await
        .unwrap();
    next(&mut receiver.pictures()).await;
    let stats = receiver.stats().snapshot();
    assert_eq!((stats.received, stats.refused, stats.lost), (1, 5, 0));
}

#[tokio::test]
async fn a_sender_that_says_nothing_or_stalls_is_dialled_again() {
    let impostor = TcpListener::bind(LOOPBACK).await.unwrap();
    let address = impostor.local_addr().unwrap();
    let config = ReceiverConfig::default().idle_timeout(Duration::from_millis(100));
    let receiver = Receiver::open(&at(address), config).await.unwrap();
    let mut link = receiver.connection_state().unwrap();
    let picture = framed(&raw(1).to_message().unwrap());
    for said in [&[][..], &picture[..3], &picture[..1_000]] {
        let mut connection = timeout(WITHIN, impostor.accept()).await.unwrap().unwrap().0;
        connection.write_all(said).await.unwrap();
        closed(&mut connection).await;
        let down = ConnectionState::Down {
            why: End::TimedOut(Timeout::Read),
        };
        until_link(&mut link, down).await;
    }
    assert_eq!(receiver.stats().snapshot().received, 0);
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_trickles_is_given_up_after_twelve_seconds() {
    let impostor = TcpListener::bind(LOOPBACK).await.unwrap();
    let address = impostor.local_addr().unwrap();
    let receiver = dial(address).await;
    let mut link = receiver.connection_state().unwrap();
    let (mut connection, _) = impostor.accept().await.unwrap();
    let connected = Instant::now();
    let trickle = async {
        let mut seconds = interval(Duration::from_secs(1));
        for byte in framed(&raw(1).to_message().unwrap()) {
            seconds.tick().await;
            connection.write_all(&[byte]).await.unwrap();
        }
    };
    let down = ConnectionState::Down {
        why: End::TimedOut(Timeout::Read),
    };
    let given_up = async { while link.next().await.unwrap() != down {} };
    tokio::select! {
        () = trickle => panic!("it was heard to its end"),
        () = given_up => {}
    }
    let took = connected.elapsed().as_secs();
    assert!((11..=13).contains(&took), "{took} s");
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_asked_for_again() {
    // Longer than a name can be, so that no server is asked.
    let nobody = Address::new(Scheme::Tcp, Host::Name("x".repeat(64)), 5006);
    let receiver = super::receiver(&nobody).await;
    let mut link = receiver.connection_state().unwrap();
    for _ in 0..2 {
        let failed =
            async { while !matches!(link.next().await, Some(ConnectionState::Down { .. })) {} };
        timeout(WITHIN, failed).await.unwrap();
    }
    timeout(WITHIN, receiver.shutdown()).await.unwrap();
}

#[tokio::test]
async fn a_viewer_that_talks_nonsense_is_dropped_alone() {
    let (camera, sender) = sender().await;
    let receiver = receiver(&sender).await;
    let mut pictures = receiver.pictures();
    camera.publish(raw(1));
    next(&mut pictures).await;
    let nonsense: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &u64::MAX.to_be_bytes(),
        &framed(&[0; 1_025]),
        &framed(&raw(1).to_message().unwrap()),
    ];
    for bytes in nonsense {
        let mut stranger = TcpStream::connect(socket_of(sender.address()))
            .await
            .unwrap();
        stranger.write_all(bytes).await.unwrap();
        closed(&mut stranger).await;
    }
    let mut leaving = TcpStream::connect(socket_of(sender.address()))
        .await
        .unwrap();
    leaving.shutdown().await.unwrap();
    closed(&mut leaving).await;
    camera.publish(raw(2));
    assert_eq!(next(&mut pictures).await.number(), 2);
    until(|| sender.stats().viewers == 1).await;
}

#[tokio::test]
async fn the_clock_is_told_to_whoever_asks() {
    let (_camera, sender) = sender().await;
    let mut asking = TcpStream::connect(socket_of(sender.address()))
        .await
        .unwrap();
    let request = [b"SKCT\x01\x01\0\0".as_slice(), &[9; 8], &[0; 16]].concat();
    let before = Timestamp::from(std::time::SystemTime::now());
    asking.write_all(&framed(&request)).await.unwrap();
    let reply = read_frame(&mut asking).await;
    assert_eq!(
        reply[..16],
        *b"SKCT\x01\x02\0\0\x09\x09\x09\x09\x09\x09\x09\x09"
    );
    let micros = |at| u64::from_be_bytes(*reply[at..].first_chunk().unwrap());
    let (received, sent) = (micros(16), micros(24));
    assert!(before.as_micros() <= received && received <= sent);
    assert_eq!(reply.len(), request.len());
}

#[tokio::test]
async fn what_waited_longer_than_a_second_is_late() {
    let (camera, sender) = sender().await;
    let receiver = receiver(&sender).await;
    let mut pictures = receiver.pictures();
    camera.publish(raw(1));
    next(&mut pictures).await;
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(30);
    camera.publish(raw(2).captured_at(long_ago.into()));
    until(|| sender.stats().sent == 2).await;
    camera.publish(raw(3));
    assert_eq!(next(&mut pictures).await.number(), 3);
    let stats = receiver.stats().snapshot();
    assert_eq!((stats.received, stats.late, stats.skipped), (2, 1, 0));
}

#[tokio::test]
async fn a_stopped_sender_shows_its_last_picture_and_frees_its_port() {
    let (camera, sender) = sender().await;
    let receiver = receiver(&sender).await;
    let mut pictures = receiver.pictures();
    camera.publish(raw(1));
    next(&mut pictures).await;
    camera.publish(large(2));
    let address = sender.address().clone();
    timeout(WITHIN, sender.shutdown()).await.unwrap();
    assert_eq!(next(&mut pictures).await.number(), 2);
    let again = Sender::open(&[address], SenderConfig::default(), latest::channel().1).await;
    timeout(WITHIN, again.unwrap().shutdown()).await.unwrap();

    timeout(WITHIN, receiver.shutdown()).await.unwrap();
    assert_eq!(timeout(WITHIN, pictures.next()).await.unwrap(), None);
}

#[tokio::test]
async fn a_sender_whose_source_has_ended_closes() {
    let (camera, sender) = sender().await;
    let receiver = receiver(&sender).await;
    camera.publish(raw(1));
    next(&mut receiver.pictures()).await;
    drop(camera);
    let refused = ConnectionState::Down { why: End::Refused };
    until_link(&mut receiver.connection_state().unwrap(), refused).await;
}

#[tokio::test]
async fn addresses_that_cannot_be_are_refused() {
    let (_camera, taken) = sender().await;
    for (address, kind) in [
        (taken.address().clone(), ErrorKind::AddrInUse),
        (address("tcp://192.0.2.1:0"), ErrorKind::AddrNotAvailable),
    ] {
        let named = socket_of(&address);
        let error = Sender::open(&[address], SenderConfig::default(), latest::channel().1).await;
        assert!(matches!(
            error.unwrap_err(),
            ChannelError::Listen(ListenError::Bind(BindError::Address { address, source }))
                if address == named && source.kind() == kind
        ));
    }
}

mod real_time {
    use sockkit::testing::real_time::check;

    use super::*;

    #[test]
    #[ignore = "real time"]
    fn restarts_of_either_side_are_seen_within_a_second() {
        check("stream over TCP: a restarted sender", || {
            within_a_second(restart_a_sender())
        });
        check("stream over TCP: a sender after its receiver", || {
            within_a_second(begin_after_the_receiver())
        });
        check("stream over TCP: a restarted receiver", || {
            within_a_second(restart_a_receiver())
        });
    }

    fn within_a_second(took: impl Future<Output = Duration>) -> Result<(), String> {
        let took = tokio::runtime::Runtime::new().unwrap().block_on(took);
        if took < Duration::from_secs(1) {
            return Ok(());
        }
        Err(format!("it took {took:?}"))
    }
}

async fn sender() -> (Publisher<Picture>, Sender) {
    super::sender(&[address(LOOPBACK_URL)], SenderConfig::default().raw()).await
}

async fn open(config: SenderConfig, pictures: Subscriber<Picture>) -> Sender {
    let opened = Sender::open(&[address(LOOPBACK_URL)], config, pictures).await;
    opened.unwrap()
}

async fn receiver(sender: &Sender) -> Receiver {
    super::receiver(sender.address()).await
}

async fn dial(sender: SocketAddr) -> Receiver {
    super::receiver(&at(sender)).await
}

fn at(socket: SocketAddr) -> Address {
    address(&format!("tcp://{socket}"))
}

/// A viewer with hardly any room of its own.
async fn frugal(sender: SocketAddr) -> TcpStream {
    let connector = Connector::default().options(SocketOptions::new().receive_buffer_bytes(4_096));
    connector.connect(sender).await.unwrap().into_inner()
}

async fn until_link(link: &mut Subscriber<ConnectionState>, state: ConnectionState) {
    let wait = async { while link.next().await.expect("the receiver runs") != state {} };
    timeout(WITHIN, wait).await.expect("it comes to be so");
}

/// Waits until the other side has closed, in whatever way.
async fn closed(connection: &mut TcpStream) {
    let mut rest = Vec::new();
    let _ = timeout(WITHIN, connection.read_to_end(&mut rest))
        .await
        .expect("it closes");
}

async fn read_frame(from: &mut TcpStream) -> Vec<u8> {
    let read = async {
        let length = from.read_u64().await.unwrap();
        let mut payload = vec![0; length.try_into().unwrap()];
        from.read_exact(&mut payload).await.unwrap();
        payload
    };
    timeout(WITHIN, read).await.unwrap()
}

async fn read_number(from: &mut TcpStream) -> u64 {
    number_of(read_frame(from).await)
}

fn number_of(message: Vec<u8>) -> u64 {
    Picture::from_message(message.into()).unwrap().number()
}

async fn closed_port() -> SocketAddr {
    let socket = TcpListener::bind(LOOPBACK).await.unwrap();
    socket.local_addr().unwrap()
}

fn framed(payload: &[u8]) -> Vec<u8> {
    [&(payload.len() as u64).to_be_bytes()[..], payload].concat()
}

const LOOPBACK: &str = "127.0.0.1:0";

const LOOPBACK_URL: &str = "tcp://127.0.0.1:0";
