//! Decides which message number may follow which.
//!
//! # Source
//! RFC 3550 appendix A.1: a number far from the expected one is accepted when
//! its successor follows (`MAX_DROPOUT`, `bad_seq`).

/// The newest number of a stream, and the rule by which it advances.
///
/// A step forward of at most [`MAX_GAP`](Self::MAX_GAP) is a loss and is
/// accepted at once. Any other number outside the window is treated as a
/// forgery, or as a restarted sender, until its successor arrives, too. A
/// single datagram with a number of its own therefore never moves the stream.
#[derive(Clone, Debug)]
pub struct Sequence {
    newest: u64,
    window: u64,
    /// The numbers that would confirm a jump, oldest first. Several are kept,
    /// so that a forged number between two genuine ones does not hide that they
    /// are consecutive.
    awaited: [Option<u64>; MAX_JUMPS],
}

/// How a number relates to its sequence.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// It is ahead of the newest, and is the newest now.
    Next {
        /// How many numbers were skipped.
        skipped: u64,
    },
    /// It is in the window at or below the newest, which is unchanged.
    Behind {
        /// How far below the newest.
        by: u64,
    },
    /// It is outside the window, and the second of two consecutive numbers
    /// there: it is the newest now.
    Moved,
    /// It is outside the window, and the first one there: the newest is
    /// unchanged.
    Doubtful,
}

impl Sequence {
    /// The largest step forward that is accepted at once, similar to RFC 3550:
    /// 40 seconds of pictures.
    pub const MAX_GAP: u64 = 1_000;

    /// Starts a sequence with `first`. The newest `window` numbers may arrive
    /// in any order.
    pub fn new(first: u64, window: u64) -> Self {
        Self {
            newest: first,
            window,
            awaited: [None; MAX_JUMPS],
        }
    }

    /// The newest accepted number.
    pub fn newest(&self) -> u64 {
        self.newest
    }

    /// Returns how far `number` is below the newest, if it is in the window.
    pub fn behind(&self, number: u64) -> Option<u64> {
        let by = self.newest.checked_sub(number);
        by.filter(|&by| by < self.window)
    }

    /// Processes a number.
    pub fn step(&mut self, number: u64) -> Step {
        if let Some(by) = self.behind(number) {
            return Step::Behind { by };
        }
        let step = match number.checked_sub(self.newest) {
            Some(ahead @ 1..=Self::MAX_GAP) => Step::Next { skipped: ahead - 1 },
            _ if self.awaited.contains(&Some(number)) => Step::Moved,
            _ => {
                self.awaited.rotate_left(1);
                if let Some(last) = self.awaited.last_mut() {
                    *last = number.checked_add(1);
                }
                return Step::Doubtful;
            }
        };
        self.newest = number;
        step
    }
}

const MAX_JUMPS: usize = 4;

#[cfg(test)]
mod tests {
    use super::{
        Step::{Behind, Doubtful, Moved, Next},
        *,
    };

    #[track_caller]
    fn check(first: u64, window: u64, numbers: &[u64], expected: &[Step]) {
        let mut sequence = Sequence::new(first, window);
        let steps: Vec<_> = numbers.iter().map(|&n| sequence.step(n)).collect();
        assert_eq!(steps, expected, "{numbers:?}");
        let moves = |(_, step): &(_, &Step)| matches!(step, Next { .. } | Moved);
        let moved = numbers.iter().zip(expected).rfind(moves);
        let newest = moved.map_or(first, |(&number, _)| number);
        assert_eq!(sequence.newest(), newest, "{numbers:?}");
    }

    #[test]
    fn a_gap_is_believed_up_to_the_limit() {
        let gap = Sequence::MAX_GAP;
        check(5, 0, &[6], &[Next { skipped: 0 }]);
        check(5, 0, &[5 + gap], &[Next { skipped: gap - 1 }]);
        check(5, 0, &[6 + gap], &[Doubtful]);
        check(0, 0, &[u64::MAX], &[Doubtful]);
    }

    #[test]
    fn a_jump_is_believed_at_the_second_in_sequence() {
        let next = Next { skipped: 0 };
        check(5, 0, &[9_000, 9_001, 9_002], &[Doubtful, Moved, next]);
        check(9_000, 0, &[0, 1, 2], &[Doubtful, Moved, next]);
        check(5, 0, &[9_000, 9_002, 6], &[Doubtful, Doubtful, next]);
        check(5, 0, &[9_000, 9_000, 8_999], &[Doubtful; 3]);
    }

    #[test]
    fn nothing_follows_the_last_number_there_is() {
        check(
            5,
            0,
            &[u64::MAX, 0, 6],
            &[Doubtful, Doubtful, Next { skipped: 0 }],
        );
        check(
            u64::MAX - 1,
            0,
            &[u64::MAX, 0, 1],
            &[Next { skipped: 0 }, Doubtful, Moved],
        );
    }

    #[test]
    fn the_window_takes_any_order_and_ends_where_it_says() {
        check(
            100,
            10,
            &[100, 91, 90],
            &[Behind { by: 0 }, Behind { by: 9 }, Doubtful],
        );
        check(100, 0, &[100], &[Doubtful]);
        check(3, 10, &[0], &[Behind { by: 3 }]);
    }

    #[test]
    fn forged_numbers_in_between_do_not_hide_a_sequence() {
        let mut sequence = Sequence::new(5, 0);
        assert_eq!(sequence.step(100_000), Doubtful);
        for forged in 1..4 {
            assert_eq!(sequence.step(forged << 40), Doubtful);
        }
        assert_eq!(sequence.clone().step(100_001), Moved);
        assert_eq!(sequence.step(4 << 40), Doubtful);
        assert_eq!(sequence.step(100_001), Doubtful);
    }
}
