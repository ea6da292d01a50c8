//! Splits a stream of JPEGs into images.
#![warn(clippy::indexing_slicing)]

use bytes::{Buf, Bytes, BytesMut};

use super::walk::{Walk, Walked};

/// Cuts a stream of JPEGs into images: a webcam's stream saved to disk.
///
/// What stands between images is skipped, such as the headers of a multipart
/// stream. An image that is cut off, too long, or whose segments do not follow each
/// other is left out, and the next one is looked for.
///
/// Push bytes, take images until there are none, and repeat. Holds at most the
/// largest image and what was pushed after it.
///
/// ```
/// # use sockkit_media as sockkit;
/// # use sockkit::picture::{PixelFormat, Picture, jpeg};
/// # let image = Picture::new(PixelFormat::Gray, 8, 8, vec![0; 64])?;
/// # let image = jpeg::encode(&image, 80)?.into_data();
/// let mut splitter = jpeg::Splitter::new(1 << 20);
/// splitter.push(&[b"--frame\r\n\r\n", &image[..], &image[..9]].concat());
/// assert_eq!(splitter.take(), Some(image));
/// assert_eq!(splitter.take(), None);
/// assert!(splitter.has_partial());
/// # Ok::<(), sockkit::picture::PictureError>(())
/// ```
#[derive(Debug)]
pub struct Splitter {
    buffer: BytesMut,
    /// Through the image at the buffer's start, if one is there.
    walk: Option<Walk>,
    max_image_bytes: usize,
    has_ended: bool,
    left_out: u64,
    skipped_bytes: u64,
}

impl Splitter {
    /// Leaves out images of more than `max_image_bytes`.
    pub fn new(max_image_bytes: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            walk: None,
            max_image_bytes,
            has_ended: false,
            left_out: 0,
            skipped_bytes: 0,
        }
    }

    /// Appends the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Gives the next whole image out, or `None` until more bytes are pushed.
    pub fn take(&mut self) -> Option<Bytes> {
        while self.find_start() {
            let walked = self.walk.as_mut()?.over(&self.buffer);
            let most = self.max_image_bytes;
            match walked {
                Walked::Incomplete if self.buffer.len() <= most && !self.has_ended => return None,
                Walked::Whole { end } if end <= most => {
                    self.walk = None;
                    return Some(self.buffer.split_to(end).freeze());
                }
                Walked::Cut { next } | Walked::Whole { end: next } => self.leave_out(next),
                // A lost byte may have put the next image inside a segment of this one.
                Walked::Incomplete | Walked::Broken { .. } => self.leave_out(START.len()),
            }
        }
        None
    }

    /// Says that no more bytes come. An image that has begun is left out, and
    /// [`take`](Self::take) gives those that its length was mistaken for.
    pub const fn finish(&mut self) {
        self.has_ended = true;
    }

    /// Whether an image has begun and not ended.
    pub const fn has_partial(&self) -> bool {
        self.walk.is_some()
    }

    /// Images left out so far.
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Bytes so far that belong to no image given out, other than zeros.
    pub const fn skipped_bytes(&self) -> u64 {
        self.skipped_bytes
    }

    /// Brings the start of an image to the buffer's start; `false` if there is none yet.
    fn find_start(&mut self) -> bool {
        if self.walk.is_some() {
            return true;
        }
        let found = self
            .buffer
            .windows(START.len())
            .position(|bytes| bytes == START);
        // The last bytes may be the first of a start.
        let kept = START.len() - 1;
        self.skip(found.unwrap_or_else(|| self.buffer.len().saturating_sub(kept)));
        self.walk = found.map(|_| Walk::from_start());
        found.is_some()
    }

    fn leave_out(&mut self, bytes: usize) {
        self.walk = None;
        self.left_out += 1;
        self.skip(bytes);
    }

    /// Zeros pad some streams and are no loss.
    fn skip(&mut self, bytes: usize) {
        let skipped = self.buffer.iter().take(bytes).filter(|&&byte| byte != 0);
        self.skipped_bytes += skipped.count() as u64;
        self.buffer.advance(bytes);
    }
}

/// The start of an image, and the first byte of its first segment.
const START: [u8; 3] = [0xff, 0xd8, 0xff];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Picture, PixelFormat, jpeg};

    fn image(shade: u8) -> Bytes {
        let pixels = (0..=255)
            .map(|at: u8| at.wrapping_mul(shade))
            .collect::<Vec<_>>();
        let gray = Picture::new(PixelFormat::Gray, 16, 16, pixels).unwrap();
        jpeg::encode(&gray, 80).unwrap().into_data()
    }

    fn split(parts: &[&[u8]]) -> Vec<Bytes> {
        let mut splitter = Splitter::new(1 << 20);
        splitter.push(&parts.concat());
        splitter.finish();
        std::iter::from_fn(|| splitter.take()).collect()
    }

    /// Splits `stream` cut in two at every byte; gives how many images were left out.
    #[track_caller]
    fn check(parts: &[&[u8]], expected: &[&Bytes]) -> u64 {
        let stream = parts.concat();
        let mut left_out = 0;
        for cut in 0..=stream.len() {
            let mut splitter = Splitter::new(1 << 20);
            let mut images = Vec::new();
            for part in [&stream[..cut], &stream[cut..]] {
                splitter.push(part);
                images.extend(std::iter::from_fn(|| splitter.take()));
            }
            assert!(images.iter().eq(expected.iter().copied()), "cut at {cut}");
            assert!(!splitter.has_partial());
            left_out = splitter.left_out();
        }
        left_out
    }

    #[test]
    fn images_come_out_whatever_the_cuts() {
        let (dark, light) = (image(0), image(255));
        assert_eq!(check(&[&dark, &light], &[&dark, &light]), 0);
    }

    /// What ffmpeg, cameras and `curl` write between pictures.
    #[test]
    fn what_stands_between_images_is_skipped() {
        let (dark, light) = (image(3), image(7));
        for between in [
            &[0; 5][..],
            b"\r\n",
            b"\xff\xff\xff",
            b"\xff\xd8\n",
            b"garbage",
            b"\r\n--frame\r\nContent-Type: image/jpeg\r\nContent-Length: 6\r\n\r\n",
        ] {
            let parts = [between, &dark, between, &light, between];
            assert_eq!(check(&parts, &[&dark, &light]), 0, "{between:?}");
        }
    }

    #[test]
    fn skipped_bytes_are_counted_but_for_zeros() {
        let mut splitter = Splitter::new(1 << 20);
        splitter.push(&[&[0; 9][..], &image(5), b"\r\n\0", &image(6)].concat());
        assert_eq!(std::iter::from_fn(|| splitter.take()).count(), 2);
        assert_eq!((splitter.skipped_bytes(), splitter.left_out()), (2, 0));
    }

    #[test]
    fn an_image_cut_anywhere_costs_no_other_one() {
        let (cut, whole) = (image(9), image(11));
        for length in 4..cut.len() - 1 {
            let images = split(&[&whole, &cut[..length], &whole, &whole]);
            assert_eq!(images.len(), 3, "cut at {length}");
            // Cut where a segment could go on as the next image begins, it stays before it.
            assert!(images.iter().all(|image| image.ends_with(&whole)));
        }
    }

    /// A length read from damage in a scan would pass over up to 64 KiB.
    #[test]
    fn a_damaged_scan_costs_no_other_image() {
        let (sound, whole) = (image(13), image(17));
        let scan = sound.len() - 20;
        for marker in 0x02..=0xfe {
            if matches!(marker, 0xd8 | 0xd9) {
                continue;
            }
            let mut damaged = sound.to_vec();
            damaged[scan..scan + 4].copy_from_slice(&[0xff, marker, 0x40, 0]);
            assert_eq!(split(&[&damaged, &whole]), [&damaged[..], &whole[..]]);
        }
    }

    #[test]
    fn an_end_inside_a_segment_does_not_end_the_image() {
        let plain = image(9);
        let thumbnail = [
            &plain[..2],
            &[0xff, 0xe1, 0, 6, 0xff, 0xd8, 0xff, 0xd9],
            &plain[2..],
        ];
        let thumbnail = Bytes::from(thumbnail.concat());
        check(&[&thumbnail, &plain], &[&thumbnail, &plain]);
    }

    #[test]
    fn the_limit_is_the_largest_image() {
        let image = image(7);
        let mut splitter = Splitter::new(image.len());
        splitter.push(&image);
        assert_eq!(splitter.take(), Some(image.clone()));
        let mut splitter = Splitter::new(image.len() - 1);
        splitter.push(&image[..image.len() - 1]);
        assert_eq!(splitter.take(), None);
        splitter.push(&[0xd9]);
        assert_eq!(splitter.take(), None);
        assert_eq!(splitter.left_out(), 1);
    }

    #[test]
    fn memory_is_bounded_by_the_largest_image() {
        let mut splitter = Splitter::new(1_000);
        splitter.push(&image(1)[..300]);
        for _ in 0..1_000 {
            splitter.push(&[7; 100]);
            assert_eq!(splitter.take(), None);
            assert!(splitter.buffer.len() <= 1_100);
        }
        assert_eq!(splitter.left_out(), 1);
    }
}
