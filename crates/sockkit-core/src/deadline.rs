//! Converts timeouts to deadlines.
//!
//! Pure: the caller passes the time in.

use std::time::{Duration, Instant};

/// Returns the deadline `timeout` after `now`; `None` means never.
///
/// Timeouts of a century or more, such as `Duration::MAX`, mean never: the sum
/// could exceed what the clock or the runtime's timer can represent.
pub(crate) fn deadline_after(now: Instant, timeout: Duration) -> Option<Instant> {
    (timeout < CENTURY)
        .then(|| now.checked_add(timeout))
        .flatten()
}

const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_clock_can_express_is_never() {
        let now = Instant::now();
        for never in [Duration::MAX, Duration::MAX / 4, CENTURY] {
            assert_eq!(deadline_after(now, never), None, "{never:?}");
        }
    }

    #[test]
    fn all_else_is_the_sum() {
        let now = Instant::now();
        for timeout in [Duration::ZERO, Duration::from_secs(5), CENTURY / 2] {
            assert_eq!(deadline_after(now, timeout), Some(now + timeout));
        }
    }
}
