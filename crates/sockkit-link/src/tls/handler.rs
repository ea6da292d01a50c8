//! The same server over TLS.

use std::{error::Error, fmt, io, sync::Arc, time::Duration};

use sockkit_core::{
    server::{Handled, Handler, Peer, Stream},
    tcp::Timeout,
};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::{rustls, server};

/// A [`Handler`] that speaks TLS and hands the plain stream to another.
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
/// The server's limits, timeouts and counters are the same; they see the
/// encrypted bytes. A client dials with
/// [`TlsConnector`](super::TlsConnector).
pub struct Tls<H> {
    acceptor: TlsAcceptor,
    handshake_timeout: Duration,
    handler: H,
}

impl<H: Handler<server::TlsStream<Stream>>> Tls<H> {
    /// Serves with `handler` what arrives over TLS.
    pub fn new(config: Arc<rustls::ServerConfig>, handler: H) -> Self {
        Self {
            acceptor: TlsAcceptor::from(config),
            handshake_timeout: DEFAULT_HANDSHAKE_TIMEOUT,
            handler,
        }
    }

    /// How long the handshake may take; then the connection's end is
    /// [`Timeout::Handshake`]. Default: 10 s.
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }
}

impl<H: Handler<server::TlsStream<Stream>>> Handler for Tls<H> {
    async fn handle(&self, stream: Stream, peer: Peer) -> Handled {
        let handled = self.handle_secured(stream, peer.clone()).await;
        match handled {
            // The server's drain has ended the reads, which TLS cannot tell from
            // a peer that was cut off.
            Err(error) if peer.is_draining() && is_unexpected_end(&*error) => Ok(()),
            handled => handled,
        }
    }
}

impl<H: Handler<server::TlsStream<Stream>>> Tls<H> {
    async fn handle_secured(&self, stream: Stream, peer: Peer) -> Handled {
        let stream = timeout(self.handshake_timeout, self.acceptor.accept(stream))
            .await
            .map_err(|_| io::Error::from(Timeout::Handshake))??;
        self.handler.handle(stream, peer).await
    }
}

/// Whether `error`, or what is behind it, is the end of a stream.
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
