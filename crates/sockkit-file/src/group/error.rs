//! Why a transfer to a group failed.

use std::{io, time::Duration};

use super::{BlockChanged, LayoutError, MessageError, ReadError};
use crate::SendError;
use sockkit_core::{BindError, multicast::MulticastError};

/// Error of a transfer to a group, or of one member's part in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// The connection failed.
    #[error("connection failed")]
    Io(#[from] io::Error),
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
