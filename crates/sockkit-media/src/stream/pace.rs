//! Pacing: spreads a burst so that the receiver's buffer and the switches
//! between keep up.
//!
//! Pure: the caller passes `now` in and waits as long as it is told.

use std::time::{Duration, Instant};

/// A bucket of bytes that fills at a steady rate.
#[derive(Clone, Debug)]
pub struct Pacer {
    bytes_per_second: u64,
    /// When everything sent so far is paid for.
    paid_at: Instant,
}

impl Pacer {
    /// A full bucket.
    pub fn new(bytes_per_second: u64, now: Instant) -> Self {
        Self {
            bytes_per_second: bytes_per_second.max(1),
            paid_at: now,
        }
    }

    /// Takes note of `bytes` that were just sent; says until when to wait
    /// before the next ones, if at all.
    pub fn on_sent(&mut self, now: Instant, bytes: usize) -> Option<Instant> {
        let nanos = bytes as u128 * 1_000_000_000 / u128::from(self.bytes_per_second);
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.paid_at = self.paid_at.max(now) + cost;
        let credit = self.cost_of_burst();
        (self.paid_at > now + credit).then(|| self.paid_at - credit)
    }

    fn cost_of_burst(&self) -> Duration {
        Duration::from_nanos(BURST_BYTES * 1_000_000_000 / self.bytes_per_second)
    }
}

/// A gigabit a second, in bytes.
pub const GIGABIT: u64 = 125_000_000;

/// What goes out at once: a compressed picture, and about a third of the
/// receive buffer that Linux gives without asking.
const BURST_BYTES: u64 = 128 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_at_once() {
        let start = Instant::now();
        let mut pacer = Pacer::new(1 << 20, start);
        assert_eq!(pacer.on_sent(start, 64 << 10), None);
        assert_eq!(pacer.on_sent(start, 64 << 10), None);
        let wait = pacer.on_sent(start, 1 << 10).unwrap() - start;
        assert!((900..=1_100).contains(&wait.as_micros()), "{wait:?}");
    }

    #[test]
    fn the_rate_holds_over_time() {
        let start = Instant::now();
        let (mut pacer, mut now) = (Pacer::new(10_000_000, start), start);
        for _ in 0..1_000 {
            if let Some(until) = pacer.on_sent(now, 50_000) {
                now = until;
            }
        }
        let took = (now - start).as_secs_f64();
        assert!((4.9..=5.1).contains(&took), "{took} s for 50 MB");
    }

    #[test]
    fn silence_saves_up_no_more_than_one_burst() {
        let start = Instant::now();
        let mut pacer = Pacer::new(1 << 20, start);
        let later = start + Duration::from_secs(3_600);
        assert_eq!(pacer.on_sent(later, 128 << 10), None);
        assert!(pacer.on_sent(later, 1).is_some());
    }
}
