//! What every receiver does with a picture, independent of the transport.

use std::{
    net::SocketAddr,
    time::{Duration, Instant, SystemTime},
};

use super::{
    clock::Offset,
    stats::{Event, StatsHandle},
};
use crate::{
    latest::{Publisher, Subscriber},
    picture::{Picture, Timestamp},
};

/// Counts pictures, and publishes those worth showing.
#[derive(Debug)]
pub(super) struct Ingest {
    publisher: Publisher<Picture>,
    stats: StatsHandle,
    last_number: Option<u64>,
    told_at: Instant,
}

impl Ingest {
    pub(super) fn new() -> (Self, Subscriber<Picture>, StatsHandle) {
        let publisher = Publisher::new();
        let (pictures, stats) = (publisher.subscribe(), StatsHandle::default());
        let ingest = Self {
            publisher,
            stats: stats.clone(),
            last_number: None,
            told_at: now(),
        };
        (ingest, pictures, stats)
    }

    pub(super) fn stats(&self) -> &StatsHandle {
        &self.stats
    }

    pub(super) fn count(&self, event: Event) {
        self.stats.meter().count(event);
    }

    /// Another sender, whose numbers are unrelated to earlier ones.
    pub(super) fn on_new_sender(&mut self, sender: SocketAddr) {
        self.last_number = None;
        self.stats.meter().set_sender(sender);
    }

    /// Publishes a picture, before which `lost` messages are missing.
    pub(super) fn on_picture(
        &mut self,
        at: Moment,
        frame: Picture,
        lost: u64,
        clock: Option<Offset>,
    ) {
        self.count_gaps(frame.number(), lost);
        let age = clock.map(|offset| offset.age(frame.captured(), at.wall));
        {
            let mut meter = self.stats.meter();
            meter.on_picture(at.now, frame.data().len(), age);
            meter.set_age_error(clock.map(|offset| offset.error));
        }
        self.publisher.publish(frame);
        self.tell(at.now);
    }

    /// Drops a picture that waited while this program was stopped, or in a
    /// queue.
    pub(super) fn on_waited(&mut self, number: u64, lost: u64) {
        self.count_gaps(number, lost);
        self.count(Event::Stale);
    }

    /// Gaps in the source's numbers tell what was skipped before sending.
    fn count_gaps(&mut self, number: u64, lost: u64) {
        let gap = match self.last_number {
            Some(last) => number.saturating_sub(last).saturating_sub(1),
            None => 0,
        };
        // A larger gap is a restarted count.
        let gap = if gap > MAX_SKIPPED { 0 } else { gap };
        self.last_number = Some(number);
        if lost > 0 {
            self.count(Event::Lost(lost));
        }
        if gap > lost {
            self.count(Event::Skipped(gap - lost));
        }
    }

    /// Logs the statistics from time to time.
    fn tell(&mut self, now: Instant) {
        if now.saturating_duration_since(self.told_at) < TELL_EVERY {
            return;
        }
        self.told_at = now;
        let stats = self.stats.meter().clone().snapshot(now);
        tracing::debug!(
            received = stats.received,
            lost = stats.lost,
            late = stats.late,
            skipped = stats.skipped,
            frames_per_second = stats.frames_per_second,
            age_p50 = ?stats.age_p50,
            age_p99 = ?stats.age_p99,
            "pictures"
        );
    }
}

/// A time by both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now: Instant,
    pub(super) wall: Timestamp,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self {
            now: now(),
            wall: wall(),
        }
    }
}

/// The runtime's clock, so that a paused test clock is obeyed.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The clock used for capture times.
pub(super) fn wall() -> Timestamp {
    SystemTime::now().into()
}

const TELL_EVERY: Duration = Duration::from_secs(5);

/// More than an hour of pictures at 25 a second.
const MAX_SKIPPED: u64 = 100_000;
