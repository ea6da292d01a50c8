//! The datagram sender's ear: answers clock requests, and notes what receivers
//! report.
//!
//! Pure: the caller passes messages and both clocks in and sends the reply.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::{
    control::{Control, Report},
    pace::TokenBucket,
    reports::{MAX_RECEIVERS, Reports},
};
use crate::picture::Timestamp;

/// Answers what receivers say.
#[derive(Debug)]
pub(super) struct Answerer {
    /// Bounds what strangers can make us send.
    replies: TokenBucket,
    reports: Reports,
}

impl Answerer {
    /// Reports of `destinations` always find a place.
    pub(super) fn new(now: Instant, destinations: Vec<SocketAddr>) -> Self {
        Self {
            replies: TokenBucket::new(REPLY_BURST * REPLY_COST, now),
            reports: Reports::new(destinations, MAX_RECEIVERS.div_ceil(4)),
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
            Control::ClockRequest { nonce } => {
                let may_reply = self.replies.try_spend(now, REPLY_COST);
                may_reply.then_some(Control::ClockReply {
                    nonce,
                    received: wall,
                    sent: wall,
                })
            }
            Control::Report(report) => {
                self.reports.note(now, from, report);
                None
            }
            Control::ClockReply { .. } => None,
        }
    }

    /// The last report of each receiver that spoke lately.
    pub(super) fn reports(&self, now: Instant) -> Vec<(SocketAddr, Report)> {
        self.reports.recent(now)
    }
}

/// 250 replies a second, for all receivers together.
const REPLY_COST: Duration = Duration::from_millis(4);
const REPLY_BURST: u32 = 64;

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
            Answerer::new(now, Vec::new()).handle_message(now, wall, from(1), &request),
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
        let mut answerer = Answerer::new(now, Vec::new());
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
        let mut answerer = Answerer::new(start, Vec::new());
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
}
