//! Walks the segments before a JPEG's compressed data.
#![warn(clippy::indexing_slicing)]

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

/// One segment: a marker and its contents.
#[derive(Debug)]
pub(super) struct Segment<'a> {
    pub(super) marker: u8,
    /// Offset of the marker, from the start of the JPEG.
    pub(super) offset: usize,
    /// What follows the length field.
    pub(super) body: &'a [u8],
    /// Offset of the first byte after the segment.
    pub(super) end: usize,
}

impl<'a> Segment<'a> {
    fn read(jpeg: &'a [u8], mut offset: usize) -> Result<Self, PictureError> {
        let not_jpeg = |offset| Err(PictureError::NotJpeg { offset });
        let byte = |at: usize| jpeg.get(at).copied().ok_or_else(|| cut_off(jpeg));
        if byte(offset)? != 0xff {
            return not_jpeg(offset);
        }
        // A marker may be preceded by any number of fill bytes.
        while byte(offset + 1)? == 0xff {
            offset += 1;
        }
        let marker = byte(offset + 1)?;
        // Markers without a length must not occur before the first scan.
        if matches!(marker, 0x00 | 0x01 | 0xd0..=END_OF_IMAGE) {
            return not_jpeg(offset + 1);
        }
        let length = u16::from_be_bytes([byte(offset + 2)?, byte(offset + 3)?]);
        if length < 2 {
            return not_jpeg(offset + 2);
        }
        let end = offset + 2 + usize::from(length);
        let body = jpeg.get(offset + 4..end).ok_or_else(|| cut_off(jpeg))?;
        Ok(Self {
            marker,
            offset,
            body,
            end,
        })
    }
}

/// The segments of a JPEG up to and including the first scan header.
#[derive(Debug)]
pub(super) struct Segments<'a> {
    jpeg: &'a [u8],
    next: Option<usize>,
}

impl<'a> Segments<'a> {
    /// Checks the start-of-image marker.
    pub(super) fn new(jpeg: &'a [u8]) -> Result<Self, PictureError> {
        match jpeg {
            [0xff, START_OF_IMAGE, ..] => Ok(Self {
                jpeg,
                next: Some(2),
            }),
            [] | [0xff] => Err(cut_off(jpeg)),
            [0xff, ..] => Err(PictureError::NotJpeg { offset: 1 }),
            _ => Err(PictureError::NotJpeg { offset: 0 }),
        }
    }
}
impl<'a> Iterator for Segments<'a> {
    type Item = Result<Segment<'a>, PictureError>;

    fn next(&mut self) -> Option<Self::Item> {
        let segment = Segment::read(self.jpeg, self.next.take()?);
        if let Ok(segment) = &segment {
            self.next = (segment.marker != START_OF_SCAN).then_some(segment.end);
        }
        Some(segment)
    }
}

pub(super) fn cut_off(jpeg: &[u8]) -> PictureError {
    PictureError::JpegCutOff { length: jpeg.len() }
}

pub(super) const START_OF_IMAGE: u8 = 0xd8;
pub(super) const END_OF_IMAGE: u8 = 0xd9;
pub(super) const START_OF_SCAN: u8 = 0xda;
pub(super) const HUFFMAN_TABLES: u8 = 0xc4;
pub(super) const ARITHMETIC_CONDITIONING: u8 = 0xcc;
pub(super) const QUANTIZATION_TABLES: u8 = 0xdb;
pub(super) const LINE_COUNT: u8 = 0xdc;
pub(super) const RESTART_INTERVAL: u8 = 0xdd;
pub(super) const EXIF: u8 = 0xe1;
