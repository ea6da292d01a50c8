//! The files of one accepted offer, as they arrive slice by slice.
//!
//! A slice is a block of the store. With each comes the SHA-256 digest of the file up
//! to its end, so that it proves all before it, too: what an earlier attempt left, or
//! what is there already. The last one is the file's own. Blocks on the disk.

use std::{collections::HashMap, io};

use sha2::{Digest as _, Sha256};

use crate::{
    Answer, BLOCK_BYTES, BlockHasher, BlockIndex, Destination, Digest, Entry, EntryIndex,
    EntryPath, FailReason, FileOutcome, Integrity, Manifest, OnConflict, OnProgress, Progress,
    ReceiveConfig, ReceiveError, RefuseReason, Summary,
    driver::{disk, set_outcome},
    session::Reviewed,
    store::{Part, Writer, refusal},
    web::digest::{Sha256Digest, read_all},
};

/// A transfer into a folder.
#[derive(Debug)]
pub(super) struct Transfer {
    manifest: Manifest,
    /// Paths of the accepted entries.
    paths: Vec<Option<EntryPath>>,
    files: Vec<State>,
    destination: Destination,
    writer: Writer,
    on_conflict: OnConflict,
    on_progress: OnProgress,
    outcomes: Vec<Option<FileOutcome>>,
    renamed: HashMap<EntryIndex, EntryPath>,
    moved_bytes: u64,
    /// Files that have not ended.
    open_files: usize,
    /// Those that hold a part.
    opened: usize,
}

/// Where one file is.
#[derive(Debug)]
enum State {
    /// Nothing of it is here.
    Absent,
    /// A file of its size, which the sender compares.
    Existing(Digest),
    /// Some of it is here.
    Partial(Box<Partial>),
    Ended(Ended),
}

#[derive(Debug)]
struct Partial {
    part: Part,
    sha256: Sha256,
    offset: u64,
    /// Whether the sender has proved what was here before.
    is_proved: bool,
}

/// How a file ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ended {
    Complete(Sha256Digest),
    Refused(RefuseReason),
    Failed(FailReason),
}

/// Where the sender continues.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Progressed {
    At(u64),
    Ended(Ended),
}

/// Why a slice was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum SliceError {
    #[error("no such file")]
    NoSuchFile,
    #[error("the file continues at byte {0}")]
    Elsewhere(u64),
    #[error("the file is not the one that was sent before; it starts again")]
    Differs,
    #[error("the slice has {found} bytes and should have {expected}")]
    Length { found: u64, expected: u64 },
    #[error("too many files are unfinished; finish one of them first")]
    TooMany,
    #[error("the slice does not match its digest; send it again")]
    Corrupt,
    #[error(transparent)]
    Fatal(ReceiveError),
}

impl Transfer {
    /// Decides about each entry by the contents of the disk.
    ///
    /// # Errors
    /// If the disk lacks the room.
    pub(super) fn prepare(
        destination: &Destination,
        manifest: Manifest,
        reviewed: &[Reviewed],
        config: &ReceiveConfig,
    ) -> Result<Self, ReceiveError> {
        let entries = manifest.entries.len();
        let mut transfer = Self {
            paths: reviewed.iter().map(|it| it.path().ok().cloned()).collect(),
            files: Vec::with_capacity(entries),
            destination: destination.clone(),
            writer: Writer::new(destination, config.on_conflict).integrity(Integrity::Blake3),
            on_conflict: config.on_conflict,
            on_progress: config.on_progress.clone(),
            outcomes: vec![None; entries],
            renamed: HashMap::new(),
            moved_bytes: 0,
            open_files: 0,
            opened: 0,
            manifest,
        };
        let mut missing_bytes = 0_u64;
        for (position, reviewed) in reviewed.iter().enumerate() {
            let state = transfer.prepare_file(index_of(position), reviewed)?;
            let size_bytes = transfer.manifest.entries[position].size_bytes;
            missing_bytes = missing_bytes.saturating_add(match &state {
                State::Absent => size_bytes,
                State::Partial(partial) => size_bytes - partial.offset,
                State::Existing(_) | State::Ended(_) => 0,
            });
            transfer.opened += usize::from(state.is_opened());
            if let State::Ended(Ended::Refused(reason)) = state {
                transfer.outcomes[position] = Some(FileOutcome::Refused(reason));
            } else {
                transfer.open_files += 1;
            }
            transfer.files.push(state);
        }
        transfer.check_room(missing_bytes)?;
        transfer.tell_start();
        Ok(transfer)
    }

    fn prepare_file(
        &mut self,
        index: EntryIndex,
        reviewed: &Reviewed,
    ) -> Result<State, ReceiveError> {
        let refused = |reason| Ok(State::Ended(Ended::Refused(reason)));
        let entry = &self.manifest.entries[index.as_usize()];
        let path = match reviewed.path() {
            Ok(_) if reviewed.is_twin() && self.writer.confuses_names() => {
                return refused(RefuseReason::Collision);
            }
            Ok(path) => path,
            Err(reason) => return refused(reason),
        };
        match self.writer.prepare(index, path, entry) {
            Answer::Refuse(reason) => refused(reason),
            // Beyond these it starts again when its turn comes: parts hold descriptors.
            Answer::Resume(_) if self.writer.is_resumed(index) && self.opened >= MAX_RESUMED => {
                Ok(State::Absent)
            }
            Answer::Resume(_) if self.writer.is_resumed(index) => {
                let part = self.writer.open(index, path, entry);
                let partial = part.and_then(|part| Partial::resumed(part, entry.size_bytes));
                let partial = partial.map_err(|error| self.write_error(index, error))?;
                Ok(State::Partial(Box::new(partial)))
            }
            // Of an update, or left by an earlier success.
            Answer::Resume(tree) => Ok(State::Existing(tree.root())),
            Answer::Compare(digest) => Ok(State::Existing(digest)),
            _ => Ok(State::Absent),
        }
    }

    fn check_room(&self, needed_bytes: u64) -> Result<(), ReceiveError> {
        let room = self.destination.room().map_err(ReceiveError::Room)?;
        let needed_bytes =
            needed_bytes.saturating_add(room.unit_bytes.saturating_mul(self.open_files as u64));
        match needed_bytes > room.bytes && self.open_files > 0 {
            true => Err(ReceiveError::NoSpace {
                needed_bytes,
                available_bytes: room.bytes,
            }),
            false => Ok(()),
        }
    }

    fn tell_start(&self) {
        let entries = self.manifest.indexed().zip(&self.files);
        let (mut total_bytes, mut resumed) = (0_u64, Vec::new());
        for ((entry, offered), state) in entries {
            if !matches!(state, State::Ended(_)) {
                total_bytes = total_bytes.saturating_add(offered.size_bytes);
            }
            if let State::Partial(partial) = state {
                resumed.push((entry, partial.offset));
            }
        }
        self.on_progress.tell(Progress::Started { total_bytes });
        for (entry, bytes) in resumed {
            self.on_progress.tell(Progress::Resumed { entry, bytes });
        }
    }

    /// Whether every file has ended.
    pub(super) fn is_finished(&self) -> bool {
        self.open_files == 0
    }

    /// Where each file is.
    pub(super) fn positions(&self) -> impl Iterator<Item = Progressed> {
        self.files.iter().map(State::position)
    }

    /// Takes a slice. `sha256` is the digest of the file from its start to the slice's end.
    ///
    /// # Errors
    /// [`SliceError::Fatal`] ends the transfer; after any other the sender may continue.
    pub(super) fn take(
        &mut self,
        index: EntryIndex,
        offset: u64,
        slice: &[u8],
        sha256: Sha256Digest,
    ) -> Result<Progressed, SliceError> {
        let position = index.as_usize();
        let Some(state) = self.files.get(position) else {
            return Err(SliceError::NoSuchFile);
        };
        let size_bytes = self.manifest.entries[position].size_bytes;
        match state {
            State::Ended(_) => {}
            State::Existing(there) if (offset, slice.len()) == (size_bytes, 0) => {
                self.compare(index, *there, sha256)?;
            }
            State::Existing(_) => return Err(SliceError::Elsewhere(size_bytes)),
            State::Absent => {
                if offset != 0 {
                    return Err(SliceError::Elsewhere(0));
                }
                if self.opened >= MAX_OPENED {
                    return Err(SliceError::TooMany);
                }
                if let Some(part) = self.open(index)? {
                    self.put(index, State::Partial(Box::new(Partial::new(part))));
                    self.append(index, offset, slice, sha256)?;
                }
            }
            State::Partial(_) => self.append(index, offset, slice, sha256)?,
        }
        Ok(self.files[position].position())
    }

    /// The sender cannot read the file. What is verified of it stays for another attempt.
    ///
    /// # Errors
    /// [`SliceError::Fatal`] ends the transfer.
    pub(super) fn fail(&mut self, index: EntryIndex) -> Result<Progressed, SliceError> {
        let Some(state) = self.files.get(index.as_usize()) else {
            return Err(SliceError::NoSuchFile);
        };
        if !matches!(state, State::Ended(_)) {
            let reason = FailReason::Unreadable;
            self.end(index, Ended::Failed(reason), FileOutcome::Failed(reason))?;
        }
        Ok(self.files[index.as_usize()].position())
    }

    /// Compares a file that is here with the sender's.
    fn compare(
        &mut self,
        index: EntryIndex,
        there: Digest,
        sha256: Sha256Digest,
    ) -> Result<(), SliceError> {
        let path = self.path(index).clone();
        let size_bytes = self.manifest.entries[index.as_usize()].size_bytes;
        let found = self.destination.open_file(&path).and_then(|file| {
            let mut hasher = Sha256::new();
            let read_at = |buffer: &mut [u8], offset| {
                use crate::store::FileExt as _;

                file.read_at(buffer, offset)
            };
            read_all(size_bytes, read_at, |bytes| hasher.update(bytes))?;
            Ok(Sha256Digest::of(&hasher))
        });
        match found {
            Ok(found) if found == sha256 => {
                let bytes = size_bytes;
                self.on_progress.tell(Progress::Resumed {
                    entry: index,
                    bytes,
                });
                let outcome = FileOutcome::Complete(Some(there));
                self.end(index, Ended::Complete(sha256), outcome)
            }
            _ if self.on_conflict == OnConflict::Update => {
                self.put(index, State::Absent);
                Ok(())
            }
            _ => self.refuse(index, RefuseReason::Differs),
        }
    }

    fn append(
        &mut self,
        index: EntryIndex,
        offset: u64,
        slice: &[u8],
        sha256: Sha256Digest,
    ) -> Result<(), SliceError> {
        let position = index.as_usize();
        let size_bytes = self.manifest.entries[position].size_bytes;
        let State::Partial(partial) = &mut self.files[position] else {
            return Ok(());
        };
        let hasher = partial.check(offset, slice, size_bytes, sha256);
        match hasher {
            Ok(hasher) => {
                if let Err(error) = partial.write(slice, size_bytes, hasher) {
                    return self.failed(index, error);
                }
            }
            Err(SliceError::Differs) => {
                if let State::Partial(partial) = self.put(index, State::Absent) {
                    let discarded = partial.part.discard();
                    discarded.map_err(|error| SliceError::Fatal(self.write_error(index, error)))?;
                }
                return Err(SliceError::Differs);
            }
            Err(error) => return Err(error),
        }
        let is_whole = partial.offset == size_bytes;
        let bytes = slice.len() as u64;
        self.moved_bytes += bytes;
        self.on_progress.tell(Progress::Moved {
            entry: index,
            bytes,
        });
        match is_whole {
            true => self.complete(index, sha256),
            false => Ok(()),
        }
    }

    /// Closes a file whose last digest matched.
    fn complete(&mut self, index: EntryIndex, sha256: Sha256Digest) -> Result<(), SliceError> {
        let position = index.as_usize();
        let State::Partial(partial) = self.put(index, State::Absent) else {
            return Ok(());
        };
        let outcome = FileOutcome::Complete(Some(partial.part.verified().root()));
        let path = self.path(index).clone();
        let entry = &self.manifest.entries[position];
        if let Err(error) = self.writer.complete(index, partial.part, &path, entry) {
            return self.failed(index, error);
        }
        self.end(index, Ended::Complete(sha256), outcome)
    }

    /// `None` if this file cannot be written; the others continue.
    fn open(&mut self, index: EntryIndex) -> Result<Option<Part>, SliceError> {
        let path = self.path(index).clone();
        let entry = &self.manifest.entries[index.as_usize()];
        match self.writer.open(index, &path, entry) {
            Ok(part) if part.verified().blocks() == 0 => Ok(Some(part)),
            // Found after all: the sender starts at the first byte, and so does the part.
            Ok(mut part) => match part.begin_block(BlockIndex(0)) {
                Ok(()) => Ok(Some(part)),
                Err(error) => self.failed(index, error).map(|()| None),
            },
            Err(error) => self.failed(index, error).map(|()| None),
        }
    }

    /// An error of the disk, which may concern this file alone.
    fn failed(&mut self, index: EntryIndex, error: io::Error) -> Result<(), SliceError> {
        if error.kind() == io::ErrorKind::FileTooLarge {
            // No later attempt would get further.
            if let State::Partial(partial) = self.put(index, State::Absent) {
                let _ = partial.part.discard();
            }
            return self.refuse(index, RefuseReason::TooLarge);
        }
        if disk::is_fatal(&error) {
            return Err(SliceError::Fatal(self.write_error(index, error)));
        }
        let reason = refusal(self.path(index), &error);
        self.refuse(index, reason)
    }

    fn refuse(&mut self, index: EntryIndex, reason: RefuseReason) -> Result<(), SliceError> {
        self.end(index, Ended::Refused(reason), FileOutcome::Refused(reason))
    }

    fn end(
        &mut self,
        index: EntryIndex,
        ended: Ended,
        outcome: FileOutcome,
    ) -> Result<(), SliceError> {
        self.put(index, State::Ended(ended));
        set_outcome(&mut self.outcomes, index, outcome);
        self.open_files -= 1;
        self.on_progress.tell(Progress::Ended { entry: index });
        if self.open_files == 0 || self.writer.is_full() {
            self.flush().map_err(SliceError::Fatal)?;
        }
        Ok(())
    }

    /// Replaces the state of a file, and returns the one before.
    fn put(&mut self, index: EntryIndex, state: State) -> State {
        self.opened += usize::from(state.is_opened());
        let before = std::mem::replace(&mut self.files[index.as_usize()], state);
        self.opened -= usize::from(before.is_opened());
        before
    }

    /// Gives complete files their names.
    fn flush(&mut self) -> Result<(), ReceiveError> {
        for (index, kept) in self.writer.flush().map_err(ReceiveError::Sync)? {
            match kept {
                Ok(path) if path != *self.path(index) => {
                    self.renamed.insert(index, path);
                }
                Ok(_) => {}
                Err(error) => {
                    let reason = refusal(self.path(index), &error);
                    self.put(index, State::Ended(Ended::Refused(reason)));
                    set_outcome(&mut self.outcomes, index, FileOutcome::Refused(reason));
                }
            }
        }
        Ok(())
    }

    /// Where a file was stored whose name was taken.
    pub(super) fn saved_as(&self, index: EntryIndex) -> Option<&EntryPath> {
        self.renamed.get(&index)
    }

    pub(super) fn summary(&self) -> Summary {
        Summary::new(
            &self.manifest,
            self.outcomes.clone(),
            self.renamed.clone(),
            self.moved_bytes,
        )
    }

    fn path(&self, index: EntryIndex) -> &EntryPath {
        let path = self.paths[index.as_usize()].as_ref();
        path.expect("what the rules refuse has ended")
    }

    fn write_error(&self, index: EntryIndex, error: io::Error) -> ReceiveError {
        let entry: &Entry = &self.manifest.entries[index.as_usize()];
        disk::write_error(entry, self.destination.free_bytes(), error)
    }
}

impl Drop for Transfer {
    /// What is complete stays.
    fn drop(&mut self) {
        let _ = self.flush();
    }
}

impl State {
    /// Whether it holds a part.
    fn is_opened(&self) -> bool {
        matches!(self, Self::Partial(_))
    }

    fn position(&self) -> Progressed {
        match self {
            Self::Absent => Progressed::At(0),
            Self::Existing(_) => Progressed::At(COMPARE),
            Self::Partial(partial) => Progressed::At(partial.offset),
            Self::Ended(ended) => Progressed::Ended(*ended),
        }
    }
}

impl Partial {
    fn new(part: Part) -> Self {
        Self {
            part,
            sha256: Sha256::new(),
            offset: 0,
            is_proved: true,
        }
    }

    /// Continues what an earlier attempt left, and hashes it again.
    fn resumed(part: Part, size_bytes: u64) -> io::Result<Self> {
        let offset = size_bytes.min(part.verified().blocks() * BLOCK_BYTES);
        let mut sha256 = Sha256::new();
        let is_there = read_all(
            offset,
            |buffer, offset| part.read_at(buffer, offset),
            |bytes| sha256.update(bytes),
        )?;
        match is_there {
            true => Ok(Self {
                part,
                sha256,
                offset,
                is_proved: offset == 0,
            }),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// The digest with the slice, if it is the next one and matches.
    fn check(
        &self,
        offset: u64,
        slice: &[u8],
        size_bytes: u64,
        sha256: Sha256Digest,
    ) -> Result<Sha256, SliceError> {
        if offset != self.offset {
            return Err(SliceError::Elsewhere(self.offset));
        }
        let (found, expected) = (slice.len() as u64, BLOCK_BYTES.min(size_bytes - offset));
        if found != expected {
            return Err(SliceError::Length { found, expected });
        }
        let mut hasher = self.sha256.clone();
        hasher.update(slice);
        match (Sha256Digest::of(&hasher) == sha256, self.is_proved) {
            (true, _) => Ok(hasher),
            (false, true) => Err(SliceError::Corrupt),
            (false, false) => Err(SliceError::Differs),
        }
    }

    fn write(&mut self, slice: &[u8], size_bytes: u64, hasher: Sha256) -> io::Result<()> {
        if !slice.is_empty() {
            let index = BlockIndex(self.offset / BLOCK_BYTES);
            self.part.begin_block(index)?;
            self.part.write(slice)?;
            let mut block = BlockHasher::new(index, size_bytes);
            block.update(slice);
            self.part.keep_block(block.finish())?;
        }
        self.offset += slice.len() as u64;
        self.sha256 = hasher;
        self.is_proved = true;
        Ok(())
    }
}

fn index_of(position: usize) -> EntryIndex {
    // An offer has far fewer entries.
    EntryIndex(u32::try_from(position).unwrap_or(u32::MAX))
}

/// A page sends one file after the other.
const MAX_OPENED: usize = 64;

/// Those of an earlier attempt leave room for others.
const MAX_RESUMED: usize = MAX_OPENED / 2;

/// The position "at the end", where the whole file is compared.
pub(super) const COMPARE: u64 = u64::MAX;
