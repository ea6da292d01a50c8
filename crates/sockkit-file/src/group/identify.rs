//! Tells the sender of a group from one of a session.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    time::timeout,
};

use super::message::{LENGTH_BYTES, MAGIC};

/// Which kind of sender is at the other end.
#[derive(Debug)]
#[non_exhaustive]
pub enum SenderKind<S> {
    /// That of a group: [`join`](super::join) it.
    Group(Preceded<S>),
    /// That of a session: [`receive`](crate::receive) from it.
    Session(Preceded<S>),
}

/// Waits for the first bytes of the sender, which speaks first. One that says nothing
/// for ten seconds, or disconnects, is taken for that of a session, which reports it.
///
/// # Cancel safety
/// Not cancel safe: dropping the future closes the connection.
pub async fn identify<S>(mut stream: S) -> SenderKind<S>
where
    S: AsyncRead + Unpin,
{
    let mut first = Vec::with_capacity(FIRST_BYTES);
    let reading = async {
        while first.len() < FIRST_BYTES {
            let mut next = (&mut stream).take((FIRST_BYTES - first.len()) as u64);
            if !matches!(next.read_buf(&mut first).await, Ok(1..)) {
                break;
            }
        }
    };
    let _ = timeout(WITHIN, reading).await;
    let is_group = first.len() == FIRST_BYTES && first.ends_with(MAGIC);
    let stream = Preceded {
        first,
        replayed: 0,
        stream,
    };
    match is_group {
        true => SenderKind::Group(stream),
        false => SenderKind::Session(stream),
    }
}

/// A stream whose first bytes were read, and are read once more.
#[derive(Debug)]
pub struct Preceded<S> {
    first: Vec<u8>,
    replayed: usize,
    stream: S,
}

impl<S: AsyncRead + Unpin> AsyncRead for Preceded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let rest = &this.first[this.replayed..];
        if rest.is_empty() {
            return Pin::new(&mut this.stream).poll_read(cx, buffer);
        }
        let bytes = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..bytes]);
        this.replayed += bytes;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Preceded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Length, kind and magic of a welcome. A session's hello is longer.
const FIRST_BYTES: usize = LENGTH_BYTES + 1 + MAGIC.len();
const WITHIN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;
    use crate::{Manifest, group::frames, session::SenderSession};

    #[tokio::test]
    async fn a_group_is_told_from_a_session_and_no_byte_is_lost() {
        let (mut near, far) = duplex(1 << 16);
        let mut hello = SenderSession::new("desk", Manifest::default());
        let hello = hello.poll_transmit().unwrap();
        near.write_all(&hello).await.unwrap();
        let SenderKind::Session(mut stream) = identify(far).await else {
            panic!("it is a session");
        };
        let mut replayed = vec![0; hello.len()];
        stream.read_exact(&mut replayed).await.unwrap();
        assert_eq!(replayed, hello);

        let (mut near, far) = duplex(1 << 16);
        let layout = crate::group::Layout::new(0).unwrap();
        let group = ([239, 1, 2, 3], 4).into();
        let welcome =
            crate::group::Welcome::new("desk", group, [1; 32], layout, Manifest::default());
        let welcome = crate::group::ToMember::Welcome(Box::new(welcome));
        frames::write(&mut near, &welcome).await.unwrap();
        let SenderKind::Group(mut stream) = identify(far).await else {
            panic!("it is a group");
        };
        let replayed: crate::group::ToMember = frames::read(&mut stream, 1_000).await.unwrap();
        assert_eq!(replayed, welcome);
    }
}
