//! Messages as frames of one reliable stream.

use std::{
    io::{self, IoSlice},
    net::{IpAddr, SocketAddr},
};

use bytes::Bytes;
use sockkit_codec::{
    frame::{FrameConfig, FrameReadError, FrameReader, FrameWriteError},
    shard::SplitError,
};
use sockkit_core::tcp::{End, Timeout};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split},
    sync::Mutex,
    time::timeout,
};

use super::{Limits, Message, RecvError, SendError, Sent, lag::LagLimit, now};

/// Any reliable stream.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Duplex for T {}

/// The two directions of one stream. `local` is the local address.
pub(super) fn framed(
    stream: Box<dyn Duplex>,
    peer: SocketAddr,
    local: Option<IpAddr>,
    limits: &Limits,
) -> (FrameSender, FrameReceiver) {
    let (reader, stream) = split(stream);
    let frames = FrameConfig::default()
        .max_send_bytes(limits.max_send_bytes)
        .max_receive_bytes(limits.max_receive_bytes);
    let sender = FrameSender {
        frames,
        writer: Mutex::new(Writer {
            stream,
            lag: LagLimit::new(limits.max_lag),
            is_cut: false,
        }),
    };
    let receiver = FrameReceiver {
        reader: FrameReader::with_config(reader, frames),
        peer,
        local,
        timed_out: None,
    };
    (sender, receiver)
}

/// Writes frames, one after another.
#[derive(Debug)]
pub(super) struct FrameSender {
    frames: FrameConfig,
    writer: Mutex<Writer>,
}

#[derive(Debug)]
struct Writer {
    stream: WriteHalf<Box<dyn Duplex>>,
    lag: LagLimit,
    /// A frame was only partly written: the stream is unusable.
    is_cut: bool,
}

impl FrameSender {
    /// Returns when the message has left this machine, as far as the stream's
    /// flush reveals.
    pub(super) async fn send(&self, parts: &[Bytes]) -> Result<Sent, SendError> {
        let length = parts.iter().map(Bytes::len).sum();
        let prefix = self.prefix(length)?;
        let mut writer = self.writer.lock().await;
        let bytes = prefix.len() + length;
        writer.lag.handle_message(now(), bytes);
        writer.write(&prefix, parts).await?;
        Ok(Sent {
            bytes: bytes as u64,
        })
    }

    /// Sends the result of `message` in its turn: after the message in
    /// progress, and before the next.
    pub(super) async fn reply(
        &self,
        message: impl FnOnce() -> Vec<u8> + Send,
    ) -> Result<(), SendError> {
        let mut writer = self.writer.lock().await;
        let message = Bytes::from(message());
        let prefix = self.prefix(message.len())?;
        writer.lag.handle_reply(now());
        writer.write(&prefix, &[message]).await?;
        Ok(())
    }

    /// Closes the sending side.
    pub(super) async fn close(&self) -> io::Result<()> {
        let mut writer = self.writer.lock().await;
        writer.check()?;
        writer.stream.shutdown().await
    }

    fn prefix(&self, length: usize) -> Result<[u8; 8], SendError> {
        self.frames.prefix(length).map_err(|error| match error {
            FrameWriteError::TooLong { length, limit } => {
                let got = length;
                SplitError::MessageTooLong { got, limit }.into()
            }
            FrameWriteError::Io(error) => error.into(),
            other => io::Error::other(other).into(),
        })
    }
}

impl Writer {
    fn check(&self) -> io::Result<()> {
        match self.is_cut {
            true => Err(io::ErrorKind::NotConnected.into()),
            false => Ok(()),
        }
    }

    /// Writes everything, or fails if the peer is too slow.
    async fn write(&mut self, prefix: &[u8], parts: &[Bytes]) -> io::Result<()> {
        self.check()?;
        self.is_cut = true;
        let left = self.lag.left(now());
        let stream = &mut self.stream;
        let written = async {
            write_all_vectored(stream, prefix, parts).await?;
            stream.flush().await
        };
        timeout(left, written).await??;
        self.lag.handle_taken(now())?;
        self.is_cut = false;
        Ok(())
    }
}

/// Writes the parts from where they are, without joining them.
async fn write_all_vectored(
    stream: &mut (impl AsyncWrite + Unpin),
    prefix: &[u8],
    parts: &[Bytes],
) -> io::Result<()> {
    let slices = parts.iter().map(|part| IoSlice::new(part));
    let mut slices: Vec<_> = [IoSlice::new(prefix)].into_iter().chain(slices).collect();
    let mut left = &mut slices[..];
    IoSlice::advance_slices(&mut left, 0);
    while !left.is_empty() {
        match stream.write_vectored(left).await? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => IoSlice::advance_slices(&mut left, written),
        }
    }
    Ok(())
}

/// Reads frames.
#[derive(Debug)]
pub(super) struct FrameReceiver {
    reader: FrameReader<ReadHalf<Box<dyn Duplex>>>,
    peer: SocketAddr,
    local: Option<IpAddr>,
    /// The stream's own timeout has passed; one more read is due.
    timed_out: Option<io::Error>,
}

impl FrameReceiver {
    pub(super) async fn recv(&mut self) -> Result<Message, RecvError> {
        let received = match self.timed_out {
            None => self.reader.recv().await,
            Some(_) => self.look_again().await,
        };
        let received = match received {
            Err(FrameReadError::Io(error)) if is_read_timeout(&error) => {
                self.timed_out = Some(error);
                self.look_again().await
            }
            received => received,
        };
        self.timed_out = None;
        let bytes = received?.ok_or(RecvError::Finished)?;
        Ok(Message {
            bytes,
            from: self.peer,
            to: self.local,
            kind: None,
            place: None,
        })
    }

    /// When a suspended process resumes, its timers fire before the runtime has
    /// learned of data that arrived in the meantime. A timeout loses no bytes,
    /// so reading can continue.
    async fn look_again(&mut self) -> Result<Option<Bytes>, FrameReadError> {
        let again = timeout(LOOK_FOR, self.reader.recv()).await;
        again.unwrap_or_else(|_| {
            let passed = self.timed_out.take();
            Err(passed.unwrap_or_else(|| Timeout::Read.into()).into())
        })
    }
}

fn is_read_timeout(error: &io::Error) -> bool {
    End::from_io(error) == End::TimedOut(Timeout::Read)
}

/// Long enough for the runtime to poll the kernel.
const LOOK_FOR: std::time::Duration = std::time::Duration::from_millis(20);
