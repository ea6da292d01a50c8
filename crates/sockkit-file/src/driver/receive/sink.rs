//! Receives into a sink for verified blocks.

use std::collections::HashMap;

use super::{ReceiveConfig, ReceiveError, worker::Keeper};
use crate::{
    Digest, Entry, EntryIndex, EntryKind, EntryPath, Integrity, Manifest,
    driver::{
        io_loop::WorkerChannels,
        progress::{FileOutcome, OnProgress, Progress, Summary, set_outcome},
    },
    session::{Answer, FailReason, ReceiverEvent, RefuseReason, Reviewed},
};

/// A target for received files other than a folder: memory, a database, a
/// parser.
///
/// A refusal concerns one entry: the others are received, and the sender is
/// told which entry was refused and why. Transfers into a sink are not resumed,
/// and nothing is compared.
///
/// # Threads
/// All calls of one transfer are made one after another from one blocking
/// thread ([`spawn_blocking`](tokio::task::spawn_blocking)). The sender waits
/// while a call takes its time.
///
/// ```
/// # mod sockkit { pub use ::sockkit_file as file; }
/// use std::collections::HashMap;
///
/// use sockkit::file::{Digest, Entry, EntryIndex, EntryKind, EntryPath, FileSink, RefuseReason};
///
/// /// Files of at most a megabyte, by path.
/// #[derive(Default)]
/// struct Inbox {
///     arriving: Vec<(EntryPath, Vec<u8>)>,
///     files: HashMap<String, Vec<u8>>,
/// }
///
/// impl FileSink for Inbox {
///     fn accept(&mut self, _entry: EntryIndex, path: &EntryPath, offered: &Entry) -> Result<(), RefuseReason> {
///         if offered.kind != EntryKind::File || offered.size_bytes > 1 << 20 {
///             return Err(RefuseReason::Unwanted);
///         }
///         self.arriving.push((path.clone(), Vec::new()));
///         Ok(())
///     }
///
///     fn block(&mut self, _entry: EntryIndex, bytes: &[u8]) -> Result<(), RefuseReason> {
///         // Accepted files arrive in the order in which they were accepted.
///         self.arriving[0].1.extend_from_slice(bytes);
///         Ok(())
///     }
///
///     fn end(&mut self, _entry: EntryIndex, _digest: Option<Digest>) -> Result<(), RefuseReason> {
///         let (path, bytes) = self.arriving.remove(0);
///         self.files.insert(path.to_string(), bytes);
///         Ok(())
///     }
/// }
/// ```
pub trait FileSink: Send + 'static {
    /// Decides about an entry whose name is allowed here. Called for each of them
    /// before anything is sent, in the order of the offer. No further call follows
    /// for a folder or a link.
    ///
    /// # Errors
    /// Why it is refused.
    fn accept(
        &mut self,
        entry: EntryIndex,
        path: &EntryPath,
        offered: &Entry,
    ) -> Result<(), RefuseReason>;

    /// Takes the next block of a file, verified if the transfer has digests. Blocks
    /// arrive in order, one file after another.
    ///
    /// # Errors
    /// Why the file cannot be stored. No further call follows for it, not even its
    /// end.
    fn block(&mut self, entry: EntryIndex, bytes: &[u8]) -> Result<(), RefuseReason>;

    /// All blocks of the file have arrived, and match its digest.
    ///
    /// # Errors
    /// Why the file cannot be stored.
    fn end(&mut self, entry: EntryIndex, digest: Option<Digest>) -> Result<(), RefuseReason>;

    /// The sender could not read the file completely: its blocks are useless.
    fn fail(&mut self, entry: EntryIndex, reason: FailReason) {
        let _ = (entry, reason);
    }
}

/// A transfer into a sink.
pub(super) struct IntoSink<T> {
    sink: T,
    manifest: Manifest,
    reviewed: Vec<Reviewed>,
    outcomes: Vec<Option<FileOutcome>>,
    on_progress: OnProgress,
    /// The file to which the data belongs, and the block being received: at most one.
    arriving: EntryIndex,
    block: Vec<u8>,
    /// Accepted entries that could not be stored.
    failures: Vec<(EntryIndex, RefuseReason)>,
    moved_bytes: u64,
}

impl<T: FileSink> IntoSink<T> {
    pub(super) fn new(
        sink: T,
        manifest: Manifest,
        reviewed: Vec<Reviewed>,
        config: &ReceiveConfig,
    ) -> Self {
        Self {
            sink,
            outcomes: vec![None; manifest.entries.len()],
            manifest,
            reviewed,
            on_progress: config.on_progress.clone(),
            arriving: EntryIndex::default(),
            block: Vec::new(),
            failures: Vec::new(),
            moved_bytes: 0,
        }
    }

    fn is_kept(&self, entry: EntryIndex) -> bool {
        self.outcomes[entry.as_usize()].is_none()
    }

    /// Records why an accepted file is not stored.
    fn unless_refused(&mut self, entry: EntryIndex, taken: Result<(), RefuseReason>) {
        if let Err(reason) = taken {
            self.failures.push((entry, reason));
            let outcome = FileOutcome::Refused(reason);
            set_outcome(&mut self.outcomes, entry, outcome);
        }
    }

    fn on_data(&mut self, bytes: &[u8]) {
        let entry = self.arriving;
        if self.is_kept(entry) {
            self.block.extend_from_slice(bytes);
        }
        let bytes = bytes.len() as u64;
        self.moved_bytes += bytes;
        self.on_progress.tell(Progress::Moved { entry, bytes });
    }

    fn on_end(&mut self, entry: EntryIndex, digest: Digest) {
        self.on_progress.tell(Progress::Ended { entry });
        if !self.is_kept(entry) {
            return;
        }
        let digest = (self.manifest.integrity == Integrity::Blake3).then_some(digest);
        let taken = self.sink.end(entry, digest);
        self.unless_refused(entry, taken);
        self.outcomes[entry.as_usize()].get_or_insert(FileOutcome::Complete(digest));
    }
}

impl<T: FileSink> Keeper for IntoSink<T> {
    type Kept = (Summary, T);

    fn answer(&mut self, link: &WorkerChannels) -> Result<Vec<Answer>, ReceiveError> {
        let mut answers = Vec::with_capacity(self.reviewed.len());
        let mut total_bytes = 0_u64;
        for ((entry, offered), reviewed) in self.manifest.indexed().zip(&self.reviewed) {
            link.check()?;
            let accepted = reviewed
                .path()
                .and_then(|path| self.sink.accept(entry, path, offered));
            answers.push(match accepted {
                Ok(()) => {
                    total_bytes = total_bytes.saturating_add(offered.size_bytes);
                    Answer::Send
                }
                Err(reason) => {
                    set_outcome(&mut self.outcomes, entry, FileOutcome::Refused(reason));
                    Answer::Refuse(reason)
                }
            });
        }
        self.on_progress.tell(Progress::Started { total_bytes });
        Ok(answers)
    }

    fn comparing_bytes(&self) -> u64 {
        0
    }

    fn on_event(&mut self, event: ReceiverEvent<'_>) -> Result<(), ReceiveError> {
        match event {
            ReceiverEvent::Block { entry, .. } => {
                self.arriving = entry;
                self.block.clear();
            }
            ReceiverEvent::Data(bytes) => self.on_data(bytes),
            ReceiverEvent::BlockVerified { entry, .. } => {
                if self.is_kept(entry) {
                    let taken = self.sink.block(entry, &self.block);
                    self.unless_refused(entry, taken);
                }
            }
            ReceiverEvent::FileVerified { entry, digest } => self.on_end(entry, digest),
            ReceiverEvent::FileFailed { entry, reason } => {
                if self.is_kept(entry) {
                    self.sink.fail(entry, reason);
                    set_outcome(&mut self.outcomes, entry, FileOutcome::Failed(reason));
                }
            }
            _ => unreachable!("past all others, and nothing is compared"),
        }
        Ok(())
    }

    fn finish(
        &mut self,
        _link: &WorkerChannels,
    ) -> Result<Vec<(EntryIndex, RefuseReason)>, ReceiveError> {
        let entries = self.manifest.entries.iter();
        for (offered, outcome) in entries.zip(&mut self.outcomes) {
            if offered.kind != EntryKind::File {
                outcome.get_or_insert(FileOutcome::Complete(None));
            }
        }
        Ok(std::mem::take(&mut self.failures))
    }

    fn give_up(&mut self) {}

    fn into_kept(self) -> (Summary, T) {
        let renamed = HashMap::new();
        let summary = Summary::new(&self.manifest, self.outcomes, renamed, self.moved_bytes);
        (summary, self.sink)
    }
}
