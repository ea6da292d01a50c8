//! When a member that takes too long is given up.

use std::time::{Duration, Instant};

/// What a member did since the end of the multicast, and how long it took.
#[derive(Debug)]
pub(super) struct Patience {
    began_at: Instant,
    active_at: Instant,
}

impl Patience {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            began_at: now,
            active_at: now,
        }
    }

    /// It asked for something, or got it.
    pub(super) fn on_progress(&mut self, now: Instant) {
        self.active_at = now;
    }

    /// Why to give up a member that has asked for `fetched_bytes`, if it is to be:
    /// it did nothing for `max_idle`, or takes far longer than what it asked for does.
    pub(super) fn exhausted(
        &self,
        now: Instant,
        max_idle: Duration,
        fetched_bytes: u64,
    ) -> Option<String> {
        if now.saturating_duration_since(self.active_at) > max_idle {
            let seconds = max_idle.as_secs();
            return Some(format!("it did nothing for {seconds} seconds"));
        }
        let fetching = Duration::from_secs(fetched_bytes / FETCHED_BYTES_A_SECOND);
        let limit = max_idle * 2 + fetching;
        (now.saturating_duration_since(self.began_at) > limit)
            .then(|| format!("it is not done after {} seconds", limit.as_secs()))
    }
}

/// That of a very slow connection.
const FETCHED_BYTES_A_SECOND: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_IDLE: Duration = Duration::from_secs(60);

    #[test]
    fn who_does_nothing_is_given_up() {
        let start = Instant::now();
        let mut patience = Patience::new(start);
        patience.on_progress(start + MAX_IDLE / 2);
        let exhausted = |now| patience.exhausted(now, MAX_IDLE, 1 << 40);
        assert_eq!(exhausted(start + MAX_IDLE * 3 / 2), None);
        let why = exhausted(start + MAX_IDLE * 2).unwrap();
        assert_eq!(why, "it did nothing for 60 seconds");
    }

    #[test]
    fn who_asks_for_a_shard_a_minute_is_given_up() {
        let start = Instant::now();
        let mut patience = Patience::new(start);
        let given_up = (1..).find(|fetches| {
            let now = start + Duration::from_secs(59) * *fetches;
            patience.on_progress(now);
            let fetched_bytes = 1_444 * u64::from(*fetches);
            patience.exhausted(now, MAX_IDLE, fetched_bytes).is_some()
        });
        assert_eq!(given_up, Some(3));
    }

    #[test]
    fn who_fetches_at_the_rate_of_a_slow_connection_is_not_given_up() {
        let start = Instant::now();
        let mut patience = Patience::new(start);
        for second in 0..10_000 {
            let now = start + Duration::from_secs(second);
            patience.on_progress(now);
            assert_eq!(patience.exhausted(now, MAX_IDLE, second * 10_000), None);
        }
    }
}
