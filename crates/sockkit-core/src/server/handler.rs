//! What a server does with each connection.

use std::error::Error;

use tokio_util::sync::CancellationToken;

use super::{PeerAddress, Stream};

/// Serves connections: what Python's `socketserver` calls `handle()`.
///
/// Implemented by any `Fn(Stream, Peer) -> Future`, so an async closure will
/// do; a type of its own is for handlers with state and a name. `S` is what
/// the handler reads and writes: a [`Stream`] over TCP or another
/// [`Transport`](super::Transport), or what a wrapper such as TLS makes of it.
///
/// The future is dropped, at an await, when a timeout passes or a shutdown does
/// not wait longer. A panic ends its own connection only.
pub trait Handler<S = Stream>: Send + Sync + 'static {
    /// Serves one connection until it returns.
    ///
    /// # Errors
    /// Whatever keeps the handler from finishing; it is logged and counted.
    fn handle(&self, stream: S, peer: Peer) -> impl Future<Output = Handled> + Send;
}

/// What a handler returns: any error will do.
pub type Handled = Result<(), Box<dyn Error + Send + Sync>>;

impl<S, F, Fut> Handler<S> for F
where
    F: Fn(S, Peer) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Handled> + Send,
{
    fn handle(&self, stream: S, peer: Peer) -> impl Future<Output = Handled> + Send {
        self(stream, peer)
    }
}

/// Who is at the other end, and whether the server is shutting down.
#[derive(Clone, Debug)]
pub struct Peer {
    pub(super) id: u64,
    pub(super) address: PeerAddress,
    pub(super) draining: CancellationToken,
}

impl Peer {
    /// A peer of no server, which never drains: to call a handler in a test.
    ///
    /// ```
    /// # use sockkit_core as sockkit;
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// use sockkit::server::{Handled, Peer};
    /// use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, duplex};
    ///
    /// async fn greet<S: AsyncWrite + Unpin>(mut stream: S, peer: Peer) -> Handled {
    ///     stream.write_all(format!("hello, {}", peer.address()).as_bytes()).await?;
    ///     Ok(())
    /// }
    ///
    /// let (mut client, server) = duplex(64);
    /// let address = std::net::SocketAddr::from(([192, 0, 2, 1], 5000));
    /// greet(server, Peer::new(address)).await?;
    /// let mut heard = String::new();
    /// client.read_to_string(&mut heard).await?;
    /// assert_eq!(heard, "hello, 192.0.2.1:5000");
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// ```
    pub fn new(address: impl Into<PeerAddress>) -> Self {
        Self {
            id: 0,
            address: address.into(),
            draining: CancellationToken::new(),
        }
    }

    /// The same peer at another address, such as a handler around another one
    /// learns from a proxy's header. The server's own limits and
    /// [`Ended`](super::Ended) keep the address of the connection.
    #[must_use = "the peer is returned"]
    pub fn with_address(mut self, address: impl Into<PeerAddress>) -> Self {
        self.address = address.into();
        self
    }

    /// The number of this connection, counted from 0 since the server started.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The peer's address.
    pub fn address(&self) -> &PeerAddress {
        &self.address
    }

    /// Returns once the server shuts down: finish what is begun, then return.
    ///
    /// A handler that reads to the end of its [`Stream`] needs none of this: the
    /// shutdown ends its reads. One that waits for anything else waits for this
    /// too, or it holds the shutdown up until the
    /// [drain timeout](super::ServerConfig::drain_timeout).
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn draining(&self) {
        self.draining.cancelled().await;
    }

    /// Whether the server is shutting down.
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};

    use super::*;

    #[tokio::test]
    async fn a_layer_can_tell_another_address() {
        /// Stands for one that reads a proxy's header first.
        struct Proxied<H>(H, SocketAddr);

        impl<S: Send + 'static, H: Handler<S>> Handler<S> for Proxied<H> {
            async fn handle(&self, stream: S, peer: Peer) -> Handled {
                self.0.handle(stream, peer.with_address(self.1)).await
            }
        }

        const REAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 5000);

        let proxy = SocketAddr::from(([127, 0, 0, 1], 80));
        let handler = async |(): (), peer: Peer| {
            assert_eq!(peer.address(), &PeerAddress::from(REAL));
            assert_eq!((peer.id(), peer.is_draining()), (0, false));
            Ok(())
        };
        let handled = Proxied(handler, REAL).handle((), Peer::new(proxy)).await;
        handled.expect("the assertions hold");
    }
}
