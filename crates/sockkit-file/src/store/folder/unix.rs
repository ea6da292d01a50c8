//! By calls relative to a descriptor.

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

/// A folder, held open by its descriptor.
#[derive(Debug)]
pub(crate) struct Folder(OwnedFd);

impl Folder {
    /// Opens a folder that the user named; links on the way to it are theirs.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::open(path, flags, Mode::empty())?))
    }

    /// Opens a folder below this one; no link on the way is followed.
    pub(crate) fn below(&self, path: &EntryPath) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY;
        Ok(Self(open_beneath(self.0.as_fd(), path, flags)?))
    }

    /// The same, and makes what is missing, each folder with the mode that
    /// `mode_of` says for its path, less the umask.
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

    /// Opens a regular file below this folder for reading; no link on the way
    /// is followed.
    pub(crate) fn open_file_below(&self, path: &EntryPath) -> io::Result<File> {
        // A pipe would block an open without the flag.
        let file = open_beneath(self.0.as_fd(), path, OFlags::RDONLY | OFlags::NONBLOCK)?;
        regular(file)
    }

    /// What is called `name` here, itself and not what it may link to.
    pub(crate) fn find(&self, name: impl AsRef<[u8]>) -> io::Result<Option<Stat>> {
        match rustix::fs::statat(&self.0, name.as_ref(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a file here for reading.
    pub(crate) fn open_file(&self, name: impl AsRef<[u8]>) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&self.0, name.as_ref(), flags, Mode::empty())?;
        regular(opened)
    }

    /// What the link called `name` here leads to; `None` if that is no link.
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

    /// Makes a symbolic link; fails if the name is taken.
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

    /// Makes a symbolic link in place of the one that has its name.
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

    /// Whether names here that differ in case, in normal form, or by a dot at the end
    /// are one, as far as a try tells.
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

    /// Opens or makes a temporary file for this user alone, and locks it against
    /// other transfers; `None` if what has the name belongs to another user, who
    /// could read what is written there, or change it.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if another transfer of this user has it.
    pub(crate) fn lock_temporary(&self, name: &str) -> io::Result<Option<File>> {
        // What is there may be of no use, or may be renamed by its owner between
        // our look and our lock.
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

    /// Makes a temporary file and locks it.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if anything has the name.
    pub(crate) fn lock_new(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let flags = flags | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.0, name, flags, OWN_FILE)?;
        // Another transfer that cleans up may have been quicker: then the name
        // is gone, or the lock is taken for a moment.
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        if self.names(name, &rustix::fs::fstat(&file)?)? {
            Ok(file.into())
        } else {
            Err(ErrorKind::WouldBlock.into())
        }
    }

    /// Locks a temporary file of an earlier attempt, or removes what is of no use.
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

    /// Locks a file that is there; `None` if it is not there any more.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if another transfer has it.
    pub(in crate::store) fn lock(&self, name: &str) -> io::Result<Option<File>> {
        // What was looked at may be another thing by now: a pipe would block.
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

    /// Whether `name` is, here and now, the file that `stat` is of.
    pub(in crate::store) fn names(&self, name: &str, stat: &Stat) -> io::Result<bool> {
        let there = self.find(name)?;
        Ok(there.is_some_and(|there| (there.st_dev, there.st_ino) == (stat.st_dev, stat.st_ino)))
    }

    /// The mode of a new file here, as the umask and the folder have it.
    pub(crate) fn new_file_mode(&self) -> io::Result<Mode> {
        // Nothing tells the umask without changing it for every thread.
        let name = format!("{}.part", fresh_stem());
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let probe = rustix::fs::openat(&self.0, &name, flags, Mode::from_raw_mode(0o666))?;
        let mode = rustix::fs::fstat(&probe).map(|stat| Mode::from_raw_mode(stat.st_mode & 0o777));
        self.remove(&name)?;
        Ok(mode?)
    }

    /// The names in this folder that begin with `prefix`; those that are not
    /// Unicode do not.
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

    /// Gives a file its final name; fails if the name is taken.
    pub(crate) fn rename_new(&self, from: &str, to: impl AsRef<[u8]>) -> io::Result<()> {
        let to = to.as_ref();
        match rustix::fs::renameat_with(&self.0, from, &self.0, to, RenameFlags::NOREPLACE) {
            // Some file systems (NFS, older FUSE) cannot; a second name can
            // be made only where there is none.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                rustix::fs::linkat(&self.0, from, &self.0, to, AtFlags::empty())?;
                self.remove(from)
            }
            done => Ok(done?),
        }
    }

    /// Gives a file its final name in place of the file that has it.
    pub(crate) fn rename_over(&self, from: &str, to: impl AsRef<[u8]>) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.0, from, &self.0, to.as_ref())?)
    }

    /// Removes a name; nothing happens if it is not there.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.0, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes names in this folder survive a power failure.
    pub(crate) fn sync(&self) -> io::Result<()> {
        match rustix::fs::fsync(&self.0) {
            // Some network file systems cannot sync a folder.
            Ok(()) | Err(Errno::INVAL) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What may still be written here.
    pub(crate) fn room(&self) -> io::Result<Room> {
        let stat = rustix::fs::fstatvfs(&self.0)?;
        Ok(Room {
            bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
            unit_bytes: stat.f_frsize.max(MIN_UNIT_BYTES),
            // Those that make them as they go say that there are none at all.
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

/// What has a temporary file's name.
enum Existing {
    /// A file of ours, locked.
    Locked(File),
    /// Something of another user, or a folder: it stays.
    Foreign,
    /// Nothing any more.
    Gone,
}

/// Whether only this user can read or change what is written into the file from
/// now on.
fn is_private(file: &File) -> io::Result<bool> {
    let stat = rustix::fs::fstat(file)?;
    // A second name for the file would receive our bytes as well.
    if !is_file(&stat) || !is_own(&stat) || stat.st_nlink != 1 {
        return Ok(false);
    }
    if stat.st_mode & 0o077 == 0 {
        return Ok(true);
    }
    // Users that could write to it may still have it open. On a file system that
    // keeps no modes they say nothing, before or after.
    let modes_hold = set_mode(file, OWN_FILE);
    Ok(!modes_hold || stat.st_mode & 0o022 == 0)
}

/// Whether it belongs to the user that this program runs as.
pub(in crate::store) fn is_own(stat: &Stat) -> bool {
    stat.st_uid == rustix::process::geteuid().as_raw()
}

/// The mode of a received file, where a new one has `new`: never wider than at the
/// sender, so that what is private there is for the owner alone here.
pub(in crate::store) fn mode_of(entry: &Entry, new: Mode) -> Mode {
    let told = told_mode(entry, 0o666);
    let mut mode = new.as_raw_mode() & told & 0o666;
    // Who may read it may run it, where the sender's users of that kind may.
    mode |= (mode & 0o444) >> 2 & told;
    Mode::from_raw_mode(mode)
}

/// The mode to make a received folder with. Its owner may do everything there: what is
/// in it is still to come.
pub(in crate::store) fn folder_mode(entry: &Entry) -> Mode {
    Mode::from_raw_mode(told_mode(entry, 0o777) | 0o700)
}

/// That of a folder of which nothing was told.
pub(in crate::store) fn usual_folder_mode() -> Mode {
    Mode::from_raw_mode(0o777)
}

fn told_mode(entry: &Entry, usual: RawMode) -> RawMode {
    // The owner reads it here again, to compare.
    let told = match entry.mode {
        0 => usual,
        mode => RawMode::from(mode) | 0o400,
    };
    let kept = if entry.is_private { 0o700 } else { 0o777 };
    told & kept
}

/// Lets others at the file, as far as they may; no further than at the file that
/// it replaces.
pub(in crate::store) fn open_up(file: &File, mode: Mode, replaced: Option<&Stat>) {
    let old = replaced.map_or(Mode::all(), |old| Mode::from_raw_mode(old.st_mode));
    // A file system without modes keeps its own.
    set_mode(file, mode & old);
}

/// Gives the file a mode; `false` where the file system keeps another one.
fn set_mode(file: &impl AsFd, mode: Mode) -> bool {
    rustix::fs::fchmod(file, mode).is_ok()
        && rustix::fs::fstat(file).is_ok_and(|stat| stat.st_mode & 0o777 == mode.as_raw_mode())
}

/// The file as it is now.
pub(in crate::store) fn stat_of(file: &File) -> io::Result<Stat> {
    Ok(rustix::fs::fstat(file)?)
}

/// Dates the file.
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

/// Its length; `None` if the file system says that it is negative.
pub(in crate::store) fn size_bytes(stat: &Stat) -> Option<u64> {
    u64::try_from(stat.st_size).ok()
}

/// When its contents last changed, in seconds since 1970.
pub(in crate::store) fn modified_seconds(stat: &Stat) -> i64 {
    stat.st_mtime
}

/// The file system it is on, and which file it is there.
pub(in crate::store) fn identity(stat: &Stat) -> (Dev, u64) {
    (stat.st_dev, stat.st_ino)
}

/// The file system it is on.
pub(in crate::store) fn file_system(stat: &Stat) -> Dev {
    stat.st_dev
}

/// When the contents of a file to send last changed.
pub(in crate::store) fn file_time(metadata: &Metadata) -> FileTime {
    FileTime {
        seconds: metadata.mtime(),
        nanoseconds: u32::try_from(metadata.mtime_nsec()).unwrap_or(0),
    }
}

/// When anything about a file to send last changed, as seconds and nanoseconds.
pub(in crate::store) fn change_time(metadata: &Metadata) -> (i64, i64) {
    (metadata.ctime(), metadata.ctime_nsec())
}

/// Who may read, write and execute it. What is sent can be read by its owner.
pub(in crate::store) fn permissions(metadata: &Metadata) -> u16 {
    u16::try_from(metadata.mode() & 0o777 | 0o400).unwrap_or(0)
}

/// The bytes of a name, or of a link's target; `None` if it has none that travel.
pub(in crate::store) fn bytes_of(name: &OsStr) -> Option<&[u8]> {
    Some(name.as_bytes())
}

/// Whether it is not for everybody to read. The receiver's groups are others, so
/// what a group may read here alone is for the owner alone there.
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

/// Whether the error says that the file system cannot hold the name.
pub(crate) fn is_bad_name(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(
        errno,
        Some(Errno::NAMETOOLONG | Errno::ILSEQ | Errno::INVAL)
    )
}

/// Whether the error says that the file system has no links.
pub(crate) fn has_no_links(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::PERM | Errno::NOSYS | Errno::NOTSUP))
}

/// Whether the error says that a link, or a file, stands where a folder was
/// expected.
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

/// The kernel itself refuses links and escapes on the whole way.
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

/// One component at a time, each relative to the one before: no name can lead
/// up, and no link is followed.
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

/// What is unfinished is for its owner alone.
const OWN_FILE: Mode = Mode::from_raw_mode(0o600);
const LOCK_ATTEMPTS: u32 = 3;
const MIN_UNIT_BYTES: u64 = 4_096;
