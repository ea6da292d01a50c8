//! The part of the conversation that is short and waits for people.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::{Instant, timeout},
};

use super::io_loop::{HEARTBEAT, TransferIoError};
use crate::session::WORKING;

/// A stream before its bulk moves: it may be waited on again and again, and by
/// a wait that is dropped nothing is lost.
#[derive(Debug)]
pub(super) struct HandshakeStream<S> {
    stream: S,
    /// What is said and not yet written.
    unsent: Vec<u8>,
    /// How much of it is written after all.
    sent: usize,
    input: Vec<u8>,
    heard: usize,
    idle_timeout: Duration,
    /// Bytes of both directions.
    moved_bytes: u64,
    heard_at: Instant,
    written_at: Instant,
}

/// How long an exchange may take in all. Bytes that move earn more time, up to
/// a limit, so that a long list over a slow link comes through while a peer
/// that trickles does not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    pub(super) began: Instant,
    pub(super) timeout: Duration,
    /// The bytes beyond these earn nothing.
    pub(super) max_bytes: u64,
}

impl Allowance {
    pub(super) fn begin(timeout: Duration, max_bytes: u64) -> Self {
        Self {
            began: Instant::now(),
            timeout,
            max_bytes,
        }
    }

    fn left(&self, moved_bytes: u64) -> Duration {
        let moved = moved_bytes.min(self.max_bytes);
        let earned = Duration::from_millis(moved.saturating_mul(1_000) / EARNING_BYTES);
        let whole = self.timeout.saturating_add(earned);
        whole.saturating_sub(self.began.elapsed())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> HandshakeStream<S> {
    pub(super) fn new(stream: S, idle_timeout: Duration) -> Self {
        let now = Instant::now();
        Self {
            stream,
            unsent: Vec::new(),
            sent: 0,
            input: vec![0; INPUT_BYTES],
            heard: 0,
            idle_timeout,
            moved_bytes: 0,
            heard_at: now,
            written_at: now,
        }
    }

    /// Will write `bytes` while it listens.
    pub(super) fn say(&mut self, bytes: Vec<u8>) {
        if self.unsent.is_empty() {
            self.unsent = bytes;
            self.written_at = Instant::now();
        } else {
            self.unsent.extend_from_slice(&bytes);
        }
    }

    /// Writes what was said, and returns what the peer says next. Meanwhile it
    /// tells the peer that this side is alive. The peer may be silent for
    /// `max_silence`, and the exchange may take its `allowance`.
    ///
    /// # Cancel safety
    /// Cancel safe: the next call continues.
    pub(super) async fn hear(
        &mut self,
        max_silence: Option<Duration>,
        allowance: Option<Allowance>,
    ) -> Result<&[u8], TransferIoError> {
        loop {
            let wait = self.next_wait(max_silence, allowance)?;
            if let Ok(heard) = timeout(wait, poll_fn(|cx| self.poll_hear(cx))).await {
                heard?;
                return Ok(&self.input[..self.heard]);
            }
        }
    }

    /// How long to wait before the rules are looked at again.
    fn next_wait(
        &mut self,
        max_silence: Option<Duration>,
        allowance: Option<Allowance>,
    ) -> Result<Duration, TransferIoError> {
        let mut wait = HEARTBEAT;
        if let Some(allowance) = allowance {
            let left = allowance.left(self.moved_bytes);
            if left.is_zero() {
                let timeout = allowance.timeout;
                return Err(TransferIoError::Slow { timeout });
            }
            wait = wait.min(left);
        }
        let unread = (!self.unsent.is_empty()).then_some(self.idle_timeout);
        for (silence, since) in [(max_silence, self.heard_at), (unread, self.written_at)] {
            let Some(silence) = silence else { continue };
            let left = silence.saturating_sub(since.elapsed());
            if left.is_zero() {
                return Err(TransferIoError::Silent { silence });
            }
            wait = wait.min(left);
        }
        let until_beat = HEARTBEAT.saturating_sub(self.written_at.elapsed());
        if until_beat.is_zero() && self.unsent.is_empty() {
            self.say(WORKING.to_vec());
        } else if !until_beat.is_zero() {
            wait = wait.min(until_beat);
        }
        Ok(wait)
    }

    fn poll_hear(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransferIoError>> {
        let written = self.poll_write(cx);
        let mut input = ReadBuf::new(&mut self.input);
        let read = Pin::new(&mut self.stream).poll_read(cx, &mut input);
        self.heard = input.filled().len();
        // A peer that ended the session has closed: why it did comes first.
        if let (Poll::Pending, Poll::Ready(Err(error))) = (&read, written) {
            return Poll::Ready(Err(failed(error)));
        }
        ready!(read).map_err(failed)?;
        match self.heard {
            0 => Poll::Ready(Err(TransferIoError::Closed)),
            bytes => {
                self.moved_bytes += bytes as u64;
                self.heard_at = Instant::now();
                Poll::Ready(Ok(()))
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let rest = &self.unsent[self.sent..];
            match ready!(Pin::new(&mut self.stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                bytes => {
                    self.sent += bytes;
                    if self.sent == self.unsent.len() {
                        // An offer's memory is not kept for the whole session.
                        (self.unsent, self.sent) = (Vec::new(), 0);
                    }
                    self.moved_bytes += bytes as u64;
                    self.written_at = Instant::now();
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Gives the stream back once everything said is written.
    pub(super) async fn into_stream(mut self) -> Result<S, TransferIoError> {
        let silence = self.idle_timeout;
        match timeout(silence, poll_fn(|cx| self.poll_write(cx))).await {
            Ok(written) => written?,
            Err(_elapsed) => return Err(TransferIoError::Silent { silence }),
        }
        Ok(self.stream)
    }

    /// Says the last words, and waits until the peer has had a chance to hear
    /// them: closing with unread bytes would reset the connection under them.
    pub(super) async fn close_after(mut self, words: Option<Vec<u8>>) {
        if let Some(words) = words {
            self.say(words);
        }
        let farewell = async {
            poll_fn(|cx| self.poll_write(cx)).await?;
            self.stream.shutdown().await?;
            let mut buffer = vec![0; INPUT_BYTES];
            while self.stream.read(&mut buffer).await? > 0 {}
            io::Result::Ok(())
        };
        let _ = timeout(FAREWELL, farewell).await;
    }
}

impl<S> HandshakeStream<S> {
    pub(super) fn get_ref(&self) -> &S {
        &self.stream
    }
}

/// A peer that closes before it has read everything resets the connection; with
/// nothing under way that is an end like another.
fn failed(error: io::Error) -> TransferIoError {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    match error.kind() {
        BrokenPipe | ConnectionAborted | ConnectionReset => TransferIoError::Closed,
        _ => error.into(),
    }
}

/// How long a peer may be silent that was heard to say that it is alive, while
/// people are waited for; one that never says it is taken for an older one.
pub(super) fn max_silence(beats: bool, idle_timeout: Duration) -> Option<Duration> {
    beats.then_some(idle_timeout.max(MIN_SILENCE))
}

/// Older peers say only every ten seconds that they are alive.
const MIN_SILENCE: Duration = Duration::from_secs(15);
/// So many bytes earn a second: a link that carries less is no LAN.
const EARNING_BYTES: u64 = 256 << 10;
const INPUT_BYTES: usize = 16 << 10;
const FAREWELL: Duration = Duration::from_secs(2);
