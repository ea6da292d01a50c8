//! How slowly a viewer may take pictures.
//!
//! Pure: the caller passes `now` in, and does the waiting.
//!
//! A deadline for each write is no floor: a reader that takes a few bytes now
//! and then meets it for ever, and holds its place. So whole pictures count:
//! each may take a tenth of the limit, and a viewer that needs longer falls
//! behind. One that is quicker catches up, and one that has fallen behind by
//! more than the limit is given up.

use std::{
    io,
    time::{Duration, Instant},
};

/// What one viewer may still be behind by.
#[derive(Debug)]
pub(crate) struct Patience {
    limit: Duration,
    behind: Duration,
    /// What is on its way: since when, and how long it may take.
    under_way: Option<(Instant, Duration)>,
}

impl Patience {
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            limit,
            behind: Duration::ZERO,
            under_way: None,
        }
    }

    /// A picture of so many bytes is sent; one of megabytes may take longer.
    pub(crate) fn handle_picture(&mut self, now: Instant, bytes: usize) {
        let transfer = Duration::from_micros(bytes as u64) / MEGABYTES_PER_SECOND;
        let allowance = (self.limit / PICTURES_PER_LIMIT).saturating_add(transfer);
        self.under_way = Some((now, allowance));
    }

    /// Something short is sent. With it nobody catches up.
    pub(crate) fn handle_reply(&mut self, now: Instant) {
        self.under_way = Some((now, REPLY_WITHIN));
    }

    /// How long the viewer may still take over it.
    pub(crate) fn left(&self, now: Instant) -> Duration {
        let Some((since, allowance)) = self.under_way else {
            return Duration::MAX;
        };
        self.limit
            .saturating_sub(self.behind)
            .saturating_add(allowance)
            .saturating_sub(now.saturating_duration_since(since))
    }

    /// The viewer has taken it.
    ///
    /// # Errors
    /// If it is too far behind by now.
    pub(crate) fn handle_taken(&mut self, now: Instant) -> io::Result<()> {
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

/// With a limit of ten seconds, a picture a second is enough.
const PICTURES_PER_LIMIT: u32 = 10;

/// Slower than this over a long picture is falling behind.
const MEGABYTES_PER_SECOND: u32 = 1;

/// What it takes by itself, so that days of them are no falling behind.
const REPLY_WITHIN: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// How many pictures of 14 KB a viewer gets that needs `each` for one.
    fn taken(limit: Duration, each: Duration) -> usize {
        let (mut patience, mut now) = (Patience::new(limit), Instant::now());
        (0..1_000)
            .take_while(|_| {
                patience.handle_picture(now, 14_000);
                let left = patience.left(now);
                now += each.min(left);
                each < left && patience.handle_taken(now).is_ok()
            })
            .count()
    }

    #[test]
    fn a_picture_a_second_is_enough_for_ever() {
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
        let (mut patience, mut now) = (Patience::new(10 * SECOND), Instant::now());
        for pause in [9 * SECOND, SECOND / 10, 9 * SECOND] {
            for took in [pause].into_iter().chain([SECOND / 10; 10]) {
                patience.handle_picture(now, 0);
                now += took;
                patience.handle_taken(now).unwrap();
            }
        }
    }

    #[test]
    fn what_is_left_of_one_picture_is_bounded_however_it_trickles() {
        let (mut patience, start) = (Patience::new(10 * SECOND), Instant::now());
        patience.handle_picture(start, 0);
        assert_eq!(patience.left(start), 11 * SECOND);
        assert_eq!(patience.left(start + 4 * SECOND), 7 * SECOND);
        assert_eq!(patience.left(start + 99 * SECOND), Duration::ZERO);
        assert!(patience.handle_taken(start + 12 * SECOND).is_err());
    }

    #[test]
    fn a_long_picture_may_take_longer() {
        let (mut patience, start) = (Patience::new(10 * SECOND), Instant::now());
        patience.handle_picture(start, 64_000_000);
        assert_eq!(patience.left(start), 75 * SECOND);
    }

    #[test]
    fn replies_are_no_way_to_catch_up() {
        let (mut patience, mut now) = (Patience::new(10 * SECOND), Instant::now());
        patience.handle_picture(now, 0);
        now += 10 * SECOND;
        patience.handle_taken(now).unwrap();
        for _ in 0..100 {
            patience.handle_reply(now);
            patience.handle_taken(now).unwrap();
        }
        patience.handle_picture(now, 0);
        assert!(patience.left(now) < 3 * SECOND);
    }

    #[test]
    fn without_a_limit_nothing_is_too_slow() {
        let (mut patience, start) = (Patience::new(Duration::MAX), Instant::now());
        patience.handle_picture(start, 0);
        assert_eq!(patience.left(start), Duration::MAX);
        let years = start + Duration::from_secs(1 << 30);
        patience.handle_taken(years).unwrap();
    }
}
