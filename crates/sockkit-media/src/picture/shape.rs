//! A picture with its shape, capture time and number.

use bytes::Bytes;

use super::{
    Encoding, Payload, PictureError, PixelFormat, Timestamp,
    format::{MAX_SIDE_PX, check_size},
    jpeg,
    turn::Turn,
};

/// A picture: data, size, capture time, and number.
///
/// Cheap to clone: clones share the data.
///
/// ```
/// # use sockkit_media as sockkit;
/// use sockkit::picture::{PixelFormat, Timestamp, Picture};
///
/// let black = Picture::new(PixelFormat::Rgb, 640, 480, vec![0; 640 * 480 * 3])?
///     .captured_at(Timestamp::from_micros(1_700_000_000_000_000))
///     .numbered(7);
/// assert_eq!(black.stride_bytes(), 1920);
/// assert!(Picture::new(PixelFormat::Rgb, 640, 480, vec![0; 12]).is_err());
/// # Ok::<(), sockkit::picture::PictureError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Picture {
    payload: Payload,
    width_px: u32,
    height_px: u32,
    captured: Timestamp,
    number: u64,
}

impl Picture {
    /// Maximum side length of a picture, in pixels.
    pub const MAX_SIDE_PX: u32 = MAX_SIDE_PX;

    /// Wraps raw pixels with unpadded rows, without copying them.
    ///
    /// # Shapes
    /// The length of `data` must be exactly that of the picture.
    ///
    /// # Errors
    /// [`PictureError`] if the size is out of bounds or does not match the
    /// data.
    pub fn new(
        format: PixelFormat,
        width_px: u32,
        height_px: u32,
        data: impl Into<Bytes>,
    ) -> Result<Self, PictureError> {
        Self::with_stride(
            format,
            width_px,
            height_px,
            format.row_bytes(width_px),
            data,
        )
    }

    /// Wraps raw pixels whose rows start `stride_bytes` apart.
    ///
    /// # Shapes
    /// Every row is padded, including the last. The chroma rows of NV12 have
    /// the same stride, those of I420 half of it.
    ///
    /// # Errors
    /// [`PictureError`] if the size is out of bounds or does not match the
    /// data.
    pub fn with_stride(
        format: PixelFormat,
        width_px: u32,
        height_px: u32,
        stride_bytes: usize,
        data: impl Into<Bytes>,
    ) -> Result<Self, PictureError> {
        let data = data.into();
        let expected = format.picture_bytes(width_px, height_px, stride_bytes)?;
        if data.len() != expected {
            return Err(PictureError::WrongLength {
                format,
                width_px,
                height_px,
                expected,
                actual: data.len(),
            });
        }
        let payload = Payload::Raw {
            format,
            stride_bytes,
            data,
        };
        Ok(Self::of(payload, width_px, height_px))
    }

    /// Wraps a JPEG, whose header contains its size.
    ///
    /// Only reads the header: data that starts like a JPEG may still fail to
    /// [decode](jpeg::decode).
    ///
    /// # Errors
    /// [`PictureError`] if the data does not start like a JPEG, or its size is
    /// out of bounds.
    pub fn from_jpeg(data: impl Into<Bytes>) -> Result<Self, PictureError> {
        let data = data.into();
        let (width_px, height_px) = jpeg::dimensions(&data)?;
        check_size(width_px, height_px)?;
        Ok(Self::of(Payload::Jpeg(data), width_px, height_px))
    }

    /// Wraps one picture of an H.264 stream, as NAL units in Annex B format.
    ///
    /// `key` tells that a decoder can start here. The data is not checked.
    ///
    /// # Errors
    /// [`PictureError::BadSize`] if the size is out of bounds.
    pub fn from_h264(
        key: bool,
        width_px: u32,
        height_px: u32,
        data: impl Into<Bytes>,
    ) -> Result<Self, PictureError> {
        check_size(width_px, height_px)?;
        let data = data.into();
        Ok(Self::of(Payload::H264 { key, data }, width_px, height_px))
    }

    const fn of(payload: Payload, width_px: u32, height_px: u32) -> Self {
        Self {
            payload,
            width_px,
            height_px,
            captured: Timestamp::from_micros(0),
            number: 0,
        }
    }

    /// Sets the capture time, by the source's clock.
    #[must_use]
    pub const fn captured_at(mut self, captured: Timestamp) -> Self {
        self.captured = captured;
        self
    }

    /// Sets the picture number. Numbers increase; a gap is a lost picture.
    #[must_use]
    pub const fn numbered(mut self, number: u64) -> Self {
        self.number = number;
        self
    }

    /// Copies the capture time and number from `original`.
    #[must_use]
    pub const fn stamped_like(self, original: &Self) -> Self {
        self.captured_at(original.captured)
            .numbered(original.number)
    }

    /// The data, with its encoding.
    pub const fn payload(&self) -> &Payload {
        &self.payload
    }

    /// The encoding of the data.
    pub const fn encoding(&self) -> Encoding {
        self.payload.encoding()
    }

    /// Width and height as the picture is shown, in pixels: the EXIF orientation of a
    /// JPEG may turn it, and the picture that it decodes to has this size.
    pub fn shown_size_px(&self) -> (u32, u32) {
        self.turn().size((self.width_px, self.height_px))
    }

    /// How the pixels are turned to be seen upright.
    pub(crate) fn turn(&self) -> Turn {
        match &self.payload {
            Payload::Jpeg(data) => jpeg::orientation(data),
            _ => Turn::NONE,
        }
    }

    /// Width in pixels, as stored.
    pub const fn width_px(&self) -> u32 {
        self.width_px
    }

    /// Height in pixels, as stored.
    pub const fn height_px(&self) -> u32 {
        self.height_px
    }

    /// Distance between rows of the first plane, in bytes; 0 if compressed.
    pub const fn stride_bytes(&self) -> usize {
        match self.payload {
            Payload::Raw { stride_bytes, .. } => stride_bytes,
            Payload::Jpeg(_) | Payload::H264 { .. } => 0,
        }
    }

    /// Capture time, by the source's clock.
    pub const fn captured(&self) -> Timestamp {
        self.captured
    }

    /// The picture number.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The data.
    pub const fn data(&self) -> &Bytes {
        self.payload.data()
    }

    /// Returns the data.
    pub fn into_data(self) -> Bytes {
        self.payload.into_data()
    }

    /// Removes the padding of rows; shares the data if there is none, or if it
    /// is compressed.
    #[must_use]
    pub fn packed(&self) -> Self {
        let Payload::Raw {
            format,
            stride_bytes,
            data,
        } = &self.payload
        else {
            return self.clone();
        };
        let row = format.row_bytes(self.width_px);
        if *stride_bytes == row {
            return self.clone();
        }
        let (first, colour) = data.split_at(stride_bytes * self.height_px as usize);
        let (colour_row, colour_stride) = match format {
            PixelFormat::I420 => (row / 2, stride_bytes / 2),
            _ => (row, *stride_bytes),
        };
        let mut data = Vec::with_capacity(row * self.height_px as usize * 3 / 2);
        for padded in first.chunks_exact(*stride_bytes) {
            data.extend_from_slice(&padded[..row]);
        }
        for padded in colour.chunks_exact(colour_stride) {
            data.extend_from_slice(&padded[..colour_row]);
        }
        let payload = Payload::Raw {
            format: *format,
            stride_bytes: row,
            data: data.into(),
        };
        Self::of(payload, self.width_px, self.height_px).stamped_like(self)
    }

    /// Rejects a JPEG whose header differs from the announced size.
    pub(super) fn announced_as(self, width_px: u32, height_px: u32) -> Result<Self, PictureError> {
        if (self.width_px, self.height_px) == (width_px, height_px) {
            return Ok(self);
        }
        Err(PictureError::SizeMismatch {
            width_px,
            height_px,
            actual_width_px: self.width_px,
            actual_height_px: self.height_px,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn length_of(format: PixelFormat, width_px: u32, height_px: u32) -> usize {
        let row = format.row_bytes(width_px);
        let length = format.picture_bytes(width_px, height_px, row).unwrap();
        assert!(Picture::new(format, width_px, height_px, vec![0; length]).is_ok());
        for wrong in [length - 1, length + 1] {
            assert!(matches!(
                Picture::new(format, width_px, height_px, vec![0; wrong]),
                Err(PictureError::WrongLength { expected, actual, .. })
                    if expected == length && actual == wrong
            ));
        }
        length
    }

    #[test]
    fn lengths_follow_from_the_shape() {
        assert_eq!(length_of(PixelFormat::Rgb, 5, 3), 45);
        assert_eq!(length_of(PixelFormat::Bgr, 640, 480), 921_600);
        assert_eq!(length_of(PixelFormat::Yuyv, 6, 3), 36);
        assert_eq!(length_of(PixelFormat::Uyvy, 6, 3), 36);
        assert_eq!(length_of(PixelFormat::Nv12, 6, 4), 36);
        assert_eq!(length_of(PixelFormat::I420, 6, 4), 36);
        assert_eq!(length_of(PixelFormat::Gray, 5, 3), 15);
    }

    #[test]
    fn sides_are_one_to_the_limit() {
        let limit = Picture::MAX_SIDE_PX;
        assert!(Picture::new(PixelFormat::Gray, limit, 1, vec![0; 8_192]).is_ok());
        for (width, height) in [
            (0, 1),
            (1, 0),
            (limit + 1, 1),
            (1, limit + 1),
            (u32::MAX, 2),
        ] {
            assert!(matches!(
                Picture::new(PixelFormat::Gray, width, height, vec![]),
                Err(PictureError::BadSize { .. })
            ));
        }
    }

    #[test]
    fn shared_colour_needs_even_sides() {
        for (format, width, height) in [
            (PixelFormat::Yuyv, 5, 4),
            (PixelFormat::Uyvy, 5, 4),
            (PixelFormat::Nv12, 4, 5),
            (PixelFormat::I420, 5, 4),
        ] {
            assert!(matches!(
                Picture::new(format, width, height, vec![0; 99]),
                Err(PictureError::OddSize { .. })
            ));
        }
    }

    #[test]
    fn padding_is_taken_out() {
        let padded = Picture::with_stride(
            PixelFormat::I420,
            2,
            2,
            4,
            vec![1, 2, 0, 0, 3, 4, 0, 0, 5, 0, 6, 0],
        )
        .unwrap();
        let packed = padded.packed();
        assert_eq!(packed.stride_bytes(), 2);
        assert_eq!(packed.data()[..], [1, 2, 3, 4, 5, 6]);
        assert!(matches!(
            Picture::with_stride(PixelFormat::Rgb, 2, 2, 5, vec![0; 10]),
            Err(PictureError::StrideTooShort { needed: 6, .. })
        ));
    }

    #[test]
    fn unpadded_pictures_share_their_bytes() {
        let frame = Picture::new(PixelFormat::Gray, 2, 1, vec![1, 2]).unwrap();
        assert_eq!(frame.packed().data().as_ptr(), frame.data().as_ptr());
    }
}
