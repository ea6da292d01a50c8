//! Limits of the web server, and the requests that it answers.

use std::time::Duration;

use super::{Embedding, connection};

/// Limits of a [`WebServer`](super::WebServer), and the requests that it answers.
#[derive(Clone, Debug)]
#[must_use = "a config does nothing until a viewer is bound with it"]
pub struct WebServerConfig {
    pub(super) names: Vec<String>,
    pub(super) embeddings: Vec<Embedding>,
    /// How the URLs of the server's own pages begin.
    pub(super) page_schemes: &'static [&'static str],
    pub(super) max_viewers: usize,
    max_viewers_per_host: Option<usize>,
    pub(super) write_timeout: Duration,
    pub(super) jpeg_quality: u8,
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
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.write_timeout = timeout;
        self
    }

    /// JPEG quality of raw pictures, 1 to 100. Default: 80.
    ///
    /// JPEG pictures are served unchanged.
    pub fn jpeg_quality(mut self, quality: u8) -> Self {
        self.jpeg_quality = quality;
        self
    }

    pub(super) fn per_host(&self) -> usize {
        self.max_viewers_per_host
            .unwrap_or_else(|| self.max_viewers.div_ceil(4))
    }

    pub(super) fn limits(&self) -> connection::Limits {
        connection::Limits {
            max_connections: self.max_viewers.saturating_add(SPARE_CONNECTIONS),
            max_connections_per_host: self.per_host().saturating_add(SPARE_CONNECTIONS / 4),
            write_timeout: self.write_timeout,
            refusal: Some(connection::BUSY),
        }
    }
}

impl Default for WebServerConfig {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            embeddings: Vec::new(),
            // A proxy may encrypt what is served in the clear.
            page_schemes: &["http://", "https://"],
            max_viewers: 128,
            max_viewers_per_host: None,
            write_timeout: Duration::from_secs(60),
            jpeg_quality: 80,
        }
    }
}

/// Connections other than viewers: pages, statistics, snapshots.
const SPARE_CONNECTIONS: usize = 64;
