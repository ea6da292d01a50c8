//! What servers refuse, without a flood in the log.

#[cfg(any(feature = "rtp", feature = "web"))]
use std::time::Instant;

pub(crate) use sockkit_core::server::LogLimit;
#[cfg(any(feature = "rtp", feature = "web"))]
use sockkit_core::{server::Ended, tcp::End};

/// Warns of a connection that a server has refused because of a limit.
#[cfg(any(feature = "rtp", feature = "web"))]
pub(crate) fn warn_refused(ended: &Ended, log_limit: &LogLimit, now: Instant) {
    if let (End::Limit, Some(ip)) = (ended.end, ended.peer.ip())
        && let Some(untold) = log_limit.note(now, "full", ip)
    {
        tracing::warn!(peer = %ended.peer, untold, "too many connections");
    }
}
