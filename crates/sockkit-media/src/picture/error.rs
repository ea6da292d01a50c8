//! Why bytes are not a picture.

use std::error::Error;

use super::PixelFormat;

/// Why bytes are not the picture they are said to be.
///
/// All of them are the fault of whoever made the bytes or chose the size: the
/// same call with the same bytes fails again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// A side is zero or over [`Picture::MAX_SIDE_PX`](super::Picture::MAX_SIDE_PX).
    #[error("picture of {width_px}x{height_px} px: each side must be 1 to {limit_px}")]
    BadSize {
        /// Width asked for, in pixels.
        width_px: u32,
        /// Height asked for, in pixels.
        height_px: u32,
        /// The longest side allowed, in pixels.
        limit_px: u32,
    },
    /// The format shares colour between neighbours, so this side must be even.
    #[error("{format} picture of {width_px}x{height_px} px: sides must be even")]
    OddSize {
        /// The format in question.
        format: PixelFormat,
        /// Width asked for, in pixels.
        width_px: u32,
        /// Height asked for, in pixels.
        height_px: u32,
    },
    /// A row does not fit its stride.
    #[error("{format} row needs {needed} bytes, stride is {stride_bytes}")]
    StrideTooShort {
        /// The format in question.
        format: PixelFormat,
        /// Bytes in one row of pixels.
        needed: usize,
        /// The stride given.
        stride_bytes: usize,
    },
    /// The buffer is not as long as its shape.
    #[error("{format} picture of {width_px}x{height_px} px is {expected} bytes, got {actual}")]
    WrongLength {
        /// The format in question.
        format: PixelFormat,
        /// Width, in pixels.
        width_px: u32,
        /// Height, in pixels.
        height_px: u32,
        /// Bytes the shape takes.
        expected: usize,
        /// Bytes given.
        actual: usize,
    },
    /// A JPEG's own size is not the one announced beside it.
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
    /// The bytes do not begin as a JPEG, or a marker is out of place.
    #[error("not a jpeg: unexpected byte at {offset}")]
    NotJpeg {
        /// Where, in bytes from the start.
        offset: usize,
    },
    /// The bytes end before the picture does.
    #[error("jpeg cut off after {length} bytes")]
    JpegCutOff {
        /// How many bytes there are.
        length: usize,
    },
    /// An image in a stream passes the limit.
    #[error("jpeg at byte {offset} is longer than {limit} bytes")]
    JpegTooLong {
        /// Where the image begins, in bytes from the start of the stream.
        offset: usize,
        /// The limit in force, in bytes.
        limit: usize,
    },
    /// So few bytes cannot hold so many pixels.
    #[error("{length} bytes cannot hold a jpeg of {width_px}x{height_px} px")]
    JpegTooSmall {
        /// Bytes given.
        length: usize,
        /// Width in the JPEG, in pixels.
        width_px: u32,
        /// Height in the JPEG, in pixels.
        height_px: u32,
    },
    /// The JPEG decoder refused the bytes.
    #[error("jpeg does not decode")]
    Decode(#[source] Box<dyn Error + Send + Sync>),
    /// The picture is one of an H.264 stream, which no picture alone decodes.
    #[error("h264 picture: it decodes only with the stream before it")]
    NotAlone,
    /// The picture cannot be resized.
    #[error("picture does not resize")]
    Resize(#[source] Box<dyn Error + Send + Sync>),
    /// The JPEG encoder refused the picture.
    #[error("picture does not encode as jpeg")]
    Encode(#[source] Box<dyn Error + Send + Sync>),
}
