//! The sender's ear: answers clock requests, and notes what receivers report.
//!
//! Pure: the caller passes messages and both clocks in and sends the reply.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::control::{Control, Report};
use crate::picture::Timestamp;

/// Answers what receivers say.
#[derive(Debug)]
pub(super) struct Answerer {
    /// When every reply so far is paid for.
    paid_at: Instant,
    receivers: Vec<Heard>,
}

#[derive(Debug)]
struct Heard {
    from: SocketAddr,
    at: Instant,
    report: Report,
}

impl Answerer {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            paid_at: now,
            receivers: Vec::new(),
        }
    }

    /// Takes one message in; returns the reply to send back, if one is due.
    pub(super) fn handle_message(
        &mut self,
        now: Instant,
        wall: Timestamp,
        from: SocketAddr,
        message: &[u8],
    ) -> Option<Control> {
        match Control::parse(message)? {
            Control::ClockRequest { nonce } => self.may_reply(now).then_some(Control::ClockReply {
                nonce,
                received: wall,
                sent: wall,
            }),
            Control::Report(report) => {
                self.note(now, from, report);
                None
            }
            Control::ClockReply { .. } => None,
        }
    }

    /// The last report of each receiver that spoke lately.
    pub(super) fn reports(&self, now: Instant) -> Vec<(SocketAddr, Report)> {
        self.receivers
            .iter()
            .filter(|heard| heard.is_recent(now))
            .map(|heard| (heard.from, heard.report))
            .collect()
    }

    /// Bounds what strangers can make us send.
    fn may_reply(&mut self, now: Instant) -> bool {
        let paid_at = self.paid_at.max(now) + REPLY_COST;
        let may = paid_at <= now + REPLY_BURST * REPLY_COST;
        if may {
            self.paid_at = paid_at;
        }
        may
    }

    fn note(&mut self, now: Instant, from: SocketAddr, report: Report) {
        let heard = Heard {
            from,
            at: now,
            report,
        };
        self.receivers.retain(|other| other.is_recent(now));
        if let Some(known) = self.receivers.iter_mut().find(|other| other.from == from) {
            *known = heard;
        } else if self.receivers.len() < MAX_RECEIVERS {
            self.receivers.push(heard);
        }
    }
}

impl Heard {
    fn is_recent(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) <= FORGET_AFTER
    }
}

/// 250 replies a second, for all receivers together.
const REPLY_COST: Duration = Duration::from_millis(4);
const REPLY_BURST: u32 = 64;

const MAX_RECEIVERS: usize = 256;
const FORGET_AFTER: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn from(host: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], 5006))
    }

    #[test]
    fn a_request_is_answered_with_its_nonce() {
        let now = Instant::now();
        let wall = Timestamp::from_micros(77);
        let request = Control::ClockRequest { nonce: 5 }.emit();
        assert_eq!(
            Answerer::new(now).handle_message(now, wall, from(1), &request),
            Some(Control::ClockReply {
                nonce: 5,
                received: wall,
                sent: wall
            })
        );
    }

    #[test]
    fn replies_and_garbage_are_not_answered() {
        let now = Instant::now();
        let mut answerer = Answerer::new(now);
        let reply = Control::ClockReply {
            nonce: 1,
            received: Timestamp::default(),
            sent: Timestamp::default(),
        };
        for message in [&reply.emit()[..], b"", b"SKCT", &[0xff; 100]] {
            let wall = Timestamp::default();
            assert_eq!(answerer.handle_message(now, wall, from(1), message), None);
        }
    }

    #[test]
    fn a_flood_gets_few_replies() {
        let start = Instant::now();
        let mut answerer = Answerer::new(start);
        let request = Control::ClockRequest { nonce: 5 }.emit();
        let mut replies = 0;
        for millis in 0..1_000 {
            let now = start + Duration::from_millis(millis);
            for _ in 0..100 {
                let wall = Timestamp::default();
                let reply = answerer.handle_message(now, wall, from(1), &request);
                replies += u32::from(reply.is_some());
            }
        }
        assert!((300..=320).contains(&replies), "{replies}");
    }

    #[test]
    fn reports_are_kept_by_receiver_and_forgotten() {
        let start = Instant::now();
        let mut answerer = Answerer::new(start);
        let mut report = |now, host, received| {
            let report = Report {
                received,
                ..Report::default()
            };
            let message = Control::Report(report).emit();
            answerer.handle_message(now, Timestamp::default(), from(host), &message);
            answerer.reports(now).len()
        };
        assert_eq!(report(start, 1, 1), 1);
        assert_eq!(report(start, 1, 2), 1);
        assert_eq!(report(start, 2, 3), 2);
        assert_eq!(report(start + 2 * FORGET_AFTER, 2, 4), 1);
        assert_eq!(answerer.reports(start + 2 * FORGET_AFTER)[0].1.received, 4);
    }

    #[test]
    fn the_table_of_receivers_is_bounded() {
        let now = Instant::now();
        let mut answerer = Answerer::new(now);
        let message = Control::Report(Report::default()).emit();
        for port in 0..2_000 {
            let from = SocketAddr::from(([10, 0, 0, 1], port));
            answerer.handle_message(now, Timestamp::default(), from, &message);
        }
        assert_eq!(answerer.reports(now).len(), MAX_RECEIVERS);
    }
}
