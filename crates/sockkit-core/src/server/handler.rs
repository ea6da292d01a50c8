//! What a server does with each connection.

use std::{error::Error, io};

use tokio_util::sync::CancellationToken;

use super::{PeerAddress, Stream, Transport};

/// Serves connections: what Python's `socketserver` calls `handle()`.
///
/// Implemented by any `Fn(Stream, Peer) -> Future`, so an async closure will
/// do; a type of its own is for handlers with state and a name. `S` is what
/// the handler reads and writes: a [`Stream`] over TCP or another
/// [`Transport`], or what a wrapper such as TLS makes of it.
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
    /// The number of this connection, counted from 0 since the server started.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The peer's address.
    pub fn address(&self) -> &PeerAddress {
        &self.address
    }

    /// Waits for the next request: whether one has begun to arrive, or the
    /// peer's close. Not so if the server shuts down first: then return.
    ///
    /// No request that had arrived by then is passed over. Call it when all
    /// that was read before is answered:
    ///
    /// ```
    /// # use sockkit_core::server::{Handled, Peer, Stream};
    /// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// async fn echo(mut stream: Stream, peer: Peer) -> Handled {
    ///     while peer.has_request(&stream).await? {
    ///         let mut buffer = [0; 1024];
    ///         let bytes = stream.read(&mut buffer).await?;
    ///         if bytes == 0 {
    ///             break;
    ///         }
    ///         stream.write_all(&buffer[..bytes]).await?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// If the socket has failed.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn has_request<T: Transport>(&self, stream: &Stream<T>) -> io::Result<bool> {
        tokio::select! {
            biased;
            readable = stream.readable() => readable.map(|()| true),
            () = self.draining() => stream.has_arrived(),
        }
    }

    /// Returns once the server shuts down: finish what is begun, then return.
    ///
    /// A handler that waits for anything else than
    /// [`has_request`](Self::has_request) waits for this too, or it holds the
    /// shutdown up until the [drain timeout](super::ServerConfig::drain_timeout).
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
