//! Where a file is while it grows, and what may be there already.

use std::{
    ffi::OsString,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use super::{Existing, RecordError};

/// Makes the file that will grow, and says where it is until it is whole.
pub(super) fn create(target: &Path, existing: Existing) -> Result<(File, PathBuf), RecordError> {
    match (create_new(target), existing) {
        // A device or a folder cannot be replaced.
        (Err(RecordError::Exists { .. }), Existing::Replace) if target.is_file() => {
            let mut beside = target.as_os_str().to_owned();
            beside.push(".part");
            create_part(Path::new(&beside))
        }
        (made, _) => made,
    }
}

/// The name of the `number`th file of a recording: `walk-2.mp4` after `walk.mp4`.
pub(super) fn numbered(target: &Path, number: u32) -> PathBuf {
    let mut name = OsString::from(target.file_stem().unwrap_or_default());
    name.push(format!("-{number}"));
    if let Some(extension) = target.extension() {
        name.push(".");
        name.push(extension);
    }
    target.with_file_name(name)
}

/// Writes the name of a file to the disk. Windows writes names to its journal, and has no
/// call for this. What is recorded is worth more than this: it does not end where the
/// folder cannot be written.
pub(super) fn sync_folder(of: &Path) {
    #[cfg(unix)]
    {
        let folder = match of.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        // Some network file systems cannot sync a folder, and one may write into a
        // folder that one may not read.
        let is_usual = |error: &io::Error| {
            use io::ErrorKind::{InvalidInput, PermissionDenied};
            matches!(error.kind(), InvalidInput | PermissionDenied)
        };
        if let Err(error) = synced
            && !is_usual(&error)
        {
            tracing::warn!(folder = %folder.display(), %error, "folder not written to the disk");
        }
    }
    #[cfg(not(unix))]
    let _ = of;
}

/// A part that is locked is being written; one that is not was left by a program that
/// died, and is begun again. None is removed: the name stays with the file that is locked.
fn create_part(path: &Path) -> Result<(File, PathBuf), RecordError> {
    let (file, is_left) = match create_new(path) {
        Ok((file, _)) => (Some(file), false),
        Err(RecordError::Exists { .. }) => (open_left(path), true),
        Err(error) => return Err(error),
    };
    match file.filter(|file| hold(path, file, is_left)) {
        Some(file) => Ok((file, path.to_owned())),
        None => Err(RecordError::Exists {
            path: path.to_owned(),
        }),
    }
}

fn open_left(path: &Path) -> Option<File> {
    // A link may lead anywhere, and a pipe would hold up who opens it.
    let is_file = fs::symlink_metadata(path).is_ok_and(|there| there.is_file());
    let file = is_file.then(|| File::options().write(true).open(path).ok());
    file.flatten()
}

/// Locks a part, and only then empties it.
fn hold(path: &Path, file: &File, is_left: bool) -> bool {
    let is_locked = match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => false,
        // Where files cannot be locked, a part that is left is in the way for good.
        Err(TryLockError::Error(_)) => !is_left,
    };
    // Another may have finished and renamed it before it was locked here.
    is_locked && names(path, file).unwrap_or(false) && file.set_len(0).is_ok()
}

/// Whether the path is still that of the file, and the only one.
fn names(path: &Path, file: &File) -> io::Result<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let (there, open) = (fs::symlink_metadata(path)?, file.metadata()?);
        Ok((there.dev(), there.ino(), there.nlink()) == (open.dev(), open.ino(), 1))
    }
    #[cfg(windows)]
    {
        use sockkit_core::directory::look;
        use std::os::windows::fs::OpenOptionsExt;
        let mut options = File::options();
        let there = options
            .read(true)
            .custom_flags(OPEN_REPARSE_POINT)
            .open(path)?;
        let (there, open) = (look(&there)?, look(file)?);
        Ok(there.is_file() && (there.identity, there.links) == (open.identity, 1))
    }
}

fn create_new(path: &Path) -> Result<(File, PathBuf), RecordError> {
    let path = path.to_owned();
    match File::options().write(true).create_new(true).open(&path) {
        Ok(file) => Ok((file, path)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !path.is_dir() => {
            Err(RecordError::Exists { path })
        }
        Err(source) => Err(RecordError::Create { path, source }),
    }
}

/// `FILE_FLAG_OPEN_REPARSE_POINT`: a link is opened itself.
#[cfg(windows)]
const OPEN_REPARSE_POINT: u32 = 0x0020_0000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_files_are_numbered_before_the_extension() {
        for (first, second) in [
            ("walk.mp4", "walk-2.mp4"),
            ("a.b/walk.x.mp4", "a.b/walk.x-2.mp4"),
            ("walk", "walk-2"),
        ] {
            assert_eq!(numbered(Path::new(first), 2), Path::new(second));
        }
    }

    #[test]
    fn a_part_is_taken_over_from_the_dead_and_from_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("output.mp4");
        let part = folder.path().join("output.mp4.part");
        fs::write(&target, "old").unwrap();
        fs::write(&part, "left by a program that died").unwrap();

        let (writing, path) = create(&target, Existing::Replace).unwrap();
        assert_eq!((path, fs::read(&part).unwrap()), (part.clone(), vec![]));
        let second = create(&target, Existing::Replace);
        assert!(matches!(second, Err(RecordError::Exists { path }) if path == part));

        drop(writing);
        create(&target, Existing::Replace).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"old");
    }

    /// Another recorder opens a part, and locks it only once it has got its name.
    #[test]
    fn a_part_that_was_finished_in_the_meantime_is_not_emptied() {
        let folder = tempfile::tempdir().unwrap();
        let (part, target) = (folder.path().join("part"), folder.path().join("film"));
        fs::write(&part, "whole").unwrap();
        let late = File::options().write(true).open(&part).unwrap();
        assert!(names(&part, &late).unwrap());
        fs::rename(&part, &target).unwrap();
        assert!(!hold(&part, &late, true));
        fs::write(&part, "of another").unwrap();
        assert!(!hold(&part, &late, true));
        assert_eq!(fs::read(&target).unwrap(), b"whole");
    }

    #[test]
    fn a_part_with_another_name_besides_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (target, other) = (folder.path().join("a.mp4"), folder.path().join("other"));
        fs::write(&target, "old").unwrap();
        fs::write(&other, "mine").unwrap();
        fs::hard_link(&other, folder.path().join("a.mp4.part")).unwrap();
        let made = create(&target, Existing::Replace);
        assert!(matches!(made, Err(RecordError::Exists { .. })));
        assert_eq!(fs::read(&other).unwrap(), b"mine");
    }

    #[cfg(unix)]
    #[test]
    fn a_part_is_taken_over_under_its_lock_and_not_made_again() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().unwrap();
        let (target, part) = (folder.path().join("a"), folder.path().join("a.part"));
        fs::write(&target, "old").unwrap();
        fs::write(&part, "left").unwrap();
        let left = fs::metadata(&part).unwrap().ino();
        let (file, _) = create(&target, Existing::Replace).unwrap();
        assert_eq!(file.metadata().unwrap().ino(), left);
    }

    #[cfg(unix)]
    #[test]
    fn a_part_that_is_a_link_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (target, other) = (folder.path().join("a.mp4"), folder.path().join("other"));
        fs::write(&target, "old").unwrap();
        fs::write(&other, "mine").unwrap();
        std::os::unix::fs::symlink(&other, folder.path().join("a.mp4.part")).unwrap();
        let made = create(&target, Existing::Replace);
        assert!(matches!(made, Err(RecordError::Exists { .. })));
        assert_eq!(fs::read(&other).unwrap(), b"mine");
    }
}
