//! What is offered: paths, sizes, times. Pure.

use std::fmt;

use super::RawPath;

/// Everything one transfer offers, in the order in which it is sent.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Manifest {
    /// Folders come before what is in them.
    pub entries: Vec<Entry>,
    /// Whether blocks and files carry digests.
    pub integrity: Integrity,
    /// How many files, folders and links the sender found and cannot offer, so that
    /// the receiver knows that it does not get all.
    pub left_out: u32,
}

impl Manifest {
    /// Offers `entries`, with digests.
    pub fn new(entries: Vec<Entry>) -> Self {
        Self {
            entries,
            ..Self::default()
        }
    }

    /// Bytes of all files together; saturates where a peer's numbers overflow.
    pub fn total_bytes(&self) -> u64 {
        self.entries
            .iter()
            .fold(0, |total, entry| total.saturating_add(entry.size_bytes))
    }
}

/// One file, folder or link on offer.
///
/// ```
/// # use sockkit_codec as sockkit;
/// use sockkit::file::{Entry, EntryKind};
///
/// let mut entry = Entry::file("notes/today.txt", 12);
/// entry.mode = 0o640;
/// assert_eq!(entry.kind, EntryKind::File);
/// assert!(!entry.is_executable());
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Entry {
    /// As announced, `/` between components. Not to be trusted: the receiver
    /// turns it into an [`EntryPath`](super::EntryPath) or refuses it.
    pub path: RawPath,
    /// File, folder or link.
    pub kind: EntryKind,
    /// Length of the file; 0 for all else.
    pub size_bytes: u64,
    /// When it was last changed.
    pub modified: FileTime,
    /// The nine bits that say who may read, write and execute it; 0 if the sender has
    /// none to tell.
    pub mode: u16,
    /// Whether there are users at the sender that may not read it. Such an entry
    /// is for its owner alone at the receiver.
    pub is_private: bool,
}

impl Entry {
    /// A file of `size_bytes`. Without a time, and with no mode to tell.
    pub fn file(path: impl Into<RawPath>, size_bytes: u64) -> Self {
        Self {
            path: path.into(),
            kind: EntryKind::File,
            size_bytes,
            modified: FileTime::default(),
            mode: 0,
            is_private: false,
        }
    }

    /// A folder.
    pub fn folder(path: impl Into<RawPath>) -> Self {
        Self {
            kind: EntryKind::Folder,
            ..Self::file(path, 0)
        }
    }

    /// A symbolic link that leads to `target`.
    pub fn link(path: impl Into<RawPath>, target: impl Into<RawPath>) -> Self {
        Self {
            kind: EntryKind::Link {
                target: target.into(),
            },
            ..Self::file(path, 0)
        }
    }

    /// Whether it is a file that some user may run as a program.
    pub fn is_executable(&self) -> bool {
        self.kind == EntryKind::File && self.mode & 0o111 != 0
    }
}

/// What an entry is.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link {
        /// As announced. Not to be trusted: the receiver turns it into a
        /// [`LinkTarget`](super::LinkTarget) or refuses the link.
        target: RawPath,
    },
    /// A kind from a later minor revision; it is refused.
    Other(u8),
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
