//! The formats of a socket-programming course that are its own: a file as a name
//! and its bytes, video as 20 datagrams a picture, pictures as numpy's pickles.
//!
//! They are here to speak with the course's programs in Python. They carry no
//! length, no digest and no picture number: for your own programs there are
//! [`sockkit_file`] and [`sockkit_media::stream`].

#![cfg_attr(docsrs, feature(doc_cfg))]
// A library does not print; the programs do.
#![warn(clippy::print_stderr, clippy::print_stdout)]

pub mod body;
pub mod file;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
// One list of bad inputs for all decoders of pictures.
#[cfg(test)]
#[path = "../../sockkit-media/src/hostile.rs"]
mod hostile;
pub mod pickle;
pub mod video;
