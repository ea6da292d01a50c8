//! Pauses between reconnects.
//!
//! Pure: the caller passes randomness in and does the waiting.

use std::time::Duration;

/// Pauses double up to half a second, each randomly shortened by up to a half,
/// so that many receivers do not reconnect at the same time.
///
/// Never longer, so that a restarted sender is found within a second; a SYN
/// costs a local network nothing.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    /// Returns the next pause.
    pub(super) fn pause(&mut self, random: u64) -> Duration {
        let longest = self.next;
        self.next = (longest * 2).min(LONGEST);
        let share = u32::try_from(random % 1_024).expect("below 1,024");
        longest / 2 + longest / 2 * share / 1_024
    }

    /// The connection was a good one: restarts with the shortest pause.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: SHORTEST }
    }
}

const SHORTEST: Duration = Duration::from_millis(40);
const LONGEST: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_half_a_second() {
        let mut backoff = Backoff::default();
        for longest in [40, 80, 160, 320, 500, 500] {
            let mut other = backoff.clone();
            let most = Duration::from_millis(longest);
            assert!(backoff.pause(u64::MAX) <= most);
            assert_eq!(other.pause(1_024), most / 2);
        }
        backoff.reset();
        assert!(backoff.pause(u64::MAX) < SHORTEST);
    }

    #[test]
    fn two_receivers_do_not_wait_alike() {
        let pause = |random| Backoff::default().pause(random);
        assert_ne!(pause(7), pause(700));
    }
}
