//! Unix sockets.

use std::{io, mem::MaybeUninit, os::unix};

use socket2::SockRef;
use tokio::{
    io::Interest,
    net::{UnixListener, UnixStream},
};

use super::{Accept, Accepted, Transport, tcp::peeked};
use crate::server::PeerAddress;

impl Accept for UnixListener {
    type Transport = UnixStream;
    type Address = PeerAddress;

    fn local_addr(&self) -> io::Result<PeerAddress> {
        Ok(unix::net::SocketAddr::from(Self::local_addr(self)?).into())
    }

    async fn accept(&mut self) -> io::Result<Accepted<UnixStream>> {
        let (stream, peer) = Self::accept(self).await?;
        Ok(Accepted::new(stream, unix::net::SocketAddr::from(peer)))
    }

    fn accept_waiting(&mut self) -> Option<Accepted<UnixStream>> {
        let (stream, _) = SockRef::from(&*self).accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        let stream = UnixStream::from_std(stream.into()).ok()?;
        let peer = unix::net::SocketAddr::from(stream.peer_addr().ok()?);
        Some(Accepted::new(stream, peer))
    }
}

impl Transport for UnixStream {
    async fn readable(&self) -> io::Result<()> {
        self.async_io(Interest::READABLE, || peek(self).map(drop))
            .await
    }

    fn has_arrived(&self) -> io::Result<bool> {
        peeked(peek(self))
    }

    fn refuse(self, refusal: &[u8]) {
        let _ = SockRef::from(&self).send(refusal);
    }

    /// Unix sockets have no RST: the peer sees EOF, or a reset if this side has
    /// unread data.
    fn abort(self) {}
}

fn peek(stream: &UnixStream) -> io::Result<usize> {
    SockRef::from(stream).peek(&mut [MaybeUninit::uninit()])
}
