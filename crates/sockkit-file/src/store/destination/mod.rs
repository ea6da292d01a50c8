//! The folder for received files, and the only code that writes there.
//!
//! Everything is relative to one open folder. A file is written under a
//! temporary name in its final folder, synced, and then renamed. Other programs
//! see the old file or the complete new one, never a part.

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use super::{
    folder::{
        self, Folder, Identity, Mode, Room, Stat, is_bad_name, is_file, is_in_the_way, is_link,
    },
    part::{Completed, Part, PartNames},
    stale,
    sync::{by_file_system, sync_files},
};
use crate::{
    Answer, BLOCK_BYTES, BlockHasher, BlockIndex, Digest, DigestTree, Entry, EntryIndex, EntryKind,
    EntryPath, Integrity, LinkTarget, RawPath, RefuseReason, block_count,
};

/// A folder into which files are received.
///
/// Nothing is ever written outside it: names that could lead out are refused,
/// and no symbolic link below it is followed, not even one that appears during
/// the transfer.
#[derive(Clone, Debug)]
pub struct Destination {
    pub(super) root: Arc<Folder>,
    path: PathBuf,
}

impl Destination {
    /// Opens an existing folder. Links in its path are followed: they belong to
    /// the user.
    ///
    /// # Errors
    /// If it is not a folder or cannot be read.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        Ok(Self {
            root: Arc::new(Folder::open(path)?),
            path: path.to_owned(),
        })
    }

    /// The path with which it was opened. It may have been renamed since.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Free space, in bytes.
    ///
    /// # Errors
    /// If the file system does not report it.
    pub fn free_bytes(&self) -> io::Result<u64> {
        Ok(self.root.room()?.bytes)
    }

    /// Opens a regular file in it for reading, through no link.
    #[cfg(feature = "web")]
    pub(crate) fn open_file(&self, path: &EntryPath) -> io::Result<File> {
        self.root.open_file_below(path)
    }

    /// Free space and inodes.
    pub(crate) fn room(&self) -> io::Result<Room> {
        self.root.room()
    }
}

/// What to do if a file already exists.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum OnConflict {
    /// Keep it and refuse the new one. Default.
    #[default]
    Refuse,
    /// Give the new one another name: `name (1).ext`.
    Rename,
    /// Replace it when the new one is complete and verified.
    Overwrite,
    /// Treat it as already received if it has the same contents; otherwise
    /// refuse the new one.
    Resume,
    /// Take it for an earlier success if it has the same contents; otherwise
    /// replace it, once the new one is complete and verified.
    Update,
}

impl OnConflict {
    /// Whether a file that is there, and differs, is replaced.
    pub(super) const fn replaces(self) -> bool {
        matches!(self, Self::Overwrite | Self::Update)
    }

    /// Whether a file that is there, and is the same, is kept.
    pub(super) const fn keeps_same(self) -> bool {
        matches!(self, Self::Resume | Self::Update)
    }
}

/// Prepares, opens and completes the files of one transfer.
///
/// Nothing is created before a file starts: entries of an offer alone use no
/// disk space.
#[derive(Debug)]
pub(crate) struct Writer {
    root: Arc<Folder>,
    on_conflict: OnConflict,
    integrity: Integrity,
    /// The folder used last, because thousands of files may share it.
    recent: Option<(EntryPath, Arc<Folder>)>,
    /// Permission bits of listed folders.
    folder_modes: HashMap<EntryPath, Mode>,
    /// Whether the file system confuses names, once it matters.
    confuses_names: Option<bool>,
    /// Folders to be created.
    missing: HashSet<EntryPath>,
    /// Folders whose leftovers of earlier transfers have been cleaned up.
    swept: HashSet<Option<EntryPath>>,
    removed_parts: u32,
    /// The mode of a file that is not private, once determined.
    file_mode: Option<Mode>,
    /// Parts that are being resumed, held open from the answer on.
    resumed: HashMap<EntryIndex, Part>,
    completed: Vec<(EntryIndex, Completed)>,
    completed_bytes: u64,
    /// Files that this transfer may replace. If the file system confuses names
    /// after all, its own files must not replace each other.
    replacing: HashSet<Identity>,
    /// Syncs files of one file system; replaced in tests only.
    sync: fn(&[&Completed]) -> io::Result<()>,
}

impl Writer {
    pub(crate) fn new(destination: &Destination, on_conflict: OnConflict) -> Self {
        Self {
            root: Arc::clone(&destination.root),
            on_conflict,
            integrity: Integrity::default(),
            recent: None,
            folder_modes: HashMap::new(),
            confuses_names: None,
            missing: HashSet::new(),
            swept: HashSet::new(),
            removed_parts: 0,
            file_mode: None,
            resumed: HashMap::new(),
            completed: Vec::new(),
            completed_bytes: 0,
            replacing: HashSet::new(),
            sync: sync_files,
        }
    }

    /// What the sender proves. Without digests no file can be resumed or compared.
    pub(crate) fn integrity(mut self, integrity: Integrity) -> Self {
        self.integrity = integrity;
        self
    }

    /// Decides about one entry by the contents of the disk.
    pub(crate) fn prepare(&mut self, index: EntryIndex, path: &EntryPath, entry: &Entry) -> Answer {
        let prepared = match &entry.kind {
            EntryKind::Folder => self.prepare_folder(path, entry),
            EntryKind::File => self.prepare_file(index, path, entry),
            EntryKind::Link { target } => self.prepare_link(path, target),
            _ => return Answer::Refuse(RefuseReason::Kind),
        };
        prepared.unwrap_or_else(|error| Answer::Refuse(refusal(path, &error)))
    }

    /// How many folders must be created for the prepared entries.
    pub(crate) fn missing_folders(&self) -> u64 {
        self.missing.len() as u64
    }

    /// How many files of earlier transfers were removed, because they were too
    /// old or unusable.
    pub(crate) fn removed_parts(&self) -> u32 {
        self.removed_parts
    }

    fn prepare_folder(&mut self, path: &EntryPath, entry: &Entry) -> io::Result<Answer> {
        let mode = folder::folder_mode(entry);
        self.folder_modes.insert(path.clone(), mode);
        self.existing(path)?;
        Ok(Answer::Send)
    }

    fn prepare_link(&mut self, path: &EntryPath, target: &RawPath) -> io::Result<Answer> {
        let folder = match path.parent() {
            None => Some(Arc::clone(&self.root)),
            Some(parent) => self.existing(&parent)?,
        };
        let Some(folder) = folder else {
            return Ok(Answer::Send);
        };
        let conflict = link_conflict(&folder, path, target, self.on_conflict)?;
        Ok(conflict.map_or(Answer::Send, Answer::Refuse))
    }

    /// Whether this file system may treat names that differ only in case, or
    /// similarly, as one. If it cannot be tested, assume so.
    pub(crate) fn confuses_names(&mut self) -> bool {
        let root = &self.root;
        *self
            .confuses_names
            .get_or_insert_with(|| root.confuses_names().unwrap_or(true))
    }

    fn prepare_file(
        &mut self,
        index: EntryIndex,
        path: &EntryPath,
        entry: &Entry,
    ) -> io::Result<Answer> {
        let parent = path.parent();
        let folder = match &parent {
            None => Arc::clone(&self.root),
            Some(parent) => match self.existing(parent)? {
                Some(folder) => folder,
                // A folder that does not exist yet contains nothing.
                None => return Ok(Answer::Send),
            },
        };
        if self.swept.insert(parent) {
            match stale::remove_stale(&folder, SystemTime::now()) {
                Ok(removed) => self.removed_parts += removed,
                // The file may arrive nevertheless.
                Err(error) => tracing::warn!(%error, "cannot clean up unfinished files"),
            }
        }
        let name = path.file_name();
        match folder.find(name)? {
            None => {}
            Some(there) if !is_file(&there) => return Ok(Answer::Refuse(RefuseReason::InTheWay)),
            Some(there) => match self.on_conflict {
                OnConflict::Refuse => return Ok(Answer::Refuse(RefuseReason::Exists)),
                OnConflict::Rename | OnConflict::Overwrite => {}
                OnConflict::Resume if self.integrity == Integrity::Unverified => {
                    return Ok(Answer::Refuse(RefuseReason::Exists));
                }
                OnConflict::Update if self.integrity == Integrity::Unverified => {}
                OnConflict::Resume => return compare(&folder, name, &there, entry),
                OnConflict::Update => {
                    let resumed = self.resume(index, Arc::clone(&folder), path, entry)?;
                    return match resumed {
                        Some(resumed) => Ok(resumed),
                        None => update(&folder, name, &there, entry),
                    };
                }
            },
        }
        let resumed = self.resume(index, folder, path, entry)?;
        Ok(resumed.unwrap_or(Answer::Send))
    }

    /// What an earlier attempt left of the file.
    fn resume(
        &mut self,
        index: EntryIndex,
        folder: Arc<Folder>,
        path: &EntryPath,
        entry: &Entry,
    ) -> io::Result<Option<Answer>> {
        if self.integrity == Integrity::Unverified {
            return Ok(None);
        }
        // Only a file with a record can be resumed: one look tells.
        if folder
            .find(&PartNames::of(path.file_name()).record)?
            .is_none()
        {
            return Ok(None);
        }
        let part = Part::open(folder, path, entry)?;
        if part.verified().blocks() == 0 {
            // Nothing may ever be written to it.
            part.discard()?;
            return Ok(None);
        }
        let verified = Box::new(part.verified().clone());
        self.resumed.insert(index, part);
        Ok(Some(Answer::Resume(verified)))
    }

    /// Whether an earlier attempt's part is continued.
    pub(crate) fn is_resumed(&self, index: EntryIndex) -> bool {
        self.resumed.contains_key(&index)
    }

    /// Creates a folder that is itself offered, empty or not.
    pub(crate) fn make_folder(&mut self, path: &EntryPath) -> io::Result<()> {
        let is_made = self
            .recent
            .as_ref()
            .is_some_and(|(recent, _)| recent == path);
        if !is_made {
            self.make(path)?;
        }
        Ok(())
    }

    /// Creates a symbolic link. Call it when nothing more is to be written;
    /// later writes could not pass through it anyway, because no link is
    /// followed.
    ///
    /// Returns its final path.
    pub(crate) fn make_link(
        &mut self,
        path: &EntryPath,
        target: &LinkTarget,
    ) -> io::Result<EntryPath> {
        let folder = self.folder_of(path)?;
        let name = path.file_name();
        match self.on_conflict {
            OnConflict::Rename => {
                return first_free(path, |free| folder.link_new(target, free.file_name()));
            }
            policy
                if policy.keeps_same()
                    && folder.read_link(name)?.as_deref() == Some(target.as_bytes()) => {}
            policy
                if policy.replaces() && folder.find(name)?.is_some_and(|there| is_link(&there)) =>
            {
                folder.link_over(target, name)?;
            }
            _ => folder.link_new(target, name)?,
        }
        Ok(path.clone())
    }

    /// Opens the file that starts to arrive.
    pub(crate) fn open(
        &mut self,
        index: EntryIndex,
        path: &EntryPath,
        entry: &Entry,
    ) -> io::Result<Part> {
        match self.resumed.remove(&index) {
            Some(part) => Ok(part),
            None => Part::open(self.folder_of(path)?, path, entry),
        }
    }

    /// Takes a complete and verified file. It appears under its name at the
    /// next [`flush`](Self::flush).
    pub(crate) fn complete(
        &mut self,
        index: EntryIndex,
        part: Part,
        path: &EntryPath,
        entry: &Entry,
    ) -> io::Result<()> {
        let mode = self.mode_of(entry)?;
        let completed = part.complete(path.clone(), entry, mode)?;
        self.completed_bytes += completed.size_bytes;
        self.completed.push((index, completed));
        Ok(())
    }

    fn mode_of(&mut self, entry: &Entry) -> io::Result<Mode> {
        let mode = match self.file_mode {
            Some(mode) => mode,
            None => *self.file_mode.insert(self.root.new_file_mode()?),
        };
        Ok(folder::mode_of(entry, mode))
    }

    /// Whether enough files are waiting for a sync.
    pub(crate) fn is_full(&self) -> bool {
        self.completed.len() >= MAX_BATCH_FILES || self.completed_bytes >= MAX_BATCH_BYTES
    }

    /// Syncs complete files, then renames each. Returns their paths, or why
    /// they could not be kept.
    ///
    /// # Errors
    /// If something could not be synced. Then nothing is kept that a later
    /// attempt would trust: data that reads correctly may never reach the disk.
    pub(crate) fn flush(&mut self) -> io::Result<Vec<(EntryIndex, io::Result<EntryPath>)>> {
        let batch = std::mem::take(&mut self.completed);
        self.completed_bytes = 0;
        let synced = by_file_system(&batch)
            .values()
            .try_for_each(|files| (self.sync)(files));
        if let Err(error) = synced {
            let resumed = self.resumed.drain().map(|(_, part)| part.discard());
            let batch = batch.into_iter().map(|(_, file)| file.discard());
            // The failure of the disk has already been reported.
            batch.chain(resumed).for_each(drop);
            return Err(error);
        }

        let mut ends = Vec::with_capacity(batch.len());
        let mut folders: Vec<Arc<Folder>> = Vec::new();
        for (index, mut file) in batch {
            let published = self.publish(&mut file);
            let is_here = published.is_ok();
            ends.push((index, published));
            if is_here
                && !folders
                    .iter()
                    .any(|folder| Arc::ptr_eq(folder, &file.folder))
            {
                folders.push(file.folder);
            }
        }
        for folder in folders {
            folder.sync()?;
        }
        Ok(ends)
    }

    /// Returns its final path.
    fn publish(&mut self, file: &mut Completed) -> io::Result<EntryPath> {
        let mut path = file.path.clone();
        if !file.is_there()? {
            let part = &file.names.part;
            return Err(io::Error::other(format!(
                "{part} was replaced by another file"
            )));
        }
        let (folder, part, name) = (&file.folder, &file.names.part, file.path.file_name());
        let replaced = match self.on_conflict.replaces() {
            true => folder.find(name)?,
            false => None,
        };
        // A folder or a link that appeared in the meantime must not be
        // replaced.
        let is_ours = |there: &Stat| self.replacing.contains(&folder::identity(there));
        if replaced
            .as_ref()
            .is_some_and(|there| !is_file(there) || is_ours(there))
        {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        file.open_up(replaced.as_ref());
        match self.on_conflict {
            OnConflict::Overwrite | OnConflict::Update => {
                folder.rename_over(part, name)?;
                self.replacing.insert(folder::identity(&file.stat));
            }
            OnConflict::Rename => {
                path = first_free(&file.path, |free| folder.rename_new(part, free.file_name()))?;
            }
            OnConflict::Refuse | OnConflict::Resume => folder.rename_new(part, name)?,
        }
        // After the rename: a record without its part costs nothing, but a part
        // without its record would have to be transferred again.
        file.renamed()?;
        Ok(path)
    }

    /// Returns the folder if it exists; otherwise records that it must be
    /// created.
    fn existing(&mut self, path: &EntryPath) -> io::Result<Option<Arc<Folder>>> {
        if let Some((recent, folder)) = &self.recent
            && recent == path
        {
            return Ok(Some(Arc::clone(folder)));
        }
        if self.missing.contains(path) {
            return Ok(None);
        }
        match self.root.below(path) {
            Ok(folder) => {
                let folder = Arc::new(folder);
                self.recent = Some((path.clone(), Arc::clone(&folder)));
                Ok(Some(folder))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.note_missing(path);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn note_missing(&mut self, path: &EntryPath) {
        let mut missing = Some(path.clone());
        while let Some(path) = missing.filter(|path| !self.missing.contains(path)) {
            missing = path
                .parent()
                .filter(|parent| self.root.below(parent).is_err());
            self.missing.insert(path);
        }
    }

    fn folder_of(&mut self, path: &EntryPath) -> io::Result<Arc<Folder>> {
        let Some(parent) = path.parent() else {
            return Ok(Arc::clone(&self.root));
        };
        if let Some((recent, folder)) = &self.recent
            && *recent == parent
        {
            return Ok(Arc::clone(folder));
        }
        self.make(&parent)
    }

    fn make(&mut self, path: &EntryPath) -> io::Result<Arc<Folder>> {
        let modes = &self.folder_modes;
        let mode_of = |path: &[u8]| modes.get(path).copied();
        let folder = self.root.make_below(path, |path| {
            mode_of(path).unwrap_or_else(folder::usual_folder_mode)
        })?;
        let folder = Arc::new(folder);
        self.recent = Some((path.clone(), Arc::clone(&folder)));
        Ok(folder)
    }
}

/// The reason to send to the peer for an error of this disk.
pub(crate) fn refusal(path: &EntryPath, error: &io::Error) -> RefuseReason {
    match error.kind() {
        io::ErrorKind::AlreadyExists => RefuseReason::Exists,
        io::ErrorKind::WouldBlock => RefuseReason::Busy,
        _ if is_in_the_way(error) => RefuseReason::InTheWay,
        _ if is_bad_name(error) => RefuseReason::Name,
        _ => {
            // The peer gets no further details.
            tracing::warn!(%path, %error, "cannot keep a file");
            RefuseReason::Io
        }
    }
}

/// Why a link cannot be created, given what has its name.
pub(super) fn link_conflict(
    folder: &Folder,
    path: &EntryPath,
    target: &RawPath,
    on_conflict: OnConflict,
) -> io::Result<Option<RefuseReason>> {
    let name = path.file_name();
    let Some(there) = folder.find(name)? else {
        return Ok(None);
    };
    if !is_link(&there) {
        return Ok(Some(RefuseReason::InTheWay));
    }
    Ok(match on_conflict {
        OnConflict::Refuse => Some(RefuseReason::Exists),
        OnConflict::Rename | OnConflict::Overwrite | OnConflict::Update => None,
        OnConflict::Resume => {
            let is_same = folder.read_link(name)?.as_deref() == Some(target.as_bytes());
            (!is_same).then_some(RefuseReason::Differs)
        }
    })
}

/// A file of the same size may be the same file; its digest tells.
fn compare(folder: &Folder, name: &[u8], there: &Stat, entry: &Entry) -> io::Result<Answer> {
    if folder::size_bytes(there) != Some(entry.size_bytes) {
        return Ok(Answer::Refuse(RefuseReason::Differs));
    }
    // Left by an attempt that died between renaming and cleaning up.
    folder.remove(&PartNames::of(name).record)?;
    Ok(Answer::Compare(digest_of(folder.open_file(name)?)?))
}

/// A file of the same size is offered as the whole of an attempt before: a sender with
/// other contents begins again from its first block.
fn update(folder: &Folder, name: &[u8], there: &Stat, entry: &Entry) -> io::Result<Answer> {
    if folder::size_bytes(there) != Some(entry.size_bytes) {
        return Ok(Answer::Send);
    }
    if entry.size_bytes == 0 {
        return compare(folder, name, there, entry);
    }
    let tree = tree_of(folder.open_file(name)?, entry.size_bytes)?;
    Ok(tree.map_or(Answer::Send, |tree| Answer::Resume(Box::new(tree))))
}

/// The blocks of a file; `None` if its length has changed.
fn tree_of(mut file: File, size_bytes: u64) -> io::Result<Option<DigestTree>> {
    let mut tree = DigestTree::new();
    let mut buffer = vec![0; 1 << 18];
    while tree.blocks() < block_count(size_bytes) {
        let mut left = (size_bytes - tree.blocks() * BLOCK_BYTES).min(BLOCK_BYTES);
        let mut hasher = BlockHasher::new(BlockIndex(tree.blocks()), size_bytes);
        while left > 0 {
            let room = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            let bytes = file.read(&mut buffer[..room])?;
            if bytes == 0 {
                return Ok(None);
            }
            hasher.update(&buffer[..bytes]);
            left -= bytes as u64;
        }
        tree.push(hasher.finish());
    }
    let has_grown = file.read(&mut buffer[..1])? > 0;
    Ok((!has_grown).then_some(tree))
}

fn digest_of(mut file: File) -> io::Result<Digest> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Digest(*hasher.finalize().as_bytes())),
            bytes => hasher.update(&buffer[..bytes]),
        };
    }
}

/// Tries the path's own name, then numbered ones, until `take` finds one that
/// is free. Returns which.
fn first_free(
    path: &EntryPath,
    take: impl Fn(&EntryPath) -> io::Result<()>,
) -> io::Result<EntryPath> {
    let mut free = path.clone();
    for number in 1..=MAX_RENAMES {
        match take(&free) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            done => return done.map(|()| free),
        }
        free = numbered(path, number)?;
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// The same path with a number before its extension.
pub(super) fn numbered(path: &EntryPath, number: u32) -> io::Result<EntryPath> {
    let name = path.file_name();
    let dot = name.iter().rposition(|&byte| byte == b'.');
    let (stem, extension) = name.split_at(dot.filter(|&at| at > 0).unwrap_or(name.len()));
    let name = [stem, format!(" ({number})").as_bytes(), extension].concat();
    path.with_file_name(name)
        .map_err(|_too_long| io::ErrorKind::InvalidFilename.into())
}

/// Limits open files, below the common limit of 1,024.
const MAX_BATCH_FILES: usize = 512;
const MAX_BATCH_BYTES: u64 = 256 << 20;
pub(super) const MAX_RENAMES: u32 = 1_000;
