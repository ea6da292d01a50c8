//! Errors of a UDP endpoint.

use std::{io, net::SocketAddr, time::Duration};

use super::PeerError;

/// Error from a call on a UDP endpoint.
///
/// The endpoint remains usable after each of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UdpError {
    /// The endpoint could not be connected to the peer.
    #[error("cannot connect to {peer}")]
    Connect {
        /// The requested peer.
        peer: SocketAddr,
        /// Error from the operating system.
        source: io::Error,
    },
    /// The operating system rejected some datagrams of a batch; the others were
    /// sent.
    #[error(
        "{refused} of {datagrams} datagrams refused, the first one to {}{}",
        destination(*to),
        advice(source)
    )]
    Send {
        /// Number of datagrams in the batch.
        datagrams: usize,
        /// Number of datagrams that were not sent.
        refused: usize,
        /// Index of the first that was not sent.
        first: usize,
        /// Destination of that datagram; `None` for the connected peer.
        to: Option<SocketAddr>,
        /// Error from the operating system.
        source: io::Error,
    },
    /// An ICMP error reports the connected peer unreachable.
    #[error(transparent)]
    Peer(PeerError),
    /// Nothing arrived within the read timeout, or the send buffer stayed full
    /// for the write timeout.
    #[error("not ready within {timeout:?}")]
    TimedOut {
        /// The timeout.
        timeout: Duration,
    },
    /// The operating system failed: retrying may help.
    #[error("socket failed")]
    Io(#[from] io::Error),
}

impl UdpError {
    fn io_kind(&self) -> io::ErrorKind {
        match self {
            Self::Connect { source, .. } | Self::Send { source, .. } | Self::Io(source) => {
                source.kind()
            }
            Self::Peer(error) => error.io_kind(),
            Self::TimedOut { .. } => io::ErrorKind::TimedOut,
        }
    }
}

impl From<UdpError> for io::Error {
    /// Keeps the error's kind, and puts its whole text into the message.
    fn from(error: UdpError) -> Self {
        Self::new(error.io_kind(), error)
    }
}

fn destination(to: Option<SocketAddr>) -> String {
    to.map_or_else(|| "the connected peer".to_owned(), |to| to.to_string())
}

fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => {
            " (a broadcast address needs the option `broadcast`; or a firewall rejects it)"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(to: Option<SocketAddr>, kind: io::ErrorKind) -> String {
        UdpError::Send {
            datagrams: 3,
            refused: 2,
            first: 1,
            to,
            source: kind.into(),
        }
        .to_string()
    }

    #[test]
    fn an_io_error_has_the_kind_of_the_cause() {
        let address = SocketAddr::from(([127, 0, 0, 1], 9));
        for (error, kind) in [
            (
                UdpError::Connect {
                    peer: address,
                    source: io::ErrorKind::NetworkUnreachable.into(),
                },
                io::ErrorKind::NetworkUnreachable,
            ),
            (
                UdpError::TimedOut {
                    timeout: Duration::from_secs(1),
                },
                io::ErrorKind::TimedOut,
            ),
            (
                UdpError::Io(io::ErrorKind::OutOfMemory.into()),
                io::ErrorKind::OutOfMemory,
            ),
        ] {
            let text = error.to_string();
            let error = io::Error::from(error);
            assert_eq!((error.kind(), error.to_string()), (kind, text));
        }
    }

    #[test]
    fn a_refusal_names_the_destination_and_what_to_do() {
        let everybody = SocketAddr::from(([255, 255, 255, 255], 9));
        assert_eq!(
            text(None, io::ErrorKind::InvalidInput),
            "2 of 3 datagrams refused, the first one to the connected peer"
        );
        let refused = text(Some(everybody), io::ErrorKind::PermissionDenied);
        assert!(
            refused.starts_with("2 of 3 datagrams refused, the first one to 255.255.255.255:9")
        );
        assert!(refused.contains("option `broadcast`"), "{refused}");
    }
}
