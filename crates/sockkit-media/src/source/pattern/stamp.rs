//! A number and a clock as black and white blocks.
//!
//! ```text
//!          32 blocks of 8x8 px, most significant bit first, white is 1
//! row 0    low half of the number
//! row 1    high half of the number
//! row 2    low half of the clock
//! row 3    high half of the clock
//! row 4    CRC-32C of the number and the clock, 8 bytes big-endian each
//! ```
//!
//! Blocks coincide with those of JPEG, so that even low quality preserves them.

use std::ops::Range;

use crate::picture::{Encoding, Picture, PixelFormat, Timestamp};

/// The contents of a pattern's stamp.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stamp {
    /// The picture's number.
    pub number: u64,
    /// When it was painted.
    pub clock: Timestamp,
}

impl Stamp {
    fn rows(self) -> [u32; ROWS as usize] {
        let (number, clock) = (self.number, self.clock.as_micros());
        let halves = |word: u64| {
            let [a, b, c, d, e, f, g, h] = word.to_be_bytes();
            let (high, low) = ([a, b, c, d], [e, f, g, h]);
            [u32::from_be_bytes(low), u32::from_be_bytes(high)]
        };
        let [number_low, number_high] = halves(number);
        let [clock_low, clock_high] = halves(clock);
        let checked = [number.to_be_bytes(), clock.to_be_bytes()].concat();
        [
            number_low,
            number_high,
            clock_low,
            clock_high,
            crc32c::crc32c(&checked),
        ]
    }

    /// Paints the blocks on packed RGB rows of `width_px`.
    pub(super) fn paint(self, pixels: &mut [u8], width_px: u32) {
        let stride = width_px as usize * 3;
        let bands = pixels.chunks_exact_mut(stride * BLOCK_PX as usize);
        for (word, band) in self.rows().into_iter().zip(bands) {
            for row in band.chunks_exact_mut(stride) {
                let blocks = row.chunks_exact_mut(BLOCK_PX as usize * 3);
                for (bit, block) in (0..BITS_PER_ROW).rev().zip(blocks) {
                    block.fill(if word >> bit & 1 == 1 { 255 } else { 0 });
                }
            }
        }
    }
}

/// Reads the stamp of a [painted](super::paint()) picture, in any format.
///
/// `None` if there is none, or if a bit is damaged.
pub fn read_stamp(frame: &Picture) -> Option<Stamp> {
    let frame = pixels_of(frame)?;
    let mut rows = [0; ROWS as usize];
    for (row, word) in (0..).zip(&mut rows) {
        *word = read_row(&frame, row)?;
    }
    let join = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
    let stamp = Stamp {
        number: join(rows[0], rows[1]),
        clock: Timestamp::from_micros(join(rows[2], rows[3])),
    };
    (stamp.rows() == rows).then_some(stamp)
}

/// Reads 32 blocks of 8x8 pixels at the top of a picture, most significant
/// first, as painted by an emulated camera. Unlike a stamp they have no
/// checksum.
pub fn read_blocks(frame: &Picture) -> Option<u32> {
    read_row(&pixels_of(frame)?, 0)
}

/// Converts to gray unless it is raw pixels.
fn pixels_of(frame: &Picture) -> Option<Picture> {
    match frame.encoding() {
        Encoding::Raw(_) => Some(frame.clone()),
        _ => frame.convert(PixelFormat::Gray).ok(),
    }
}

fn read_row(frame: &Picture, row: u32) -> Option<u32> {
    let fits =
        frame.width_px() >= BLOCK_PX * BITS_PER_ROW && frame.height_px() >= BLOCK_PX * (row + 1);
    fits.then(|| {
        (0..BITS_PER_ROW).fold(0, |word, column| {
            word << 1 | u32::from(is_white(frame, column * BLOCK_PX, row * BLOCK_PX))
        })
    })
}

/// Whether the middle of the block at `(x, y)` is more white than black.
fn is_white(frame: &Picture, x: u32, y: u32) -> bool {
    // Position of the sample that distinguishes black from white, and the
    // distance to the next.
    let (first, step) = match frame.encoding().pixel_format() {
        Some(PixelFormat::Rgb | PixelFormat::Bgr) => (1, 3),
        Some(PixelFormat::Yuyv) => (0, 2),
        Some(PixelFormat::Uyvy) => (1, 2),
        _ => (0, 1),
    };
    let sum: u32 = MIDDLE
        .flat_map(|dy| MIDDLE.map(move |dx| ((x + dx) as usize, (y + dy) as usize)))
        .map(|(x, y)| u32::from(frame.data()[y * frame.stride_bytes() + x * step + first]))
        .sum();
    let samples = MIDDLE.end - MIDDLE.start;
    sum > 128 * samples * samples
}

pub(super) const BLOCK_PX: u32 = 8;
pub(super) const BITS_PER_ROW: u32 = 32;
pub(super) const ROWS: u32 = 5;

/// The part of a block that is not affected by its neighbours.
const MIDDLE: Range<u32> = 2..6;
