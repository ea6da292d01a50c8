//! What the segments before a JPEG's compressed data say.
#![warn(clippy::indexing_slicing)]

use sockkit_codec::jpeg::{Segments, marker::START_OF_SCAN};

use super::frame::is_frame;
use crate::picture::PictureError;

/// Reads the width and height from a JPEG's frame header, in pixels.
///
/// Only reads the headers of the segments, so it takes the same time for any
/// picture.
///
/// # Errors
/// [`PictureError::NotJpeg`] or [`PictureError::JpegCutOff`] if there is no
/// frame header before the compressed data.
pub fn dimensions(jpeg: &[u8]) -> Result<(u32, u32), PictureError> {
    for segment in Segments::new(jpeg)? {
        let segment = segment?;
        match segment.marker {
            marker if is_frame(marker) => {
                let [_precision, h1, h0, w1, w0, ..] = *segment.body else {
                    return Err(cut_off(jpeg));
                };
                let (height, width) = (u16::from_be_bytes([h1, h0]), u16::from_be_bytes([w1, w0]));
                return Ok((width.into(), height.into()));
            }
            START_OF_SCAN => {
                return Err(PictureError::NotJpeg {
                    offset: segment.offset,
                });
            }
            _ => {}
        }
    }
    Err(cut_off(jpeg))
}

pub(super) fn cut_off(jpeg: &[u8]) -> PictureError {
    PictureError::JpegCutOff { length: jpeg.len() }
}
