//! What `send` and `receive` share: connecting, the bar, the summary.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, bail};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use sockkit::file::{
    Entry, EntryKind, FileOutcome, Manifest, OnProgress, Progress, Summary, escape_name,
};
use tokio::{
    net::{TcpListener, TcpStream, lookup_host},
    time::timeout,
};

use crate::say::say;

/// Where files go by default; loopback unless the user says otherwise.
pub(crate) const DEFAULT_ADDRESS: &str = "127.0.0.1:5010";

/// Connects to `address`, a name or a number with a port.
pub(crate) async fn dial(address: &str) -> anyhow::Result<TcpStream> {
    let mut failure = None;
    let found = lookup_host(address)
        .await
        .with_context(|| format!("{address} is not HOST:PORT, or is not known"))?;
    for candidate in found {
        match timeout(CONNECT_TIMEOUT, TcpStream::connect(candidate)).await {
            Ok(Ok(stream)) => return ready(stream),
            Ok(Err(error)) => failure = Some(anyhow::Error::new(error)),
            Err(_elapsed) => {
                failure = Some(anyhow::anyhow!(
                    "no answer in {} s",
                    CONNECT_TIMEOUT.as_secs()
                ));
            }
        }
    }
    let failure = failure.unwrap_or_else(|| anyhow::anyhow!("the name has no address"));
    Err(failure.context(format!("cannot connect to {address}")))
}

/// Listens at `address` and says where.
pub(crate) async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))?;
    say!("listening on {}", listener.local_addr()?);
    Ok(listener)
}

/// Waits for one peer.
pub(crate) async fn accept(listener: &TcpListener) -> anyhow::Result<(TcpStream, SocketAddr)> {
    let (stream, peer) = listener.accept().await.context("cannot accept")?;
    Ok((ready(stream)?, peer))
}

/// Said once on each side, before anything moves.
pub(crate) fn say_in_the_clear() {
    eprintln!("note: traffic is in the clear; whoever shares the network can read it");
}

/// A bar on standard error, fed by a transfer's progress.
pub(crate) struct Bar {
    bar: ProgressBar,
    /// The transfer may end while no bar has been drawn.
    started: Arc<AtomicBool>,
}

impl Bar {
    /// Names files by their place in `manifest`.
    pub(crate) fn new(manifest: &Manifest) -> (Self, OnProgress) {
        let bar = ProgressBar::no_length().with_style(style());
        let started = Arc::new(AtomicBool::new(false));
        let names: Vec<String> = manifest
            .entries
            .iter()
            .map(|entry| escape_name(&entry.path))
            .collect();
        let (shown, seen) = (bar.clone(), Arc::clone(&started));
        let on_progress = OnProgress::new(move |progress| match progress {
            Progress::Started { total_bytes } => {
                shown.set_length(total_bytes);
                seen.store(true, Ordering::Relaxed);
            }
            Progress::Resumed { bytes, .. } => {
                shown.inc(bytes);
                // What was there is no speed.
                shown.reset_eta();
            }
            Progress::Moved { entry, bytes } => {
                if let Some(name) = names.get(entry as usize)
                    && shown.message() != *name
                {
                    shown.set_message(name.clone());
                }
                shown.inc(bytes);
            }
            _ => {}
        });
        (Self { bar, started }, on_progress)
    }

    /// Takes the bar away.
    pub(crate) fn finish(self) -> Duration {
        let elapsed = self.bar.elapsed();
        if self.started.load(Ordering::Relaxed) {
            self.bar.finish_and_clear();
        }
        elapsed
    }
}

/// Runs a transfer until it ends or Ctrl-C is pressed.
pub(crate) async fn until_ctrl_c(
    transfer: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    tokio::select! {
        // The handler is in place before the transfer begins.
        biased;
        pressed = tokio::signal::ctrl_c() => {
            pressed?;
            bail!("stopped; what was verified is kept, {GO_ON}");
        }
        ended = transfer => ended,
    }
}

/// What to add to an error after which the transfer can go on.
pub(crate) const GO_ON: &str = "the same command goes on from there";

/// What is on offer, in a few words.
pub(crate) fn count(manifest: &Manifest) -> String {
    let is_file = |entry: &&Entry| entry.kind == EntryKind::File;
    let files = manifest.entries.iter().filter(is_file).count();
    let folders = manifest.entries.len() - files;
    let bytes = HumanBytes(manifest.total_bytes());
    match folders {
        0 => format!("{}, {bytes}", plural(files, "file")),
        _ => format!(
            "{} in {}, {bytes}",
            plural(files, "file"),
            plural(folders, "folder")
        ),
    }
}

/// Prints a digest and a path for each file, what failed and why, and the
/// totals.
///
/// # Errors
/// If not every file is at the receiver.
pub(crate) fn summarise(summary: &Summary, elapsed: Duration, verb: &str) -> anyhow::Result<()> {
    let mut complete = 0;
    for file in &summary.files {
        let path = escape_name(&file.path);
        match file.outcome {
            FileOutcome::Complete(digest) => {
                complete += 1;
                let digest = digest.map_or_else(|| "unverified".to_owned(), |d| d.to_string());
                say!("{digest}  {path}");
                if let Some(saved_as) = &file.saved_as {
                    eprintln!("{path}: saved as {saved_as}");
                }
            }
            FileOutcome::Refused(reason) => eprintln!("{path}: {reason}"),
            FileOutcome::Failed(reason) => eprintln!("{path}: {reason}"),
            outcome => bail!("{path}: {outcome:?}"),
        }
    }
    let moved = summary.moved_bytes;
    eprintln!(
        "{verb} {}, {} moved in {:.1} s ({}/s)",
        plural(complete, "file"),
        HumanBytes(moved),
        elapsed.as_secs_f64(),
        HumanBytes(per_second(moved, elapsed)),
    );
    if complete < summary.files.len() {
        bail!(
            "{} of {} were not transferred",
            summary.files.len() - complete,
            plural(summary.files.len(), "file"),
        );
    }
    Ok(())
}

/// This machine's name, for the other side's person.
pub(crate) fn own_name() -> String {
    let user = std::env::var("USER").unwrap_or_default();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match (user.as_str(), host.trim()) {
        ("", host) => host.to_owned(),
        (user, "") => user.to_owned(),
        (user, host) => format!("{user}@{host}"),
    }
}

fn ready(stream: TcpStream) -> anyhow::Result<TcpStream> {
    // Answers are small and waited for.
    stream.set_nodelay(true).context("cannot set TCP_NODELAY")?;
    Ok(stream)
}

fn plural(count: usize, thing: &str) -> String {
    match count {
        1 => format!("1 {thing}"),
        _ => format!("{count} {thing}s"),
    }
}

fn per_second(bytes: u64, elapsed: Duration) -> u64 {
    let millis = u64::try_from(elapsed.as_millis())
        .unwrap_or(u64::MAX)
        .max(1);
    bytes.saturating_mul(1_000) / millis
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template(
        "{wide_msg} {bytes}/{total_bytes} {bytes_per_sec} {eta} [{bar:20}]",
    )
    .expect("the template is constant")
    .progress_chars("=> ")
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
