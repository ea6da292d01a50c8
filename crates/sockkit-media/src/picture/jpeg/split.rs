//! Splits a stream of JPEGs into images.
#![warn(clippy::indexing_slicing)]

use bytes::{Buf, Bytes, BytesMut};

use super::markers::{END_OF_IMAGE, START_OF_IMAGE};
use crate::picture::PictureError;

/// Splits concatenated JPEGs into images, for example a webcam's stream saved
/// to disk.
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
/// splitter.push(&[&image[..], &image[..9]].concat());
/// assert_eq!(splitter.take()?, Some(image));
/// assert_eq!(splitter.take()?, None);
/// assert!(splitter.has_partial());
/// # Ok::<(), sockkit::picture::PictureError>(())
/// ```
#[derive(Debug)]
pub struct Splitter {
    buffer: BytesMut,
    /// Where to continue searching for the end of the image at the start of the
    /// buffer.
    scanned: usize,
    /// Number of bytes already taken, for errors.
    taken: usize,
    max_image_bytes: usize,
}

impl Splitter {
    /// Rejects images of more than `max_image_bytes`.
    pub fn new(max_image_bytes: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            scanned: 0,
            taken: 0,
            max_image_bytes,
        }
    }

    /// Appends the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Takes the next complete image; `None` if more bytes are needed.
    ///
    /// # Errors
    /// [`PictureError::NotJpeg`] if something other than an image or zeros
    /// follows, [`PictureError::JpegTooLong`] if an image exceeds the limit.
    pub fn take(&mut self) -> Result<Option<Bytes>, PictureError> {
        if self.scanned == 0 && !self.find_start()? {
            return Ok(None);
        }
        let end = end_of_image(&self.buffer, &mut self.scanned);
        let length = end.unwrap_or(self.buffer.len());
        if length > self.max_image_bytes {
            return Err(PictureError::JpegTooLong {
                offset: self.taken,
                limit: self.max_image_bytes,
            });
        }
        Ok(end.map(|end| {
            self.scanned = 0;
            self.taken += end;
            self.buffer.split_to(end).freeze()
        }))
    }

    /// Whether the buffer contains an incomplete image.
    pub fn has_partial(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Skips the zeros that pad some streams; returns `false` if there is no
    /// start yet.
    fn find_start(&mut self) -> Result<bool, PictureError> {
        let zeros = self.buffer.iter().take_while(|&&byte| byte == 0).count();
        self.buffer.advance(zeros);
        self.taken += zeros;
        match *self.buffer {
            [0xff, START_OF_IMAGE, ..] => {
                self.scanned = 2;
                Ok(true)
            }
            [] | [0xff] => Ok(false),
            _ => Err(PictureError::NotJpeg { offset: self.taken }),
        }
    }
}

/// Returns the offset after the image that `from` is in, or `None` if it is
/// incomplete; `from` is then where to continue.
///
/// Searches forward, because a stale end marker may follow the real one, and a
/// thumbnail's is inside a segment. In a scan, 0xff is always followed by 0x00
/// or a restart marker. Elsewhere it starts a segment, whose body may contain
/// anything and is skipped.
pub(super) fn end_of_image(jpeg: &[u8], from: &mut usize) -> Option<usize> {
    loop {
        let rest = jpeg.get(*from..)?;
        let Some(skipped) = rest.iter().position(|&byte| byte == 0xff) else {
            *from = jpeg.len();
            return None;
        };
        let at = *from + skipped;
        *from = at;
        *from = match *jpeg.get(at + 1)? {
            END_OF_IMAGE => return Some(at + 2),
            0x00 | 0x01 | 0xd0..=0xd7 => at + 2,
            0xff => at + 1,
            _ => {
                let length = [*jpeg.get(at + 2)?, *jpeg.get(at + 3)?];
                at + 2 + usize::from(u16::from_be_bytes(length))
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Picture, PixelFormat, jpeg};

    fn image(shade: u8) -> Bytes {
        let gray = Picture::new(PixelFormat::Gray, 8, 8, vec![shade; 64]).unwrap();
        jpeg::encode(&gray, 80).unwrap().into_data()
    }

    /// Splits `stream` cut in two at every byte.
    #[track_caller]
    fn check(stream: &[u8], expected: &[Bytes]) {
        for cut in 0..=stream.len() {
            let mut splitter = Splitter::new(usize::MAX);
            let mut images = Vec::new();
            for part in [&stream[..cut], &stream[cut..]] {
                splitter.push(part);
                while let Some(image) = splitter.take().unwrap() {
                    images.push(image);
                }
            }
            assert_eq!(images, expected, "cut at {cut}");
            assert!(!splitter.has_partial());
        }
    }

    #[test]
    fn images_come_out_whatever_the_cuts() {
        let (dark, light) = (image(0), image(255));
        check(&[&dark[..], &light[..]].concat(), &[dark, light]);
    }

    #[test]
    fn zeros_between_images_are_skipped() {
        let dark = image(0);
        let padded = [&[0, 0][..], &dark, &[0; 5], &dark].concat();
        check(&padded, &[dark.clone(), dark]);
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
        check(&[&thumbnail[..], &plain[..]].concat(), &[thumbnail, plain]);
    }

    #[test]
    fn the_limit_is_the_largest_image() {
        let image = image(7);
        let mut splitter = Splitter::new(image.len());
        splitter.push(&image);
        assert_eq!(splitter.take().unwrap(), Some(image.clone()));
        let mut splitter = Splitter::new(image.len() - 1);
        splitter.push(&image[..image.len() - 1]);
        assert_eq!(splitter.take().unwrap(), None);
        splitter.push(&[0xd9]);
        assert!(matches!(
            splitter.take(),
            Err(PictureError::JpegTooLong { .. })
        ));
    }

    #[test]
    fn garbage_is_refused_where_it_is() {
        let image = image(7);
        let mut splitter = Splitter::new(1 << 20);
        splitter.push(&image);
        splitter.push(b"garbage");
        splitter.take().unwrap();
        let offset = image.len();
        assert!(
            matches!(splitter.take(), Err(PictureError::NotJpeg { offset: at }) if at == offset)
        );
    }
}
