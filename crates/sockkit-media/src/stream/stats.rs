//! Statistics of a stream: counters, and rate and age over the last seconds.
//!
//! [`Meter`] is pure: the caller passes `now` in. [`StatsHandle`] shares one
//! between the receiving task and its readers.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use sockkit_codec::shard::ShardError;
use sockkit_link::channel::{OpenError, RecvError};

use crate::picture::{Picture, Timestamp};

/// Statistics of a stream.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Pictures received completely and published.
    pub received: u64,
    /// Pictures sent that never arrived completely.
    pub lost: u64,
    /// Pictures received completely and dropped: older than one already shown,
    /// more than a second in a buffer, or with an implausible message number or
    /// capture time.
    pub late: u64,
    /// Pictures skipped by the sender because it, or the link, was too slow.
    pub skipped: u64,
    /// Messages that were not pictures: malformed, or of an unknown version.
    pub refused: u64,
    /// Datagrams ignored because they were not sent to the configured group, or
    /// not by the configured host.
    pub filtered: u64,
    /// Datagrams that could not be opened with this side's key, or lack of one.
    pub unopened: u64,
    /// Why the last of those could not be opened.
    pub why_unopened: Option<Unopened>,
    /// Bytes of the received pictures.
    pub bytes: u64,
    /// How often the sender restarted, or another one was selected. TCP cannot
    /// distinguish that from a broken connection: then, how often pictures
    /// arrived over a new connection.
    pub restarts: u64,
    /// Address of the sender. `None` before the first picture, and for pictures
    /// captured on this machine or sent through routers.
    pub sender: Option<SocketAddr>,
    /// Pictures a second over the last five seconds.
    pub frames_per_second: f64,
    /// Median age of the pictures of the last five seconds when they were ready to
    /// show; `None` if there are none.
    pub age_p50: Option<Duration>,
    /// 99th percentile of that age.
    pub age_p99: Option<Duration>,
    /// Maximum error of the ages. Zero on one machine; `None` while the offset of
    /// the two machines' clocks is unknown.
    pub age_error: Option<Duration>,
}

/// Collects [`Stats`]. Its memory does not grow.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    totals: Stats,
    /// The last pictures, oldest first.
    recent: VecDeque<Arrival>,
    last_number: Option<u64>,
}

impl Meter {
    /// Counts a picture of `bytes` bytes that is ready to show at `now`.
    pub fn on_picture(&mut self, now: Instant, bytes: usize, age: Option<Duration>) {
        let totals = &mut self.totals;
        add(&mut totals.received, 1);
        add(&mut totals.bytes, bytes as u64);
        if self.recent.len() == MAX_RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(Arrival { at: now, age });
    }

    /// Records an event.
    pub fn count(&mut self, event: Event) {
        let totals = &mut self.totals;
        match event {
            Event::Lost(pictures) => add(&mut totals.lost, pictures),
            // It was counted as lost when the newer one arrived.
            Event::Late => {
                add(&mut totals.late, 1);
                totals.lost = totals.lost.saturating_sub(1);
            }
            Event::Stale => add(&mut totals.late, 1),
            Event::Skipped(pictures) => add(&mut totals.skipped, pictures),
            Event::Refused => add(&mut totals.refused, 1),
            Event::Filtered => add(&mut totals.filtered, 1),
            Event::Unopened(why) => {
                add(&mut totals.unopened, 1);
                totals.why_unopened = Some(why);
            }
            Event::Restart => add(&mut totals.restarts, 1),
        }
    }

    /// Counts the pictures missing between the last number and this one as lost.
    pub fn on_number(&mut self, number: u64) {
        // A restarted source counts from zero again, which is no loss.
        let expected = self
            .last_number
            .map_or(number, |last| last.saturating_add(1));
        add(&mut self.totals.lost, number.saturating_sub(expected));
        self.last_number = Some(number);
    }

    /// Sets the address of the sender; behind routers it has none, and is unspecified.
    pub fn set_sender(&mut self, sender: SocketAddr) {
        self.totals.sender = (!sender.ip().is_unspecified()).then_some(sender);
    }

    /// Sets the maximum error of the ages.
    pub fn set_age_error(&mut self, error: Option<Duration>) {
        self.totals.age_error = error;
    }

    /// The statistics at `now`.
    pub fn snapshot(&self, now: Instant) -> Stats {
        let recent = self
            .recent
            .iter()
            .filter(|arrival| now.saturating_duration_since(arrival.at) <= WINDOW);
        let mut ages: Vec<_> = recent.clone().filter_map(|arrival| arrival.age).collect();
        ages.sort_unstable();
        Stats {
            frames_per_second: rate(now, recent),
            age_p50: percentile(&ages, 50),
            age_p99: percentile(&ages, 99),
            ..self.totals.clone()
        }
    }
}

/// An event to count.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Pictures missing from the sequence.
    Lost(u64),
    /// A picture counted as lost arrived, too late to be shown.
    Late,
    /// A picture had waited too long to be shown, or is implausible.
    Stale,
    /// Pictures skipped by the sender.
    Skipped(u64),
    /// A message that was not a picture.
    Refused,
    /// A datagram not meant for this receiver.
    Filtered,
    /// A datagram that could not be opened.
    Unopened(Unopened),
    /// The sender restarted, or another one was selected.
    Restart,
}

/// Why a datagram could not be opened: the keys of the two sides differ.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Unopened {
    /// It is sealed, and there is no key here.
    NoKey,
    /// It is sealed with another key.
    OtherKey,
    /// It is not sealed, and there is a key here.
    NotSealed,
}

impl Unopened {
    /// Why it failed, if the keys are the reason.
    pub(super) fn of(error: &RecvError) -> Option<Self> {
        match error {
            RecvError::Refused { source, .. } => {
                (*source == ShardError::Sealed).then_some(Self::NoKey)
            }
            RecvError::NotOpened { source, .. } => match source {
                OpenError::OtherKey => Some(Self::OtherKey),
                OpenError::NotSealed => Some(Self::NotSealed),
                _ => None,
            },
            _ => None,
        }
    }
}

/// A shared [`Meter`], which takes the time from the runtime's clock.
#[derive(Clone, Debug, Default)]
pub struct StatsHandle {
    meter: Arc<Mutex<Meter>>,
}

impl StatsHandle {
    /// The current statistics.
    pub fn snapshot(&self) -> Stats {
        let meter = self.meter().clone();
        // Sorted outside the lock, so that readers never delay the receiving task.
        meter.snapshot(now())
    }

    /// Counts a picture captured on this machine: its age by the local clock, and
    /// gaps in the numbers as lost.
    pub fn observe(&self, frame: &Picture) {
        let age = Timestamp::from(SystemTime::now()).saturating_since(frame.captured());
        let mut meter = self.meter();
        meter.on_number(frame.number());
        meter.on_picture(now(), frame.data().len(), Some(age));
        meter.set_age_error(Some(Duration::ZERO));
    }

    /// Locks the meter, to record events.
    pub fn meter(&self) -> MutexGuard<'_, Meter> {
        // A panic cannot leave a meter inconsistent.
        self.meter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, Copy, Debug)]
struct Arrival {
    at: Instant,
    age: Option<Duration>,
}

/// Saturates, because a peer chooses some of these numbers.
fn add(total: &mut u64, more: u64) {
    *total = total.saturating_add(more);
}

/// Pictures a second from the oldest arrival to `now`, so that it decreases when
/// nothing arrives.
fn rate<'a>(now: Instant, mut recent: impl Iterator<Item = &'a Arrival>) -> f64 {
    let Some(oldest) = recent.next() else {
        return 0.0;
    };
    let span = now.saturating_duration_since(oldest.at).as_secs_f64();
    let intervals = u32::try_from(recent.count()).unwrap_or(u32::MAX);
    if span > 0.0 {
        f64::from(intervals) / span
    } else {
        0.0
    }
}

/// The nearest rank: the smallest age that at least `percent` per cent do not
/// exceed.
fn percentile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

/// The runtime's clock, so that a paused test clock is obeyed.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The time span of rate and age.
const WINDOW: Duration = Duration::from_secs(5);

/// Enough for five seconds at 200 pictures a second; a faster stream has a shorter
/// time span.
const MAX_RECENT: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn twenty_five_a_second() {
        let (mut meter, start) = (Meter::default(), Instant::now());
        for picture in 0..=250 {
            meter.on_picture(start + millis(40) * picture, 1_000, Some(millis(3)));
        }
        let stats = meter.snapshot(start + millis(10_000));
        assert!((stats.frames_per_second - 25.0).abs() < 0.01, "{stats:?}");
        assert_eq!((stats.received, stats.bytes), (251, 251_000));
        assert_eq!(stats.age_p50, Some(millis(3)));
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let (mut meter, start) = (Meter::default(), Instant::now());
        for age in (1..=100).rev() {
            meter.on_picture(start, 1, Some(millis(age)));
        }
        let stats = meter.snapshot(start);
        assert_eq!(stats.age_p50, Some(millis(50)));
        assert_eq!(stats.age_p99, Some(millis(99)));
    }

    #[test]
    fn one_picture_is_both_percentiles_and_no_rate() {
        let (mut meter, start) = (Meter::default(), Instant::now());
        meter.on_picture(start, 1, Some(millis(7)));
        let stats = meter.snapshot(start);
        assert_eq!(
            (stats.age_p50, stats.age_p99),
            (Some(millis(7)), Some(millis(7)))
        );
        assert!(stats.frames_per_second.abs() < f64::EPSILON);
    }

    #[test]
    fn silence_empties_the_window_and_keeps_the_totals() {
        let (mut meter, start) = (Meter::default(), Instant::now());
        for picture in 0..10 {
            meter.on_picture(start + millis(100) * picture, 1, Some(millis(1)));
        }
        let stats = meter.snapshot(start + millis(6_000));
        assert_eq!(stats.received, 10);
        assert_eq!(stats.age_p50, None);
        assert!(stats.frames_per_second.abs() < f64::EPSILON);
    }

    #[test]
    fn the_rate_sinks_as_soon_as_pictures_stop() {
        let (mut meter, start) = (Meter::default(), Instant::now());
        for picture in 0..=10 {
            meter.on_picture(start + millis(100) * picture, 1, None);
        }
        let stats = meter.snapshot(start + millis(2_000));
        assert!((stats.frames_per_second - 5.0).abs() < 0.01, "{stats:?}");
    }

    #[test]
    fn memory_does_not_grow() {
        let (mut meter, start) = (Meter::default(), Instant::now());
        for _ in 0..10 * MAX_RECENT {
            meter.on_picture(start, 1, None);
        }
        assert_eq!(meter.recent.len(), MAX_RECENT);
    }

    #[test]
    fn a_late_picture_is_not_lost() {
        let mut meter = Meter::default();
        meter.count(Event::Lost(2));
        meter.count(Event::Late);
        let stats = meter.snapshot(Instant::now());
        assert_eq!((stats.lost, stats.late), (1, 1));
    }

    #[test]
    fn totals_stop_at_the_largest_number() {
        let mut meter = Meter::default();
        let start = Instant::now();
        for _ in 0..3 {
            meter.count(Event::Lost(u64::MAX - 1));
            meter.count(Event::Skipped(u64::MAX));
            meter.on_number(0);
            meter.on_number(u64::MAX);
            meter.on_picture(start, usize::MAX, Some(Duration::MAX));
        }
        let stats = meter.snapshot(start);
        let full = (stats.lost, stats.skipped, stats.bytes);
        assert_eq!(full, (u64::MAX, u64::MAX, u64::MAX));
    }
}
