//! What is offered: paths, sizes, times. Pure.

use std::fmt;

/// Everything one transfer offers, in the order in which it is sent.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Manifest {
    /// Folders come before what is in them.
    pub entries: Vec<Entry>,
    /// Whether blocks and files carry digests.
    pub integrity: Integrity,
}

impl Manifest {
    /// Bytes of all files together; saturates where a peer's numbers overflow.
    pub fn total_bytes(&self) -> u64 {
        self.entries
            .iter()
            .fold(0, |total, entry| total.saturating_add(entry.size_bytes))
    }
}

/// One file or folder on offer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// As announced, `/` between components. Not to be trusted: the receiver
    /// turns it into an [`EntryPath`](super::EntryPath) or refuses it. Show it
    /// through [`escape_name`](super::escape_name).
    pub path: String,
    /// File or folder. Links and devices cannot be offered.
    pub kind: EntryKind,
    /// Length of the file; 0 for a folder.
    pub size_bytes: u64,
    /// When it was last changed.
    pub modified: FileTime,
    /// Whether it may be run as a program.
    pub executable: bool,
    /// Whether there are users at the sender that may not read it. Such an entry
    /// is for its owner alone at the receiver.
    pub is_private: bool,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
}

/// A file's time, as Unix counts it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FileTime {
    /// Whole seconds since 1970-01-01T00:00:00Z; negative before.
    pub seconds: i64,
    /// Nanoseconds after that, below 10^9.
    pub nanoseconds: u32,
}

/// Whether the bytes are proved by digests.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Integrity {
    /// BLAKE3 after each block and each file. Default.
    #[default]
    Blake3,
    /// Nothing but TCP's checksum. Nothing can be resumed. The receiver has to
    /// allow it.
    Unverified,
}

/// A BLAKE3 digest of a block or a file.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// What follows a block that the sender could not read to its end.
    pub(crate) const VOID: Self = Self([0; 32]);
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}
