//! What is told while a transfer runs, and what is left to say after it.

use std::{collections::HashMap, fmt, sync::Arc};

use crate::{
    Digest, Entry, EntryKind, EntryPath, Manifest, RawPath,
    session::{FailReason, RefuseReason},
};

/// One step of a transfer. Positions are those in the manifest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Progress {
    /// The receiver is there, and now has to answer; only a sender is told.
    Waiting {
        /// Others come first there.
        busy: bool,
    },
    /// What is about to move, after the receiver has answered. Receiver and
    /// sender may differ if a resumed file turns out to have changed.
    Started {
        /// Bytes of all files that were accepted.
        total_bytes: u64,
    },
    /// Blocks that need not move: they are there and verified.
    Resumed {
        /// Position of the file.
        entry: u32,
        /// How much of it is there.
        bytes: u64,
    },
    /// Bytes of a file have moved.
    Moved {
        /// Position of the file.
        entry: u32,
        /// How many since the last time.
        bytes: u64,
    },
    /// Unfinished files of earlier transfers were removed from the receiver's
    /// folders, because they were too old or too many, or of no use.
    Removed {
        /// How many.
        files: u32,
    },
    /// A file is through.
    Ended {
        /// Position of the file.
        entry: u32,
    },
}

/// Is told of each [`Progress`], on the worker's thread: it must not block.
#[derive(Clone, Default)]
pub struct OnProgress(Option<Arc<dyn Fn(Progress) + Send + Sync>>);

impl OnProgress {
    /// Calls `told` for each step.
    pub fn new(told: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(told)))
    }

    pub(super) fn tell(&self, progress: Progress) {
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

/// How a transfer ended, file by file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Summary {
    /// Every file and link of the offer, in its order, and each folder that the receiver
    /// does not have.
    pub files: Vec<FileSummary>,
    /// Bytes of files that crossed the wire.
    pub moved_bytes: u64,
    /// How many files, folders and links the sender could not offer.
    pub left_out: u32,
}

impl Summary {
    /// Files without an outcome are those that the session did not reach.
    pub(super) fn new(
        manifest: &Manifest,
        outcomes: Vec<Option<FileOutcome>>,
        mut renamed: HashMap<u32, EntryPath>,
        moved_bytes: u64,
    ) -> Self {
        let is_told = |entry: &Entry, outcome: &Option<FileOutcome>| {
            entry.kind != EntryKind::Folder
                || outcome.is_some_and(|outcome| !matches!(outcome, FileOutcome::Complete(_)))
        };
        let files = (0..)
            .zip(&manifest.entries)
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
        }
    }

    /// Whether everything on offer is now at the receiver. What the sender could not
    /// offer is counted in [`left_out`](Self::left_out).
    pub fn is_complete(&self) -> bool {
        self.files
            .iter()
            .all(|file| matches!(file.outcome, FileOutcome::Complete(_)))
    }
}

/// How it went with one file, link or folder.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct FileSummary {
    /// Its path as offered.
    pub path: RawPath,
    /// What it is.
    pub kind: EntryKind,
    /// Its length.
    pub size_bytes: u64,
    /// Where the receiver put it, if not at its path; the sender is not told.
    pub saved_as: Option<EntryPath>,
    /// What became of it.
    pub outcome: FileOutcome,
}

/// What became of one file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FileOutcome {
    /// The receiver has it, verified by this digest; `None` if the transfer
    /// had none, and for links.
    Complete(Option<Digest>),
    /// The receiver did not take it.
    Refused(RefuseReason),
    /// The sender could not send it.
    Failed(FailReason),
    /// The transfer ended before its turn came.
    NotReached,
}

/// Entries are the peer's numbers, checked by the session; one that were not
/// is ignored.
pub(super) fn set_outcome(outcomes: &mut [Option<FileOutcome>], entry: u32, outcome: FileOutcome) {
    if let Some(slot) = outcomes.get_mut(entry as usize) {
        *slot = Some(outcome);
    }
}
