//! Estimates the offset of a peer's clock, from requests and replies.
//!
//! Pure: the caller passes both clocks in and sends each request. Call
//! [`poll`](Clock::poll) at [`deadline`](Clock::deadline) and pass every reply
//! in.
//!
//! # Source
//! The four timestamps of RFC 5905 §8. The error of the estimate is at most
//! half the round trip, however asymmetric the path is.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::control::ControlMessage;
use crate::picture::Timestamp;

/// Estimates the clock of one peer.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    samples: VecDeque<Sample>,
    pending: Option<Pending>,
    /// Number of requests so far.
    asked: u32,
    next_at: Instant,
}

/// How far the peer's clock is ahead of the local one.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Offset {
    /// Negative if it is behind.
    pub(super) micros: i64,
    /// Maximum error in either direction.
    pub(super) error: Duration,
}

impl Offset {
    /// The age at local time `now` of something captured at `captured` by the
    /// peer's clock. Never negative.
    pub(super) fn age(&self, captured: Timestamp, now: Timestamp) -> Duration {
        let micros = now.micros_since(captured).saturating_add(self.micros);
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }
}

impl Clock {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            samples: VecDeque::new(),
            pending: None,
            asked: 0,
            next_at: now,
        }
    }

    /// When [`poll`](Self::poll) next returns a request.
    pub(super) fn deadline(&self) -> Instant {
        self.next_at
    }

    /// Returns a request if one is due; `nonce` must be hard to guess.
    pub(super) fn poll(
        &mut self,
        now: Instant,
        wall: Timestamp,
        nonce: u64,
    ) -> Option<ControlMessage> {
        if now < self.next_at {
            return None;
        }
        let pause = if self.asked < QUICK_REQUESTS {
            QUICK_PAUSE
        } else {
            PAUSE
        };
        self.asked = self.asked.saturating_add(1);
        self.next_at = now + pause;
        self.pending = Some(Pending { nonce, sent: wall });
        Some(ControlMessage::ClockRequest { nonce })
    }

    /// Processes a reply; ignores replies to unknown requests.
    pub(super) fn handle_reply(
        &mut self,
        now: Instant,
        wall: Timestamp,
        nonce: u64,
        (received, sent): (Timestamp, Timestamp),
    ) {
        let Some(pending) = self.pending.take_if(|pending| pending.nonce == nonce) else {
            return;
        };
        let there = i128::from(received.micros_since(pending.sent));
        let back = i128::from(sent.micros_since(wall));
        let whole = i128::from(wall.micros_since(pending.sent));
        let held = i128::from(sent.micros_since(received));
        let (Ok(micros), Ok(round_trip)) = (
            i64::try_from((there + back) / 2),
            u64::try_from(whole - held),
        ) else {
            // The peer claims to have held the request longer than the round
            // trip took, or a clock was set in the meantime.
            return;
        };
        if self.samples.len() == MAX_SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample {
            micros,
            round_trip: Duration::from_micros(round_trip),
            at: now,
        });
    }

    /// The best estimate, if there was a recent reply.
    pub(super) fn offset(&self, now: Instant) -> Option<Offset> {
        let young = |sample: &&Sample| now.saturating_duration_since(sample.at) <= MAX_AGE;
        let best = self
            .samples
            .iter()
            .filter(young)
            .min_by_key(|sample| sample.error(now))?;
        Some(Offset {
            micros: best.micros,
            error: best.error(now),
        })
    }
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    micros: i64,
    round_trip: Duration,
    at: Instant,
}

impl Sample {
    /// Half the round trip, plus the possible drift since.
    fn error(&self, now: Instant) -> Duration {
        let age = now.saturating_duration_since(self.at);
        self.round_trip / 2 + age / DRIFT
    }
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    nonce: u64,
    sent: Timestamp,
}

/// Quartz clocks are accurate to about 50 parts in a million, but a clock that is being
/// set right runs up to 500 faster or slower (`adjtimex(2)`): two of them drift apart by
/// less than this fraction.
const DRIFT: u32 = 1_000;

/// The first few are sent quickly, so that ages are known at once.
const QUICK_REQUESTS: u32 = 4;
const QUICK_PAUSE: Duration = Duration::from_millis(20);
const PAUSE: Duration = Duration::from_secs(1);

const MAX_SAMPLES: usize = 16;
const MAX_AGE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    /// One exchange with a peer `ahead` µs ahead, over a link that takes
    /// `there` and `back` µs.
    fn exchange(clock: &mut Clock, now: Instant, ahead: i64, there: u64, back: u64) {
        let wall = 1_000_000_000;
        let ours = |micros: u64| Timestamp::from_micros(micros);
        let theirs =
            |micros: u64| Timestamp::from_micros(micros.checked_add_signed(ahead).unwrap());
        let request = clock.poll(now, ours(wall), 7);
        assert_eq!(request, Some(ControlMessage::ClockRequest { nonce: 7 }));
        let (received, sent) = (wall + there, wall + there + 300);
        let done = ours(sent + back);
        clock.handle_reply(now, done, 7, (theirs(received), theirs(sent)));
    }

    #[track_caller]
    fn check(ahead: i64, there: u64, back: u64) {
        let now = Instant::now();
        let mut clock = Clock::new(now);
        exchange(&mut clock, now, ahead, there, back);
        let offset = clock.offset(now).unwrap();
        let wrong_by = Duration::from_micros(offset.micros.abs_diff(ahead));
        assert!(wrong_by <= offset.error, "{offset:?} for {ahead}");
        assert_eq!(offset.error, Duration::from_micros(there + back) / 2);
    }

    #[test]
    fn an_hour_with_a_clock_that_runs_500_ppm_fast_or_slow_ends_as_it_began() {
        for ppm in [500, -500] {
            let begun = Instant::now();
            let mut clock = Clock::new(begun);
            let mut random = fastrand::Rng::with_seed(1);
            for second in 0..3_600 {
                let now = begun + Duration::from_secs(second);
                let ahead = second as i64 * ppm;
                // A reply in ten is lost, and some are late.
                if second == 0 || random.f64() > 0.1 {
                    let late = random.u64(0..20_000);
                    exchange(&mut clock, now, ahead, 200 + late, 200);
                }
                let offset = clock.offset(now).unwrap();
                let wrong_by = Duration::from_micros(offset.micros.abs_diff(ahead));
                assert!(wrong_by <= offset.error, "second {second}: {wrong_by:?}");
                assert!(wrong_by < Duration::from_millis(12), "second {second}");
            }
        }
    }

    #[test]
    fn the_truth_is_within_half_the_round_trip() {
        for ahead in [0, 1, -1, 3_600_000_000, -900_000_000] {
            check(ahead, 100, 100);
            check(ahead, 10_000, 0);
            check(ahead, 0, 10_000);
        }
    }

    #[test]
    fn the_quickest_exchange_counts() {
        let now = Instant::now();
        let mut clock = Clock::new(now);
        exchange(&mut clock, now, 500, 9_000, 1_000);
        exchange(&mut clock, now + QUICK_PAUSE, 500, 40, 40);
        exchange(&mut clock, now + 2 * QUICK_PAUSE, 500, 2_000, 7_000);
        let offset = clock.offset(now + 2 * QUICK_PAUSE).unwrap();
        assert_eq!(offset.micros, 500);
        assert!(offset.error < Duration::from_micros(100));
    }

    #[test]
    fn the_error_grows_until_the_estimate_is_too_old() {
        let now = Instant::now();
        let mut clock = Clock::new(now);
        exchange(&mut clock, now, 0, 50, 50);
        let later = clock.offset(now + Duration::from_secs(10)).unwrap();
        assert_eq!(later.error, Duration::from_micros(50 + 10_000));
        assert_eq!(clock.offset(now + MAX_AGE + PAUSE), None);
    }

    #[test]
    fn only_the_reply_to_the_last_request_counts() {
        let now = Instant::now();
        let mut clock = Clock::new(now);
        let wall = Timestamp::from_micros(5);
        clock.handle_reply(now, wall, 0, (wall, wall));
        clock.poll(now, wall, 1).unwrap();
        clock.handle_reply(now, wall, 2, (wall, wall));
        assert_eq!(clock.offset(now), None);
        clock.handle_reply(now, wall, 1, (wall, wall));
        clock.handle_reply(now, Timestamp::from_micros(9), 1, (wall, wall));
        assert_eq!(clock.samples.len(), 1);
    }

    #[test]
    fn a_reply_that_cannot_be_true_is_passed_over() {
        let now = Instant::now();
        let mut clock = Clock::new(now);
        let at = Timestamp::from_micros;
        clock.poll(now, at(100), 1).unwrap();
        clock.handle_reply(now, at(200), 1, (at(0), at(u64::MAX / 2)));
        assert_eq!(clock.offset(now), None);
    }

    #[test]
    fn requests_come_quickly_and_then_every_second() {
        let start = Instant::now();
        let (mut clock, mut now) = (Clock::new(start), start);
        for _ in 0..10 {
            assert!(clock.poll(now, Timestamp::default(), 0).is_some());
            assert!(clock.poll(now, Timestamp::default(), 0).is_none());
            now = clock.deadline();
        }
        assert_eq!(now - start, 4 * QUICK_PAUSE + 6 * PAUSE);
    }

    #[test]
    fn age_is_by_the_peers_clock_and_never_negative() {
        let offset = |micros| Offset {
            micros,
            error: Duration::ZERO,
        };
        let (captured, now) = (Timestamp::from_micros(1_000), Timestamp::from_micros(1_500));
        assert_eq!(offset(0).age(captured, now).as_micros(), 500);
        assert_eq!(offset(100).age(captured, now).as_micros(), 600);
        assert_eq!(offset(-600).age(captured, now).as_micros(), 0);
        assert_eq!(offset(i64::MIN).age(captured, now).as_micros(), 0);
    }
}
