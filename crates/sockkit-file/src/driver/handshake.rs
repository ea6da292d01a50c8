//! The handshake of a session, which is short and may wait for users.

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

/// A stream before the bulk transfer. It can be waited on repeatedly, and a
/// cancelled wait loses nothing.
#[derive(Debug)]
pub(super) struct HandshakeStream<S> {
    stream: S,
    /// Bytes to be written.
    unsent: Vec<u8>,
    /// How many of them have been written.
    sent: usize,
    input: Vec<u8>,
    heard: usize,
    idle_timeout: Duration,
    /// Bytes moved in both directions.
    moved_bytes: u64,
    heard_at: Instant,
    written_at: Instant,
}

/// Timeout of an exchange. Moved bytes extend it, up to a limit, so that a long
/// list passes over a slow link while a peer that trickles bytes does not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    pub(super) began: Instant,
    pub(super) timeout: Duration,
    /// Bytes beyond this do not extend it.
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

    /// Queues `bytes`, which are written while waiting for input.
    pub(super) fn say(&mut self, bytes: Vec<u8>) {
        if self.unsent.is_empty() {
            self.unsent = bytes;
            self.written_at = Instant::now();
        } else {
            self.unsent.extend_from_slice(&bytes);
        }
    }

    /// Writes the queued bytes, and returns the peer's next bytes. Sends
    /// keep-alives in the meantime. The peer may be silent for `max_silence`,
    /// and the exchange is limited by its `allowance`.
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

    /// How long to wait until the limits are checked again.
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
                return Err(TransferIoError::Silent { after: silence });
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
        // A peer that ended the session has closed; its reason comes first.
        if let (Poll::Pending, Poll::Ready(Err(error))) = (&read, written) {
            return Poll::Ready(Err(error.into()));
        }
        ready!(read)?;
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
                        // The memory of an offer is not kept for the whole
                        // session.
                        (self.unsent, self.sent) = (Vec::new(), 0);
                    }
                    self.moved_bytes += bytes as u64;
                    self.written_at = Instant::now();
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Returns the stream when all queued bytes are written.
    pub(super) async fn into_stream(mut self) -> Result<S, TransferIoError> {
        let silence = self.idle_timeout;
        match timeout(silence, poll_fn(|cx| self.poll_write(cx))).await {
            Ok(written) => written?,
            Err(_elapsed) => return Err(TransferIoError::Silent { after: silence }),
        }
        Ok(self.stream)
    }

    /// Sends the last message, and waits until the peer has had a chance to
    /// read it: closing with unread input would reset the connection and
    /// discard the message.
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

/// How long a peer that has sent keep-alives may be silent while users are
/// waited for. A peer that never sent one is treated as an older version,
/// without a limit.
pub(super) fn max_silence(beats: bool, idle_timeout: Duration) -> Option<Duration> {
    beats.then_some(idle_timeout.max(MIN_SILENCE))
}

/// Older versions send keep-alives only every ten seconds.
const MIN_SILENCE: Duration = Duration::from_secs(15);
/// This many bytes extend the timeout by a second: any LAN is faster.
const EARNING_BYTES: u64 = 256 << 10;
const INPUT_BYTES: usize = 16 << 10;
const FAREWELL: Duration = Duration::from_secs(2);
