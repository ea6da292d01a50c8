//! Tracks how long a connection has waited, and for what.
//!
//! Pure: the caller reports events and passes the time in.
//! [`Stream`](super::Stream) reports, and the connection's task polls.

use std::time::{Duration, Instant};

use crate::{
    deadline::deadline_after,
    tcp::{End, Timeout},
};

/// Timeouts of one connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    pub(super) idle: Option<Duration>,
    pub(super) read: Option<Duration>,
    pub(super) write: Option<Duration>,
    pub(super) lifetime: Option<Duration>,
    /// The quiet period after which a drain ends the reads.
    pub(super) quiet: Option<Duration>,
    /// Timeout of the whole drain.
    pub(super) drain: Duration,
}

impl Timeouts {
    /// The name of a timeout that is zero, with which no connection could live.
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

    /// Combines them with the listener's timeouts; the shorter of each applies.
    pub(super) fn shortened(self, read: Option<Duration>, write: Option<Duration>) -> Self {
        let shorter = |ours: Option<Duration>, theirs| [ours, theirs].into_iter().flatten().min();
        Self {
            read: shorter(self.read, read),
            write: shorter(self.write, write),
            ..self
        }
    }
}

/// The activity of one connection so far.
#[derive(Debug)]
pub(super) struct Activity {
    pub(super) started: Instant,
    /// When a byte was last sent or received.
    progress: Instant,
    /// When a byte was last received.
    received: Option<Instant>,
    /// When the drain began.
    draining: Option<Instant>,
    /// When the pending read began.
    reading: Option<Instant>,
    /// When the pending write began.
    writing: Option<Instant>,
    pub(super) received_bytes: u64,
    pub(super) sent_bytes: u64,
    /// How the connection ended, as last reported by the socket.
    end: Option<End>,
}

impl Activity {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            started: now,
            progress: now,
            received: None,
            draining: None,
            reading: None,
            writing: None,
            received_bytes: 0,
            sent_bytes: 0,
            end: None,
        }
    }

    pub(super) fn handle_received(&mut self, now: Instant, bytes: usize) {
        self.received_bytes += bytes as u64;
        self.received = Some(now);
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

    /// Data has arrived and is not read yet.
    pub(super) fn handle_readable(&mut self) {
        self.reading = None;
    }

    pub(super) fn handle_write_waits(&mut self, now: Instant) {
        self.writing.get_or_insert(now);
    }

    /// The drain has begun.
    pub(super) fn handle_drain(&mut self, now: Instant) {
        self.draining.get_or_insert(now);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.is_some()
    }

    /// When a pending read returns EOF; `None` unless the server drains.
    ///
    /// A request may arrive in several pieces, and its first piece makes more
    /// likely. The reads of a peer that never pauses end after half of the
    /// drain timeout, which leaves the other half to answer it.
    pub(super) fn reads_end(&self, timeouts: &Timeouts) -> Option<Instant> {
        let (since, quiet) = (self.draining?, timeouts.quiet?);
        let is_quiet = match self.received {
            Some(last) => deadline_after(last, quiet),
            None => Some(since),
        };
        let at_the_latest = deadline_after(since, timeouts.drain / 2);
        [is_quiet, at_the_latest].into_iter().flatten().min()
    }

    /// When to check the activity again: at the next deadline, and now and then
    /// before it, because a stream moved to another task starts its waits
    /// unobserved.
    ///
    /// No deadline will be earlier than this, unless the server begins to
    /// drain.
    pub(super) fn next_look(&self, timeouts: &Timeouts, now: Instant) -> Option<Instant> {
        let unseen = |wait: Option<Duration>| deadline_after(now, wait?);
        let deadline = self.deadline(timeouts).map(|(deadline, _)| deadline);
        let reads_end = self.reads_end(timeouts).filter(|end| *end > now);
        // Without a quiet period, every pending read has ended.
        let received = (timeouts.quiet).filter(|quiet| self.is_draining() && !quiet.is_zero());
        [
            deadline,
            reads_end,
            unseen(timeouts.read),
            unseen(timeouts.write),
            unseen(received),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The peer has closed, or the socket has failed. The first event is kept,
    /// except that a failure after an orderly close replaces it, because it
    /// says more.
    pub(super) fn handle_end(&mut self, end: End) {
        self.reading = None;
        self.writing = None;
        if matches!(self.end, None | Some(End::Finished)) {
            self.end = Some(end);
        }
    }

    /// How the connection ended, if the socket has reported it.
    pub(super) fn end(&self) -> Option<End> {
        self.end
    }

    /// The earliest deadline if nothing happens until then; `None` if there is
    /// none.
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
        quiet: Some(Duration::from_secs(1)),
        drain: Duration::from_secs(20),
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
            quiet: timeout,
            drain: Duration::MAX,
        };
        assert_eq!(activity.deadline(&all(None)), None);
        activity.handle_received(now, 1);
        activity.handle_drain(now);
        for never in [all(None), all(Some(Duration::MAX))] {
            assert_eq!(activity.deadline(&never), None);
            assert_eq!(activity.reads_end(&never), None);
            assert_eq!(activity.next_look(&never, now), None);
        }
    }

    /// When the reads of a connection end, in seconds after the start, that got
    /// its last byte at `received` and whose server drains from `drain` on.
    #[track_caller]
    fn check_reads_end(received: Option<u32>, drain: u32, expected: u32) {
        let start = Instant::now();
        let mut activity = Activity::new(start);
        if let Some(seconds) = received {
            activity.handle_received(start + SECOND * seconds, 1);
        }
        assert_eq!(activity.reads_end(&TIMEOUTS), None);
        activity.handle_drain(start + SECOND * drain);
        activity.handle_drain(start + SECOND * (drain + 1));
        let end = activity.reads_end(&TIMEOUTS).expect("it drains");
        assert_eq!(end - start, SECOND * expected);
    }

    #[test]
    fn a_drain_ends_reads_when_nothing_came_for_a_while() {
        // Nothing ever came.
        check_reads_end(None, 5, 5);
        // The quiet period is over, or still to pass.
        check_reads_end(Some(3), 5, 4);
        check_reads_end(Some(5), 5, 6);
        check_reads_end(Some(9), 5, 10);
        // Half of the drain is over, and the peer has not paused yet.
        check_reads_end(Some(30), 5, 15);
    }

    #[test]
    fn reads_go_on_where_the_drain_shall_not_end_them() {
        let now = Instant::now();
        let mut activity = Activity::new(now);
        activity.handle_drain(now);
        let timeouts = Timeouts {
            quiet: None,
            ..TIMEOUTS
        };
        assert_eq!(activity.reads_end(&timeouts), None);
    }

    #[test]
    fn the_next_look_is_never_after_what_may_pass() {
        let start = Instant::now();
        let mut activity = Activity::new(start);
        let look = |activity: &Activity, seconds| {
            let look = activity.next_look(&TIMEOUTS, start + SECOND * seconds);
            (look.expect("some pass") - start).as_secs()
        };
        // A write that begins at once would be late at 2.
        assert_eq!(look(&activity, 0), 2);
        activity.handle_drain(start);
        // Reads have ended: only what may come by then moves the end.
        assert_eq!(look(&activity, 0), 1);
        activity.handle_received(start + SECOND, 1);
        assert_eq!(look(&activity, 1), 2);
    }
}
