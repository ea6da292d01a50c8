//! Uses system calls relative to a handle.
//!
//! Windows has no permission bits: files get what their folder passes on. An unfinished
//! file is locked by sharing no writes. Links are neither followed nor created.

use std::{
    ffi::OsStr,
    fs::{File, FileTimes, Metadata, OpenOptions},
    io::{self, ErrorKind},
    os::windows::fs::{FileExt as _, OpenOptionsExt},
    path::{Component, Path},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

pub(crate) use sockkit_core::directory::Stat;
use sockkit_core::directory::{self, Opening};

use super::Room;
use crate::{Entry, EntryPath, FileTime, LinkTarget, NameRules, TEMPORARY_PREFIX};

/// A folder, held open by its handle.
#[derive(Debug)]
pub(crate) struct Folder(File);

impl Folder {
    /// Opens a folder named by the user; links in its path are followed.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let folder = OpenOptions::new()
            .read(true)
            .custom_flags(FLAG_BACKUP_SEMANTICS)
            .open(path)?;
        if directory::look(&folder)?.is_folder() {
            Ok(Self(folder))
        } else {
            Err(ErrorKind::NotADirectory.into())
        }
    }

    /// Opens a folder below this one, without following links.
    pub(crate) fn below(&self, path: &EntryPath) -> io::Result<Self> {
        let mut folder: Option<Self> = None;
        for component in path.components() {
            let parent = folder.as_ref().unwrap_or(self);
            folder = Some(Self(parent.open_as(component, Opening::Folder)?));
        }
        folder.ok_or_else(|| ErrorKind::NotFound.into())
    }

    /// The same, but creates missing folders.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidFilename`] for a name that Windows' own programs could not
    /// open, whatever the transfer's rules allow.
    pub(crate) fn make_below(
        &self,
        path: &EntryPath,
        _mode_of: impl Fn(&[u8]) -> Mode,
    ) -> io::Result<Self> {
        let mut folder: Option<Self> = None;
        for component in path.components() {
            let parent = folder.as_ref().unwrap_or(self);
            check_new(component)?;
            let opened = match parent.open_as(component, Opening::NewFolder) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    parent.open_as(component, Opening::Folder)
                }
                made => made,
            };
            folder = Some(Self(opened?));
        }
        folder.ok_or_else(|| ErrorKind::NotFound.into())
    }

    /// Opens a regular file below this folder for reading, without following
    /// links.
    pub(crate) fn open_file_below(&self, path: &EntryPath) -> io::Result<File> {
        match path.parent() {
            Some(parent) => self.below(&parent)?.open_file(path.file_name()),
            None => self.open_file(path.file_name()),
        }
    }

    /// Looks up `name`, without following a link.
    ///
    /// # Errors
    /// As for [`make_below`](Self::make_below), so that a file is refused before its
    /// contents are sent.
    pub(crate) fn find(&self, name: impl AsRef<[u8]>) -> io::Result<Option<Stat>> {
        if !name.as_ref().starts_with(TEMPORARY_PREFIX.as_bytes()) {
            check_new(name.as_ref())?;
        }
        match self.open_as(name, Opening::Look) {
            Ok(found) => directory::look(&found).map(Some),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens a file in this folder for reading.
    pub(crate) fn open_file(&self, name: impl AsRef<[u8]>) -> io::Result<File> {
        self.open_as(name, Opening::Read)
    }

    /// Always `None`: the targets of links are not read.
    pub(in crate::store) fn read_link(
        &self,
        _name: impl AsRef<[u8]>,
    ) -> io::Result<Option<Vec<u8>>> {
        Ok(None)
    }

    /// # Errors
    /// Always [`ErrorKind::Unsupported`]: a link needs rights that users lack.
    pub(in crate::store) fn link_new(
        &self,
        _target: &LinkTarget,
        _name: impl AsRef<[u8]>,
    ) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }

    /// # Errors
    /// As [`link_new`](Self::link_new).
    pub(in crate::store) fn link_over(
        &self,
        target: &LinkTarget,
        name: impl AsRef<[u8]>,
    ) -> io::Result<()> {
        self.link_new(target, name)
    }

    /// Always: names that differ in case alone are one, unless the user has
    /// asked for something else, folder by folder.
    pub(in crate::store) fn confuses_names(&self) -> io::Result<bool> {
        Ok(true)
    }

    /// Opens or creates a temporary file, and locks it against other transfers.
    /// Returns `None` if a folder or a junction has the name.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if another transfer holds it.
    pub(crate) fn lock_temporary(&self, name: &str) -> io::Result<Option<File>> {
        // An existing file may be unusable, or may be renamed by its owner
        // between the lookup and the lock.
        for _ in 0..LOCK_ATTEMPTS {
            match self.lock_new(name) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                made => return made.map(Some),
            }
            match self.lock_existing(name)? {
                Existing::Locked(file) => return Ok(Some(file)),
                Existing::Foreign => return Ok(None),
                Existing::Gone => {}
            }
        }
        Err(ErrorKind::WouldBlock.into())
    }

    /// Creates a temporary file and locks it.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if the name is in use.
    pub(crate) fn lock_new(&self, name: &str) -> io::Result<File> {
        self.open_as(name, Opening::New).map_err(busy)
    }

    /// Locks a temporary file of an earlier attempt, or removes an unusable one. A file
    /// that another transfer holds is never removed.
    fn lock_existing(&self, name: &str) -> io::Result<Existing> {
        let Some(there) = self.find(name)? else {
            return Ok(Existing::Gone);
        };
        if there.is_folder() {
            return Ok(Existing::Foreign);
        }
        if !there.is_file() {
            return self.remove_link(name);
        }
        let Some(file) = self.lock(name)? else {
            return Ok(Existing::Gone);
        };
        // Another name of the file would expose the data as well.
        if directory::look(&file)?.links == 1 {
            return Ok(Existing::Locked(file));
        }
        self.remove(name)?;
        drop(file);
        Ok(Existing::Gone)
    }

    /// Removes a link to a file; one to a folder stays.
    fn remove_link(&self, name: &str) -> io::Result<Existing> {
        match self.remove(name) {
            Ok(()) => Ok(Existing::Gone),
            Err(error) if is_in_the_way(&error) => Ok(Existing::Foreign),
            Err(error) => Err(error),
        }
    }

    /// Locks an existing file; `None` if it no longer exists.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if another transfer holds it.
    pub(in crate::store) fn lock(&self, name: &str) -> io::Result<Option<File>> {
        match self.open_as(name, Opening::Write) {
            Ok(file) => Ok(Some(file)),
            Err(error) if is_gone(&error) || is_in_the_way(&error) => Ok(None),
            Err(error) => Err(busy(error)),
        }
    }

    /// Whether `name` currently refers to the file described by `stat`.
    pub(in crate::store) fn names(&self, name: &str, stat: &Stat) -> io::Result<bool> {
        let there = self.find(name)?;
        Ok(there.is_some_and(|there| there.identity == stat.identity))
    }

    /// There are no modes.
    pub(crate) fn new_file_mode(&self) -> io::Result<Mode> {
        Ok(Mode)
    }

    /// The names in this folder that start with `prefix`, if they are Unicode.
    pub(in crate::store) fn names_with(&self, prefix: &str) -> io::Result<Vec<String>> {
        let mut names = directory::names(&self.0)?;
        names.retain(|name| name.starts_with(prefix));
        Ok(names)
    }

    /// Renames a file to its final name; fails if the name is in use.
    pub(crate) fn rename_new(&self, from: &str, to: impl AsRef<[u8]>) -> io::Result<()> {
        self.rename(from, to, false)
    }

    /// Renames a file to its final name, replacing an existing file.
    pub(crate) fn rename_over(&self, from: &str, to: impl AsRef<[u8]>) -> io::Result<()> {
        self.rename(from, to, true)
    }

    fn rename(&self, from: &str, to: impl AsRef<[u8]>, replace: bool) -> io::Result<()> {
        check_new(to.as_ref())?;
        let file = self.open_as(from, Opening::Name)?;
        directory::rename(&file, &self.0, text(to.as_ref())?, replace)
    }

    /// Removes a name, if it exists.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match self.open_as(name, Opening::Name) {
            Ok(file) => directory::delete(file),
            Err(error) if is_gone(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Does nothing: NTFS writes names to its journal, and syncing a folder takes
    /// an administrator's rights.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    /// Free space of the volume.
    pub(crate) fn room(&self) -> io::Result<Room> {
        let (bytes, unit_bytes) = directory::room(&self.0)?;
        Ok(Room {
            bytes,
            unit_bytes: unit_bytes.max(MIN_UNIT_BYTES),
            inodes: None,
        })
    }

    fn open_as(&self, name: impl AsRef<[u8]>, opening: Opening) -> io::Result<File> {
        directory::open(&self.0, text(name.as_ref())?, opening)
    }
}

/// What exists under a temporary file's name.
enum Existing {
    /// A file, locked.
    Locked(File),
    /// A folder, or a link to one: it is left alone.
    Foreign,
    /// Nothing.
    Gone,
}

/// Permissions, which do not exist here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode;

/// The serial number of a volume.
pub(crate) type Dev = u64;

/// The volume, and the file in it.
pub(crate) type Identity = (Dev, u128);

/// Reads and writes at an offset.
pub(crate) trait FileExt {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
}

impl FileExt for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.seek_read(buffer, offset)
    }

    fn write_all_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = self.seek_write(bytes, offset)?;
            if written == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
            bytes = &bytes[written..];
            offset += written as u64;
        }
        Ok(())
    }
}

/// Always: the owner is not asked for.
pub(in crate::store) fn is_own(_stat: &Stat) -> bool {
    true
}

/// Whether it is a regular file.
pub(crate) fn is_file(stat: &Stat) -> bool {
    stat.is_file()
}

/// Whether it is a symbolic link, a junction, or another reparse point.
pub(crate) fn is_link(stat: &Stat) -> bool {
    stat.is_reparse_point()
}

/// Its length.
pub(in crate::store) fn size_bytes(stat: &Stat) -> Option<u64> {
    Some(stat.size_bytes)
}

/// Modification time, in seconds since 1970.
pub(in crate::store) fn modified_seconds(stat: &Stat) -> i64 {
    i64::try_from(stat.modified / UNITS_PER_SECOND).unwrap_or(i64::MAX) - SECONDS_TO_1970
}

/// The volume, and the file in it.
pub(in crate::store) fn identity(stat: &Stat) -> Identity {
    stat.identity
}

/// The volume.
pub(in crate::store) fn file_system(stat: &Stat) -> Dev {
    stat.identity.0
}

/// Whether the error means that the file system does not allow the name.
pub(crate) fn is_bad_name(error: &io::Error) -> bool {
    error.kind() == ErrorKind::InvalidFilename
}

/// Whether the error means that links are not supported.
pub(crate) fn has_no_links(error: &io::Error) -> bool {
    error.kind() == ErrorKind::Unsupported
}

/// Whether the error means that a link or a file was found instead of a folder, or a
/// folder instead of a file.
pub(crate) fn is_in_the_way(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotADirectory | ErrorKind::IsADirectory
    ) || error.raw_os_error() == Some(ERROR_REPARSE_POINT_ENCOUNTERED)
}

/// Whether nothing has the name, or will not once its last user closes it.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(ERROR_DELETE_PENDING)
}

fn busy(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(ERROR_SHARING_VIOLATION | ERROR_DELETE_PENDING) => ErrorKind::WouldBlock.into(),
        _ => error,
    }
}

pub(in crate::store) fn mode_of(_entry: &Entry, new: Mode) -> Mode {
    new
}

pub(in crate::store) fn folder_mode(_entry: &Entry) -> Mode {
    Mode
}

pub(in crate::store) fn usual_folder_mode() -> Mode {
    Mode
}

pub(in crate::store) fn open_up(_file: &File, _mode: Mode, _replaced: Option<&Stat>) {}

/// The current metadata of the file.
pub(in crate::store) fn stat_of(file: &File) -> io::Result<Stat> {
    directory::look(file)
}

/// Sets the modification time, unless the system cannot represent it.
pub(in crate::store) fn set_modified(file: &File, modified: FileTime) -> io::Result<()> {
    let whole = Duration::from_secs(modified.seconds.unsigned_abs());
    let start = match modified.seconds {
        ..0 => UNIX_EPOCH.checked_sub(whole),
        0.. => UNIX_EPOCH.checked_add(whole),
    };
    let part = Duration::from_nanos(modified.nanoseconds.into());
    match start.and_then(|start| start.checked_add(part)) {
        Some(time) => set_times(file, time),
        None => Ok(()),
    }
}

/// The system has no time of zero, which is the first of 1601: it means none.
fn set_times(file: &File, time: SystemTime) -> io::Result<()> {
    match file.set_times(FileTimes::new().set_accessed(time).set_modified(time)) {
        Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(()),
        set => set,
    }
}

/// Modification time of a file to send.
pub(in crate::store) fn file_time(metadata: &Metadata) -> FileTime {
    let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    let (seconds, nanoseconds) = match modified.duration_since(UNIX_EPOCH) {
        Ok(since) => (i64::try_from(since.as_secs()), since.subsec_nanos()),
        Err(error) => {
            let before = error.duration();
            let seconds = before.as_secs() + u64::from(before.subsec_nanos() > 0);
            let up = (1_000_000_000 - before.subsec_nanos()) % 1_000_000_000;
            (i64::try_from(seconds).map(|seconds| -seconds), up)
        }
    };
    FileTime::new(seconds.unwrap_or(0), nanoseconds)
}

/// Time of the last change to a file to send, in units of the system's own.
pub(in crate::store) fn change_time(file: &File, _metadata: &Metadata) -> io::Result<(i64, i64)> {
    Ok((directory::change_time(file)?, 0))
}

/// None are told.
pub(in crate::store) fn permissions(_metadata: &Metadata) -> u16 {
    0
}

/// Not known.
pub(in crate::store) fn is_for_owner(_metadata: &Metadata) -> bool {
    false
}

/// A name that is not Unicode cannot be sent to other systems.
pub(in crate::store) fn bytes_of(name: &OsStr) -> Option<&[u8]> {
    name.to_str().map(str::as_bytes)
}

/// The target of a link as it is sent: with `/` between names, and at the start of one
/// that is absolute, as that of a junction always is. `None` if it is not Unicode.
pub(in crate::store) fn target_of(target: &Path) -> Option<Vec<u8>> {
    let text = target.to_str()?;
    let leads_out =
        target.has_root() || matches!(target.components().next(), Some(Component::Prefix(_)));
    let start = if leads_out { "/" } else { "" };
    Some(format!("{start}{}", text.replace('\\', "/")).into_bytes())
}

/// Checks a name that is to be created and is not a temporary one: no device's, and
/// no short name of a temporary file.
fn check_new(name: &[u8]) -> io::Result<()> {
    let checked = EntryPath::parse(name).and_then(|path| NameRules::Windows.check(&path));
    checked.map_err(|error| io::Error::new(ErrorKind::InvalidFilename, error))
}

fn text(name: &[u8]) -> io::Result<&str> {
    str::from_utf8(name).map_err(|_not_unicode| ErrorKind::InvalidFilename.into())
}

/// Without it no folder can be opened.
const FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
const ERROR_SHARING_VIOLATION: i32 = 32;
const ERROR_DELETE_PENDING: i32 = 303;
const ERROR_REPARSE_POINT_ENCOUNTERED: i32 = 4_395;
/// The system counts in 100 ns, from 1601.
const UNITS_PER_SECOND: u64 = 10_000_000;
const SECONDS_TO_1970: i64 = 11_644_473_600;
const LOCK_ATTEMPTS: u32 = 3;
const MIN_UNIT_BYTES: u64 = 4_096;
