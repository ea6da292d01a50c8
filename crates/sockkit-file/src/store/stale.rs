//! Cleans up after earlier transfers.
//!
//! An interrupted transfer leaves a part and a record for each file that can be
//! resumed. They are kept for a week, at most 128 in a folder; unusable ones
//! are removed at once. Files locked by another transfer, or owned by another
//! user, are left alone.

use std::{
    cmp::Reverse,
    collections::HashMap,
    io::{self, ErrorKind},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{
    folder::{Folder, is_file, is_own, modified_seconds},
    part::{PART, PartNames, RECORD},
};
use crate::TEMPORARY_PREFIX;

/// Removes the unfinished files in `folder` that are too old or too many at
/// time `now`. Returns how many.
pub(super) fn remove_stale(folder: &Folder, now: SystemTime) -> io::Result<u32> {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut removed = 0;
    let mut resumable = Vec::new();
    for (stem, found) in unfinished(folder)? {
        if found.part && found.record.is_some() {
            resumable.push((found, stem));
        } else {
            // One without the other cannot be resumed.
            removed += u32::from(remove(folder, &stem, &found)?);
        }
    }
    resumable.sort_unstable_by_key(|(found, _)| Reverse(found.record));
    for (place, (found, stem)) in resumable.into_iter().enumerate() {
        let written = found.record.and_then(|written| u64::try_from(written).ok());
        let age = now.saturating_sub(written.unwrap_or(0));
        if place >= MAX_KEPT || age > MAX_AGE.as_secs() {
            removed += u32::from(remove(folder, &stem, &found)?);
        }
    }
    Ok(removed)
}

/// The files found under one temporary name.
#[derive(Default)]
struct Found {
    part: bool,
    /// When the record was last written.
    record: Option<i64>,
}

/// This user's unfinished files, by the prefix of their names.
fn unfinished(folder: &Folder) -> io::Result<HashMap<String, Found>> {
    let mut found: HashMap<String, Found> = HashMap::new();
    for name in folder.names_with(TEMPORARY_PREFIX)? {
        let Some(stat) = folder.find(&name)?.filter(is_file).filter(is_own) else {
            continue;
        };
        if let Some(stem) = name.strip_suffix(PART) {
            found.entry(stem.to_owned()).or_default().part = true;
        } else if let Some(stem) = name.strip_suffix(RECORD) {
            found.entry(stem.to_owned()).or_default().record = Some(modified_seconds(&stat));
        }
    }
    Ok(found)
}

/// Removes the files found, unless a transfer uses one of them.
fn remove(folder: &Folder, stem: &str, found: &Found) -> io::Result<bool> {
    let names = PartNames::of_stem(stem);
    let found = [
        (found.part, &names.part),
        (found.record.is_some(), &names.record),
    ];
    // Held until all are removed.
    let mut locks = Vec::new();
    for (_, name) in found.iter().filter(|(is_there, _)| *is_there) {
        match folder.lock(name) {
            Ok(Some(lock)) => locks.push((name, lock)),
            Ok(None) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    // The record first: without it, the rest is not trusted.
    locks
        .iter()
        .rev()
        .try_for_each(|(name, _)| folder.remove(name))?;
    Ok(!locks.is_empty())
}

/// How long resumable files are kept.
const MAX_AGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How many resumable files are kept in one folder.
const MAX_KEPT: usize = 128;
