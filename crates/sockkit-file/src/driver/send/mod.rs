//! Sends the files of a [`FileSet`](crate::FileSet), or any other readable
//! source.

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

/// Settings for sending.
#[derive(Clone, Debug)]
#[must_use = "a config does nothing until something is sent with it"]
pub struct SendConfig {
    pub(crate) name: String,
    idle_timeout: Duration,
    handshake_timeout: Duration,
    answer_timeout: Duration,
    stall_timeout: Duration,
    pub(crate) on_progress: OnProgress,
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

    /// Ends the transfer if no byte moves in either direction for this long.
    /// Default: 30 s. It does not limit the whole transfer.
    pub fn idle_timeout(mut self, idle_timeout: Duration) -> Self {
        self.idle_timeout = idle_timeout;
        self
    }

    /// Timeout until the receiver's hello. Default: 10 s.
    pub fn handshake_timeout(mut self, handshake_timeout: Duration) -> Self {
        self.handshake_timeout = handshake_timeout;
        self
    }

    /// Timeout until the receiver's answer to the offer, including the time
    /// while other peers come first and while a user decides. Default: an hour.
    pub fn answer_timeout(mut self, answer_timeout: Duration) -> Self {
        self.answer_timeout = answer_timeout;
        self
    }

    /// Ends the transfer if a receiver that sends keep-alives makes no progress
    /// for this long, for example while a slow disk is synced. Default: 5
    /// minutes.
    pub fn stall_timeout(mut self, stall_timeout: Duration) -> Self {
        self.stall_timeout = stall_timeout;
        self
    }

    /// Callback for progress events. Default: none.
    pub fn on_progress(mut self, on_progress: OnProgress) -> Self {
        self.on_progress = on_progress;
        self
    }
}

/// Offers `source` to the receiver at the other end of `stream`, and sends what
/// it accepts.
///
/// Either side may have listened. Files that change, disappear or cannot be
/// read during the transfer are listed in the summary. Use [`greet`] to show
/// the receiver to a user before anything is offered.
///
/// # Errors
/// If the connection or the peer failed. The receiver keeps verified data, and
/// the next attempt resumes from it.
///
/// # Cancel safety
/// Not cancel safe, because the session cannot be continued. Dropping the
/// future is the way to stop a transfer: the worker thread ends at its next
/// chunk, and the receiver keeps the verified part, which can be resumed.
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

/// Error from sending files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The connection or the peer failed: try again, the transfer resumes.
    #[error(transparent)]
    Io(#[from] TransferIoError),
    /// The peer violated the protocol, or ended the session with a reason.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The worker thread was stopped, for example because the runtime shut
    /// down.
    #[error("worker thread was stopped")]
    Worker,
}
