//! Syncs data to disk before files get their names.

use std::{collections::BTreeMap, io};

use super::{
    folder::{Dev, file_system},
    part::Completed,
};
use crate::EntryIndex;

/// A folder below the destination may be on another file system.
pub(super) fn by_file_system(batch: &[(EntryIndex, Completed)]) -> BTreeMap<Dev, Vec<&Completed>> {
    let mut groups: BTreeMap<Dev, Vec<&Completed>> = BTreeMap::new();
    for (_, file) in batch {
        groups
            .entry(file_system(&file.stat))
            .or_default()
            .push(file);
    }
    groups
}

/// One call for the whole file system is cheaper than one for each of many
/// files.
pub(super) fn sync_files(files: &[&Completed]) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if let [first, ..] = files
        && files.len() >= MIN_SYNCFS_FILES
    {
        return Ok(rustix::fs::syncfs(&first.file)?);
    }
    files.iter().try_for_each(|file| file.file.sync_all())
}

#[cfg(target_os = "linux")]
const MIN_SYNCFS_FILES: usize = 8;
