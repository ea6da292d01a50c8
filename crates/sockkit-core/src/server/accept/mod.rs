//! What a server can serve: whatever accepts connections.

use std::{
    fmt::Debug,
    io,
    task::{Context, Poll},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncWrite};

use super::PeerAddress;

mod backoff;
mod several;
mod tcp;
#[cfg(unix)]
mod unix;

#[doc(hidden)]
pub use backoff::Backoff;
pub(super) use backoff::{concerns_one_connection, is_final};

/// What accepts connections, for [`Server::start`](super::Server::start).
///
/// [`tcp::Listener`](crate::tcp::Listener) with the deadlines of its options,
/// tokio's `TcpListener` and `UnixListener`, a `Vec` of what accepts, and a
/// pair: several listeners share the limits of one server.
pub trait Accept: Send + 'static {
    /// What one connection reads and writes.
    type Transport: Transport;

    /// What [`Server::local_addr`](super::Server::local_addr) tells.
    type Address: Clone + Debug + Send + Sync + 'static;

    /// Where it listens.
    ///
    /// # Errors
    /// If the operating system does not tell, or there is nothing to listen at.
    fn local_addr(&self) -> io::Result<Self::Address>;

    /// Waits for the next connection.
    ///
    /// # Errors
    /// About one connection (`ConnectionAborted`, `ConnectionReset`), or about
    /// all: the server then pauses before it asks again. `NotConnected` is the
    /// listener's end: it is not asked again.
    ///
    /// # Cancel safety
    /// Must be cancel safe: the server drops the future when it drains.
    fn accept(&mut self) -> impl Future<Output = io::Result<Accepted<Self::Transport>>> + Send;

    /// Takes a connection that waits to be accepted, and waits for none.
    ///
    /// Asks the operating system, and not the runtime, which hears of new
    /// connections a moment later: a server that drains serves all who are
    /// connected.
    fn accept_waiting(&mut self) -> Option<Accepted<Self::Transport>>;
}

/// A connection that was accepted.
#[derive(Debug)]
#[non_exhaustive]
pub struct Accepted<T> {
    /// The connection.
    pub transport: T,
    /// The address at its other end.
    pub peer: PeerAddress,
    /// How long a read may wait, if the listener bounds it. The connection
    /// ends, as by [`ServerConfig::read_timeout`](super::ServerConfig::read_timeout);
    /// the shorter one holds.
    pub read_timeout: Option<Duration>,
    /// How long a write may wait, in the same way.
    pub write_timeout: Option<Duration>,
}

impl<T> Accepted<T> {
    /// A connection with no timeouts but the server's.
    pub fn new(transport: T, peer: impl Into<PeerAddress>) -> Self {
        Self {
            transport,
            peer: peer.into(),
            read_timeout: None,
            write_timeout: None,
        }
    }

    /// The same with another transport in its place, such as what TLS makes of
    /// it; gives back the one that was there.
    pub fn replace<U>(self, transport: U) -> (T, Accepted<U>) {
        let accepted = Accepted {
            transport,
            peer: self.peer,
            read_timeout: self.read_timeout,
            write_timeout: self.write_timeout,
        };
        (self.transport, accepted)
    }

    fn map<U>(self, map: impl FnOnce(T) -> U) -> Accepted<U> {
        let (transport, accepted) = self.replace(());
        accepted.replace(map(transport)).1
    }
}

/// What a server needs of a connection beyond reading and writing.
pub trait Transport: AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static {
    /// Waits until there is something to read, or the peer's close, and leaves
    /// it there.
    ///
    /// # Errors
    /// If the connection has failed.
    ///
    /// # Cancel safety
    /// Must be cancel safe.
    fn readable(&self) -> impl Future<Output = io::Result<()>> + Send;

    /// Whether there is something to read, or the peer's close, by the
    /// operating system's word: the runtime hears of it a moment later.
    ///
    /// # Errors
    /// If the connection has failed.
    fn has_arrived(&self) -> io::Result<bool>;

    /// Waits until the bytes that were written have left this machine, where
    /// the system can tell, as [`tcp::unsent_below_lowat`](crate::tcp::unsent_below_lowat) does.
    ///
    /// # Errors
    /// If the connection has failed.
    fn poll_unsent_below_lowat(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = cx;
        Poll::Ready(Ok(()))
    }

    /// Writes as much of `refusal` as there is room for at once, and closes.
    fn refuse(self, refusal: &[u8]);

    /// Closes at once, and tells the peer that it was no orderly end (RST)
    /// where there is a way.
    fn abort(self);
}
