//! A receiver that has said hello, and is offered something, or not.

use std::{pin::pin, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

use super::{SendConfig, SendError, worker::SendWorker};
use crate::{
    Manifest, OnProgress, RefuseReason, Source, Summary,
    driver::{
        handshake,
        pump::{LinkError, Pump, PumpConfig},
    },
    session::{Abort, MessageKind, SenderEvent, SenderSession, SessionError, WORKING},
};

/// Waits for the receiver at the other end of `stream` to say hello. It is told
/// nothing of `manifest` before [`Outgoing::offer`].
///
/// # Errors
/// If the connection or the peer failed.
///
/// # Cancel safety
/// Not cancel safe; dropping the future drops the connection.
pub async fn greet<S>(
    stream: S,
    manifest: Manifest,
    config: &SendConfig,
) -> Result<Outgoing<S>, SendError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut outgoing = Outgoing {
        stream,
        session: SenderSession::new(&config.name, manifest),
        peer: None,
        config: config.clone(),
    };
    match outgoing.hear_hello().await {
        Ok(()) => Ok(outgoing),
        Err(error) => Err(outgoing.fail(error).await),
    }
}

/// A receiver that waits for an offer.
#[derive(Debug)]
#[must_use = "the receiver waits for an offer"]
pub struct Outgoing<S> {
    stream: S,
    session: SenderSession,
    /// `None` until its hello has come.
    peer: Option<String>,
    config: SendConfig,
}

impl<S> Outgoing<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    /// What the peer calls itself, as it came: unproved, and to be shown through
    /// [`quote`](sockkit_codec::text::quote) only.
    pub fn peer(&self) -> &str {
        self.peer.as_deref().unwrap_or_default()
    }

    /// Waits for `decision`, such as a user's, and tells the peer meanwhile that this
    /// side is there. How long it takes is the caller's to bound.
    ///
    /// # Errors
    /// If the peer leaves first, or breaks the protocol.
    ///
    /// # Cancel safety
    /// Not cancel safe; dropping the future may leave a message cut.
    pub async fn hold<T>(&mut self, decision: impl Future<Output = T>) -> Result<T, SendError> {
        let mut decision = pin!(decision);
        let mut alive = interval(HEARTBEAT);
        alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut buffer = Vec::new();
        loop {
            tokio::select! {
                biased;
                decided = &mut decision => return Ok(decided),
                _ = alive.tick() => {
                    handshake::write(&mut self.stream, WORKING, self.config.idle_timeout).await?;
                }
                // A receiver that waits for an offer has nothing to say.
                read = handshake::read(&mut self.stream, &mut buffer, Duration::MAX) => {
                    read?;
                    self.expect_no_answer(&buffer)?;
                }
            }
        }
    }

    /// Says no. The peer has been told nothing of what there is.
    ///
    /// # Cancel safety
    /// Cancel safe in so far as the connection closes either way.
    pub async fn decline(mut self) {
        self.part(Some(Abort::Declined)).await;
    }

    /// Offers the source whose manifest was given to [`greet`] and sends what the
    /// receiver accepts.
    ///
    /// # Errors
    /// As [`send`](super::send).
    ///
    /// # Cancel safety
    /// As [`send`](super::send).
    pub async fn offer(mut self, source: Source) -> Result<Summary, SendError> {
        let refused = match self.hear_answer().await {
            Ok(refused) => refused,
            Err(error) => return Err(self.fail(error).await),
        };
        let (pump, link) = Pump::new(PumpConfig {
            idle_timeout: self.config.idle_timeout,
            patience: self.config.answer_timeout,
            read_buffer_bytes: CONTROL_BUFFER_BYTES,
            // Only the worker knows where a message ends.
            heartbeat: None,
        });
        let worker = SendWorker::new(source, self.session, refused, link, &self.config);
        let worker = spawn_blocking(move || worker.run());
        let pumped = pump.run(self.stream).await;
        let worked = worker.await.unwrap_or(Err(SendError::Worker));
        match (worked, pumped) {
            // The worker only saw its channel close; the pump knows why.
            (Err(SendError::Link(LinkError::Closed)), Err(error)) => Err(error.into()),
            (worked, _) => worked,
        }
    }

    async fn hear_hello(&mut self) -> Result<(), SendError> {
        let mut buffer = Vec::new();
        self.transmit().await?;
        while self.peer.is_none() {
            handshake::read(&mut self.stream, &mut buffer, self.config.idle_timeout).await?;
            self.expect_no_answer(&buffer)?;
        }
        Ok(())
    }

    /// Takes what comes before the offer.
    fn expect_no_answer(&mut self, mut input: &[u8]) -> Result<(), SendError> {
        while let Some(event) = self.session.handle_input(&mut input)? {
            let SenderEvent::Peer(hello) = event else {
                let kind = MessageKind::Answer;
                return Err(SessionError::Unexpected { kind }.into());
            };
            self.peer = Some(hello.name);
        }
        Ok(())
    }

    /// Up to the receiver's answer; returns what it refuses.
    async fn hear_answer(&mut self) -> Result<Vec<(u32, RefuseReason)>, SendError> {
        let mut buffer = Vec::new();
        self.transmit().await?;
        loop {
            // A user may be thinking.
            handshake::read(&mut self.stream, &mut buffer, self.config.answer_timeout).await?;
            let mut input = buffer.as_slice();
            match self.session.handle_input(&mut input)? {
                None => {}
                Some(SenderEvent::Answered { refused }) => return Ok(refused),
                Some(SenderEvent::Peer(_) | SenderEvent::Reported(_)) => {
                    unreachable!("it said hello once, and nothing was sent yet")
                }
            }
        }
    }

    async fn transmit(&mut self) -> Result<(), SendError> {
        while let Some(bytes) = self.session.poll_transmit() {
            handshake::write(&mut self.stream, &bytes, self.config.idle_timeout).await?;
        }
        Ok(())
    }

    /// Tells the peer what is wrong with it, if it has to be told.
    async fn fail(mut self, error: SendError) -> SendError {
        if let SendError::Session(error) = &error {
            self.part(error.abort()).await;
        }
        error
    }

    async fn part(&mut self, abort: Option<Abort>) {
        // An offer that has not been written stays untold.
        let _ = self.session.poll_transmit();
        if let Some(abort) = abort {
            self.session.abort(abort);
        }
        handshake::part(&mut self.stream, self.session.poll_transmit()).await;
    }
}

impl<S> Outgoing<S> {
    /// Who is told of this transfer's progress.
    pub fn on_progress(mut self, on_progress: OnProgress) -> Self {
        self.config.on_progress = on_progress;
        self
    }
}

const CONTROL_BUFFER_BYTES: usize = 16 << 10;

/// What the protocol asks of a side that has nothing to say.
const HEARTBEAT: Duration = Duration::from_secs(10);
