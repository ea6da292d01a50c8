//! The contents of an offer: paths, sizes, times. Pure.

use std::fmt;

use super::{EntryIndex, LeftOutReason, RawPath};

/// Everything that one transfer offers, in the order in which it is sent.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Manifest {
    /// A folder precedes its contents.
    pub entries: Vec<Entry>,
    /// Whether blocks and files carry digests.
    pub integrity: Integrity,
    /// Number of files, folders and links that the sender found but cannot
    /// offer, so that the receiver knows that the transfer is incomplete.
    pub left_out: u32,
    /// These by name; at the receiver, the first of them. A peer of an earlier revision
    /// names none.
    pub left_out_entries: Vec<LeftOut>,
}

/// Something that the sender found but cannot offer.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LeftOut {
    /// Its path, as it would have been offered. Untrusted; printing it escapes it.
    pub path: RawPath,
    /// The reason.
    pub reason: LeftOutReason,
}

impl LeftOut {
    /// Creates an entry of the list.
    pub fn new(path: impl Into<RawPath>, reason: LeftOutReason) -> Self {
        Self {
            path: path.into(),
            reason,
        }
    }
}

impl Manifest {
    /// Offers `entries`, with digests.
    pub fn new(entries: Vec<Entry>) -> Self {
        Self {
            entries,
            ..Self::default()
        }
    }

    /// The entry at that position, if there is one.
    pub fn entry(&self, index: EntryIndex) -> Option<&Entry> {
        self.entries.get(index.as_usize())
    }

    /// Each entry with its position.
    pub fn indexed(&self) -> impl Iterator<Item = (EntryIndex, &Entry)> {
        (0..).map(EntryIndex).zip(&self.entries)
    }

    /// Total size of all files, saturating if a peer's numbers overflow.
    pub fn total_bytes(&self) -> u64 {
        self.entries
            .iter()
            .fold(0, |total, entry| total.saturating_add(entry.size_bytes))
    }
}

/// One offered file, folder or link.
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
    /// The announced path, with `/` between components. Untrusted: the receiver
    /// converts it into an [`EntryPath`](super::EntryPath) or refuses the
    /// entry.
    pub path: RawPath,
    /// File, folder or link.
    pub kind: EntryKind,
    /// Length of the file; 0 for other kinds.
    pub size_bytes: u64,
    /// Modification time.
    pub modified: FileTime,
    /// The nine permission bits; 0 if the sender has none.
    pub mode: u16,
    /// Whether some users at the sender may not read it. The receiver creates
    /// such an entry for its owner only.
    pub is_private: bool,
}

impl Entry {
    /// A file of `size_bytes`, without a time and permission bits.
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

    /// A symbolic link to `target`.
    pub fn link(path: impl Into<RawPath>, target: impl Into<RawPath>) -> Self {
        Self {
            kind: EntryKind::Link {
                target: target.into(),
            },
            ..Self::file(path, 0)
        }
    }

    /// Whether it is a file that some user may execute.
    pub fn is_executable(&self) -> bool {
        self.kind == EntryKind::File && self.mode & 0o111 != 0
    }
}

/// The kind of an entry.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link {
        /// The announced target. Untrusted: the receiver converts it into a
        /// [`LinkTarget`](super::LinkTarget) or refuses the link.
        target: RawPath,
    },
    /// A kind of a later minor version, which is refused.
    Other(u8),
}

/// A Unix timestamp with nanoseconds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct FileTime {
    /// Whole seconds since 1970-01-01T00:00:00Z; negative before.
    pub seconds: i64,
    /// Nanoseconds after that, below 10^9.
    pub nanoseconds: u32,
}

impl FileTime {
    /// So many seconds after the beginning of 1970, and nanoseconds after that.
    pub const fn new(seconds: i64, nanoseconds: u32) -> Self {
        Self {
            seconds,
            nanoseconds,
        }
    }
}

/// Whether digests verify the data.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Integrity {
    /// BLAKE3 after each block and each file. Default.
    #[default]
    Blake3,
    /// Only TCP's checksum. Such a transfer cannot be resumed. The receiver has
    /// to allow it.
    Unverified,
}

/// A BLAKE3 digest of a block or a file.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Follows a block that the sender could not read to its end.
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
