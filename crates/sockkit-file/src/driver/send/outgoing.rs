//! A receiver that has said hello, and may be offered files.

use std::sync::Arc;

use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::spawn_blocking,
};

use super::{FileSource, SendConfig, SendError, worker::SendWorker};
use crate::{
    EntryIndex, Manifest, OnProgress, Progress, Summary,
    driver::{
        handshake::{self, Allowance, HandshakeStream},
        io_loop::{IoLoop, IoLoopConfig, TransferIoError},
    },
    session::{Abort, RefuseReason, SenderEvent, SenderSession},
};

/// Waits for the hello of the receiver at the other end of `stream`. Nothing of
/// `manifest` is sent before [`Outgoing::offer`].
///
/// # Errors
/// If the connection or the peer failed.
///
/// # Cancel safety
/// Not cancel safe: dropping the future closes the connection.
pub async fn greet<S>(
    stream: S,
    manifest: impl Into<Arc<Manifest>>,
    config: &SendConfig,
) -> Result<Outgoing<S>, SendError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut outgoing = Outgoing {
        session: SenderSession::new(&config.name, manifest),
        talk: HandshakeStream::new(stream, config.idle_timeout),
        peer: String::new(),
        busy: false,
        config: config.clone(),
    };
    match outgoing.hello().await {
        Ok(()) => Ok(outgoing),
        Err(error) => Err(outgoing.close_after(error).await),
    }
}

/// A receiver that waits for an offer.
#[derive(Debug)]
#[must_use = "the receiver waits for an offer"]
pub struct Outgoing<S> {
    talk: HandshakeStream<S>,
    session: SenderSession,
    peer: String,
    busy: bool,
    config: SendConfig,
}

impl<S> Outgoing<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    /// The peer's name as received: unauthenticated, and to be printed with
    /// [`quote`](sockkit_codec::text::quote) only.
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// Waits for `decision`, for example a user's, and sends keep-alives to the
    /// receiver in the meantime. There is no timeout.
    ///
    /// # Errors
    /// If the receiver disconnects first, or violates the protocol.
    ///
    /// # Cancel safety
    /// Cancel safe: hold it again, make the offer or decline.
    pub async fn hold<T>(&mut self, decision: impl Future<Output = T>) -> Result<T, SendError> {
        tokio::select! {
            biased;
            error = self.watch() => Err(error),
            decided = decision => Ok(decided),
        }
    }

    /// Declines the receiver.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping it closes the connection without a reply.
    pub async fn decline(self) {
        self.refuse(Abort::Declined).await;
    }

    /// Refuses the receiver with a reason.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping it closes the connection without a reply.
    pub async fn refuse(mut self, reason: Abort) {
        self.session.abort(reason);
        self.talk.close_after(self.session.poll_transmit()).await;
    }

    /// Offers the source whose manifest was passed to [`greet`], and sends what
    /// the receiver accepts.
    ///
    /// # Errors
    /// As [`send`](super::send()).
    ///
    /// # Cancel safety
    /// As [`send`](super::send()).
    pub async fn offer(mut self, source: impl FileSource) -> Result<Summary, SendError> {
        let refused = match self.answer().await {
            Ok(refused) => refused,
            Err(error) => return Err(self.close_after(error).await),
        };
        let (io_loop, link) = IoLoop::new(IoLoopConfig {
            idle_timeout: self.config.idle_timeout,
            stall_timeout: self.config.stall_timeout,
            read_buffer_bytes: CONTROL_BUFFER_BYTES,
            // Only the worker knows where a message ends.
            heartbeat: None,
        });
        let stream = self.talk.into_stream().await?;
        let worker = SendWorker::new(source, self.session, refused, link, &self.config);
        let worker = spawn_blocking(move || worker.run());
        let pumped = io_loop.run(stream).await;
        let worked = worker.await.unwrap_or(Err(SendError::Worker));
        match (worked, pumped) {
            // The worker only saw its channel close; the I/O loop knows why.
            (Err(SendError::Io(TransferIoError::Closed)), Err(error)) => Err(error.into()),
            (worked, _) => worked,
        }
    }

    /// Returns an error when the receiver has disconnected.
    async fn watch(&mut self) -> SendError {
        loop {
            if let Err(error) = self.hear_any(None).await {
                return error;
            }
        }
    }

    /// Handles everything up to the receiver's hello.
    async fn hello(&mut self) -> Result<(), SendError> {
        let allowance = Allowance::begin(self.config.handshake_timeout, 0);
        self.transmit();
        loop {
            if let Some(SenderEvent::Peer(hello)) = self.hear_any(Some(allowance)).await? {
                self.peer = hello.name;
                self.busy = hello.busy;
                return Ok(());
            }
        }
    }

    /// Handles everything up to the receiver's answer; returns what it refused.
    async fn answer(&mut self) -> Result<Vec<(EntryIndex, RefuseReason)>, SendError> {
        let allowance = Allowance::begin(self.config.answer_timeout, 0);
        self.transmit();
        let busy = self.busy;
        self.config.on_progress.tell(Progress::Waiting { busy });
        loop {
            if let Some(SenderEvent::Answered { refused }) = self.hear_any(Some(allowance)).await? {
                return Ok(refused);
            }
        }
    }

    fn transmit(&mut self) {
        while let Some(bytes) = self.session.poll_transmit() {
            self.talk.say(bytes);
        }
    }

    /// Returns the receiver's next message. Cancel safe.
    async fn hear_any(
        &mut self,
        allowance: Option<Allowance>,
    ) -> Result<Option<SenderEvent>, SendError> {
        let idle_timeout = self.config.idle_timeout;
        let max_silence = if self.session.is_greeted() {
            // A user may be deciding.
            handshake::max_silence(self.session.peer_beats(), idle_timeout)
        } else {
            Some(idle_timeout)
        };
        let mut input = self.talk.hear(max_silence, allowance).await?;
        let mut told = None;
        // Further input from the same read belongs to the session, too.
        while let Some(event) = self.session.handle_input(&mut input)? {
            told = Some(event);
        }
        Ok(told)
    }

    /// Sends the peer the reason, if possible.
    async fn close_after(mut self, error: SendError) -> SendError {
        let reason = match &error {
            SendError::Session(error) => error.abort(),
            SendError::Io(TransferIoError::Slow { .. }) => Some(Abort::TimedOut),
            _ => return error,
        };
        reason
            .into_iter()
            .for_each(|reason| self.session.abort(reason));
        self.talk.close_after(self.session.poll_transmit()).await;
        error
    }
}

impl<S> Outgoing<S> {
    /// The connection to the receiver, for inspection.
    pub fn get_ref(&self) -> &S {
        self.talk.get_ref()
    }

    /// Callback for progress events of this transfer.
    pub fn on_progress(mut self, on_progress: OnProgress) -> Self {
        self.config.on_progress = on_progress;
        self
    }
}

const CONTROL_BUFFER_BYTES: usize = 16 << 10;
