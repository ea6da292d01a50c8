//! Messages over a stream, with a deadline for each.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use super::{GroupError, ToMember, ToSender};

/// A message of one side.
pub(super) trait Message: Sized {
    fn encode(&self, out: &mut Vec<u8>);

    fn decode(message: &[u8]) -> Result<Self, super::MessageError>;
}

impl Message for ToMember {
    fn encode(&self, out: &mut Vec<u8>) {
        self.encode(out);
    }

    fn decode(message: &[u8]) -> Result<Self, super::MessageError> {
        Self::decode(message)
    }
}

impl Message for ToSender {
    fn encode(&self, out: &mut Vec<u8>) {
        self.encode(out);
    }

    fn decode(message: &[u8]) -> Result<Self, super::MessageError> {
        Self::decode(message)
    }
}

/// Reads the next message, of at most `max_bytes`. Not cancel safe.
pub(super) async fn read<M: Message>(
    stream: &mut (impl AsyncRead + Unpin),
    max_bytes: u32,
) -> Result<M, GroupError> {
    let reading = async {
        let length = stream.read_u32().await?;
        if length > max_bytes {
            return Err(GroupError::TooLong { bytes: length });
        }
        // Grows with what arrives, not with what is announced.
        let mut message = Vec::new();
        let read = stream.take(length.into()).read_to_end(&mut message).await?;
        if read < length as usize {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(M::decode(&message)?)
    };
    timeout(SILENCE, reading)
        .await
        .map_err(|_elapsed| GroupError::Silent { after: SILENCE })?
}

/// Writes a message. Not cancel safe.
pub(super) async fn write<M: Message>(
    stream: &mut (impl AsyncWrite + Unpin),
    message: &M,
) -> Result<(), GroupError> {
    let mut frame = Vec::new();
    message.encode(&mut frame);
    write_bytes(stream, &frame).await
}

/// Writes frames, or a part of them. Not cancel safe.
pub(super) async fn write_bytes(
    stream: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
) -> Result<(), GroupError> {
    let writing = async {
        stream.write_all(bytes).await?;
        stream.flush().await
    };
    match timeout(SILENCE, writing).await {
        Ok(written) => Ok(written?),
        Err(_elapsed) => Err(GroupError::Silent { after: SILENCE }),
    }
}

/// After so much silence the other side is given up.
pub(super) const SILENCE: Duration = Duration::from_secs(60);
/// How often each side says that it is alive.
pub(super) const ALIVE: Duration = Duration::from_secs(5);
