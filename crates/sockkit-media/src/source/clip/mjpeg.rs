//! Concatenated JPEGs, and a multipart stream saved to a file.

use std::io::Read;

use super::{ClipError, ClipFrame, MAX_IMAGE_BYTES, Pictures};
use crate::picture::{Picture, jpeg::Splitter};

/// Reads JPEGs one after the other, whatever stands between them. The format knows
/// no rate.
pub(super) struct Mjpeg<R> {
    input: R,
    splitter: Splitter,
    chunk: Vec<u8>,
    has_ended: bool,
}

impl<R: Read> Mjpeg<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            splitter: Splitter::new(MAX_IMAGE_BYTES),
            chunk: vec![0; CHUNK_BYTES],
            has_ended: false,
        }
    }
}

impl<R: Read> Pictures for Mjpeg<R> {
    fn next(&mut self) -> Result<Option<ClipFrame>, ClipError> {
        loop {
            if let Some(image) = self.splitter.take() {
                return Ok(Some(Picture::from_jpeg(image)?.into()));
            }
            let length = self.input.read(&mut self.chunk)?;
            match length {
                0 if self.has_ended => return Ok(None),
                0 => {
                    self.has_ended = true;
                    self.splitter.finish();
                }
                length => self.splitter.push(&self.chunk[..length]),
            }
        }
    }

    fn left_out(&self) -> u64 {
        self.splitter.left_out()
    }
}

const CHUNK_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::{super::bundled, *};

    #[test]
    fn bundled_clip_is_whole() {
        let mut clip = Mjpeg::new(bundled());
        let mut count = 0;
        while let Some(next) = clip.next().unwrap() {
            assert_eq!((next.frame.width_px(), next.frame.height_px()), (640, 480));
            next.frame.to_rgb().unwrap();
            count += 1;
        }
        assert_eq!(count, 100);
    }

    #[test]
    fn a_cut_off_end_is_left_out() {
        let whole = bundled();
        let mut clip = Mjpeg::new(&whole[..whole.len() / 100]);
        let mut count = 0;
        while clip.next().unwrap().is_some() {
            count += 1;
        }
        assert!(count < 3);
    }

    #[test]
    fn other_bytes_are_no_pictures() {
        let mut clip = Mjpeg::new(&b"RIFF, which is an avi"[..]);
        assert!(clip.next().unwrap().is_none());
    }
}
