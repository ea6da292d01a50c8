//! One open folder, and the few things that are done in it.
//!
//! Every call names a single component and never follows a link, so nothing a
//! peer sends and nothing that is swapped in meanwhile leads elsewhere.

use std::{
    ffi::OsStr,
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, RenameFlags, Stat},
    io::Errno,
};

use crate::EntryPath;

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

    /// The same, and makes what is missing.
    pub(crate) fn make_below(&self, path: &EntryPath) -> io::Result<Self> {
        match self.below(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened,
        }
        let mut folder: Option<Self> = None;
        for component in path.components() {
            let parent = folder.as_ref().unwrap_or(self);
            match rustix::fs::mkdirat(&parent.0, component, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            folder = Some(parent.child(component)?);
        }
        folder.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Opens a regular file below this folder for reading; no link on the way
    /// is followed.
    pub(crate) fn open_file_below(&self, path: &EntryPath) -> io::Result<File> {
        // A pipe would block an open without the flag.
        let file = open_beneath(self.0.as_fd(), path, OFlags::RDONLY | OFlags::NONBLOCK)?;
        regular(file)
    }

    /// What is called `name` here, itself and not what it may link to.
    pub(crate) fn find(&self, name: &str) -> io::Result<Option<Stat>> {
        match rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a file here for reading.
    pub(crate) fn open_file(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        regular(rustix::fs::openat(&self.0, name, flags, Mode::empty())?)
    }

    /// Opens or makes a temporary file and locks it against other transfers.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if another transfer has it.
    pub(crate) fn lock_temporary(&self, name: &str) -> io::Result<File> {
        // Twice at most: what is there may be no file of ours, or may be
        // renamed by its owner between our open and our lock.
        for _ in 0..3 {
            let flags = OFlags::RDWR
                | OFlags::CREATE
                | OFlags::NONBLOCK
                | OFlags::NOFOLLOW
                | OFlags::CLOEXEC;
            let file = match rustix::fs::openat(&self.0, name, flags, NEW_FILE) {
                Ok(file) => file,
                Err(Errno::LOOP | Errno::NXIO) => {
                    self.remove(name)?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
            let ours = rustix::fs::fstat(&file)?;
            let there = self.find(name)?;
            let same = there.is_some_and(|there| there.st_ino == ours.st_ino);
            // A second name for the file would receive our bytes as well.
            if same && ours.st_nlink == 1 && is_file(&ours) {
                return Ok(file.into());
            }
            if same {
                self.remove(name)?;
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Gives a file its final name; fails if the name is taken.
    pub(crate) fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
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
    pub(crate) fn rename_over(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.0, from, &self.0, to)?)
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

    /// Writes out everything on this file system: one call for many files.
    #[cfg(target_os = "linux")]
    pub(crate) fn sync_file_system(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.0)?)
    }

    /// Bytes that may still be written here.
    pub(crate) fn free_bytes(&self) -> io::Result<u64> {
        let stat = rustix::fs::fstatvfs(&self.0)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn child(&self, name: &str) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::openat(
            &self.0,
            name,
            flags,
            Mode::empty(),
        )?))
    }
}

/// Whether it is a regular file.
pub(crate) fn is_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
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
    match rustix::fs::openat2(root, path.as_str(), flags, Mode::empty(), resolve) {
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
        let opened = rustix::fs::openat(at, OsStr::new(component), flags, Mode::empty())?;
        folder = Some(opened);
    }
    folder.ok_or(Errno::NOENT)
}

/// What the umask leaves of it.
const NEW_FILE: Mode = Mode::from_raw_mode(0o666);
