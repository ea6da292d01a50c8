//! The body of a video frame in the course's TCP video.

use std::{num::TryFromIntError, str::FromStr};

use bytes::Bytes;
use sockkit_codec::frame::LengthOrder;
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
    /// What the first bytes of a body look like; raw pixels begin in any way.
    pub fn guess(first: [u8; 2]) -> Self {
        match first {
            [0xff, 0xd8] => Self::Jpeg,
            [0x80, 2..=5] => Self::Pickle,
            _ => Self::Raw,
        }
    }

    /// Writes a picture.
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
    /// If the bytes are no such picture, or a JPEG that is cut off.
    pub fn decode(self, body: Bytes, raw_width_px: u32) -> Result<Picture, BodyError> {
        Ok(match self {
            Self::Jpeg => {
                jpeg::trim(&body)?;
                Picture::from_jpeg(body)?
            }
            Self::Pickle => pickle::decode(&body)?,
            Self::Raw => {
                let is_pickle = body.starts_with(PICKLE_IN_TEXT);
                let row = (raw_width_px as usize)
                    .checked_mul(3)
                    .filter(|row| *row > 0 && body.len().is_multiple_of(*row))
                    .ok_or(match is_pickle {
                        true => BodyError::OldPickle,
                        false => BodyError::Width {
                            bytes: body.len(),
                            width_px: raw_width_px,
                        },
                    })?;
                let height_px = u32::try_from(body.len() / row)?;
                Picture::new(PixelFormat::Bgr, raw_width_px, height_px, body)?
            }
        })
    }
}

/// The order in which a length of eight bytes is written, if it is that of a frame of at
/// most `max_bytes`: no length but 0 is in both orders.
///
/// The notes write it as `struct.pack('Q', n)`, which begins with the last byte on nearly
/// every machine; networks begin with the first.
pub fn length_order(prefix: [u8; 8], max_bytes: u64) -> Option<LengthOrder> {
    let fits = |length: u64| (1..=max_bytes).contains(&length);
    if fits(u64::from_be_bytes(prefix)) {
        Some(LengthOrder::BigEndian)
    } else if fits(u64::from_le_bytes(prefix)) {
        Some(LengthOrder::LittleEndian)
    } else {
        None
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
    /// It is pickled by a protocol that is not decoded.
    #[error(
        "pickle of protocol 0 or 1; the server decides it: pickle.dumps(frame, protocol=2), or later"
    )]
    OldPickle,
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

/// How an array of numpy begins in protocols 0 and 1: with the name of what makes it.
const PICKLE_IN_TEXT: &[u8] = b"cnumpy";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_order_and_kind() {
        let most = 64 << 20;
        for length in [1_u64, 46_080, 921_600, most] {
            let orders = [LengthOrder::BigEndian, LengthOrder::LittleEndian];
            for (prefix, order) in [length.to_be_bytes(), length.to_le_bytes()]
                .into_iter()
                .zip(orders)
            {
                assert_eq!(length_order(prefix, most), Some(order), "{length}");
            }
        }
        for neither in [[0; 8], [0xff; 8], *b"HTTP/1.1"] {
            assert_eq!(length_order(neither, most), None);
        }
        let gray = Picture::new(PixelFormat::Gray, 16, 16, vec![7; 256]).unwrap();
        for body in [Body::Jpeg, Body::Raw, Body::Pickle] {
            let bytes = body.encode(&gray).unwrap();
            assert_eq!(Body::guess([bytes[0], bytes[1]]), body);
        }
    }

    /// `pickle.dumps(frame, protocol=0)`, which a client that goes by the first bytes takes
    /// for pixels.
    #[test]
    fn an_old_pickle_is_named() {
        let pickle = Bytes::from_static(b"cnumpy.core.multiarray\n_reconstruct\np0\n");
        let error = Body::Raw.decode(pickle, 640).unwrap_err();
        assert!(error.to_string().contains("protocol=2"), "{error}");
    }

    #[test]
    fn a_jpeg_that_is_cut_off_is_no_picture() {
        let gray = Picture::new(PixelFormat::Gray, 16, 16, vec![7; 256]).unwrap();
        let whole = Body::Jpeg.encode(&gray).unwrap();
        assert!(Body::Jpeg.decode(whole.clone(), 0).is_ok());
        for length in 0..whole.len() {
            assert!(
                Body::Jpeg.decode(whole.slice(..length), 0).is_err(),
                "{length}"
            );
        }
    }
}
