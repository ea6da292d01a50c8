//! The part of the conversation that is short and waits for people.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use super::pump::LinkError;

/// Writes all of `bytes`, each piece within `limit`.
pub(super) async fn write<S: AsyncWrite + Unpin>(
    stream: &mut S,
    bytes: &[u8],
    limit: Duration,
) -> Result<(), LinkError> {
    let mut written = 0;
    while written < bytes.len() {
        match timeout(limit, stream.write(&bytes[written..])).await {
            Err(_elapsed) => return Err(LinkError::Silent { silence: limit }),
            Ok(Ok(0)) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
            Ok(more) => written += more?,
        }
    }
    Ok(())
}

/// Reads what there is into `buffer` within `limit`.
pub(super) async fn read<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    limit: Duration,
) -> Result<(), LinkError> {
    buffer.clear();
    buffer.reserve(HANDSHAKE_BUFFER_BYTES);
    match timeout(limit, stream.read_buf(buffer)).await {
        Err(_elapsed) => Err(LinkError::Silent { silence: limit }),
        Ok(Ok(0)) => Err(LinkError::Closed),
        Ok(read) => {
            read?;
            Ok(())
        }
    }
}

/// Says the last words, and waits until the peer has had a chance to hear them:
/// closing with unread bytes would reset the connection under them.
pub(super) async fn part<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    words: Option<Vec<u8>>,
) {
    let farewell = async {
        if let Some(words) = words {
            stream.write_all(&words).await?;
        }
        stream.shutdown().await?;
        let mut buffer = vec![0; HANDSHAKE_BUFFER_BYTES];
        while stream.read(&mut buffer).await? > 0 {}
        io::Result::Ok(())
    };
    let _ = timeout(FAREWELL, farewell).await;
}

const HANDSHAKE_BUFFER_BYTES: usize = 16 << 10;
const FAREWELL: Duration = Duration::from_secs(2);
