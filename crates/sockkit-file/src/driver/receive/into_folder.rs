//! Receives into a folder: writes files and renames them.

use std::{
    collections::{HashMap, HashSet},
    io, mem,
};

use super::{
    ReceiveConfig, ReceiveError,
    disk::{is_fatal, write_error},
    worker::Keeper,
};
use crate::{
    BLOCK_BYTES, BlockIndex, Entry, EntryIndex, EntryKind, EntryPath, Integrity, LinkTarget,
    Manifest,
    driver::{
        io_loop::WorkerChannels,
        progress::{FileOutcome, OnProgress, Progress, Summary, set_outcome},
    },
    session::{Answer, FailReason, ReceiverEvent, RefuseReason, Reviewed},
    store::{Destination, Part, Writer, has_no_links, refusal},
};

/// A transfer into a folder.
pub(super) struct IntoFolder {
    manifest: Manifest,
    reviewed: Vec<Reviewed>,
    destination: Destination,
    writer: Writer,
    /// The file being received; `None` if there is none, or if its data is
    /// discarded.
    part: Option<Part>,
    outcomes: Vec<Option<FileOutcome>>,
    on_progress: OnProgress,
    /// The file to which the data belongs.
    arriving: EntryIndex,
    /// Files that are present and only compared.
    compared: HashSet<EntryIndex>,
    comparing: Comparing,
    /// Where files are stored whose names were taken.
    renamed: HashMap<EntryIndex, EntryPath>,
    /// Accepted entries that could not be stored.
    failures: Vec<(EntryIndex, RefuseReason)>,
    moved_bytes: u64,
}

impl IntoFolder {
    pub(super) fn new(
        destination: &Destination,
        mut manifest: Manifest,
        reviewed: Vec<Reviewed>,
        config: &ReceiveConfig,
    ) -> Self {
        for entry in &mut manifest.entries {
            if entry.is_executable() && !config.keep_executable {
                // Zero would mean that no permission bits were sent.
                entry.mode = entry.mode & 0o666 | 0o400;
            }
        }
        let writer = Writer::new(destination, config.on_conflict).integrity(manifest.integrity);
        Self {
            outcomes: vec![None; manifest.entries.len()],
            manifest,
            reviewed,
            destination: destination.clone(),
            writer,
            part: None,
            on_progress: config.on_progress.clone(),
            arriving: EntryIndex::default(),
            compared: HashSet::new(),
            comparing: Comparing::default(),
            renamed: HashMap::new(),
            failures: Vec::new(),
            moved_bytes: 0,
        }
    }

    fn prepare(&mut self, link: &WorkerChannels) -> Result<Vec<Answer>, ReceiveError> {
        let mut answers = Vec::with_capacity(self.manifest.entries.len());
        for ((index, entry), reviewed) in self.manifest.indexed().zip(&self.reviewed) {
            link.check()?;
            let answer = match reviewed.path() {
                Ok(_) if reviewed.is_twin() && self.writer.confuses_names() => {
                    Answer::Refuse(RefuseReason::Collision)
                }
                Ok(path) => self.writer.prepare(index, path, entry),
                Err(reason) => Answer::Refuse(reason),
            };
            match answer {
                Answer::Refuse(reason) => {
                    set_outcome(&mut self.outcomes, index, FileOutcome::Refused(reason));
                }
                Answer::Resume(_) if self.writer.is_resumed(index) => {}
                // Of an update, what is there is compared block by block.
                Answer::Compare(_) | Answer::Resume(_) => {
                    self.compared.insert(index);
                }
                _ => {}
            }
            answers.push(answer);
        }
        match self.writer.removed_parts() {
            0 => {}
            files => self.on_progress.tell(Progress::Removed { files }),
        }
        Ok(answers)
    }

    /// Creates the listed folders, including empty ones. Last, so that an offer
    /// of folders alone costs nothing until its sender is done.
    fn make_folders(&mut self, link: &WorkerChannels) -> Result<(), ReceiveError> {
        let mut made = Vec::new();
        for ((index, entry), reviewed) in self.manifest.indexed().zip(&self.reviewed) {
            let Ok(path) = reviewed.path() else {
                continue;
            };
            if entry.kind != EntryKind::Folder || self.outcomes[index.as_usize()].is_some() {
                continue;
            }
            link.check()?;
            let outcome = match self.writer.make_folder(path) {
                Ok(()) => FileOutcome::Complete(None),
                Err(error) if is_fatal(&error) => return Err(self.write_error(index, error)),
                Err(error) => FileOutcome::Refused(refusal(path, &error)),
            };
            made.push((index, outcome));
        }
        made.into_iter()
            .for_each(|(entry, outcome)| self.note(entry, outcome));
        Ok(())
    }

    /// Links are created last: nothing of this transfer is written after them.
    fn make_links(&mut self, link: &WorkerChannels) -> Result<(), ReceiveError> {
        let mut made = Vec::new();
        for ((entry, offered), reviewed) in self.manifest.indexed().zip(&self.reviewed) {
            let EntryKind::Link { target } = &offered.kind else {
                continue;
            };
            let Ok(path) = reviewed.path() else {
                continue;
            };
            if self.outcomes[entry.as_usize()].is_some() {
                continue;
            }
            link.check()?;
            let made_link = LinkTarget::parse(path, target.as_bytes())
                .map_err(|_judged| io::ErrorKind::InvalidInput.into())
                .and_then(|target| self.writer.make_link(path, &target));
            let outcome = match made_link {
                Ok(place) => {
                    if place != *path {
                        self.renamed.insert(entry, place);
                    }
                    FileOutcome::Complete(None)
                }
                Err(error) if is_fatal(&error) => return Err(self.write_error(entry, error)),
                Err(error) if has_no_links(&error) => FileOutcome::Refused(RefuseReason::Kind),
                Err(error) => FileOutcome::Refused(refusal(path, &error)),
            };
            made.push((entry, outcome));
        }
        made.into_iter()
            .for_each(|(entry, outcome)| self.note(entry, outcome));
        Ok(())
    }

    /// Checks whether the disk has room for the data and for each file and
    /// folder.
    fn check_space(&self, answers: &[Answer]) -> Result<(), ReceiveError> {
        let room = self.destination.room().map_err(ReceiveError::Room)?;
        let units = |bytes: u64| bytes.div_ceil(room.unit_bytes).max(1);
        let folders = self.writer.missing_folders();
        let (mut needed_units, mut needed_inodes) = (folders, folders);
        for (entry, answer) in self.manifest.entries.iter().zip(answers) {
            if entry.kind != EntryKind::Folder && !matches!(answer, Answer::Refuse(_)) {
                let bytes = remaining_bytes(entry, answer);
                needed_units = units(bytes).saturating_add(needed_units);
                needed_inodes += 1;
            }
        }
        let needed_bytes = needed_units.saturating_mul(room.unit_bytes);
        if needed_bytes > room.bytes {
            return Err(ReceiveError::NoSpace {
                needed_bytes,
                available_bytes: room.bytes,
            });
        }
        match room.inodes {
            Some(available) if needed_inodes > available => Err(ReceiveError::NoInodes {
                needed: needed_inodes,
                available,
            }),
            _ => Ok(()),
        }
    }

    fn tell_start(&self, answers: &[Answer]) {
        let accepted = self.manifest.entries.iter().zip(answers);
        self.on_progress.tell(Progress::Started {
            total_bytes: sum(accepted
                .filter(|(_, answer)| !matches!(answer, Answer::Refuse(_)))
                .map(|(entry, _)| entry.size_bytes)),
        });
    }

    /// The sender has compared what is here of a file, if anything. Only then it is known
    /// whether that stays.
    fn on_compared(&mut self, entry: EntryIndex, stays: bool) {
        let bytes = self.comparing.handle_compared(entry);
        if stays && bytes > 0 {
            self.on_progress.tell(Progress::Resumed { entry, bytes });
        }
    }

    fn on_block(&mut self, entry: EntryIndex, index: BlockIndex) -> Result<(), ReceiveError> {
        self.arriving = entry;
        // What is there differs, and is replaced.
        self.compared.remove(&entry);
        if self.part.is_none() && self.outcomes[entry.as_usize()].is_none() {
            self.part = self.open(entry)?;
        }
        self.write(entry, |part| part.begin_block(index))
    }

    fn on_data(&mut self, bytes: &[u8]) -> Result<(), ReceiveError> {
        let entry = self.arriving;
        self.write(entry, |part| part.write(bytes))?;
        let bytes = bytes.len() as u64;
        self.moved_bytes += bytes;
        self.on_progress.tell(Progress::Moved { entry, bytes });
        Ok(())
    }

    fn on_file(&mut self, entry: EntryIndex, outcome: FileOutcome) -> Result<(), ReceiveError> {
        self.on_progress.tell(Progress::Ended { entry });
        if self.outcomes[entry.as_usize()].is_some() {
            return Ok(());
        }
        if !self.compared.contains(&entry) {
            let part = match self.part.take() {
                Some(part) => part,
                // Without a block: the file is empty, or was already complete.
                None => match self.open(entry)? {
                    Some(part) => part,
                    None => return Ok(()),
                },
            };
            let path = accepted(&self.reviewed, entry);
            let offered = &self.manifest.entries[entry.as_usize()];
            let completed = self.writer.complete(entry, part, path, offered);
            completed.map_err(|error| self.write_error(entry, error))?;
        }
        set_outcome(&mut self.outcomes, entry, outcome);
        if self.writer.is_full() {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes to the current file, if there is one. A file that is too large
    /// fails alone.
    fn write(
        &mut self,
        entry: EntryIndex,
        write: impl FnOnce(&mut Part) -> io::Result<()>,
    ) -> Result<(), ReceiveError> {
        let Some(part) = &mut self.part else {
            return Ok(());
        };
        match write(part) {
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                // No later attempt would get further.
                let discarded = self.part.take().map_or(Ok(()), Part::discard);
                self.note(entry, FileOutcome::Refused(RefuseReason::TooLarge));
                discarded.map_err(|error| self.write_error(entry, error))
            }
            written => written.map_err(|error| self.write_error(entry, error)),
        }
    }

    /// `None` if this file cannot be written; the others continue.
    fn open(&mut self, entry: EntryIndex) -> Result<Option<Part>, ReceiveError> {
        let path = accepted(&self.reviewed, entry);
        let offered = &self.manifest.entries[entry.as_usize()];
        match self.writer.open(entry, path, offered) {
            Ok(part) => Ok(Some(part)),
            Err(error) if is_fatal(&error) => Err(self.write_error(entry, error)),
            Err(error) => {
                self.note(entry, FileOutcome::Refused(refusal(path, &error)));
                Ok(None)
            }
        }
    }

    fn flush(&mut self) -> Result<(), ReceiveError> {
        let flushed = self.writer.flush().map_err(|error| {
            // The current file may be lost in the same way.
            let _ = self.part.take().map(Part::discard);
            ReceiveError::Sync(error)
        })?;
        for (entry, published) in flushed {
            match published {
                Err(error) => {
                    let path = accepted(&self.reviewed, entry);
                    self.note(entry, FileOutcome::Refused(refusal(path, &error)));
                }
                Ok(path) => {
                    if path != *accepted(&self.reviewed, entry) {
                        self.renamed.insert(entry, path);
                    }
                }
            }
        }
        Ok(())
    }

    /// Records the outcome of an accepted entry.
    fn note(&mut self, entry: EntryIndex, outcome: FileOutcome) {
        if let FileOutcome::Refused(reason) = outcome {
            self.failures.push((entry, reason));
        }
        set_outcome(&mut self.outcomes, entry, outcome);
    }

    fn write_error(&self, entry: EntryIndex, error: io::Error) -> ReceiveError {
        let entry = &self.manifest.entries[entry.as_usize()];
        write_error(entry, self.destination.free_bytes(), error)
    }
}

impl Keeper for IntoFolder {
    type Kept = Summary;

    fn answer(&mut self, link: &WorkerChannels) -> Result<Vec<Answer>, ReceiveError> {
        let answers = self.prepare(link)?;
        self.check_space(&answers)?;
        self.tell_start(&answers);
        self.comparing = Comparing::of(&self.manifest, &answers);
        Ok(answers)
    }

    fn comparing_bytes(&self) -> u64 {
        self.comparing.left_bytes
    }

    fn on_event(&mut self, event: ReceiverEvent<'_>) -> Result<(), ReceiveError> {
        match event {
            ReceiverEvent::Block { entry, index } => self.on_compared(entry, index.0 > 0),
            ReceiverEvent::FileVerified { entry, .. } => self.on_compared(entry, true),
            ReceiverEvent::FileDiffers { entry } | ReceiverEvent::FileFailed { entry, .. } => {
                self.on_compared(entry, false);
            }
            _ => {}
        }
        match event {
            ReceiverEvent::Block { entry, index } => self.on_block(entry, index)?,
            ReceiverEvent::Data(bytes) => self.on_data(bytes)?,
            ReceiverEvent::BlockVerified { entry, digest, .. } => {
                self.write(entry, |part| part.keep_block(digest))?;
            }
            ReceiverEvent::FileVerified { entry, digest } => {
                let digest = (self.manifest.integrity == Integrity::Blake3).then_some(digest);
                self.on_file(entry, FileOutcome::Complete(digest))?;
            }
            ReceiverEvent::FileDiffers { entry } => {
                self.note(entry, FileOutcome::Refused(RefuseReason::Differs));
            }
            ReceiverEvent::FileFailed { entry, reason } => {
                if let Some(part) = self.part.take() {
                    // If the file changed, its blocks are useless; otherwise
                    // the verified ones are kept for the next attempt.
                    if reason == FailReason::Changed {
                        part.discard()
                            .map_err(|error| self.write_error(entry, error))?;
                    }
                }
                self.note(entry, FileOutcome::Failed(reason));
            }
            _ => unreachable!("the session is past all others, or this is"),
        }
        Ok(())
    }

    fn finish(
        &mut self,
        link: &WorkerChannels,
    ) -> Result<Vec<(EntryIndex, RefuseReason)>, ReceiveError> {
        self.flush()?;
        self.make_folders(link)?;
        self.make_links(link)?;
        Ok(mem::take(&mut self.failures))
    }

    fn give_up(&mut self) {
        let _ = self.flush();
    }

    fn into_kept(self) -> Summary {
        Summary::new(
            &self.manifest,
            self.outcomes,
            self.renamed,
            self.moved_bytes,
        )
    }
}

/// The path of an accepted entry.
fn accepted(reviewed: &[Reviewed], entry: EntryIndex) -> &EntryPath {
    let path = reviewed[entry.as_usize()].path();
    path.expect("what the rules refuse is not accepted")
}

/// How much the sender reads of files that are present here, to compare them,
/// before it sends more of each.
#[derive(Default)]
struct Comparing {
    bytes: HashMap<EntryIndex, u64>,
    left_bytes: u64,
}

impl Comparing {
    fn of(manifest: &Manifest, answers: &[Answer]) -> Self {
        let bytes: HashMap<_, _> = manifest
            .indexed()
            .zip(answers)
            .filter(|(_, answer)| matches!(answer, Answer::Compare(_) | Answer::Resume(_)))
            .map(|((index, entry), answer)| match answer {
                Answer::Resume(_) => (index, entry.size_bytes - remaining_bytes(entry, answer)),
                _ => (index, entry.size_bytes),
            })
            .collect();
        let left_bytes = sum(bytes.values().copied());
        Self { bytes, left_bytes }
    }

    /// Returns how much was compared.
    fn handle_compared(&mut self, entry: EntryIndex) -> u64 {
        let bytes = self.bytes.remove(&entry).unwrap_or(0);
        self.left_bytes = self.left_bytes.saturating_sub(bytes);
        bytes
    }
}

/// Saturating: the numbers come from the peer, and may be within the caller's
/// limits.
fn sum(bytes: impl Iterator<Item = u64>) -> u64 {
    bytes.fold(0, u64::saturating_add)
}

fn remaining_bytes(entry: &Entry, answer: &Answer) -> u64 {
    match answer {
        Answer::Refuse(_) | Answer::Compare(_) => 0,
        Answer::Resume(tree) => entry.size_bytes.saturating_sub(tree.blocks() * BLOCK_BYTES),
        _ => entry.size_bytes,
    }
}
