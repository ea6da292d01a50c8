//! Errors from pictures.

use std::error::Error;

use sockkit_codec::jpeg::SegmentError;

use super::PixelFormat;

/// Error about a picture's data or size.
///
/// The data, or the requested size, is at fault: the same call with the same
/// data fails again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// A side is zero or over [`Picture::MAX_SIDE_PX`](super::Picture::MAX_SIDE_PX).
    #[error("picture of {width_px}x{height_px} px: each side must be 1 to {limit_px}")]
    BadSize {
        /// Requested width, in pixels.
        width_px: u32,
        /// Requested height, in pixels.
        height_px: u32,
        /// The maximum, in pixels.
        limit_px: u32,
    },
    /// The format subsamples chroma, so sides must be even.
    #[error("{format} picture of {width_px}x{height_px} px: sides must be even")]
    OddSize {
        /// The pixel format.
        format: PixelFormat,
        /// Requested width, in pixels.
        width_px: u32,
        /// Requested height, in pixels.
        height_px: u32,
    },
    /// The stride is shorter than a row.
    #[error("{format} row needs {needed} bytes, stride is {stride_bytes}")]
    StrideTooShort {
        /// The pixel format.
        format: PixelFormat,
        /// Bytes in one row of pixels.
        needed: usize,
        /// The given stride.
        stride_bytes: usize,
    },
    /// The length of the data does not match the shape.
    #[error("{format} picture of {width_px}x{height_px} px is {expected} bytes, got {actual}")]
    WrongLength {
        /// The pixel format.
        format: PixelFormat,
        /// Width, in pixels.
        width_px: u32,
        /// Height, in pixels.
        height_px: u32,
        /// Length required by the shape, in bytes.
        expected: usize,
        /// Given length, in bytes.
        actual: usize,
    },
    /// The size in a JPEG differs from the announced one.
    #[error("jpeg is {actual_width_px}x{actual_height_px} px, announced {width_px}x{height_px}")]
    SizeMismatch {
        /// Announced width, in pixels.
        width_px: u32,
        /// Announced height, in pixels.
        height_px: u32,
        /// Width in the JPEG, in pixels.
        actual_width_px: u32,
        /// Height in the JPEG, in pixels.
        actual_height_px: u32,
    },
    /// The data does not start like a JPEG, or a marker is out of place.
    #[error("not a jpeg: unexpected byte at {offset}")]
    NotJpeg {
        /// Position of the error, in bytes from the start.
        offset: usize,
    },
    /// The data is truncated.
    #[error("jpeg cut off after {length} bytes")]
    JpegCutOff {
        /// Length of the data.
        length: usize,
    },
    /// A kind of JPEG that no decoder here shows as it is meant.
    #[error("jpeg {kind}, which is not decoded; {advice}")]
    JpegKind {
        /// What is uncommon about it.
        kind: &'static str,
        /// How to make a common one of it.
        advice: &'static str,
    },
    /// The data is too short for this number of pixels.
    #[error("{length} bytes cannot hold a jpeg of {width_px}x{height_px} px")]
    JpegTooSmall {
        /// Given length, in bytes.
        length: usize,
        /// Width in the JPEG, in pixels.
        width_px: u32,
        /// Height in the JPEG, in pixels.
        height_px: u32,
    },
    /// The JPEG decoder rejected the data.
    #[error("jpeg does not decode")]
    Decode(#[source] Box<dyn Error + Send + Sync>),
    /// A picture of an H.264 stream, which cannot be decoded on its own.
    #[error("h264 picture: it can only be decoded together with the stream before it")]
    NotAlone,
    /// The picture cannot be resized.
    #[error("picture does not resize")]
    Resize(#[source] Box<dyn Error + Send + Sync>),
    /// The JPEG encoder rejected the picture.
    #[error("picture does not encode as jpeg")]
    Encode(#[source] Box<dyn Error + Send + Sync>),
}

impl From<SegmentError> for PictureError {
    fn from(error: SegmentError) -> Self {
        match error {
            SegmentError::CutOff { length } => Self::JpegCutOff { length },
            SegmentError::NotJpeg { offset } => Self::NotJpeg { offset },
        }
    }
}
