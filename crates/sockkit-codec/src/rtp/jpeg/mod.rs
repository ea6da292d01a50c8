//! JPEG as the payload of RTP.
//!
//! A payload names two samplings, a size in units of 8 pixels up to 2040, and the
//! quantization tables. All else is fixed: three components in one baseline scan, with
//! the standard Huffman tables. [`JpegFrame::new`] checks that a JPEG is of that kind;
//! its compressed data then passes unchanged.
//!
//! ```
//! # use sockkit_codec as sockkit;
//! use sockkit::rtp::jpeg::{JpegFrame, NotCarried};
//!
//! let progressive = b"\xff\xd8\xff\xc2\0\x11\x08\0\x10\0\x10\x03\x01\x22\0\x02\x11\x01\x03\x11\x01";
//! let error = JpegFrame::new(&progressive[..].into()).unwrap_err();
//! assert_eq!(error, NotCarried::Process("progressive"));
//! ```
//!
//! # Source
//! RFC 2435; ITU-T T.81 for the markers.

mod depacketize;
mod error;
mod fragment;
mod frame;
mod read;
mod scan;
mod tables;

pub use self::{
    depacketize::{DepacketizeError, Depacketizer},
    error::NotCarried,
    fragment::{Fragment, MIN_PAYLOAD_BYTES},
    frame::JpegFrame,
    tables::standard_huffman_tables,
};

/// The static payload type of JPEG, RFC 3551, table 5.
pub const PAYLOAD_TYPE: u8 = 26;

/// Longest side that a payload can name, in pixels.
pub const MAX_SIDE_PX: u16 = 255 * UNIT_PX;

/// Sizes are sent in this unit, rounded up.
const UNIT_PX: u16 = 8;

/// Added to the type of a picture with restart markers.
const WITH_RESTARTS: u8 = 64;

/// The quality that means: the tables are in the payload, and may differ in the next
/// picture.
const TABLES_IN_BAND: u8 = 255;

/// One table for luma and one for the colours, 8 bits each, in zigzag order.
const TABLE_BYTES: usize = 64;

/// The offset of a fragment has 24 bits.
const MAX_SCAN_BYTES: usize = (1 << 24) - 1;

/// Luma, and two colours.
type Sampling = [u8; 3];

/// The samplings of type 0 and 1: half as many columns of colours, and rows.
const SAMPLINGS: [Sampling; 2] = [[0x21, 0x11, 0x11], [0x22, 0x11, 0x11]];

#[cfg(test)]
mod tests;
