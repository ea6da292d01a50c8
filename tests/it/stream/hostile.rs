//! Pictures from an honest camera while others send to the same port, forge
//! its datagrams, or crowd the receiver.

#![cfg(target_os = "linux")]

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use sockkit::{
    latest::Subscriber,
    link::channel::DatagramConfig,
    picture::{Picture, PixelFormat, Timestamp},
    shard::{HEADER_BYTES, MessageKind, Parity, SplitConfig, Splitter, StreamId},
    stream::{Receiver, ReceiverConfig},
};
use tokio::{
    net::UdpSocket,
    time::{Instant, interval, timeout},
};

use super::{WITHIN, address, socket_of};

#[tokio::test]
async fn a_forged_number_costs_no_picture() {
    for forged in [u64::MAX, u64::MAX - 1, 0, 1 << 40] {
        let receiver = receiver().await;
        let mut pictures = receiver.pictures();
        let camera = Camera::new(CAMERA, socket_of(receiver.address())).await;
        for number in 5_000..5_030 {
            camera.send(number).await;
            assert!(camera.is_shown(&mut pictures, number).await, "{forged}");
            camera.send_as(forged, now()).await;
        }
        let stats = receiver.stats().snapshot();
        assert_eq!((stats.received, stats.lost, stats.restarts), (30, 0, 0));
    }
}

#[tokio::test]
async fn a_forged_capture_time_costs_no_picture() {
    let receiver = receiver().await;
    let mut pictures = receiver.pictures();
    let camera = Camera::new(CAMERA, socket_of(receiver.address())).await;
    for number in 1..=30 {
        camera.send(number).await;
        assert!(camera.is_shown(&mut pictures, number).await, "{number}");
        let future = Timestamp::from_micros(1 << 62);
        camera.send_as(number + 200, future).await;
    }
    assert_eq!(receiver.stats().snapshot().lost, 0);
}

#[tokio::test]
async fn a_forged_gap_costs_a_picture_or_two() {
    let receiver = receiver().await;
    let mut pictures = receiver.pictures();
    let camera = Camera::new(CAMERA, socket_of(receiver.address())).await;
    camera.send(1).await;
    assert!(camera.is_shown(&mut pictures, 1).await);
    camera.send_as(900, now()).await;
    camera.send(2).await;
    camera.send(3).await;
    for number in 4..30 {
        camera.send(number).await;
        assert!(camera.is_shown(&mut pictures, number).await, "{number}");
    }
}

/// In real time, which a busy machine may not give: hence the tries.
#[tokio::test]
async fn a_stranger_does_not_take_over_while_the_camera_is_away() {
    for _ in 0..5 {
        let receiver = receiver().await;
        let camera = Camera::new(CAMERA, socket_of(receiver.address())).await;
        let stranger = Camera::new(STRANGER, socket_of(receiver.address())).await;
        camera.stream_for(Duration::from_secs(2), 0).await;
        let away = Instant::now();
        stranger.stream_for(Duration::from_millis(800), 0).await;
        camera.stream_for(Duration::from_millis(100), 1_000).await;
        if away.elapsed() > Duration::from_millis(1_800) {
            continue;
        }
        let mut pictures = receiver.pictures();
        let is_back = |picture: &Picture| picture.number() >= 1_000;
        while !is_back(&pictures.next().await.unwrap()) {}
        let stats = receiver.stats().snapshot();
        assert_eq!(stats.sender, Some(camera.address), "{stats:?}");
        assert_eq!(stats.restarts, 0, "{stats:?}");
        return;
    }
    println!("this machine is too busy to tell");
}

#[tokio::test]
async fn a_stranger_that_began_first_is_kept_out_by_the_host_asked_for() {
    let config = ReceiverConfig::default()
        .datagrams(DatagramConfig::default().only_from(IpAddr::from(CAMERA)));
    let receiver = Receiver::open(&address("udp://127.0.0.1:0"), config)
        .await
        .unwrap();
    let mut pictures = receiver.pictures();
    let stranger = Camera::new(STRANGER, socket_of(receiver.address())).await;
    let camera = Camera::new(CAMERA, socket_of(receiver.address())).await;
    for number in 1..=10 {
        stranger.send(number).await;
        camera.send(number).await;
        assert!(camera.is_shown(&mut pictures, number).await, "{number}");
    }
    let stats = receiver.stats().snapshot();
    assert_eq!(stats.sender, Some(camera.address));
    // As many datagrams as ten pictures have.
    assert_eq!(stats.filtered, 10 * SHARDS);
}

#[tokio::test]
async fn a_receiver_of_a_group_takes_nothing_sent_to_it_alone() {
    let group = "239.255.77.9";
    let loopback = DatagramConfig::default().interface("127.0.0.1".parse().unwrap());
    let config = ReceiverConfig::default().datagrams(loopback);
    let at = address(&format!("udp://{group}:0"));
    let receiver = Receiver::open(&at, config).await.unwrap();
    let mut pictures = receiver.pictures();
    let port = receiver.address().port();
    let stranger = Camera::new(STRANGER, (CAMERA, port).into()).await;
    let camera = Camera::new(CAMERA, SocketAddr::new(group.parse().unwrap(), port)).await;
    for number in 1..=10 {
        stranger.send(number).await;
        camera.send(number).await;
        assert!(camera.is_shown(&mut pictures, number).await, "{number}");
    }
    let stats = receiver.stats().snapshot();
    assert_eq!((stats.received, stats.filtered), (10, 10 * SHARDS));
}

/// Between any two datagrams of the camera one host begins more messages than
/// the receiver has places for, each from another port.
#[tokio::test]
async fn a_crowd_of_ports_pushes_out_no_picture() {
    let receiver = receiver().await;
    let mut pictures = receiver.pictures();
    let camera = Camera::new(CAMERA, socket_of(receiver.address())).await;
    let mut crowd = Vec::new();
    for stream in 0..130 {
        let mut member = Camera::new(STRANGER, socket_of(receiver.address())).await;
        member.stream = StreamId(stream);
        crowd.push(member);
    }
    let mut crowd_number = 0;
    for number in 1..=30 {
        for shard in camera.datagrams(number, now()) {
            for member in crowd.iter().cycle().skip(crowd_number % 130).take(70) {
                crowd_number += 1;
                let mut first = member.datagrams(crowd_number as u64, now()).swap_remove(0);
                // A message that never completes.
                first.truncate(HEADER_BYTES + 2);
                first[20..24].copy_from_slice(&4_u32.to_be_bytes());
                first[28..34].copy_from_slice(&[0, 0, 0, 2, 0, 0]);
                member.put(&first).await;
            }
            camera.put(&shard).await;
        }
        assert!(camera.is_shown(&mut pictures, number).await, "{number}");
    }
    assert_eq!(receiver.stats().snapshot().lost, 0);
}

async fn receiver() -> Receiver {
    super::receiver(&address("udp://127.0.0.1:0")).await
}

fn now() -> Timestamp {
    std::time::SystemTime::now().into()
}

/// A sender made of its parts, which can also send what no sender does.
struct Camera {
    socket: UdpSocket,
    address: SocketAddr,
    to: SocketAddr,
    stream: StreamId,
}

impl Camera {
    async fn new(ip: [u8; 4], to: SocketAddr) -> Self {
        let socket = UdpSocket::bind(SocketAddr::from((ip, 0))).await.unwrap();
        Self {
            address: socket.local_addr().unwrap(),
            socket,
            to,
            stream: StreamId(fastrand::u64(..)),
        }
    }

    async fn send(&self, number: u64) {
        self.send_as(number, now()).await;
    }

    /// A picture whose message and picture number is this one.
    async fn send_as(&self, number: u64, captured: Timestamp) {
        for datagram in self.datagrams(number, captured) {
            self.put(&datagram).await;
        }
    }

    async fn stream_for(&self, time: Duration, first: u64) {
        let end = Instant::now() + time;
        let mut ticks = interval(Duration::from_millis(20));
        let mut number = first;
        while Instant::now() < end {
            ticks.tick().await;
            self.send(number).await;
            number += 1;
        }
    }

    fn datagrams(&self, number: u64, captured: Timestamp) -> Vec<Vec<u8>> {
        let pixels = vec![100; 64 * 48];
        let picture = Picture::new(PixelFormat::Gray, 64, 48, pixels).unwrap();
        let message = picture
            .captured_at(captured)
            .numbered(number)
            .to_message()
            .unwrap();
        let mut splitter = Splitter::new(SplitConfig::default(), self.stream);
        let shards = splitter
            .split(MessageKind(1), &message, Parity::NONE)
            .unwrap();
        let mut datagrams: Vec<_> = shards.datagrams().map(<[u8]>::to_vec).collect();
        for datagram in &mut datagrams {
            datagram[12..20].copy_from_slice(&number.to_be_bytes());
        }
        datagrams
    }

    async fn put(&self, datagram: &[u8]) {
        self.socket.send_to(datagram, self.to).await.unwrap();
    }

    /// Whether the picture of this number is shown, within a time that is long
    /// enough for any machine.
    async fn is_shown(&self, pictures: &mut Subscriber<Picture>, number: u64) -> bool {
        let shown = async {
            while let Some(picture) = pictures.next().await {
                if picture.number() == number {
                    return true;
                }
            }
            false
        };
        timeout(WITHIN, shown).await.unwrap_or(false)
    }
}

const CAMERA: [u8; 4] = [127, 0, 0, 1];
/// Another host, as far as a receiver can see.
const STRANGER: [u8; 4] = [127, 0, 0, 2];

/// Datagrams of one picture.
const SHARDS: u64 = 3;
