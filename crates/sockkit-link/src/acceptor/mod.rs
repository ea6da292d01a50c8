//! Accepts streams over any transport.

#[cfg(feature = "pairing")]
mod secure;
mod tcp;
#[cfg(feature = "tls")]
mod tls;

use std::{io, net::SocketAddr};

use sockkit_core::server::{Accept, Accepted, Backoff};

#[cfg(feature = "pairing")]
pub(crate) use self::secure::SecureAcceptor;
pub(crate) use self::tcp::TcpAcceptor;
#[cfg(feature = "tls")]
pub(crate) use self::tls::TlsAcceptor;
use super::{Address, Connection, Scheme};
#[cfg(feature = "quic")]
use super::{Fingerprint, quic};

/// Accepts [`Connection`]s over TCP, TLS or QUIC; returned by
/// [`Node::listen`](super::Node::listen).
///
/// Each connection holds a permit until it is dropped. One host, which is an
/// IPv4 address or an IPv6 /64 network, gets a quarter of the permits unless
/// the [node](super::Node) is configured otherwise. Handshakes run
/// concurrently, each with a timeout, so a peer that stalls delays no other.
///
/// It can be passed to [`Server`](sockkit_core::server::Server), whose own
/// limits then apply as well. Dropping it closes the listener; accepted
/// connections stay open.
#[derive(Debug)]
pub struct Acceptor {
    inner: TransportAcceptor,
    scheme: Scheme,
    local: SocketAddr,
    backoff: Backoff,
}

/// The transports; all but TCP are optional features.
#[derive(Debug)]
pub(crate) enum TransportAcceptor {
    Tcp(TcpAcceptor),
    #[cfg(feature = "tls")]
    Tls(TlsAcceptor),
    #[cfg(feature = "quic")]
    Quic(quic::Listener),
    /// TLS or QUIC with mutual authentication.
    #[cfg(feature = "pairing")]
    Secure(SecureAcceptor),
}

impl Acceptor {
    pub(super) fn new(inner: TransportAcceptor, scheme: Scheme) -> io::Result<Self> {
        Ok(Self {
            scheme,
            local: inner.local_addr()?,
            inner,
            backoff: Backoff::default(),
        })
    }

    /// Waits for the next connection, for as long as it takes.
    ///
    /// Over QUIC the peer has already sent data: its first byte distinguishes a
    /// connection from a port scan.
    ///
    /// # Errors
    /// If the listener has failed for good. While descriptors run out, it
    /// retries with pauses of at most a second.
    ///
    /// # Cancel safety
    /// Cancel safe: no connection is lost.
    pub async fn accept(&mut self) -> io::Result<Connection> {
        let Self { inner, backoff, .. } = self;
        Ok(backoff.accept(inner).await?.transport)
    }

    /// The transport of the connections.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The local address, with the port chosen by the system.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The local address in the form that peers dial, unless it is unspecified.
    pub fn address(&self) -> Address {
        Address::new(self.scheme(), self.local.into(), self.local.port())
    }

    /// The fingerprint that every peer should see: communicate it over another
    /// channel than this network. `None` for transports without a certificate
    /// of their own.
    #[cfg(feature = "quic")]
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        match &self.inner {
            TransportAcceptor::Quic(listener) => Some(listener.fingerprint()),
            #[cfg(feature = "pairing")]
            TransportAcceptor::Secure(acceptor) => Some(acceptor.fingerprint()),
            _ => None,
        }
    }
}

/// Allows a [`Server`](sockkit_core::server::Server) to serve it.
impl Accept for Acceptor {
    type Transport = Connection;
    type Address = SocketAddr;

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    async fn accept(&mut self) -> io::Result<Accepted<Connection>> {
        self.inner.accept().await
    }

    fn accept_waiting(&mut self) -> Option<Accepted<Connection>> {
        self.inner.accept_waiting()
    }
}

impl Accept for TransportAcceptor {
    type Transport = Connection;
    type Address = SocketAddr;

    fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(inner) => inner.local_addr(),
            #[cfg(feature = "tls")]
            Self::Tls(inner) => Ok(inner.local_addr()),
            #[cfg(feature = "quic")]
            Self::Quic(listener) => listener.local_addr(),
            #[cfg(feature = "pairing")]
            Self::Secure(inner) => Ok(inner.local_addr()),
        }
    }

    async fn accept(&mut self) -> io::Result<Accepted<Connection>> {
        match self {
            Self::Tcp(inner) => inner.accept().await,
            #[cfg(feature = "tls")]
            Self::Tls(inner) => inner.accept().await,
            #[cfg(feature = "quic")]
            Self::Quic(listener) => {
                let accepted = listener.accept().await;
                // The socket has failed, and every later call returns the
                // error.
                let (connection, _peer) =
                    accepted.map_err(|error| io::Error::new(io::ErrorKind::NotConnected, error))?;
                Ok(by_quic(connection))
            }
            #[cfg(feature = "pairing")]
            Self::Secure(inner) => inner.accept().await,
        }
    }

    fn accept_waiting(&mut self) -> Option<Accepted<Connection>> {
        match self {
            Self::Tcp(inner) => inner.accept_waiting(),
            #[cfg(feature = "tls")]
            Self::Tls(inner) => inner.accept_waiting(),
            #[cfg(feature = "quic")]
            Self::Quic(listener) => listener.accept_waiting().map(by_quic),
            #[cfg(feature = "pairing")]
            Self::Secure(inner) => inner.accept_waiting(),
        }
    }
}

#[cfg(feature = "quic")]
fn by_quic(connection: quic::Connection) -> Accepted<Connection> {
    let connection = Connection::quic(connection);
    let peer = connection.peer_addr();
    Accepted::new(connection, peer)
}
