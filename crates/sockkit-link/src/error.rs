//! Errors from dialling and listening.

use std::{io, time::Duration};

use sockkit_core::{BindError, tcp};

#[cfg(feature = "pairing")]
use super::pairing::PairingError;
#[cfg(feature = "quic")]
use super::quic;
use super::{Address, ResolveError, Scheme};

/// Error from dialling an address.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The address cannot be resolved.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The scheme does not provide streams here.
    #[error(transparent)]
    Scheme(#[from] SchemeError),
    /// No reply in time: the host is down, a firewall drops packets, or another
    /// protocol is in use at that port.
    #[error("{address} did not answer within {timeout:.1?}")]
    TimedOut {
        /// The dialled address.
        address: Address,
        /// The timeout of the whole attempt.
        timeout: Duration,
    },
    /// The host exists, but the port is closed.
    #[error(transparent)]
    Refused(FailedBy),
    /// The peer speaks another protocol.
    #[error(transparent)]
    OtherProtocol(FailedBy),
    /// The peer has reached its connection limit: try again later.
    #[error(transparent)]
    Busy(FailedBy),
    /// The peer was reached, but is not trusted, or does not trust this side.
    #[cfg(feature = "pairing")]
    #[error("no trust between this machine and {address}")]
    NotTrusted {
        /// The dialled address.
        address: Address,
        /// The reason.
        source: PairingError,
    },
    /// Any other error.
    #[error(transparent)]
    Failed(FailedBy),
}

/// The error of the transport that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FailedBy {
    /// TCP, also below TLS.
    #[error(transparent)]
    Tcp(#[from] tcp::ConnectError),
    /// The TLS handshake failed.
    #[cfg(feature = "tls")]
    #[error("{address}: TLS handshake failed")]
    Tls {
        /// The dialled address.
        address: Address,
        /// Error from rustls or the peer.
        source: io::Error,
    },
    /// QUIC failed.
    #[cfg(feature = "quic")]
    #[error(transparent)]
    Quic(#[from] quic::ConnectError),
    /// The operating system failed: retrying may help.
    #[error("socket failed")]
    Io(#[from] io::Error),
}

/// Error from listening at an address.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The host is not a local address, or cannot be resolved.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The resolver did not reply in time.
    #[error("cannot resolve {address} within {timeout:.1?}")]
    TimedOut {
        /// The address to listen at.
        address: Address,
        /// The timeout.
        timeout: Duration,
    },
    /// The scheme does not provide streams here.
    #[error(transparent)]
    Scheme(#[from] SchemeError),
    /// The address cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The operating system failed: retrying may help.
    #[error("socket failed")]
    Io(#[from] io::Error),
}

/// An address whose scheme does not provide streams here.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemeError {
    /// UDP and routers carry messages. Use QUIC for a stream over UDP.
    #[error("{address} carries messages, not a stream; use tcp:// or quic://")]
    Messages {
        /// The address.
        address: Address,
    },
    /// RTP and RTSP are for players.
    #[error("{address} is for players, not for a stream; use tcp:// or quic://")]
    Players {
        /// The address.
        address: Address,
    },
    /// TLS needs keys, which the node does not have.
    #[error("{address} needs keys; configure the node's TLS for that side")]
    NoKeys {
        /// The address.
        address: Address,
    },
    /// The transport's feature is not enabled in this program.
    #[error("this program was built without {}://", .0.as_str())]
    NotBuilt(Scheme),
}

impl SchemeError {
    /// The error for the scheme of `address`.
    pub(super) fn of(address: &Address) -> Self {
        match address.scheme() {
            Scheme::Udp | Scheme::Zenoh => Self::Messages {
                address: address.clone(),
            },
            Scheme::Rtp | Scheme::Rtsp => Self::Players {
                address: address.clone(),
            },
            scheme => Self::NotBuilt(scheme),
        }
    }
}
