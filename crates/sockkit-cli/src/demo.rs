//! `sockkit demo`: a source, datagrams over UDP, and a picture in the browser.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::Context as _;
use indicatif::ProgressBar;
use sockkit::{
    latest,
    picture::{PixelFormat, VideoFrame, jpeg},
    sink::web::{Viewer, ViewerConfig, ViewerStream},
    source::{Source, SourceConfig, SourceSpec},
    stream::{Receiver, ReceiverConfig, Sender, SenderConfig, SenderStats, Stats},
};
use tokio::time::{Instant, sleep_until, timeout};

/// What to show, where, and for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// End after so many seconds; without it, Ctrl-C ends
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MAX_SECONDS))]
    seconds: Option<u64>,
    /// pattern, clip (the bundled one), or a file
    #[arg(long, default_value = "clip")]
    source: SourceSpec,
    /// Where the browser looks
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8088")]
    web: SocketAddr,
}

/// Runs the demo and prints what it saw.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let mut source = Source::open(&args.source, SourceConfig::default())
        .await
        .with_context(|| format!("cannot open the source {}", args.source))?;
    let receiver = Receiver::bind(ReceiverConfig::at((Ipv4Addr::LOCALHOST, 0).into()))?;
    let (camera, pictures) = latest::channel();
    let sender = Sender::bind(SenderConfig::to(receiver.local_addr()), pictures)?;
    let (mut received, stats) = (receiver.pictures(), receiver.stats());
    let shown = ViewerStream::new("demo", receiver.pictures()).stats(stats.clone());
    let viewer = Viewer::bind(ViewerConfig::default().address(args.web), [shown])
        .await
        .context("cannot serve the browser; choose another address with --web")?;
    println!("source   {}", args.source);
    println!("watch    http://{}/", viewer.address());

    let progress = ProgressBar::new_spinner();
    let end = Instant::now() + Duration::from_secs(args.seconds.unwrap_or(MAX_SECONDS));
    let ctrl_c = tokio::signal::ctrl_c();
    tokio::pin!(ctrl_c);
    loop {
        tokio::select! {
            frame = source.next() => {
                camera.publish(compressed(frame?)?);
                progress.set_message(one_line(&stats.snapshot()));
                progress.tick();
            }
            () = sleep_until(end) => break,
            pressed = &mut ctrl_c => break pressed?,
        }
    }
    // What is on its way still counts.
    while stats.snapshot().received < sender.stats().sent
        && timeout(LAST_PICTURE, received.next()).await.is_ok()
    {}
    progress.finish_and_clear();
    viewer.shutdown().await;
    print_summary(&sender.stats(), &stats.snapshot());
    Ok(())
}

/// The picture as JPEG; one that is so already is passed through.
fn compressed(frame: VideoFrame) -> anyhow::Result<VideoFrame> {
    if frame.format() == PixelFormat::Jpeg {
        return Ok(frame);
    }
    Ok(jpeg::encode(&frame, JPEG_QUALITY)?)
}

fn one_line(stats: &Stats) -> String {
    format!(
        "{} pictures, {:.1}/s, {} lost, {} old",
        stats.received,
        stats.frames_per_second,
        stats.lost,
        age(stats.age_p50)
    )
}

fn print_summary(sender: &SenderStats, stats: &Stats) {
    println!("sent     {} pictures", sender.sent);
    println!(
        "received {}, {} lost",
        stats.received,
        sender.sent.saturating_sub(stats.received)
    );
    println!(
        "age      {} median, {} 99th percentile",
        age(stats.age_p50),
        age(stats.age_p99)
    );
}

fn age(age: Option<Duration>) -> String {
    age.map_or_else(
        || "unknown".to_owned(),
        |age| format!("{:.1} ms", age.as_secs_f64() * 1_000.0),
    )
}

/// A day: without a limit of its own the demo still ends.
const MAX_SECONDS: u64 = 24 * 3_600;

/// How long to wait for a picture that was sent last.
const LAST_PICTURE: Duration = Duration::from_millis(500);

const JPEG_QUALITY: u8 = 80;
