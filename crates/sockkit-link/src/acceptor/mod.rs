//! Listening for streams, whatever carries them.

#[cfg(feature = "pairing")]
mod secure;
mod tcp;
#[cfg(feature = "tls")]
mod tls;

use std::{io, net::SocketAddr};

use sockkit_core::server::{Accept, Accepted, Backoff};

#[cfg(feature = "pairing")]
pub(crate) use self::secure::SecureDoor;
pub(crate) use self::tcp::TcpDoor;
#[cfg(feature = "tls")]
pub(crate) use self::tls::TlsDoor;
use super::{Address, Connection, Scheme};
#[cfg(feature = "quic")]
use super::{Fingerprint, quic};

/// Accepts [`Connection`]s over TCP, TLS or QUIC: what
/// [`Node::listen`](super::Node::listen) gives.
///
/// Each connection holds one of the places until it is dropped; one host, that
/// is an IPv4 address or an IPv6 /64 network, has a quarter of them unless the
/// [node](super::Node) says otherwise. Handshakes run side by side, each with a
/// deadline: a peer that begins and does not continue delays no other.
///
/// [`Server`](sockkit_core::server::Server) serves it, under its own limits too.
/// Dropping it closes the listener; connections that were accepted stay.
#[derive(Debug)]
pub struct Acceptor {
    door: Door,
    scheme: Scheme,
    local: SocketAddr,
    backoff: Backoff,
}

/// The transports, of which each is a feature but TCP.
#[derive(Debug)]
pub(crate) enum Door {
    Tcp(TcpDoor),
    #[cfg(feature = "tls")]
    Tls(TlsDoor),
    #[cfg(feature = "quic")]
    Quic(quic::Listener),
    /// TLS or QUIC, with who dials proved.
    #[cfg(feature = "pairing")]
    Secure(SecureDoor),
}

impl Acceptor {
    pub(super) fn new(door: Door, scheme: Scheme) -> io::Result<Self> {
        Ok(Self {
            scheme,
            local: door.local_addr()?,
            door,
            backoff: Backoff::default(),
        })
    }

    /// Waits, for ever if need be, for the next connection. Who is there is
    /// told by [`Connection::peer_addr`].
    ///
    /// Over QUIC the peer has spoken by then: what its first byte tells apart is
    /// a connection and a port scan.
    ///
    /// # Errors
    /// If nothing more can come. A want of descriptors is waited out, in pauses
    /// of at most a second.
    ///
    /// # Cancel safety
    /// Cancel safe: no connection is lost.
    pub async fn accept(&mut self) -> io::Result<Connection> {
        let Self { door, backoff, .. } = self;
        Ok(backoff.accept(door).await?.transport)
    }

    /// What carries the connections.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The address bound, with the port that the system chose.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The same in the form that peers dial, unless it is every address of this
    /// machine.
    pub fn address(&self) -> Address {
        Address::new(self.scheme(), self.local.into(), self.local.port())
    }

    /// What every peer should see: tell it by another way than this network.
    /// `None` over what has no certificate of its own.
    #[cfg(feature = "quic")]
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        match &self.door {
            Door::Quic(listener) => Some(listener.fingerprint()),
            #[cfg(feature = "pairing")]
            Door::Secure(door) => Some(door.fingerprint()),
            _ => None,
        }
    }
}

/// So that a [`Server`](sockkit_core::server::Server) serves it.
impl Accept for Acceptor {
    type Transport = Connection;
    type Address = SocketAddr;

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    async fn accept(&mut self) -> io::Result<Accepted<Connection>> {
        self.door.accept().await
    }

    fn accept_waiting(&mut self) -> Option<Accepted<Connection>> {
        self.door.accept_waiting()
    }
}

impl Accept for Door {
    type Transport = Connection;
    type Address = SocketAddr;

    fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(door) => door.local_addr(),
            #[cfg(feature = "tls")]
            Self::Tls(door) => Ok(door.local_addr()),
            #[cfg(feature = "quic")]
            Self::Quic(listener) => listener.local_addr(),
            #[cfg(feature = "pairing")]
            Self::Secure(door) => Ok(door.local_addr()),
        }
    }

    async fn accept(&mut self) -> io::Result<Accepted<Connection>> {
        match self {
            Self::Tcp(door) => door.accept().await,
            #[cfg(feature = "tls")]
            Self::Tls(door) => door.accept().await,
            #[cfg(feature = "quic")]
            Self::Quic(listener) => {
                let accepted = listener.accept().await;
                // The socket failed, and every later call will say so.
                let (connection, _peer) =
                    accepted.map_err(|error| io::Error::new(io::ErrorKind::NotConnected, error))?;
                Ok(by_quic(connection))
            }
            #[cfg(feature = "pairing")]
            Self::Secure(door) => door.accept().await,
        }
    }

    fn accept_waiting(&mut self) -> Option<Accepted<Connection>> {
        match self {
            Self::Tcp(door) => door.accept_waiting(),
            #[cfg(feature = "tls")]
            Self::Tls(door) => door.accept_waiting(),
            #[cfg(feature = "quic")]
            Self::Quic(listener) => listener.accept_waiting().map(by_quic),
            #[cfg(feature = "pairing")]
            Self::Secure(door) => door.accept_waiting(),
        }
    }
}

#[cfg(feature = "quic")]
fn by_quic(connection: quic::Connection) -> Accepted<Connection> {
    let connection = Connection::quic(connection);
    let peer = connection.peer_addr();
    Accepted::new(connection, peer)
}
