//! An open folder, and the operations in it.
//!
//! Every call takes a single path component and never follows a link, so that
//! neither names from a peer nor files swapped in meanwhile can lead elsewhere.

use std::{collections::hash_map::RandomState, hash::BuildHasher};

use crate::TEMPORARY_PREFIX;

#[cfg_attr(unix, path = "unix.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod imp;
#[cfg(all(test, windows))]
mod windows_tests;

pub(crate) use self::imp::*;

/// Free resources of a file system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) bytes: u64,
    /// Allocation unit of a file or folder.
    pub(crate) unit_bytes: u64,
    /// Files and folders that can still be created; `None` if only space limits
    /// them.
    pub(crate) inodes: Option<u64>,
}

/// An unpredictable prefix for temporary names.
pub(super) fn fresh_stem() -> String {
    let random = RandomState::new().hash_one(std::process::id());
    format!("{TEMPORARY_PREFIX}{random:016x}")
}
