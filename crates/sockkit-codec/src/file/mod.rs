//! File transfer: session, drivers, confined writes.

#[cfg(feature = "io")]
pub mod course;
#[cfg(feature = "io")]
mod destination;
#[cfg(feature = "io")]
mod driver;
mod manifest;
mod name;
pub mod session;
#[cfg(feature = "io")]
mod source;

#[cfg(feature = "io")]
pub use self::{
    destination::{Destination, OnConflict},
    driver::{
        FileOutcome, FileSummary, Incoming, LinkError, OnProgress, Progress, ReceiveConfig,
        ReceiveError, SendConfig, SendError, Summary, receive, send,
    },
    source::{SkipReason, Skipped, Source, SourceError},
};
pub use self::{
    manifest::{Digest, Entry, EntryKind, FileTime, Integrity, Manifest},
    name::{EntryPath, NameError, escape_name},
};

/// Bytes in a block, except for the last of a file. It is a power of two, so
/// that a block is a subtree of BLAKE3's tree.
pub const BLOCK_BYTES: u64 = 4 << 20;

/// How many blocks a file of that size has; none if it is empty.
pub fn block_count(size_bytes: u64) -> u64 {
    size_bytes.div_ceil(BLOCK_BYTES)
}
