//! Whether others on the link yield to loss.
//!
//! Pure.
//!
//! Version 1 of BBR, which much of the Internet sends with, keeps up to two round trips in flight
//! whatever that loses. A sender that yields to each full queue is left with a sixth of a link
//! beside it. Cubic, and this controller, have emptied a part of the queue after a loss, and it
//! takes them long to fill it again.

use std::time::{Duration, Instant};

/// What the rounds so far tell of the other senders.
#[derive(Clone, Debug, Default)]
pub(super) struct Others {
    /// Rounds in a row at whose ends the queue stood. Below zero: so many count for nothing.
    stood: i32,
    /// How often it was full in them, and the rounds since.
    full: u32,
    since_full: u32,
    /// Until when they are taken for senders that do not yield.
    until: Option<Instant>,
}

impl Others {
    /// Takes one round in: whether packets waited all along, whether the queue was full, and what
    /// is lost lately.
    pub(super) fn end_round(&mut self, now: Instant, stands: bool, is_full: bool, loss: f64) {
        self.stood += 1;
        self.since_full += 1;
        if !stands {
            self.stood = self.stood.min(0);
            self.full = 0;
        }
        if self.since_full > FORGOTTEN_AFTER {
            self.full = 0;
        }
        if is_full && self.since_full > APART {
            self.full += 1;
            self.since_full = 0;
        }
        if loss > MOST_LOSS {
            // Many senders that do not yield lose much. One of them must.
            *self = Self {
                stood: -CALM_ROUNDS,
                ..Self::default()
            };
        }
        match self.until {
            Some(until) if now > until => *self = Self::default(),
            None if self.full >= OFTEN && self.stood > STOOD_FOR => self.until = Some(now + FOR),
            _ => {}
        }
    }

    pub(super) fn do_not_yield(&self) -> bool {
        self.until.is_some()
    }
}

/// Loss in rounds that are nearer to each other is one full queue's.
const APART: u32 = 4;

/// A sender that yields leaves the queue room for longer.
const FORGOTTEN_AFTER: u32 = 50;

/// So often full, while it stood for so many rounds.
const OFTEN: u32 = 3;
const STOOD_FOR: i32 = 20;

/// For how long, before they are watched again.
const FOR: Duration = Duration::from_secs(5);

/// More than this is lost where several such senders meet, less beside one.
const MOST_LOSS: f64 = 0.2;
const CALM_ROUNDS: i32 = 50;

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND: Duration = Duration::from_millis(40);

    /// Some rounds in which packets wait, and of which every so many-th ends in a full queue.
    fn wait(others: &mut Others, begun: Instant, rounds: u32, full_every: u32, loss: f64) {
        for round in 1..=rounds {
            let is_full = round % full_every == 0;
            others.end_round(begun + ROUND * round, true, is_full, loss);
        }
    }

    #[test]
    fn a_queue_that_is_full_again_and_again_is_of_others_that_do_not_yield() {
        let (mut others, begun) = (Others::default(), Instant::now());
        wait(&mut others, begun, 17, 6, 0.02);
        assert!(!others.do_not_yield(), "two full queues may be chance");
        wait(&mut others, begun, 30, 6, 0.02);
        assert!(others.do_not_yield());
        let later = begun + ROUND * 30 + FOR + ROUND;
        others.end_round(later, true, false, 0.02);
        assert!(!others.do_not_yield(), "they may be gone");
    }

    #[test]
    fn cubic_yields() {
        let mut others = Others::default();
        wait(&mut others, Instant::now(), 1_000, 100, 0.01);
        assert!(!others.do_not_yield());
    }

    #[test]
    fn a_queue_that_was_short_between_is_counted_anew() {
        let (mut others, begun) = (Others::default(), Instant::now());
        for _ in 0..20 {
            wait(&mut others, begun, 17, 6, 0.02);
            others.end_round(begun, false, false, 0.02);
        }
        assert!(!others.do_not_yield());
    }

    #[test]
    fn where_much_is_lost_a_sender_yields() {
        let (mut others, begun) = (Others::default(), Instant::now());
        wait(&mut others, begun, 200, 6, 0.3);
        assert!(!others.do_not_yield());
    }
}
