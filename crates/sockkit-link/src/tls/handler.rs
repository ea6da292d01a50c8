//! TLS for the handler of a server.

use std::{error::Error, fmt, io, sync::Arc, time::Duration};

use sockkit_core::{
    server::{Handled, Handler, Peer},
    tcp::Timeout,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::{rustls, server};

/// A [`Handler`] that performs the TLS handshake and passes the stream on to
/// another handler.
///
/// ```
/// # mod sockkit { pub use ::sockkit_link::*; pub use ::sockkit_core::*; }
/// # fn example(certificates: std::sync::Arc<sockkit::tls::rustls::ServerConfig>) {
/// use sockkit::server::{Peer, Stream};
/// use sockkit::tls::{Tls, server::TlsStream};
/// use tokio::io::AsyncWriteExt;
///
/// let hello = Tls::new(certificates, async |mut stream: TlsStream<Stream>, _: Peer| {
///     stream.write_all(b"hello, in private").await?;
///     stream.shutdown().await?;
///     Ok(())
/// });
/// # let _ = hello;
/// # }
/// ```
///
/// The server's limits, timeouts and counters apply as usual, to the encrypted
/// bytes. A client connects with a [`TlsConnector`](super::TlsConnector).
pub struct Tls<H> {
    acceptor: TlsAcceptor,
    handshake_timeout: Duration,
    handler: H,
}

impl<H> Tls<H> {
    /// Serves connections with `handler` over TLS.
    pub fn new<S>(config: Arc<rustls::ServerConfig>, handler: H) -> Self
    where
        H: Handler<server::TlsStream<S>>,
    {
        Self {
            acceptor: TlsAcceptor::from(config),
            handshake_timeout: DEFAULT_HANDSHAKE_TIMEOUT,
            handler,
        }
    }

    /// Timeout of the handshake, after which the connection ends with
    /// [`Timeout::Handshake`]. Default: 10 s.
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }
}

/// Over any stream: a server's own, or what a layer has made of it.
impl<S, H> Handler<S> for Tls<H>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    H: Handler<server::TlsStream<S>>,
{
    async fn handle(&self, stream: S, peer: Peer) -> Handled {
        let handled = self.handle_secured(stream, peer.clone()).await;
        match handled {
            // The drain has ended the reads, which TLS cannot distinguish from
            // a truncated stream.
            Err(error) if peer.is_draining() && is_unexpected_end(&*error) => Ok(()),
            handled => handled,
        }
    }
}

impl<H> Tls<H> {
    async fn handle_secured<S>(&self, stream: S, peer: Peer) -> Handled
    where
        S: AsyncRead + AsyncWrite + Unpin,
        H: Handler<server::TlsStream<S>>,
    {
        let stream = timeout(self.handshake_timeout, self.acceptor.accept(stream))
            .await
            .map_err(|_| io::Error::from(Timeout::Handshake))??;
        self.handler.handle(stream, peer).await
    }
}

/// Whether `error` or one of its sources is an unexpected EOF.
fn is_unexpected_end(error: &(dyn Error + 'static)) -> bool {
    let is_end = |error: &io::Error| error.kind() == io::ErrorKind::UnexpectedEof;
    error.downcast_ref().is_some_and(is_end) || error.source().is_some_and(is_unexpected_end)
}

impl<H> fmt::Debug for Tls<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("handshake_timeout", &self.handshake_timeout)
            .finish_non_exhaustive()
    }
}

const DEFAULT_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
