//! What a transfer runs over: TCP, or QUIC where packets are lost.

mod dial;
mod place;

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use anyhow::Context as _;
use sockkit::quic;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

use crate::say::say;

use self::place::Over;
pub(crate) use self::{
    dial::dial,
    place::{Local, Remote},
};

/// A stream to the other side.
#[derive(Debug)]
pub(crate) enum Link {
    Tcp(TcpStream),
    Quic(quic::Connection),
}

/// Where the other side is waited for.
pub(crate) enum Listener {
    Tcp(TcpListener),
    Quic(quic::Listener),
}

impl Listener {
    /// Listens at `place`, says where, and what others on the network can see.
    pub(crate) async fn bind(place: Local) -> anyhow::Result<Self> {
        let failed = || format!("cannot listen on {place}");
        let Local { over, address } = place;
        let (listener, address) = match over {
            Over::Tcp => {
                say_in_the_clear();
                let listener = TcpListener::bind(address).await.with_context(failed)?;
                let address = listener.local_addr()?;
                (Self::Tcp(listener), address)
            }
            Over::Quic => {
                let listener = quic::Listener::bind(address).with_context(failed)?;
                say_encrypted(listener.fingerprint());
                let address = listener.local_addr()?;
                (Self::Quic(listener), address)
            }
        };
        say!("listening on {over}{address}");
        Ok(listener)
    }

    /// Waits for one peer.
    pub(crate) async fn accept(&self) -> anyhow::Result<(Link, SocketAddr)> {
        let (link, peer) = match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await.context("cannot accept")?;
                (Link::tcp(stream)?, peer)
            }
            Self::Quic(listener) => {
                let (connection, peer) = listener.accept().await.context("cannot accept")?;
                (Link::Quic(connection), peer)
            }
        };
        Ok((link, peer))
    }
}

impl Link {
    fn tcp(stream: TcpStream) -> anyhow::Result<Self> {
        // Answers are small and waited for.
        stream.set_nodelay(true).context("cannot set TCP_NODELAY")?;
        Ok(Self::Tcp(stream))
    }
}

/// Said once on each side, before anything moves.
fn say_in_the_clear() {
    eprintln!(
        "note: traffic is in the clear; whoever shares the network can read it; \
         quic:// encrypts"
    );
}

/// The same for QUIC.
fn say_encrypted(fingerprint: quic::Fingerprint) {
    eprintln!(
        "note: traffic is encrypted, but who is on the other side is not proved. Nobody \
         sits in between if both sides show:\n  {fingerprint}"
    );
}

/// The last connection's goodbye, which a program that ends must not cut off.
#[derive(Debug, Default)]
pub(crate) struct Goodbye(Mutex<Option<quic::Handle>>);

impl Goodbye {
    /// Will wait for this one.
    pub(crate) fn remember(&self, link: &Link) {
        if let Link::Quic(connection) = link {
            let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *last = Some(connection.handle());
        }
    }

    /// Waits until the other side has heard it, or could have.
    pub(crate) async fn said(self) {
        let last = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = last {
            connection.closed(GOODBYE).await;
        }
    }
}

impl AsyncRead for Link {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Quic(connection) => Pin::new(connection).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Link {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Quic(connection) => Pin::new(connection).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Quic(connection) => Pin::new(connection).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Quic(connection) => Pin::new(connection).poll_shutdown(cx),
        }
    }
}

/// A goodbye takes a few round trips; a peer that is gone takes all of this.
const GOODBYE: Duration = Duration::from_secs(2);
