//! ICMP errors about datagrams sent by this endpoint.

use std::{
    collections::VecDeque,
    fmt, io,
    net::{IpAddr, SocketAddr},
};

use crate::sys::datagram::{ErrorOrigin, QueuedError};

/// An ICMP error: a datagram could not be delivered.
///
/// It is not authenticated and can be forged: treat it as a hint.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub struct PeerError {
    /// Destination of the datagram, if the system reports it.
    pub peer: Option<SocketAddr>,
    /// Address that reported the error: the peer or a router on the path.
    pub reporter: Option<IpAddr>,
    /// The reason.
    pub reason: PeerErrorReason,
}

impl PeerError {
    /// `None` for errors of the kernel about its own call.
    pub(crate) fn from_queue(error: QueuedError) -> Option<Self> {
        let reason = match error.origin {
            ErrorOrigin::Icmp => PeerErrorReason::from_icmp(error.kind, error.code, error.info),
            ErrorOrigin::Icmpv6 => PeerErrorReason::from_icmpv6(error.kind, error.code, error.info),
            ErrorOrigin::Local => return None,
        };
        Some(Self {
            peer: error.to,
            reporter: error.reporter,
            reason,
        })
    }

    /// For systems that report only that a datagram failed.
    pub(super) fn refused_by_unknown() -> Self {
        Self {
            peer: None,
            reporter: None,
            reason: PeerErrorReason::PortClosed,
        }
    }
}

impl PeerError {
    /// The nearest I/O error kind.
    pub(super) fn io_kind(&self) -> io::ErrorKind {
        match self.reason {
            PeerErrorReason::PortClosed => io::ErrorKind::ConnectionRefused,
            PeerErrorReason::NetworkUnreachable => io::ErrorKind::NetworkUnreachable,
            PeerErrorReason::Prohibited => io::ErrorKind::PermissionDenied,
            _ => io::ErrorKind::HostUnreachable,
        }
    }
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.peer {
            Some(peer) => write!(f, "{peer}: {}", self.reason),
            None => write!(f, "a peer: {}", self.reason),
        }
    }
}

/// Reason in an ICMP error.
///
/// # Source
/// RFC 792, RFC 1812 §5.2.7.1, RFC 4443 §3.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PeerErrorReason {
    /// The host exists, but the port is closed.
    PortClosed,
    /// The host does not answer on its own network.
    HostUnreachable,
    /// There is no route to the network.
    NetworkUnreachable,
    /// A firewall rejects the datagram.
    Prohibited,
    /// The datagram exceeds the path MTU, and fragmentation is forbidden.
    TooBig {
        /// The MTU, IP header included, in bytes.
        mtu_bytes: u32,
    },
    /// The hop limit was exceeded.
    TimeExceeded,
    /// Anything else.
    Other {
        /// The ICMP type.
        kind: u8,
        /// The ICMP code.
        code: u8,
    },
}

impl PeerErrorReason {
    fn from_icmp(kind: u8, code: u8, info: u32) -> Self {
        match (kind, code) {
            (3, 0 | 6 | 11) => Self::NetworkUnreachable,
            (3, 1 | 5 | 7 | 8 | 12) => Self::HostUnreachable,
            (3, 2 | 3) => Self::PortClosed,
            (3, 4) => Self::TooBig { mtu_bytes: info },
            (3, 9 | 10 | 13) => Self::Prohibited,
            (11, _) => Self::TimeExceeded,
            _ => Self::Other { kind, code },
        }
    }

    fn from_icmpv6(kind: u8, code: u8, info: u32) -> Self {
        match (kind, code) {
            (1, 0) => Self::NetworkUnreachable,
            (1, 1 | 5 | 6) => Self::Prohibited,
            (1, 2 | 3) => Self::HostUnreachable,
            (1, 4) => Self::PortClosed,
            (2, _) => Self::TooBig { mtu_bytes: info },
            (3, _) => Self::TimeExceeded,
            _ => Self::Other { kind, code },
        }
    }
}

impl fmt::Display for PeerErrorReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PortClosed => f.write_str("port closed"),
            Self::HostUnreachable => f.write_str("host unreachable"),
            Self::NetworkUnreachable => f.write_str("network unreachable"),
            Self::Prohibited => f.write_str("prohibited by a firewall"),
            Self::TooBig { mtu_bytes } => write!(f, "packet over {mtu_bytes} bytes"),
            Self::TimeExceeded => f.write_str("too many routers"),
            Self::Other { kind, code } => write!(f, "ICMP type {kind} code {code}"),
        }
    }
}

/// The newest errors, oldest first.
#[derive(Debug, Default)]
pub(super) struct PeerErrors {
    newest: VecDeque<PeerError>,
}

impl PeerErrors {
    /// Keeps `error`, and drops the oldest one if the queue is full.
    pub(super) fn push(&mut self, error: PeerError) {
        if self.newest.len() == MAX_KEPT {
            self.newest.pop_front();
        }
        self.newest.push_back(error);
    }

    pub(super) fn pop(&mut self) -> Option<PeerError> {
        self.newest.pop_front()
    }
}

/// Any host can send ICMP packets, so the queue is bounded.
const MAX_KEPT: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: u8) -> PeerError {
        PeerError {
            peer: None,
            reporter: None,
            reason: PeerErrorReason::Other { kind, code: 0 },
        }
    }

    #[test]
    fn a_closed_port_reads_the_same_in_both_families() {
        assert_eq!(
            PeerErrorReason::from_icmp(3, 3, 0),
            PeerErrorReason::PortClosed
        );
        assert_eq!(
            PeerErrorReason::from_icmpv6(1, 4, 0),
            PeerErrorReason::PortClosed
        );
    }

    #[test]
    fn too_big_carries_the_mtu() {
        let expected = PeerErrorReason::TooBig { mtu_bytes: 1280 };
        assert_eq!(PeerErrorReason::from_icmp(3, 4, 1280), expected);
        assert_eq!(PeerErrorReason::from_icmpv6(2, 0, 1280), expected);
    }

    #[test]
    fn what_the_kernel_says_of_its_own_call_is_no_peer_error() {
        let local = QueuedError {
            origin: ErrorOrigin::Local,
            kind: 0,
            code: 0,
            info: 0,
            to: None,
            reporter: None,
        };
        assert_eq!(PeerError::from_queue(local), None);
    }

    #[test]
    fn the_oldest_is_forgotten_at_the_limit() {
        let mut errors = PeerErrors::default();
        for kind in 0..=64 {
            errors.push(error(kind));
        }
        assert_eq!(
            errors.pop(),
            Some(error(1)),
            "the 65th pushed out the first"
        );
        assert_eq!(std::iter::from_fn(|| errors.pop()).count(), MAX_KEPT - 1);
    }
}
