//! Paints the pattern.

use super::{MIN_HEIGHT_PX, MIN_WIDTH_PX, Stamp};
use crate::{
    picture::{Picture, PixelFormat},
    source::SourceError,
};

/// Paints the pattern for one stamp: colour bars, a moving bar, and the stamp
/// in the upper left corner.
///
/// ```
/// # use sockkit_media as sockkit;
/// use sockkit::{picture::{Timestamp, jpeg}, source::pattern::{Stamp, paint, read_stamp}};
///
/// let stamp = Stamp { number: 41, clock: Timestamp::from_micros(7) };
/// let jpeg = jpeg::encode(&paint(640, 480, stamp)?, 50)?;
/// assert_eq!(read_stamp(&jpeg), Some(stamp));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`SourceError::PatternTooSmall`] if the stamp does not fit, or
/// [`SourceError::Picture`] if the size is out of bounds.
pub fn paint(width_px: u32, height_px: u32, stamp: Stamp) -> Result<Picture, SourceError> {
    if width_px < MIN_WIDTH_PX || height_px < MIN_HEIGHT_PX {
        return Err(SourceError::PatternTooSmall {
            width_px,
            height_px,
            needed_width_px: MIN_WIDTH_PX,
            needed_height_px: MIN_HEIGHT_PX,
        });
    }
    let format = PixelFormat::Rgb;
    let length = format.picture_bytes(width_px, height_px, format.row_bytes(width_px))?;
    let row = bars(width_px, stamp.number);
    let mut pixels = row.repeat(length / row.len());
    stamp.paint(&mut pixels, width_px);
    Ok(Picture::new(format, width_px, height_px, pixels)?
        .captured_at(stamp.clock)
        .numbered(stamp.number))
}

/// One row: the bars, and a white mark that moves by 4 px a picture.
fn bars(width_px: u32, number: u64) -> Vec<u8> {
    let width = width_px as usize;
    let mark = usize::try_from(number * 4 % u64::from(width_px)).expect("less than a width");
    (0..width)
        .flat_map(|x| {
            let shade = u8::try_from(x * 255 / width).expect("at most 255");
            let in_mark = (x + width - mark) % width < 16;
            match BARS[x * BARS.len() / width] {
                _ if in_mark => [255; 3],
                bar => bar.map(|level| level / 2 + shade / 4),
            }
        })
        .collect()
}

const BARS: [[u8; 3]; 7] = [
    [192, 192, 192],
    [192, 192, 0],
    [0, 192, 192],
    [0, 192, 0],
    [192, 0, 192],
    [192, 0, 0],
    [0, 0, 192],
];
