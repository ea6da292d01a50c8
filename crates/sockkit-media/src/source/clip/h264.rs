//! H.264 in MP4, decoded by OpenH264.
//!
//! The decoder is C++ and trusts its input, so only checked parameter sets and
//! slices are passed to it.
//!
//! # Source
//! ITU-T H.264 §7.4.1 for the unit types, Annex B for the decoder's byte
//! stream; ISO/IEC 14496-15 for its form in an MP4 file.
#![warn(clippy::indexing_slicing)]

use std::{cmp::Reverse, collections::BinaryHeap, error::Error};

use openh264::{
    OpenH264API,
    decoder::{DecodedYUV, Decoder, DecoderConfig, Flush},
    formats::YUVSource,
};
use shiguredo_mp4::{
    bitstream::h264::{LengthSize, parse_sps},
    boxes::AvccBox,
};

use super::{
    ClipError,
    mp4::{Place, Shown},
};
use crate::picture::{Picture, PixelFormat};

/// Decodes one track.
///
/// Returns pictures in display order, possibly some pictures after they were
/// passed in; [`finish`](Self::finish) returns the rest.
pub(super) struct H264 {
    decoder: Decoder,
    length_size: LengthSize,
    /// The parameter sets from the file header, until the first picture.
    head: Vec<u8>,
    timing: Timing,
    /// Number of pictures passed in.
    number: u64,
}

impl H264 {
    pub(super) fn new(avcc: &AvccBox) -> Result<Self, ClipError> {
        let length_size = LengthSize::from_length_size_minus_one(avcc.length_size_minus_one.get())
            .map_err(|error| ClipError::Mp4(error.into()))?;
        let mut head = Vec::new();
        for unit in avcc.sps_list.iter().chain(&avcc.pps_list) {
            push_unit(&mut head, unit)?;
        }
        // If flushed after each picture, which is the default, B-frames would
        // be returned in storage order.
        let config = DecoderConfig::new().flush_after_decode(Flush::NoFlush);
        Ok(Self {
            decoder: Decoder::with_api_config(OpenH264API::from_source(), config)
                .map_err(|error| bad(0, error))?,
            length_size,
            head,
            timing: Timing::default(),
            number: 0,
        })
    }

    /// Decodes one picture of the file; returns one to show, if there is one.
    pub(super) fn decode(
        &mut self,
        sample: &[u8],
        place: &Place,
    ) -> Result<Option<Shown>, ClipError> {
        let number = self.number;
        self.number += 1;
        let mut stream = std::mem::take(&mut self.head);
        let mut slices = 0;
        for unit in units(sample, self.length_size) {
            let unit = unit.ok_or_else(|| bad(number, "a unit exceeds its picture"))?;
            push_unit(&mut stream, unit)?;
            slices += usize::from(is_slice(unit));
        }
        if slices == 0 {
            return Err(bad(number, "no slice in the picture"));
        }
        self.timing.handle_picture(place, number)?;
        let decoded = self
            .decoder
            .decode(&stream)
            .map_err(|error| bad(number, error))?;
        let frame = decoded.as_ref().map(copied).transpose()?;
        Ok(frame.and_then(|frame| self.timing.handle_decoded(frame)))
    }

    /// Gives what is still to be shown.
    pub(super) fn finish(mut self) -> Result<Vec<Shown>, ClipError> {
        let rest = self
            .decoder
            .flush_remaining()
            .map_err(|error| bad(self.number, error))?;
        let mut frames = Vec::new();
        for decoded in &rest {
            frames.extend(self.timing.handle_decoded(copied(decoded)?));
        }
        frames.extend(self.timing.finish());
        Ok(frames)
    }
}

/// Assigns durations to decoded pictures.
///
/// The file gives the display time of each picture in storage order; decoded
/// pictures are in display order.
#[derive(Default)]
struct Timing {
    /// Display times of pictures that were passed in and not yet returned.
    shown_at: BinaryHeap<Reverse<i64>>,
    /// Held back until the display time of the next one is known.
    waiting: Option<(Picture, i64)>,
    ticks_per_second: u32,
    /// The duration of a picture if the file's times are unusable.
    ticks: u32,
}

impl Timing {
    fn handle_picture(&mut self, place: &Place, number: u64) -> Result<(), ClipError> {
        if self.shown_at.len() > MAX_REORDERED {
            return Err(bad(number, "the decoder returns no pictures"));
        }
        self.shown_at.push(Reverse(place.shown_at));
        self.ticks_per_second = place.ticks_per_second;
        self.ticks = place.ticks;
        Ok(())
    }

    /// Takes in the next picture to show; gives the one before.
    fn handle_decoded(&mut self, frame: Picture) -> Option<Shown> {
        let Reverse(shown_at) = self.shown_at.pop()?;
        let (before, began) = self.waiting.replace((frame, shown_at))?;
        let ticks = u32::try_from(shown_at.saturating_sub(began)).unwrap_or(self.ticks);
        Some(self.shown(before, began, ticks))
    }

    fn finish(&mut self) -> Option<Shown> {
        let (last, began) = self.waiting.take()?;
        Some(self.shown(last, began, self.ticks))
    }

    fn shown(&self, frame: Picture, at: i64, ticks: u32) -> Shown {
        Shown {
            frame,
            at,
            ticks,
            ticks_per_second: self.ticks_per_second,
        }
    }
}

/// Appends a unit that the decoder may see, after a start code; skips others.
fn push_unit(stream: &mut Vec<u8>, unit: &[u8]) -> Result<(), ClipError> {
    match kind(unit) {
        SPS => check_sps(unit)?,
        PPS | SLICE | IDR_SLICE => {}
        // Comments, delimiters, layers: not needed for pictures.
        _ => return Ok(()),
    }
    stream.extend_from_slice(&[0, 0, 0, 1]);
    stream.extend_from_slice(unit);
    Ok(())
}

/// Rejects sizes and chroma formats that no [`Picture`] has, before memory is
/// reserved for them.
///
/// The size before cropping is checked by the decoder, which rejects anything
/// over level 5.2, that is 9.4 million pixels.
fn check_sps(unit: &[u8]) -> Result<(), ClipError> {
    let sps = parse_sps(unit).map_err(|error| ClipError::Mp4(error.into()))?;
    let depth = (sps.bit_depth_luma_minus8, sps.bit_depth_chroma_minus8);
    if sps.chroma_format_idc != CHROMA_420 || depth != (0, 0) {
        return Err(ClipError::H264Colours);
    }
    let (width_px, height_px) = (sps.width.into(), sps.height.into());
    PixelFormat::I420.picture_bytes(width_px, height_px, PixelFormat::I420.row_bytes(width_px))?;
    Ok(())
}

/// The units of a picture, each after its length; `None` for a truncated one.
fn units(mut sample: &[u8], length_size: LengthSize) -> impl Iterator<Item = Option<&[u8]>> {
    std::iter::from_fn(move || {
        if sample.is_empty() {
            return None;
        }
        let unit = sample
            .split_at_checked(length_size.bytes())
            .and_then(|(length, rest)| {
                let length = length
                    .iter()
                    .fold(0, |length, &byte| length << 8 | usize::from(byte));
                rest.split_at_checked(length)
            });
        sample = unit.map_or(&[], |(_, rest)| rest);
        Some(unit.map(|(unit, _)| unit))
    })
}

/// Copies the visible part of a picture out of the decoder.
fn copied(decoded: &DecodedYUV<'_>) -> Result<Picture, ClipError> {
    let (width, height) = decoded.dimensions();
    let (luma_stride, blue_stride, red_stride) = decoded.strides();
    let mut data = Vec::with_capacity(width * height * 3 / 2);
    for (plane, stride, width, height) in [
        (decoded.y(), luma_stride, width, height),
        (decoded.u(), blue_stride, width / 2, height / 2),
        (decoded.v(), red_stride, width / 2, height / 2),
    ] {
        for row in plane.chunks(stride.max(1)).take(height) {
            data.extend_from_slice(row.get(..width).unwrap_or(row));
        }
    }
    let side = |px: usize| u32::try_from(px).unwrap_or(u32::MAX);
    Ok(Picture::new(
        PixelFormat::I420,
        side(width),
        side(height),
        data,
    )?)
}

fn is_slice(unit: &[u8]) -> bool {
    matches!(kind(unit), SLICE | IDR_SLICE)
}

/// `nal_unit_type`.
fn kind(unit: &[u8]) -> u8 {
    unit.first().map_or(0, |header| header & 0x1f)
}

fn bad(number: u64, source: impl Into<Box<dyn Error + Send + Sync>>) -> ClipError {
    ClipError::H264 {
        number,
        source: source.into(),
    }
}

const SLICE: u8 = 1;
const IDR_SLICE: u8 = 5;
const SPS: u8 = 7;
const PPS: u8 = 8;

/// `chroma_format_idc` of 4:2:0.
const CHROMA_420: u8 = 1;

/// The standard's largest buffer of decoded pictures, plus one.
const MAX_REORDERED: usize = 17;

#[cfg(test)]
mod tests {
    use openh264::encoder::{Encoder, EncoderConfig};
    use shiguredo_mp4::{Uint, bitstream::h264::parse_annexb_nal_units};

    use super::*;

    fn place(shown_at: i64) -> Place {
        Place::at(shown_at, 40, 1_000)
    }

    /// Durations, in milliseconds, of pictures stored in this order.
    #[track_caller]
    fn check_durations(stored: &[i64], expected: &[u64]) {
        let frame = || Picture::new(PixelFormat::I420, 2, 2, vec![0; 6]).unwrap();
        let mut timing = Timing::default();
        for &shown_at in stored {
            timing.handle_picture(&place(shown_at), 0).unwrap();
        }
        let mut shown: Vec<_> = stored
            .iter()
            .filter_map(|_| timing.handle_decoded(frame()))
            .collect();
        shown.extend(timing.finish());
        let durations: Vec<u64> = shown.iter().map(|shown| u64::from(shown.ticks)).collect();
        assert_eq!(durations, expected);
    }

    #[test]
    fn durations_are_those_of_the_order_in_which_pictures_are_shown() {
        check_durations(&[0, 40, 80], &[40, 40, 40]);
        // I P B B, uneven.
        check_durations(&[100, 400, 110, 250], &[10, 140, 150, 40]);
        check_durations(&[7], &[40]);
    }

    #[test]
    fn times_that_make_no_sense_are_no_trouble() {
        check_durations(&[5, 5], &[0, 40]);
        check_durations(&[i64::MIN, i64::MAX], &[40, 40]);
        let mut timing = Timing::default();
        for number in 0..=17 {
            timing.handle_picture(&place(0), number).unwrap();
        }
        assert!(timing.handle_picture(&place(0), 18).is_err());
    }

    #[test]
    fn units_are_told_apart_by_lengths_of_any_size() {
        for (sample, size) in [
            (&b"\x02ab\x01c"[..], LengthSize::OneByte),
            (b"\0\x02ab\0\x01c", LengthSize::TwoBytes),
            (b"\0\0\0\x02ab\0\0\0\x01c", LengthSize::FourBytes),
        ] {
            let whole: Vec<_> = units(sample, size).collect();
            assert_eq!(whole, [Some(&b"ab"[..]), Some(b"c")]);
            for cut in 1..sample.len() {
                let parts: Vec<_> = units(&sample[..cut], size).collect();
                let second = size.bytes() + 2;
                assert_eq!(parts.contains(&None), cut != second, "cut at {cut}");
            }
        }
    }

    /// The units of a picture by our encoder, parameter sets included.
    fn encoded(width: usize, height: usize) -> Vec<Vec<u8>> {
        let api = OpenH264API::from_source();
        let mut encoder = Encoder::with_api_config(api, EncoderConfig::new()).unwrap();
        let picture = openh264::formats::YUVBuffer::new(width, height);
        let stream = encoder.encode(&picture).unwrap().to_vec();
        parse_annexb_nal_units(&stream)
            .unwrap()
            .iter()
            .map(|unit| unit.data.to_vec())
            .collect()
    }

    fn avcc(units: &[Vec<u8>], length_size: LengthSize) -> AvccBox {
        let of = |wanted| {
            let found = units.iter().filter(|unit| kind(unit) == wanted);
            found.cloned().collect()
        };
        AvccBox {
            avc_profile_indication: 66,
            profile_compatibility: 0,
            avc_level_indication: 30,
            length_size_minus_one: Uint::new(length_size.length_size_minus_one()),
            sps_list: of(SPS),
            pps_list: of(PPS),
            chroma_format: None,
            bit_depth_luma_minus8: None,
            bit_depth_chroma_minus8: None,
            sps_ext_list: Vec::new(),
        }
    }

    #[test]
    fn lengths_of_any_size_are_played() {
        let units = encoded(64, 48);
        for size in [
            LengthSize::OneByte,
            LengthSize::TwoBytes,
            LengthSize::FourBytes,
        ] {
            let mut sample = Vec::new();
            for unit in units.iter().filter(|unit| is_slice(unit)) {
                let length = u32::try_from(unit.len()).unwrap().to_be_bytes();
                sample.extend_from_slice(&length[4 - size.bytes()..]);
                sample.extend_from_slice(unit);
            }
            let mut decoder = H264::new(&avcc(&units, size)).unwrap();
            assert!(decoder.decode(&sample, &place(0)).unwrap().is_none());
            let shown = decoder.finish().unwrap();
            assert_eq!(shown.len(), 1, "{size:?}");
            assert_eq!(shown[0].frame.width_px(), 64);
        }
    }

    #[test]
    fn a_picture_without_a_slice_is_refused() {
        let units = encoded(64, 48);
        let mut decoder = H264::new(&avcc(&units, LengthSize::OneByte)).unwrap();
        for sample in [&b""[..], b"\x01\x06", b"\x05\x65"] {
            assert!(decoder.decode(sample, &place(0)).is_err());
        }
    }

    #[test]
    fn sizes_over_the_limit_are_refused_before_they_are_decoded() {
        let units = encoded(64, 48);
        let sps = units.iter().find(|unit| kind(unit) == SPS).unwrap();
        check_sps(sps).unwrap();
        // Baseline, level 5.2, 4:2:0, 8,208 px wide: 513 macroblocks by one.
        let wide = [0x67, 66, 0, 52, 0xda, 0x00, 0x20, 0x1e, 0x40];
        let error = check_sps(&wide).unwrap_err();
        assert!(matches!(error, ClipError::Picture(_)), "{error}");
    }
}
