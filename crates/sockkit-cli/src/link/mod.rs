//! What a transfer runs over: TCP, or QUIC where packets are lost.

mod acceptor;
mod dial;
mod guest;
mod place;

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use anyhow::Context as _;
use sockkit::quic;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};

use crate::say::say;

pub(crate) use self::{
    acceptor::{Acceptor, Visitor},
    dial::dial,
    place::{Local, Remote},
};
use self::{
    acceptor::{Arrival, Failed, Guest},
    place::Over,
};

/// A stream to the other side.
#[derive(Debug)]
pub(crate) enum Link {
    Tcp(TcpStream),
    Quic(Box<quic::Connection>),
}

/// Where the other side is waited for.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Quic(quic::Listener),
}

impl Listener {
    async fn bind(place: Local) -> anyhow::Result<Self> {
        let failed = || format!("cannot listen on {place}");
        Ok(match place.over {
            Over::Tcp => Self::Tcp(
                TcpListener::bind(place.address)
                    .await
                    .with_context(failed)?,
            ),
            Over::Quic => Self::Quic(quic::Listener::bind(place.address).with_context(failed)?),
        })
    }

    /// Waits for one peer. Cancel safe.
    async fn accept(&self) -> io::Result<(Link, SocketAddr)> {
        Ok(match self {
            Self::Tcp(listener) => loop {
                match listener.accept().await {
                    Err(error) if concerns_one_connection(&error) => {}
                    accepted => {
                        let (stream, peer) = accepted?;
                        break (Link::tcp(stream)?, peer);
                    }
                }
            },
            Self::Quic(listener) => {
                let (connection, peer) = listener.accept().await?;
                (Link::Quic(Box::new(connection)), peer)
            }
        })
    }

    /// Whether nothing more can come after an error; TCP's passes, as when
    /// descriptors had run out.
    fn is_broken_by(&self, _error: &io::Error) -> bool {
        matches!(self, Self::Quic(_))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr(),
            Self::Quic(listener) => listener.local_addr(),
        }
    }
}

/// Whether the next accept may well succeed: this error belonged to one peer.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted
    )
}

impl Link {
    fn tcp(stream: TcpStream) -> io::Result<Self> {
        // Answers are small and waited for.
        stream.set_nodelay(true)?;
        Ok(Self::Tcp(stream))
    }

    fn handle(&self) -> Option<quic::Handle> {
        match self {
            Self::Tcp(_) => None,
            Self::Quic(connection) => Some(connection.handle()),
        }
    }
}

/// Listens at `place`, says where, and what others on the network can see.
pub(crate) async fn listen<G: Guest>(
    place: Local,
    config: G::Config,
    goodbye: &Goodbye,
) -> anyhow::Result<Acceptor<G>> {
    let listener = Listener::bind(place).await?;
    match &listener {
        Listener::Tcp(_) => say_in_the_clear(),
        Listener::Quic(listener) => say_encrypted(listener.fingerprint()),
    }
    let over = place.over;
    say!("listening on {over}{}", listener.local_addr()?);
    let mut acceptor = Acceptor::start(listener, config);
    goodbye.remember_end(acceptor.end());
    Ok(acceptor)
}

/// Waits for the peer whose turn it is, and says what became of others.
pub(crate) async fn next_visitor<G: Guest>(
    acceptor: &mut Acceptor<G>,
) -> anyhow::Result<Visitor<G>> {
    let mut told = 0;
    loop {
        let arrival = acceptor.next().await.context("cannot accept")?;
        let left = acceptor.take_left();
        if left > 0 {
            eprintln!("peers that left before it was their turn: {left}");
        }
        match arrival {
            Arrival::Visitor(visitor) => return Ok(visitor),
            Arrival::Failed(Failed { peer, error }) => {
                told += 1;
                match told {
                    ..=MAX_TOLD => eprintln!("{peer}: {:#}", anyhow::Error::new(error)),
                    MORE => eprintln!("more peers failed; -v lists them"),
                    _ => tracing::info!(%peer, %error, "no handshake"),
                }
            }
        }
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

/// The last words to peers, which a program that ends must not cut off.
#[derive(Debug, Default)]
pub(crate) struct Goodbye(Mutex<Last>);

#[derive(Debug, Default)]
struct Last {
    connection: Option<quic::Handle>,
    acceptor: Option<JoinHandle<()>>,
}

impl Goodbye {
    /// Will wait for this one.
    pub(crate) fn remember(&self, link: &Link) {
        self.remember_handle(link.handle());
    }

    pub(crate) fn remember_handle(&self, connection: Option<quic::Handle>) {
        self.last().connection = connection;
    }

    fn remember_end(&self, acceptor: Option<JoinHandle<()>>) {
        self.last().acceptor = acceptor;
    }

    /// Waits until the other sides have heard it, or could have.
    pub(crate) async fn said(self) {
        let last = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(acceptor) = last.acceptor {
            // It was closed or dropped, and bounds its time itself.
            let _ = timeout(GOODBYE, acceptor).await;
        }
        if let Some(connection) = last.connection {
            connection.closed(GOODBYE).await;
        }
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

/// A stranger must not fill the terminal.
const MAX_TOLD: u32 = 10;
const MORE: u32 = MAX_TOLD + 1;

/// A goodbye takes a few round trips; a peer that is gone takes all of this.
const GOODBYE: Duration = Duration::from_secs(2);
