//! Formats of a device.

use moq_v4l::{
    Device as Handle, FourCC, Fraction,
    frameinterval::FrameIntervalEnum,
    framesize::{FrameSizeEnum, Stepwise},
    video::{Capture as _, capture::Parameters},
};

use super::CameraFormat;
use crate::picture::{Encoding, Picture, PixelFormat};

/// All supported formats, largest last.
pub(super) fn of(handle: &Handle) -> Vec<CameraFormat> {
    let mut offers = Vec::new();
    for offered in handle.enum_formats().unwrap_or_default() {
        let Some(encoding) = encoding(offered.fourcc) else {
            continue;
        };
        for (width_px, height_px) in sizes(handle, offered.fourcc) {
            for rate_hz in rates(handle, offered.fourcc, width_px, height_px) {
                offers.push(CameraFormat {
                    encoding,
                    width_px,
                    height_px,
                    rate_hz,
                });
            }
        }
    }
    offers.sort_by_key(|offer| (offer.width_px, offer.height_px));
    // Cameras list JPEG and Motion JPEG separately.
    offers.dedup();
    offers
}

fn sizes(handle: &Handle, fourcc: FourCC) -> Vec<(u32, u32)> {
    let sizes = handle.enum_framesizes(fourcc).unwrap_or_default();
    let mut sizes: Vec<(u32, u32)> = sizes
        .into_iter()
        .flat_map(|offered| match offered.size {
            FrameSizeEnum::Discrete(size) => vec![(size.width, size.height)],
            FrameSizeEnum::Stepwise(range) => COMMON_SIZES
                .into_iter()
                .chain([(range.max_width, range.max_height)])
                .filter(|&size| fits(&range, size))
                .collect(),
        })
        .filter(|&(width, height)| width.max(height) <= Picture::MAX_SIDE_PX)
        .collect();
    sizes.dedup();
    sizes
}

/// Whether a size is one of a range's steps.
fn fits(range: &Stepwise, (width, height): (u32, u32)) -> bool {
    let fits = |side: u32, least: u32, most: u32, step: u32| {
        (least..=most).contains(&side) && (side - least).is_multiple_of(step.max(1))
    };
    fits(width, range.min_width, range.max_width, range.step_width)
        && fits(
            height,
            range.min_height,
            range.max_height,
            range.step_height,
        )
}

fn rates(handle: &Handle, fourcc: FourCC, width_px: u32, height_px: u32) -> Vec<f64> {
    let intervals = handle
        .enum_frameintervals(fourcc, width_px, height_px)
        .unwrap_or_default();
    let mut rates: Vec<f64> = intervals
        .into_iter()
        .flat_map(|offered| match offered.interval {
            FrameIntervalEnum::Discrete(interval) => Vec::from_iter(rate(&interval)),
            FrameIntervalEnum::Stepwise(range) => {
                // The shortest interval is the highest rate.
                let (most, least) = (rate(&range.min), rate(&range.max).unwrap_or(0.0));
                let common = COMMON_RATES_HZ
                    .into_iter()
                    .filter(|&rate| rate >= least && most.is_some_and(|most| rate < most));
                common.chain(most).collect()
            }
        })
        .collect();
    if rates.is_empty() {
        rates.push(UNTOLD_RATE_HZ);
    }
    rates
}

/// Pictures a second for the interval between two.
pub(super) fn rate(interval: &Fraction) -> Option<f64> {
    (interval.numerator > 0 && interval.denominator > 0)
        .then(|| f64::from(interval.denominator) / f64::from(interval.numerator))
}

/// The interval between two pictures, exact for integer rates and for NTSC's.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates are above 0 and small; the cast saturates"
)]
pub(super) fn interval(rate_hz: f64) -> Parameters {
    let thousandths = (rate_hz * 1_000.0).round();
    let ntsc = (rate_hz * 1_001.0).round();
    Parameters::new(if (ntsc / 1_001.0 - rate_hz).abs() < 1e-9 {
        Fraction::new(1_001, ntsc as u32)
    } else {
        Fraction::new(1_000, thousandths as u32)
    })
}

/// The driver's name of an encoding.
pub(super) fn fourcc(encoding: Encoding) -> FourCC {
    let name = NAMES.iter().find(|(_, known)| *known == encoding);
    FourCC::new(name.map_or(b"MJPG", |(name, _)| name))
}

pub(super) fn encoding(fourcc: FourCC) -> Option<Encoding> {
    let name = NAMES.iter().find(|(name, _)| **name == fourcc.repr);
    name.map(|&(_, encoding)| encoding)
}

/// The first of two names of one format is requested.
const NAMES: [(&[u8; 4], Encoding); 9] = [
    (b"MJPG", Encoding::Jpeg),
    (b"JPEG", Encoding::Jpeg),
    (b"NV12", Encoding::Raw(PixelFormat::Nv12)),
    (b"YU12", Encoding::Raw(PixelFormat::I420)),
    (b"YUYV", Encoding::Raw(PixelFormat::Yuyv)),
    (b"UYVY", Encoding::Raw(PixelFormat::Uyvy)),
    (b"BGR3", Encoding::Raw(PixelFormat::Bgr)),
    (b"RGB3", Encoding::Raw(PixelFormat::Rgb)),
    (b"GREY", Encoding::Raw(PixelFormat::Gray)),
];

/// Sizes to offer for a device that supports any size in a range.
const COMMON_SIZES: [(u32, u32); 7] = [
    (320, 240),
    (640, 360),
    (640, 480),
    (800, 600),
    (1280, 720),
    (1920, 1080),
    (3840, 2160),
];

const COMMON_RATES_HZ: [f64; 7] = [5.0, 10.0, 15.0, 24.0, 25.0, 30.0, 60.0];

/// For devices that do not report a rate.
const UNTOLD_RATE_HZ: f64 = 30.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rate_hz: f64, numerator: u32, denominator: u32) {
        let Fraction {
            numerator: actual_numerator,
            denominator: actual_denominator,
        } = interval(rate_hz).interval;
        // Compared by cross product: 1000/25000 is 1/25.
        assert_eq!(
            u64::from(actual_numerator) * u64::from(denominator),
            u64::from(numerator) * u64::from(actual_denominator),
            "{actual_numerator}/{actual_denominator}"
        );
        let back = rate(&Fraction::new(numerator, denominator)).unwrap();
        assert!((back - rate_hz).abs() < 1e-9);
    }

    #[test]
    fn rates_become_exact_fractions() {
        check(25.0, 1, 25);
        check(12.5, 2, 25);
        check(30_000.0 / 1_001.0, 1_001, 30_000);
        check(7.5, 2, 15);
    }

    #[test]
    fn a_time_of_zero_is_no_rate() {
        assert_eq!(rate(&Fraction::new(0, 30)), None);
        assert_eq!(rate(&Fraction::new(1, 0)), None);
    }

    #[test]
    fn ranges_without_steps_are_no_trap() {
        let range = Stepwise {
            min_width: 16,
            max_width: 1_920,
            step_width: 0,
            min_height: 16,
            max_height: 1_080,
            step_height: 8,
        };
        assert!(fits(&range, (641, 480)));
        assert!(!fits(&range, (640, 481)));
        assert!(!fits(&range, (1_928, 480)));
    }
}
