//! Decodes JPEG.

use std::panic::{AssertUnwindSafe, catch_unwind};

use zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};
use zune_jpeg::JpegDecoder;

use super::{frame::Frame, trim};
use crate::picture::{Encoding, Picture, PictureError, PixelFormat};

/// Decodes a JPEG to [`PixelFormat::Rgb`]; keeps capture time and number.
///
/// A picture that is not a JPEG is converted.
///
/// # Errors
/// As [`decode_as`].
pub fn decode(frame: &Picture) -> Result<Picture, PictureError> {
    decode_as(frame, PixelFormat::Rgb)
}

/// Decompresses a JPEG to any format, turned as its EXIF orientation says.
///
/// # Errors
/// [`PictureError`] if the bytes are cut off or broken, if the JPEG's size
/// is none the format can have, or if it is of a kind that is not decoded:
/// [`PictureError::JpegKind`].
pub fn decode_as(frame: &Picture, format: PixelFormat) -> Result<Picture, PictureError> {
    if frame.encoding() != Encoding::Jpeg {
        return frame.convert(format);
    }
    check_density(frame)?;
    let jpeg = trim(frame.data())?;
    let header = Frame::read(&jpeg)?;
    header.check()?;
    // Other ways from its colours to ours the decoder has for some JPEGs alone.
    let (own, colours) = match format {
        PixelFormat::Gray if header.is_gray() => (PixelFormat::Gray, ColorSpace::Luma),
        _ => (PixelFormat::Rgb, ColorSpace::RGB),
    };
    // A decoder that meets a peer's bytes must not end the program.
    let pixels = catch_unwind(AssertUnwindSafe(|| pixels(frame, &jpeg, colours)))
        .unwrap_or_else(|_panic| Err(PictureError::Decode("the decoder failed".into())))?;
    Picture::new(own, frame.width_px(), frame.height_px(), pixels)?
        .stamped_like(frame)
        .turned(frame.turn())?
        .convert(format)
}

fn pixels(frame: &Picture, jpeg: &[u8], colours: ColorSpace) -> Result<Vec<u8>, PictureError> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(frame.width_px() as usize)
        .set_max_height(frame.height_px() as usize)
        .jpeg_set_max_scans(MAX_SCANS)
        .jpeg_set_out_colorspace(colours);
    JpegDecoder::new_with_options(ZCursor::new(jpeg), options)
        .decode()
        .map_err(|error| PictureError::Decode(error.into()))
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
