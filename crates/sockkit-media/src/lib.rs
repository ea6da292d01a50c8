//! Live pictures over a network: sources, JPEG, loss-tolerant streams,
//! a browser viewer and an MP4 recorder.

#![cfg_attr(docsrs, feature(doc_cfg))]
// A library does not print; the programs do.
#![warn(clippy::print_stderr, clippy::print_stdout)]

#[cfg(test)]
mod hostile;
pub mod latest;
pub mod picture;
pub mod sink;
pub mod source;
pub mod stream;
