//! The browser viewer: live pictures and their figures on a page.
//!
//! Each stream has one `JpegBroadcaster`: it compresses a picture once for
//! all who watch, and not at all while nobody does. Each client takes the
//! newest picture whenever its connection has room, so a slow browser sees
//! fewer pictures and costs the others nothing.
//!
//! What each URL answers is written in `docs/viewer.md`.

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
#[must_use = "a viewer that is dropped serves nobody"]
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
    /// do not tell them apart.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is served until it returns.
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
        tracing::info!(address = %local_addr, "browser viewer listens");
        Ok(Self {
            local_addr,
            server,
            tasks,
            stop: stop.drop_guard(),
        })
    }

    /// The address bound, with the port the system chose if it was 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Ends every stream and waits, a second at most, until the clients have
    /// what was on its way to them.
    ///
    /// # Cancel safety
    /// Cancel safe: the viewer stops either way.
    pub async fn shutdown(self) {
        drop(self.stop);
        self.server.shutdown().await;
        self.tasks.wait().await;
    }
}

/// A stream to show, and where its figures come from.
#[derive(Debug)]
pub struct WebStream {
    name: String,
    pictures: Subscriber<Picture>,
    stats: Option<StatsHandle>,
}

impl WebStream {
    /// Shows `pictures` under `name`: letters, digits, `-`, `_` and `.`, at
    /// most 64 of them.
    ///
    /// The figures are the viewer's own: age by this machine's clock, and gaps
    /// in the pictures' numbers as lost.
    pub fn new(name: impl Into<String>, pictures: Subscriber<Picture>) -> Self {
        Self {
            name: name.into(),
            pictures,
            stats: None,
        }
    }

    /// Takes the figures from a receiver, which knows more.
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
    /// A further name that this machine is known under, such as `camera.lan`.
    /// Default: none.
    ///
    /// Requests by IP address and `localhost` are always served; those by any
    /// other name are refused, lest a web page elsewhere read the pictures.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.names.push(name.into());
        self
    }

    /// Lets other pages show the pictures, as in `<img src="http://…/stream">`.
    /// May be called several times. Default: none.
    ///
    /// Without it a page elsewhere gets nothing: whoever looks at it would
    /// show it this camera.
    pub fn allow_embedding(mut self, embedding: Embedding) -> Self {
        self.embeddings.push(embedding);
        self
    }

    /// How many may watch at the same time. Default: 128.
    ///
    /// Each costs at most two pictures of memory, and a send buffer.
    pub fn max_viewers(mut self, viewers: usize) -> Self {
        self.max_viewers = viewers;
        self
    }

    /// How many of one host may watch at the same time. Default: a quarter of
    /// all.
    ///
    /// A host is one IPv4 address or one IPv6 /64 network. Behind a reverse
    /// proxy all viewers are one host: give it all of them.
    pub fn max_viewers_per_host(mut self, viewers: usize) -> Self {
        self.max_viewers_per_host = Some(viewers);
        self
    }

    /// How long a client may take over an answer, or be behind with a stream,
    /// before it is dropped. Default: 60 s; [`Duration::MAX`] is never.
    ///
    /// A picture of a stream may take a tenth of that, and a second more for
    /// each megabyte; a client that needs longer, however its bytes trickle,
    /// falls behind. By default one that takes nothing is dropped after about
    /// a minute, and one that needs twelve seconds for each picture after two.
    /// Longer lets a browser tab that was asleep go on where it was.
    pub fn write_deadline(mut self, deadline: Duration) -> Self {
        self.write_deadline = deadline;
        self
    }

    /// How well raw pictures are compressed, 1 to 100. Default: 80.
    ///
    /// JPEG pictures are served untouched.
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

/// Why a viewer cannot serve.
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
    /// The operating system failed us.
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

/// The longest name of a stream, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// Connections beside those that watch: pages, figures, snapshots.
const SPARE_CONNECTIONS: usize = 64;
