//! Shared by `send` and `receive`: progress bar, Ctrl-C, summary.

use std::{
    fmt,
    future::pending,
    pin::pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{anyhow, bail};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use sockkit::file::{
    EntryKind, FileOutcome, FileSummary, Manifest, OnProgress, Progress, RefuseReason, Summary,
};
use tokio::time::{sleep, timeout};

use crate::{
    json::Object,
    link::CloseWaiter,
    progress,
    say::{self, note, tell},
    skipped::Skipped,
};

/// A progress bar on standard error.
pub(crate) struct Bar {
    bar: ProgressBar,
    stages: Arc<Stages>,
}

/// Whether a transfer has moved any data.
#[derive(Clone, Debug)]
pub(crate) struct Moved(Arc<Stages>);

impl Moved {
    pub(crate) fn any(&self) -> bool {
        self.0.first_byte.get().is_some()
    }
}

/// Stages of a transfer.
#[derive(Debug, Default)]
struct Stages {
    /// The peer has told that others come first there.
    peer_is_busy: AtomicBool,
    /// The transfer may end before the bar is drawn.
    started: AtomicBool,
    /// Waiting for an answer does not count towards the transfer time.
    first_byte: OnceLock<Instant>,
    /// Seconds for which programs were told the progress.
    told_seconds: AtomicU64,
}

impl Stages {
    /// Once a second, with `--json`.
    fn tell_progress(&self, bar: &ProgressBar) {
        let seconds = self.first_byte.get().map_or(0, |at| at.elapsed().as_secs());
        if self.told_seconds.fetch_max(seconds, Ordering::Relaxed) < seconds {
            say::only_json(|| {
                Object::new("progress")
                    .text("path", bar.message())
                    .number("bytes", bar.position())
                    .number("total", bar.length().unwrap_or_default())
            });
        }
    }
}

impl Bar {
    /// Names files by their position in `manifest`.
    pub(crate) fn new(manifest: &Manifest) -> (Self, OnProgress) {
        let bar = progress::bar().with_style(style());
        let stages = Arc::new(Stages::default());
        let names: Vec<String> = manifest
            .entries
            .iter()
            .map(|entry| entry.path.to_string())
            .collect();
        let (shown, reached) = (bar.clone(), Arc::clone(&stages));
        let on_progress = OnProgress::new(move |progress| match progress {
            Progress::Waiting { busy } => reached.peer_is_busy.store(busy, Ordering::Relaxed),
            Progress::Started { total_bytes } => {
                shown.set_length(total_bytes);
                shown.reset_elapsed();
                reached.started.store(true, Ordering::Relaxed);
            }
            Progress::Resumed { bytes, .. } => {
                shown.inc(bytes);
                // Data that was already present does not count towards the rate.
                shown.reset_eta();
            }
            Progress::Moved { entry, bytes } => {
                reached.first_byte.get_or_init(Instant::now);
                if let Some(name) = names.get(entry.as_usize())
                    && shown.message() != *name
                {
                    shown.set_message(name.clone());
                }
                shown.inc(bytes);
                reached.tell_progress(&shown);
            }
            Progress::Removed { files } => shown.suspend(|| {
                let files = plural(files as usize, "unfinished file");
                note!("removed   {files} of earlier transfers, too old or unusable");
            }),
            _ => {}
        });
        (Self { bar, stages }, on_progress)
    }

    /// Runs `transfer`, and reports when it waits for `peer`.
    pub(crate) async fn beside<T>(&self, peer: &str, transfer: impl Future<Output = T>) -> T {
        let waiting = async {
            sleep(A_MOMENT).await;
            if self.stages.peer_is_busy.load(Ordering::Relaxed) {
                note!("{peer} is busy with others; waiting for its answer");
            } else if !self.stages.started.load(Ordering::Relaxed) {
                note!("waiting for an answer from {peer}");
            }
            pending().await
        };
        tokio::select! {
            biased;
            ended = transfer => ended,
            ended = waiting => ended,
        }
    }

    /// Whether any file data was transferred, also after the bar.
    pub(crate) fn moved(&self) -> Moved {
        Moved(Arc::clone(&self.stages))
    }

    /// Removes the bar; returns how long data was transferred, if any was.
    pub(crate) fn finish(self) -> Option<Duration> {
        if self.stages.started.load(Ordering::Relaxed) {
            self.bar.finish_and_clear();
        }
        self.stages.first_byte.get().map(Instant::elapsed)
    }
}

/// Runs `wait`, and prints `what` if it takes more than a moment.
pub(crate) async fn patiently<T>(what: &str, wait: impl Future<Output = T>) -> T {
    let mut wait = pin!(wait);
    if let Ok(ended) = timeout(A_MOMENT, &mut wait).await {
        return ended;
    }
    note!("{what}");
    wait.await
}

/// Runs a transfer until it ends or Ctrl-C is pressed, and closes the connection.
pub(crate) async fn until_ctrl_c(
    transfer: impl AsyncFnOnce(&CloseWaiter) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    to_its_end(async |goodbye| {
        tokio::select! {
            // The handler is installed before the transfer starts.
            biased;
            pressed = crate::interrupt::pressed() => {
                pressed?;
                Err(stopped(goodbye.resume()))
            }
            ended = transfer(goodbye) => ended,
        }
    })
    .await
}

/// Runs a transfer that itself ends at Ctrl-C, and closes the connection.
pub(crate) async fn to_its_end(
    transfer: impl AsyncFnOnce(&CloseWaiter) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    say::finish_without_reader();
    let goodbye = CloseWaiter::default();
    let ended = transfer(&goodbye).await;
    goodbye.said().await;
    ended
}

/// The last words after Ctrl-C, and how to `resume` if that is possible.
pub(crate) fn stopped(resume: Option<String>) -> anyhow::Error {
    match resume {
        Some(how) => anyhow!("stopped; verified data is kept; {how}"),
        None => anyhow!("stopped"),
    }
}

/// An error of the connection, and how to `resume` if that is possible.
pub(crate) fn interrupted(
    error: impl Into<anyhow::Error>,
    resume: Option<String>,
) -> anyhow::Error {
    let error = error.into();
    match resume {
        Some(how) => anyhow!("{error:#}; {how}"),
        None => error,
    }
}

/// A delay that a user notices.
const A_MOMENT: Duration = Duration::from_millis(300);

/// A short summary of an offer.
pub(crate) fn count(manifest: &Manifest) -> String {
    let (mut files, mut folders, mut links) = (0, 0, 0);
    for entry in &manifest.entries {
        match entry.kind {
            EntryKind::Folder => folders += 1,
            EntryKind::Link { .. } => links += 1,
            _ => files += 1,
        }
    }
    let mut what = plural(files, "file");
    if links > 0 {
        what += &format!(" and {}", plural(links, "link"));
    }
    if folders > 0 {
        what += &format!(" in {}", plural(folders, "folder"));
    }
    format!("{what}, {}", HumanBytes(manifest.total_bytes()))
}

/// Prints a digest and a path for each file, the failures with their reasons, what was
/// `skipped`, and the totals.
///
/// # Errors
/// If the receiver does not have everything, including what the sender could not
/// offer.
pub(crate) fn summarise(
    summary: &Summary,
    skipped: &Skipped,
    elapsed: Duration,
    verb: &'static str,
) -> anyhow::Result<()> {
    let (complete, missing) = list(&summary.files)?;
    skipped.tell();
    let moved = summary.moved_bytes;
    note!(
        "{verb} {}, {} moved in {:.1} s ({}/s){}",
        plural(complete, "file"),
        HumanBytes(moved),
        elapsed.as_secs_f64(),
        HumanBytes(per_second(moved, elapsed)),
        skipped.totals(),
    );
    say::only_json(|| {
        Object::new(verb)
            .number("files", complete as u64)
            .number("missing", missing as u64)
            .number("skipped", skipped.lacks.into())
            .number("bytes", moved)
            .float("seconds", Some(elapsed.as_secs_f64()))
    });
    let mut lacks = Vec::new();
    if missing > 0 {
        let of = plural(summary.files.len(), "file");
        lacks.push(format!("{missing} of {of} not transferred"));
    }
    lacks.extend(skipped.lack());
    if lacks.is_empty() {
        return Ok(());
    }
    let lacks = lacks.join(", ");
    match summary.files.iter().any(|file| is_in_the_way(file.outcome)) {
        true => {
            bail!("{lacks}; to replace files that differ: sockkit receive --on-conflict update")
        }
        false => bail!("{lacks}"),
    }
}

/// Whether another policy of the receiver would have taken it.
fn is_in_the_way(outcome: FileOutcome) -> bool {
    matches!(
        outcome,
        FileOutcome::Refused(RefuseReason::Exists | RefuseReason::Differs)
    )
}

/// Prints each file; returns how many are complete, and how many are not.
fn list(files: &[FileSummary]) -> anyhow::Result<(usize, usize)> {
    let (mut complete, mut missing) = (0, 0);
    for file in files {
        let path = &file.path;
        missing += usize::from(!matches!(file.outcome, FileOutcome::Complete(_)));
        match file.outcome {
            FileOutcome::Complete(_) if file.kind != EntryKind::File => {}
            FileOutcome::Complete(digest) => {
                complete += 1;
                let digest = digest.map_or_else(|| "unverified".to_owned(), |d| d.to_string());
                let mut event = file_event(path, "complete").text("digest", &digest);
                if let Some(saved_as) = &file.saved_as {
                    event = event.text("saved_as", saved_as);
                }
                say::result(&event, format_args!("{digest}  {path}"));
                if let Some(saved_as) = &file.saved_as {
                    tell!("{path}: saved as {saved_as}");
                }
            }
            FileOutcome::Refused(reason) => tell_missing(path, "refused", &reason),
            FileOutcome::Failed(reason) => tell_missing(path, "failed", &reason),
            FileOutcome::NotReached => {
                tell_missing(
                    path,
                    "not reached",
                    &"not reached before the transfer ended",
                );
            }
            outcome => bail!("{path}: {outcome:?}"),
        }
    }
    Ok((complete, missing))
}

fn file_event(path: &dyn fmt::Display, outcome: &'static str) -> Object {
    Object::new("file")
        .text("path", path)
        .text("outcome", outcome)
}

fn tell_missing(path: &dyn fmt::Display, outcome: &'static str, reason: &dyn fmt::Display) {
    tell!("{path}: {reason}");
    say::only_json(|| file_event(path, outcome).text("reason", reason));
}

/// This user and machine, to be shown to the peer's user.
pub(crate) fn own_name() -> String {
    let variable = if cfg!(windows) { "USERNAME" } else { "USER" };
    let user = std::env::var(variable).unwrap_or_default();
    let host = sockkit::interfaces::host().unwrap_or_default().name;
    match (user.as_str(), host.trim()) {
        ("", host) => host.to_owned(),
        (user, "") => user.to_owned(),
        (user, host) => format!("{user}@{host}"),
    }
}

pub(crate) fn plural(count: usize, thing: &str) -> String {
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

pub(crate) fn style() -> ProgressStyle {
    ProgressStyle::with_template(
        "{wide_msg} {bytes}/{total_bytes} {bytes_per_sec} {eta} [{bar:20}]",
    )
    .expect("the template is constant")
    .progress_chars("=> ")
}
