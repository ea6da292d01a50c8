//! Encodes JPEG.

use libjpeg_turbo_rs as turbo;

use super::frame::MAX_NARROW_PX;
use crate::picture::{Encoding, Picture, PictureError, PixelFormat};

/// Compresses a picture as JPEG; keeps capture time and number.
///
/// A picture that already is a JPEG is returned unchanged, whatever its
/// quality.
///
/// # Units
/// `quality` is on libjpeg's scale, clamped to 1..=100. Below 50 blocks become
/// visible, above 95 the size grows rapidly.
///
/// # Errors
/// [`PictureError::Encode`] if the encoder rejects the picture,
/// [`PictureError::NotAlone`] if it is H.264.
pub fn encode(frame: &Picture, quality: u8) -> Result<Picture, PictureError> {
    let format = match frame.encoding() {
        Encoding::Raw(format) => format,
        Encoding::Jpeg => return Ok(frame.clone()),
        Encoding::H264 => return Err(PictureError::NotAlone),
    };
    let (pixels, order) = match format {
        PixelFormat::Rgb => (frame.packed(), turbo::PixelFormat::Rgb),
        PixelFormat::Bgr => (frame.packed(), turbo::PixelFormat::Bgr),
        PixelFormat::Gray => (frame.packed(), turbo::PixelFormat::Grayscale),
        _ => (frame.to_rgb()?, turbo::PixelFormat::Rgb),
    };
    let jpeg = turbo::compress(
        pixels.data(),
        frame.width_px() as usize,
        frame.height_px() as usize,
        order,
        quality.clamp(1, 100),
        subsampling(frame.width_px()),
    )
    .map_err(|error| PictureError::Encode(error.into()))?;
    Ok(Picture::from_jpeg(jpeg)?.stamped_like(frame))
}

/// Of so few columns decoders differ in how they spread a shared colour.
fn subsampling(width_px: u32) -> turbo::Subsampling {
    match width_px {
        ..=MAX_NARROW_PX => turbo::Subsampling::S444,
        _ => turbo::Subsampling::S420,
    }
}
