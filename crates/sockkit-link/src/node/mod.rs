//! A node dials and listens.

mod dial;
mod listen;

#[cfg(feature = "tls")]
use std::sync::Arc;
use std::time::Duration;

use sockkit_core::{options::SocketOptions, server::ConnectionLimiter};

#[cfg(feature = "quic")]
use super::quic;
#[cfg(feature = "tls")]
use super::tls::Keys;
#[cfg(feature = "pairing")]
use super::{identity::Identity, pairing::Party, trust::Trust};

/// Dials and listens over the transport of an [`Address`](super::Address).
///
/// ```
/// # mod sockkit { pub use ::sockkit_link as link; }
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// use sockkit::link::Node;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// let node = Node::default();
/// let mut acceptor = node.listen(&"tcp://127.0.0.1:0".parse()?).await?;
///
/// let mut dialled = node.dial(&acceptor.address()).await?;
/// dialled.write_all(b"hello").await?;
/// let mut accepted = acceptor.accept().await?;
/// let mut received = [0; 5];
/// accepted.read_exact(&mut received).await?;
/// assert_eq!(&received, b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// TCP is not encrypted, and TLS needs keys from the caller. QUIC encrypts, but does
/// not authenticate the peer: compare the fingerprints.
/// With an identity, set by `authenticate` (feature `pairing`), every transport
/// is encrypted and both sides are authenticated.
#[derive(Clone, Debug)]
#[must_use = "a node does nothing until it dials or listens"]
pub struct Node {
    tcp_options: SocketOptions,
    timeout: Duration,
    max_connections: usize,
    max_connections_per_address: Option<usize>,
    #[cfg(feature = "tls")]
    keys: Keys,
    #[cfg(feature = "quic")]
    quic: quic::QuicConfig,
    #[cfg(feature = "pairing")]
    party: Option<Party>,
    #[cfg(feature = "pairing")]
    plain_refusal: Arc<[u8]>,
}

impl Node {
    /// Timeout of establishing a connection: for dialling, including name
    /// resolution and all addresses; for an accepted connection, of its
    /// handshake. `Duration::MAX` means none. Default: 10 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Maximum number of open connections of an acceptor, handshakes included;
    /// further ones are refused. Default: 64.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// Maximum number of these for one host, which is an IPv4 address or an
    /// IPv6 /64 network. Default: a quarter of
    /// [`max_connections`](Self::max_connections), at least one.
    pub fn max_connections_per_address(mut self, connections: usize) -> Self {
        self.max_connections_per_address = Some(connections);
        self
    }

    /// Options of TCP sockets, including those below TLS. Default:
    /// `no_delay(true)`.
    pub fn tcp_options(mut self, options: SocketOptions) -> Self {
        self.tcp_options = options;
        self
    }

    /// TLS settings for dialling `tls://`: trusted roots, and a client
    /// certificate if the listener asks for one. Default: none, and dialling
    /// fails.
    #[cfg(feature = "tls")]
    pub fn tls_client(mut self, config: Arc<rustls::ClientConfig>) -> Self {
        self.keys.client = Some(config);
        self
    }

    /// TLS settings for listening at `tls://`. Default: none, and listening
    /// fails.
    #[cfg(feature = "tls")]
    pub fn tls_server(mut self, config: Arc<rustls::ServerConfig>) -> Self {
        self.keys.server = Some(config);
        self
    }

    /// How QUIC connections are. Its limits and the time of its handshake are
    /// those of the node. Default: as [`quic::QuicConfig`] says.
    #[cfg(feature = "quic")]
    pub fn quic(mut self, config: quic::QuicConfig) -> Self {
        self.quic = config;
        self
    }

    /// Authenticates this machine with `identity`, and requires its peers to be
    /// authenticated and trusted.
    ///
    /// From then on every connection is encrypted: `tcp://` and `tls://` both use
    /// TLS 1.3 over TCP, and the keys of [`tls_client`](Self::tls_client) and
    /// [`tls_server`](Self::tls_server) are not used. Peers without an identity are
    /// refused, and so are services of another name:
    /// [`QuicConfig::protocol`](quic::QuicConfig::protocol) applies to TCP as well.
    ///
    /// [`Connection::peer`](crate::Connection::peer) is the authenticated peer. If a
    /// dialled peer is not trusted, dialling fails with
    /// [`DialError::NotTrusted`](crate::DialError::NotTrusted); a dialler that is not
    /// trusted is told, and not accepted.
    #[cfg(feature = "pairing")]
    pub fn authenticate(mut self, identity: Identity, trust: Trust) -> Self {
        self.party = Some(Party { identity, trust });
        self
    }

    /// What an authenticating listener over TCP answers a dialler that does not encrypt:
    /// a refusal in the words of its protocol, so that its user learns why. Default:
    /// nothing, and the connection is closed.
    #[cfg(feature = "pairing")]
    pub fn plain_refusal(mut self, bytes: &[u8]) -> Self {
        self.plain_refusal = bytes.into();
        self
    }

    fn limiter(&self) -> ConnectionLimiter {
        match self.max_connections_per_address {
            Some(per_address) => ConnectionLimiter::new(self.max_connections, per_address),
            None => ConnectionLimiter::shared(self.max_connections),
        }
    }
}

impl Default for Node {
    fn default() -> Self {
        Self {
            // Messages are small, and the peer waits for the reply.
            tcp_options: SocketOptions::new().no_delay(true),
            timeout: Duration::from_secs(10),
            max_connections: 64,
            max_connections_per_address: None,
            #[cfg(feature = "tls")]
            keys: Keys::default(),
            #[cfg(feature = "quic")]
            quic: quic::QuicConfig::default(),
            #[cfg(feature = "pairing")]
            party: None,
            #[cfg(feature = "pairing")]
            plain_refusal: Arc::default(),
        }
    }
}
