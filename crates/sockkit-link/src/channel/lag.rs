//! How slowly a peer may take messages.
//!
//! Pure: the caller passes `now` in, and does the waiting.
//!
//! A deadline for each write is no floor: a reader that takes a few bytes now
//! and then meets it for ever, and holds its place. So whole messages count:
//! each may take a tenth of the limit, and a peer that needs longer falls
//! behind. One that is quicker catches up, and one that has fallen behind by
//! more than the limit is given up.

use std::{
    io,
    time::{Duration, Instant},
};

/// How far one peer is behind, and how far it may be.
#[derive(Debug)]
pub struct LagLimit {
    limit: Duration,
    behind: Duration,
    /// What is on its way: since when, and how long it may take.
    under_way: Option<(Instant, Duration)>,
}

impl LagLimit {
    /// For a peer that may be behind by `limit`; [`Duration::MAX`] is no limit.
    pub fn new(limit: Duration) -> Self {
        Self {
            limit,
            behind: Duration::ZERO,
            under_way: None,
        }
    }

    /// A message of so many bytes is sent; one of megabytes may take longer.
    pub fn handle_message(&mut self, now: Instant, bytes: usize) {
        let transfer = Duration::from_micros(bytes as u64) / MEGABYTES_PER_SECOND;
        let allowance = (self.limit / MESSAGES_PER_LIMIT).saturating_add(transfer);
        self.under_way = Some((now, allowance));
    }

    /// Something short is sent. With it nobody catches up.
    pub fn handle_reply(&mut self, now: Instant) {
        self.under_way = Some((now, REPLY_WITHIN));
    }

    /// How long the peer may still take over it.
    pub fn left(&self, now: Instant) -> Duration {
        let Some((since, allowance)) = self.under_way else {
            return Duration::MAX;
        };
        self.limit
            .saturating_sub(self.behind)
            .saturating_add(allowance)
            .saturating_sub(now.saturating_duration_since(since))
    }

    /// The peer has taken it.
    ///
    /// # Errors
    /// If it is too far behind by now.
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

/// With a limit of ten seconds, a message a second is enough.
const MESSAGES_PER_LIMIT: u32 = 10;

/// Slower than this over a long message is falling behind.
const MEGABYTES_PER_SECOND: u32 = 1;

/// What it takes by itself, so that days of them are no falling behind.
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
