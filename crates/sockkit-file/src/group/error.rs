//! Why a transfer to a group failed.

use std::{io, time::Duration};

use super::{BlockChanged, LayoutError, MessageError, ReadError};
use crate::{
    SendError, TransferIoError,
    session::{Abort, SessionError},
};
use sockkit_core::{BindError, multicast::MulticastError};

/// Error of a transfer to a group, or of one member's part in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// The connection failed.
    #[error("connection failed")]
    Io(#[source] io::Error),
    /// The connection was closed before the end: the other side was killed, or its network
    /// is gone.
    #[error("the other side went away")]
    Gone,
    /// The sender ended the transfer, and said why.
    #[error("sender ended the transfer: {0}")]
    Ended(Abort),
    /// The other side said nothing for this long.
    #[error("other side did not answer for {after:?}")]
    Silent {
        /// Timeout.
        after: Duration,
    },
    /// The offer was not there after this long.
    #[error("other side did not make its offer within {after:?}")]
    Slow {
        /// Timeout.
        after: Duration,
    },
    /// A message is longer than any correct one.
    #[error("message of {bytes} bytes is too long")]
    TooLong {
        /// Announced length.
        bytes: u32,
    },
    /// A message is not valid.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// A valid message that no correct peer sends now.
    #[error("other side broke the protocol: {0}")]
    Protocol(&'static str),
    /// The files are too large for a group.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A file could not be read at the sender.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What arrived is not what the sender announced.
    #[error(transparent)]
    Changed(#[from] BlockChanged),
    /// The socket of the group could not be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The group could not be joined, or not be sent to.
    #[error(transparent)]
    Multicast(#[from] MulticastError),
    /// Nothing can be sent to the group.
    #[error("cannot send to the group")]
    Send(#[from] sockkit_core::udp::UdpError),
    /// Nothing can be received from the group.
    #[error("cannot receive from the group")]
    Receive(#[source] sockkit_core::udp::UdpError),
    /// What arrives cannot be kept in the temporary file.
    #[error("cannot keep what arrives")]
    Spool(#[source] io::Error),
    /// The disk has no room for the temporary file: free some space, then resume.
    #[error(
        "{needed_bytes} bytes are needed until the end beside the files, \
         {available_bytes} are free"
    )]
    NoSpace {
        /// Bytes of all files.
        needed_bytes: u64,
        /// Bytes free at the destination.
        available_bytes: u64,
    },
    /// What was received could not be handed to the receiving session.
    #[error(transparent)]
    Session(#[from] SendError),
    /// The system's random source failed.
    #[error("no random key")]
    Random(#[source] io::Error),
    /// A worker ended unexpectedly.
    #[error("worker ended unexpectedly")]
    Worker,
}

/// Of the connection.
impl From<io::Error> for GroupError {
    fn from(error: io::Error) -> Self {
        match TransferIoError::from(error) {
            TransferIoError::Io(error) => Self::Io(error),
            _ => Self::Gone,
        }
    }
}

impl GroupError {
    /// The reason to tell the other side; `None` if it is not there any more, or has ended
    /// the transfer.
    pub(super) fn abort(&self) -> Option<Abort> {
        match self {
            Self::Session(SendError::Session(SessionError::Aborted(reason))) => Some(*reason),
            Self::Session(SendError::Session(error)) => error.abort(),
            Self::NoSpace {
                needed_bytes,
                available_bytes,
            } => Some(Abort::NoSpace {
                needed: *needed_bytes,
                available: *available_bytes,
            }),
            Self::Spool(_) | Self::Read(_) => Some(Abort::Io),
            Self::Changed(_) => Some(Abort::Mismatch),
            Self::Message(_) | Self::TooLong { .. } | Self::Protocol(_) => Some(Abort::Protocol),
            Self::Silent { .. } | Self::Slow { .. } => Some(Abort::TimedOut),
            Self::Io(_) | Self::Gone | Self::Ended(_) => None,
            _ => Some(Abort::Cancelled),
        }
    }
}
