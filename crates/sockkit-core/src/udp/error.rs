//! What can fail on a UDP endpoint.

use std::{io, net::SocketAddr, time::Duration};

use super::PeerError;
use crate::options::OptionError;

/// Why a call on a UDP endpoint failed.
///
/// The endpoint stays usable after each of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UdpError {
    /// The address could not be bound: taken, not this machine's, or reserved.
    #[error("cannot bind {address}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// An option could not be set.
    #[error("cannot set the socket up")]
    Options(#[from] OptionError),
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
    /// Nothing arrived within the read deadline, or there was no room to send
    /// within the write deadline.
    #[error("not ready within {after:?}")]
    TimedOut {
        /// The deadline.
        after: Duration,
    },
    /// The operating system failed us: retrying may help.
    #[error("socket failed")]
    Io(#[from] io::Error),
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
