//! Sends what a [`Source`] holds.

mod worker;

use std::time::Duration;

use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::spawn_blocking,
};

use self::worker::SendWorker;
use super::{
    handshake,
    progress::{OnProgress, Summary},
    pump::{LinkError, Pump, PumpConfig},
};
use crate::{
    Source,
    session::{RefuseReason, SenderEvent, SenderSession, SessionError},
};

/// How to send.
#[derive(Clone, Debug)]
#[must_use = "a config does nothing until something is sent with it"]
pub struct SendConfig {
    name: String,
    idle_timeout: Duration,
    answer_timeout: Duration,
    on_progress: OnProgress,
}

impl Default for SendConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            idle_timeout: Duration::from_secs(30),
            answer_timeout: Duration::from_secs(300),
            on_progress: OnProgress::default(),
        }
    }
}

impl SendConfig {
    /// Who the receiver's person is told that it is. Default: nobody.
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

    /// How long a peer that is alive may let the transfer stand: while a person
    /// decides, or while a slow disk is synced. Default: 5 minutes.
    pub fn answer_timeout(mut self, answer_timeout: Duration) -> Self {
        self.answer_timeout = answer_timeout;
        self
    }

    /// Who is told of progress. Default: nobody.
    pub fn on_progress(mut self, on_progress: OnProgress) -> Self {
        self.on_progress = on_progress;
        self
    }
}

/// Offers `source` to the receiver at the other end of `stream` and sends what
/// it accepts.
///
/// It does not matter which side listened. Files that change, vanish or cannot
/// be read while the others are sent are named in the summary.
///
/// # Errors
/// If the connection or the peer failed. What the receiver had verified by
/// then stays there, and the next attempt goes on from it.
///
/// # Cancel safety
/// Not cancel safe in the sense that the session cannot be continued; but
/// dropping the future is the way to stop a transfer. The worker thread ends
/// at its next piece, and the receiver keeps a part that can be resumed.
pub async fn send<S>(
    mut stream: S,
    source: Source,
    config: &SendConfig,
) -> Result<Summary, SendError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut session = SenderSession::new(&config.name, source.manifest().clone());
    let refused = match offer(&mut stream, &mut session, config).await {
        Ok(refused) => refused,
        Err(error) => {
            if let SendError::Session(error) = &error {
                error
                    .abort()
                    .into_iter()
                    .for_each(|abort| session.abort(abort));
                handshake::part(&mut stream, session.poll_transmit()).await;
            }
            return Err(error);
        }
    };
    let (pump, link) = Pump::new(PumpConfig {
        idle_timeout: config.idle_timeout,
        patience: config.answer_timeout,
        read_buffer_bytes: CONTROL_BUFFER_BYTES,
        // Only the worker knows where a message ends.
        heartbeat: None,
    });
    let worker = SendWorker::new(source, session, refused, link, config);
    let worker = spawn_blocking(move || worker.run());
    let pumped = pump.run(stream).await;
    let worked = worker.await.unwrap_or(Err(SendError::Worker));
    match (worked, pumped) {
        // The worker only saw its channel close; the pump knows why.
        (Err(SendError::Link(LinkError::Closed)), Err(error)) => Err(error.into()),
        (worked, _) => worked,
    }
}

/// Why files could not be sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The connection or the peer failed: try again, it can be resumed.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The peer broke the protocol, or ended the session and said why.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The worker thread was lost, as when the runtime shuts down.
    #[error("worker thread was stopped")]
    Worker,
}

/// Up to the receiver's answer; returns what it refuses.
async fn offer<S>(
    stream: &mut S,
    session: &mut SenderSession,
    config: &SendConfig,
) -> Result<Vec<(u32, RefuseReason)>, SendError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut buffer = Vec::new();
    let mut patience = config.idle_timeout;
    loop {
        while let Some(bytes) = session.poll_transmit() {
            handshake::write(stream, &bytes, config.idle_timeout).await?;
        }
        handshake::read(stream, &mut buffer, patience).await?;
        let mut input = buffer.as_slice();
        while let Some(event) = session.handle_input(&mut input)? {
            match event {
                // From here on a person may be thinking.
                SenderEvent::Peer(_) => patience = config.answer_timeout,
                SenderEvent::Answered { refused } => return Ok(refused),
                SenderEvent::Reported(_) => unreachable!("nothing was sent yet"),
            }
        }
    }
}

const CONTROL_BUFFER_BYTES: usize = 16 << 10;
