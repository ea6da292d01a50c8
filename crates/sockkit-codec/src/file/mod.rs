//! The pure half of file transfer: manifest, names, digests, and the session.
//! For disk access and drivers see `sockkit-file`.

mod answer;
pub mod course;
mod manifest;
mod name;
mod position;
pub mod session;
mod tree;

pub use self::{
    answer::{Answer, FailReason, LeftOutReason, RefuseReason},
    manifest::{Digest, Entry, EntryKind, FileTime, Integrity, LeftOut, Manifest},
    name::{EntryPath, LinkTarget, NameError, NameRules, RawPath, TEMPORARY_PREFIX},
    position::{BlockIndex, EntryIndex},
    tree::{BlockHasher, DigestTree},
};
pub use crate::text::{escape_name, escape_name_bytes};

/// Block size in bytes; the last block of a file may be shorter. A power of
/// two, so that a block is a subtree of BLAKE3's tree.
pub const BLOCK_BYTES: u64 = 4 << 20;

/// Number of blocks of a file of that size; 0 if it is empty.
pub fn block_count(size_bytes: u64) -> u64 {
    size_bytes.div_ceil(BLOCK_BYTES)
}
