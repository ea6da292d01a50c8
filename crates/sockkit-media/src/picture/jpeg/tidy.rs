//! Makes one whole JPEG of a camera's buffer.
#![warn(clippy::indexing_slicing)]

use std::borrow::Cow;

use super::{
    markers::{END_OF_IMAGE, HUFFMAN_TABLES, START_OF_SCAN, Segments, cut_off},
    tables::standard_huffman_tables,
};
use crate::picture::PictureError;

/// Cuts what follows the image, and adds the standard Huffman tables if they
/// are missing.
///
/// Cameras hand out whole buffers in which an older picture's end follows the
/// new one, and some leave the tables out to save bytes. Bytes that are tidy
/// already are borrowed.
///
/// # Errors
/// [`PictureError::NotJpeg`] or [`PictureError::JpegCutOff`] if there is no
/// whole JPEG at the start of the bytes.
pub fn tidy(jpeg: &[u8]) -> Result<Cow<'_, [u8]>, PictureError> {
    let mut has_tables = false;
    let mut scan = None;
    for segment in Segments::new(jpeg)? {
        let segment = segment?;
        match segment.marker {
            HUFFMAN_TABLES => has_tables = true,
            START_OF_SCAN => scan = Some(segment),
            _ => {}
        }
    }
    let scan = scan.ok_or_else(|| cut_off(jpeg))?;
    let end = end_of_image(jpeg, scan.end).ok_or_else(|| cut_off(jpeg))?;
    let (image, _tail) = jpeg.split_at(end);
    if has_tables {
        return Ok(Cow::Borrowed(image));
    }
    let (before, after) = image.split_at(scan.offset);
    Ok(Cow::Owned(
        [before, &standard_huffman_tables(), after].concat(),
    ))
}

/// The byte after the first end-of-image marker at or after `from`.
///
/// Searched forward: a stale marker may follow the true one, and a thumbnail's
/// lies before the scan. Inside a scan 0xff is always followed by 0x00 or a
/// restart marker, and between scans by a segment, whose body may hold
/// anything and is therefore skipped.
fn end_of_image(jpeg: &[u8], mut from: usize) -> Option<usize> {
    loop {
        let at = from + jpeg.get(from..)?.iter().position(|&byte| byte == 0xff)?;
        match *jpeg.get(at + 1)? {
            END_OF_IMAGE => return Some(at + 2),
            0x00 | 0x01 | 0xd0..=0xd7 => from = at + 2,
            0xff => from = at + 1,
            _ => {
                let length = [*jpeg.get(at + 2)?, *jpeg.get(at + 3)?];
                from = at + 2 + usize::from(u16::from_be_bytes(length));
            }
        }
    }
}
