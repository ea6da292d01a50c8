//! One picture, with its shape and age.

use bytes::Bytes;

use super::{
    PictureError, PixelFormat, Timestamp,
    format::{MAX_SIDE_PX, check_size},
    jpeg,
};

/// One picture: its bytes, their shape, when it was taken, and its number.
///
/// Cheap to clone: clones share the bytes.
///
/// ```
/// use sockkit_media::picture::{PixelFormat, Timestamp, VideoFrame};
///
/// let black = VideoFrame::new(PixelFormat::Rgb, 640, 480, vec![0; 640 * 480 * 3])?
///     .captured_at(Timestamp::from_micros(1_700_000_000_000_000))
///     .numbered(7);
/// assert_eq!(black.stride_bytes(), 1920);
/// assert!(VideoFrame::new(PixelFormat::Rgb, 640, 480, vec![0; 12]).is_err());
/// # Ok::<(), sockkit_media::picture::PictureError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VideoFrame {
    format: PixelFormat,
    width_px: u32,
    height_px: u32,
    /// Bytes from one row of the first plane to the next; 0 for JPEG.
    stride_bytes: usize,
    captured: Timestamp,
    number: u64,
    data: Bytes,
}

impl VideoFrame {
    /// The longest side of a picture, in pixels.
    pub const MAX_SIDE_PX: u32 = MAX_SIDE_PX;

    /// Wraps one picture whose rows are unpadded, without copying it.
    ///
    /// # Shapes
    /// `data` holds exactly the picture. For [`PixelFormat::Jpeg`] it is the
    /// compressed image, whose own size must be the one given.
    ///
    /// # Errors
    /// [`PictureError`] if the size is out of bounds or the bytes do not fit it.
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

    /// Wraps one picture whose rows begin `stride_bytes` apart.
    ///
    /// # Shapes
    /// Every row is padded, the last one included. The colour rows of NV12 have
    /// the same stride, those of I420 half of it. JPEG has no stride.
    ///
    /// # Errors
    /// [`PictureError`] if the size is out of bounds or the bytes do not fit it.
    pub fn with_stride(
        format: PixelFormat,
        width_px: u32,
        height_px: u32,
        stride_bytes: usize,
        data: impl Into<Bytes>,
    ) -> Result<Self, PictureError> {
        let data = data.into();
        if format == PixelFormat::Jpeg {
            return Self::from_jpeg(data)?.announced_as(width_px, height_px);
        }
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
        Ok(Self {
            format,
            width_px,
            height_px,
            stride_bytes,
            captured: Timestamp::default(),
            number: 0,
            data,
        })
    }

    /// Wraps a JPEG, whose header says its size.
    ///
    /// Reads the header alone: bytes that begin as a JPEG may still fail to
    /// [decode](jpeg::decode).
    ///
    /// # Errors
    /// [`PictureError`] if the bytes do not begin as a JPEG, or its size is out
    /// of bounds.
    pub fn from_jpeg(data: impl Into<Bytes>) -> Result<Self, PictureError> {
        let data = data.into();
        let (width_px, height_px) = jpeg::dimensions(&data)?;
        check_size(width_px, height_px)?;
        Ok(Self {
            format: PixelFormat::Jpeg,
            width_px,
            height_px,
            stride_bytes: 0,
            captured: Timestamp::default(),
            number: 0,
            data,
        })
    }

    /// Sets when the picture was taken, by the capturer's clock.
    #[must_use]
    pub const fn captured_at(mut self, captured: Timestamp) -> Self {
        self.captured = captured;
        self
    }

    /// Sets the picture's number. Numbers grow; a gap is a lost picture.
    #[must_use]
    pub const fn numbered(mut self, number: u64) -> Self {
        self.number = number;
        self
    }

    /// Gives this picture the capture time and number of `original`.
    #[must_use]
    pub const fn stamped_like(self, original: &Self) -> Self {
        self.captured_at(original.captured)
            .numbered(original.number)
    }

    /// How the pixels lie in memory.
    pub const fn format(&self) -> PixelFormat {
        self.format
    }

    /// Width in pixels.
    pub const fn width_px(&self) -> u32 {
        self.width_px
    }

    /// Height in pixels.
    pub const fn height_px(&self) -> u32 {
        self.height_px
    }

    /// Bytes from one row of the first plane to the next; 0 for JPEG.
    pub const fn stride_bytes(&self) -> usize {
        self.stride_bytes
    }

    /// When the picture was taken, by the capturer's clock.
    pub const fn captured(&self) -> Timestamp {
        self.captured
    }

    /// The picture's number.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The bytes.
    pub const fn data(&self) -> &Bytes {
        &self.data
    }

    /// Gives the bytes up.
    pub fn into_data(self) -> Bytes {
        self.data
    }

    /// The same picture with unpadded rows; shares the bytes if they are so already.
    #[must_use]
    pub fn packed(&self) -> Self {
        let row = self.format.row_bytes(self.width_px);
        if self.stride_bytes == row {
            return self.clone();
        }
        let luma = self.stride_bytes * self.height_px as usize;
        let (first, colour) = self.data.split_at(luma);
        let (colour_row, colour_stride) = match self.format {
            PixelFormat::I420 => (row / 2, self.stride_bytes / 2),
            _ => (row, self.stride_bytes),
        };
        let mut data = Vec::with_capacity(row * self.height_px as usize * 3 / 2);
        for padded in first.chunks_exact(self.stride_bytes) {
            data.extend_from_slice(&padded[..row]);
        }
        for padded in colour.chunks_exact(colour_stride) {
            data.extend_from_slice(&padded[..colour_row]);
        }
        Self {
            stride_bytes: row,
            data: data.into(),
            ..self.clone()
        }
    }

    /// Refuses a JPEG whose header disagrees with what was announced.
    fn announced_as(self, width_px: u32, height_px: u32) -> Result<Self, PictureError> {
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
        assert!(VideoFrame::new(format, width_px, height_px, vec![0; length]).is_ok());
        for wrong in [length - 1, length + 1] {
            assert!(matches!(
                VideoFrame::new(format, width_px, height_px, vec![0; wrong]),
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
        let limit = VideoFrame::MAX_SIDE_PX;
        assert!(VideoFrame::new(PixelFormat::Gray, limit, 1, vec![0; 8_192]).is_ok());
        for (width, height) in [
            (0, 1),
            (1, 0),
            (limit + 1, 1),
            (1, limit + 1),
            (u32::MAX, 2),
        ] {
            assert!(matches!(
                VideoFrame::new(PixelFormat::Gray, width, height, vec![]),
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
                VideoFrame::new(format, width, height, vec![0; 99]),
                Err(PictureError::OddSize { .. })
            ));
        }
    }

    #[test]
    fn padding_is_taken_out() {
        let padded = VideoFrame::with_stride(
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
            VideoFrame::with_stride(PixelFormat::Rgb, 2, 2, 5, vec![0; 10]),
            Err(PictureError::StrideTooShort { needed: 6, .. })
        ));
    }

    #[test]
    fn unpadded_pictures_share_their_bytes() {
        let frame = VideoFrame::new(PixelFormat::Gray, 2, 1, vec![1, 2]).unwrap();
        assert_eq!(frame.packed().data().as_ptr(), frame.data().as_ptr());
    }
}
