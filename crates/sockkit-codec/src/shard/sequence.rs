//! Which message number may follow which.
//!
//! # Source
//! RFC 3550 appendix A.1: a number far from the expected one is believed when
//! the one after it follows (`MAX_DROPOUT`, `bad_seq`).

/// The newest number of a stream, and the rule by which it moves.
///
/// A step forward of at most [`MAX_GAP`](Self::MAX_GAP) is a loss and is taken
/// at once. Any other number away from the window is taken for a forgery, or
/// for a sender that was restarted, until the number right after it comes too.
/// A single datagram under a number of its own thus never moves the stream.
#[derive(Clone, Debug)]
pub struct Sequence {
    newest: u64,
    window: u64,
    /// The numbers that would prove a jump, oldest first. Several, so that a
    /// forged number between two honest ones does not hide that they follow
    /// each other.
    awaited: [Option<u64>; MAX_JUMPS],
}

/// What a number is to its sequence.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// Ahead of the newest, which is now this one.
    Next {
        /// How many numbers lie between.
        skipped: u64,
    },
    /// In the window at or below the newest, which stays.
    Behind {
        /// How far below the newest.
        by: u64,
    },
    /// Away from the window, and the second in sequence there: the newest is
    /// now this one.
    Moved,
    /// Away from the window, and alone there: the newest stays.
    Doubtful,
}

impl Sequence {
    /// The widest step forward that is believed at once, as in RFC 3550 or
    /// nearly so: 40 seconds of pictures.
    pub const MAX_GAP: u64 = 1_000;

    /// A sequence whose newest number is `first`. The newest `window` numbers
    /// may come in any order.
    pub fn new(first: u64, window: u64) -> Self {
        Self {
            newest: first,
            window,
            awaited: [None; MAX_JUMPS],
        }
    }

    /// The newest number that is believed.
    pub fn newest(&self) -> u64 {
        self.newest
    }

    /// Whether `number` is in the window, and how far below the newest.
    pub fn behind(&self, number: u64) -> Option<u64> {
        let by = self.newest.checked_sub(number);
        by.filter(|&by| by < self.window)
    }

    /// Takes a number in.
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
