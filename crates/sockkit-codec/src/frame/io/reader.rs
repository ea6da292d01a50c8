//! Reads frames from a stream.

use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_core::Stream;
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::io::poll_read_buf;

use crate::frame::{FrameConfig, FrameReadError, inbound::Inbound};

/// Receives whole frames from a stream.
///
/// A long payload is read directly into its own buffer, which grows as bytes
/// arrive and finally has exactly the payload's size. An idle connection holds
/// no buffer.
///
/// Short frames from one read share that read's memory (at most 32 KiB): copy a
/// frame that is kept much longer than its neighbours.
///
/// ```
/// # use sockkit_codec as sockkit;
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use sockkit::frame::{FrameReader, FrameWriter};
///
/// let (client, server) = tokio::io::duplex(1024);
/// let (mut writer, mut reader) = (FrameWriter::new(client), FrameReader::new(server));
/// writer.send("hi".into()).await?;
/// drop(writer);
/// assert_eq!(reader.recv().await?.as_deref(), Some(&b"hi"[..]));
/// assert_eq!(reader.recv().await?, None);
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(example())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FrameReader<R> {
    stream: R,
    inbound: Inbound,
    /// Whether the [`Stream`] of frames has ended.
    is_over: bool,
}

impl<R> FrameReader<R> {
    /// Reads frames with the default [`FrameConfig`].
    pub fn new(stream: R) -> Self {
        Self::with_config(stream, FrameConfig::default())
    }

    /// Reads frames with the given configuration.
    pub fn with_config(stream: R, config: FrameConfig) -> Self {
        Self {
            stream,
            inbound: Inbound::new(config),
            is_over: false,
        }
    }

    /// The underlying stream, for its address or options.
    pub fn get_ref(&self) -> &R {
        &self.stream
    }

    /// The underlying stream, for changing options or writing. Data read from
    /// it is missing from the frames.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.stream
    }

    /// Returns the stream. Data that was read ahead is lost: see
    /// [`into_parts`](Self::into_parts).
    pub fn into_inner(self) -> R {
        self.stream
    }

    /// Returns the stream, and the data read from it beyond the frames
    /// received: the start of whatever follows them.
    ///
    /// ```
    /// # use sockkit_codec as sockkit;
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// use sockkit::frame::{FrameReader, FrameWriter};
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// let (client, server) = tokio::io::duplex(1024);
    /// let mut writer = FrameWriter::new(client);
    /// writer.send("hello".into()).await?;
    /// // From here on, another protocol.
    /// let mut client = writer.into_inner();
    /// client.write_all(b"no frames").await?;
    /// drop(client);
    ///
    /// let mut reader = FrameReader::new(server);
    /// assert_eq!(reader.recv().await?.as_deref(), Some(&b"hello"[..]));
    /// let (server, ahead) = reader.into_parts();
    /// let mut rest = String::new();
    /// (&ahead[..]).chain(server).read_to_string(&mut rest).await?;
    /// assert_eq!(rest, "no frames");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_parts(self) -> (R, Bytes) {
        (self.stream, self.inbound.into_ahead())
    }
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Waits for the next frame; returns `None` if the peer has closed between
    /// frames.
    ///
    /// Waits for as long as the peer is silent: use `tokio::time::timeout` to
    /// limit that.
    ///
    /// # Errors
    /// [`FrameReadError::TooLong`] if the announced length exceeds the limit,
    /// [`FrameReadError::Truncated`] if the peer closed inside a frame,
    /// [`FrameReadError::Io`] if the stream failed. After an error the frame
    /// boundaries are lost: drop the connection.
    ///
    /// # Cancel safety
    /// Cancel safe: bytes already read stay in the reader.
    pub async fn recv(&mut self) -> Result<Option<Bytes>, FrameReadError> {
        poll_fn(|context| self.poll_recv(context)).await
    }

    fn poll_recv(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, FrameReadError>> {
        loop {
            if let Some(frame) = self.inbound.take_frame()? {
                return Poll::Ready(Ok(Some(frame)));
            }
            if ready!(self.poll_fill(context))? == 0 {
                return Poll::Ready(self.inbound.end().map(|()| None));
            }
        }
    }

    /// Reads once, directly into the payload if that is worth it.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.stream);
        if let Some(mut spare) = self.inbound.spare(READ_BYTES) {
            return poll_read_buf(stream, context, &mut spare);
        }
        // On the stack, so that an idle connection holds no memory while a busy
        // one still reads many frames at once.
        let mut scratch = [MaybeUninit::uninit(); READ_BYTES];
        let mut scratch = ReadBuf::uninit(&mut scratch);
        ready!(stream.poll_read(context, &mut scratch))?;
        self.inbound.push(scratch.filled());
        Poll::Ready(Ok(scratch.filled().len()))
    }
}

/// Yields frames until the peer closes, or the first error.
impl<R: AsyncRead + Unpin> Stream for FrameReader<R> {
    type Item = Result<Bytes, FrameReadError>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, FrameReadError>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let frame = ready!(self.poll_recv(context));
        self.is_over = !matches!(frame, Ok(Some(_)));
        Poll::Ready(frame.transpose())
    }
}

/// Read size while short frames are expected. Twice as much no longer fits the
/// first-level caches, and costs more.
const READ_BYTES: usize = 32 << 10;

#[cfg(test)]
mod tests {
    use futures::{SinkExt, StreamExt, TryStreamExt};
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::frame::FrameWriter;

    async fn wire(frames: &[&[u8]]) -> Vec<u8> {
        let mut writer = FrameWriter::new(Vec::new());
        for frame in frames {
            writer.send(Bytes::copy_from_slice(frame)).await.unwrap();
        }
        writer.into_inner()
    }

    #[tokio::test]
    async fn nothing_that_was_read_is_lost_wherever_it_stops() {
        let bytes = wire(&[b"one", b"", &[7; 100]]).await;
        for received in 0..=3 {
            for cut in 0..=bytes.len() {
                let (first, rest) = bytes.split_at(cut);
                let mut reader = FrameReader::new(first.chain(rest));
                let mut taken = 0;
                for _ in 0..received {
                    taken += 8 + reader.recv().await.unwrap().unwrap().len();
                }
                // A cancelled read leaves a part of a frame behind.
                let (stream, ahead) = reader.into_parts();
                let mut left = Vec::new();
                (&ahead[..])
                    .chain(stream)
                    .read_to_end(&mut left)
                    .await
                    .unwrap();
                assert_eq!(left, bytes[taken..], "{received} frames, cut at {cut}");
            }
        }
    }

    #[tokio::test]
    async fn part_of_a_frame_is_handed_back_with_its_prefix() {
        let bytes = wire(&[&[7; 100]]).await;
        for cut in 0..bytes.len() {
            let (mut client, server) = tokio::io::duplex(1024);
            tokio::io::AsyncWriteExt::write_all(&mut client, &bytes[..cut])
                .await
                .unwrap();
            let mut reader = FrameReader::new(server);
            assert!(futures::poll!(Box::pin(reader.recv())).is_pending());
            let (_, ahead) = reader.into_parts();
            assert_eq!(ahead, bytes[..cut]);
        }
    }

    #[tokio::test]
    async fn a_stream_of_frames_ends_with_the_first_error() {
        let mut bytes = wire(&[b"one", b"two"]).await;
        bytes.extend([255; 8]);
        let mut reader = FrameReader::new(&bytes[..]);
        assert_eq!(reader.next().await.unwrap().unwrap(), "one");
        assert_eq!(reader.next().await.unwrap().unwrap(), "two");
        assert!(reader.next().await.unwrap().is_err());
        assert!(reader.next().await.is_none());
    }

    #[tokio::test]
    async fn frames_are_forwarded_from_a_stream_to_a_sink() {
        let bytes = wire(&[b"one", b"", b"three"]).await;
        let reader = FrameReader::new(&bytes[..]);
        let mut writer = FrameWriter::new(Vec::new());
        reader
            .err_into::<io::Error>()
            .forward((&mut writer).sink_err_into())
            .await
            .unwrap();
        assert_eq!(writer.into_inner(), bytes);
    }
}
