//! Errors of listeners, dialling and lost connections.

use std::{io, net::SocketAddr, time::Duration};

use quinn::{ConnectionError, TransportErrorCode, VarInt};
use sockkit_core::{options::OptionError, udp::PeerError};

/// Error from dialling.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The name has no address, or the resolver failed.
    #[error("cannot resolve the name")]
    Resolve(#[source] io::Error),
    /// The name has no address.
    #[error("no address to connect to")]
    NoAddress,
    /// A socket option could not be set.
    #[error("cannot set socket options")]
    Options(#[from] OptionError),
    /// An ICMP error reports the address unreachable.
    #[error("{address}: {}", .reason.reason)]
    Refused {
        /// The dialled address.
        address: SocketAddr,
        /// The ICMP error. It is not authenticated and can be forged.
        reason: PeerError,
    },
    /// No reply: the port is closed and a firewall drops the refusal, or the
    /// peer does not speak QUIC.
    #[error("{address} did not answer within {timeout:.1?}")]
    TimedOut {
        /// The dialled address.
        address: SocketAddr,
        /// The timeout.
        timeout: Duration,
    },
    /// The peer speaks QUIC, but another application protocol or version.
    #[error("{address} speaks another protocol over QUIC")]
    OtherProtocol {
        /// The dialled address.
        address: SocketAddr,
    },
    /// The peer has reached its connection limit: try again later.
    #[error("{address} has reached its connection limit")]
    Busy {
        /// The dialled address.
        address: SocketAddr,
    },
    /// The connection failed during the handshake.
    #[error("{address} closed the connection during the handshake")]
    Broken {
        /// The dialled address.
        address: SocketAddr,
        /// The error.
        source: io::Error,
    },
    /// The operating system failed: retrying may help. `InvalidInput` means an
    /// address that cannot receive datagrams, such as port 0.
    #[error("socket failed")]
    Io(#[from] io::Error),
}

impl ConnectError {
    pub(super) fn from_quinn(
        address: SocketAddr,
        error: ConnectionError,
        timeout: Duration,
    ) -> Self {
        match &error {
            ConnectionError::TimedOut => Self::TimedOut { address, timeout },
            ConnectionError::VersionMismatch => Self::OtherProtocol { address },
            ConnectionError::TransportError(error) if is_other_protocol(error.code) => {
                Self::OtherProtocol { address }
            }
            ConnectionError::ConnectionClosed(close) if is_other_protocol(close.error_code) => {
                Self::OtherProtocol { address }
            }
            ConnectionError::ConnectionClosed(close)
                if close.error_code == TransportErrorCode::CONNECTION_REFUSED =>
            {
                Self::Busy { address }
            }
            _ => Self::Broken {
                address,
                source: told(error),
            },
        }
    }
}

/// The TLS alert for "no common protocol".
fn is_other_protocol(code: TransportErrorCode) -> bool {
    code == TransportErrorCode::crypto(NO_APPLICATION_PROTOCOL)
}

/// The I/O error of a lost connection: `TimedOut` for a peer that vanished,
/// `ConnectionAborted` for one that closed, and `ConnectionReset` for one that
/// no longer knows the connection.
pub(crate) fn lost(error: ConnectionError) -> io::Error {
    match error {
        ConnectionError::TimedOut => io::Error::new(io::ErrorKind::TimedOut, Lost::Vanished),
        ConnectionError::ApplicationClosed(close) if close.error_code == ABANDONED => abandoned(),
        other => told(other),
    }
}

/// A close may carry text chosen by the peer. It is escaped, because it may
/// contain terminal control sequences.
fn told(error: ConnectionError) -> io::Error {
    let closed = matches!(
        error,
        ConnectionError::ApplicationClosed(_) | ConnectionError::ConnectionClosed(_)
    );
    let text = error.to_string();
    let error = io::Error::from(error);
    match closed {
        true => io::Error::new(error.kind(), text.escape_debug().to_string()),
        false => error,
    }
}

/// The peer dropped the connection before it was done.
pub(super) fn abandoned() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, Lost::Dropped)
}

/// How a connection was lost.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("peer vanished: idle timeout")]
    Vanished,
    #[error("peer dropped the connection before it was done")]
    Dropped,
}

/// Sent by a side that is done: its data is acknowledged, and the peer's data
/// is read.
pub(super) const CLOSE_OK: VarInt = VarInt::from_u32(0);

/// Sent by a side that abandons the connection or a direction of it.
pub(super) const ABANDONED: VarInt = VarInt::from_u32(1);

/// The TLS alert of RFC 7301.
const NO_APPLICATION_PROTOCOL: u8 = 120;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peers_reason_for_closing_is_escaped() {
        let close = quinn::ApplicationClose {
            error_code: VarInt::from_u32(7),
            reason: bytes::Bytes::from_static(b"\x1b[2Jbye\xc2\x9b"),
        };
        let error = lost(ConnectionError::ApplicationClosed(close));
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        let shown = error.to_string();
        assert!(shown.contains(r"\u{1b}[2Jbye\u{9b}"), "{shown}");
    }
}
