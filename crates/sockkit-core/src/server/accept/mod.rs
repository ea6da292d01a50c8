//! What a server can serve: anything that accepts connections.

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

/// A source of connections for [`Server::start`](super::Server::start).
///
/// Implemented by [`tcp::Listener`](crate::tcp::Listener), whose timeouts it
/// keeps, by tokio's `TcpListener` and `UnixListener`, and by a `Vec` or a pair
/// of these: several listeners then share the limits of one server.
pub trait Accept: Send + 'static {
    /// The byte stream of one connection.
    type Transport: Transport;

    /// The type of [`Server::local_addr`](super::Server::local_addr).
    type Address: Clone + Debug + Send + Sync + 'static;

    /// The local address.
    ///
    /// # Errors
    /// If the operating system does not report it, or there is no listener.
    fn local_addr(&self) -> io::Result<Self::Address>;

    /// Waits for the next connection.
    ///
    /// # Errors
    /// Errors of one connection (`ConnectionAborted`, `ConnectionReset`) are
    /// skipped. After any other error the server pauses and tries again, except
    /// after `NotConnected`, which ends the listener.
    ///
    /// # Cancel safety
    /// Must be cancel safe: the server drops the future when it drains.
    fn accept(&mut self) -> impl Future<Output = io::Result<Accepted<Self::Transport>>> + Send;

    /// Accepts a pending connection without waiting.
    ///
    /// Asks the operating system rather than the runtime, which learns of new
    /// connections slightly later: a draining server serves every client that
    /// is already connected.
    fn accept_waiting(&mut self) -> Option<Accepted<Self::Transport>>;
}

/// An accepted connection.
#[derive(Debug)]
#[non_exhaustive]
pub struct Accepted<T> {
    /// The connection.
    pub transport: T,
    /// The peer's address.
    pub peer: PeerAddress,
    /// Read timeout of the listener, if it has one. It ends the connection as
    /// [`ServerConfig::read_timeout`](super::ServerConfig::read_timeout) does;
    /// the shorter of the two applies.
    pub read_timeout: Option<Duration>,
    /// Write timeout of the listener, likewise.
    pub write_timeout: Option<Duration>,
}

impl<T> Accepted<T> {
    /// A connection without timeouts of its own.
    pub fn new(transport: T, peer: impl Into<PeerAddress>) -> Self {
        Self {
            transport,
            peer: peer.into(),
            read_timeout: None,
            write_timeout: None,
        }
    }

    /// Replaces the transport, for example by a TLS stream over it, and returns
    /// the old one.
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

/// What a server needs from a connection besides reading and writing.
pub trait Transport: AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static {
    /// Waits until data or EOF has arrived, without consuming it.
    ///
    /// # Errors
    /// If the connection has failed.
    ///
    /// # Cancel safety
    /// Must be cancel safe.
    fn readable(&self) -> impl Future<Output = io::Result<()>> + Send;

    /// Returns whether data or EOF has arrived, according to the operating
    /// system: the runtime learns of it slightly later.
    ///
    /// # Errors
    /// If the connection has failed.
    fn has_arrived(&self) -> io::Result<bool>;

    /// Waits until little unsent data is left in the kernel, as
    /// [`tcp::unsent_below_lowat`](crate::tcp::unsent_below_lowat) does, if the
    /// system reports it.
    ///
    /// # Errors
    /// If the connection has failed.
    fn poll_unsent_below_lowat(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = cx;
        Poll::Ready(Ok(()))
    }

    /// Writes as much of `refusal` as fits without waiting, then closes the
    /// connection.
    fn refuse(self, refusal: &[u8]);

    /// Closes the connection at once, with a reset (RST) if the transport has
    /// one.
    fn abort(self);
}
