//! Which entry of an offer, and which block of a file.

use std::fmt;

use super::BLOCK_BYTES;

/// Which entry of an offer, counted from 0 in the order of
/// [`Manifest::entries`](super::Manifest::entries).
///
/// ```
/// # use sockkit_codec as sockkit;
/// use sockkit::file::{Entry, EntryIndex, Manifest};
///
/// let manifest = Manifest::new(vec![Entry::folder("a"), Entry::file("a/b", 3)]);
/// let entry = manifest.entry(EntryIndex(1)).expect("two are on offer");
/// assert_eq!(entry.path.as_bytes(), b"a/b");
/// assert!(manifest.entry(EntryIndex(2)).is_none());
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct EntryIndex(pub u32);

impl EntryIndex {
    /// The same number, to index a list with.
    pub fn as_usize(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for EntryIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which block of a file, counted from 0.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BlockIndex(pub u64);

impl BlockIndex {
    /// Where it begins in the file, in bytes; saturates where a peer's number
    /// overflows.
    pub fn offset_bytes(self) -> u64 {
        self.0.saturating_mul(BLOCK_BYTES)
    }
}

impl fmt::Display for BlockIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
