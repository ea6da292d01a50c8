//! Converts between pixel formats.

mod rgb;
mod yuv;

pub(crate) use self::yuv::{Planes, Range};
use super::{Encoding, Picture, PictureError, PixelFormat, jpeg};

impl Picture {
    /// Converts to packed RGB; shares the data if it already is.
    ///
    /// # Errors
    /// As [`convert`](Self::convert).
    pub fn to_rgb(&self) -> Result<Self, PictureError> {
        self.convert(PixelFormat::Rgb)
    }

    /// Converts to another format with unpadded rows; keeps capture time and
    /// number.
    ///
    /// JPEG pictures are decoded. Use [`jpeg::encode`] to create one.
    ///
    /// # Errors
    /// [`PictureError::OddSize`] if the format does not support this size;
    /// [`PictureError::Decode`] or a similar error if it is a damaged JPEG;
    /// [`PictureError::NotAlone`] if it is H.264.
    pub fn convert(&self, to: PixelFormat) -> Result<Self, PictureError> {
        use PixelFormat::{Bgr, Gray, I420, Nv12, Rgb, Uyvy, Yuyv};
        let format = match self.encoding() {
            Encoding::Raw(format) if format == to => return Ok(self.packed()),
            Encoding::Raw(format) => format,
            Encoding::Jpeg => return jpeg::decode_as(self, to),
            Encoding::H264 => return Err(PictureError::NotAlone),
        };
        let (width, height) = (self.width_px(), self.height_px());
        let source = self.packed();
        let from = source.data();
        let pixels = match (format, to) {
            (Rgb, Bgr) | (Bgr, Rgb) => rgb::swap_ends(from),
            (Yuyv, Uyvy) | (Uyvy, Yuyv) => yuv::swap_pairs(from),
            (Nv12 | I420 | Yuyv | Uyvy, Gray) => yuv::to_gray(format, &source),
            (Nv12 | I420 | Yuyv | Uyvy, Rgb) => yuv::to_rgb(format, &source),
            (Gray, Rgb | Bgr) => rgb::from_gray(from),
            (Rgb, Gray) => rgb::to_gray(from),
            (Rgb, Nv12 | I420 | Yuyv | Uyvy) => {
                to.picture_bytes(width, height, to.row_bytes(width))?;
                yuv::from_rgb(&source, to)
            }
            _ => return self.to_rgb()?.convert(to),
        };
        Ok(Self::new(to, width, height, pixels)?.stamped_like(self))
    }
}
