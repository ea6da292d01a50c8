//! The viewer's pages, for any axum router.

use std::sync::Arc;

use axum::Router;
use sockkit_core::{options::SocketOptions, server::ConnectionLimiter};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    WebServerConfig, WebServerError, WebStream, connection,
    feed::JpegBroadcaster,
    guard::HostPolicy,
    routes::{self, Shared},
};
use crate::log_limit::LogLimit;

/// The viewer's page, pictures and statistics, to mount in an axum router.
///
/// ```no_run
/// # use sockkit_media as sockkit;
/// use std::net::SocketAddr;
///
/// use axum::{Router, routing::get, serve::ListenerExt};
/// use sockkit::{latest, sink::web::{WebServerConfig, WebRoutes, WebStream}};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let (publisher, pictures) = latest::channel();
/// let streams = [WebStream::new("camera", pictures)];
/// let viewer = WebRoutes::new(WebServerConfig::default(), streams)?;
/// let app = Router::new()
///     .route("/", get(async || "the camera is at /camera"))
///     .nest("/camera", viewer.router());
///
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// let listener = listener.tap_io(|tcp| {
///     let _ = WebRoutes::socket_options().apply(&*tcp);
/// });
/// axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
/// # drop(publisher);
/// # Ok(())
/// # }
/// ```
///
/// The page uses URLs relative to its own, so it works under any path and behind a
/// proxy that strips a prefix. Requests are checked as by
/// [`WebServer`](super::WebServer): the `Host`, and the page that they come from.
///
/// # Requirements on the server
/// - With `ConnectInfo<SocketAddr>`, as above, the limit of viewers per host
///   applies. Without it, only the total limit does.
/// - With [`socket_options`](Self::socket_options) on its connections, a slow viewer
///   gets the newest picture. Without them it gets everything that the kernel has
///   buffered.
/// - A viewer that reads too slowly loses its permit and its stream ends. Closing
///   its connection is up to the server.
///
/// # Shutdown
/// The streams end on [`shutdown`](Self::shutdown), or when this and all routers
/// made from it are dropped. Axum's graceful shutdown waits for them: end them first.
#[derive(Debug)]
pub struct WebRoutes {
    shared: Arc<Shared>,
}

impl WebRoutes {
    /// Starts to receive the pictures of `streams`. URLs without a name mean the
    /// first of them.
    ///
    /// # Errors
    /// [`WebServerError`] if the streams' names are invalid or not unique.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new(
        config: WebServerConfig,
        streams: impl IntoIterator<Item = WebStream>,
    ) -> Result<Self, WebServerError> {
        let streams: Vec<_> = streams.into_iter().collect();
        check_names(&streams)?;
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let feeds = streams.into_iter().map(|stream| {
            let WebStream {
                name,
                pictures,
                stats,
                link,
                sdp,
            } = stream;
            let mut feed = JpegBroadcaster::new(name, config.jpeg_quality, pictures, stats);
            feed.link = link;
            feed.sdp = sdp;
            let feed = Arc::new(feed);
            let run = Arc::clone(&feed).run();
            tasks.spawn(stop.clone().run_until_cancelled_owned(run));
            feed
        });
        let shared = Shared {
            feeds: feeds.collect(),
            places: Arc::new(ConnectionLimiter::new(
                config.max_viewers,
                config.per_host(),
            )),
            guard: HostPolicy::new(config.names, config.embeddings, config.page_schemes),
            log_limit: LogLimit::default(),
            write_timeout: config.write_timeout,
            tasks,
            stop,
        };
        shared.tasks.close();
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// The routes of [`docs/viewer.md`](https://github.com/sockkit/sockkit/blob/main/docs/viewer.md),
    /// for [`Router::nest`], [`Router::nest_service`] or [`Router::merge`].
    pub fn router(&self) -> Router {
        routes::router(Arc::clone(&self.shared))
    }

    /// Options for the server's connections, which keep pictures from queueing in the
    /// kernel.
    pub fn socket_options() -> SocketOptions {
        connection::options()
    }

    /// Ends every stream, and waits until their tasks have finished.
    ///
    /// # Cancel safety
    /// Cancel safe: the streams end in any case.
    pub async fn shutdown(self) {
        self.stop();
        self.shared.tasks.wait().await;
    }

    pub(super) fn stop(&self) {
        self.shared.stop.cancel();
        self.shared.feeds.iter().for_each(|feed| feed.end());
    }
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

/// Maximum length of a stream's name, in bytes.
pub(super) const MAX_NAME_BYTES: usize = 64;
