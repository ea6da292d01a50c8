//! Settings of a source.

use std::time::Duration;

use super::SourceError;

/// Settings of a source.
///
/// They are requests: a camera uses its closest format; a clip is resized and
/// keeps its own rate unless another is requested.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a config does nothing until a source is opened with it"]
pub struct SourceConfig {
    pub(super) size_px: Option<(u32, u32)>,
    pub(super) rate_hz: Option<f64>,
}

impl SourceConfig {
    /// Width and height, in pixels. Default: the source's own, 640x480 for the
    /// pattern.
    ///
    /// Clips and still images of another size are decoded and resized, which
    /// takes some milliseconds a picture.
    pub const fn size(mut self, width_px: u32, height_px: u32) -> Self {
        self.size_px = Some((width_px, height_px));
        self
    }

    /// Pictures a second. Default: the source's own, 25 for the pattern and for
    /// clips without a rate.
    pub const fn rate_hz(mut self, rate_hz: f64) -> Self {
        self.rate_hz = Some(rate_hz);
        self
    }

    /// The interval between pictures.
    pub(super) fn interval(&self, own_rate_hz: f64) -> Result<Duration, SourceError> {
        let rate_hz = self.rate_hz.unwrap_or(own_rate_hz);
        if rate_hz > 0.0 && rate_hz <= MAX_RATE_HZ {
            let seconds = (1.0 / rate_hz).min(MAX_INTERVAL_SECONDS);
            return Ok(Duration::from_secs_f64(seconds));
        }
        Err(SourceError::BadRate {
            rate_hz,
            limit_hz: MAX_RATE_HZ,
        })
    }
}

/// Default rate of sources without their own.
pub(super) const DEFAULT_RATE_HZ: f64 = 25.0;

/// Pacing is limited by the timer's resolution.
const MAX_RATE_HZ: f64 = 1_000.0;

const MAX_INTERVAL_SECONDS: f64 = 3_600.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_above_zero_and_at_most_the_limit() {
        let interval = |rate_hz| SourceConfig::default().rate_hz(rate_hz).interval(25.0);
        assert_eq!(interval(MAX_RATE_HZ).unwrap(), Duration::from_millis(1));
        assert_eq!(
            interval(f64::MIN_POSITIVE).unwrap(),
            Duration::from_secs(3_600)
        );
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, MAX_RATE_HZ + 0.1] {
            assert!(matches!(interval(bad), Err(SourceError::BadRate { .. })));
        }
    }
}
