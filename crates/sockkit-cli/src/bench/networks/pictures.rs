//! How many pictures are shown, and how old they are.

use std::{
    fmt,
    net::SocketAddr,
    sync::mpsc::channel,
    time::{Duration, SystemTime},
};

use anyhow::{Context, anyhow};
use sockkit::{
    latest,
    link::{Address, Host, Scheme},
    picture::{Picture, PixelFormat, Timestamp},
    stream::{Receiver, ReceiverConfig, Sender, SenderConfig},
};
use tokio::time::{Instant, interval, timeout_at};

use super::Network;

/// What became of the pictures that were sent after the first second, in which a sender
/// learns what the link loses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    /// Of those sent.
    pub(super) share: f64,
    age_p50: Duration,
    age_p99: Duration,
    /// UDP payload for each byte of a picture, less one.
    overhead: f64,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [age_p50, age_p99] = [self.age_p50, self.age_p99].map(|age| age.as_secs_f64() * 1e3);
        write!(
            f,
            "{:.2} % | {age_p50:.1}, {age_p99:.1} ms | {:.0} %",
            100.0 * self.share,
            100.0 * self.overhead
        )
    }
}

impl Network {
    /// Sends pictures for `time`, and as long again as the sender learns.
    pub(super) fn pictures(&self, time: Duration) -> anyhow::Result<Shown> {
        let socket = SocketAddr::from((self.lab.host(1).port(0).ipv4(), 0));
        let at = Address::new(Scheme::Udp, Host::from(socket), 0);
        let (ready, is_ready) = channel();
        let until = std::time::Instant::now() + time + LEARN_WITHIN + COME_WITHIN;
        let receiver = self.lab.host(1).spawn(async move || -> anyhow::Result<_> {
            let receiver = Receiver::open(&at, ReceiverConfig::default()).await?;
            ready.send(receiver.address().clone())?;
            Ok(watch(&receiver, until.into()).await)
        });
        let to = is_ready.recv().context("the receiver did not start")?;
        let count = time.as_secs() * RATE_HZ;
        let sent = self
            .lab
            .host(0)
            .block_on(async || send(to, LEARNING + count).await);
        let received = receiver
            .join()
            .map_err(|_| anyhow!("the receiver panicked"))?;
        let (bytes, mut ages) = (sent?, received?);
        ages.sort_unstable();
        let age = |percent: usize| ages.get(ages.len() * percent / 100).copied();
        Ok(Shown {
            share: ages.len() as f64 / count as f64,
            age_p50: age(50).unwrap_or_default(),
            age_p99: age(99).unwrap_or_default(),
            overhead: bytes as f64 / (count as f64 * PICTURE_BYTES as f64) - 1.0,
        })
    }
}

/// The ages of those that count. Both hosts have one clock, this machine's.
async fn watch(receiver: &Receiver, until: Instant) -> Vec<Duration> {
    let (mut pictures, mut ages) = (receiver.pictures(), Vec::new());
    while let Ok(Some(picture)) = timeout_at(until, pictures.next()).await {
        let now = Timestamp::from(SystemTime::now());
        if picture.number() >= LEARNING {
            ages.push(now.saturating_since(picture.captured()));
        }
    }
    ages
}

/// Sends so many pictures; how many bytes those took that count.
async fn send(to: Address, count: u64) -> anyhow::Result<u64> {
    let (camera, pictures) = latest::channel();
    let config = SenderConfig::default().raw().parity_by_reports();
    let sender = Sender::open(&[to], config, pictures).await?;
    let picture = Picture::new(PixelFormat::Gray, 300, 200, vec![7; PICTURE_BYTES])?;
    let mut ticks = interval(Duration::from_nanos(1_000_000_000 / RATE_HZ));
    let mut learning = 0;
    for number in 0..count {
        ticks.tick().await;
        if number == LEARNING {
            learning = sender.stats().bytes;
        }
        let now = SystemTime::now().into();
        camera.publish(picture.clone().numbered(number).captured_at(now));
    }
    drop(camera);
    sender.finished().await;
    Ok(sender.stats().bytes - learning)
}

const PICTURE_BYTES: usize = 60_000;
const RATE_HZ: u64 = 30;

/// Three reports.
const LEARNING: u64 = 90;
const LEARN_WITHIN: Duration = Duration::from_secs(3);

/// How long the last one may be on its way.
const COME_WITHIN: Duration = Duration::from_secs(1);
