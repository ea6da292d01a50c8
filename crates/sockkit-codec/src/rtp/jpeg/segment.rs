//! Walks the segments of a JPEG before its scan.
#![warn(clippy::indexing_slicing)]

use super::NotCarried;

/// A marker, and the body of its segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    pub(super) marker: u8,
    pub(super) body: &'a [u8],
    /// Offset of the first byte after it.
    pub(super) end: usize,
}

/// The offset of the first segment.
pub(super) fn first(jpeg: &[u8]) -> Result<usize, NotCarried> {
    match jpeg {
        [0xff, START_OF_IMAGE, ..] => Ok(2),
        [] | [0xff] => Err(cut_off(jpeg)),
        _ => Err(NotCarried::NotJpeg { offset: 0 }),
    }
}

/// The segment at `offset`.
pub(super) fn read(jpeg: &[u8], mut offset: usize) -> Result<Segment<'_>, NotCarried> {
    let byte = |at: usize| jpeg.get(at).copied().ok_or_else(|| cut_off(jpeg));
    if byte(offset)? != 0xff {
        return Err(NotCarried::NotJpeg { offset });
    }
    // A marker may be preceded by any number of fill bytes.
    while byte(offset + 1)? == 0xff {
        offset += 1;
    }
    let marker = byte(offset + 1)?;
    // Markers without a length must not occur before the scan.
    if matches!(marker, 0x00 | 0x01 | FIRST_RESTART..=END_OF_IMAGE) {
        return Err(NotCarried::NotJpeg { offset });
    }
    let length = usize::from(u16::from_be_bytes([byte(offset + 2)?, byte(offset + 3)?]));
    if length < 2 {
        return Err(NotCarried::NotJpeg { offset });
    }
    let end = offset + 2 + length;
    let body = jpeg.get(offset + 4..end).ok_or_else(|| cut_off(jpeg))?;
    Ok(Segment { marker, body, end })
}

/// The end of the scan that begins at `begin`: the offset of the marker after it, and
/// that marker.
pub(super) fn end_of_scan(jpeg: &[u8], begin: usize) -> Result<(usize, u8), NotCarried> {
    let mut at = begin;
    loop {
        let rest = jpeg.get(at..).ok_or_else(|| cut_off(jpeg))?;
        let found = rest.iter().position(|&byte| byte == 0xff);
        at += found.ok_or_else(|| cut_off(jpeg))?;
        match jpeg.get(at + 1) {
            None => return Err(cut_off(jpeg)),
            Some(0x00 | FIRST_RESTART..=LAST_RESTART) => at += 2,
            // Fill bytes.
            Some(0xff) => at += 1,
            Some(&marker) => return Ok((at, marker)),
        }
    }
}

pub(super) fn cut_off(jpeg: &[u8]) -> NotCarried {
    NotCarried::CutOff { length: jpeg.len() }
}

pub(super) const HUFFMAN_TABLES: u8 = 0xc4;
pub(super) const FIRST_RESTART: u8 = 0xd0;
pub(super) const LAST_RESTART: u8 = 0xd7;
pub(super) const START_OF_IMAGE: u8 = 0xd8;
pub(super) const END_OF_IMAGE: u8 = 0xd9;
pub(super) const START_OF_SCAN: u8 = 0xda;
pub(super) const QUANTIZATION_TABLES: u8 = 0xdb;
pub(super) const RESTART_INTERVAL: u8 = 0xdd;
pub(super) const ADOBE: u8 = 0xee;
pub(super) const BASELINE: u8 = 0xc0;
