//! Selects a stream and orders its pictures: one sender at a time, consecutive
//! numbers, and no pictures that waited too long.
//!
//! Pure: the caller passes `now` in.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use sockkit_codec::shard::{Sequence, Step, StreamId};

use super::staleness::{StalenessFilter, Timeliness};

/// Selects one of the streams that arrive.
#[derive(Debug, Default)]
pub(super) struct SourceSelector {
    current: Option<Selected>,
}

/// The relevant properties of a received picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrived {
    pub(super) from: SocketAddr,
    pub(super) stream: StreamId,
    /// `None` on a connection, where messages are neither lost nor reordered.
    pub(super) number: Option<u64>,
    /// Transit time, by two clocks.
    pub(super) transit_micros: i64,
}

#[derive(Debug)]
struct Selected {
    from: SocketAddr,
    stream: StreamId,
    since: Instant,
    heard: Instant,
    numbers: Sequence,
    staleness: StalenessFilter,
}

/// What to do with a picture.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Decision {
    /// Show it. `lost` messages before it never arrived.
    Next { lost: u64, sender: SenderIs },
    /// It is the next, but has waited too long to be shown.
    Waited { lost: u64 },
    /// A newer one was already shown.
    Late,
    /// Its number or its capture time is not plausible, at least not yet.
    Doubtful,
    /// It belongs to a stream that is not selected.
    Foreign,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum SenderIs {
    First,
    Same,
    New,
}

impl SourceSelector {
    /// Decides about a picture.
    pub(super) fn admit(&mut self, now: Instant, arrived: &Arrived) -> Decision {
        let sender = match &mut self.current {
            Some(current) if current.is_of(arrived) => return current.admit(now, arrived),
            Some(current) if current.keeps_out(now, arrived.from.ip()) => {
                return Decision::Foreign;
            }
            Some(_) => SenderIs::New,
            None => SenderIs::First,
        };
        self.current = Some(Selected::new(now, arrived));
        Decision::Next { lost: 0, sender }
    }

    /// The selected sender.
    pub(super) fn sender(&self) -> Option<SocketAddr> {
        self.current.as_ref().map(|current| current.from)
    }
}

impl Selected {
    fn new(now: Instant, first: &Arrived) -> Self {
        let mut staleness = StalenessFilter::default();
        staleness.judge(now, first.transit_micros);
        Self {
            from: first.from,
            stream: first.stream,
            since: now,
            heard: now,
            numbers: Sequence::new(first.number.unwrap_or_default(), 1),
            staleness,
        }
    }

    fn is_of(&self, arrived: &Arrived) -> bool {
        (self.from, self.stream) == (arrived.from, arrived.stream)
    }

    /// Whether it is too early to select another stream, from `host`.
    fn keeps_out(&self, now: Instant, host: IpAddr) -> bool {
        let silent = now.saturating_duration_since(self.heard);
        let same_host = self.from.ip().to_canonical() == host.to_canonical();
        let earned = self.heard.saturating_duration_since(self.since);
        let patience = match same_host {
            true => SILENCE,
            false => earned.clamp(SILENCE, PREFERRED_FOR),
        };
        silent < patience
    }

    fn admit(&mut self, now: Instant, arrived: &Arrived) -> Decision {
        let timeliness = self.staleness.judge(now, arrived.transit_micros);
        let newest = self.numbers.newest();
        let Some(number) = arrived.number else {
            self.heard = now;
            return match timeliness {
                Timeliness::Fresh => Decision::Next {
                    lost: 0,
                    sender: SenderIs::Same,
                },
                Timeliness::Waited | Timeliness::Ahead => Decision::Waited { lost: 0 },
            };
        };
        if timeliness == Timeliness::Ahead {
            return Decision::Doubtful;
        }
        let lost = match self.numbers.step(number) {
            Step::Next { skipped } => skipped,
            // The number of messages lost at a jump is unknown.
            Step::Moved => 0,
            Step::Doubtful | Step::Behind { .. } => {
                let behind = newest.checked_sub(number);
                return match behind {
                    Some(0..=Sequence::MAX_GAP) => Decision::Late,
                    _ => Decision::Doubtful,
                };
            }
        };
        self.heard = now;
        match timeliness {
            Timeliness::Fresh => Decision::Next {
                lost,
                sender: SenderIs::Same,
            },
            _ => Decision::Waited { lost },
        }
    }
}

/// After this much silence another sender on the same host is accepted.
const SILENCE: Duration = Duration::from_millis(500);

/// After this much silence a sender on another host is accepted, provided that
/// the current one was shown for as long: a cable that is unplugged for a
/// moment must not let another host take over.
const PREFERRED_FOR: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::{
        Decision::{Doubtful, Foreign, Late},
        SenderIs::{First, New, Same},
        *,
    };

    const A: (u8, u64) = (1, 10);
    const B: (u8, u64) = (2, 20);

    fn arrived(who: (u8, u64), number: u64) -> Arrived {
        Arrived {
            from: SocketAddr::from(([10, 0, 0, who.0], 5006)),
            stream: StreamId(who.1),
            number: Some(number),
            transit_micros: 0,
        }
    }

    fn admit(selector: &mut SourceSelector, now: Instant, who: (u8, u64), number: u64) -> Decision {
        selector.admit(now, &arrived(who, number))
    }

    #[track_caller]
    fn check(numbers: &[u64], expected: &[Decision]) {
        let (mut selector, now) = (SourceSelector::default(), Instant::now());
        let admitted: Vec<_> = numbers
            .iter()
            .map(|&number| admit(&mut selector, now, A, number))
            .collect();
        assert_eq!(admitted, expected, "{numbers:?}");
    }

    const fn next(lost: u64, sender: SenderIs) -> Decision {
        Decision::Next { lost, sender }
    }

    /// A sender that has been followed for so long, and when it last sent.
    fn followed_for(lasts: Duration) -> (SourceSelector, Instant) {
        let (mut selector, start) = (SourceSelector::default(), Instant::now());
        admit(&mut selector, start, A, 5);
        admit(&mut selector, start + lasts, A, 6);
        (selector, start + lasts)
    }

    #[test]
    fn gaps_are_lost_and_old_ones_late() {
        check(
            &[7, 8, 11, 10, 11, 12],
            &[
                next(0, First),
                next(0, Same),
                next(2, Same),
                Late,
                Late,
                next(0, Same),
            ],
        );
        check(&[u64::MAX - 1], &[next(0, First)]);
    }

    #[test]
    fn a_forged_number_costs_one_picture_at_the_most() {
        for forged in [5_000, u64::MAX - 1, u64::MAX] {
            let expected = [
                next(0, First),
                Doubtful,
                next(0, Same),
                Doubtful,
                next(0, Same),
            ];
            check(&[7, forged, 8, forged, 9], &expected);
        }
        // A small jump counts as a loss; genuine pictures continue after it.
        let expected = [
            next(0, First),
            next(992, Same),
            Late,
            next(0, Same),
            next(0, Same),
        ];
        check(&[7, 1_000, 8, 9, 10], &expected);
    }

    #[test]
    fn the_sender_is_the_one_that_is_followed() {
        let mut selector = SourceSelector::default();
        assert_eq!(selector.sender(), None);
        let now = Instant::now();
        admit(&mut selector, now, A, 7);
        admit(&mut selector, now, B, 7);
        assert_eq!(selector.sender(), Some(arrived(A, 7).from));
    }

    #[test]
    fn both_numbers_of_a_jump_are_needed_and_the_way_back_is_as_short() {
        let far = 1 << 40;
        check(
            &[7, far, far + 1, 8, 9, 10],
            &[
                next(0, First),
                Doubtful,
                next(0, Same),
                Doubtful,
                next(0, Same),
                next(0, Same),
            ],
        );
    }

    #[test]
    fn a_sender_that_counts_again_is_followed_from_its_second_number() {
        for newest in [900, 5_000, u64::MAX] {
            let first = match newest {
                900 => Late,
                _ => Doubtful,
            };
            let expected = [next(0, First), first, next(0, Same), next(0, Same)];
            check(&[newest, 0, 1, 2], &expected);
        }
    }

    #[test]
    fn late_and_doubtful_part_at_the_widest_gap() {
        let newest = 10_000;
        let behind = newest - Sequence::MAX_GAP;
        check(&[newest, behind], &[next(0, First), Late]);
        check(&[newest, behind - 1], &[next(0, First), Doubtful]);
        check(&[newest, newest], &[next(0, First), Late]);
    }

    #[test]
    fn doubtful_numbers_do_not_keep_a_sender_alive() {
        let (mut selector, heard) = followed_for(Duration::ZERO);
        let soon = heard + SILENCE - Duration::from_nanos(1);
        assert_eq!(admit(&mut selector, soon, A, u64::MAX), Doubtful);
        assert_eq!(admit(&mut selector, soon, A, 6), Late);
        assert_eq!(admit(&mut selector, soon, (1, 11), 0), Foreign);
        let later = heard + SILENCE;
        assert_eq!(admit(&mut selector, later, (1, 11), 0), next(0, New));
    }

    #[test]
    fn a_stranger_waits_for_as_long_as_the_followed_was_there() {
        let second = Duration::from_secs(1);
        for (lasts, patience) in [
            (Duration::ZERO, SILENCE),
            (SILENCE / 2, SILENCE),
            (second, second),
            (PREFERRED_FOR, PREFERRED_FOR),
            (20 * second, PREFERRED_FOR),
        ] {
            let (mut selector, heard) = followed_for(lasts);
            let soon = heard + patience - Duration::from_nanos(1);
            assert_eq!(admit(&mut selector, soon, B, 0), Foreign, "{lasts:?}");
            let then = admit(&mut selector, heard + patience, B, 3);
            assert_eq!(then, next(0, New), "{lasts:?}");
            assert_eq!(admit(&mut selector, heard + patience, A, 7), Foreign);
        }
    }

    #[test]
    fn the_followed_host_wins_when_it_returns() {
        let (mut selector, heard) = followed_for(20 * PREFERRED_FOR);
        for millis in (600..4_900).step_by(50) {
            let now = heard + Duration::from_millis(millis);
            assert_eq!(admit(&mut selector, now, B, millis), Foreign);
        }
        let back = heard + Duration::from_millis(4_900);
        assert_eq!(admit(&mut selector, back, A, 7), next(0, Same));
    }

    #[test]
    fn a_restarted_sender_is_followed_from_its_first_number() {
        let (mut selector, heard) = followed_for(20 * PREFERRED_FOR);
        let soon = heard + SILENCE - Duration::from_nanos(1);
        assert_eq!(admit(&mut selector, soon, (1, 11), 0), Foreign);
        let later = heard + SILENCE;
        assert_eq!(admit(&mut selector, later, (1, 11), 0), next(0, New));
        assert_eq!(admit(&mut selector, later, (1, 11), 1), next(0, Same));
    }

    #[test]
    fn the_same_stream_from_another_address_is_another() {
        let (mut selector, heard) = followed_for(Duration::ZERO);
        assert_eq!(admit(&mut selector, heard, (2, A.1), 7), Foreign);
        let mut port = arrived(A, 7);
        port.from.set_port(9);
        assert_eq!(selector.admit(heard, &port), Foreign);
        let mut mapped = arrived(A, 0);
        mapped.from = "[::ffff:10.0.0.1]:9".parse().unwrap();
        assert_eq!(selector.admit(heard + SILENCE, &mapped), next(0, New));
    }

    #[test]
    fn two_senders_in_turn_do_not_alternate() {
        let (mut selector, start) = (SourceSelector::default(), Instant::now());
        for number in 0..100 {
            let now = start + Duration::from_millis(40) * number;
            let sender = if number == 0 { First } else { Same };
            let number = number.into();
            assert_eq!(admit(&mut selector, now, A, number), next(0, sender));
            assert_eq!(admit(&mut selector, now, B, number), Foreign);
        }
    }

    #[test]
    fn a_capture_time_ahead_moves_nothing() {
        let (mut selector, heard) = followed_for(Duration::ZERO);
        let forged = Arrived {
            transit_micros: -(1 << 61),
            ..arrived(A, 206)
        };
        for number in 7..100 {
            assert_eq!(selector.admit(heard, &forged), Doubtful);
            assert_eq!(admit(&mut selector, heard, A, number), next(0, Same));
        }
    }

    #[test]
    fn what_waited_is_counted_in_its_turn() {
        let (mut selector, heard) = followed_for(Duration::ZERO);
        let waited = Arrived {
            transit_micros: 1_000_001,
            ..arrived(A, 8)
        };
        assert_eq!(selector.admit(heard, &waited), Decision::Waited { lost: 1 });
        assert_eq!(admit(&mut selector, heard, A, 9), next(0, Same));
    }
}
