//! The formats of a socket-programming course: a file as a name and its bytes,
//! video as 20 datagrams a picture, pictures as pickled numpy arrays.
//!
//! They exist for compatibility with the course's Python programs. They
//! transmit no length, no digest and no picture number; use [`sockkit_file`]
//! and [`sockkit_media::stream`] in your own programs.

#![cfg_attr(docsrs, feature(doc_cfg))]
// Libraries do not print; programs do.
#![warn(clippy::print_stderr, clippy::print_stdout)]

pub mod body;
pub mod file;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
// One list of malformed inputs for all picture decoders.
#[cfg(test)]
#[path = "../../sockkit-media/src/hostile.rs"]
mod hostile;
pub mod pickle;
pub mod video;
