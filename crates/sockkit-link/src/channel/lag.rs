//! Bounds how slowly a peer may take messages.
//!
//! Pure: the caller passes `now` in, and does the waiting.
//!
//! A timeout for each write is not enough: a reader that takes a few bytes now
//! and then never exceeds it. Whole messages count instead. Each may take a
//! tenth of the limit; a slower peer falls behind, a faster one catches up, and
//! a peer that is further behind than the limit is disconnected.

use std::{
    io,
    time::{Duration, Instant},
};

/// How far a peer is behind, and how far it may be.
#[derive(Debug)]
pub struct LagLimit {
    limit: Duration,
    behind: Duration,
    /// The message in progress: when it began, and how long it may take.
    under_way: Option<(Instant, Duration)>,
}

impl LagLimit {
    /// For a peer that may be behind by `limit`; [`Duration::MAX`] means no
    /// limit.
    pub fn new(limit: Duration) -> Self {
        Self {
            limit,
            behind: Duration::ZERO,
            under_way: None,
        }
    }

    /// A message of this size is being sent; messages of megabytes may take
    /// longer.
    pub fn handle_message(&mut self, now: Instant, bytes: usize) {
        let transfer = Duration::from_micros(bytes as u64) / MEGABYTES_PER_SECOND;
        let allowance = (self.limit / MESSAGES_PER_LIMIT).saturating_add(transfer);
        self.under_way = Some((now, allowance));
    }

    /// A short message is being sent. It does not help the peer to catch up.
    pub fn handle_reply(&mut self, now: Instant) {
        self.under_way = Some((now, REPLY_WITHIN));
    }

    /// How long the peer may still take for the message in progress.
    pub fn left(&self, now: Instant) -> Duration {
        let Some((since, allowance)) = self.under_way else {
            return Duration::MAX;
        };
        self.limit
            .saturating_sub(self.behind)
            .saturating_add(allowance)
            .saturating_sub(now.saturating_duration_since(since))
    }

    /// The peer has taken the message.
    ///
    /// # Errors
    /// If it is now too far behind.
    pub fn handle_taken(&mut self, now: Instant) -> io::Result<()> {
        let Some((since, allowance)) = self.under_way.take() else {
            return Ok(());
        };
        let took = now.saturating_duration_since(since);
        self.behind = self.behind.saturating_add(took).saturating_sub(allowance);
        if self.behind > self.limit {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }
}

/// With a limit of ten seconds, one message a second is fast enough.
const MESSAGES_PER_LIMIT: u32 = 10;

/// A long message that is slower than this makes the peer fall behind.
const MEGABYTES_PER_SECOND: u32 = 1;

/// The time that a reply takes anyway, so that replies alone never add up.
const REPLY_WITHIN: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// How many messages of 14 KB a peer gets that needs `each` for one.
    fn taken(limit: Duration, each: Duration) -> usize {
        let (mut lag, mut now) = (LagLimit::new(limit), Instant::now());
        (0..1_000)
            .take_while(|_| {
                lag.handle_message(now, 14_000);
                let left = lag.left(now);
                now += each.min(left);
                each < left && lag.handle_taken(now).is_ok()
            })
            .count()
    }

    #[test]
    fn a_message_a_second_is_enough_for_ever() {
        assert_eq!(taken(10 * SECOND, SECOND), 1_000);
    }

    #[test]
    fn slower_than_that_is_for_a_while_only() {
        // 7 KB a second, and 1.2.
        assert!((9..=11).contains(&taken(10 * SECOND, 2 * SECOND)));
        assert!(taken(10 * SECOND, 12 * SECOND) <= 1);
    }

    #[test]
    fn one_long_pause_is_made_up_for() {
        let (mut lag, mut now) = (LagLimit::new(10 * SECOND), Instant::now());
        for pause in [9 * SECOND, SECOND / 10, 9 * SECOND] {
            for took in [pause].into_iter().chain([SECOND / 10; 10]) {
                lag.handle_message(now, 0);
                now += took;
                lag.handle_taken(now).unwrap();
            }
        }
    }

    #[test]
    fn what_is_left_of_one_message_is_bounded_however_it_trickles() {
        let (mut lag, start) = (LagLimit::new(10 * SECOND), Instant::now());
        lag.handle_message(start, 0);
        assert_eq!(lag.left(start), 11 * SECOND);
        assert_eq!(lag.left(start + 4 * SECOND), 7 * SECOND);
        assert_eq!(lag.left(start + 99 * SECOND), Duration::ZERO);
        assert!(lag.handle_taken(start + 12 * SECOND).is_err());
    }

    #[test]
    fn a_long_message_may_take_longer() {
        let (mut lag, start) = (LagLimit::new(10 * SECOND), Instant::now());
        lag.handle_message(start, 64_000_000);
        assert_eq!(lag.left(start), 75 * SECOND);
    }

    #[test]
    fn replies_are_no_way_to_catch_up() {
        let (mut lag, mut now) = (LagLimit::new(10 * SECOND), Instant::now());
        lag.handle_message(now, 0);
        now += 10 * SECOND;
        lag.handle_taken(now).unwrap();
        for _ in 0..100 {
            lag.handle_reply(now);
            lag.handle_taken(now).unwrap();
        }
        lag.handle_message(now, 0);
        assert!(lag.left(now) < 3 * SECOND);
    }

    #[test]
    fn without_a_limit_nothing_is_too_slow() {
        let (mut lag, start) = (LagLimit::new(Duration::MAX), Instant::now());
        lag.handle_message(start, 0);
        assert_eq!(lag.left(start), Duration::MAX);
        let years = start + Duration::from_secs(1 << 30);
        lag.handle_taken(years).unwrap();
    }
}
