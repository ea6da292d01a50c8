//! `sockkit cam`: a source, sent as datagrams and shown over TCP.

use std::time::Duration;

use anyhow::Context;
use indicatif::ProgressBar;
use sockkit::{
    encode,
    interfaces::InterfaceSelector,
    latest,
    picture::jpeg,
    shard::Parity,
    source::{Source, SourceConfig, SourceSpec, camera},
};
use tokio::{
    signal::ctrl_c,
    time::{Instant, sleep_until},
};

use crate::{
    endpoint::{Endpoint, Transport},
    outgoing::{Outgoing, Ways},
    say::say,
};

/// Send a camera, a pattern or a clip to machines, groups and all who dial
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// camera (or camera:1 …), pattern, clip (the bundled one), or a file
    #[arg(long, default_value = "camera")]
    source: SourceSpec,
    /// udp://HOST:PORT of a viewer or a group, or tcp://ADDR:PORT of this
    /// machine to listen at for any number of viewers; repeat it for several
    #[arg(long, value_name = "URL", required_unless_present = "list")]
    to: Vec<Endpoint>,
    /// Show this machine's cameras and what they offer, and end
    #[arg(long, exclusive = true)]
    list: bool,
    /// Parity for a link that loses this many per cent of its packets: of
    /// 10,000 pictures one is lost
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(1..=50))]
    loss: Option<u8>,
    /// Parity in per cent of the data, the same for small pictures and large
    #[arg(long, value_name = "PERCENT", conflicts_with = "loss", value_parser = clap::value_parser!(u8).range(0..=100))]
    parity: Option<u8>,
    /// How many viewers of one host may dial a tcp:// at the same time
    /// [default: a quarter of all 128]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=128))]
    viewers_per_host: Option<u8>,
    /// The interface for groups, by name, number or address
    #[arg(long)]
    interface: Option<InterfaceSelector>,
    /// End after so many seconds; without it, Ctrl-C ends
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MAX_SECONDS))]
    seconds: Option<u64>,
}

impl Args {
    fn parity(&self) -> Option<Parity> {
        let for_loss = |percent| Parity::for_loss(f64::from(percent) / 100.0, PICTURES_LOST);
        let by_loss = self.loss.map(for_loss);
        by_loss.or_else(|| self.parity.map(Parity::percent))
    }
}

async fn list() -> anyhow::Result<()> {
    let cameras = camera::list().await?;
    if cameras.is_empty() {
        say!("no camera; --source pattern, clip or a file will do");
    }
    for camera in cameras {
        let path = camera
            .path
            .map_or_else(String::new, |path| format!(", {}", path.display()));
        say!("camera:{}  {}{path}", camera.index, camera.name);
        if let Some(problem) = camera.problem {
            say!("  {problem}");
        }
        for format in camera.formats {
            say!("  {format}");
        }
    }
    Ok(())
}

/// Sends until the time is up or Ctrl-C is pressed.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    if args.list {
        return list().await;
    }
    let mut source = Source::open(&args.source, SourceConfig::default())
        .await
        .with_context(|| format!("cannot open the source {}", args.source))?;
    let (camera, pictures) = latest::channel();
    // Once for all ways, and not where the sockets are served.
    let pictures = encode::as_jpeg(pictures, jpeg::DEFAULT_QUALITY);
    let ways = Ways {
        parity: args.parity(),
        interface: args.interface.as_ref(),
        viewers_per_host: args.viewers_per_host,
    };
    let outgoing = Outgoing::bind(&args.to, ways, &pictures).await?;
    let datagrams = |to: &&Endpoint| to.transport == Transport::Udp;
    for to in args.to.iter().filter(datagrams) {
        say!("sending {} to {to}", args.source);
    }

    let progress = ProgressBar::new_spinner();
    let end = Instant::now() + Duration::from_secs(args.seconds.unwrap_or(MAX_SECONDS));
    let pressed = ctrl_c();
    tokio::pin!(pressed);
    loop {
        tokio::select! {
            frame = source.next() => {
                camera.publish(frame?);
                progress.set_message(one_line(&outgoing));
                progress.tick();
            }
            () = sleep_until(end) => break,
            pressed = &mut pressed => break pressed.context("cannot wait for Ctrl-C")?,
        }
    }
    progress.finish_and_clear();
    drop(camera);
    outgoing.finished().await;
    if source.missed() > 0 {
        say!("missed  {} pictures of the source", source.missed());
    }
    for sent in outgoing.sent() {
        say!("sent    {sent}");
    }
    for (from, report) in outgoing.reports() {
        say!(
            "viewer  {from}: {} received, {} lost, {:.1} ms old (99th percentile)",
            report.received,
            report.lost,
            report.age_p99.as_secs_f64() * 1_000.0
        );
    }
    outgoing.shutdown().await;
    Ok(())
}

fn one_line(outgoing: &Outgoing) -> String {
    let viewers = outgoing.reports().len();
    format!("{}, {viewers} report", outgoing.sent().join(", "))
}

/// What `--loss` lets be lost.
const PICTURES_LOST: f64 = 1e-4;

/// A day: without a limit of its own it still ends.
const MAX_SECONDS: u64 = 24 * 3_600;
