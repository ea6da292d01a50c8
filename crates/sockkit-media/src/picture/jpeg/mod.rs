//! JPEG: encode, decode, measure, trim.
//!
//! Bytes from a peer meet a decoder in safe Rust only, in its strict mode: a
//! picture cut short is an error and not a grey rest.
//!
//! # Source
//! ITU-T T.81 for the markers and the standard Huffman tables.

mod decode;
mod encode;
mod markers;
mod split;
mod tables;
mod trim;

pub use self::{
    decode::{decode, decode_as},
    encode::encode,
    markers::dimensions,
    split::Splitter,
    trim::trim,
};

/// The quality to use when nobody asked: a good picture at about a tenth of
/// the raw size.
pub const DEFAULT_QUALITY: u8 = 80;
