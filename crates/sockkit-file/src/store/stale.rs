//! What earlier transfers left, and when it goes.
//!
//! A broken transfer leaves a part and a record for each file that can be
//! resumed. They wait for a week, in one folder the newest 128; what no attempt
//! could use goes at once. What another transfer has locked, or another user
//! owns, stays.

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
/// `now`. Returns how many.
pub(super) fn remove_stale(folder: &Folder, now: SystemTime) -> io::Result<u32> {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut removed = 0;
    let mut resumable = Vec::new();
    for (stem, found) in unfinished(folder)? {
        if found.part && found.record.is_some() {
            resumable.push((found, stem));
        } else {
            // One without the other: nothing can be resumed.
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

/// What is there under one temporary name.
#[derive(Default)]
struct Found {
    part: bool,
    /// When the record was last written.
    record: Option<i64>,
}

/// This user's unfinished files, by the beginning of their names.
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

/// Removes what was found, unless a transfer has any of it.
fn remove(folder: &Folder, stem: &str, found: &Found) -> io::Result<bool> {
    let names = PartNames::of_stem(stem);
    let found = [
        (found.part, &names.part),
        (found.record.is_some(), &names.record),
    ];
    // Held until all are gone.
    let mut locks = Vec::new();
    for (_, name) in found.iter().filter(|(is_there, _)| *is_there) {
        match folder.lock(name) {
            Ok(Some(lock)) => locks.push((name, lock)),
            Ok(None) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    // The record first: what is left without it is believed by no attempt.
    locks
        .iter()
        .rev()
        .try_for_each(|(name, _)| folder.remove(name))?;
    Ok(!locks.is_empty())
}

/// How long what can be resumed waits.
const MAX_AGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How many files that can be resumed wait in one folder.
const MAX_KEPT: usize = 128;
