//! Resizes pictures.

use fast_image_resize::{
    FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer,
    images::{Image, ImageRef},
};

use super::{Encoding, Picture, PictureError, PixelFormat, format::check_size, turn::Turn};

impl Picture {
    /// Resizes the picture; keeps capture time and number.
    ///
    /// RGB, BGR and gray keep their format, all others become RGB. The aspect
    /// ratio is not kept. A picture that already has this size is returned
    /// unchanged.
    ///
    /// # Errors
    /// [`PictureError::BadSize`] if a side is zero or exceeds the limit, or
    /// another [`PictureError`] if it is a damaged JPEG.
    pub fn resize(&self, width_px: u32, height_px: u32) -> Result<Self, PictureError> {
        check_size(width_px, height_px)?;
        let size_px = (self.width_px(), self.height_px());
        if (width_px, height_px) == size_px && self.turn() == Turn::NONE {
            return Ok(self.clone());
        }
        let (source, format, pixels) = match self.encoding() {
            Encoding::Raw(format @ (PixelFormat::Rgb | PixelFormat::Bgr)) => {
                (self.packed(), format, PixelType::U8x3)
            }
            Encoding::Raw(PixelFormat::Gray) => (self.packed(), PixelFormat::Gray, PixelType::U8),
            _ => (self.to_rgb()?, PixelFormat::Rgb, PixelType::U8x3),
        };
        let from = ImageRef::new(source.width_px(), source.height_px(), source.data(), pixels)
            .map_err(|error| PictureError::Resize(error.into()))?;
        let mut to = Image::new(width_px, height_px, pixels);
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
        Resizer::new()
            .resize(&from, &mut to, &options)
            .map_err(|error| PictureError::Resize(error.into()))?;
        Ok(Self::new(format, width_px, height_px, to.into_vec())?.stamped_like(self))
    }

    /// Resizes the picture to that width and keeps its aspect ratio, like
    /// Python's `imutils.resize(frame, width)`. The height is rounded down, but
    /// at least 1.
    ///
    /// # Errors
    /// As [`resize`](Self::resize).
    pub fn resize_to_width(&self, width_px: u32) -> Result<Self, PictureError> {
        let (shown_width_px, shown_height_px) = self.shown_size_px();
        let height = u64::from(shown_height_px) * u64::from(width_px) / u64::from(shown_width_px);
        // A height that is over every limit is told as such.
        let height_px = u32::try_from(height.max(1)).unwrap_or(u32::MAX);
        self.resize(width_px, height_px)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::jpeg;

    #[test]
    fn halves_keep_their_colours() {
        let row = [[200, 0, 0].repeat(32), [0, 0, 200].repeat(32)].concat();
        let frame = Picture::new(PixelFormat::Bgr, 64, 32, row.repeat(32))
            .unwrap()
            .numbered(5);
        let small = frame.resize(16, 8).unwrap();
        assert_eq!(
            (small.width_px(), small.height_px(), small.number()),
            (16, 8, 5)
        );
        assert_eq!(small.encoding(), PixelFormat::Bgr.into());
        assert_eq!(small.data()[..3], [200, 0, 0]);
        assert_eq!(small.data()[45..48], [0, 0, 200]);
    }

    #[test]
    fn compressed_and_shared_colours_become_rgb() {
        let gray = Picture::new(PixelFormat::Gray, 16, 16, vec![128; 256]).unwrap();
        assert_eq!(
            gray.resize(8, 8).unwrap().encoding(),
            PixelFormat::Gray.into()
        );
        let nv12 = gray.convert(PixelFormat::Nv12).unwrap();
        for frame in [nv12, jpeg::encode(&gray, 80).unwrap()] {
            let small = frame.resize(8, 8).unwrap();
            assert_eq!(small.encoding(), PixelFormat::Rgb.into());
        }
    }

    #[test]
    fn a_width_alone_keeps_the_shape() {
        let frame = Picture::new(PixelFormat::Gray, 640, 480, vec![9; 640 * 480]).unwrap();
        for (width, height) in [(320, 240), (400, 300), (333, 249), (1, 1), (640, 480)] {
            let small = frame.resize_to_width(width).unwrap();
            assert_eq!((small.width_px(), small.height_px()), (width, height));
        }
        assert!(frame.resize_to_width(0).is_err());
        assert!(frame.resize_to_width(u32::MAX).is_err());
    }

    #[test]
    fn absurd_sizes_are_refused() {
        let gray = Picture::new(PixelFormat::Gray, 1, 1, vec![1]).unwrap();
        assert!(matches!(
            gray.resize(0, 1),
            Err(PictureError::BadSize { .. })
        ));
        assert!(matches!(
            gray.resize(1, u32::MAX),
            Err(PictureError::BadSize { .. })
        ));
    }
}
