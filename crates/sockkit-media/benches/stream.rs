//! Streams of pictures over loopback, each end a process of its own.
//!
//! ```text
//! cargo bench -p sockkit-media --bench stream              # both
//! cargo bench -p sockkit-media --bench stream -- age       # JPEG, captured to ready to show
//! cargo bench -p sockkit-media --bench stream -- cpu       # JPEG, passed through
//! ```
//!
//! Prints, does not judge: other load on the machine moves every figure here.

#![allow(clippy::print_stdout, reason = "a benchmark reports")]
#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

use std::{
    env,
    process::Command,
    time::{Duration, Instant, SystemTime},
};

use sockkit_media::{
    latest,
    picture::{Picture, Timestamp, jpeg},
    source::{Source, SourceConfig, SourceSpec},
    stream::{Receiver, ReceiverConfig, Sender, SenderConfig},
};
use tokio::{
    runtime::Builder,
    time::{MissedTickBehavior, interval, timeout},
};

mod ends;
use ends::{Piped, cpu_seconds, number, run, runtime, tell_port};

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .filter(|word| *word != "--bench")
        .collect();
    match words.as_slice() {
        ["jpeg-receive"] => runtime().block_on(jpeg_receive()),
        ["jpeg-send", port, size, rate, count] => {
            runtime().block_on(jpeg_send(number(port), size, number(rate), number(count)));
        }
        ["age"] => show_age(),
        ["cpu"] => show_cpu(),
        _ => {
            show_age();
            show_cpu();
        }
    }
}

/// From the capture of a JPEG of 1280x720 to its pixels, beside decoding alone.
fn show_age() {
    let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
    let (mut ages, mut decodes) = runtime.block_on(async {
        let pictures = jpegs(1_280, 720).await;
        let receiver = receiver().await;
        let mut shown = receiver.pictures();
        let (camera, newest) = latest::channel();
        let to = [receiver.address().clone()];
        let sender = Sender::open(&to, SenderConfig::default(), newest);
        let _sender = sender.await.unwrap();
        let mut ticks = interval(Duration::from_secs(1) / 30);
        let (mut ages, mut decodes) = (Vec::new(), Vec::new());
        for (number, picture) in (0..AGE_PICTURES).zip(pictures.iter().cycle()) {
            ticks.tick().await;
            let captured = Timestamp::from(SystemTime::now());
            camera.publish(picture.clone().numbered(number).captured_at(captured));
            let arrived = shown.next().await.unwrap();
            std::hint::black_box(jpeg::decode(&arrived).unwrap());
            ages.push(Timestamp::from(SystemTime::now()).saturating_since(captured));
            let alone = Instant::now();
            std::hint::black_box(jpeg::decode(picture).unwrap());
            decodes.push(alone.elapsed());
        }
        (ages, decodes)
    });
    ages.sort_unstable();
    decodes.sort_unstable();
    let at = |sorted: &[Duration], percent: usize| {
        sorted[(sorted.len() - 1) * percent / 100].as_secs_f64() * 1e3
    };
    println!("\nJPEG 1280x720 at 30/s, captured to pixels ready to show");
    println!(
        "p50 {:.2} ms, p99 {:.2} ms; decoding alone p50 {:.2} ms; {:.2} x",
        at(&ages, 50),
        at(&ages, 99),
        at(&decodes, 50),
        at(&ages, 50) / at(&decodes, 50)
    );
}

/// What passing JPEGs through costs.
fn show_cpu() {
    println!("\nJPEG passed through, 60/s, CPU a picture");
    let myself = env::current_exe().unwrap();
    for size in ["640x480", "1280x720"] {
        let receive = Command::new(&myself).arg("jpeg-receive").piped();
        let send = |port: &str| {
            let words = ["jpeg-send", port, size, "60", "600"];
            Command::new(&myself).args(words).piped()
        };
        let (sent, received) = run(receive, send).unwrap();
        println!(
            "{size:24} {} of {} arrived, {:.0} KB each; sender {:.0} µs, receiver {:.0} µs",
            received[0],
            sent[0],
            sent[2] / sent[0] / 1e3,
            sent[1] * 1e6 / sent[0],
            received[1] * 1e6 / sent[0],
        );
    }
}

async fn jpeg_receive() {
    let receiver = receiver().await;
    tell_port(receiver.address().port());
    let mut pictures = receiver.pictures();
    pictures.next().await.unwrap();
    let since = cpu_seconds();
    while let Ok(Some(next)) = timeout(Duration::from_secs(1), pictures.next()).await {
        std::hint::black_box(next);
    }
    let received = receiver.stats().snapshot().received;
    println!("{received} {}", cpu_seconds() - since);
}

async fn jpeg_send(port: u64, size: &str, rate: u64, count: u64) {
    let (width, height) = size.split_once('x').unwrap();
    let pictures = jpegs(width.parse().unwrap(), height.parse().unwrap()).await;
    let to = [format!("udp://127.0.0.1:{port}").parse().unwrap()];
    let (camera, newest) = latest::channel();
    let sender = Sender::open(&to, SenderConfig::default(), newest);
    let sender = sender.await.unwrap();
    let mut ticks = interval(Duration::from_secs(1) / u32::try_from(rate).unwrap());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let since = cpu_seconds();
    for (number, picture) in (0..count).zip(pictures.iter().cycle()) {
        ticks.tick().await;
        let now = SystemTime::now().into();
        camera.publish(picture.clone().numbered(number).captured_at(now));
    }
    drop(camera);
    sender.finished().await;
    let stats = sender.stats();
    println!("{} {} {}", stats.sent, cpu_seconds() - since, stats.bytes);
}

async fn receiver() -> Receiver {
    let at = "udp://127.0.0.1:0".parse().unwrap();
    let opened = Receiver::open(&at, ReceiverConfig::default()).await;
    opened.unwrap()
}

/// The bundled clip's first second, in that size.
async fn jpegs(width_px: u32, height_px: u32) -> Vec<Picture> {
    let config = SourceConfig::default().rate_hz(1_000.0);
    let mut clip = Source::open(&SourceSpec::Clip, config).await.unwrap();
    let mut pictures = Vec::new();
    while pictures.len() < 25 {
        let picture = clip.next().await.unwrap();
        let resized = picture.resize(width_px, height_px).unwrap();
        pictures.push(jpeg::encode(&resized, jpeg::DEFAULT_QUALITY).unwrap());
    }
    pictures
}

const AGE_PICTURES: u64 = 300;
