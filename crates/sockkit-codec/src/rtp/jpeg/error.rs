//! Reasons against passing a JPEG through.

use super::MAX_SIDE_PX;
use crate::jpeg::SegmentError;

/// Why RTP cannot carry a JPEG as it is; it has to be decoded and compressed again.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NotCarried {
    /// The data is no JPEG, or is damaged.
    #[error("not a JPEG at byte {offset}")]
    NotJpeg {
        /// Where, from the start.
        offset: usize,
    },
    /// It ends before its end marker.
    #[error("cut off after {length} bytes")]
    CutOff {
        /// Length of the data, in bytes.
        length: usize,
    },
    /// It is not baseline: the kind is named.
    #[error("{0}, and RTP carries baseline only")]
    Process(&'static str),
    /// Samples have more than 8 bits.
    #[error("{0} bits a sample, and RTP carries 8 only")]
    Precision(u8),
    /// It is gray, or has four components.
    #[error("{0} components, and RTP carries 3 only")]
    Components(u8),
    /// Colours are not sampled as 4:2:2 or 4:2:0.
    #[error("sampled neither as 4:2:2 nor as 4:2:0")]
    Sampling,
    /// The components are not YCbCr.
    #[error("its colours are not YCbCr")]
    Colours,
    /// A side is longer than 2040 pixels, or has none.
    #[error("{width_px}x{height_px} pixels, and RTP carries up to {MAX_SIDE_PX}x{MAX_SIDE_PX}")]
    Size {
        /// Width.
        width_px: u16,
        /// Height.
        height_px: u16,
    },
    /// Not the tables of T.81, annex K, or not used as there.
    #[error("its Huffman tables are not the standard ones")]
    HuffmanTables,
    /// A table is missing or has 16 bits, or the colours have two.
    #[error("its quantization tables are not one for luma and one for colours")]
    QuantizationTables,
    /// The components are not in one scan, or not in order.
    #[error("several scans, and RTP carries one")]
    Scans,
    /// The compressed data is longer than offsets can tell.
    #[error("{bytes} bytes, and RTP carries up to 16 MiB")]
    TooLong {
        /// Length of the data, in bytes.
        bytes: usize,
    },
}

impl From<SegmentError> for NotCarried {
    fn from(error: SegmentError) -> Self {
        match error {
            SegmentError::NotJpeg { offset } => Self::NotJpeg { offset },
            SegmentError::CutOff { length } => Self::CutOff { length },
        }
    }
}
