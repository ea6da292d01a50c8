//! The body of a video frame in the course's TCP video.

use std::{num::TryFromIntError, str::FromStr};

use bytes::Bytes;
use sockkit_media::picture::{Picture, PictureError, PixelFormat, jpeg};

use crate::pickle::{self, PickleError};

/// How a picture is encoded; parsed from `jpeg`, `raw` or `pickle`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Body {
    /// Compressed.
    Jpeg,
    /// The bytes of the array: rows from the top, in the order blue, green,
    /// red.
    Raw,
    /// `pickle.dumps` of a numpy array, decoded without executing anything.
    Pickle,
}

impl Body {
    /// Encodes a picture.
    ///
    /// # Errors
    /// If it is a damaged JPEG.
    pub fn encode(self, picture: &Picture) -> Result<Bytes, PictureError> {
        Ok(match self {
            Self::Jpeg => jpeg::encode(picture, jpeg::DEFAULT_QUALITY)?.into_data(),
            Self::Raw => picture.convert(PixelFormat::Bgr)?.packed().into_data(),
            Self::Pickle => pickle::encode(picture)?.into(),
        })
    }

    /// Decodes a picture; raw pictures have the given width.
    ///
    /// # Errors
    /// If the bytes are not such a picture.
    pub fn decode(self, body: Bytes, raw_width_px: u32) -> Result<Picture, BodyError> {
        Ok(match self {
            Self::Jpeg => Picture::from_jpeg(body)?,
            Self::Pickle => pickle::decode(&body)?,
            Self::Raw => {
                let row = (raw_width_px as usize)
                    .checked_mul(3)
                    .filter(|row| *row > 0 && body.len().is_multiple_of(*row))
                    .ok_or(BodyError::Width {
                        bytes: body.len(),
                        width_px: raw_width_px,
                    })?;
                let height_px = u32::try_from(body.len() / row)?;
                Picture::new(PixelFormat::Bgr, raw_width_px, height_px, body)?
            }
        })
    }
}

impl FromStr for Body {
    type Err = UnknownBody;

    fn from_str(name: &str) -> Result<Self, UnknownBody> {
        match name {
            "jpeg" => Ok(Self::Jpeg),
            "raw" => Ok(Self::Raw),
            "pickle" => Ok(Self::Pickle),
            _ => Err(UnknownBody),
        }
    }
}

/// Error from parsing a [`Body`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a body is jpeg, raw or pickle")]
pub struct UnknownBody;

/// Error from decoding a picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// It is not a JPEG, or not a picture of that size.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// It is not a pickled picture.
    #[error(transparent)]
    Pickle(#[from] PickleError),
    /// The length is not a multiple of the row length.
    #[error("{bytes} bytes are not whole rows of {width_px} pixels; is the width right?")]
    Width {
        /// Length of the body.
        bytes: usize,
        /// The assumed width.
        width_px: u32,
    },
    /// It has more rows than a picture can have.
    #[error("picture has too many rows")]
    Height(#[from] TryFromIntError),
}
