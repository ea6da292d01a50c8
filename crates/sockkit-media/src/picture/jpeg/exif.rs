//! Which way up a picture is, as cameras and phones note it.
//!
//! # Source
//! Exif 2.32 for the tag's values; TIFF 6.0 for where it is.
#![warn(clippy::indexing_slicing)]

use sockkit_codec::jpeg::{Segments, marker::EXIF};

use crate::picture::turn::Turn;

/// How the pixels are turned to be seen upright; not at all if the JPEG says nothing.
pub(in crate::picture) fn orientation(jpeg: &[u8]) -> Turn {
    let value = Segments::new(jpeg)
        .ok()
        .and_then(|segments| {
            segments
                .map_while(Result::ok)
                .filter(|segment| segment.marker == EXIF)
                .find_map(|segment| value_of(segment.body))
        })
        .unwrap_or(1);
    Turn::from_exif(value)
}

/// The orientation tag of the first directory.
fn value_of(body: &[u8]) -> Option<u16> {
    let tiff = body.strip_prefix(b"Exif\0\0")?;
    let read16: fn([u8; 2]) -> u16 = match tiff.first_chunk()? {
        b"II*\0" => u16::from_le_bytes,
        b"MM\0*" => u16::from_be_bytes,
        _ => return None,
    };
    let big = tiff.starts_with(b"MM");
    let directory = *tiff.get(4..)?.first_chunk()?;
    let directory = match big {
        true => u32::from_be_bytes(directory),
        false => u32::from_le_bytes(directory),
    };
    let entries = tiff.get(usize::try_from(directory).ok()?..)?;
    let (count, entries) = entries.split_first_chunk()?;
    let entries = entries.as_chunks::<ENTRY_BYTES>().0;
    let tag = entries
        .iter()
        .take(read16(*count).into())
        .find(|entry| entry.first_chunk().map(|tag| read16(*tag)) == Some(ORIENTATION))?;
    let (kind, value) = (tag.get(2..)?.first_chunk()?, tag.get(8..)?.first_chunk()?);
    (read16(*kind) == SHORT).then(|| read16(*value))
}

/// Tag, kind, count, value.
const ENTRY_BYTES: usize = 12;

const ORIENTATION: u16 = 0x0112;

/// A number of 16 bits.
const SHORT: u16 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Picture, PixelFormat, jpeg};

    fn segment(tiff: &[u8]) -> Vec<u8> {
        let length = u16::try_from(2 + 6 + tiff.len()).unwrap();
        [&[0xff, 0xe1][..], &length.to_be_bytes(), b"Exif\0\0", tiff].concat()
    }

    fn with(segment: &[u8]) -> Vec<u8> {
        let gray = Picture::new(PixelFormat::Gray, 8, 8, vec![9; 64]).unwrap();
        let plain = jpeg::encode(&gray, 80).unwrap().into_data();
        [&plain[..2], segment, &plain[2..]].concat()
    }

    /// One directory of two entries, the second of which is the orientation.
    const LITTLE: &[u8] = b"II*\0\x08\0\0\0\x02\0\x00\x01\x04\0\x01\0\0\0\x09\0\0\0\
        \x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    const BIG: &[u8] = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";

    #[test]
    fn both_byte_orders_are_read() {
        for tiff in [LITTLE, BIG] {
            assert_eq!(orientation(&with(&segment(tiff))), Turn::from_exif(6));
        }
    }

    /// A JPEG of 32x16 whose left half is dark, and which is turned by a quarter.
    #[test]
    fn a_picture_is_decoded_the_way_it_is_shown() {
        let row = [[0; 16], [255; 16]].concat();
        let stored = Picture::new(PixelFormat::Gray, 32, 16, row.repeat(16)).unwrap();
        let plain = jpeg::encode(&stored, 90).unwrap().into_data();
        let jpeg = [&plain[..2], &segment(BIG), &plain[2..]].concat();
        let picture = Picture::from_jpeg(jpeg).unwrap().numbered(7);
        // What is announced is what is stored.
        assert_eq!((picture.width_px(), picture.height_px()), (32, 16));
        assert_eq!(picture.shown_size_px(), (16, 32));
        for format in [PixelFormat::Rgb, PixelFormat::Gray, PixelFormat::Nv12] {
            let shown = picture.convert(format).unwrap();
            assert_eq!(
                (shown.width_px(), shown.height_px(), shown.number()),
                (16, 32, 7)
            );
            let gray = shown.convert(PixelFormat::Gray).unwrap();
            assert!(
                gray.data()[5] < 9 && gray.data()[31 * 16 + 5] > 246,
                "{format}"
            );
        }
        let small = picture.resize_to_width(8).unwrap();
        assert_eq!((small.width_px(), small.height_px()), (8, 16));
        let same = picture.resize(32, 16).unwrap();
        assert_eq!(same.encoding(), PixelFormat::Rgb.into());
    }

    #[test]
    fn what_says_nothing_turns_nothing() {
        for length in 0..BIG.len() - 4 {
            assert_eq!(orientation(&with(&segment(&BIG[..length]))), Turn::NONE);
        }
        let far = [&BIG[..4], &[0xff; 4], &BIG[8..]].concat();
        assert_eq!(orientation(&with(&segment(&far))), Turn::NONE);
        assert_eq!(orientation(&with(&[])), Turn::NONE);
        assert_eq!(orientation(b"\xff\xd8"), Turn::NONE);
    }
}
