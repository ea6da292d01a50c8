//! The picture message: a header followed by the picture's data.
//!
//! Numbers are big-endian.
//!
//! ```text
//!       0       1       2       3       4       5       6       7
//!   +-------+-------+-------+-------+-------+-------+-------+-------+
//!  0| 'S'     'K'     'P'     'I'   |version| length| codec | format|
//!   +-------+-------+-------+-------+-------+-------+-------+-------+
//!  8|         width in pixels       |        height in pixels       |
//!   +-------+-------+-------+-------+-------+-------+-------+-------+
//! 16|         capture time, microseconds since the Unix epoch       |
//!   +-------+-------+-------+-------+-------+-------+-------+-------+
//! 24|                         picture number                        |
//!   +-------+-------+-------+-------+-------+-------+-------+-------+
//! ```
//!
//! `length` is that of the whole header, so that a later version can append
//! fields which earlier readers skip.
#![warn(clippy::indexing_slicing)]

use bytes::{Bytes, BytesMut};

use super::{Encoding, Picture, PictureError, PixelFormat, Timestamp};

/// Header of a picture message.
///
/// ```
/// # use sockkit_media as sockkit;
/// use sockkit::picture::{Picture, PixelFormat};
///
/// let frame = Picture::new(PixelFormat::Gray, 2, 1, vec![7, 9])?.numbered(3);
/// let message = frame.to_message()?;
/// assert_eq!(Picture::from_message(message)?, frame);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PictureHeader {
    /// Encoding of the data after the header.
    pub encoding: Encoding,
    /// Width in pixels.
    pub width_px: u32,
    /// Height in pixels.
    pub height_px: u32,
    /// Capture time, by the sender's clock.
    pub captured: Timestamp,
    /// The picture's number.
    pub number: u64,
}

impl PictureHeader {
    /// Length of the header written by [`emit`](Self::emit), in bytes.
    pub const BYTES: usize = 32;

    /// Creates the header of a picture with unpadded rows.
    pub const fn of(frame: &Picture) -> Self {
        Self {
            encoding: frame.encoding(),
            width_px: frame.width_px(),
            height_px: frame.height_px(),
            captured: frame.captured(),
            number: frame.number(),
        }
    }

    /// Encodes the header.
    ///
    /// # Errors
    /// [`MessageError::NoCode`] if the wire format has no code for the
    /// encoding: H.264.
    pub fn emit(&self) -> Result<[u8; Self::BYTES], MessageError> {
        let Self { encoding, .. } = *self;
        let (codec, format) = codes_of(encoding).ok_or(MessageError::NoCode { encoding })?;
        let mut header = [0; Self::BYTES];
        let fields: [&[u8]; 6] = [
            &MAGIC,
            &[VERSION, OWN_LENGTH, codec, format],
            &self.width_px.to_be_bytes(),
            &self.height_px.to_be_bytes(),
            &self.captured.as_micros().to_be_bytes(),
            &self.number.to_be_bytes(),
        ];
        for (slot, &byte) in header.iter_mut().zip(fields.iter().copied().flatten()) {
            *slot = byte;
        }
        Ok(header)
    }

    /// Parses the header at the start of a message. Also returns its length,
    /// which is the offset of the picture's data.
    ///
    /// # Errors
    /// [`MessageError`] if the message does not start with a header of this
    /// version.
    pub fn parse(message: &[u8]) -> Result<(Self, usize), MessageError> {
        let Some((header, _)) = message.split_first_chunk::<{ Self::BYTES }>() else {
            return Err(MessageError::CutOff {
                length: message.len(),
                needed: Self::BYTES,
            });
        };
        #[rustfmt::skip]
        let [
            m0, m1, m2, m3, version, length, codec, format,
            w0, w1, w2, w3, h0, h1, h2, h3,
            c0, c1, c2, c3, c4, c5, c6, c7,
            n0, n1, n2, n3, n4, n5, n6, n7,
        ] = *header;
        if [m0, m1, m2, m3] != MAGIC {
            return Err(MessageError::NotAPicture);
        }
        if version != VERSION {
            return Err(MessageError::Version { version });
        }
        let length = usize::from(length);
        if length < Self::BYTES {
            return Err(MessageError::HeaderTooShort { length });
        }
        if length > message.len() {
            return Err(MessageError::CutOff {
                length: message.len(),
                needed: length,
            });
        }
        let encoding = encodings()
            .find(|&known| codes_of(known) == Some((codec, format)))
            .ok_or(MessageError::UnknownFormat { codec, format })?;
        let header = Self {
            encoding,
            width_px: u32::from_be_bytes([w0, w1, w2, w3]),
            height_px: u32::from_be_bytes([h0, h1, h2, h3]),
            captured: Timestamp::from_micros(u64::from_be_bytes([c0, c1, c2, c3, c4, c5, c6, c7])),
            number: u64::from_be_bytes([n0, n1, n2, n3, n4, n5, n6, n7]),
        };
        Ok((header, length))
    }

    /// Creates the picture from the header and its data, without capture time
    /// and number.
    fn picture(&self, data: Bytes) -> Result<Picture, MessageError> {
        let (width_px, height_px) = (self.width_px, self.height_px);
        let picture = match self.encoding {
            Encoding::Raw(format) => Picture::new(format, width_px, height_px, data),
            Encoding::Jpeg => {
                Picture::from_jpeg(data).and_then(|jpeg| jpeg.announced_as(width_px, height_px))
            }
            encoding @ Encoding::H264 => return Err(MessageError::NoCode { encoding }),
        };
        Ok(picture?)
    }
}

impl Picture {
    /// Encodes the picture as one message, copying its data. To send header and
    /// data separately, use [`PictureHeader::emit`] and the data of
    /// [`packed`](Self::packed).
    ///
    /// # Errors
    /// [`MessageError::NoCode`] if messages cannot carry this encoding: H.264.
    pub fn to_message(&self) -> Result<Bytes, MessageError> {
        let header = PictureHeader::of(self).emit()?;
        let frame = self.packed();
        let mut message = BytesMut::with_capacity(header.len() + frame.data().len());
        message.extend_from_slice(&header);
        message.extend_from_slice(frame.data());
        Ok(message.freeze())
    }

    /// Parses a message; the picture shares its data.
    ///
    /// # Errors
    /// [`MessageError`] if the message is not a picture, or its data does not
    /// match its header.
    pub fn from_message(mut message: Bytes) -> Result<Self, MessageError> {
        let (header, length) = PictureHeader::parse(&message)?;
        let data = message.split_off(length);
        Ok(header
            .picture(data)?
            .captured_at(header.captured)
            .numbered(header.number))
    }
}

/// Error from parsing or encoding a picture message; always the sender's
/// mistake.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// The message does not start with the magic bytes.
    #[error("message is not a picture")]
    NotAPicture,
    /// The sender uses another version.
    #[error("picture header of version {version}, this is version {VERSION}")]
    Version {
        /// The version in the header.
        version: u8,
    },
    /// The announced header length is too short for its fields.
    #[error(
        "picture header announces {length} bytes, its fields take {}",
        PictureHeader::BYTES
    )]
    HeaderTooShort {
        /// The length in the header.
        length: usize,
    },
    /// The message is truncated inside the header.
    #[error("picture message of {length} bytes ends inside a header of {needed}")]
    CutOff {
        /// Length of the message, in bytes.
        length: usize,
        /// Length of the header, in bytes.
        needed: usize,
    },
    /// A codec or pixel format of a later version.
    #[error("picture of unknown codec {codec} with format {format}")]
    UnknownFormat {
        /// Number of the codec.
        codec: u8,
        /// Number of the pixel format.
        format: u8,
    },
    /// The wire format has no code for this encoding, so the picture cannot be
    /// sent.
    #[error("no picture message carries {encoding}: send jpeg or raw pixels")]
    NoCode {
        /// The picture's encoding.
        encoding: Encoding,
    },
    /// The data does not match the header.
    #[error("picture message does not match its header")]
    Picture(#[from] PictureError),
}

/// Every encoding that has a code on the wire.
fn encodings() -> impl Iterator<Item = Encoding> {
    let raw = PixelFormat::ALL.into_iter().map(Encoding::Raw);
    raw.chain([Encoding::Jpeg])
}

/// Codec and pixel format as on the wire. Never change a code.
const fn codes_of(encoding: Encoding) -> Option<(u8, u8)> {
    Some(match encoding {
        Encoding::Raw(PixelFormat::Rgb) => (0, 1),
        Encoding::Raw(PixelFormat::Bgr) => (0, 2),
        Encoding::Raw(PixelFormat::Yuyv) => (0, 3),
        Encoding::Raw(PixelFormat::Uyvy) => (0, 4),
        Encoding::Raw(PixelFormat::Nv12) => (0, 5),
        Encoding::Raw(PixelFormat::I420) => (0, 6),
        Encoding::Raw(PixelFormat::Gray) => (0, 7),
        Encoding::Jpeg => (1, 0),
        Encoding::H264 => return None,
    })
}

const MAGIC: [u8; 4] = *b"SKPI";
const VERSION: u8 = 1;

/// [`PictureHeader::BYTES`], as in the header.
const OWN_LENGTH: u8 = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::jpeg;

    fn gray() -> Picture {
        Picture::new(PixelFormat::Gray, 2, 1, vec![7, 9])
            .unwrap()
            .captured_at(Timestamp::from_micros(0x0102_0304_0506_0708))
            .numbered(0x1112_1314_1516_1718)
    }

    const GRAY: [u8; 34] = [
        b'S', b'K', b'P', b'I', 1, 32, 0, 7, 0, 0, 0, 2, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 0x11,
        0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 7, 9,
    ];

    #[test]
    fn bytes_are_those_of_the_document() {
        assert_eq!(gray().to_message().unwrap()[..], GRAY);
        assert_eq!(
            Picture::from_message(Bytes::from_static(&GRAY)).unwrap(),
            gray()
        );
    }

    #[test]
    fn every_encoding_comes_back() {
        let gray = Picture::new(PixelFormat::Gray, 16, 16, vec![99; 256]).unwrap();
        let raw = PixelFormat::ALL.map(|format| gray.convert(format).unwrap());
        let jpeg = jpeg::encode(&gray, jpeg::DEFAULT_QUALITY).unwrap();
        for frame in raw.into_iter().chain([jpeg]) {
            let message = frame.to_message().unwrap();
            assert_eq!(Picture::from_message(message).unwrap(), frame);
        }
    }

    #[test]
    fn h264_has_no_code_yet() {
        let frame = Picture::from_h264(true, 16, 16, vec![0, 0, 1, 0x65]).unwrap();
        assert!(matches!(
            frame.to_message(),
            Err(MessageError::NoCode {
                encoding: Encoding::H264
            })
        ));
    }

    #[test]
    fn every_cut_is_an_error() {
        for cut in 0..GRAY.len() {
            let error = Picture::from_message(Bytes::from_static(&GRAY[..cut])).unwrap_err();
            assert_eq!(
                cut < 32,
                matches!(error, MessageError::CutOff { .. }),
                "at {cut}"
            );
        }
    }

    #[test]
    fn a_longer_header_is_skipped() {
        let mut longer = GRAY.to_vec();
        longer[5] = 35;
        longer.splice(32..32, [1, 2, 3]);
        assert_eq!(Picture::from_message(longer.into()).unwrap(), gray());
    }

    #[track_caller]
    fn refused(at: usize, byte: u8) -> MessageError {
        let mut message = GRAY;
        message[at] = byte;
        Picture::from_message(Bytes::copy_from_slice(&message)).unwrap_err()
    }

    #[test]
    fn fields_are_checked() {
        assert!(matches!(refused(3, 0), MessageError::NotAPicture));
        assert!(matches!(
            refused(4, 2),
            MessageError::Version { version: 2 }
        ));
        assert!(matches!(
            refused(5, 31),
            MessageError::HeaderTooShort { length: 31 }
        ));
        assert!(matches!(
            refused(5, 35),
            MessageError::CutOff { needed: 35, .. }
        ));
        assert!(matches!(
            refused(6, 2),
            MessageError::UnknownFormat {
                codec: 2,
                format: 7
            }
        ));
        assert!(matches!(refused(7, 8), MessageError::UnknownFormat { .. }));
        assert!(matches!(
            refused(8, 0xff),
            MessageError::Picture(PictureError::BadSize { .. })
        ));
        assert!(matches!(
            refused(11, 3),
            MessageError::Picture(PictureError::WrongLength {
                expected: 3,
                actual: 2,
                ..
            })
        ));
    }

    #[test]
    fn a_jpeg_of_another_size_is_refused() {
        let frame = jpeg::encode(&gray(), jpeg::DEFAULT_QUALITY).unwrap();
        let mut message = frame.to_message().unwrap().to_vec();
        message[11] = 3;
        assert!(matches!(
            Picture::from_message(message.into()),
            Err(MessageError::Picture(PictureError::SizeMismatch { .. }))
        ));
    }
}
