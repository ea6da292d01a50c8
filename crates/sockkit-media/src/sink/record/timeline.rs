//! The duration of each picture.

use super::Timing;
use crate::picture::Timestamp;

/// Assigns each picture a duration, which is known when the next one arrives.
#[derive(Debug)]
pub(super) enum Timeline {
    AsCaptured(Captured),
    Constant(Constant),
}

impl Timeline {
    pub(super) const fn new(timing: Timing) -> Self {
        match timing {
            Timing::AsCaptured => Self::AsCaptured(Captured {
                last: None,
                usual_micros: FIRST_GUESS_MICROS,
            }),
            Timing::Constant { rate_hz } => Self::Constant(Constant { rate_hz, begun: 0 }),
        }
    }

    /// Takes a capture time; returns the duration of the previous picture.
    pub(super) fn handle_picture(&mut self, captured: Timestamp) -> Option<u32> {
        match self {
            Self::AsCaptured(timeline) => timeline.handle_picture(captured),
            Self::Constant(timeline) => {
                timeline.begun += 1;
                // The first picture has none before it.
                let before = timeline.begun.checked_sub(2)?;
                Some(timeline.duration_of(before))
            }
        }
    }

    /// The duration of the last picture.
    pub(super) fn last_duration(&self) -> u32 {
        match self {
            Self::AsCaptured(timeline) => timeline.usual_micros,
            Self::Constant(timeline) => timeline.duration_of(timeline.begun.saturating_sub(1)),
        }
    }
}

/// Derives durations from capture times.
///
/// A clock that goes back or jumps, for example because a sender restarts,
/// leaves no gap and no overlap: the picture then lasts as long as the previous
/// one.
#[derive(Debug)]
pub(super) struct Captured {
    last: Option<Timestamp>,
    usual_micros: u32,
}

impl Captured {
    fn handle_picture(&mut self, captured: Timestamp) -> Option<u32> {
        let last = self.last.replace(captured)?;
        let micros = u32::try_from(captured.micros_since(last)).unwrap_or(0);
        if (1..=MAX_GAP_MICROS).contains(&micros) {
            self.usual_micros = micros;
            return Some(micros);
        }
        Some(self.usual_micros)
    }
}

/// Assigns the n-th picture the time from `n / rate` to `(n + 1) / rate`.
#[derive(Debug)]
pub(super) struct Constant {
    rate_hz: f64,
    /// Number of pictures so far.
    begun: u64,
}

impl Constant {
    /// Rounded from the start, so that errors do not accumulate over a day.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the rate is at least 0.001, so the difference fits; a cast saturates"
    )]
    fn duration_of(&self, number: u64) -> u32 {
        let begin = |number: u64| (number as f64 * 1_000_000.0 / self.rate_hz).round() as u64;
        (begin(number + 1) - begin(number)) as u32
    }
}

/// A single picture lasts as long as one of 25 a second.
const FIRST_GUESS_MICROS: u32 = 40_000;

/// A camera that is absent for longer counts as gone.
const MAX_GAP_MICROS: u32 = 10 * 60 * 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(timing: Timing, captured: &[u64], expected: &[u32]) {
        let mut timeline = Timeline::new(timing);
        let mut durations: Vec<u32> = captured
            .iter()
            .filter_map(|&micros| timeline.handle_picture(Timestamp::from_micros(micros)))
            .collect();
        durations.push(timeline.last_duration());
        assert_eq!(durations, expected);
    }

    #[test]
    fn gaps_are_kept_exactly() {
        check(
            Timing::AsCaptured,
            &[5, 45, 2_000_000, 2_000_001],
            &[40, 1_999_955, 1, 1],
        );
    }

    #[test]
    fn a_clock_that_goes_back_makes_no_hole() {
        check(
            Timing::AsCaptured,
            &[1_000, 1_030, 7, 37, 37],
            &[30, 30, 30, 30, 30],
        );
    }

    #[test]
    fn the_longest_gap_is_kept_and_a_longer_one_is_not() {
        let longest = u64::from(MAX_GAP_MICROS);
        let check = |second, micros| check(Timing::AsCaptured, &[1, second], &[micros, micros]);
        check(1 + longest, MAX_GAP_MICROS);
        check(2 + longest, FIRST_GUESS_MICROS);
        check(u64::MAX, FIRST_GUESS_MICROS);
    }

    #[test]
    fn a_constant_rate_does_not_look_at_clocks() {
        let at = |rate_hz| Timing::Constant { rate_hz };
        check(at(25.0), &[9, 1, 1], &[40_000; 3]);
        check(at(30.0), &[0; 3], &[33_333, 33_334, 33_333]);
        check(at(0.001), &[0], &[1_000_000_000]);
    }

    #[test]
    fn a_constant_rate_does_not_drift() {
        let mut timeline = Timeline::new(Timing::Constant { rate_hz: 30.0 });
        let pictures = 30 * 3_600;
        let sum: u64 = (0..=pictures)
            .filter_map(|_| timeline.handle_picture(Timestamp::default()))
            .map(u64::from)
            .sum();
        assert_eq!(sum, 3_600_000_000);
    }
}
