//! When a connection has waited too long, and for what.
//!
//! Pure: the caller says what happened and when. [`Stream`](super::Stream)
//! reports, the connection's task asks.

use std::time::{Duration, Instant};

use crate::{
    deadline::deadline_after,
    tcp::{End, Timeout},
};

/// What one connection may wait for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    pub(super) idle: Option<Duration>,
    pub(super) read: Option<Duration>,
    pub(super) write: Option<Duration>,
    pub(super) lifetime: Option<Duration>,
}

impl Timeouts {
    /// One that no connection would survive, by the name of its setter.
    pub(super) fn zero(&self) -> Option<&'static str> {
        [
            ("idle_timeout", self.idle),
            ("read_timeout", self.read),
            ("write_timeout", self.write),
            ("lifetime", self.lifetime),
        ]
        .into_iter()
        .find_map(|(name, timeout)| (timeout == Some(Duration::ZERO)).then_some(name))
    }

    /// With those of a listener as well: the shorter one holds.
    pub(super) fn shortened(self, read: Option<Duration>, write: Option<Duration>) -> Self {
        let shorter = |ours: Option<Duration>, theirs| [ours, theirs].into_iter().flatten().min();
        Self {
            read: shorter(self.read, read),
            write: shorter(self.write, write),
            ..self
        }
    }

    /// When to look at the activity again: at the deadline, and now and then
    /// before it, because a stream that was moved to another task begins its
    /// waits unseen.
    pub(super) fn next_look(&self, now: Instant, deadline: Option<Instant>) -> Option<Instant> {
        let unseen = |wait: Option<Duration>| deadline_after(now, wait?);
        [deadline, unseen(self.read), unseen(self.write)]
            .into_iter()
            .flatten()
            .min()
    }
}

/// What one connection did so far.
#[derive(Debug)]
pub(super) struct Activity {
    pub(super) started: Instant,
    /// The last time a byte went either way.
    progress: Instant,
    /// Since when a read waits.
    reading: Option<Instant>,
    /// Since when a write waits.
    writing: Option<Instant>,
    pub(super) received_bytes: u64,
    pub(super) sent_bytes: u64,
    /// What the socket said last about the connection's end.
    end: Option<End>,
}

impl Activity {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            started: now,
            progress: now,
            reading: None,
            writing: None,
            received_bytes: 0,
            sent_bytes: 0,
            end: None,
        }
    }

    pub(super) fn handle_received(&mut self, now: Instant, bytes: usize) {
        self.received_bytes += bytes as u64;
        self.progress = now;
        self.reading = None;
    }

    pub(super) fn handle_sent(&mut self, now: Instant, bytes: usize) {
        self.sent_bytes += bytes as u64;
        self.progress = now;
        self.writing = None;
    }

    pub(super) fn handle_read_waits(&mut self, now: Instant) {
        self.reading.get_or_insert(now);
    }

    /// Something has come, and nobody has taken it yet.
    pub(super) fn handle_readable(&mut self) {
        self.reading = None;
    }

    pub(super) fn handle_write_waits(&mut self, now: Instant) {
        self.writing.get_or_insert(now);
    }

    /// The peer has closed, or the socket has failed. What came first is kept,
    /// but a failure after the peer's orderly close tells more than that close.
    pub(super) fn handle_end(&mut self, end: End) {
        self.reading = None;
        self.writing = None;
        if matches!(self.end, None | Some(End::Finished)) {
            self.end = Some(end);
        }
    }

    /// What the socket said about the end, if it said anything.
    pub(super) fn end(&self) -> Option<End> {
        self.end
    }

    /// The earliest time at which a timeout passes unless something happens;
    /// `None` if none ever does.
    pub(super) fn deadline(&self, timeouts: &Timeouts) -> Option<(Instant, Timeout)> {
        [
            (Some(self.progress), timeouts.idle, Timeout::Idle),
            (self.reading, timeouts.read, Timeout::Read),
            (self.writing, timeouts.write, Timeout::Write),
            (Some(self.started), timeouts.lifetime, Timeout::Lifetime),
        ]
        .into_iter()
        .filter_map(|(since, wait, timeout)| Some((deadline_after(since?, wait?)?, timeout)))
        .min_by_key(|(deadline, _)| *deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    const TIMEOUTS: Timeouts = Timeouts {
        idle: Some(Duration::from_secs(10)),
        read: Some(Duration::from_secs(5)),
        write: Some(Duration::from_secs(2)),
        lifetime: Some(Duration::from_secs(60)),
    };

    /// What passes first after `happen`, and how many seconds after the start.
    #[track_caller]
    fn check(happen: impl FnOnce(&mut Activity, Instant), expected: (u32, Timeout)) {
        let start = Instant::now();
        let mut activity = Activity::new(start);
        happen(&mut activity, start);
        let (deadline, timeout) = activity.deadline(&TIMEOUTS).expect("some pass");
        assert_eq!(
            (deadline - start, timeout),
            (SECOND * expected.0, expected.1)
        );
    }

    #[test]
    fn nothing_at_all_is_idle() {
        check(|_, _| {}, (10, Timeout::Idle));
    }

    #[test]
    fn any_byte_puts_idle_off() {
        check(
            |activity, start| activity.handle_sent(start + SECOND, 1),
            (11, Timeout::Idle),
        );
        check(
            |activity, start| activity.handle_received(start + SECOND, 1),
            (11, Timeout::Idle),
        );
    }

    #[test]
    fn a_waiting_read_has_its_own_deadline_until_bytes_come() {
        check(
            |activity, start| {
                activity.handle_read_waits(start + SECOND);
                activity.handle_read_waits(start + SECOND * 2);
            },
            (6, Timeout::Read),
        );
        check(
            |activity, start| {
                activity.handle_read_waits(start + SECOND);
                activity.handle_received(start + SECOND * 2, 1);
            },
            (12, Timeout::Idle),
        );
    }

    #[test]
    fn a_waiting_write_is_not_helped_by_bytes_that_come() {
        check(
            |activity, start| {
                activity.handle_write_waits(start + SECOND);
                activity.handle_received(start + SECOND * 2, 1);
            },
            (3, Timeout::Write),
        );
    }

    #[test]
    fn the_lifetime_ends_whatever_happens() {
        check(
            |activity, start| activity.handle_received(start + SECOND * 59, 1),
            (60, Timeout::Lifetime),
        );
    }

    #[test]
    fn a_reset_after_an_orderly_close_is_a_reset() {
        let mut activity = Activity::new(Instant::now());
        assert_eq!(activity.end(), None);
        activity.handle_end(End::Finished);
        assert_eq!(activity.end(), Some(End::Finished));
        activity.handle_end(End::Reset);
        activity.handle_end(End::Finished);
        assert_eq!(activity.end(), Some(End::Reset));
    }

    #[test]
    fn of_the_servers_and_the_listeners_timeouts_the_shorter_one_holds() {
        let both = TIMEOUTS.shortened(Some(SECOND), Some(SECOND * 3));
        assert_eq!((both.read, both.write), (Some(SECOND), TIMEOUTS.write));
        let none = Timeouts {
            read: None,
            ..TIMEOUTS
        };
        assert_eq!(none.shortened(Some(SECOND), None).read, Some(SECOND));
        assert_eq!(none.shortened(None, None).read, None);
    }

    #[test]
    fn what_lasts_for_ever_never_passes() {
        let now = Instant::now();
        let mut activity = Activity::new(now);
        activity.handle_read_waits(now);
        activity.handle_write_waits(now);
        let all = |timeout| Timeouts {
            idle: timeout,
            read: timeout,
            write: timeout,
            lifetime: timeout,
        };
        assert_eq!(activity.deadline(&all(None)), None);
        assert_eq!(activity.deadline(&all(Some(Duration::MAX))), None);
    }
}
