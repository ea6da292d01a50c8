//! The browser viewer: a web page with live pictures and statistics.
//!
//! Each stream has one `JpegBroadcaster`, which compresses a picture once for
//! all viewers, and not at all without viewers. Each client gets the newest
//! picture whenever its connection has room, so a slow browser sees fewer
//! pictures without affecting others.
//!
//! The URLs are described in `docs/viewer.md`.

mod connection;
mod embedding;
mod feed;
mod figures;
mod guard;
mod multipart;
mod routes;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use sockkit_core::{
    BindError,
    server::{ConnectionLimiter, Server},
};
use tokio::net::TcpListener;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

pub use self::embedding::{Embedding, EmbeddingError};
use self::{feed::JpegBroadcaster, guard::HostPolicy, routes::Shared};
use crate::{latest::Subscriber, log_limit::LogLimit, picture::Picture, stream::StatsHandle};

/// Serves live pictures to browsers until it is dropped.
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
    tasks: TaskTracker,
    stop: DropGuard,
}

impl WebServer {
    /// Binds `address` and serves `streams` there. URLs without a name mean the
    /// first of them.
    ///
    /// The traffic is in the clear and there is no password: every host that
    /// reaches the address can see the pictures. Bind a loopback address to keep
    /// them on this machine.
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
        let streams: Vec<_> = streams.into_iter().collect();
        check_names(&streams)?;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| BindError::Address { address, source })?;
        let local_addr = listener.local_addr().map_err(WebServerError::Io)?;

        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let feeds = streams
            .into_iter()
            .map(|stream| start_feed(&config, stream, &tasks, &stop))
            .collect();
        let shared = Arc::new(Shared {
            feeds,
            guard: HostPolicy::new(config.names.iter().cloned(), config.embeddings.clone()),
            log_limit: LogLimit::default(),
            places: Arc::new(ConnectionLimiter::new(
                config.max_viewers,
                config.per_host(),
            )),
            stop: stop.clone(),
        });
        tasks.close();
        let server = connection::serve(listener, routes::router(shared), config.limits())
            .map_err(WebServerError::Io)?;
        tracing::info!(address = %local_addr, "browser viewer is listening");
        Ok(Self {
            local_addr,
            server,
            tasks,
            stop: stop.drop_guard(),
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
        drop(self.stop);
        self.server.shutdown().await;
        self.tasks.wait().await;
    }
}

/// A stream to show, with the source of its statistics.
#[derive(Debug)]
pub struct WebStream {
    name: String,
    pictures: Subscriber<Picture>,
    stats: Option<StatsHandle>,
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
        }
    }

    /// Takes the statistics from a receiver, which has more information.
    #[must_use]
    pub fn stats(mut self, stats: StatsHandle) -> Self {
        self.stats = Some(stats);
        self
    }
}

/// Limits of a [`WebServer`], and the requests that it answers.
#[derive(Clone, Debug)]
#[must_use = "a config does nothing until a viewer is bound with it"]
pub struct WebServerConfig {
    names: Vec<String>,
    embeddings: Vec<Embedding>,
    max_viewers: usize,
    max_viewers_per_host: Option<usize>,
    write_deadline: Duration,
    jpeg_quality: u8,
}

impl WebServerConfig {
    /// Adds another name of this machine, such as `camera.lan`. Default: none.
    ///
    /// Requests by IP address and `localhost` are always served. Requests by
    /// any other name are refused, so that no other web page can read the
    /// pictures.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.names.push(name.into());
        self
    }

    /// Allows other pages to embed the pictures, as in `<img
    /// src="http://…/stream">`. May be called several times. Default: none.
    ///
    /// Without it, other pages get nothing: otherwise every page that a user
    /// visits could show this camera.
    pub fn allow_embedding(mut self, embedding: Embedding) -> Self {
        self.embeddings.push(embedding);
        self
    }

    /// Maximum number of concurrent viewers. Default: 128.
    ///
    /// Each costs at most two pictures of memory, and a send buffer.
    pub fn max_viewers(mut self, viewers: usize) -> Self {
        self.max_viewers = viewers;
        self
    }

    /// Maximum number of concurrent viewers of one host. Default: a quarter of
    /// all.
    ///
    /// A host is one IPv4 address or one IPv6 /64 network. Behind a reverse
    /// proxy all viewers are one host: set it to the maximum.
    pub fn max_viewers_per_host(mut self, viewers: usize) -> Self {
        self.max_viewers_per_host = Some(viewers);
        self
    }

    /// How long a client may take to read a response, or be behind with a
    /// stream, before it is dropped. Default: 60 s; [`Duration::MAX`] means
    /// never.
    ///
    /// A picture of a stream may take a tenth of that, plus a second for each
    /// megabyte; a client that needs longer falls behind, even if it reads
    /// continuously. By default a client that reads nothing is dropped after
    /// about a minute, and one that needs twelve seconds for each picture after
    /// two minutes. A larger value lets a suspended browser tab continue.
    pub fn write_deadline(mut self, deadline: Duration) -> Self {
        self.write_deadline = deadline;
        self
    }

    /// JPEG quality of raw pictures, 1 to 100. Default: 80.
    ///
    /// JPEG pictures are served unchanged.
    pub fn jpeg_quality(mut self, quality: u8) -> Self {
        self.jpeg_quality = quality;
        self
    }

    fn per_host(&self) -> usize {
        self.max_viewers_per_host
            .unwrap_or_else(|| self.max_viewers.div_ceil(4))
    }

    fn limits(&self) -> connection::Limits {
        connection::Limits {
            max_connections: self.max_viewers.saturating_add(SPARE_CONNECTIONS),
            max_connections_per_host: self.per_host().saturating_add(SPARE_CONNECTIONS / 4),
            write_deadline: self.write_deadline,
        }
    }
}

impl Default for WebServerConfig {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            embeddings: Vec::new(),
            max_viewers: 128,
            max_viewers_per_host: None,
            write_deadline: Duration::from_secs(60),
            jpeg_quality: 80,
        }
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

fn check_names(streams: &[WebStream]) -> Result<(), WebServerError> {
    if streams.is_empty() {
        return Err(WebServerError::NoStreams);
    }
    for (index, stream) in streams.iter().enumerate() {
        let fits = (1..=MAX_NAME_BYTES).contains(&stream.name.len());
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !fits || !stream.name.bytes().all(plain) {
            return Err(WebServerError::BadName { index });
        }
        let same = |other: &WebStream| other.name == stream.name;
        if let Some(first) = streams[..index].iter().position(same) {
            return Err(WebServerError::SameName {
                first,
                second: index,
            });
        }
    }
    Ok(())
}

fn start_feed(
    config: &WebServerConfig,
    stream: WebStream,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Arc<JpegBroadcaster> {
    let feed = Arc::new(JpegBroadcaster::new(
        stream.name,
        config.jpeg_quality,
        stream.stats,
    ));
    let run = Arc::clone(&feed).run(stream.pictures);
    tasks.spawn(stop.clone().run_until_cancelled_owned(run));
    feed
}

/// Maximum length of a stream's name, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// Connections other than viewers: pages, statistics, snapshots.
const SPARE_CONNECTIONS: usize = 64;
