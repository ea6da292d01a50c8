//! YUV4MPEG2: raw pictures with a line of text before each.
//!
//! # Source
//! The format of mjpegtools, `yuv4mpeg(5)`.
#![warn(clippy::indexing_slicing)]

use std::{
    io::{BufRead, Read},
    time::Duration,
};

use super::{ClipError, ClipFrame, Pictures};
use crate::picture::{Picture, PixelFormat};

/// Reads Y4M with 4:2:0 or gray pictures, 8 bits a sample.
pub(super) struct Y4m<R> {
    input: R,
    header: Header,
    next: u64,
}

impl<R: BufRead> Y4m<R> {
    pub(super) fn new(mut input: R) -> Result<Self, ClipError> {
        let line = read_line(&mut input)?.ok_or(ClipError::Y4mHeader { offset: 0 })?;
        let header = Header::parse(&line)?;
        Ok(Self {
            input,
            header,
            next: 0,
        })
    }
}

impl<R: BufRead> Pictures for Y4m<R> {
    fn next(&mut self) -> Result<Option<ClipFrame>, ClipError> {
        let Header {
            format,
            width_px,
            height_px,
            duration,
        } = self.header;
        let bad_mark = ClipError::Y4mMark { number: self.next };
        let Some(mark) = read_line(&mut self.input)? else {
            return Ok(None);
        };
        if mark != b"FRAME" && !mark.starts_with(b"FRAME ") {
            return Err(bad_mark);
        }
        let length = format.picture_bytes(width_px, height_px, format.row_bytes(width_px))?;
        // Grows with the data in the file, not with the announced length.
        let mut data = Vec::new();
        let limit = u64::try_from(length).unwrap_or(u64::MAX);
        self.input.by_ref().take(limit).read_to_end(&mut data)?;
        if data.len() < length {
            tracing::warn!("clip ends inside a picture");
            return Ok(None);
        }
        self.next += 1;
        let frame = Picture::new(format, width_px, height_px, data)?;
        Ok(Some(ClipFrame { frame, duration }))
    }
}

/// The first line of the stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Header {
    format: PixelFormat,
    width_px: u32,
    height_px: u32,
    duration: Option<Duration>,
}

impl Header {
    fn parse(line: &[u8]) -> Result<Self, ClipError> {
        let bad = |offset| ClipError::Y4mHeader { offset };
        let text = std::str::from_utf8(line).map_err(|error| bad(error.valid_up_to()))?;
        let rest = text.strip_prefix("YUV4MPEG2").ok_or_else(|| bad(0))?;
        let (mut width_px, mut height_px, mut duration) = (None, None, None);
        let mut format = PixelFormat::I420;
        let mut offset = text.len() - rest.len();
        for field in rest.split(' ') {
            let value = field.get(1..).unwrap_or_default();
            let number = |text: &str| text.parse::<u32>().map_err(|_| bad(offset));
            match field.as_bytes().first() {
                Some(b'W') => width_px = Some(number(value)?),
                Some(b'H') => height_px = Some(number(value)?),
                Some(b'F') => {
                    let (rate, scale) = value.split_once(':').ok_or_else(|| bad(offset))?;
                    duration = duration_of(number(rate)?, number(scale)?);
                }
                Some(b'C') => format = format_of(value)?,
                // Interlacing, aspect, comments: irrelevant to the layout.
                _ => {}
            }
            offset += field.len() + 1;
        }
        Ok(Self {
            format,
            width_px: width_px.ok_or_else(|| bad(text.len()))?,
            height_px: height_px.ok_or_else(|| bad(text.len()))?,
            duration,
        })
    }
}

/// `None` if the rate is unknown, which is written 0:0.
fn duration_of(rate: u32, scale: u32) -> Option<Duration> {
    let micros = (u64::from(scale) * 1_000_000).checked_div(rate.into())?;
    (1_000..=60_000_000)
        .contains(&micros)
        .then(|| Duration::from_micros(micros))
}

fn format_of(colours: &str) -> Result<PixelFormat, ClipError> {
    match colours {
        "420" | "420jpeg" | "420mpeg2" | "420paldv" => Ok(PixelFormat::I420),
        "mono" => Ok(PixelFormat::Gray),
        _ => Err(ClipError::Y4mColours),
    }
}

/// Reads a line without its end; `None` at the end of the file.
fn read_line(input: &mut impl BufRead) -> Result<Option<Vec<u8>>, ClipError> {
    let mut line = Vec::new();
    input.take(MAX_LINE_BYTES).read_until(b'\n', &mut line)?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) => Err(ClipError::Y4mHeader { offset: line.len() }),
    }
}

const MAX_LINE_BYTES: u64 = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    /// Two pictures of 4x2 pixels.
    const CLIP: &[u8] = b"YUV4MPEG2 W4 H2 F30000:1001 Ip A1:1 C420jpeg\n\
        FRAME\n01234567uuvvFRAME Ip\n89abcdefUUVV";

    fn frames_of(clip: &[u8]) -> Result<Vec<ClipFrame>, ClipError> {
        let mut reader = Y4m::new(clip)?;
        let mut frames = Vec::new();
        while let Some(frame) = reader.next()? {
            frames.push(frame);
        }
        Ok(frames)
    }

    #[test]
    fn pictures_come_with_their_duration() {
        let frames = frames_of(CLIP).unwrap();
        assert_eq!(frames.len(), 2);
        assert_eq!(frames[1].frame.encoding(), PixelFormat::I420.into());
        assert_eq!(frames[1].frame.data()[..], b"89abcdefUUVV"[..]);
        assert_eq!(frames[1].duration, Some(Duration::from_micros(33_366)));
    }

    #[test]
    fn every_cut_is_an_error_or_a_shorter_clip() {
        for cut in 0..CLIP.len() {
            if let Ok(frames) = frames_of(&CLIP[..cut]) {
                assert!(frames.len() < 2, "cut at {cut}");
            }
        }
    }

    #[test]
    fn bad_headers_are_refused() {
        for bad in [
            "YUV4MPEG W4 H2\n",
            "YUV4MPEG2 H2\n",
            "YUV4MPEG2 W4 Hx\n",
            "YUV4MPEG2 W-4 H2\n",
            "YUV4MPEG2 W4 H2 F25\n",
            "YUV4MPEG2 W4 H2",
        ] {
            let error = frames_of(bad.as_bytes()).unwrap_err();
            assert!(
                matches!(error, ClipError::Y4mHeader { .. }),
                "{bad}: {error}"
            );
        }
        assert!(matches!(
            frames_of(b"YUV4MPEG2 W4 H2 C444\n"),
            Err(ClipError::Y4mColours)
        ));
        assert!(matches!(
            frames_of(b"YUV4MPEG2 W99999 H2\nFRAME\n"),
            Err(ClipError::Picture(_))
        ));
        let endless = vec![b' '; 1 << 20];
        assert!(frames_of(&[b"YUV4MPEG2".as_slice(), &endless].concat()).is_err());
    }
}
