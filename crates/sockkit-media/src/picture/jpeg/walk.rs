//! Walks through an image to its end, over whatever is in it.
#![warn(clippy::indexing_slicing)]

use sockkit_codec::jpeg::marker::{
    ARITHMETIC_CONDITIONING, END_OF_IMAGE, FIRST_RESTART, HUFFMAN_TABLES, LINE_COUNT,
    QUANTIZATION_TABLES, RESTART_INTERVAL, START_OF_IMAGE, START_OF_SCAN,
};

/// How far an image was walked through.
///
/// Forward, because a stale end marker may follow the true one, and a thumbnail's
/// lies inside a segment. Before the first scan all is segments, whose bodies may
/// hold anything and are therefore skipped. In a scan 0xff is followed by 0x00 or a
/// restart marker, and between scans come tables. All else there is damage: it is
/// passed over, because a length read from damage would swallow the next images.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    at: usize,
    in_scan: bool,
}

/// Where a walk has come to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Walked {
    /// The image continues after the available bytes.
    Incomplete,
    /// The image ends before this byte.
    Whole { end: usize },
    /// Another image begins at this byte: the end of this one was lost.
    Cut { next: usize },
    /// This byte is of no image.
    Broken { at: usize },
}

impl Walk {
    /// An image at the start of the bytes.
    pub(super) const fn from_start() -> Self {
        Self {
            at: 2,
            in_scan: false,
        }
    }

    /// An image whose first scan header ends before `at`.
    pub(super) const fn in_scan(at: usize) -> Self {
        Self { at, in_scan: true }
    }

    /// Continues with all that is there of the image, its first bytes included.
    pub(super) fn over(&mut self, jpeg: &[u8]) -> Walked {
        loop {
            let step = match self.in_scan {
                false => self.over_segment(jpeg),
                true => self.over_scan(jpeg),
            };
            match step {
                Some(Walked::Incomplete) => {}
                Some(end) => return end,
                None => return Walked::Incomplete,
            }
        }
    }

    /// One segment before the first scan; `None` if more bytes are needed.
    fn over_segment(&mut self, jpeg: &[u8]) -> Option<Walked> {
        if *jpeg.get(self.at)? != 0xff {
            return Some(Walked::Broken { at: self.at });
        }
        match *jpeg.get(self.at + 1)? {
            // A marker may be preceded by any number of fill bytes.
            0xff => self.at += 1,
            START_OF_IMAGE => return Some(Walked::Cut { next: self.at }),
            0x00 | 0x01 | FIRST_RESTART..=END_OF_IMAGE => {
                return Some(Walked::Broken { at: self.at });
            }
            marker => {
                let length = self.length(jpeg)?;
                if length < 2 {
                    return Some(Walked::Broken { at: self.at });
                }
                self.at += 2 + length;
                self.in_scan = marker == START_OF_SCAN;
            }
        }
        Some(Walked::Incomplete)
    }

    /// To the next marker in or after a scan, and over it.
    fn over_scan(&mut self, jpeg: &[u8]) -> Option<Walked> {
        let rest = jpeg.get(self.at..)?;
        let Some(skipped) = rest.iter().position(|&byte| byte == 0xff) else {
            self.at = jpeg.len();
            return None;
        };
        self.at += skipped;
        let marker = *jpeg.get(self.at + 1)?;
        let longest = match marker {
            END_OF_IMAGE => return Some(Walked::Whole { end: self.at + 2 }),
            START_OF_IMAGE => return Some(Walked::Cut { next: self.at }),
            0xff => {
                self.at += 1;
                return Some(Walked::Incomplete);
            }
            HUFFMAN_TABLES => MAX_HUFFMAN_BYTES,
            QUANTIZATION_TABLES => MAX_QUANTIZATION_BYTES,
            START_OF_SCAN | RESTART_INTERVAL | LINE_COUNT | ARITHMETIC_CONDITIONING => {
                MAX_SMALL_BYTES
            }
            _ => 0,
        };
        if longest == 0 {
            self.at += 2;
            return Some(Walked::Incomplete);
        }
        let length = self.length(jpeg)?;
        if (2..=longest).contains(&length) {
            self.at += 2 + length;
        } else {
            self.at += 2;
        }
        Some(Walked::Incomplete)
    }

    /// The length field after the marker, which counts itself.
    fn length(&self, jpeg: &[u8]) -> Option<usize> {
        let field = jpeg.get(self.at + 2..self.at + 4)?.first_chunk()?;
        Some(u16::from_be_bytes(*field).into())
    }
}

/// Eight tables, each of 16 counts and at most 256 values.
const MAX_HUFFMAN_BYTES: usize = 2 + 8 * (17 + 256);

/// Four tables of 16-bit numbers.
const MAX_QUANTIZATION_BYTES: usize = 2 + 4 * 129;

/// A scan header of four components has 14.
const MAX_SMALL_BYTES: usize = 32;
