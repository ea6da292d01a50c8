//! This machine, as one that dials and listens.

mod dial;
mod listen;

use std::time::Duration;

use sockkit_core::{options::SocketOptions, server::Slots};

#[cfg(feature = "quic")]
use super::quic;
#[cfg(feature = "tls")]
use super::tls::Keys;
#[cfg(feature = "pairing")]
use super::{identity::Identity, pairing::Party, trust::Trust};

/// Dials and listens, over whatever an [`Address`](super::Address) says.
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
/// let mut heard = [0; 5];
/// accepted.read_exact(&mut heard).await?;
/// assert_eq!(&heard, b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// TCP is in the clear, and TLS needs keys of the caller's. QUIC encrypts, and
/// does not prove who is there: compare the fingerprints. With an identity, by
/// `authenticate` (feature `pairing`), all of them encrypt, and both ends prove
/// who they are.
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
    quic: quic::Config,
    #[cfg(feature = "pairing")]
    party: Option<Party>,
}

impl Node {
    /// How long a connection may take to come about: a dialled one in all, its
    /// name and every address of it included, an accepted one its handshake.
    /// `Duration::MAX` is for ever. Default: 10 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How many connections an acceptor has open at a time, handshakes included;
    /// more are refused. Default: 64.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// How many of these one host has, that is an IPv4 address or the /64 of an
    /// IPv6 one. Default: a quarter of [`max_connections`](Self::max_connections),
    /// and one at least.
    pub fn max_connections_per_address(mut self, connections: usize) -> Self {
        self.max_connections_per_address = Some(connections);
        self
    }

    /// Options of TCP sockets, also of those below TLS. Default:
    /// `no_delay(true)`.
    pub fn tcp_options(mut self, options: SocketOptions) -> Self {
        self.tcp_options = options;
        self
    }

    /// With what `tls://` is dialled: whom to trust, and a certificate if the
    /// listener asks for one. Default: none, and dialling it fails.
    #[cfg(feature = "tls")]
    pub fn tls_client(mut self, config: std::sync::Arc<rustls::ClientConfig>) -> Self {
        self.keys.client = Some(config);
        self
    }

    /// With what `tls://` is listened at. Default: none, and listening fails.
    #[cfg(feature = "tls")]
    pub fn tls_server(mut self, config: std::sync::Arc<rustls::ServerConfig>) -> Self {
        self.keys.server = Some(config);
        self
    }

    /// How QUIC connections are. Its limits and the time of its handshake are
    /// those of the node. Default: as [`quic::Config`] says.
    #[cfg(feature = "quic")]
    pub fn quic(mut self, config: quic::Config) -> Self {
        self.quic = config;
        self
    }

    /// Proves who this machine is, and insists that its peers do and are trusted.
    ///
    /// From then on nothing is in the clear: `tcp://` and `tls://` are TLS 1.3 over
    /// TCP alike, and the keys of [`tls_client`](Self::tls_client) and
    /// [`tls_server`](Self::tls_server) are not used. Peers without an identity are
    /// refused, and so is a service of another name: that of
    /// [`quic::Config::protocol`] counts for TCP as well.
    ///
    /// [`Connection::peer`](crate::Connection::peer) is who was proved. A dialled
    /// peer that is not trusted is a
    /// [`DialError::NotTrusted`](crate::DialError::NotTrusted); one that dials and is
    /// not trusted is told so, and not accepted.
    #[cfg(feature = "pairing")]
    pub fn authenticate(mut self, identity: Identity, trust: Trust) -> Self {
        self.party = Some(Party { identity, trust });
        self
    }

    fn slots(&self) -> Slots {
        match self.max_connections_per_address {
            Some(per_address) => Slots::new(self.max_connections, per_address),
            None => Slots::shared(self.max_connections),
        }
    }
}

impl Default for Node {
    fn default() -> Self {
        Self {
            // Answers are small and waited for.
            tcp_options: SocketOptions::new().no_delay(true),
            timeout: Duration::from_secs(10),
            max_connections: 64,
            max_connections_per_address: None,
            #[cfg(feature = "tls")]
            keys: Keys::default(),
            #[cfg(feature = "quic")]
            quic: quic::Config::default(),
            #[cfg(feature = "pairing")]
            party: None,
        }
    }
}
