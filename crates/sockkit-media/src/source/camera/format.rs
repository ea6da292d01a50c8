//! Formats of a camera, and how to choose one.

use std::{cmp::Reverse, fmt};

use crate::picture::{Encoding, PixelFormat};

/// A format in which a camera can deliver pictures.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct CameraFormat {
    /// Encoding of the pictures; [`Encoding::Jpeg`] for Motion JPEG.
    pub encoding: Encoding,
    /// Width in pixels.
    pub width_px: u32,
    /// Height in pixels.
    pub height_px: u32,
    /// Pictures a second.
    pub rate_hz: f64,
}

impl fmt::Display for CameraFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            encoding,
            width_px,
            height_px,
            rate_hz,
        } = self;
        // At most two decimals: 25 and 29.97.
        let rate_hz = (rate_hz * 100.0).round() / 100.0;
        write!(f, "{encoding} {width_px}x{height_px} at {rate_hz}/s")
    }
}

/// The requested format of a camera.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct RequestedFormat {
    pub(super) size_px: (u32, u32),
    pub(super) rate_hz: f64,
}

/// Chooses the format closest to the request.
///
/// Size comes first: the exact one, otherwise the smallest that contains it,
/// otherwise the largest. Then the rate: at least the requested one, if
/// available. Then JPEG, because it can be sent unchanged; then the smallest
/// pixels.
pub(super) fn choose(offers: &[CameraFormat], wish: RequestedFormat) -> Option<CameraFormat> {
    offers.iter().copied().min_by_key(|offer| rank(offer, wish))
}

/// Smaller is better; compared from left to right.
type Rank = (SizeRank, bool, usize, u64);

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum SizeRank {
    Exact,
    Larger(u64),
    Smaller(Reverse<u64>),
}

fn rank(offer: &CameraFormat, wish: RequestedFormat) -> Rank {
    let (width_px, height_px) = wish.size_px;
    let area = u64::from(offer.width_px) * u64::from(offer.height_px);
    let size = if (offer.width_px, offer.height_px) == wish.size_px {
        SizeRank::Exact
    } else if offer.width_px >= width_px && offer.height_px >= height_px {
        SizeRank::Larger(area)
    } else {
        SizeRank::Smaller(Reverse(area))
    };
    // 29.97 satisfies a request for 30.
    let too_slow = offer.rate_hz < wish.rate_hz * 0.99;
    let pixels = PREFERENCE
        .iter()
        .position(|&encoding| encoding == offer.encoding)
        .unwrap_or(PREFERENCE.len());
    (
        size,
        too_slow,
        pixels,
        millihertz(offer.rate_hz - wish.rate_hz),
    )
}

/// Difference of two rates, as a number with a total order.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative, and the cast saturates"
)]
fn millihertz(difference_hz: f64) -> u64 {
    (difference_hz.abs() * 1_000.0).round() as u64
}

/// Fewer bytes are better.
const PREFERENCE: [Encoding; 8] = [
    Encoding::Jpeg,
    Encoding::Raw(PixelFormat::Nv12),
    Encoding::Raw(PixelFormat::I420),
    Encoding::Raw(PixelFormat::Yuyv),
    Encoding::Raw(PixelFormat::Uyvy),
    Encoding::Raw(PixelFormat::Bgr),
    Encoding::Raw(PixelFormat::Rgb),
    Encoding::Raw(PixelFormat::Gray),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// `jpeg 640x480 at 30/s` as a tuple.
    type Offer = (Encoding, u32, u32, f64);

    fn format((encoding, width_px, height_px, rate_hz): Offer) -> CameraFormat {
        CameraFormat {
            encoding,
            width_px,
            height_px,
            rate_hz,
        }
    }

    #[track_caller]
    fn check(offers: &[Offer], size_px: (u32, u32), rate_hz: f64, expected: Offer) {
        let offers: Vec<_> = offers.iter().copied().map(format).collect();
        let chosen = choose(&offers, RequestedFormat { size_px, rate_hz });
        assert_eq!(chosen, Some(format(expected)));
    }

    const WEBCAM: [Offer; 6] = [
        (Encoding::Raw(PixelFormat::Yuyv), 640, 480, 30.0),
        (Encoding::Raw(PixelFormat::Yuyv), 1280, 720, 10.0),
        (Encoding::Jpeg, 640, 480, 15.0),
        (Encoding::Jpeg, 640, 480, 29.97),
        (Encoding::Jpeg, 1280, 720, 30.0),
        (Encoding::Raw(PixelFormat::Gray), 320, 240, 60.0),
    ];

    #[test]
    fn jpeg_of_the_very_size_and_rate_is_taken() {
        check(&WEBCAM, (640, 480), 30.0, WEBCAM[3]);
        check(&WEBCAM, (640, 480), 15.0, WEBCAM[2]);
        check(&WEBCAM, (1280, 720), 30.0, WEBCAM[4]);
    }

    #[test]
    fn a_size_not_offered_becomes_the_next_larger_else_the_largest() {
        check(&WEBCAM, (800, 600), 30.0, WEBCAM[4]);
        check(&WEBCAM, (100, 100), 30.0, WEBCAM[5]);
        check(&WEBCAM, (1920, 1080), 30.0, WEBCAM[4]);
    }

    #[test]
    fn raw_pixels_in_time_beat_jpeg_too_slow() {
        check(&[WEBCAM[0], WEBCAM[2]], (640, 480), 30.0, WEBCAM[0]);
    }

    #[test]
    fn where_none_is_fast_enough_the_fastest_is_taken() {
        check(&[WEBCAM[2], WEBCAM[3]], (640, 480), 60.0, WEBCAM[3]);
    }

    #[test]
    fn nothing_offered_is_nothing_chosen() {
        let wish = RequestedFormat {
            size_px: (640, 480),
            rate_hz: 30.0,
        };
        assert_eq!(choose(&[], wish), None);
    }

    #[test]
    fn rates_are_shown_as_people_write_them() {
        assert_eq!(format(WEBCAM[3]).to_string(), "jpeg 640x480 at 29.97/s");
        assert_eq!(format(WEBCAM[0]).to_string(), "yuyv 640x480 at 30/s");
    }
}
