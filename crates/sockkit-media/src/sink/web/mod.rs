//! The browser viewer: a web page with live pictures and statistics.
//!
//! Each stream has one `JpegBroadcaster`, which compresses a picture once for
//! all viewers, and not at all without viewers. Each client gets the newest
//! picture whenever its connection has room, so a slow browser sees fewer
//! pictures without affecting others.
//!
//! The URLs are described in `docs/viewer.md`.

mod client;
mod config;
mod connection;
mod embedding;
mod feed;
mod figures;
mod guard;
mod mount;
mod multipart;
mod page;
mod pull;
mod routes;

#[cfg(feature = "tls")]
use std::sync::Arc;
use std::{io, net::SocketAddr};

#[cfg(feature = "tls")]
use sockkit_core::server::EncryptedOnly;
use sockkit_core::{
    BindError,
    server::{Handler, Server},
};
#[cfg(feature = "tls")]
use sockkit_link::tls::{Tls, rustls::ServerConfig};
use tokio::net::TcpListener;

pub use self::{
    config::WebServerConfig,
    embedding::{Embedding, EmbeddingError},
    mount::WebRoutes,
};
use self::{
    connection::{Http, Limits, Timed},
    mount::MAX_NAME_BYTES,
};
use crate::{
    latest::Subscriber,
    picture::Picture,
    stream::{ConnectionState, StatsHandle},
};

/// Serves live pictures to browsers until it is dropped.
///
/// [`WebRoutes`] mounts the same pages in another axum server.
///
/// ```no_run
/// # use sockkit_media as sockkit;
/// use sockkit::{latest, sink::web::{WebServer, WebServerConfig, WebStream}};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let (publisher, pictures) = latest::channel();
/// let streams = [WebStream::new("camera", pictures)];
/// let address = "127.0.0.1:8088".parse()?;
/// let server = WebServer::bind(address, WebServerConfig::default(), streams).await?;
/// println!("watch http://{}/", server.local_addr());
/// # drop(publisher);
/// server.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping the server stops it"]
pub struct WebServer {
    local_addr: SocketAddr,
    server: Server,
    routes: WebRoutes,
}

impl WebServer {
    /// Binds `address` and serves `streams` there. URLs without a name mean the
    /// first of them.
    ///
    /// The traffic is in the clear and there is no password: every host that
    /// reaches the address can see the pictures. Bind a loopback address to keep
    /// them on this machine. `bind_tls` encrypts the traffic.
    ///
    /// # Errors
    /// [`WebServerError`] if the address cannot be bound, or the streams' names
    /// are invalid or not unique.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is served before it returns.
    pub async fn bind(
        address: SocketAddr,
        config: WebServerConfig,
        streams: impl IntoIterator<Item = WebStream>,
    ) -> Result<Self, WebServerError> {
        let limits = config.limits();
        let routes = WebRoutes::new(config, streams)?;
        let http = Timed::new(Http(routes.router()), &limits);
        Self::start(address, limits, http, routes).await
    }

    /// As [`bind`](Self::bind), over TLS: the page is at `https://`, and what is not
    /// encrypted gets no response; a warning says what to type. Only the server's own encrypted
    /// pages may read the pictures; those that
    /// [`allow_embedding`](WebServerConfig::allow_embedding) names may show them. A connection
    /// beyond the limits is reset.
    ///
    /// `link::identity::WebCertificate` has settings for a certificate of this machine. The
    /// protocol that they offer (ALPN) must be `http/1.1`, or none.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is served before it returns.
    #[cfg(feature = "tls")]
    pub async fn bind_tls(
        address: SocketAddr,
        mut config: WebServerConfig,
        streams: impl IntoIterator<Item = WebStream>,
        tls: Arc<ServerConfig>,
    ) -> Result<Self, WebServerError> {
        // A page in the clear may be an attacker's, whatever its host.
        config.page_schemes = &["https://"];
        let limits = Limits {
            // In the clear, a client that speaks TLS would not understand it.
            refusal: None,
            ..config.limits()
        };
        let routes = WebRoutes::new(config, streams)?;
        let https = Timed::new(Tls::new(tls, Http(routes.router())), &limits);
        Self::start(address, limits, EncryptedOnly::new(https), routes).await
    }

    async fn start(
        address: SocketAddr,
        limits: Limits,
        handler: impl Handler,
        routes: WebRoutes,
    ) -> Result<Self, WebServerError> {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| BindError::Address { address, source })?;
        let local_addr = listener.local_addr().map_err(WebServerError::Io)?;
        let server = connection::serve(listener, handler, limits).map_err(WebServerError::Io)?;
        tracing::info!(address = %local_addr, "browser viewer is listening");
        Ok(Self {
            local_addr,
            server,
            routes,
        })
    }

    /// The local address, with the port chosen by the system.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Ends every stream, and waits at most a second until the clients have
    /// received what was in flight.
    ///
    /// # Cancel safety
    /// Cancel safe: the server stops in any case.
    pub async fn shutdown(self) {
        self.routes.stop();
        self.server.shutdown().await;
        self.routes.shutdown().await;
    }
}

/// A stream to show, with the source of its statistics.
#[derive(Debug)]
pub struct WebStream {
    name: String,
    pictures: Subscriber<Picture>,
    stats: Option<StatsHandle>,
    link: Option<Subscriber<ConnectionState>>,
    sdp: Option<String>,
}

impl WebStream {
    /// Shows `pictures` under `name`, which has at most 64 letters, digits,
    /// `-`, `_` and `.`.
    ///
    /// The statistics are computed here: ages by the local clock, and gaps in
    /// the picture numbers as lost.
    pub fn new(name: impl Into<String>, pictures: Subscriber<Picture>) -> Self {
        Self {
            name: name.into(),
            pictures,
            stats: None,
            link: None,
            sdp: None,
        }
    }

    /// Takes the statistics from a receiver, which has more information.
    #[must_use]
    pub fn stats(mut self, stats: StatsHandle) -> Self {
        self.stats = Some(stats);
        self
    }

    /// Shows why the receiver of the pictures is not connected, while it is not: see
    /// [`Receiver::connection_state`](crate::stream::Receiver::connection_state).
    #[must_use]
    pub fn connection_state(mut self, link: Subscriber<ConnectionState>) -> Self {
        self.link = Some(link);
        self
    }

    /// Serves this description to players, which get the pictures elsewhere: see
    /// `sink::rtp`.
    #[must_use]
    pub fn sdp(mut self, sdp: impl Into<String>) -> Self {
        self.sdp = Some(sdp.into());
        self
    }
}

/// Error from starting the web server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebServerError {
    /// The address could not be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// There is nothing to show.
    #[error("no stream to show")]
    NoStreams,
    /// A name is empty, too long, or holds a character that is not allowed.
    #[error(
        "name of stream {index} must be 1 to {MAX_NAME_BYTES} letters, digits, '-', '_' or '.'"
    )]
    BadName {
        /// Which of the streams, counted from 0.
        index: usize,
    },
    /// Two streams have one name.
    #[error("streams {first} and {second} have the same name")]
    SameName {
        /// One of them, counted from 0.
        first: usize,
        /// The other.
        second: usize,
    },
    /// The operating system failed.
    #[error("cannot listen")]
    Io(#[source] io::Error),
}
