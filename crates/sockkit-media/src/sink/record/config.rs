//! Settings of a recording.

use super::RecordError;
use crate::picture::jpeg;

/// Settings of a recording.
///
/// ```
/// # use sockkit_media as sockkit;
/// use sockkit::sink::record::{Existing, RecorderConfig, Timing};
///
/// // Like OpenCV's `VideoWriter(…, 25.0, …)`.
/// let config = RecorderConfig::default()
///     .timing(Timing::Constant { rate_hz: 25.0 })
///     .existing(Existing::Replace);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a config does nothing until a recorder is made with it"]
pub struct RecorderConfig {
    pub(super) codec: Codec,
    pub(super) timing: Timing,
    pub(super) existing: Existing,
    pub(super) jpeg_quality: u8,
}

/// Codec of the pictures in the file.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Codec {
    /// Each picture is a JPEG; JPEG pictures are stored unchanged.
    #[default]
    MotionJpeg,
    /// H.264, about a tenth of the size, supported by browsers and phones.
    ///
    /// Every picture is compressed again, on the recorder's thread, which takes
    /// some milliseconds each. Sides must be even, from 16 px to 3840x2160.
    #[cfg(feature = "h264")]
    H264(super::H264Config),
}

/// Durations of pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Timing {
    /// Until the next one was captured: the file plays in real time.
    #[default]
    AsCaptured,
    /// All equal, whenever the pictures were captured.
    ///
    /// A camera that runs at another rate then plays too fast or too slow.
    Constant {
        /// Pictures a second, from 0.001 to 1,000.
        rate_hz: f64,
    },
}

/// What to do if the file already exists.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Existing {
    /// Keep it, and record nothing.
    #[default]
    Refuse,
    /// Keep it until the new one is complete.
    ///
    /// The new file is written as `NAME.part` beside it, and renamed at the
    /// end.
    Replace,
}

impl RecorderConfig {
    /// Codec of the pictures. Default: Motion JPEG.
    pub const fn codec(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }

    /// Durations of pictures. Default: as captured.
    pub const fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// What to do if the file already exists. Default: keep it, and record
    /// nothing.
    pub const fn existing(mut self, existing: Existing) -> Self {
        self.existing = existing;
        self
    }

    /// JPEG quality of other pictures, 1 to 100. Default: 80.
    ///
    /// For Motion JPEG only; JPEG pictures are stored unchanged.
    pub const fn jpeg_quality(mut self, quality: u8) -> Self {
        self.jpeg_quality = quality;
        self
    }

    pub(super) fn check(&self) -> Result<(), RecordError> {
        #[cfg(feature = "h264")]
        if let Codec::H264(config) = &self.codec {
            config.check()?;
        }
        match self.timing {
            Timing::Constant { rate_hz } if !(MIN_RATE_HZ..=MAX_RATE_HZ).contains(&rate_hz) => {
                Err(RecordError::BadRate {
                    rate_hz,
                    least_hz: MIN_RATE_HZ,
                    limit_hz: MAX_RATE_HZ,
                })
            }
            _ => Ok(()),
        }
    }
}

impl Default for RecorderConfig {
    fn default() -> Self {
        Self {
            codec: Codec::default(),
            timing: Timing::default(),
            existing: Existing::default(),
            jpeg_quality: jpeg::DEFAULT_QUALITY,
        }
    }
}

/// The duration of a picture is limited to 32 bits of microseconds, which is 71
/// minutes.
const MIN_RATE_HZ: f64 = 0.001;

const MAX_RATE_HZ: f64 = 1_000.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_within_the_limits() {
        let check = |rate_hz| {
            RecorderConfig::default()
                .timing(Timing::Constant { rate_hz })
                .check()
        };
        for good in [MIN_RATE_HZ, 25.0, MAX_RATE_HZ] {
            assert!(check(good).is_ok());
        }
        for bad in [0.0, -25.0, 0.000_9, 1_000.1, f64::NAN, f64::INFINITY] {
            assert!(matches!(check(bad), Err(RecordError::BadRate { .. })));
        }
    }
}
