//! Detects pictures that waited in a buffer while their reader was stopped, and
//! pictures with an implausible capture time.
//!
//! Pure: the caller passes `now` in.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Compares the transit time of each picture, by two clocks that need not
/// agree, with the shortest of the last ones.
///
/// A transit time that differs from all earlier ones is accepted when others
/// have agreed with it for half a second: then a clock was set. The earlier
/// times are kept beside it, so that forged ones do not make genuine pictures
/// late.
#[derive(Debug, Default)]
pub(super) struct StalenessFilter {
    baselines: Vec<Baseline>,
}

/// Result of checking a picture's capture time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Timeliness {
    Fresh,
    /// It was delayed, or the clock was set back.
    Waited,
    /// It is in the future, or the clock was set forward.
    Ahead,
}

/// Pictures whose transit times agree.
#[derive(Debug)]
struct Baseline {
    /// Transit times of the last ones.
    transits_micros: VecDeque<i64>,
    since: Instant,
    heard: Instant,
    /// Whether these are shown.
    is_proven: bool,
    /// Number of fresh pictures of other baselines since the last of this one.
    passed: usize,
}

impl StalenessFilter {
    /// Records a picture with this transit time.
    pub(super) fn judge(&mut self, now: Instant, transit_micros: i64) -> Timeliness {
        let is_first = self.baselines.is_empty();
        let place = self
            .place_of(transit_micros)
            .unwrap_or_else(|| self.begin(now, is_first));
        let Some(baseline) = self.baselines.get_mut(place) else {
            return Timeliness::Fresh;
        };
        baseline.note(now, transit_micros);
        if baseline.is_proven {
            self.pass_over_others();
            return Timeliness::Fresh;
        }
        match self.usual_micros() {
            Some(usual) if transit_micros < usual => Timeliness::Ahead,
            _ => Timeliness::Waited,
        }
    }

    /// A confirmed baseline that agrees with this time, otherwise any.
    fn place_of(&self, transit_micros: i64) -> Option<usize> {
        let agrees = |one: &Baseline| one.agrees_with(transit_micros);
        let proven = |one: &Baseline| one.is_proven && agrees(one);
        let place = self.baselines.iter().position(proven);
        place.or_else(|| self.baselines.iter().position(agrees))
    }

    fn begin(&mut self, now: Instant, is_proven: bool) -> usize {
        if self.baselines.len() == MAX_BASELINES {
            let places = self.baselines.iter().enumerate();
            let least = places.min_by_key(|(_, one)| (one.is_proven, one.heard));
            if let Some((place, _)) = least {
                self.baselines.remove(place);
            }
        }
        self.baselines.push(Baseline {
            transits_micros: VecDeque::new(),
            since: now,
            heard: now,
            is_proven,
            passed: 0,
        });
        self.baselines.len() - 1
    }

    /// Pictures that arrive rarely, between fresh ones, have waited each time:
    /// no clock was set.
    fn pass_over_others(&mut self) {
        self.baselines.retain_mut(|one| {
            one.passed += usize::from(!one.is_proven);
            one.passed <= MAX_PASSED
        });
    }

    /// The shortest transit time of the baseline last shown.
    fn usual_micros(&self) -> Option<i64> {
        let proven = self.baselines.iter().filter(|one| one.is_proven);
        proven.max_by_key(|one| one.heard)?.quickest_micros()
    }
}

impl Baseline {
    fn agrees_with(&self, transit_micros: i64) -> bool {
        let quickest = self.quickest_micros();
        quickest.is_some_and(|quickest| transit_micros.abs_diff(quickest) <= MAX_WAIT_MICROS)
    }

    fn note(&mut self, now: Instant, transit_micros: i64) {
        self.heard = now;
        self.passed = 0;
        self.is_proven |= now.saturating_duration_since(self.since) >= RESIGN_AFTER;
        if self.transits_micros.len() == MAX_TRANSITS {
            self.transits_micros.pop_front();
        }
        self.transits_micros.push_back(transit_micros);
    }

    fn quickest_micros(&self) -> Option<i64> {
        self.transits_micros.iter().min().copied()
    }
}

/// A picture that waited longer is not shown.
const MAX_WAIT_MICROS: u64 = 1_000_000;

/// A buffer is emptied quickly, however many pictures it holds. If transit
/// times agree for this long, a clock was set.
const RESIGN_AFTER: Duration = Duration::from_millis(500);

const MAX_TRANSITS: usize = 64;

/// An unconfirmed baseline is dropped after this many fresh pictures.
const MAX_PASSED: usize = 64;

const MAX_BASELINES: usize = 4;

#[cfg(test)]
mod tests {
    use super::{
        Timeliness::{Ahead, Fresh, Waited},
        *,
    };

    const FRAME: Duration = Duration::from_millis(40);

    #[test]
    fn what_waited_in_a_buffer_is_not_fresh() {
        let (mut filter, now) = (StalenessFilter::default(), Instant::now());
        let skew = -3_600_000_000;
        for jitter in [0, 900, 20_000, 1_000_000] {
            assert_eq!(filter.judge(now, skew + jitter), Fresh, "{jitter}");
        }
        assert_eq!(filter.judge(now, skew + 1_000_001), Waited);
        // However many there are, and each a little less old than the last.
        for picture in 0..1_000 {
            let transit = skew + 60_000_000 - picture * 40_000;
            assert_eq!(filter.judge(now, transit), Waited);
        }
        assert_eq!(filter.judge(now, skew + 100), Fresh);
    }

    #[test]
    fn a_quicker_one_is_the_new_measure_within_a_second() {
        let (mut filter, now) = (StalenessFilter::default(), Instant::now());
        assert_eq!(filter.judge(now, 0), Fresh);
        assert_eq!(filter.judge(now, -1_000_000), Fresh);
        assert_eq!(filter.judge(now, 1), Waited);
        assert_eq!(filter.judge(now, -2_000_001), Ahead);
    }

    #[test]
    fn a_clock_that_was_set_costs_half_a_second_of_pictures() {
        for set_by in [10_000_000, -10_000_000, i64::MAX, i64::MIN] {
            let (mut filter, start) = (StalenessFilter::default(), Instant::now());
            filter.judge(start, 0);
            let judged = (0..100).map(|picture| filter.judge(start + FRAME * picture, set_by));
            let shown = judged.filter(|one| *one == Fresh).count();
            assert_eq!(shown, 100 - 13, "{set_by}");
        }
    }

    #[test]
    fn forged_times_do_not_make_the_true_ones_late() {
        // The same each time, or another each time; once a picture or thrice.
        for (spread, each) in [(0, 1), (0, 3), (7_000_000_000, 1), (7_000_000_000, 3)] {
            let (mut filter, start) = (StalenessFilter::default(), Instant::now());
            for picture in 0..1_000 {
                let now = start + FRAME * picture;
                let honest = filter.judge(now, i64::from(picture % 7));
                assert_eq!(honest, Fresh, "{spread} {each}");
                for forged in 0..each {
                    let at = i64::from(picture * each + forged);
                    filter.judge(now, i64::MIN / 2 + at * spread);
                }
            }
        }
    }

    #[test]
    fn a_clock_that_was_set_is_believed_among_forged_times() {
        let (mut filter, start) = (StalenessFilter::default(), Instant::now());
        filter.judge(start, 0);
        let mut shown = 0;
        for picture in 0..50 {
            let now = start + FRAME * picture;
            shown += u32::from(filter.judge(now, 3_600_000_000) == Fresh);
            // The one that forges goes by the old clock.
            filter.judge(now, 0);
        }
        assert_eq!(shown, 50 - 13);
    }

    #[test]
    fn what_waits_now_and_then_sets_no_clock() {
        let (mut filter, start) = (StalenessFilter::default(), Instant::now());
        for picture in 0..1_000 {
            let now = start + FRAME * picture;
            assert_eq!(filter.judge(now, 0), Fresh);
            if picture % 65 == 64 {
                assert_eq!(filter.judge(now, 2_000_000), Waited, "{picture}");
            }
        }
    }

    #[test]
    fn memory_does_not_grow() {
        let (mut filter, now) = (StalenessFilter::default(), Instant::now());
        for picture in 0..1_000 {
            filter.judge(now, picture * 1_500_000);
            filter.judge(now, 0);
        }
        assert_eq!(filter.baselines.len(), MAX_BASELINES);
        assert_eq!(filter.baselines[0].transits_micros.len(), MAX_TRANSITS);
    }
}
