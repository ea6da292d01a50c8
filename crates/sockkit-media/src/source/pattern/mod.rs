//! A moving test pattern that shows its number and clock.

mod paint;
mod stamp;

pub use self::{
    paint::paint,
    stamp::{Stamp, read_blocks, read_stamp},
};

/// Minimum width of a pattern: a row of 32 blocks.
pub const MIN_WIDTH_PX: u32 = stamp::BLOCK_PX * stamp::BITS_PER_ROW;

/// Minimum height of a pattern: the stamp's five rows.
pub const MIN_HEIGHT_PX: u32 = stamp::BLOCK_PX * stamp::ROWS;

/// Default size of a pattern.
pub(super) const DEFAULT_SIZE_PX: (u32, u32) = (640, 480);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Picture, PixelFormat, Timestamp, jpeg};

    const STAMP: Stamp = Stamp {
        number: 0x0123_4567_89ab_cdef,
        clock: Timestamp::from_micros(u64::MAX - 5),
    };

    #[track_caller]
    fn check(width_px: u32, height_px: u32, quality: u8) {
        let frame = paint(width_px, height_px, STAMP).unwrap();
        assert_eq!(read_stamp(&frame), Some(STAMP));
        let jpeg = jpeg::encode(&frame, quality).unwrap();
        assert_eq!(read_stamp(&jpeg), Some(STAMP), "at quality {quality}");
        assert_eq!(read_blocks(&jpeg), Some(0x89ab_cdef));
    }

    #[test]
    fn stamp_survives_coarse_jpeg() {
        for quality in [5, 50, 80, 100] {
            check(640, 480, quality);
        }
        check(MIN_WIDTH_PX, MIN_HEIGHT_PX, 50);
        check(333, 77, 50);
    }

    #[test]
    fn stamp_survives_every_format() {
        let frame = paint(640, 480, STAMP).unwrap();
        for format in PixelFormat::ALL {
            let converted = frame.convert(format).unwrap();
            assert_eq!(read_stamp(&converted), Some(STAMP), "as {format}");
        }
    }

    #[test]
    fn other_pictures_have_no_stamp() {
        for shade in [0, 127, 255] {
            let plain = Picture::new(PixelFormat::Gray, 256, 40, vec![shade; 10_240]).unwrap();
            assert_eq!(read_stamp(&plain), None);
        }
        let small = Picture::new(PixelFormat::Gray, 255, 40, vec![0; 10_200]).unwrap();
        assert_eq!(read_stamp(&small), None);
    }

    #[test]
    fn a_lost_bit_is_seen() {
        let frame = paint(256, 40, STAMP).unwrap();
        let mut pixels = frame.data().to_vec();
        for row in pixels.chunks_exact_mut(256 * 3).take(8) {
            for sample in &mut row[..24] {
                *sample = !*sample;
            }
        }
        let broken = Picture::new(PixelFormat::Rgb, 256, 40, pixels).unwrap();
        assert_eq!(read_stamp(&broken), None);
    }

    #[test]
    fn the_picture_moves() {
        let frames = [1, 2].map(|number| paint(320, 240, Stamp { number, ..STAMP }).unwrap());
        let below = 41 * 320 * 3..;
        assert_ne!(frames[0].data()[below.clone()], frames[1].data()[below]);
    }

    #[test]
    fn a_picture_too_small_is_refused() {
        assert!(paint(MIN_WIDTH_PX - 1, 480, STAMP).is_err());
        assert!(paint(640, MIN_HEIGHT_PX - 1, STAMP).is_err());
    }
}
