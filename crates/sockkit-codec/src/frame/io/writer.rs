//! Writes frames to a stream.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use futures_sink::Sink;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio_util::io::poll_write_buf;

use crate::frame::{FrameConfig, FrameWriteError, outbound::Outbound};

/// Sends whole frames to a stream.
///
/// Prefix and payload are written by one vectored write, and a long payload is
/// not copied. [`feed`](Self::feed) many short frames and
/// [`flush`](Self::flush) once to send them with one write.
///
/// ```no_run
/// # use sockkit_codec as sockkit;
/// # async fn example(stream: tokio::net::TcpStream) -> Result<(), sockkit::frame::FrameWriteError> {
/// use sockkit::frame::FrameWriter;
///
/// let mut writer = FrameWriter::new(stream);
/// for word in ["one", "two", "three"] {
///     writer.feed(word.into()).await?;
/// }
/// writer.flush().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FrameWriter<W> {
    stream: W,
    outbound: Outbound,
}

impl<W> FrameWriter<W> {
    /// Writes frames with the default [`FrameConfig`].
    pub fn new(stream: W) -> Self {
        Self::with_config(stream, FrameConfig::default())
    }

    /// Writes frames with the given configuration.
    pub fn with_config(stream: W, config: FrameConfig) -> Self {
        Self {
            stream,
            outbound: Outbound::new(config),
        }
    }

    /// The underlying stream, for its address or options.
    pub fn get_ref(&self) -> &W {
        &self.stream
    }

    /// The underlying stream, for changing options or reading. Data written to
    /// it may end up inside a partly written frame.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.stream
    }

    /// Returns the stream. Queued data is lost: [`flush`](Self::flush) first.
    pub fn into_inner(self) -> W {
        self.stream
    }
}

impl<W: AsyncWrite + Unpin> FrameWriter<W> {
    /// Sends one frame and everything fed before it.
    ///
    /// Waits for as long as the peer does not read: use `tokio::time::timeout`
    /// to limit that.
    ///
    /// # Errors
    /// [`FrameWriteError::TooLong`] if the payload exceeds the limit, after
    /// which the stream remains usable; [`FrameWriteError::Io`] if the stream
    /// failed.
    ///
    /// # Cancel safety
    /// Cancel safe: the first poll queues the frame, and the next call
    /// completes a partly written one. Do not send it again.
    pub async fn send(&mut self, payload: Bytes) -> Result<(), FrameWriteError> {
        self.outbound.push(payload)?;
        Ok(self.flush().await?)
    }

    /// Queues one frame; writes when 64 KiB are queued.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    /// Cancel safe, as [`send`](Self::send).
    pub async fn feed(&mut self, payload: Bytes) -> Result<(), FrameWriteError> {
        self.outbound.push(payload)?;
        if self.outbound.remaining() >= WRITE_BYTES {
            poll_fn(|context| self.poll_write(context)).await?;
        }
        Ok(())
    }

    /// Writes all queued frames and flushes the stream.
    ///
    /// # Errors
    /// If the stream failed.
    ///
    /// # Cancel safety
    /// Cancel safe: unwritten data stays queued.
    pub async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|context| self.poll_write(context)).await?;
        self.stream.flush().await
    }

    /// Writes all queued frames, then closes the sending side, so that the
    /// peer's next `recv` returns `None`.
    ///
    /// # Errors
    /// If the stream failed.
    ///
    /// # Cancel safety
    /// Cancel safe: call it again to continue.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        poll_fn(|context| self.poll_write(context)).await?;
        self.stream.shutdown().await
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.outbound.has_remaining() {
            let stream = Pin::new(&mut self.stream);
            if ready!(poll_write_buf(stream, context, &mut self.outbound))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// As [`feed`](FrameWriter::feed), [`flush`](FrameWriter::flush) and
/// [`shutdown`](FrameWriter::shutdown).
impl<W: AsyncWrite + Unpin> Sink<Bytes> for FrameWriter<W> {
    type Error = FrameWriteError;

    fn poll_ready(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), FrameWriteError>> {
        if self.outbound.remaining() >= WRITE_BYTES {
            ready!(self.poll_write(context))?;
        }
        Poll::Ready(Ok(()))
    }

    fn start_send(mut self: Pin<&mut Self>, payload: Bytes) -> Result<(), FrameWriteError> {
        self.outbound.push(payload)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), FrameWriteError>> {
        ready!(self.poll_write(context))?;
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        Poll::Ready(Ok(()))
    }

    fn poll_close(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), FrameWriteError>> {
        ready!(self.poll_write(context))?;
        ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        Poll::Ready(Ok(()))
    }
}

/// Number of queued bytes at which `feed` writes.
const WRITE_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_leave_when_they_are_sent_or_when_64_kib_wait() {
        let mut writer = FrameWriter::new(Vec::new());
        let zeros = |length| Bytes::from(vec![0; length]);
        writer.feed(Bytes::from_static(b"hi")).await.unwrap();
        assert!(writer.stream.is_empty());
        writer.flush().await.unwrap();
        assert_eq!(writer.stream, b"\0\0\0\0\0\0\0\x02hi");
        writer.stream.clear();
        // One byte below the 64 KiB, and then exactly as many.
        writer.feed(zeros(WRITE_BYTES - 9)).await.unwrap();
        assert!(writer.stream.is_empty());
        writer.flush().await.unwrap();
        writer.stream.clear();
        writer.feed(zeros(WRITE_BYTES - 8)).await.unwrap();
        assert_eq!(writer.stream.len(), WRITE_BYTES);
        writer.stream.clear();
        writer.send(zeros(1)).await.unwrap();
        assert_eq!(writer.stream.len(), 9);
        writer.feed(zeros(2)).await.unwrap();
        writer.shutdown().await.unwrap();
        assert_eq!(writer.stream.len(), 19);
    }
}
