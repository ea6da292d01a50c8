//! Which stream to show, and in which order: one sender at a time, numbers
//! that only grow, and nothing that waited too long on the way.
//!
//! Pure: the caller passes `now` in.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

use sockkit_codec::shard::StreamId;

/// Follows one stream of those that arrive.
#[derive(Debug, Default)]
pub(super) struct Follower {
    current: Option<Followed>,
}

#[derive(Debug)]
struct Followed {
    from: SocketAddr,
    stream: StreamId,
    heard: Instant,
    last_number: u64,
}

/// What to do with a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Admission {
    /// Show it. `lost` messages between the last one and this never came.
    Next { lost: u64, sender: SenderIs },
    /// A newer one was shown already.
    Late,
    /// Another stream is on.
    Foreign,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum SenderIs {
    First,
    Same,
    New,
}

impl Follower {
    /// Decides about message `number` of a stream.
    pub(super) fn admit(
        &mut self,
        now: Instant,
        from: SocketAddr,
        stream: StreamId,
        number: u64,
    ) -> Admission {
        let next = |lost, sender| Admission::Next { lost, sender };
        let sender = match &mut self.current {
            Some(current) if (current.from, current.stream) == (from, stream) => {
                current.heard = now;
                if number <= current.last_number {
                    return Admission::Late;
                }
                let lost = number - current.last_number - 1;
                current.last_number = number;
                return next(lost, SenderIs::Same);
            }
            Some(current) if now.saturating_duration_since(current.heard) < SILENCE => {
                return Admission::Foreign;
            }
            Some(_) => SenderIs::New,
            None => SenderIs::First,
        };
        self.current = Some(Followed {
            from,
            stream,
            heard: now,
            last_number: number,
        });
        next(0, sender)
    }

    /// Whom the pictures come from.
    pub(super) fn sender(&self) -> Option<SocketAddr> {
        self.current.as_ref().map(|current| current.from)
    }
}

/// Finds pictures that waited in a buffer while their reader was stopped.
///
/// It compares how long each one was on the way, by two clocks that need not
/// agree, with the quickest of the last ones.
#[derive(Debug, Default)]
pub(super) struct Freshness {
    /// Of the last fresh ones.
    transits_micros: VecDeque<i64>,
    /// Since when none is fresh.
    stale_since: Option<Instant>,
}

impl Freshness {
    /// Takes note of a picture that was on the way for so long.
    pub(super) fn is_fresh(&mut self, now: Instant, transit_micros: i64) -> bool {
        let quickest = self.transits_micros.iter().min().copied();
        let waited = quickest.map_or(0, |quickest| transit_micros.saturating_sub(quickest));
        if waited > MAX_WAIT_MICROS {
            let since = *self.stale_since.get_or_insert(now);
            if now.saturating_duration_since(since) < RESIGN_AFTER {
                return false;
            }
            self.transits_micros.clear();
        }
        self.stale_since = None;
        if self.transits_micros.len() == MAX_TRANSITS {
            self.transits_micros.pop_front();
        }
        self.transits_micros.push_back(transit_micros);
        true
    }

    /// Forgets, for another sender's clock.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// A sender this long silent has made place for another.
const SILENCE: Duration = Duration::from_millis(500);

/// A picture that waited longer is not shown.
const MAX_WAIT_MICROS: i64 = 1_000_000;

/// A buffer is emptied in a moment, however many pictures wait there. If all
/// were stale for so long, a clock was set.
const RESIGN_AFTER: Duration = Duration::from_secs(2);

const MAX_TRANSITS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const A: (u8, u64) = (1, 10);
    const B: (u8, u64) = (2, 20);

    fn admit(follower: &mut Follower, now: Instant, who: (u8, u64), number: u64) -> Admission {
        let from = SocketAddr::from(([10, 0, 0, who.0], 5006));
        follower.admit(now, from, StreamId(who.1), number)
    }

    #[track_caller]
    fn check(numbers: &[u64], expected: &[Admission]) {
        let (mut follower, now) = (Follower::default(), Instant::now());
        let admitted: Vec<_> = numbers
            .iter()
            .map(|&number| admit(&mut follower, now, A, number))
            .collect();
        assert_eq!(admitted, expected);
    }

    const fn next(lost: u64, sender: SenderIs) -> Admission {
        Admission::Next { lost, sender }
    }

    #[test]
    fn gaps_are_lost_and_old_ones_late() {
        use SenderIs::{First, Same};
        check(
            &[7, 8, 11, 10, 11, 12],
            &[
                next(0, First),
                next(0, Same),
                next(2, Same),
                Admission::Late,
                Admission::Late,
                next(0, Same),
            ],
        );
        check(&[u64::MAX - 1], &[next(0, First)]);
    }

    #[test]
    fn a_second_sender_waits_until_the_first_is_silent() {
        let (mut follower, start) = (Follower::default(), Instant::now());
        assert_eq!(admit(&mut follower, start, A, 5), next(0, SenderIs::First));
        let soon = start + SILENCE - Duration::from_nanos(1);
        assert_eq!(admit(&mut follower, soon, B, 0), Admission::Foreign);
        assert_eq!(
            admit(&mut follower, start + SILENCE, B, 3),
            next(0, SenderIs::New)
        );
        assert_eq!(
            admit(&mut follower, start + SILENCE, A, 6),
            Admission::Foreign
        );
    }

    #[test]
    fn a_restarted_sender_is_followed_from_its_first_number() {
        let (mut follower, start) = (Follower::default(), Instant::now());
        admit(&mut follower, start, A, 1_000);
        let later = start + SILENCE;
        assert_eq!(
            admit(&mut follower, later, (1, 11), 0),
            next(0, SenderIs::New)
        );
        assert_eq!(
            admit(&mut follower, later, (1, 11), 1),
            next(0, SenderIs::Same)
        );
    }

    #[test]
    fn what_waited_in_a_buffer_is_not_fresh() {
        let (mut freshness, now) = (Freshness::default(), Instant::now());
        let skew = -3_600_000_000;
        for jitter in [0, 900, 20_000, 1_000_000] {
            assert!(freshness.is_fresh(now, skew + jitter), "{jitter}");
        }
        assert!(!freshness.is_fresh(now, skew + 1_000_001));
        // However many there are, and each a little less old than the last.
        for picture in 0..1_000 {
            assert!(!freshness.is_fresh(now, skew + 60_000_000 - picture * 40_000));
        }
        assert!(freshness.is_fresh(now, skew + 100));
    }

    #[test]
    fn a_clock_that_was_set_costs_two_seconds_of_pictures() {
        let (mut freshness, start) = (Freshness::default(), Instant::now());
        freshness.is_fresh(start, 0);
        let shown = (0..100)
            .filter(|&picture| {
                let now = start + Duration::from_millis(40) * picture;
                freshness.is_fresh(now, 10_000_000)
            })
            .count();
        assert_eq!(shown, 100 - 2 * 25);
    }
}
