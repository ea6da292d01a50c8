//! JPEG to pixels.

use zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};
use zune_jpeg::JpegDecoder;

use super::trim;
use crate::picture::{Encoding, Picture, PictureError, PixelFormat};

/// Decompresses a JPEG to [`PixelFormat::Rgb`]; capture time and number stay.
///
/// A picture that is no JPEG is converted.
///
/// # Errors
/// [`PictureError`] if the bytes are cut off or broken.
pub fn decode(frame: &Picture) -> Result<Picture, PictureError> {
    decode_as(frame, PixelFormat::Rgb)
}

/// Decompresses a JPEG to any format.
///
/// RGB, BGR and gray come straight from the decoder; gray is the quickest, for
/// it skips the colours.
///
/// # Errors
/// [`PictureError`] if the bytes are cut off or broken, or if the JPEG's size
/// is none the format can have.
pub fn decode_as(frame: &Picture, format: PixelFormat) -> Result<Picture, PictureError> {
    if frame.encoding() != Encoding::Jpeg {
        return frame.convert(format);
    }
    let colours = match format {
        PixelFormat::Bgr => ColorSpace::BGR,
        PixelFormat::Gray => ColorSpace::Luma,
        PixelFormat::Rgb => ColorSpace::RGB,
        _ => return decode(frame)?.convert(format),
    };
    check_density(frame)?;
    let jpeg = trim(frame.data())?;
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(frame.width_px() as usize)
        .set_max_height(frame.height_px() as usize)
        .jpeg_set_max_scans(MAX_SCANS)
        .jpeg_set_out_colorspace(colours);
    let pixels = JpegDecoder::new_with_options(ZCursor::new(jpeg.as_ref()), options)
        .decode()
        .map_err(|error| PictureError::Decode(error.into()))?;
    Ok(Picture::new(format, frame.width_px(), frame.height_px(), pixels)?.stamped_like(frame))
}

/// Refuses a size that so few bytes cannot hold, before memory is reserved for it.
fn check_density(frame: &Picture) -> Result<(), PictureError> {
    let pixels = frame.width_px() as usize * frame.height_px() as usize;
    if frame.data().len() >= pixels / MAX_PIXELS_PER_BYTE {
        return Ok(());
    }
    Err(PictureError::JpegTooSmall {
        length: frame.data().len(),
        width_px: frame.width_px(),
        height_px: frame.height_px(),
    })
}

/// A block of 64 luma samples takes a bit at the least, even in a progressive
/// JPEG: eight blocks a byte.
const MAX_PIXELS_PER_BYTE: usize = 512;

/// A progressive JPEG has about ten; each one costs a pass over the picture.
const MAX_SCANS: usize = 64;
