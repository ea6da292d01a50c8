//! Decodes JPEG.

use zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};
use zune_jpeg::JpegDecoder;

use super::trim;
use crate::picture::{Encoding, Picture, PictureError, PixelFormat};

/// Decodes a JPEG to [`PixelFormat::Rgb`]; keeps capture time and number.
///
/// A picture that is not a JPEG is converted.
///
/// # Errors
/// [`PictureError`] if the data is truncated or damaged.
pub fn decode(frame: &Picture) -> Result<Picture, PictureError> {
    decode_as(frame, PixelFormat::Rgb)
}

/// Decodes a JPEG to any format.
///
/// RGB, BGR and gray are produced by the decoder directly; gray is the fastest,
/// because chroma is skipped.
///
/// # Errors
/// [`PictureError`] if the data is truncated or damaged, or if the format does
/// not support the JPEG's size.
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

/// Rejects a size that is too large for the length of the data, before memory
/// is reserved.
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

/// A block of 64 luma samples takes at least a bit, even in a progressive JPEG:
/// eight blocks a byte.
const MAX_PIXELS_PER_BYTE: usize = 512;

/// Progressive JPEGs have about ten; each costs a pass over the picture.
const MAX_SCANS: usize = 64;
