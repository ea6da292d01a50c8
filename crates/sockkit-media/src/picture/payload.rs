//! Picture data: raw pixels, or compressed.

use std::fmt;

use bytes::Bytes;

use super::PixelFormat;

/// The data of a picture.
///
/// Cheap to clone: clones share the data.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Payload {
    /// Uncompressed pixels.
    Raw {
        /// The pixel format.
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
        /// Whether a decoder can start here; otherwise it needs earlier pictures.
        key: bool,
        /// The NAL units, each after its start code.
        data: Bytes,
    },
}

impl Payload {
    /// The encoding of the data.
    pub const fn encoding(&self) -> Encoding {
        match self {
            Self::Raw { format, .. } => Encoding::Raw(*format),
            Self::Jpeg(_) => Encoding::Jpeg,
            Self::H264 { .. } => Encoding::H264,
        }
    }

    /// The data.
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

/// The encoding of a picture: a [`Payload`] without the data.
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
    /// The pixel format of a raw picture.
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
