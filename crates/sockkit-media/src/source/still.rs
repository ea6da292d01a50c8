//! A still image, shown repeatedly.

use std::{
    fs::File,
    io::{Cursor, Read},
    path::Path,
};

use image::{ImageFormat, ImageReader, Limits};

use super::clip::ClipError;
use crate::picture::{Picture, PixelFormat};

/// Reads a JPEG, which is kept as such, or a PNG.
pub(super) fn read(
    path: &Path,
    format: StillFormat,
    size_px: Option<(u32, u32)>,
) -> Result<Picture, ClipError> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_FILE_BYTES)
        .read_to_end(&mut bytes)?;
    let frame = match format {
        StillFormat::Jpeg => {
            let frame = Picture::from_jpeg(bytes)?;
            // A damaged image is detected here, not by each receiver.
            frame.to_rgb()?;
            frame
        }
        StillFormat::Png => read_png(bytes)?,
    };
    Ok(match size_px {
        Some((width_px, height_px)) => frame.resize(width_px, height_px)?,
        None => frame,
    })
}

/// The file format of an image.
#[derive(Clone, Copy, Debug)]
pub(super) enum StillFormat {
    Jpeg,
    Png,
}

fn read_png(bytes: Vec<u8>) -> Result<Picture, ClipError> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(Picture::MAX_SIDE_PX);
    limits.max_image_height = Some(Picture::MAX_SIDE_PX);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), ImageFormat::Png);
    reader.limits(limits);
    let pixels = reader
        .decode()
        .map_err(|error| ClipError::Png(error.into()))?
        .into_rgb8();
    let (width_px, height_px) = pixels.dimensions();
    Ok(Picture::new(
        PixelFormat::Rgb,
        width_px,
        height_px,
        pixels.into_raw(),
    )?)
}

/// More than any camera's still image.
const MAX_FILE_BYTES: u64 = 64 << 20;
