//! Why there is no connection, and why nothing listens.

use std::{io, time::Duration};

use sockkit_core::{BindError, tcp};

#[cfg(feature = "pairing")]
use super::pairing::PairingError;
#[cfg(feature = "quic")]
use super::quic;
use super::{Address, ResolveError, Scheme};

/// Why there is no connection to an address.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The address leads to no machine.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// Its scheme carries no stream here.
    #[error(transparent)]
    Scheme(#[from] SchemeError),
    /// No answer in time: the host is down, a firewall drops packets, or another
    /// protocol is spoken at that port.
    #[error("{address} did not answer within {after:.1?}")]
    TimedOut {
        /// What was dialled.
        address: Address,
        /// The time that it had in all.
        after: Duration,
    },
    /// The machine is there, and nothing listens at that port.
    #[error(transparent)]
    Refused(FailedBy),
    /// Something else is spoken there.
    #[error(transparent)]
    OtherProtocol(FailedBy),
    /// The peer has all the connections that it takes: try again later.
    #[error(transparent)]
    Busy(FailedBy),
    /// The peer was reached, and is not trusted, or does not trust this side.
    #[cfg(feature = "pairing")]
    #[error("there is no trust between this machine and {address}")]
    NotTrusted {
        /// What was dialled.
        address: Address,
        /// Why not.
        source: PairingError,
    },
    /// Something else went wrong.
    #[error(transparent)]
    Failed(FailedBy),
}

/// Which transport failed, and how.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FailedBy {
    /// TCP, also below TLS.
    #[error(transparent)]
    Tcp(#[from] tcp::ConnectError),
    /// The TLS handshake.
    #[cfg(feature = "tls")]
    #[error("{address}: no TLS handshake")]
    Tls {
        /// What was dialled.
        address: Address,
        /// What rustls said, or the peer.
        source: io::Error,
    },
    /// QUIC.
    #[cfg(feature = "quic")]
    #[error(transparent)]
    Quic(#[from] quic::ConnectError),
    /// The operating system failed us: retrying may help.
    #[error("socket failed")]
    Io(#[from] io::Error),
}

/// Why nothing listens at an address now.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The host is no address of this machine, or is not known.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The resolver did not answer in time.
    #[error("cannot resolve {address} within {after:.1?}")]
    TimedOut {
        /// Where to listen.
        address: Address,
        /// The time that it had.
        after: Duration,
    },
    /// Its scheme carries no stream here.
    #[error(transparent)]
    Scheme(#[from] SchemeError),
    /// The address cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The operating system failed us: retrying may help.
    #[error("socket failed")]
    Io(#[from] io::Error),
}

/// Why an address carries no stream here.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemeError {
    /// UDP carries messages: a stream over it is QUIC's.
    #[error("{address} carries messages and no stream; write it as tcp:// or quic://")]
    Messages {
        /// The address.
        address: Address,
    },
    /// TLS proves who is there by keys that the node was not given.
    #[error("{address} needs keys; give the node a TLS configuration of that side")]
    NoKeys {
        /// The address.
        address: Address,
    },
    /// The transport is a feature that this program was built without.
    #[error("this program was built without {}://", .0.as_str())]
    NotBuilt(Scheme),
}

impl SchemeError {
    /// Why there is no stream by the scheme of `address`.
    pub(super) fn of(address: &Address) -> Self {
        match address.scheme() {
            Scheme::Udp => Self::Messages {
                address: address.clone(),
            },
            scheme => Self::NotBuilt(scheme),
        }
    }
}
