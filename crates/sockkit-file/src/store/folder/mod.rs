//! One open folder, and the few things that are done in it.
//!
//! Every call names a single component and never follows a link, so nothing a
//! peer sends and nothing that is swapped in meanwhile leads elsewhere.

use std::{collections::hash_map::RandomState, hash::BuildHasher};

use crate::TEMPORARY_PREFIX;

#[cfg_attr(unix, path = "unix.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod imp;

pub(crate) use self::imp::*;

/// What a file system has left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) bytes: u64,
    /// What the smallest file or folder takes.
    pub(crate) unit_bytes: u64,
    /// Files and folders that may still be made; `None` if only the bytes limit
    /// them.
    pub(crate) inodes: Option<u64>,
}

/// The beginning of a temporary name that cannot be foreseen.
pub(super) fn fresh_stem() -> String {
    let random = RandomState::new().hash_one(std::process::id());
    format!("{TEMPORARY_PREFIX}{random:016x}")
}
