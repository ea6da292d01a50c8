//! Handles the messages of receivers to a sender: replies to clock requests,
//! and records reports.
//!
//! Pure: the caller passes messages and both clocks in, and sends the reply.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use sockkit_codec::shard::Parity;
use sockkit_link::channel::TokenBucket;

use super::{
    control::{ControlMessage, Report},
    loss,
    reports::Reports,
};
use crate::picture::Timestamp;

/// Handles messages of receivers.
#[derive(Debug)]
pub(super) struct ControlResponder {
    /// Bounds the traffic that other hosts can cause.
    replies: TokenBucket,
    reports: Reports,
}

impl ControlResponder {
    /// Records reports in `reports`.
    pub(super) fn new(now: Instant, reports: Reports) -> Self {
        Self {
            replies: TokenBucket::new(REPLY_BURST * REPLY_COST, now),
            reports,
        }
    }

    /// Processes one message. Returns the reply to send, if one is due.
    pub(super) fn handle_control(
        &mut self,
        now: Instant,
        wall: Timestamp,
        from: SocketAddr,
        control: ControlMessage,
    ) -> Option<ControlMessage> {
        match control {
            ControlMessage::ClockRequest { nonce } => {
                let may_reply = self.replies.try_spend(now, REPLY_COST);
                may_reply.then_some(ControlMessage::ClockReply {
                    nonce,
                    received: wall,
                    sent: wall,
                })
            }
            ControlMessage::Report(report) => {
                self.reports.note(now, from, report);
                None
            }
            ControlMessage::ClockReply { .. } | ControlMessage::Repair(_) => None,
        }
    }

    /// The last report of each receiver that sent one recently.
    pub(super) fn reports(&self, now: Instant) -> Vec<(SocketAddr, Report)> {
        self.reports.recent(now)
    }

    /// The parity that those receivers need, or this one.
    pub(super) fn parity(&self, now: Instant, of: Option<SocketAddr>) -> Parity {
        loss::parity(self.reports.losses(now, of))
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

    fn responder(now: Instant) -> ControlResponder {
        ControlResponder::new(now, Reports::new(Vec::new(), 1))
    }

    #[test]
    fn a_request_is_answered_with_its_nonce() {
        let now = Instant::now();
        let wall = Timestamp::from_micros(77);
        let request = ControlMessage::ClockRequest { nonce: 5 };
        assert_eq!(
            responder(now).handle_control(now, wall, from(1), request),
            Some(ControlMessage::ClockReply {
                nonce: 5,
                received: wall,
                sent: wall
            })
        );
    }

    #[test]
    fn replies_and_reports_are_not_answered() {
        let now = Instant::now();
        let mut responder = responder(now);
        let reply = ControlMessage::ClockReply {
            nonce: 1,
            received: Timestamp::default(),
            sent: Timestamp::default(),
        };
        for control in [reply, ControlMessage::Report(Report::default())] {
            let wall = Timestamp::default();
            assert_eq!(responder.handle_control(now, wall, from(1), control), None);
        }
        assert_eq!(responder.reports(now), [(from(1), Report::default())]);
    }

    #[test]
    fn a_flood_gets_few_replies() {
        let start = Instant::now();
        let mut responder = responder(start);
        let request = ControlMessage::ClockRequest { nonce: 5 };
        let mut replies = 0;
        for millis in 0..1_000 {
            let now = start + Duration::from_millis(millis);
            for _ in 0..100 {
                let wall = Timestamp::default();
                let reply = responder.handle_control(now, wall, from(1), request);
                replies += u32::from(reply.is_some());
            }
        }
        assert!((300..=320).contains(&replies), "{replies}");
    }
}
