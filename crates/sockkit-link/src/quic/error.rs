//! Why there is no listener, no connection, or no connection any more.

use std::{io, net::SocketAddr, time::Duration};

use quinn::{ConnectionError, TransportErrorCode, VarInt};
use sockkit_core::{options::OptionError, udp::PeerError};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The name has no address, or nobody could be asked for it.
    #[error("cannot resolve the name")]
    Resolve(#[source] io::Error),
    /// The name is known and has no address.
    #[error("no address to connect to")]
    NoAddress,
    /// An option could not be set.
    #[error("cannot set the socket up")]
    Options(#[from] OptionError),
    /// The network says that nobody can be reached there.
    #[error("{address}: {}", .reason.reason)]
    Refused {
        /// Who was dialled.
        address: SocketAddr,
        /// The ICMP message; anybody on the way can forge one.
        reason: PeerError,
    },
    /// No answer. Nobody listens there and a firewall keeps the refusal back, or
    /// whoever does speaks no QUIC.
    #[error("{address} did not answer within {timeout:.1?}")]
    TimedOut {
        /// Who was dialled.
        address: SocketAddr,
        /// The deadline.
        timeout: Duration,
    },
    /// The peer speaks QUIC, and something else over it or another version.
    #[error("{address} speaks another protocol over QUIC")]
    OtherProtocol {
        /// Who was dialled.
        address: SocketAddr,
    },
    /// The peer has all the connections that it takes: try again later.
    #[error("{address} takes no more connections")]
    Busy {
        /// Who was dialled.
        address: SocketAddr,
    },
    /// The connection broke while it was being made.
    #[error("{address} broke the connection off")]
    Broken {
        /// Who was dialled.
        address: SocketAddr,
        /// How.
        source: io::Error,
    },
    /// The operating system failed us: retrying may help. `InvalidInput` is an
    /// address that nothing can be sent to, such as port 0.
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

/// TLS says that the two have no protocol in common.
fn is_other_protocol(code: TransportErrorCode) -> bool {
    code == TransportErrorCode::crypto(NO_APPLICATION_PROTOCOL)
}

/// What a lost connection is to whoever reads or writes it: `TimedOut` for a
/// peer that vanished, `ConnectionAborted` for one that closed, and
/// `ConnectionReset` for one that knows nothing of the connection any more.
pub(crate) fn lost(error: ConnectionError) -> io::Error {
    match error {
        ConnectionError::TimedOut => io::Error::new(io::ErrorKind::TimedOut, Lost::Vanished),
        ConnectionError::ApplicationClosed(close) if close.error_code == ABANDONED => abandoned(),
        other => told(other),
    }
}

/// A close may carry a reason in the peer's own words: they are escaped, for a
/// terminal would obey some.
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

/// The peer dropped the connection before it was through.
pub(super) fn abandoned() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, Lost::Abandoned)
}

/// How a connection was lost.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("peer vanished: nothing was heard of it for too long")]
    Vanished,
    #[error("peer dropped the connection before it was through")]
    Abandoned,
}

/// Closed by a side that was through: all it had to say was acknowledged, and
/// all that the peer had to say was read.
pub(super) const CLOSE_OK: VarInt = VarInt::from_u32(0);

/// Closed, reset and stopped by a side that was not.
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
