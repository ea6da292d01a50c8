//! When a member of a group is served by itself, and for how long. Pure.

use std::time::{Duration, Instant};

/// What a member's reports have led to.
#[derive(Debug, Default)]
pub(super) struct HandOver {
    reports: u64,
    /// Since when, and for how long it was last handed over.
    last: Option<(Instant, Duration)>,
}

impl HandOver {
    pub(super) fn on_report(&mut self) {
        self.reports += 1;
    }

    /// For how long to hand it over from now on, if it loses this share of the shards.
    ///
    /// Its first seconds, in which much begins, are not taken for its link's. Nor is a busy
    /// minute held against it for ever; but one that loses as much whenever it is back is away
    /// for longer each time.
    pub(super) fn decide(&mut self, now: Instant, loss: f64) -> Option<Duration> {
        let is_held = |(since, long)| now.saturating_duration_since(since) < long;
        if self.reports < A_FEW || loss <= MAX_LOSS || self.last.is_some_and(is_held) {
            return None;
        }
        let long = match self.last {
            Some((_, before)) => LONGEST.min(2 * before),
            None => FIRST,
        };
        self.last = Some((now, long));
        Some(long)
    }
}

/// As much as parity of half of the data makes up for, with room for chance.
const MAX_LOSS: f64 = 0.25;

const A_FEW: u64 = 6;
const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_loses_much_is_away_for_longer_each_time() {
        let (mut hand_over, start) = (HandOver::default(), Instant::now());
        let mut away = Vec::new();
        for second in 0..200 {
            hand_over.on_report();
            let now = start + Duration::from_secs(second);
            let long = hand_over.decide(now, 0.4);
            away.extend(long.map(|long| (second, long.as_secs())));
        }
        assert_eq!(away, [(5, 10), (15, 20), (35, 40), (75, 80), (155, 160)]);
    }

    #[test]
    fn little_loss_is_the_groups() {
        let mut hand_over = HandOver::default();
        (0..100).for_each(|_| hand_over.on_report());
        assert_eq!(hand_over.decide(Instant::now(), MAX_LOSS), None);
    }
}
