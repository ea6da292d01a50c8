//! What can fail about streams of pictures.

use std::{io, net::SocketAddr};

use sockkit_core::{BindError, multicast::MulticastError, udp::UdpError};

/// Why a stream cannot begin.
///
/// A stream that runs does not fail: it counts what went wrong and goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// There is nobody to send to.
    #[error("no destination to send to")]
    NoDestination,
    /// One socket cannot send to both IP versions.
    #[error("{first} and {other} are of different IP versions: use two senders")]
    MixedVersions {
        /// The first destination.
        first: SocketAddr,
        /// One of the other IP version.
        other: SocketAddr,
    },
    /// The UDP socket could not be had.
    #[error(transparent)]
    Udp(#[from] UdpError),
    /// The group could not be joined.
    #[error(transparent)]
    Multicast(#[from] MulticastError),
    /// The address could not be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The operating system failed us.
    #[error("socket failed")]
    Io(#[from] io::Error),
}
