//! Progress events and the final summary.

use std::{collections::HashMap, fmt, sync::Arc};

use crate::{
    Digest, Entry, EntryIndex, EntryKind, EntryPath, LeftOut, Manifest, RawPath,
    session::{FailReason, RefuseReason},
};

/// A progress event. Positions are those in the manifest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Progress {
    /// The receiver is connected and has to answer. For senders only.
    Waiting {
        /// Whether other peers come first there.
        busy: bool,
    },
    /// The receiver has answered, and the transfer starts. Receiver and sender
    /// may differ if a file to resume has changed.
    Started {
        /// Size of all accepted files, in bytes.
        total_bytes: u64,
    },
    /// Blocks that need not be sent, because they are present and verified.
    Resumed {
        /// Position of the file.
        entry: EntryIndex,
        /// How many bytes are present.
        bytes: u64,
    },
    /// Data of a file was sent or received.
    Moved {
        /// Position of the file.
        entry: EntryIndex,
        /// Bytes since the last event.
        bytes: u64,
    },
    /// Unfinished files of earlier transfers were removed from the receiver's
    /// folders, because there were too many, or they were too old or unusable.
    Removed {
        /// Number of removed files.
        files: u32,
    },
    /// A file has ended.
    Ended {
        /// Position of the file.
        entry: EntryIndex,
    },
}

/// A callback for [`Progress`] events. It runs on the worker's thread and must
/// not block.
#[derive(Clone, Default)]
pub struct OnProgress(Option<Arc<dyn Fn(Progress) + Send + Sync>>);

impl OnProgress {
    /// Calls `told` for each event.
    pub fn new(told: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(told)))
    }

    pub(crate) fn tell(&self, progress: Progress) {
        if let Some(told) = &self.0 {
            told(progress);
        }
    }
}

impl fmt::Debug for OnProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnProgress").finish_non_exhaustive()
    }
}

/// Result of a transfer, file by file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Summary {
    /// Every file and link of the offer, in order, and each folder that the
    /// receiver does not have.
    pub files: Vec<FileSummary>,
    /// Bytes of file data sent over the network.
    pub moved_bytes: u64,
    /// Number of files, folders and links that the sender could not offer.
    pub left_out: u32,
    /// These by name; at the receiver, the first of them.
    pub left_out_entries: Vec<LeftOut>,
}

impl Summary {
    /// Files without an outcome were not reached by the session.
    pub(crate) fn new(
        manifest: &Manifest,
        outcomes: Vec<Option<FileOutcome>>,
        mut renamed: HashMap<EntryIndex, EntryPath>,
        moved_bytes: u64,
    ) -> Self {
        let is_told = |entry: &Entry, outcome: &Option<FileOutcome>| {
            entry.kind != EntryKind::Folder
                || outcome.is_some_and(|outcome| !matches!(outcome, FileOutcome::Complete(_)))
        };
        let files = manifest
            .indexed()
            .zip(outcomes)
            .filter(|((_, entry), outcome)| is_told(entry, outcome))
            .map(|((index, entry), outcome)| FileSummary {
                path: entry.path.clone(),
                kind: entry.kind.clone(),
                size_bytes: entry.size_bytes,
                saved_as: renamed.remove(&index),
                outcome: outcome.unwrap_or(FileOutcome::NotReached),
            })
            .collect();
        Self {
            files,
            moved_bytes,
            left_out: manifest.left_out,
            left_out_entries: manifest.left_out_entries.clone(),
        }
    }

    /// Whether the receiver has everything that was offered. What the sender
    /// could not offer is counted in [`left_out`](Self::left_out).
    pub fn is_complete(&self) -> bool {
        self.files
            .iter()
            .all(|file| matches!(file.outcome, FileOutcome::Complete(_)))
    }
}

/// Result of one file, link or folder.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct FileSummary {
    /// Its path, as offered.
    pub path: RawPath,
    /// Its kind.
    pub kind: EntryKind,
    /// Its size.
    pub size_bytes: u64,
    /// Where the receiver stored it, if not at its path; not known to the
    /// sender.
    pub saved_as: Option<EntryPath>,
    /// Its outcome.
    pub outcome: FileOutcome,
}

/// Outcome of one entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FileOutcome {
    /// The receiver has it, verified by this digest; `None` if the transfer had
    /// no digests, and for links.
    Complete(Option<Digest>),
    /// The receiver refused it.
    Refused(RefuseReason),
    /// The sender could not send it.
    Failed(FailReason),
    /// The transfer ended before it was reached.
    NotReached,
}

/// The session has checked the peer's entry numbers; an invalid one would be
/// ignored.
pub(crate) fn set_outcome(
    outcomes: &mut [Option<FileOutcome>],
    entry: EntryIndex,
    outcome: FileOutcome,
) {
    if let Some(slot) = outcomes.get_mut(entry.as_usize()) {
        *slot = Some(outcome);
    }
}
