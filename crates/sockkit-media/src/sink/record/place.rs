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

/// A part that is locked is being written; one that is not was left by a program that
/// died, and goes.
fn create_part(path: &Path) -> Result<(File, PathBuf), RecordError> {
    let made = match create_new(path) {
        Err(RecordError::Exists { .. }) if is_abandoned(path) => {
            fs::remove_file(path).map_err(|source| RecordError::Create {
                path: path.to_owned(),
                source,
            })?;
            create_new(path)
        }
        made => made,
    };
    if let Ok((file, _)) = &made {
        // Where files cannot be locked, a part that is left is in the way for good.
        let _ = file.try_lock();
    }
    made
}

fn is_abandoned(path: &Path) -> bool {
    // A link may lead anywhere, and a pipe would hold up who opens it.
    let is_file = fs::symlink_metadata(path).is_ok_and(|there| there.is_file());
    let file = is_file.then(|| File::options().write(true).open(path));
    match file {
        Some(Ok(file)) => match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
        },
        _ => false,
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
