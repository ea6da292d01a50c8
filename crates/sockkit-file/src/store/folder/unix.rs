//! Uses system calls relative to a descriptor.

use std::{
    ffi::OsStr,
    fs::{File, Metadata},
    io::{self, ErrorKind},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::MetadataExt},
    },
    path::Path,
};

pub(crate) use rustix::fs::{Dev, Mode, Stat};
use rustix::{
    fs::{
        AtFlags, Dir, FileType, FlockOperation, OFlags, RawMode, RenameFlags, Timespec, Timestamps,
    },
    io::Errno,
};

pub(crate) use std::os::unix::fs::FileExt;

use super::{Room, fresh_stem};
use crate::{Entry, EntryPath, FileTime, LinkTarget};

/// The file system and the inode.
pub(crate) type Identity = (Dev, u64);

/// A folder, held open by its descriptor.
#[derive(Debug)]
pub(crate) struct Folder(OwnedFd);

impl Folder {
    /// Opens a folder named by the user; links in its path are followed.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::open(path, flags, Mode::empty())?))
    }

    /// Opens a folder below this one, without following links.
    pub(crate) fn below(&self, path: &EntryPath) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY;
        Ok(Self(open_beneath(self.0.as_fd(), path, flags)?))
    }

    /// The same, but creates missing folders, each with the mode that `mode_of`
    /// returns for its path, less the umask.
    pub(crate) fn make_below(
        &self,
        path: &EntryPath,
        mode_of: impl Fn(&[u8]) -> Mode,
    ) -> io::Result<Self> {
        match self.below(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            opened => return opened,
        }
        let mut folder: Option<Self> = None;
        let mut end = 0;
        for component in path.components() {
            end += component.len();
            let mode = mode_of(&path.as_bytes()[..end]);
            end += 1;
            let parent = folder.as_ref().unwrap_or(self);
            match rustix::fs::mkdirat(&parent.0, component, mode) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            folder = Some(parent.child(component)?);
        }
        folder.ok_or_else(|| ErrorKind::NotFound.into())
    }

    /// Opens a regular file below this folder for reading, without following
    /// links.
    pub(crate) fn open_file_below(&self, path: &EntryPath) -> io::Result<File> {
        // Without the flag, opening a pipe would block.
        let file = open_beneath(self.0.as_fd(), path, OFlags::RDONLY | OFlags::NONBLOCK)?;
        regular(file)
    }

    /// Looks up `name`, without following a link.
    pub(crate) fn find(&self, name: impl AsRef<[u8]>) -> io::Result<Option<Stat>> {
        match rustix::fs::statat(&self.0, name.as_ref(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a file in this folder for reading.
    pub(crate) fn open_file(&self, name: impl AsRef<[u8]>) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&self.0, name.as_ref(), flags, Mode::empty())?;
        regular(opened)
    }

    /// Reads the target of the link `name`; `None` if it is not a link.
    pub(in crate::store) fn read_link(
        &self,
        name: impl AsRef<[u8]>,
    ) -> io::Result<Option<Vec<u8>>> {
        match rustix::fs::readlinkat(&self.0, name.as_ref(), Vec::new()) {
            Ok(target) => Ok(Some(target.into_bytes())),
            Err(Errno::INVAL | Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Creates a symbolic link; fails if the name is in use.
    pub(in crate::store) fn link_new(
        &self,
        target: &LinkTarget,
        name: impl AsRef<[u8]>,
    ) -> io::Result<()> {
        Ok(rustix::fs::symlinkat(
            target.as_bytes(),
            &self.0,
            name.as_ref(),
        )?)
    }

    /// Replaces a symbolic link by another.
    pub(in crate::store) fn link_over(
        &self,
        target: &LinkTarget,
        name: impl AsRef<[u8]>,
    ) -> io::Result<()> {
        let fresh = format!("{}.part", fresh_stem());
        self.link_new(target, &fresh)?;
        let renamed = self.rename_over(&fresh, name);
        if renamed.is_err() {
            self.remove(&fresh)?;
        }
        renamed
    }

    /// Whether the file system treats names that differ in case, normal form,
    /// or a trailing dot as one, as far as a test shows.
    pub(in crate::store) fn confuses_names(&self) -> io::Result<bool> {
        let stem = fresh_stem();
        let [made, others @ ..] =
            ["a\u{e9}", "A\u{e9}", "ae\u{301}", "a\u{e9}."].map(|end| format!("{stem}{end}"));
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        rustix::fs::openat(&self.0, &made, flags, OWN_FILE)?;
        let found = others.iter().map(|name| self.find(name));
        let found = found.collect::<io::Result<Vec<_>>>();
        self.remove(&made)?;
        Ok(found?.iter().any(Option::is_some))
    }

    /// Opens or creates a temporary file for this user only, and locks it
    /// against other transfers. Returns `None` if the name belongs to another
    /// user, who could read or modify what is written.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if another transfer of this user holds it.
    pub(crate) fn lock_temporary(&self, name: &str) -> io::Result<Option<File>> {
        // An existing file may be unusable, or may be renamed by its owner
        // between the lookup and the lock.
        for _ in 0..LOCK_ATTEMPTS {
            match self.lock_new(name) {
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::AlreadyExists | ErrorKind::WouldBlock
                    ) => {}
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
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let flags = flags | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.0, name, flags, OWN_FILE)?;
        // Another transfer that is cleaning up may have been faster: the name
        // is gone, or the lock is held for a moment.
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        if self.names(name, &rustix::fs::fstat(&file)?)? {
            Ok(file.into())
        } else {
            Err(ErrorKind::WouldBlock.into())
        }
    }

    /// Locks a temporary file of an earlier attempt, or removes an unusable
    /// one.
    fn lock_existing(&self, name: &str) -> io::Result<Existing> {
        let Some(there) = self.find(name)? else {
            return Ok(Existing::Gone);
        };
        let is_folder = FileType::from_raw_mode(there.st_mode) == FileType::Directory;
        if is_folder || !is_own(&there) {
            return Ok(Existing::Foreign);
        }
        if is_file(&there) {
            let Some(file) = self.lock(name)? else {
                return Ok(Existing::Gone);
            };
            if is_private(&file)? {
                return Ok(Existing::Locked(file));
            }
        }
        self.remove(name)?;
        Ok(Existing::Gone)
    }

    /// Locks an existing file; `None` if it no longer exists.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if another transfer holds it.
    pub(in crate::store) fn lock(&self, name: &str) -> io::Result<Option<File>> {
        // The file may have been replaced since the lookup: a pipe would block.
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.0, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO | Errno::ISDIR) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        let is_there = self.names(name, &rustix::fs::fstat(&file)?)?;
        Ok(is_there.then(|| file.into()))
    }

    /// Whether `name` currently refers to the file described by `stat`.
    pub(in crate::store) fn names(&self, name: &str, stat: &Stat) -> io::Result<bool> {
        let there = self.find(name)?;
        Ok(there.is_some_and(|there| (there.st_dev, there.st_ino) == (stat.st_dev, stat.st_ino)))
    }

    /// The mode of a new file in this folder, after umask and folder defaults.
    pub(crate) fn new_file_mode(&self) -> io::Result<Mode> {
        // The umask cannot be read without changing it for every thread.
        let name = format!("{}.part", fresh_stem());
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let probe = rustix::fs::openat(&self.0, &name, flags, Mode::from_raw_mode(0o666))?;
        let mode = rustix::fs::fstat(&probe).map(|stat| Mode::from_raw_mode(stat.st_mode & 0o777));
        self.remove(&name)?;
        Ok(mode?)
    }

    /// The names in this folder that start with `prefix`, if they are Unicode.
    pub(in crate::store) fn names_with(&self, prefix: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            if let Ok(name) = entry?.file_name().to_str()
                && name.starts_with(prefix)
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Renames a file to its final name; fails if the name is in use.
    pub(crate) fn rename_new(&self, from: &str, to: impl AsRef<[u8]>) -> io::Result<()> {
        let to = to.as_ref();
        match rustix::fs::renameat_with(&self.0, from, &self.0, to, RenameFlags::NOREPLACE) {
            // Some file systems (NFS, older FUSE) do not support it; a hard
            // link also fails if the name is in use.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                rustix::fs::linkat(&self.0, from, &self.0, to, AtFlags::empty())?;
                self.remove(from)
            }
            done => Ok(done?),
        }
    }

    /// Renames a file to its final name, replacing an existing file.
    pub(crate) fn rename_over(&self, from: &str, to: impl AsRef<[u8]>) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.0, from, &self.0, to.as_ref())?)
    }

    /// Removes a name, if it exists.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.0, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Syncs the folder, so that its names survive a power failure.
    pub(crate) fn sync(&self) -> io::Result<()> {
        match rustix::fs::fsync(&self.0) {
            // Some network file systems cannot sync a folder.
            Ok(()) | Err(Errno::INVAL) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Free space and inodes of the file system.
    pub(crate) fn room(&self) -> io::Result<Room> {
        let stat = rustix::fs::fstatvfs(&self.0)?;
        Ok(Room {
            bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
            unit_bytes: stat.f_frsize.max(MIN_UNIT_BYTES),
            // File systems with dynamic inodes report zero.
            inodes: (stat.f_files > 0).then_some(stat.f_favail),
        })
    }

    fn child(&self, name: &[u8]) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::openat(
            &self.0,
            name,
            flags,
            Mode::empty(),
        )?))
    }
}

/// What exists under a temporary file's name.
enum Existing {
    /// This user's file, locked.
    Locked(File),
    /// Another user's file, or a folder: it is left alone.
    Foreign,
    /// Nothing.
    Gone,
}

/// Whether only this user can read or modify what is written to the file from
/// now on.
fn is_private(file: &File) -> io::Result<bool> {
    let stat = rustix::fs::fstat(file)?;
    // A hard link to the file would expose the data as well.
    if !is_file(&stat) || !is_own(&stat) || stat.st_nlink != 1 {
        return Ok(false);
    }
    if stat.st_mode & 0o077 == 0 {
        return Ok(true);
    }
    // Users with write permission may still have it open. On a file system
    // without modes they cannot be excluded at all.
    let modes_hold = set_mode(file, OWN_FILE);
    Ok(!modes_hold || stat.st_mode & 0o022 == 0)
}

/// Whether it belongs to the user running this program.
pub(in crate::store) fn is_own(stat: &Stat) -> bool {
    stat.st_uid == rustix::process::geteuid().as_raw()
}

/// The mode of a received file, given that of a new file: never wider than at
/// the sender, so that private files are for their owner only.
pub(in crate::store) fn mode_of(entry: &Entry, new: Mode) -> Mode {
    let told = told_mode(entry, 0o666);
    let mut mode = new.as_raw_mode() & told & 0o666;
    // Users who may read it may execute it, if the sender's users of that class
    // may.
    mode |= (mode & 0o444) >> 2 & told;
    Mode::from_raw_mode(mode)
}

/// The mode of a received folder while it is filled. Its owner has full access.
pub(in crate::store) fn folder_mode(entry: &Entry) -> Mode {
    Mode::from_raw_mode(told_mode(entry, 0o777) | 0o700)
}

/// The mode of a folder without permission bits.
pub(in crate::store) fn usual_folder_mode() -> Mode {
    Mode::from_raw_mode(0o777)
}

fn told_mode(entry: &Entry, usual: RawMode) -> RawMode {
    // The owner may read it, so that it can be compared later.
    let told = match entry.mode {
        0 => usual,
        mode => RawMode::from(mode) | 0o400,
    };
    let kept = if entry.is_private { 0o700 } else { 0o777 };
    told & kept
}

/// Extends the permissions of a file to `mode`, but not beyond those of a file
/// that it replaces.
pub(in crate::store) fn open_up(file: &File, mode: Mode, replaced: Option<&Stat>) {
    let old = replaced.map_or(Mode::all(), |old| Mode::from_raw_mode(old.st_mode));
    // A file system without modes keeps its own.
    set_mode(file, mode & old);
}

/// Sets the mode; returns `false` if the file system keeps another one.
fn set_mode(file: &impl AsFd, mode: Mode) -> bool {
    rustix::fs::fchmod(file, mode).is_ok()
        && rustix::fs::fstat(file).is_ok_and(|stat| stat.st_mode & 0o777 == mode.as_raw_mode())
}

/// The current metadata of the file.
pub(in crate::store) fn stat_of(file: &File) -> io::Result<Stat> {
    Ok(rustix::fs::fstat(file)?)
}

/// Sets the modification time.
pub(in crate::store) fn set_modified(file: &File, modified: FileTime) -> io::Result<()> {
    let modified = Timespec {
        tv_sec: modified.seconds,
        tv_nsec: modified.nanoseconds.into(),
    };
    let times = Timestamps {
        last_access: modified,
        last_modification: modified,
    };
    Ok(rustix::fs::futimens(file, &times)?)
}

/// Its length; `None` if the file system reports a negative one.
pub(in crate::store) fn size_bytes(stat: &Stat) -> Option<u64> {
    u64::try_from(stat.st_size).ok()
}

/// Modification time, in seconds since 1970.
pub(in crate::store) fn modified_seconds(stat: &Stat) -> i64 {
    stat.st_mtime
}

/// The file system and the inode.
pub(in crate::store) fn identity(stat: &Stat) -> Identity {
    (stat.st_dev, stat.st_ino)
}

/// The file system.
pub(in crate::store) fn file_system(stat: &Stat) -> Dev {
    stat.st_dev
}

/// Modification time of a file to send.
pub(in crate::store) fn file_time(metadata: &Metadata) -> FileTime {
    let nanoseconds = u32::try_from(metadata.mtime_nsec()).unwrap_or(0);
    FileTime::new(metadata.mtime(), nanoseconds)
}

/// Time of the last change to a file to send, in seconds and nanoseconds.
pub(in crate::store) fn change_time(_file: &File, metadata: &Metadata) -> io::Result<(i64, i64)> {
    Ok((metadata.ctime(), metadata.ctime_nsec()))
}

/// The permission bits of a file to send, which its owner can read.
pub(in crate::store) fn permissions(metadata: &Metadata) -> u16 {
    u16::try_from(metadata.mode() & 0o777 | 0o400).unwrap_or(0)
}

/// The bytes of a name; `None` if it cannot be sent.
pub(in crate::store) fn bytes_of(name: &OsStr) -> Option<&[u8]> {
    Some(name.as_bytes())
}

/// The target of a link as it is sent; `None` if it cannot be.
pub(in crate::store) fn target_of(target: &Path) -> Option<Vec<u8>> {
    Some(target.as_os_str().as_bytes().to_vec())
}

/// Whether some users may not read it. The groups at the receiver are
/// different, so a file that only a group may read is for its owner only there.
pub(in crate::store) fn is_for_owner(metadata: &Metadata) -> bool {
    metadata.mode() & 0o044 != 0o044
}

/// Whether it is a regular file.
pub(crate) fn is_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

/// Whether it is a symbolic link.
pub(crate) fn is_link(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Symlink
}

/// Whether the error means that the file system does not allow the name.
pub(crate) fn is_bad_name(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(
        errno,
        Some(Errno::NAMETOOLONG | Errno::ILSEQ | Errno::INVAL)
    )
}

/// Whether the error means that the file system does not support links.
pub(crate) fn has_no_links(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::PERM | Errno::NOSYS | Errno::NOTSUP))
}

/// Whether the error means that a link or a file was found instead of a folder.
pub(crate) fn is_in_the_way(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(
        errno,
        Some(Errno::LOOP | Errno::NOTDIR | Errno::XDEV | Errno::ISDIR | Errno::MLINK)
    )
}

fn regular(file: OwnedFd) -> io::Result<File> {
    if is_file(&rustix::fs::fstat(&file)?) {
        Ok(file.into())
    } else {
        Err(Errno::LOOP.into())
    }
}

/// The kernel refuses links and paths that lead out.
#[cfg(target_os = "linux")]
fn open_beneath(
    root: rustix::fd::BorrowedFd<'_>,
    path: &EntryPath,
    flags: OFlags,
) -> rustix::io::Result<OwnedFd> {
    use rustix::fs::ResolveFlags;

    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = flags | OFlags::CLOEXEC;
    match rustix::fs::openat2(root, path.as_bytes(), flags, Mode::empty(), resolve) {
        // Before Linux 5.6, and under some seccomp filters.
        Err(Errno::NOSYS | Errno::PERM) => open_by_component(root, path, flags),
        opened => opened,
    }
}

#[cfg(not(target_os = "linux"))]
fn open_beneath(
    root: rustix::fd::BorrowedFd<'_>,
    path: &EntryPath,
    flags: OFlags,
) -> rustix::io::Result<OwnedFd> {
    open_by_component(root, path, flags)
}

/// Opens one component at a time, each relative to the previous one: no name
/// can lead up, and no link is followed.
fn open_by_component(
    root: rustix::fd::BorrowedFd<'_>,
    path: &EntryPath,
    flags: OFlags,
) -> rustix::io::Result<OwnedFd> {
    let mut folder: Option<OwnedFd> = None;
    let mut components = path.components().peekable();
    while let Some(component) = components.next() {
        let flags = match components.peek() {
            Some(_) => OFlags::DIRECTORY | OFlags::RDONLY,
            None => flags,
        };
        let at = folder.as_ref().map_or(root, AsFd::as_fd);
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(at, component, flags, Mode::empty())?;
        folder = Some(opened);
    }
    folder.ok_or(Errno::NOENT)
}

/// Unfinished files are for their owner only.
const OWN_FILE: Mode = Mode::from_raw_mode(0o600);
const LOCK_ATTEMPTS: u32 = 3;
const MIN_UNIT_BYTES: u64 = 4_096;
