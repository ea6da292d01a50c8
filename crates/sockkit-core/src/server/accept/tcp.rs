//! TCP, with and without timeouts.

use std::{
    io,
    mem::MaybeUninit,
    net::SocketAddr,
    task::{Context, Poll},
};

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};

use super::{Accept, Accepted, Transport};
use crate::tcp::{self, poll_unsent_below_lowat};

impl Accept for TcpListener {
    type Transport = TcpStream;
    type Address = SocketAddr;

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Self::local_addr(self)
    }

    async fn accept(&mut self) -> io::Result<Accepted<TcpStream>> {
        let (tcp, peer) = Self::accept(self).await?;
        Ok(Accepted::new(tcp, peer))
    }

    fn accept_waiting(&mut self) -> Option<Accepted<TcpStream>> {
        waiting(self)
    }
}

impl Accept for tcp::Listener {
    type Transport = TcpStream;
    type Address = SocketAddr;

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Self::local_addr(self)
    }

    async fn accept(&mut self) -> io::Result<Accepted<TcpStream>> {
        let (tcp, peer) = self.get_ref().accept().await?;
        Ok(self.with_timeouts(Accepted::new(tcp, peer)))
    }

    fn accept_waiting(&mut self) -> Option<Accepted<TcpStream>> {
        let accepted = waiting(self.get_ref())?;
        Some(self.with_timeouts(accepted))
    }
}

impl tcp::Listener {
    fn with_timeouts(&self, accepted: Accepted<TcpStream>) -> Accepted<TcpStream> {
        let (read_timeout, write_timeout) = self.timeouts();
        Accepted {
            read_timeout,
            write_timeout,
            ..accepted
        }
    }
}

fn waiting(listener: &TcpListener) -> Option<Accepted<TcpStream>> {
    let (tcp, peer) = SockRef::from(listener).accept().ok()?;
    tcp.set_nonblocking(true).ok()?;
    let tcp = TcpStream::from_std(tcp.into()).ok()?;
    Some(Accepted::new(tcp, peer.as_socket()?))
}

impl Transport for TcpStream {
    async fn readable(&self) -> io::Result<()> {
        // The runtime's readiness is only a hint; the peek confirms it.
        self.peek(&mut [0]).await.map(drop)
    }

    fn has_arrived(&self) -> io::Result<bool> {
        peeked(SockRef::from(self).peek(&mut [MaybeUninit::uninit()]))
    }

    fn poll_unsent_below_lowat(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        poll_unsent_below_lowat(self, cx)
    }

    fn refuse(self, refusal: &[u8]) {
        // The runtime does not yet know that the socket is writable.
        let _ = SockRef::from(&self).send(refusal);
    }

    fn abort(self) {
        // Fails if the socket is already reset.
        let _ = self.set_zero_linger();
    }
}

/// Whether a non-blocking peek has found data or EOF.
pub(super) fn peeked(looked: io::Result<usize>) -> io::Result<bool> {
    match looked {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}
