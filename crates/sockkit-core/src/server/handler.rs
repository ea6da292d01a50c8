//! Serves each connection of a server.

use std::error::Error;

use tokio_util::sync::CancellationToken;

use super::{PeerAddress, Stream};

/// Serves connections, like `handle()` of Python's `socketserver`.
///
/// Implemented by every `Fn(Stream, Peer) -> Future`, so an async closure is
/// enough; one that captures state clones it for each connection. Implement
/// the trait for your own type if the handler has a name, or much state.
///
/// # Layers
/// `S` is the stream that the handler reads and writes: a [`Stream`] over TCP
/// or another [`Transport`](super::Transport), or what a layer makes of it. A
/// layer is a handler of `S` that holds a handler of `T`: it turns the stream
/// into a `T`, and passes that on. `tls::Tls` is one; the server's limits,
/// timeouts and graceful shutdown apply below all layers.
///
/// ```
/// # use sockkit_core as sockkit;
/// use sockkit::server::{Handled, Handler, Peer, Stream};
/// use tokio::io::BufStream;
///
/// /// Buffers the reads and writes of the handler inside.
/// struct Buffered<H>(H);
///
/// impl<H: Handler<BufStream<Stream>>> Handler for Buffered<H> {
///     async fn handle(&self, stream: Stream, peer: Peer) -> Handled {
///         self.0.handle(BufStream::new(stream), peer).await
///     }
/// }
/// # async fn inner(_: BufStream<Stream>, _: Peer) -> Handled { Ok(()) }
/// # fn is_handler<H: Handler>(_: H) {}
/// # is_handler(Buffered(inner));
/// ```
///
/// # Cancellation
/// The future is dropped at an await when a timeout passes or a shutdown stops
/// waiting. A panic ends only its own connection.
pub trait Handler<S = Stream>: Send + Sync + 'static {
    /// Serves one connection; it is closed on return.
    ///
    /// # Errors
    /// Any error of the handler. It is logged and counted.
    fn handle(&self, stream: S, peer: Peer) -> impl Future<Output = Handled> + Send;
}

/// Result of a handler; the error may be of any type.
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

/// The peer of a connection, and the state of the server.
#[derive(Clone, Debug)]
pub struct Peer {
    pub(super) id: u64,
    pub(super) address: PeerAddress,
    pub(super) draining: CancellationToken,
}

impl Peer {
    /// Creates a peer without a server, to call a handler in a test. It never
    /// drains.
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
    /// let mut received = String::new();
    /// client.read_to_string(&mut received).await?;
    /// assert_eq!(received, "hello, 192.0.2.1:5000");
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

    /// Replaces the address, for example by one that a layer reads from a PROXY
    /// protocol header. The server's limits and [`Ended`](super::Ended) still
    /// use the address of the connection.
    #[must_use = "the peer is returned"]
    pub fn with_address(mut self, address: impl Into<PeerAddress>) -> Self {
        self.address = address.into();
        self
    }

    /// The id of this connection, counted from 0 since the server started.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The peer's address.
    pub fn address(&self) -> &PeerAddress {
        &self.address
    }

    /// Waits until the server starts to shut down. The handler should then
    /// finish its work and return.
    ///
    /// A handler that reads its [`Stream`] to EOF does not need this, because a
    /// shutdown ends its reads. A handler that waits for anything else should
    /// also wait for this; otherwise it delays the shutdown until the [drain
    /// timeout](super::ServerConfig::drain_timeout).
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
        /// A layer like one that reads a PROXY protocol header.
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
