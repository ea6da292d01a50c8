//! Where received files go, and the only code that writes there.
//!
//! Everything is relative to one open folder. A file arrives under a temporary
//! name in its own folder, is synced, and is then renamed: whoever looks sees
//! the old file or the complete new one, never a part.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::fs::Stat;

use super::{
    folder::{Folder, is_file, is_in_the_way},
    part::{Completed, Part, PartNames},
};
use crate::{Answer, Digest, Entry, EntryKind, EntryPath, RefuseReason};

/// A folder into which files are received.
///
/// Nothing is ever written outside it: names that could lead out are refused,
/// and no symbolic link below it is followed, even one that appears during
/// the transfer.
#[derive(Clone, Debug)]
pub struct Destination {
    pub(super) root: Arc<Folder>,
    path: PathBuf,
}

impl Destination {
    /// Opens a folder that exists. Links on the way to it are followed: they
    /// are the user's own.
    ///
    /// # Errors
    /// If it is not a folder or may not be read.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        Ok(Self {
            root: Arc::new(Folder::open(path)?),
            path: path.to_owned(),
        })
    }

    /// The path it was opened by. It may have been renamed since.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that may still be written there.
    ///
    /// # Errors
    /// If the file system does not say.
    pub fn free_bytes(&self) -> io::Result<u64> {
        self.root.free_bytes()
    }
}

/// What to do about a file that is there already.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnConflict {
    /// Leave it and refuse the new one. Default.
    #[default]
    Refuse,
    /// Give the new one another name: `name (1).ext`.
    Rename,
    /// Replace it, once the new one is complete and verified.
    Overwrite,
    /// Take it for an earlier success if it has the same contents; otherwise
    /// refuse the new one.
    Resume,
}

/// Prepares, opens and completes the files of one transfer.
#[derive(Debug)]
pub(crate) struct Writer {
    root: Arc<Folder>,
    on_conflict: OnConflict,
    /// The folder used last: thousands of files may share it.
    recent: Option<(EntryPath, Arc<Folder>)>,
    /// Parts that are being resumed, held open from the answer on.
    resumed: HashMap<u32, Part>,
    completed: Vec<(u32, Completed)>,
    completed_bytes: u64,
}

impl Writer {
    pub(crate) fn new(destination: &Destination, on_conflict: OnConflict) -> Self {
        Self {
            root: Arc::clone(&destination.root),
            on_conflict,
            recent: None,
            resumed: HashMap::new(),
            completed: Vec::new(),
            completed_bytes: 0,
        }
    }

    /// Decides about one entry by what is on the disk.
    pub(crate) fn prepare(&mut self, index: u32, path: &EntryPath, entry: &Entry) -> Answer {
        let prepared = match entry.kind {
            EntryKind::Folder => self.root.make_below(path).map(|_made| Answer::Send),
            EntryKind::File => self.prepare_file(index, path, entry),
        };
        prepared.unwrap_or_else(|error| Answer::Refuse(refusal(path, &error)))
    }

    fn prepare_file(&mut self, index: u32, path: &EntryPath, entry: &Entry) -> io::Result<Answer> {
        let folder = self.folder_of(path)?;
        let name = path.file_name();
        match folder.find(name)? {
            None => {}
            Some(there) if !is_file(&there) => return Ok(Answer::Refuse(RefuseReason::InTheWay)),
            Some(there) => match self.on_conflict {
                OnConflict::Refuse => return Ok(Answer::Refuse(RefuseReason::Exists)),
                OnConflict::Rename | OnConflict::Overwrite => {}
                OnConflict::Resume => return compare(&folder, name, &there, entry),
            },
        }
        // Only a file with a record can be resumed: one look tells.
        if folder.find(&PartNames::of(name).record)?.is_none() {
            return Ok(Answer::Send);
        }
        let part = Part::open(folder, path, entry)?;
        if part.verified().blocks() == 0 {
            return Ok(Answer::Send);
        }
        let verified = Box::new(part.verified().clone());
        self.resumed.insert(index, part);
        Ok(Answer::Resume(verified))
    }

    /// Opens the file that begins to arrive.
    pub(crate) fn open(&mut self, index: u32, path: &EntryPath, entry: &Entry) -> io::Result<Part> {
        match self.resumed.remove(&index) {
            Some(part) => Ok(part),
            None => Part::open(self.folder_of(path)?, path, entry),
        }
    }

    /// Takes a file that is complete and verified; it appears under its name
    /// at the next [`flush`](Self::flush).
    pub(crate) fn complete(&mut self, index: u32, completed: Completed) {
        self.completed_bytes += completed.size_bytes;
        self.completed.push((index, completed));
    }

    /// Whether enough has gathered for one sync.
    pub(crate) fn is_full(&self) -> bool {
        self.completed.len() >= MAX_BATCH_FILES || self.completed_bytes >= MAX_BATCH_BYTES
    }

    /// Syncs what is complete, then gives each its name. Returns where each is,
    /// or why it could not be kept.
    pub(crate) fn flush(&mut self) -> io::Result<Vec<(u32, Result<EntryPath, RefuseReason>)>> {
        let batch = std::mem::take(&mut self.completed);
        self.completed_bytes = 0;
        sync_all(&batch)?;

        let mut ends = Vec::with_capacity(batch.len());
        let mut folders: Vec<Arc<Folder>> = Vec::new();
        for (index, file) in batch {
            let published = self.publish(&file);
            let published = published.map_err(|error| refusal(&file.path, &error));
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

    /// Returns the path under which it now is.
    fn publish(&self, file: &Completed) -> io::Result<EntryPath> {
        let mut path = file.path.clone();
        let (folder, part, name) = (&file.folder, &file.names.part, file.path.file_name());
        match self.on_conflict {
            OnConflict::Overwrite => {
                // A folder or a link that appeared meanwhile is not ours to
                // replace.
                if folder.find(name)?.is_some_and(|there| !is_file(&there)) {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                folder.rename_over(part, name)?;
            }
            OnConflict::Rename => path = rename_free(folder, part, &file.path)?,
            OnConflict::Refuse | OnConflict::Resume => folder.rename_new(part, name)?,
        }
        // After the rename: a record without its part costs nothing, a part
        // without its record would have to be fetched again.
        if file.has_record {
            folder.remove(&file.names.record)?;
        }
        Ok(path)
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
        let folder = Arc::new(self.root.make_below(&parent)?);
        self.recent = Some((parent, Arc::clone(&folder)));
        Ok(folder)
    }
}

/// What to tell the peer about an error of this disk.
pub(crate) fn refusal(path: &EntryPath, error: &io::Error) -> RefuseReason {
    match error.kind() {
        io::ErrorKind::AlreadyExists => RefuseReason::Exists,
        io::ErrorKind::WouldBlock => RefuseReason::Busy,
        _ if is_in_the_way(error) => RefuseReason::InTheWay,
        _ => {
            // The peer is told no more than that.
            tracing::warn!(%path, %error, "cannot keep a file");
            RefuseReason::Io
        }
    }
}

/// A file of the same size may be the same file; its digest tells.
fn compare(folder: &Folder, name: &str, there: &Stat, entry: &Entry) -> io::Result<Answer> {
    if u64::try_from(there.st_size) != Ok(entry.size_bytes) {
        return Ok(Answer::Refuse(RefuseReason::Differs));
    }
    // An attempt that died between renaming and cleaning up left it.
    folder.remove(&PartNames::of(name).record)?;
    Ok(Answer::Compare(digest_of(folder.open_file(name)?)?))
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

/// Returns the name that was free: its own, or one with a number.
fn rename_free(folder: &Folder, part: &str, path: &EntryPath) -> io::Result<EntryPath> {
    let mut free = path.clone();
    for number in 1..=MAX_RENAMES {
        match folder.rename_new(part, free.file_name()) {
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
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => (stem, format!(".{extension}")),
        _ => (name, String::new()),
    };
    path.with_file_name(&format!("{stem} ({number}){extension}"))
        .map_err(|_too_long| io::ErrorKind::InvalidFilename.into())
}

/// One call for the whole file system costs less than one for each of many
/// files.
fn sync_all(batch: &[(u32, Completed)]) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if let [(_, first), ..] = batch
        && batch.len() >= MIN_SYNCFS_FILES
    {
        return first.folder.sync_file_system();
    }
    batch.iter().try_for_each(|(_, file)| file.file.sync_all())
}

/// Open files, so below the common limit of 1,024.
const MAX_BATCH_FILES: usize = 512;
const MAX_BATCH_BYTES: u64 = 256 << 20;
#[cfg(target_os = "linux")]
const MIN_SYNCFS_FILES: usize = 8;
pub(super) const MAX_RENAMES: u32 = 1_000;
