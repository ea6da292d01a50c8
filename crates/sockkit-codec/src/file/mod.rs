//! File transfer, the half that opens nothing: manifest, names, digests, and the
//! session. Disk and drivers: `sockkit-file`.

mod answer;
pub mod course;
mod manifest;
mod name;
pub mod session;
mod tree;

pub use self::{
    answer::{Answer, FailReason, RefuseReason},
    manifest::{Digest, Entry, EntryKind, FileTime, Integrity, Manifest},
    name::{EntryPath, LinkTarget, NameError, NameRules, RawPath, TEMPORARY_PREFIX},
    tree::{BlockHasher, DigestTree},
};
pub use crate::text::{escape_name, escape_name_bytes};

/// Bytes in a block, except for the last of a file. It is a power of two, so
/// that a block is a subtree of BLAKE3's tree.
pub const BLOCK_BYTES: u64 = 4 << 20;

/// How many blocks a file of that size has; none if it is empty.
pub fn block_count(size_bytes: u64) -> u64 {
    size_bytes.div_ceil(BLOCK_BYTES)
}
