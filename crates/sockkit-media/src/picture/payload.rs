//! What a picture holds: raw pixels, or compressed ones.

use std::fmt;

use bytes::Bytes;

use super::PixelFormat;

/// What a picture holds.
///
/// Cheap to clone: clones share the bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Payload {
    /// Pixels, uncompressed.
    Raw {
        /// How they lie in memory.
        format: PixelFormat,
        /// Bytes from one row of the first plane to the next.
        stride_bytes: usize,
        /// The rows.
        data: Bytes,
    },
    /// A JPEG image.
    Jpeg(Bytes),
    /// One picture of an H.264 stream: NAL units in Annex B form.
    H264 {
        /// Whether a decoder can start here; otherwise it needs the pictures before.
        key: bool,
        /// The NAL units, each after its start code.
        data: Bytes,
    },
}

impl Payload {
    /// How the bytes are to be read.
    pub const fn encoding(&self) -> Encoding {
        match self {
            Self::Raw { format, .. } => Encoding::Raw(*format),
            Self::Jpeg(_) => Encoding::Jpeg,
            Self::H264 { .. } => Encoding::H264,
        }
    }

    /// The bytes.
    pub const fn data(&self) -> &Bytes {
        match self {
            Self::Raw { data, .. } | Self::Jpeg(data) | Self::H264 { data, .. } => data,
        }
    }

    pub(super) fn into_data(self) -> Bytes {
        match self {
            Self::Raw { data, .. } | Self::Jpeg(data) | Self::H264 { data, .. } => data,
        }
    }
}

/// How a picture's bytes are to be read: a [`Payload`] without the bytes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Encoding {
    /// Raw pixels.
    Raw(PixelFormat),
    /// A JPEG image.
    Jpeg,
    /// One picture of an H.264 stream.
    H264,
}

impl Encoding {
    /// The pixel format, of raw pictures.
    pub const fn pixel_format(self) -> Option<PixelFormat> {
        match self {
            Self::Raw(format) => Some(format),
            Self::Jpeg | Self::H264 => None,
        }
    }
}

impl From<PixelFormat> for Encoding {
    fn from(format: PixelFormat) -> Self {
        Self::Raw(format)
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raw(format) => format.fmt(f),
            Self::Jpeg => f.pad("jpeg"),
            Self::H264 => f.pad("h264"),
        }
    }
}
