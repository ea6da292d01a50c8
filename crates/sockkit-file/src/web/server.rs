//! Serves routes to browsers, with limits for every connection.

use std::{net::SocketAddr, pin::pin, time::Duration};

use axum::{Extension, Router, extract::ConnectInfo};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use sockkit_core::{
    BindError,
    server::{EncryptedOnly, Handled, Handler, Peer, Server, ServerConfig},
    tcp::Listener,
};
use tokio::io::{AsyncRead, AsyncWrite};

/// Serves pages until it is dropped.
///
/// At most 256 connections, 32 of one host: a stranger cannot keep others out.
#[derive(Debug)]
#[must_use = "dropping the server stops it"]
pub struct WebServer(Server);

impl WebServer {
    /// Binds `address` and serves `handler` there.
    ///
    /// # Errors
    /// [`BindError`] if the address cannot be bound.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn bind(address: SocketAddr, handler: WebHandler) -> Result<Self, BindError> {
        Self::start(address, config().refusal(BUSY), handler)
    }

    /// As [`bind`](Self::bind), over TLS: `handler` is a [`WebHandler`] in a layer that
    /// decrypts. What is not encrypted gets no response, and a warning says what to type;
    /// connections beyond the limits are reset.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn bind_tls(address: SocketAddr, handler: impl Handler) -> Result<Self, BindError> {
        Self::start(address, config(), EncryptedOnly::new(handler))
    }

    fn start(
        address: SocketAddr,
        config: ServerConfig,
        handler: impl Handler,
    ) -> Result<Self, BindError> {
        let listener = Listener::bind(address)?;
        let server = Server::start_handler(listener, config, handler);
        server
            .map(Self)
            .map_err(|source| BindError::Address { address, source })
    }

    /// The local address, with the port chosen by the system.
    pub fn local_addr(&self) -> SocketAddr {
        self.0.local_addr()
    }

    /// Finishes the responses that are on their way, for at most a minute.
    ///
    /// # Cancel safety
    /// Not cancel safe: dropping the future stops everything at once.
    pub async fn shutdown(self) {
        self.0.shutdown().await;
    }
}

fn config() -> ServerConfig {
    ServerConfig::default()
        .max_connections(MAX_CONNECTIONS)
        .max_connections_per_address(MAX_CONNECTIONS_PER_HOST)
        .idle_timeout(IDLE_TIMEOUT)
        .write_timeout(WRITE_TIMEOUT)
        .drain_timeout(DRAIN_TIMEOUT)
        .quiet_period(None)
}

/// Serves a router over each connection, encrypted or not.
#[derive(Clone, Debug)]
pub struct WebHandler(Router);

impl WebHandler {
    /// Serves `router`, with the peer's address as axum's `ConnectInfo`.
    pub fn new(router: Router) -> Self {
        Self(router)
    }
}

impl<S> Handler<S> for WebHandler
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    async fn handle(&self, stream: S, peer: Peer) -> Handled {
        let Some(address) = peer.address().socket_addr() else {
            return Ok(());
        };
        let router = self.0.clone().layer(Extension(ConnectInfo(address)));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS_WITHIN)
            .max_buf_size(MAX_BUFFER_BYTES)
            .half_close(true)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = peer.draining() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(peer = %address, %error, "browser connection ended");
        }
        Ok(())
    }
}

const MAX_CONNECTIONS: usize = 256;
const MAX_CONNECTIONS_PER_HOST: usize = 32;

/// Longer than any browser needs; also closes idle keep-alive connections.
const HEADERS_WITHIN: Duration = Duration::from_secs(15);

/// Bounds the request's head.
const MAX_BUFFER_BYTES: usize = 64 << 10;

/// A request that waits for the user is answered sooner.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);

/// A phone that has gone out of reach takes nothing.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// The end of a file that counts as downloaded may be in the system's buffers, or here.
const DRAIN_TIMEOUT: Duration = WRITE_TIMEOUT;

const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    X-Frame-Options: DENY\r\nCross-Origin-Resource-Policy: same-origin\r\n\
    Connection: close\r\nContent-Length: 21\r\n\r\ntoo many connections\n";
