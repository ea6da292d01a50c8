//! Counters of a server, and how each connection ended.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::{PeerAddress, lifecycle::Lifecycle};
use crate::tcp::End;

/// How one connection ended, for [`ServerConfig::on_end`](super::ServerConfig::on_end).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Ended {
    /// Id of the connection, as in [`Peer::id`](super::Peer::id).
    pub id: u64,
    /// The peer's address.
    pub peer: PeerAddress,
    /// Why the connection ended.
    pub end: End,
    /// How its handler ended.
    pub handler: HandlerEnd,
    /// Bytes received from the peer.
    pub received_bytes: u64,
    /// Bytes that the kernel accepted for the peer.
    pub sent_bytes: u64,
    /// Time from accept to end.
    pub lasted: Duration,
}

/// How the handler of a connection ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum HandlerEnd {
    /// It returned without an error.
    Returned,
    /// It returned an error.
    Failed,
    /// It panicked, or the server's task around it did; the message is logged.
    Panicked,
    /// The server stopped it: see [`Ended::end`].
    Stopped,
    /// It did not run because a limit was reached.
    NotRun,
}

/// Counters of a server since it started.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Metrics {
    /// Connections passed to the handler.
    pub accepted: u64,
    /// Connections refused because of a limit or for lack of descriptors.
    pub refused: u64,
    /// Connections open now.
    pub active: u64,
    /// Handlers that returned an error.
    pub failed: u64,
    /// Panics: of handlers, of `on_end`, and of the server itself.
    pub panicked: u64,
    /// Connections ended by a timeout.
    pub timed_out: u64,
    /// Number of failed accepts.
    pub accept_errors: u64,
    /// Bytes received on connections that have ended.
    pub received_bytes: u64,
    /// Bytes sent on connections that have ended.
    pub sent_bytes: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) accepted: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) accept_errors: AtomicU64,
    failed: AtomicU64,
    timed_out: AtomicU64,
    received_bytes: AtomicU64,
    sent_bytes: AtomicU64,
}

impl Counters {
    pub(super) fn handle_end(&self, ended: &Ended) {
        if ended.handler == HandlerEnd::Failed {
            add(&self.failed, 1);
        }
        if matches!(ended.end, End::TimedOut(_)) {
            add(&self.timed_out, 1);
        }
        add(&self.received_bytes, ended.received_bytes);
        add(&self.sent_bytes, ended.sent_bytes);
    }

    pub(super) fn metrics(&self, lifecycle: &Lifecycle) -> Metrics {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Metrics {
            accepted: load(&self.accepted),
            refused: load(&self.refused),
            active: lifecycle.limiter.count() as u64,
            failed: load(&self.failed),
            panicked: lifecycle.panics(),
            timed_out: load(&self.timed_out),
            accept_errors: load(&self.accept_errors),
            received_bytes: load(&self.received_bytes),
            sent_bytes: load(&self.sent_bytes),
        }
    }
}

pub(super) fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}
