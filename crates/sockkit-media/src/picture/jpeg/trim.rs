//! Extracts a complete JPEG from a camera's buffer.
#![warn(clippy::indexing_slicing)]

use std::borrow::Cow;

use sockkit_codec::{
    jpeg::{
        Segments,
        marker::{HUFFMAN_TABLES, START_OF_SCAN},
    },
    rtp::jpeg::standard_huffman_tables,
};

use super::{
    markers::cut_off,
    walk::{Walk, Walked},
};
use crate::picture::PictureError;

/// Removes what follows the image, and adds the standard Huffman tables if they
/// are missing.
///
/// Cameras return whole buffers in which the end of an older picture may follow
/// the new one, and some omit the tables to save space. A JPEG that needs no
/// change is borrowed.
///
/// # Errors
/// [`PictureError::NotJpeg`] or [`PictureError::JpegCutOff`] if there is no
/// complete JPEG at the start of the data.
pub fn trim(jpeg: &[u8]) -> Result<Cow<'_, [u8]>, PictureError> {
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
    let Walked::Whole { end } = Walk::in_scan(scan.end).over(jpeg) else {
        return Err(cut_off(jpeg));
    };
    let (image, _tail) = jpeg.split_at(end);
    if has_tables {
        return Ok(Cow::Borrowed(image));
    }
    let (before, after) = image.split_at(scan.offset);
    Ok(Cow::Owned(
        [before, &standard_huffman_tables(), after].concat(),
    ))
}
