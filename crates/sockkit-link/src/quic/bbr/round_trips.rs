//! The least round trip, and when to doubt it.
//!
//! Pure.
//!
//! A sender that comes to a full queue measures it as a part of the way: its least round trip has
//! the queue in it. It then has too much in flight, and what that loses looks like a link that
//! loses. But on such a link a round trip grows with what is sent, and behind a full queue it
//! does not. So a sender doubts its least round trip if it loses, and none was much longer.

use std::time::{Duration, Instant};

use super::delivery::Greatest;

/// The round trips of one path.
#[derive(Clone, Debug)]
pub(super) struct RoundTrips {
    least: Duration,
    /// When one was nearly as short.
    short_at: Instant,
    /// The least since little is in flight, while that is so on purpose.
    probed: Duration,
    few: Few,
    round: u64,
    longest: Greatest<Duration>,
    probes: u32,
}

/// The least round trip of each few packets in a row.
#[derive(Clone, Copy, Debug)]
struct Few {
    packets: u32,
    least: Duration,
    /// That of the few before.
    last: Duration,
}

impl RoundTrips {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            least: LONGEST,
            short_at: now,
            probed: Duration::MAX,
            few: Few::NEW,
            round: 0,
            longest: Greatest::default(),
            probes: 0,
        }
    }

    /// Takes one round trip in, and what is lost lately.
    pub(super) fn note(&mut self, now: Instant, rtt: Duration, loss: f64) {
        self.probed = self.probed.min(rtt);
        self.least = self.least.min(rtt);
        self.few.note(rtt);
        self.longest.note(self.round, self.few.last);
        let is_doubtful = loss > DOUBTFUL_LOSS && self.are_doubtful();
        if rtt <= self.a_little_longer(QUEUE_NOISE) && !is_doubtful {
            self.short_at = now;
        }
    }

    pub(super) fn end_round(&mut self) {
        self.round += 1;
    }

    pub(super) fn least(&self) -> Duration {
        self.least
    }

    /// The least and an eighth of it, or `noise`.
    pub(super) fn a_little_longer(&self, noise: Duration) -> Duration {
        self.least + (self.least / 8).max(noise)
    }

    /// The least and half of it, or noise: what waits for so long waits behind others.
    pub(super) fn far_longer(&self) -> Duration {
        self.least + (self.least / 2).max(QUEUE_NOISE)
    }

    /// Whether each of the last few packets waited.
    pub(super) fn have_queued(&self) -> bool {
        self.few.last > self.a_little_longer(QUEUE_NOISE)
    }

    /// Whether, in the last rounds, they have grown with what was sent.
    fn have_risen(&self) -> bool {
        let longest = self.longest.get().unwrap_or_default();
        longest > self.least.mul_f64(RISEN) + WAKE_NOISE
    }

    /// Whether the least may have a queue of others in it. What was looked for often has not.
    pub(super) fn are_doubtful(&self) -> bool {
        !self.have_risen() && self.probes < MOST_PROBES
    }

    /// How long the least is believed without another one as short.
    pub(super) fn believed_for(&self, loss: f64) -> Duration {
        if loss > HEAVY_LOSS {
            // What was looked for more often is doubted less.
            (DOUBTED_FOR * (1 << self.probes)).min(BELIEVED_FOR)
        } else {
            BELIEVED_FOR
        }
    }

    pub(super) fn short_at(&self) -> Instant {
        self.short_at
    }

    /// From here on little is in flight.
    pub(super) fn begin_probe(&mut self) {
        self.probed = Duration::MAX;
    }

    /// What was shorter once is forgotten: the path may have changed.
    pub(super) fn end_probe(&mut self, now: Instant) {
        self.probes = (self.probes + 1).min(MOST_PROBES);
        self.least = self.probed.min(LONGEST);
        self.short_at = now;
    }
}

impl Few {
    const NEW: Self = Self {
        packets: 0,
        least: Duration::MAX,
        last: Duration::ZERO,
    };

    fn note(&mut self, rtt: Duration) {
        self.packets += 1;
        self.least = self.least.min(rtt);
        if self.packets == FEW {
            *self = Self {
                last: self.least,
                ..Self::NEW
            };
        }
    }
}

/// As many packets as tell a queue from a program that was late (RFC 9406 takes 8).
const FEW: u32 = 8;

/// What waits for less waits for programs, not behind other packets.
const QUEUE_NOISE: Duration = Duration::from_millis(2);

/// What wakes a program late.
pub(super) const WAKE_NOISE: Duration = Duration::from_micros(200);

/// How many times as long as the least a round trip is once a cycle, where a sender has the link
/// for itself.
const RISEN: f64 = 1.2;

/// With less loss there is no doubt.
const DOUBTFUL_LOSS: f64 = 0.005;

/// More is what many senders lose in one queue, and few links: there is no time.
pub(super) const HEAVY_LOSS: f64 = 0.08;

const BELIEVED_FOR: Duration = Duration::from_secs(5);
const DOUBTED_FOR: Duration = Duration::from_secs(1);

/// After so many the doubted is believed for as long.
const MOST_PROBES: u32 = 3;

/// Taken for the round trip if none was measured.
const LONGEST: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    const WAY: Duration = Duration::from_millis(20);

    /// Ten packets a millisecond, for so long, whose round trips are so long.
    fn note(
        round_trips: &mut RoundTrips,
        now: &mut Instant,
        time: Duration,
        rtt: Duration,
        loss: f64,
    ) {
        let end = *now + time;
        while *now < end {
            round_trips.note(*now, rtt, loss);
            *now += Duration::from_micros(100);
        }
        round_trips.end_round();
    }

    fn is_believed(round_trips: &RoundTrips, now: Instant, loss: f64) -> bool {
        now - round_trips.short_at() <= round_trips.believed_for(loss)
    }

    #[test]
    fn a_sender_that_loses_and_never_waits_doubts() {
        let mut now = Instant::now();
        let mut round_trips = RoundTrips::new(now);
        note(&mut round_trips, &mut now, 3 * WAY, WAY, 0.0);
        assert!(is_believed(&round_trips, now, 0.0));
        note(&mut round_trips, &mut now, 60 * WAY, WAY, 0.1);
        assert!(!is_believed(&round_trips, now, 0.1));
        for _ in 0..MOST_PROBES {
            round_trips.begin_probe();
            note(&mut round_trips, &mut now, WAY, WAY, 0.1);
            round_trips.end_probe(now);
        }
        note(&mut round_trips, &mut now, 600 * WAY, WAY, 0.1);
        assert!(is_believed(&round_trips, now, 0.1), "it was looked for");
    }

    #[test]
    fn a_sender_that_loses_and_fills_the_link_does_not_doubt() {
        let mut now = Instant::now();
        let mut round_trips = RoundTrips::new(now);
        for _ in 0..100 {
            note(&mut round_trips, &mut now, 3 * WAY, WAY, 0.1);
            note(&mut round_trips, &mut now, WAY, WAY * 3 / 2, 0.1);
        }
        assert!(is_believed(&round_trips, now, 0.1));
    }

    #[test]
    fn a_probe_forgets_what_was_shorter() {
        let mut now = Instant::now();
        let mut round_trips = RoundTrips::new(now);
        note(&mut round_trips, &mut now, WAY, WAY, 0.0);
        round_trips.begin_probe();
        note(&mut round_trips, &mut now, WAY, 2 * WAY, 0.0);
        round_trips.end_probe(now);
        assert_eq!(round_trips.least(), 2 * WAY);
    }
}
