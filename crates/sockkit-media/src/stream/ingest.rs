//! What every receiver does with a picture, however it came.

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

/// Counts pictures and passes on those that are worth showing.
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

    /// Another sender: its numbers have nothing to do with what came before.
    pub(super) fn on_new_sender(&mut self, sender: SocketAddr) {
        self.last_number = None;
        self.stats.meter().set_sender(sender);
    }

    /// Takes one picture in, before which `lost` messages are missing.
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

    /// Passes over a picture that was stuck while this program was stopped, or
    /// in a queue.
    pub(super) fn on_waited(&mut self, number: u64, lost: u64) {
        self.count_gaps(number, lost);
        self.count(Event::Stale);
    }

    /// The source's numbers tell what was left out before it was sent.
    fn count_gaps(&mut self, number: u64, lost: u64) {
        let gap = match self.last_number {
            Some(last) => number.saturating_sub(last).saturating_sub(1),
            None => 0,
        };
        // A wider one is another count.
        let gap = if gap > MAX_SKIPPED { 0 } else { gap };
        self.last_number = Some(number);
        if lost > 0 {
            self.count(Event::Lost(lost));
        }
        if gap > lost {
            self.count(Event::Skipped(gap - lost));
        }
    }

    /// The figures as a tracing event, now and then.
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

/// One moment, by both clocks.
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

/// The clock that captures are stamped with.
pub(super) fn wall() -> Timestamp {
    SystemTime::now().into()
}

const TELL_EVERY: Duration = Duration::from_secs(5);

/// An hour of pictures at 25 a second, and then some.
const MAX_SKIPPED: u64 = 100_000;
