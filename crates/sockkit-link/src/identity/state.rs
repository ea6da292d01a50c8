//! A folder of files that only their owner may read.

use std::{
    env,
    fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::{Damage, StateError};

/// The folder that stores a user's keys and known peers.
///
/// It is created when something is first stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StateFolder(PathBuf);

/// While it exists, other programs do not change the folder.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "its drop unlocks")] File);

impl StateFolder {
    /// The user's default folder: `sockkit` in `XDG_STATE_HOME`, by default
    /// `~/.local/state`; on Windows, in the local application data.
    ///
    /// # Errors
    /// [`StateError::NoHome`].
    pub fn of_user() -> Result<Self, StateError> {
        let absolute = |name| {
            let path = env::var_os(name).map(PathBuf::from);
            path.filter(|path| path.is_absolute())
        };
        let (variable, found) = match cfg!(windows) {
            true => ("LOCALAPPDATA", absolute("LOCALAPPDATA")),
            false => {
                let home = || Some(absolute("HOME")?.join(".local/state"));
                ("XDG_STATE_HOME", absolute("XDG_STATE_HOME").or_else(home))
            }
        };
        let found = found.ok_or(StateError::NoHome { variable })?;
        Ok(Self(found.join("sockkit")))
    }

    /// Uses another folder.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder's path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Reads a whole file; `None` if there is none.
    pub(crate) fn read(&self, name: &str, max_bytes: u64) -> Result<Option<Vec<u8>>, StateError> {
        let path = self.0.join(name);
        let mut options = OpenOptions::new();
        let options = no_follow(options.read(true));
        let file = match unless_in_use(|| options.open(&path)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(_) if is_link(&path) => return Err(StateError::Irregular { path, kind: "file" }),
            Err(error) => return Err(self.failed(name, "open", error)),
        };
        self.check()?;
        let is = file.metadata();
        check_file(
            &path,
            &is.map_err(|error| self.failed(name, "look at", error))?,
        )?;
        let mut bytes = Vec::new();
        let read = file.take(max_bytes + 1).read_to_end(&mut bytes);
        read.map_err(|error| self.failed(name, "read", error))?;
        match bytes.len() as u64 > max_bytes {
            true => Err(self.damaged(name, 1, Damage::TooLong)),
            false => Ok(Some(bytes)),
        }
    }

    /// Replaces a file atomically: the old one stays until the new one is
    /// complete. The caller holds the lock.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), StateError> {
        let path = self.0.join(name);
        // Left by a program that was killed; the lock excludes running ones.
        let part = self.0.join(format!("{name}.part"));
        let written = || {
            match fs::remove_file(&part) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = private(OpenOptions::new().write(true).create_new(true)).open(&part)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            unless_in_use(|| fs::rename(&part, &path))
        };
        written().map_err(|error| self.failed(name, "write", error))
    }

    /// Creates the folder if needed, and waits until no other program changes
    /// it, for five seconds at most: another user's program may hold the lock.
    pub(crate) fn lock(&self) -> Result<Lock, StateError> {
        self.make()?;
        let path = self.0.join(LOCK);
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(false);
        let mut locked = || {
            let file = no_follow(private(options)).open(&path)?;
            lock_within(LOCK_TIMEOUT, &file)?;
            Ok::<_, io::Error>(Lock(file))
        };
        locked().map_err(|error| self.failed(LOCK, "lock", error))
    }

    fn make(&self) -> Result<(), StateError> {
        let failed = |error| self.failed("", "make", error);
        if let Err(error) = fs::symlink_metadata(&self.0) {
            if error.kind() != io::ErrorKind::NotFound {
                return Err(failed(error));
            }
            self.check_ancestor()?;
            let mut builder = DirBuilder::new();
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, FOLDER_MODE);
            builder.recursive(true).create(&self.0).map_err(failed)?;
        }
        self.check()
    }

    /// Checks that no other user owns the folder or may write to it.
    fn check(&self) -> Result<(), StateError> {
        let is = fs::symlink_metadata(&self.0);
        let is = is.map_err(|error| self.failed("", "look at", error))?;
        if !is.is_dir() {
            let (path, kind) = (self.0.clone(), "folder");
            return Err(StateError::Irregular { path, kind });
        }
        check_owner(&self.0, &is, 0o022, FOLDER_MODE)
    }

    /// `sudo` may keep the home of the calling user: files that root creates
    /// there could never be changed by that user.
    #[cfg(unix)]
    fn check_ancestor(&self) -> Result<(), StateError> {
        use std::os::unix::fs::MetadataExt;

        let user = user();
        let there = self
            .0
            .ancestors()
            .find_map(|path| Some((path, fs::metadata(path).ok()?)));
        match there {
            Some((path, is)) if user == 0 && is.uid() != 0 => Err(StateError::Foreign {
                path: path.to_owned(),
                owner: is.uid(),
                user,
            }),
            _ => Ok(()),
        }
    }

    #[cfg(not(unix))]
    fn check_ancestor(&self) -> Result<(), StateError> {
        Ok(())
    }

    pub(crate) fn failed(
        &self,
        name: &str,
        what: &'static str,
        error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> StateError {
        let error = error.into();
        StateError::Io {
            what,
            path: self.file(name),
            source: error
                .downcast()
                .map_or_else(io::Error::other, |error| *error),
        }
    }

    pub(crate) fn damaged(&self, name: &str, line: usize, damage: Damage) -> StateError {
        StateError::Damaged {
            path: self.file(name),
            line,
            damage,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        match name {
            "" => self.0.clone(),
            name => self.0.join(name),
        }
    }
}

/// Locks `file`. No system call waits for a lock with a timeout.
fn lock_within(limit: Duration, file: &File) -> io::Result<()> {
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if began.elapsed() >= limit => {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "another program holds the lock; end it, or try again",
                ));
            }
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_RETRY),
        }
    }
}

/// Tries again, for a second at most, what Windows refuses for a moment: to replace a file that
/// another program reads, where the drive has no such renames, and to open one that is replaced.
fn unless_in_use<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let began = Instant::now();
    loop {
        match attempt() {
            Err(error) if is_in_use(&error) && began.elapsed() < IN_USE_TIMEOUT => {
                thread::sleep(LOCK_RETRY);
            }
            done => return done,
        }
    }
}

/// `ERROR_ACCESS_DENIED` or `ERROR_SHARING_VIOLATION`.
fn is_in_use(error: &io::Error) -> bool {
    cfg!(windows) && matches!(error.raw_os_error(), Some(5 | 32))
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|is| is.is_symlink())
}

fn check_file(path: &Path, is: &Metadata) -> Result<(), StateError> {
    if !is.is_file() {
        let (path, kind) = (path.to_owned(), "file");
        return Err(StateError::Irregular { path, kind });
    }
    check_owner(path, is, 0o077, FILE_MODE)
}

/// Rejects files of other users, and files with one of the `open` mode bits.
#[cfg(unix)]
fn check_owner(path: &Path, is: &Metadata, open: u32, wanted: u32) -> Result<(), StateError> {
    use std::os::unix::fs::MetadataExt;

    let (path, mode) = (path.to_owned(), is.mode() & 0o7777);
    match (is.uid(), user()) {
        (owner, user) if owner != user => Err(StateError::Foreign { path, owner, user }),
        _ if mode & open != 0 => Err(StateError::Open { path, mode, wanted }),
        _ => Ok(()),
    }
}

/// Windows protects a user's application data from other users.
#[cfg(not(unix))]
fn check_owner(_path: &Path, _is: &Metadata, _open: u32, _wanted: u32) -> Result<(), StateError> {
    Ok(())
}

#[cfg(unix)]
fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Refuses symbolic links, and does not wait for the writer of a pipe.
fn no_follow(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;

        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        options.custom_flags(flags.bits().cast_signed())
    }
    // Opens the link itself, which is no regular file.
    #[cfg(windows)]
    return std::os::windows::fs::OpenOptionsExt::custom_flags(options, OPEN_REPARSE_POINT);
}

/// Sets a mode that lets only the owner read.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    return std::os::unix::fs::OpenOptionsExt::mode(options, FILE_MODE);
    #[cfg(not(unix))]
    options
}

const LOCK: &str = "lock";

/// A change of the list takes milliseconds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
const LOCK_RETRY: Duration = Duration::from_millis(5);

/// The list is read in less than a millisecond.
const IN_USE_TIMEOUT: Duration = Duration::from_secs(1);

/// `FILE_FLAG_OPEN_REPARSE_POINT`
#[cfg(windows)]
const OPEN_REPARSE_POINT: u32 = 0x0020_0000;
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use sockkit_testing::needs::{Need, met};
    use tempfile::{TempDir, tempdir};

    use super::*;

    /// A home, and the folder in it with one file.
    fn kept() -> (TempDir, StateFolder) {
        let home = tempdir().unwrap();
        let folder = StateFolder::at(home.path().join("deep/state"));
        let _lock = folder.lock().unwrap();
        folder.replace("file", b"kept").unwrap();
        (home, folder)
    }

    fn set_mode(path: impl AsRef<Path>, mode: u32) {
        fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_is_replaced_is_read_back_with_no_part_left() {
        let (_home, folder) = kept();
        assert_eq!(folder.read("file", 4).unwrap().unwrap(), b"kept");
        assert!(folder.read("other", 4).unwrap().is_none());
        fs::write(
            folder.path().join("file.part"),
            "of a program that was killed",
        )
        .unwrap();
        let _lock = folder.lock().unwrap();
        folder.replace("file", b"new").unwrap();
        assert_eq!(folder.read("file", 4).unwrap().unwrap(), b"new");
        assert!(!folder.path().join("file.part").exists());
    }

    #[test]
    fn a_lock_that_is_held_is_not_waited_for_without_end() {
        let (_home, folder) = kept();
        let _held = folder.lock().unwrap();
        let file = File::open(folder.path().join(LOCK)).unwrap();
        let error = lock_within(Duration::from_millis(20), &file).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_file_of_one_byte_too_many_is_damaged() {
        let (_home, folder) = kept();
        let error = folder.read("file", 3).unwrap_err();
        assert!(matches!(error, StateError::Damaged { .. }), "{error}");
    }

    #[test]
    fn links_pipes_and_folders_are_no_files() {
        let (home, folder) = kept();
        let file = folder.path().join("file");
        let elsewhere = home.path().join("elsewhere");
        fs::rename(&file, &elsewhere).unwrap();
        symlink(&elsewhere, &file).unwrap();
        let refused = || {
            let error = folder.read("file", 100).unwrap_err();
            assert!(matches!(error, StateError::Irregular { .. }), "{error}");
        };
        refused();
        fs::remove_file(&file).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&file).status();
        assert!(made.unwrap().success());
        refused();
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        refused();
    }

    #[test]
    fn a_link_to_a_folder_is_no_folder() {
        let (home, folder) = kept();
        let link = home.path().join("link");
        symlink(folder.path(), &link).unwrap();
        let error = StateFolder::at(link).lock().unwrap_err();
        assert!(matches!(error, StateError::Irregular { .. }), "{error}");
    }

    #[test]
    fn what_others_may_read_or_change_is_refused() {
        let (_home, folder) = kept();
        for mode in [0o620, 0o604, 0o666] {
            set_mode(folder.path().join("file"), mode);
            let error = folder.read("file", 100).unwrap_err().to_string();
            assert!(error.contains("chmod 600"), "{error}");
        }
        set_mode(folder.path().join("file"), 0o600);
        for mode in [0o770, 0o777, 0o1777] {
            set_mode(folder.path(), mode);
            let error = folder.lock().unwrap_err().to_string();
            assert!(error.contains("chmod 700"), "{error}");
        }
        set_mode(folder.path(), 0o755);
        folder.lock().unwrap();
    }

    /// Only root may give a file away.
    #[test]
    fn what_is_another_users_is_refused() {
        if !met("a state folder of another user", &[Need::Root]) {
            return;
        }
        let (home, folder) = kept();
        let give = |path: &Path| std::os::unix::fs::chown(path, Some(12_345), None).unwrap();
        let foreign = |error: StateError| {
            let told = error.to_string();
            assert!(told.contains("12345") && told.contains("sudo"), "{told}");
        };
        give(&folder.path().join("file"));
        foreign(folder.read("file", 100).unwrap_err());
        give(folder.path());
        foreign(folder.lock().unwrap_err());
        // What `sudo` keeps of the caller's environment.
        give(home.path());
        let of_caller = StateFolder::at(home.path().join("new/state"));
        foreign(of_caller.lock().unwrap_err());
        assert!(!home.path().join("new").exists());
    }
}
