//! Errors of a channel.

use std::{io, net::SocketAddr};

use sockkit_codec::{
    frame::FrameReadError,
    shard::{Missing, ShardError, SplitError},
};
use sockkit_core::{
    BindError,
    multicast::MulticastError,
    tcp::{End, Timeout},
    udp::UdpError,
};

#[cfg(feature = "quic")]
use crate::quic;
use crate::{Address, DialError, FailedBy, ListenError, ResolveError};

/// Error from opening a channel, or from binding a listener for channels.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// There is no destination.
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
    /// A sender either sends to addresses or accepts connections.
    #[error("{first} and {other} cannot be served by one sender: use two")]
    MixedTransports {
        /// The first address.
        first: Address,
        /// One of the other kind.
        other: Address,
    },
    /// A key was given, but keys seal datagrams, not connections.
    #[error(
        "only datagrams can be sealed, and {address} is for connections: use quic://, or no key"
    )]
    NotSealed {
        /// The address.
        address: Address,
    },
    /// Keys go only to an authenticated peer, and over a connection to it.
    #[error("{address} is no udp:// address of one machine, or peers are not authenticated")]
    NoSubscription {
        /// The address.
        address: Address,
    },
    /// A key was given, but the connection hands over those of its datagrams.
    #[error("the connection to {address} hands over the keys: leave out the one that was given")]
    KeyUnused {
        /// The address.
        address: Address,
    },
    /// A group was given, but only those that subscribe are admitted to one.
    #[error(
        "{address} is not listened at for subscribers, whom groups are for: leave the group out"
    )]
    GroupUnused {
        /// The address.
        address: Address,
    },
    /// The address cannot be resolved.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The address cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The UDP socket failed.
    #[error(transparent)]
    Udp(#[from] UdpError),
    /// The group cannot be joined.
    #[error(transparent)]
    Multicast(#[from] MulticastError),
    /// The address to listen at cannot be bound.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The operating system failed.
    #[error("socket failed")]
    Io(#[from] io::Error),
}

impl DialError {
    /// The corresponding reason of an ended connection.
    pub fn end(&self) -> End {
        match self {
            Self::Resolve(ResolveError::Resolver { source, .. }) => End::from_io(source),
            Self::Resolve(_) => End::Failed(io::ErrorKind::NotFound),
            Self::Scheme(_) => End::Failed(io::ErrorKind::InvalidInput),
            Self::TimedOut { .. } => End::TimedOut(Timeout::Connect),
            Self::Refused(_) => End::Refused,
            Self::OtherProtocol(_) => End::Failed(io::ErrorKind::InvalidData),
            // TCP resets a connection over the limit.
            Self::Busy(_) => End::Reset,
            #[cfg(feature = "pairing")]
            Self::NotTrusted { .. } => End::Failed(io::ErrorKind::PermissionDenied),
            Self::Failed(failed) => failed.end(),
        }
    }
}

impl FailedBy {
    fn end(&self) -> End {
        match self {
            Self::Tcp(error) => error.end(),
            #[cfg(feature = "tls")]
            Self::Tls { source, .. } => End::from_io(source),
            #[cfg(feature = "quic")]
            Self::Quic(
                quic::ConnectError::Io(source) | quic::ConnectError::Broken { source, .. },
            ) => End::from_io(source),
            #[cfg(feature = "quic")]
            Self::Quic(_) => End::Unreachable,
            Self::Io(error) => End::from_io(error),
        }
    }
}

/// Error from sending a message, to one or several destinations.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The message exceeds the channel's limit. The channel remains usable.
    #[error(transparent)]
    TooLong(#[from] SplitError),
    /// The operating system rejected some datagrams. The next message may
    /// succeed.
    #[error(transparent)]
    Udp(#[from] UdpError),
    /// The connection has ended, or its peer is too slow.
    #[error("connection ended")]
    Ended(#[from] io::Error),
}

impl SendError {
    /// Whether the channel can send no further message.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Ended(_))
    }
}

/// Error from receiving a message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecvError {
    /// A malformed datagram, or one that contradicts its message. Receive
    /// again.
    #[error("invalid datagram from {from}")]
    Refused {
        /// Source address of the datagram.
        from: SocketAddr,
        /// The error.
        source: ShardError,
    },
    /// A datagram that cannot be opened with this channel's key. Receive again.
    #[error("datagram from {from} not opened")]
    NotOpened {
        /// Source address of the datagram.
        from: SocketAddr,
        /// The error.
        source: OpenError,
    },
    /// A datagram from another host, or to another address, than configured; it
    /// was ignored. Receive again.
    #[error("datagram from {from} is not for this channel")]
    Filtered {
        /// Source address of the datagram.
        from: SocketAddr,
    },
    /// Some shards of a message of the [preferred](super::Channel::prefer) sender did not
    /// come. It can be asked for them, see
    /// [`ChannelSender::repair`](super::ChannelSender::repair); then receive on.
    #[error("a message from {from} is not whole")]
    Incomplete {
        /// The address that the others came from.
        from: SocketAddr,
        /// What would make it whole.
        missing: Missing,
    },
    /// The socket failed temporarily. Receive again after a pause.
    #[error(transparent)]
    Udp(#[from] UdpError),
    /// A QUIC stream whose message exceeds the limit, and which was stopped.
    /// Receive again.
    #[error("message from {from} exceeds the limit of {limit} bytes or the free buffer space")]
    TooLong {
        /// The peer.
        from: SocketAddr,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The peer broke the framing. The connection is unusable.
    #[error("peer broke the framing")]
    Frame(#[source] FrameReadError),
    /// The peer has closed its side gracefully.
    #[error("peer has closed the connection")]
    Finished,
    /// The connection failed.
    #[error("connection failed")]
    Failed(#[source] io::Error),
}

/// Why a datagram was not opened. The state is unchanged: the next one may come
/// from another sender.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It is not sealed, but this side accepts only sealed ones.
    #[error("it is not sealed")]
    NotSealed,
    /// No datagram of its stream was opened yet: another key, or forged.
    #[error("it is sealed with another key")]
    OtherKey,
    /// Its stream is known, but it was altered.
    #[error("it is not as its sender sealed it")]
    Altered,
    /// It was received before, is too far behind, or was sent before this side
    /// started.
    #[error("it was taken before, or is too old")]
    NotNew,
    /// It belongs to a stream that this side was not told of.
    #[error("it is of another stream")]
    OtherStream,
    /// The key of its epoch was not told, or is not accepted any more.
    #[error("its key is not held here")]
    OtherEpoch,
    /// It completes a message that its group's sender has not signed, or that was received
    /// before.
    #[error("its message is not its sender's")]
    NotSigned,
    /// It is not a shard.
    #[error(transparent)]
    Shard(ShardError),
}

impl RecvError {
    /// Why the channel has ended; `None` if it has not.
    pub fn end(&self) -> Option<End> {
        match self {
            Self::Refused { .. }
            | Self::NotOpened { .. }
            | Self::Filtered { .. }
            | Self::Incomplete { .. }
            | Self::Udp(_)
            | Self::TooLong { .. } => None,
            Self::Frame(FrameReadError::Truncated { .. }) | Self::Finished => Some(End::Finished),
            Self::Frame(_) => Some(End::Failed(io::ErrorKind::InvalidData)),
            Self::Failed(error) => Some(End::from_io(error)),
        }
    }

    /// Whether the peer violated the protocol.
    pub fn is_peers_fault(&self) -> bool {
        match self {
            Self::TooLong { .. } => true,
            // A sealed datagram may be valid for other receivers.
            Self::Refused { source, .. } => *source != ShardError::Sealed,
            // The network may repeat datagrams, and unsealed ones are valid elsewhere.
            Self::NotOpened { source, .. } => {
                matches!(source, OpenError::Altered | OpenError::Shard(_))
            }
            Self::Frame(error) => !matches!(error, FrameReadError::Truncated { .. }),
            _ => false,
        }
    }
}

impl From<FrameReadError> for RecvError {
    fn from(error: FrameReadError) -> Self {
        match error {
            FrameReadError::Io(error) => Self::Failed(error),
            error => Self::Frame(error),
        }
    }
}
