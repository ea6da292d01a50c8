//! Pixel formats.

use std::fmt;

use super::PictureError;

/// Memory layout of the pixels of a raw picture.
///
/// Rows go top to bottom, pixels left to right. Samples have eight bits.
/// The Y'CbCr formats are BT.601 in limited range (luma 16 to 235), as cameras
/// deliver them.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum PixelFormat {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red: the order of OpenCV.
    Bgr,
    /// Two pixels in four bytes: Y0 Cb Y1 Cr.
    Yuyv,
    /// Two pixels in four bytes: Cb Y0 Cr Y1.
    Uyvy,
    /// A plane of Y, then one of interleaved Cb and Cr at half the size.
    Nv12,
    /// Three planes: Y, then Cb, then Cr at half the size.
    I420,
    /// Luma only, full range.
    Gray,
}

impl PixelFormat {
    /// All formats.
    pub const ALL: [Self; 7] = [
        Self::Rgb,
        Self::Bgr,
        Self::Yuyv,
        Self::Uyvy,
        Self::Nv12,
        Self::I420,
        Self::Gray,
    ];

    /// Length of an unpadded row of the first plane, in bytes.
    pub const fn row_bytes(self, width_px: u32) -> usize {
        let width = width_px as usize;
        match self {
            Self::Rgb | Self::Bgr => 3 * width,
            Self::Yuyv | Self::Uyvy => 2 * width,
            Self::Nv12 | Self::I420 | Self::Gray => width,
        }
    }

    /// Whether neighbouring pixels share chroma, so that the width must be
    /// even.
    pub(super) const fn needs_even_width(self) -> bool {
        matches!(self, Self::Yuyv | Self::Uyvy | Self::Nv12 | Self::I420)
    }

    /// Whether rows share chroma, so that the height must be even.
    pub(super) const fn has_half_height_planes(self) -> bool {
        matches!(self, Self::Nv12 | Self::I420)
    }

    /// Length of a whole picture whose rows are `stride_bytes` apart, in bytes.
    ///
    /// # Errors
    /// [`PictureError`] if the format does not support this shape.
    pub(crate) fn picture_bytes(
        self,
        width_px: u32,
        height_px: u32,
        stride_bytes: usize,
    ) -> Result<usize, PictureError> {
        check_size(width_px, height_px)?;
        let odd = |side: u32| !side.is_multiple_of(2);
        if (self.needs_even_width() && odd(width_px))
            || (self.has_half_height_planes() && odd(height_px))
            // The stride of I420 is halved for its chroma planes.
            || (self == Self::I420 && !stride_bytes.is_multiple_of(2))
        {
            return Err(PictureError::OddSize {
                format: self,
                width_px,
                height_px,
            });
        }
        let needed = self.row_bytes(width_px);
        if stride_bytes < needed {
            return Err(PictureError::StrideTooShort {
                format: self,
                needed,
                stride_bytes,
            });
        }
        let luma = stride_bytes.saturating_mul(height_px as usize);
        Ok(if self.has_half_height_planes() {
            luma.saturating_add(luma / 2)
        } else {
            luma
        })
    }
}

impl fmt::Display for PixelFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Rgb => "rgb",
            Self::Bgr => "bgr",
            Self::Yuyv => "yuyv",
            Self::Uyvy => "uyvy",
            Self::Nv12 => "nv12",
            Self::I420 => "i420",
            Self::Gray => "gray",
        })
    }
}

/// Rejects sides that are zero or too large.
pub(super) fn check_size(width_px: u32, height_px: u32) -> Result<(), PictureError> {
    let fits = 1..=MAX_SIDE_PX;
    if fits.contains(&width_px) && fits.contains(&height_px) {
        return Ok(());
    }
    Err(PictureError::BadSize {
        width_px,
        height_px,
        limit_px: MAX_SIDE_PX,
    })
}

/// 8K is 7,680 wide.
pub(super) const MAX_SIDE_PX: u32 = 8_192;
