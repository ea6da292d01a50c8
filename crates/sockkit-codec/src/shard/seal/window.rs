//! Replay detection.

use super::Position;

/// Remembers the newest 4,096 positions of a stream. Rejects positions that
/// were seen, are further behind, or precede the beginning.
///
/// Check before a datagram is opened, and note it once it is authentic, so that
/// forged datagrams have no effect.
///
/// ```
/// # use sockkit_codec as sockkit;
/// use sockkit::shard::seal::{Position, ReplayWindow};
///
/// let mut window = ReplayWindow::starting_at(Position(10));
/// assert!(!window.is_new(Position(9)));
/// window.note(Position(12));
/// assert!(window.is_new(Position(11)) && !window.is_new(Position(12)));
/// ```
///
/// # Source
/// The ring of words, one larger than the window, follows RFC 6479.
#[derive(Clone)]
pub struct ReplayWindow {
    /// Lower positions were sent before this receiver started.
    first: u64,
    /// One above the highest position noted.
    next: u64,
    /// One bit for each of the newest positions, at its number modulo their
    /// count.
    noted: [u64; WORDS],
}

impl ReplayWindow {
    /// How far a position may be behind the newest, including it.
    pub const SIZE: u64 = 4_096;

    /// Accepts positions from `first` on.
    #[must_use]
    pub fn starting_at(first: Position) -> Self {
        Self {
            first: first.0,
            next: first.0,
            noted: [0; WORDS],
        }
    }

    /// Whether this position is new.
    #[must_use]
    pub fn is_new(&self, position: Position) -> bool {
        let (word, bit) = place(position.0);
        let is_noted = || self.noted.get(word).is_some_and(|noted| noted & bit != 0);
        match self.next.checked_sub(position.0) {
            // No position follows the last one, so no sender uses it.
            None | Some(0) => position.0 != u64::MAX,
            Some(behind) => position.0 >= self.first && behind <= Self::SIZE && !is_noted(),
        }
    }

    /// Notes the position: it is no longer new.
    pub fn note(&mut self, position: Position) {
        let position = position.0;
        if position >= self.next {
            // Words that begin at or above `next` hold positions that are now
            // too old.
            let fresh = self.next.div_ceil(WORD_BITS)..=position / WORD_BITS;
            for word in fresh.take(WORDS) {
                if let Some(noted) = self.noted.get_mut(index(word)) {
                    *noted = 0;
                }
            }
            self.next = position.saturating_add(1);
        }
        let (word, bit) = place(position);
        if let Some(noted) = self.noted.get_mut(word) {
            *noted |= bit;
        }
    }
}

impl std::fmt::Debug for ReplayWindow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplayWindow")
            .field("first", &self.first)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

/// The word and the bit of a position.
fn place(position: u64) -> (usize, u64) {
    (index(position / WORD_BITS), 1 << (position % WORD_BITS))
}

/// The index of a word.
fn index(word: u64) -> usize {
    usize::try_from(word % WORDS as u64).expect("less than the number of words")
}

const WORD_BITS: u64 = 64;

/// One more than the window needs, so that clearing the newest word erases no
/// position in the window.
const WORDS: usize = (ReplayWindow::SIZE / WORD_BITS) as usize + 1;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn take(window: &mut ReplayWindow, position: u64) -> bool {
        let is_new = window.is_new(Position(position));
        if is_new {
            window.note(Position(position));
        }
        is_new
    }

    #[test]
    fn nothing_is_taken_twice() {
        let mut window = ReplayWindow::starting_at(Position(0));
        for position in [0, 1, 5, 4, 63, 64, 65, 128, 4_000] {
            assert!(take(&mut window, position), "{position}");
            assert!(!take(&mut window, position), "{position} again");
        }
        assert!(take(&mut window, 2) && take(&mut window, 3_999));
    }

    #[test]
    fn the_window_ends_4096_behind() {
        for newest in [4_096, 4_100, 8_191, 8_192, 1 << 40] {
            let mut window = ReplayWindow::starting_at(Position(0));
            window.note(Position(newest));
            assert!(window.is_new(Position(newest - 4_095)), "{newest}");
            assert!(!window.is_new(Position(newest - 4_096)), "{newest}");
        }
    }

    #[test]
    fn what_was_sent_before_the_beginning_is_stale() {
        let mut window = ReplayWindow::starting_at(Position(1_000));
        assert!(!take(&mut window, 999));
        assert!(take(&mut window, 1_000));
        assert!(take(&mut window, 1_002) && take(&mut window, 1_001));
        assert!(!take(&mut window, 998));
    }

    #[test]
    fn the_last_position_is_never_taken() {
        let mut window = ReplayWindow::starting_at(Position(0));
        assert!(!take(&mut window, u64::MAX));
        assert!(take(&mut window, u64::MAX - 1) && !take(&mut window, u64::MAX - 1));
    }

    /// Against a set of all that was taken.
    #[test]
    fn it_agrees_with_a_plain_model() {
        let mut state = 0x1234_5678_9abc_def0_u64;
        let mut random = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        for first in [0, 63, 64, 1 << 23] {
            let mut window = ReplayWindow::starting_at(Position(first));
            let (mut taken, mut newest) = (BTreeSet::new(), first);
            for _ in 0..20_000 {
                let ahead = match random(3) {
                    0 => 1,
                    1 => 70,
                    _ => 5_000,
                };
                let position = (newest + random(ahead)).saturating_sub(random(5_000));
                let expected = position >= first
                    && (position > newest || newest - position < 4_096)
                    && !taken.contains(&position);
                assert_eq!(take(&mut window, position), expected, "{position}");
                if expected {
                    taken.insert(position);
                    newest = newest.max(position);
                }
            }
        }
    }
}
