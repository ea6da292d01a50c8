//! Streams of pictures over real sockets.

mod channels;
mod datagrams;
mod group;
mod hostile;
mod link;
mod sealed;
mod subscribed;
mod tcp;

use std::{net::SocketAddr, time::Duration};

use sockkit::{
    latest::{self, Publisher, Subscriber},
    link::Address,
    picture::{Picture, PixelFormat, jpeg},
    stream::{Receiver, ReceiverConfig, Sender, SenderConfig, SenderStats},
};
use tokio::time::{Instant, interval, sleep, timeout};

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

/// The socket address of one that has no name.
fn socket_of(address: &Address) -> SocketAddr {
    let (_, place) = address.to_string().split_once("://").map(owned).unwrap();
    place.parse().unwrap()
}

fn owned((scheme, place): (&str, &str)) -> (String, String) {
    (scheme.to_owned(), place.to_owned())
}

async fn receiver(at: &Address) -> Receiver {
    Receiver::open(at, ReceiverConfig::default()).await.unwrap()
}

/// A sender of raw pictures, unless the config is asked for others.
async fn sender(to: &[Address], config: SenderConfig) -> (Publisher<Picture>, Sender) {
    let (camera, pictures) = latest::channel();
    (camera, Sender::open(to, config, pictures).await.unwrap())
}

async fn next(pictures: &mut Subscriber<Picture>) -> Picture {
    timeout(WITHIN, pictures.next())
        .await
        .expect("a picture in time")
        .expect("the receiver runs")
}

/// A picture may arrive before its sender has counted it, not once it has finished.
async fn last_figures(camera: Publisher<Picture>, sender: &Sender) -> SenderStats {
    drop(camera);
    timeout(WITHIN, sender.finished()).await.unwrap();
    sender.stats()
}

/// Waits for what another task is about to do.
async fn until(mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + WITHIN;
    while !is_so() {
        assert!(Instant::now() < deadline, "it never is so");
        sleep(Duration::from_millis(1)).await;
    }
}

async fn publish_forever(camera: &Publisher<Picture>, picture: impl Fn(u64) -> Picture) {
    let mut ticks = interval(Duration::from_millis(20));
    for number in 0.. {
        ticks.tick().await;
        camera.publish(picture(number));
    }
}

/// One picture of each pixel format, and a JPEG.
fn every_encoding() -> impl Iterator<Item = Picture> {
    let formats = PixelFormat::ALL.into_iter().zip(1..);
    let raw = formats.map(|(format, number)| raw(number).convert(format).unwrap());
    raw.chain([jpeg::encode(&self::raw(8), jpeg::DEFAULT_QUALITY).unwrap()])
}

fn raw(number: u64) -> Picture {
    gray(64, 48, number)
}

/// More than a kernel takes for a viewer that does not read.
fn large(number: u64) -> Picture {
    gray(1_920, 1_080, number)
}

fn gray(width: u32, height: u32, number: u64) -> Picture {
    let pixels = vec![100; (width * height) as usize];
    Picture::new(PixelFormat::Gray, width, height, pixels)
        .unwrap()
        .captured_at(std::time::SystemTime::now().into())
        .numbered(number)
}

const WITHIN: Duration = Duration::from_secs(30);
