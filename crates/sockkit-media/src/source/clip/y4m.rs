//! YUV4MPEG2: raw pictures with a line of text before each.
//!
//! # Source
//! The format of mjpegtools, `yuv4mpeg(5)`.
#![warn(clippy::indexing_slicing)]

use std::{
    io::{BufRead, Read},
    time::Duration,
};

use sockkit_codec::text::escape;

use super::{ClipError, ClipFrame, Pictures};
use crate::picture::{Picture, PixelFormat, Planes, Range};

/// Reads Y4M with 8 bits a sample, in every layout of colours but alpha.
pub(super) struct Y4m<R> {
    input: R,
    header: Header,
    next: u64,
    is_cut_off: bool,
}

impl<R: BufRead> Y4m<R> {
    pub(super) fn new(mut input: R) -> Result<Self, ClipError> {
        let line = read_line(&mut input)?.ok_or(ClipError::Y4mHeader { offset: 0 })?;
        let header = Header::parse(&line)?;
        // A size that no picture can have is the file's fault, not a picture's.
        header.picture_bytes()?;
        Ok(Self {
            input,
            header,
            next: 0,
            is_cut_off: false,
        })
    }
}

impl<R: BufRead> Pictures for Y4m<R> {
    fn next(&mut self) -> Result<Option<ClipFrame>, ClipError> {
        let bad_mark = ClipError::Y4mMark { number: self.next };
        let Some(mark) = read_line(&mut self.input)? else {
            return Ok(None);
        };
        if mark != b"FRAME" && !mark.starts_with(b"FRAME ") {
            return Err(bad_mark);
        }
        let length = self.header.picture_bytes()?;
        // Grows with what the file holds, not with what its header says.
        let mut data = Vec::new();
        let limit = u64::try_from(length).unwrap_or(u64::MAX);
        self.input.by_ref().take(limit).read_to_end(&mut data)?;
        if data.len() < length {
            self.is_cut_off = true;
            return Ok(None);
        }
        self.next += 1;
        Ok(Some(ClipFrame {
            frame: self.header.picture(data)?,
            duration: self.header.duration,
        }))
    }

    fn is_cut_off(&self) -> bool {
        self.is_cut_off
    }
}

/// The first line of the stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Header {
    colours: Colours,
    range: Option<Range>,
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
        let (mut colours, mut range) = (Colours::C420, None);
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
                Some(b'C') => colours = Colours::parse(value)?,
                Some(b'X') => range = range_of(value).unwrap_or(range),
                // Interlacing, aspect, comments: nothing that changes a sample.
                _ => {}
            }
            offset += field.len() + 1;
        }
        Ok(Self {
            colours,
            range,
            width_px: width_px.ok_or_else(|| bad(text.len()))?,
            height_px: height_px.ok_or_else(|| bad(text.len()))?,
            duration,
        })
    }

    /// What one picture takes.
    fn picture_bytes(&self) -> Result<usize, ClipError> {
        let Self {
            width_px,
            height_px,
            ..
        } = *self;
        let luma = PixelFormat::Gray.picture_bytes(width_px, height_px, width_px as usize)?;
        Ok(match self.colours.planes(self.range) {
            None => luma,
            Some(planes) => luma + 2 * planes.colour_bytes(width_px, height_px),
        })
    }

    /// The picture of these samples, as they are if a pixel format holds them.
    fn picture(&self, data: Vec<u8>) -> Result<Picture, ClipError> {
        let Self {
            width_px,
            height_px,
            ..
        } = *self;
        let is_even = width_px.is_multiple_of(2) && height_px.is_multiple_of(2);
        let (format, data) = match self.colours.planes(self.range) {
            // Gray is of full range unless it says otherwise.
            None if self.range == Some(Range::Limited) => (PixelFormat::Gray, Planes::spread(data)),
            None => (PixelFormat::Gray, data),
            Some(planes) if planes == Planes::I420 && is_even => (PixelFormat::I420, data),
            Some(planes) => (PixelFormat::Rgb, planes.to_rgb(&data, width_px, height_px)),
        };
        Ok(Picture::new(format, width_px, height_px, data)?)
    }
}

/// How many pixels share a colour.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Colours {
    C420,
    C422,
    C444,
    C411,
    Mono,
}

impl Colours {
    fn parse(name: &str) -> Result<Self, ClipError> {
        Ok(match name {
            "420" | "420jpeg" | "420mpeg2" | "420paldv" => Self::C420,
            "422" => Self::C422,
            "444" => Self::C444,
            "411" => Self::C411,
            "mono" => Self::Mono,
            _ => {
                let colours = escape(&name.chars().take(MAX_NAME_CHARS).collect::<String>());
                return Err(ClipError::Y4mColours { colours });
            }
        })
    }

    /// The planes of colour, if there are any.
    fn planes(self, range: Option<Range>) -> Option<Planes> {
        let (across, down) = match self {
            Self::C420 => (2, 2),
            Self::C422 => (2, 1),
            Self::C444 => (1, 1),
            Self::C411 => (4, 1),
            Self::Mono => return None,
        };
        Some(Planes {
            across,
            down,
            range: range.unwrap_or(Range::Limited),
        })
    }
}

/// What ffmpeg says of the samples' range; `None` if the field is about something else.
fn range_of(field: &str) -> Option<Option<Range>> {
    Some(match field.strip_prefix("COLORRANGE=")? {
        "FULL" => Some(Range::Full),
        "LIMITED" => Some(Range::Limited),
        _ => None,
    })
}

/// `None` if the rate is unknown, which is written 0:0.
fn duration_of(rate: u32, scale: u32) -> Option<Duration> {
    let micros = (u64::from(scale) * 1_000_000).checked_div(rate.into())?;
    (1_000..=60_000_000)
        .contains(&micros)
        .then(|| Duration::from_micros(micros))
}

/// A line without its end; `None` at the end of the file.
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

/// Of colours that are not known, for the message.
const MAX_NAME_CHARS: usize = 20;

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

    /// One gray picture in each layout, of odd and even sides, in both ranges.
    #[test]
    fn every_layout_of_colours_is_read_with_its_sides_rounded_up() {
        for (colours, across, down) in [
            ("420jpeg", 2, 2),
            ("422", 2, 1),
            ("444", 1, 1),
            ("411", 4, 1),
        ] {
            for (width, height) in [(1_usize, 1_usize), (3, 3), (5, 2), (8, 4)] {
                for (range, luma, shown) in [
                    ("", 126, 128),
                    (" XCOLORRANGE=LIMITED", 126, 128),
                    (" XCOLORRANGE=FULL", 130, 130),
                ] {
                    let head = format!("YUV4MPEG2 W{width} H{height} C{colours}{range}\nFRAME\n");
                    let colour = 2 * usize::div_ceil(width, across) * usize::div_ceil(height, down);
                    let samples = [vec![luma; width * height], vec![128; colour]].concat();
                    let clip = [head.as_bytes(), &samples].concat();
                    let frames = frames_of(&clip).unwrap();
                    assert_eq!(frames.len(), 1, "{head}");
                    let rgb = frames[0].frame.to_rgb().unwrap();
                    assert_eq!(rgb.data()[..], vec![shown; 3 * width * height], "{head}");
                }
            }
        }
    }

    /// Left pixel red, the others blue, as planes of their own.
    #[test]
    fn colours_stay_at_their_pixels() {
        let clip =
            b"YUV4MPEG2 W3 H1 C444 XCOLORRANGE=FULL\nFRAME\n\x4c\x1d\x1d\x55\xff\xff\xff\x6b\x6b";
        let rgb = frames_of(clip).unwrap().remove(0).frame.to_rgb().unwrap();
        for (pixel, expected) in
            rgb.data()
                .chunks_exact(3)
                .zip([[255, 0, 0], [0, 0, 255], [0, 0, 255]])
        {
            assert!(
                pixel.iter().zip(expected).all(|(a, b)| a.abs_diff(b) < 4),
                "{pixel:?}"
            );
        }
    }

    #[test]
    fn gray_is_spread_only_if_it_says_that_it_is_not() {
        for (range, shown) in [
            ("", 16),
            (" XCOLORRANGE=FULL", 16),
            (" XCOLORRANGE=LIMITED", 0),
        ] {
            let clip = format!("YUV4MPEG2 W1 H1 Cmono{range}\nFRAME\n\u{10}");
            assert_eq!(
                frames_of(clip.as_bytes()).unwrap()[0].frame.data()[..],
                [shown]
            );
        }
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
        for named in ["420p10", "444alpha", "mono16", "\u{1b}[2J"] {
            let header = format!("YUV4MPEG2 W4 H2 C{named}\n");
            let told = frames_of(header.as_bytes()).unwrap_err().to_string();
            assert!(told.contains(&escape(named)), "{told}");
        }
        assert!(matches!(
            frames_of(b"YUV4MPEG2 W99999 H2\nFRAME\n"),
            Err(ClipError::Picture(_))
        ));
        let endless = vec![b' '; 1 << 20];
        assert!(frames_of(&[b"YUV4MPEG2".as_slice(), &endless].concat()).is_err());
    }
}
