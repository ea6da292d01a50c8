//! JPEG: encode, decode, measure, trim.
//!
//! Data from a peer only reaches a decoder in safe Rust, in its strict mode: a
//! truncated picture is an error, not a picture with a gray rest.
//!
//! # Source
//! ITU-T T.81 for the markers.

mod decode;
mod encode;
mod exif;
mod frame;
mod markers;
mod split;
mod trim;
mod walk;

pub(super) use self::exif::orientation;
pub use self::{
    decode::{decode, decode_as},
    encode::encode,
    markers::dimensions,
    split::Splitter,
    trim::trim,
};

/// Default quality: a good picture at about a tenth of the raw size.
pub const DEFAULT_QUALITY: u8 = 80;
