//! What kind of JPEG it is, by its headers.
//!
//! # Source
//! ITU-T T.81, tables B.1 and B.2.
#![warn(clippy::indexing_slicing)]

use sockkit_codec::jpeg::{
    Segments,
    marker::{BASELINE, START_OF_SCAN},
};

use super::markers::cut_off;
use crate::picture::PictureError;

/// A JPEG's frame header, and how many components its first scan holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Frame {
    process: u8,
    precision: u8,
    width_px: u16,
    /// Across and down, of each component.
    sampling: Vec<(u8, u8)>,
    /// Components of the first scan.
    scanned: u8,
}

impl Frame {
    /// Reads the headers before the first scan.
    pub(super) fn read(jpeg: &[u8]) -> Result<Self, PictureError> {
        let mut frame = None;
        for segment in Segments::new(jpeg)? {
            let segment = segment?;
            let not_jpeg = || PictureError::NotJpeg {
                offset: segment.offset,
            };
            match (segment.marker, segment.body) {
                (process, _) if is_frame(process) && frame.is_some() => return Err(not_jpeg()),
                (process, body) if is_frame(process) => {
                    let [precision, _, _, w1, w0, count, rest @ ..] = body else {
                        return Err(cut_off(jpeg));
                    };
                    let components = rest.as_chunks::<3>().0;
                    let sampling = components.iter().take((*count).into());
                    let sampling = sampling.map(|&[_, factors, _]| (factors >> 4, factors & 0xf));
                    frame = Some(Self {
                        process,
                        precision: *precision,
                        width_px: u16::from_be_bytes([*w1, *w0]),
                        sampling: sampling.collect(),
                        scanned: 0,
                    });
                }
                (START_OF_SCAN, [scanned, ..]) => {
                    let mut frame = frame.ok_or_else(not_jpeg)?;
                    frame.scanned = *scanned;
                    return Ok(frame);
                }
                _ => {}
            }
        }
        Err(cut_off(jpeg))
    }

    /// Whether the decoder shows such a picture as libjpeg does. What it would show
    /// otherwise was measured: see docs/decisions/jpeg.md.
    ///
    /// # Errors
    /// [`PictureError::JpegKind`] if it does not.
    pub(super) fn check(&self) -> Result<(), PictureError> {
        match self.oddity() {
            Some(Oddity { kind, advice }) => Err(PictureError::JpegKind { kind, advice }),
            None => Ok(()),
        }
    }

    /// Whether it has luma alone.
    pub(super) fn is_gray(&self) -> bool {
        self.sampling.len() == 1
    }

    fn oddity(&self) -> Option<Oddity> {
        match self.process {
            BASELINE | EXTENDED | PROGRESSIVE => {}
            0xc3 => return Some(Oddity::new("is lossless", REMAKE)),
            0xc9 | 0xca => return Some(Oddity::new("is arithmetic coded", RECODE)),
            _ => return Some(Oddity::new("is hierarchical", REMAKE)),
        }
        if self.precision != 8 {
            return Some(Oddity::new("has not 8 bits a sample", REMAKE));
        }
        if !matches!(self.sampling.len(), 1 | 3 | 4) {
            return Some(Oddity::new("has neither 1, 3 nor 4 components", REMAKE));
        }
        if self.process != PROGRESSIVE && usize::from(self.scanned) != self.sampling.len() {
            return Some(Oddity::new("has several sequential scans", RECODE));
        }
        if !self.has_usual_sampling() {
            return Some(Oddity::new("is sampled in an unusual way", RESAMPLE));
        }
        self.is_narrow()
            .then_some(Oddity::new("is too narrow to share colours", RESAMPLE))
    }

    /// Luma, or cyan, in full; the two colours alike, for one, two or four pixels.
    fn has_usual_sampling(&self) -> bool {
        let usual = |ratio: &(u8, u8)| matches!(ratio, (1 | 2 | 4, 1 | 2 | 4));
        match &self.ratios()[..] {
            [_] => self.sampling.iter().all(usual),
            [(1, 1), blue, red] => blue == red && usual(blue),
            [(1, 1), magenta, yellow, black] => magenta == yellow && usual(magenta) && usual(black),
            _ => false,
        }
    }

    /// libjpeg does not smooth colours of which there are two columns at the most.
    fn is_narrow(&self) -> bool {
        u32::from(self.width_px) <= MAX_NARROW_PX
            && self.ratios().iter().any(|&(across, _)| across == 2)
    }

    /// Pixels that share a sample of each component, across and down; 0 if not a whole
    /// number of them does.
    fn ratios(&self) -> Vec<(u8, u8)> {
        let most = |side: fn(&(u8, u8)) -> u8| self.sampling.iter().map(side).max().unwrap_or(0);
        let (across, down) = (most(|factors| factors.0), most(|factors| factors.1));
        let whole = |most: u8, factor: u8| match most.checked_rem(factor) {
            Some(0) => most / factor,
            _ => 0,
        };
        let ratios = self.sampling.iter();
        ratios
            .map(|&(h, v)| (whole(across, h), whole(down, v)))
            .collect()
    }
}

/// What the decoder does not show, and what makes a common JPEG of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Oddity {
    kind: &'static str,
    advice: &'static str,
}

impl Oddity {
    const fn new(kind: &'static str, advice: &'static str) -> Self {
        Self { kind, advice }
    }
}

/// All but DHT (C4), JPG (C8) and DAC (CC), which have their numbers between.
pub(super) const fn is_frame(marker: u8) -> bool {
    matches!(marker, 0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf)
}

const EXTENDED: u8 = 0xc1;
const PROGRESSIVE: u8 = 0xc2;

/// Of the same coefficients: nothing is lost.
const RECODE: &str = "make it a common one, as with: jpegtran -copy all -outfile NEW.jpg OLD.jpg";
/// Another sampling takes decoding; `jpegtran` keeps the sampling.
const RESAMPLE: &str = "make it a common one, as with: djpeg OLD.jpg | \
    cjpeg -quality 95 -sample 1x1 -outfile NEW.jpg";
/// What few programs decode.
const REMAKE: &str = "save it again as a baseline jpeg with the program that made it";

/// Two columns of colours, each for two pixels.
pub(super) const MAX_NARROW_PX: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    /// Headers of a JPEG of that process, with that many components in its first scan.
    fn headers(process: u8, width_px: u16, sampling: &[u8], scanned: u8) -> Vec<u8> {
        let count = u8::try_from(sampling.len()).unwrap();
        let [w1, w0] = width_px.to_be_bytes();
        let mut jpeg = vec![
            0xff,
            0xd8,
            0xff,
            process,
            0,
            8 + 3 * count,
            8,
            0,
            9,
            w1,
            w0,
            count,
        ];
        for (id, factors) in (1..).zip(sampling) {
            jpeg.extend([id, *factors, 0]);
        }
        jpeg.extend([0xff, 0xda, 0, 6 + 2 * scanned, scanned]);
        jpeg.extend((1..=scanned).flat_map(|id| [id, 0]));
        jpeg.extend([0, 63, 0]);
        jpeg
    }

    #[track_caller]
    fn check(process: u8, sampling: &[u8], scanned: u8, oddity: Option<&str>) {
        let frame = Frame::read(&headers(process, 640, sampling, scanned)).unwrap();
        assert_eq!(
            frame.oddity().map(|oddity| oddity.kind),
            oddity,
            "{process:x} {sampling:x?} {scanned}"
        );
    }

    #[test]
    fn what_cameras_send_is_decoded() {
        for sampling in [
            &[0x11][..],
            &[0x22],
            &[0x11, 0x11, 0x11],
            &[0x21, 0x11, 0x11],
            &[0x22, 0x11, 0x11],
            &[0x12, 0x11, 0x11],
            &[0x41, 0x11, 0x11],
            &[0x22, 0x21, 0x21],
            &[0x11, 0x11, 0x11, 0x11],
            &[0x22, 0x11, 0x11, 0x22],
        ] {
            let count = u8::try_from(sampling.len()).unwrap();
            check(BASELINE, sampling, count, None);
            check(EXTENDED, sampling, count, None);
            check(PROGRESSIVE, sampling, count, None);
            check(PROGRESSIVE, sampling, 1, None);
        }
    }

    #[test]
    fn all_else_is_named() {
        let usual = [0x22, 0x11, 0x11];
        check(0xc3, &usual, 3, Some("is lossless"));
        check(0xc9, &usual, 3, Some("is arithmetic coded"));
        check(0xca, &usual, 3, Some("is arithmetic coded"));
        check(0xc5, &usual, 3, Some("is hierarchical"));
        check(BASELINE, &usual, 1, Some("has several sequential scans"));
        check(BASELINE, &usual, 2, Some("has several sequential scans"));
        check(
            BASELINE,
            &[0x11; 2],
            2,
            Some("has neither 1, 3 nor 4 components"),
        );
        for sampling in [
            [0x11, 0x21, 0x11],
            [0x22, 0x21, 0x11],
            [0x31, 0x11, 0x11],
            [0x41, 0x31, 0x31],
            [0x22, 0x00, 0x00],
            [0x00, 0x00, 0x00],
            [0xff, 0x11, 0x11],
        ] {
            check(BASELINE, &sampling, 3, Some("is sampled in an unusual way"));
        }
        let mut deep = headers(BASELINE, 640, &usual, 3);
        deep[6] = 12;
        let deep = Frame::read(&deep).unwrap();
        assert_eq!(deep.oddity().unwrap().kind, "has not 8 bits a sample");
        for (width, oddity) in [(4, Some("is too narrow to share colours")), (5, None)] {
            let frame = Frame::read(&headers(BASELINE, width, &usual, 3)).unwrap();
            assert_eq!(frame.oddity().map(|oddity| oddity.kind), oddity);
        }
        let full = Frame::read(&headers(BASELINE, 1, &[0x11; 3], 3)).unwrap();
        assert_eq!(full.oddity(), None);
    }

    /// `jpegtran` keeps the sampling, so it is no advice where that is what is uncommon.
    #[test]
    fn the_advice_leads_to_a_jpeg_that_is_decoded() {
        let usual = [0x22, 0x11, 0x11];
        for (jpeg, program) in [
            (headers(0xc9, 640, &usual, 3), "jpegtran "),
            (headers(BASELINE, 640, &usual, 1), "jpegtran "),
            (
                headers(BASELINE, 640, &[0x31, 0x11, 0x11], 3),
                "-sample 1x1",
            ),
            (
                headers(BASELINE, 640, &[0x11, 0x21, 0x11], 3),
                "-sample 1x1",
            ),
            (headers(BASELINE, 1, &usual, 3), "-sample 1x1"),
            (headers(0xc3, 640, &usual, 3), "baseline"),
        ] {
            let error = Frame::read(&jpeg).unwrap().check().unwrap_err().to_string();
            assert!(error.contains(program), "{error}");
        }
    }

    #[test]
    fn headers_cut_anywhere_are_errors() {
        let whole = headers(BASELINE, 640, &[0x11; 3], 3);
        for length in 0..whole.len() {
            assert!(Frame::read(&whole[..length]).is_err(), "{length}");
        }
    }
}
