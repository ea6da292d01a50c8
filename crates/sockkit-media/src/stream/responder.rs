//! Handles the messages of the receivers of one channel: replies to clock requests,
//! and records reports.
//!
//! Pure: the caller passes messages and both clocks in, and sends the reply.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use sockkit_link::channel::TokenBucket;

use super::{control::ControlMessage, reports::Reports};
use crate::picture::Timestamp;

/// Handles messages of the receivers of one channel.
#[derive(Debug)]
pub(super) struct ControlResponder {
    /// Bounds the traffic that other hosts can cause. A subscriber has a channel of its
    /// own, and so takes no reply from others.
    replies: TokenBucket,
}

impl ControlResponder {
    /// With a full allowance of replies.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            replies: TokenBucket::new(REPLY_BURST * REPLY_COST, now),
        }
    }

    /// Processes one message; a report goes to `reports`. Returns the reply to send, if
    /// one is due.
    pub(super) fn handle_control(
        &mut self,
        now: Instant,
        wall: Timestamp,
        (from, control): (SocketAddr, ControlMessage),
        reports: &mut Reports,
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
                reports.note(now, from, report);
                None
            }
            ControlMessage::ClockReply { .. } | ControlMessage::Repair(_) => None,
        }
    }
}

/// 250 replies a second, for all receivers of the channel together.
const REPLY_COST: Duration = Duration::from_millis(4);
const REPLY_BURST: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Report;

    fn from(host: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], 5006))
    }

    fn reports() -> Reports {
        Reports::new(Vec::new(), 1)
    }

    #[test]
    fn a_request_is_answered_with_its_nonce() {
        let now = Instant::now();
        let wall = Timestamp::from_micros(77);
        let request = (from(1), ControlMessage::ClockRequest { nonce: 5 });
        let mut responder = ControlResponder::new(now);
        assert_eq!(
            responder.handle_control(now, wall, request, &mut reports()),
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
        let (mut responder, mut reports) = (ControlResponder::new(now), reports());
        let reply = ControlMessage::ClockReply {
            nonce: 1,
            received: Timestamp::default(),
            sent: Timestamp::default(),
        };
        for control in [reply, ControlMessage::Report(Report::default())] {
            let (wall, message) = (Timestamp::default(), (from(1), control));
            let answer = responder.handle_control(now, wall, message, &mut reports);
            assert_eq!(answer, None);
        }
        assert_eq!(reports.recent(now), [(from(1), Report::default())]);
    }

    #[test]
    fn a_flood_gets_few_replies() {
        let start = Instant::now();
        let mut responder = ControlResponder::new(start);
        let request = (from(1), ControlMessage::ClockRequest { nonce: 5 });
        let mut replies = 0;
        for millis in 0..1_000 {
            let now = start + Duration::from_millis(millis);
            for _ in 0..100 {
                let wall = Timestamp::default();
                let reply = responder.handle_control(now, wall, request, &mut reports());
                replies += u32::from(reply.is_some());
            }
        }
        assert!((300..=320).contains(&replies), "{replies}");
    }
}
