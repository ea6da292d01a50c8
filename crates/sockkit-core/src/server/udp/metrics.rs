//! Counters of a UDP server.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::server::lifecycle::Lifecycle;

/// Counters of a UDP server since it started.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct UdpMetrics {
    /// Requests passed to the responder.
    pub requests: u64,
    /// Replies that the kernel accepted.
    pub replies: u64,
    /// Requests being answered now.
    pub in_flight: u64,
    /// Requests dropped because of a limit.
    pub dropped: u64,
    /// Requests that the responder failed to answer.
    pub failed: u64,
    /// Panics: of the responder, and of the server itself.
    pub panicked: u64,
    /// Replies abandoned at the reply timeout.
    pub timed_out: u64,
    /// Replies that the kernel rejected.
    pub send_errors: u64,
    /// Number of failed receives.
    pub receive_errors: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) requests: AtomicU64,
    pub(super) replies: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) timed_out: AtomicU64,
    pub(super) send_errors: AtomicU64,
    pub(super) receive_errors: AtomicU64,
}

impl Counters {
    pub(super) fn metrics(&self, lifecycle: &Lifecycle) -> UdpMetrics {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        UdpMetrics {
            requests: load(&self.requests),
            replies: load(&self.replies),
            in_flight: lifecycle.limiter.count() as u64,
            dropped: load(&self.dropped),
            failed: load(&self.failed),
            panicked: lifecycle.panics(),
            timed_out: load(&self.timed_out),
            send_errors: load(&self.send_errors),
            receive_errors: load(&self.receive_errors),
        }
    }
}
