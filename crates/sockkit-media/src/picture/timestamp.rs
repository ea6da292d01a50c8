//! Capture times.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A time by one machine's clock, in microseconds since the Unix epoch.
///
/// Timestamps of two machines differ by the offset of their clocks, which the
/// receiver of a stream estimates.
///
/// ```
/// # use sockkit_media as sockkit;
/// use std::time::Duration;
/// use sockkit::picture::Timestamp;
///
/// let taken = Timestamp::from_micros(1_000_000);
/// let shown = taken + Duration::from_millis(12);
/// assert_eq!(shown.micros_since(taken), 12_000);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Creates a timestamp from microseconds since the epoch.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Microseconds from `earlier` to `self`; negative if `earlier` is later,
    /// which is possible for two machines' clocks.
    pub const fn micros_since(self, earlier: Self) -> i64 {
        // Wraps only for times 292,000 years apart.
        self.0.wrapping_sub(earlier.0).cast_signed()
    }

    /// The time from `earlier` to `self`, zero if `earlier` is later.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// A time before 1970 becomes the epoch.
impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        let micros = u64::try_from(later.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_have_a_sign() {
        let (early, late) = (Timestamp::from_micros(5), Timestamp::from_micros(9));
        assert_eq!(late.micros_since(early), 4);
        assert_eq!(early.micros_since(late), -4);
        assert_eq!(early.saturating_since(late), Duration::ZERO);
    }

    #[test]
    fn system_time_keeps_its_microseconds() {
        let time = UNIX_EPOCH + Duration::from_micros(1_234_567);
        assert_eq!(Timestamp::from(time).as_micros(), 1_234_567);
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(Timestamp::from(before), Timestamp::default());
    }
}
