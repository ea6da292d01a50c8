//! What can fail on a UDP endpoint.

use std::{io, net::SocketAddr, time::Duration};

use super::PeerError;

/// Why a call on a UDP endpoint failed.
///
/// The endpoint stays usable after each of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UdpError {
    /// The address could not be made the only peer.
    #[error("cannot connect to {peer}")]
    Connect {
        /// The address asked for.
        peer: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Some of a batch was refused by the system; the rest was sent.
    #[error(
        "{refused} of {datagrams} datagrams refused, the first one to {}{}",
        destination(*to),
        advice(source)
    )]
    Send {
        /// How many were asked for.
        datagrams: usize,
        /// How many of them were not sent.
        refused: usize,
        /// The index of the first that was not sent.
        first: usize,
        /// Where that one should have gone; `None` for the connected peer.
        to: Option<SocketAddr>,
        /// What the system said about it.
        source: io::Error,
    },
    /// Word came back that the connected peer cannot be reached.
    #[error(transparent)]
    Peer(PeerError),
    /// Nothing arrived within the read timeout, or there was no room to send
    /// within the write timeout.
    #[error("not ready within {timeout:?}")]
    TimedOut {
        /// The timeout.
        timeout: Duration,
    },
    /// The operating system failed us: retrying may help.
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
    /// An error of the same kind, with all that is known in its text.
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
            " (a broadcast address needs the option `broadcast`; a firewall may refuse too)"
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
