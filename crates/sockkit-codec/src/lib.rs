//! Messages on the wire: length-prefixed frames, Python's `struct` formats,
//! sharded datagrams with parity, and file transfer.
//!
//! Without the `io` feature the crate is pure: it opens nothing, waits for
//! nothing, and reads no clock.

#![cfg_attr(docsrs, feature(doc_cfg))]
// A library does not print; the programs do.
#![warn(clippy::print_stderr, clippy::print_stdout)]

pub mod file;
pub mod frame;
#[doc(hidden)]
pub mod fuzzing;
pub mod pack;
pub mod shard;
