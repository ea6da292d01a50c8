//! Message formats: length-prefixed frames, Python's `struct`, sharded
//! datagrams with parity, pictures for players, and the session of a file
//! transfer.
//!
//! ```
//! # use sockkit_codec as sockkit;
//! use sockkit::pack::Format;
//!
//! let header: Format = ">IH".parse()?;
//! let bytes = header.pack(&[1.into(), 2.into()])?;
//! assert_eq!(bytes, [0, 0, 0, 1, 0, 2]); // as Python's struct.pack('>IH', 1, 2)
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The crate is pure: it opens nothing, waits for nothing, and reads no clock.
//! `FrameReader` and `FrameWriter` use a stream that the caller provides.

#![cfg_attr(docsrs, feature(doc_cfg))]
// Libraries do not print; programs do.
#![warn(clippy::print_stderr, clippy::print_stdout)]

#[cfg(feature = "file")]
pub mod file;
pub mod frame;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod jpeg;
pub mod pack;
pub mod rtp;
pub mod rtsp;
pub mod shard;
pub mod text;
