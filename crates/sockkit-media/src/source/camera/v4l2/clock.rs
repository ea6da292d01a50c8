//! Converts the kernel's timestamp of a picture to time of day.

use std::time::{Duration, SystemTime};

use moq_v4l::buffer::{Flags, Metadata};
use rustix::time::{ClockId, clock_gettime};

use crate::picture::Timestamp;

/// When the driver captured the picture.
pub(super) fn captured(told: &Metadata) -> Timestamp {
    let now = clock_gettime(ClockId::Monotonic);
    let uptime = Duration::try_from(now).unwrap_or_default();
    let stamped = told
        .flags
        .contains(Flags::TIMESTAMP_MONOTONIC)
        .then(|| since_boot(told))
        .flatten();
    let age = stamped.map_or(Duration::ZERO, |stamped| age(stamped, uptime));
    (SystemTime::now() - age).into()
}

fn since_boot(told: &Metadata) -> Option<Duration> {
    let seconds = u64::try_from(told.timestamp.sec).ok()?;
    let micros = u64::try_from(told.timestamp.usec).ok()?;
    Duration::from_secs(seconds).checked_add(Duration::from_micros(micros))
}

/// Age of a picture; 0 if its timestamp is in the future or too far in the
/// past.
fn age(stamped: Duration, now: Duration) -> Duration {
    let age = now.saturating_sub(stamped);
    if age > MAX_AGE { Duration::ZERO } else { age }
}

/// Four buffers at one picture a second, with some margin.
const MAX_AGE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_that_cannot_be_are_none() {
        let at = Duration::from_millis;
        assert_eq!(age(at(900), at(1_000)), at(100));
        assert_eq!(age(at(1_100), at(1_000)), Duration::ZERO);
        assert_eq!(age(at(0), at(10_000)), at(10_000));
        assert_eq!(age(at(0), at(10_001)), Duration::ZERO);
    }
}
