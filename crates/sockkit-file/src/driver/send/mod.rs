//! Sends what a [`FileSet`](crate::FileSet) holds, or whatever else can be read.

mod outgoing;
mod source;
mod worker;

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

pub use self::{
    outgoing::{Outgoing, greet},
    source::{FileSource, SourceFile},
};
use super::{
    io_loop::TransferIoError,
    progress::{OnProgress, Summary},
};
use crate::session::SessionError;

/// How to send.
#[derive(Clone, Debug)]
#[must_use = "a config does nothing until something is sent with it"]
pub struct SendConfig {
    name: String,
    idle_timeout: Duration,
    handshake_timeout: Duration,
    answer_timeout: Duration,
    stall_timeout: Duration,
    on_progress: OnProgress,
}

impl Default for SendConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            idle_timeout: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(3600),
            stall_timeout: Duration::from_secs(300),
            on_progress: OnProgress::default(),
        }
    }
}

impl SendConfig {
    /// Display name shown to the user at the receiver. Default: empty.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// How long no byte may move in either direction. Default: 30 s. It is not
    /// a limit for the whole transfer.
    pub fn idle_timeout(mut self, idle_timeout: Duration) -> Self {
        self.idle_timeout = idle_timeout;
        self
    }

    /// How long the receiver may take to say hello, in all. Default: 10 s.
    pub fn handshake_timeout(mut self, handshake_timeout: Duration) -> Self {
        self.handshake_timeout = handshake_timeout;
        self
    }

    /// How long the receiver may take to answer the offer, in all: while others
    /// come first there, and while a person decides. Default: an hour.
    pub fn answer_timeout(mut self, answer_timeout: Duration) -> Self {
        self.answer_timeout = answer_timeout;
        self
    }

    /// How long a receiver that is alive may let the transfer stand, as while a
    /// slow disk is synced. Default: 5 minutes.
    pub fn stall_timeout(mut self, stall_timeout: Duration) -> Self {
        self.stall_timeout = stall_timeout;
        self
    }

    /// Called with each step of progress. Default: not called.
    pub fn on_progress(mut self, on_progress: OnProgress) -> Self {
        self.on_progress = on_progress;
        self
    }
}

/// Offers `source` to the receiver at the other end of `stream` and sends what
/// it accepts.
///
/// It does not matter which side listened. Files that change, vanish or cannot
/// be read while the others are sent are named in the summary. [`greet`] lets a
/// user see who asks before anything is offered.
///
/// # Errors
/// If the connection or the peer failed. What the receiver had verified by
/// then stays there, and the next attempt resumes from it.
///
/// # Cancel safety
/// Not cancel safe in the sense that the session cannot be continued; but
/// dropping the future is the way to stop a transfer. The worker thread ends
/// at its next piece, and the receiver keeps a part that can be resumed.
pub async fn send<S>(
    stream: S,
    source: impl FileSource,
    config: &SendConfig,
) -> Result<Summary, SendError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let outgoing = greet(stream, source.manifest().clone(), config).await?;
    outgoing.offer(source).await
}

/// Why files could not be sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The connection or the peer failed: try again, it can be resumed.
    #[error(transparent)]
    Io(#[from] TransferIoError),
    /// The peer broke the protocol, or ended the session and said why.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The worker thread was lost, as when the runtime shuts down.
    #[error("worker thread was stopped")]
    Worker,
}
