//! `sockkit demo`: the main use case on one machine, with every step real.

mod delivery;
mod live;
mod recording;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Context, bail};
use indicatif::{HumanBytes, HumanDuration};
use sockkit::{
    source::{Source, SourceConfig, SourceError, SourceSpec},
    stream::Stats,
};

use self::{
    delivery::{Delivery, deliver},
    live::{Figures, Live},
    recording::{Recorded, Recording},
};

use crate::say::{note, say};

/// Show the main use case on one machine: live video, recording, file transfer
///
/// A source is compressed as JPEG, sent as UDP datagrams, shown in the browser
/// and recorded as MP4; at the end the recording is sent over TCP and verified.
/// Everything stays on this machine.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Exit after this many seconds; without it, exit on Ctrl-C
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MAX_SECONDS))]
    seconds: Option<u64>,
    /// camera, pattern, clip (the bundled one) or a file [default: the camera if there is one, else clip]
    #[arg(long)]
    source: Option<SourceSpec>,
    /// Address of the browser viewer
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8088")]
    web: SocketAddr,
    /// Path of the recording, which must not exist yet [default:
    /// sockkit-demo.mp4, or the next free number]
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

/// Runs the demo and prints its results.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let (spec, mut source) = open(args.source).await?;
    let live = Live::start(args.web).await?;
    let recording = Recording::start(args.record, live.pictures()).await?;
    say!("source    {spec}");
    say!("watch     http://{}/", live.web());
    say!("recording {}", recording.path().display());

    let limit = Duration::from_secs(args.seconds.unwrap_or(MAX_SECONDS));
    let ran = live.run(&mut source, limit).await;
    // In any case, the file is closed and the results are collected.
    let figures = live.end().await;
    let recorded = recording.finish().await;
    print_live(&figures);
    ran?;
    let recorded = recorded?;
    print_recorded(&recorded);
    let delivery = tokio::select! {
        delivery = deliver(&recorded.path) => delivery?,
        pressed = crate::interrupt::pressed() => {
            pressed?;
            bail!("interrupted while sending the recording; the complete file is {}", recorded.path.display());
        }
    };
    print_delivered(&delivery)
}

/// Opens the requested source; otherwise a camera, or the bundled clip.
async fn open(wished: Option<SourceSpec>) -> anyhow::Result<(SourceSpec, Source)> {
    let first = wished.clone().unwrap_or(SourceSpec::Camera { index: 0 });
    match Source::open(&first, SourceConfig::default()).await {
        Ok(source) => Ok((first, source)),
        Err(error) if wished.is_none() => {
            say_why_no_camera(&error);
            let source = Source::open(&SourceSpec::Clip, SourceConfig::default()).await?;
            Ok((SourceSpec::Clip, source))
        }
        Err(error) => Err(error).with_context(|| format!("cannot open the source {first}")),
    }
}

fn say_why_no_camera(error: &SourceError) {
    note!("note: {error}; using the bundled clip instead");
}

fn print_live(Figures { sender, stats }: &Figures) {
    say!("sent      {} pictures", sender.sent);
    say!(
        "received  {}, {} lost",
        stats.received,
        sender.sent.saturating_sub(stats.received)
    );
    say!(
        "age       {} median, {} 99th percentile",
        age(stats.age_p50),
        age(stats.age_p99)
    );
}

fn print_recorded(Recorded { path, summary }: &Recorded) {
    say!(
        "recorded  {} pictures, {:.1} s, {} in {}",
        summary.frames,
        summary.duration.as_secs_f64(),
        HumanBytes(summary.bytes),
        path.display(),
    );
}

fn print_delivered(delivery: &Delivery) -> anyhow::Result<()> {
    let rate = delivery.bytes as f64 / delivery.elapsed.as_secs_f64();
    say!(
        "delivered {} over TCP in {:.1} ms, {:.0} MB/s",
        HumanBytes(delivery.bytes),
        delivery.elapsed.as_secs_f64() * 1_000.0,
        rate / 1e6,
    );
    if delivery.sent != delivery.received {
        bail!(
            "the digests differ: sent {}, received {}",
            delivery.sent,
            delivery.received
        );
    }
    say!("digest    equal, {}", delivery.received);
    Ok(())
}

fn one_line(stats: &Stats, elapsed: Duration) -> String {
    format!(
        "{}: {} pictures, {:.1}/s, {} lost, {} old",
        HumanDuration(elapsed),
        stats.received,
        stats.frames_per_second,
        stats.lost,
        age(stats.age_p50)
    )
}

fn age(age: Option<Duration>) -> String {
    age.map_or_else(
        || "unknown".to_owned(),
        |age| format!("{:.1} ms", age.as_secs_f64() * 1_000.0),
    )
}

/// A day: the demo ends even without a limit.
const MAX_SECONDS: u64 = 24 * 3_600;
