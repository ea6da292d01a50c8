//! Walks the segments of a JPEG before its compressed data.
//!
//! ```
//! # use sockkit_codec as sockkit;
//! use sockkit::jpeg::{Segments, marker};
//!
//! let jpeg = b"\xff\xd8\xff\xdd\0\x04\0\x07\xff\xda\0\x02";
//! let segments: Vec<_> = Segments::new(jpeg)?.collect::<Result<_, _>>()?;
//! assert_eq!(segments[0].marker, marker::RESTART_INTERVAL);
//! assert_eq!(segments[0].body, [0, 7]);
//! assert_eq!(segments[1].marker, marker::START_OF_SCAN);
//! # Ok::<(), sockkit::jpeg::SegmentError>(())
//! ```
//!
//! # Source
//! ITU-T T.81, annex B.
#![warn(clippy::indexing_slicing)]

/// The segments of a JPEG up to and including the first scan header.
#[derive(Debug)]
pub struct Segments<'a> {
    jpeg: &'a [u8],
    next: Option<usize>,
}

/// One segment: a marker and its contents.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// The byte after 0xff; [`marker`] names some.
    pub marker: u8,
    /// Offset of the marker, from the start of the JPEG.
    pub offset: usize,
    /// What follows the length field.
    pub body: &'a [u8],
    /// Offset of the first byte after the segment.
    pub end: usize,
}

/// Why segments cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SegmentError {
    /// The data does not start like a JPEG, or a marker is out of place.
    #[error("not a jpeg: unexpected byte at {offset}")]
    NotJpeg {
        /// Position of the error, in bytes from the start.
        offset: usize,
    },
    /// The data is truncated.
    #[error("jpeg cut off after {length} bytes")]
    CutOff {
        /// Length of the data.
        length: usize,
    },
}

impl<'a> Segments<'a> {
    /// Checks the start-of-image marker.
    ///
    /// # Errors
    /// [`SegmentError`] if there is none.
    pub fn new(jpeg: &'a [u8]) -> Result<Self, SegmentError> {
        match jpeg {
            [0xff, marker::START_OF_IMAGE, ..] => Ok(Self {
                jpeg,
                next: Some(2),
            }),
            [] | [0xff] => Err(SegmentError::CutOff { length: jpeg.len() }),
            [0xff, ..] => Err(SegmentError::NotJpeg { offset: 1 }),
            _ => Err(SegmentError::NotJpeg { offset: 0 }),
        }
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Result<Segment<'a>, SegmentError>;

    fn next(&mut self) -> Option<Self::Item> {
        let segment = Segment::read(self.jpeg, self.next.take()?);
        if let Ok(segment) = &segment {
            self.next = (segment.marker != marker::START_OF_SCAN).then_some(segment.end);
        }
        Some(segment)
    }
}

impl<'a> Segment<'a> {
    fn read(jpeg: &'a [u8], mut offset: usize) -> Result<Self, SegmentError> {
        let cut_off = SegmentError::CutOff { length: jpeg.len() };
        let not_jpeg = |offset| Err(SegmentError::NotJpeg { offset });
        let byte = |at: usize| jpeg.get(at).copied().ok_or(cut_off);
        if byte(offset)? != 0xff {
            return not_jpeg(offset);
        }
        // A marker may be preceded by any number of fill bytes.
        while byte(offset + 1)? == 0xff {
            offset += 1;
        }
        let marker = byte(offset + 1)?;
        // Markers without a length must not occur before the first scan.
        if matches!(
            marker,
            0x00 | 0x01 | marker::FIRST_RESTART..=marker::END_OF_IMAGE
        ) {
            return not_jpeg(offset + 1);
        }
        let length = u16::from_be_bytes([byte(offset + 2)?, byte(offset + 3)?]);
        if length < 2 {
            return not_jpeg(offset + 2);
        }
        let end = offset + 2 + usize::from(length);
        let body = jpeg.get(offset + 4..end).ok_or(cut_off)?;
        Ok(Self {
            marker,
            offset,
            body,
            end,
        })
    }
}

/// Markers: the byte after 0xff. T.81, table B.1.
pub mod marker {
    /// SOF0.
    pub const BASELINE: u8 = 0xc0;
    /// DHT.
    pub const HUFFMAN_TABLES: u8 = 0xc4;
    /// DAC.
    pub const ARITHMETIC_CONDITIONING: u8 = 0xcc;
    /// RST0.
    pub const FIRST_RESTART: u8 = 0xd0;
    /// RST7.
    pub const LAST_RESTART: u8 = 0xd7;
    /// SOI.
    pub const START_OF_IMAGE: u8 = 0xd8;
    /// EOI.
    pub const END_OF_IMAGE: u8 = 0xd9;
    /// SOS.
    pub const START_OF_SCAN: u8 = 0xda;
    /// DQT.
    pub const QUANTIZATION_TABLES: u8 = 0xdb;
    /// DNL.
    pub const LINE_COUNT: u8 = 0xdc;
    /// DRI.
    pub const RESTART_INTERVAL: u8 = 0xdd;
    /// APP1.
    pub const EXIF: u8 = 0xe1;
    /// APP14.
    pub const ADOBE: u8 = 0xee;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fill bytes before a segment, and a scan header.
    const JPEG: &[u8] = b"\xff\xd8\xff\xff\xff\xdd\0\x04\0\x07\xff\xda\0\x03\x01";

    fn read(jpeg: &[u8]) -> Result<Vec<Segment<'_>>, SegmentError> {
        Segments::new(jpeg)?.collect()
    }

    #[test]
    fn segments_end_at_the_first_scan() {
        let jpeg = [JPEG, b"compressed"].concat();
        let segments = read(&jpeg).unwrap();
        let places = segments.iter().map(|s| (s.marker, s.offset, s.end));
        let expected = [(0xdd, 4, 10), (0xda, 10, JPEG.len())];
        assert_eq!(places.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_is_cut_off_anywhere_is_an_error() {
        for length in 0..JPEG.len() {
            let cut_off = SegmentError::CutOff { length };
            assert_eq!(read(&JPEG[..length]).unwrap_err(), cut_off);
        }
    }

    #[test]
    fn errors_tell_the_byte() {
        for (jpeg, offset) in [
            (&b"GIF"[..], 0),
            (b"\xff\xd9", 1),
            (b"\xff\xd8\0", 2),
            (b"\xff\xd8\xff\xd0", 3),
            (b"\xff\xd8\xff\xdd\0\x01", 4),
        ] {
            assert_eq!(read(jpeg).unwrap_err(), SegmentError::NotJpeg { offset });
        }
    }
}
