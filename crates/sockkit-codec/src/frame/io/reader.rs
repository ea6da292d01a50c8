//! Frames from a stream.

use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::io::poll_read_buf;

use crate::frame::{FrameConfig, FrameReadError, inbound::Inbound};

/// Receives whole frames from a stream.
///
/// A long payload is read straight into a buffer of its own, which grows as
/// bytes come in and ends at exactly the payload's size. A connection that
/// waits between frames holds no buffer at all.
///
/// Short frames that came in one read share that read's memory (at most
/// 32 KiB): copy one out if it is to be kept long after its neighbours.
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use sockkit_codec::frame::{FrameReader, FrameWriter};
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
}

impl<R> FrameReader<R> {
    /// Reads frames with the default [`FrameConfig`].
    pub fn new(stream: R) -> Self {
        Self::with_config(stream, FrameConfig::default())
    }

    /// Reads frames as `config` says.
    pub fn with_config(stream: R, config: FrameConfig) -> Self {
        Self {
            stream,
            inbound: Inbound::new(config),
        }
    }

    /// The stream, for its address or options.
    pub fn get_ref(&self) -> &R {
        &self.stream
    }
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Waits for the next frame; `None` once the peer has closed between frames.
    ///
    /// It waits as long as the peer does: wrap it in `tokio::time::timeout`
    /// where silence must end.
    ///
    /// # Errors
    /// [`FrameReadError::TooLong`] if the peer announces more than the limit,
    /// [`FrameReadError::Truncated`] if it closed inside a frame,
    /// [`FrameReadError::Io`] if the stream failed. After an error the
    /// position in the stream is lost: drop the connection.
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

    /// Reads once, straight into the payload if that is worth it.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.stream);
        if let Some(mut spare) = self.inbound.spare(READ_BYTES) {
            return poll_read_buf(stream, context, &mut spare);
        }
        // On the stack, so that an idle connection holds no memory and a busy
        // one still reads many frames at once.
        let mut scratch = [MaybeUninit::uninit(); READ_BYTES];
        let mut scratch = ReadBuf::uninit(&mut scratch);
        ready!(stream.poll_read(context, &mut scratch))?;
        self.inbound.push(scratch.filled());
        Poll::Ready(Ok(scratch.filled().len()))
    }
}

/// Bytes asked for at once while short frames are expected. Twice as many leave
/// the processor's first caches on their way to the frames, and cost more.
const READ_BYTES: usize = 32 << 10;
