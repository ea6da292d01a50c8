//! Servers built from a handler, with limits, timeouts and graceful shutdown.
//!
//! A [`Server`] accepts connections and passes each to a [`Handler`] in a task
//! of its own: an async closure, or a type like the handler classes of Python's
//! `socketserver`. [`UdpServer`] does the same for datagrams.

use std::{
    io,
    net::SocketAddr,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

mod accept;
mod activity;
mod config;
mod connection;
mod encrypted_only;
mod handler;
mod intake;
mod lifecycle;
mod limiter;
mod log_limit;
mod metrics;
mod peer_address;
mod stop_signals;
mod stream;
mod udp;

use lifecycle::{Lifecycle, Running, panic_message};
use metrics::Counters;

#[doc(hidden)]
pub use accept::Backoff;
pub use accept::{Accept, Accepted, Transport};
pub use config::ServerConfig;
pub use encrypted_only::EncryptedOnly;
pub use handler::{Handled, Handler, Peer};
pub use lifecycle::Drained;
pub use limiter::{ConnectionLimiter, Permit, host};
pub use log_limit::LogLimit;
pub use metrics::{Ended, HandlerEnd, Metrics};
pub use peer_address::PeerAddress;
pub use stream::Stream;
pub use udp::{Replied, Request, Responder, UdpMetrics, UdpServer, UdpServerConfig};

/// A running server. Dropping it stops everything at once.
///
/// Serves every source of connections that implements [`Accept`]: TCP, Unix
/// sockets, or several listeners under one set of limits.
///
/// ```
/// # use sockkit_core as sockkit;
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use sockkit::{server::{Server, ServerConfig}, tcp::Listener};
/// use tokio::io;
///
/// let listener = Listener::bind(([127, 0, 0, 1], 0).into())?;
/// let echo = Server::start(listener, ServerConfig::default(), async |stream, _peer| {
///     let (mut reader, mut writer) = io::split(stream);
///     // Ends when the client closes, and when the server shuts down.
///     io::copy(&mut reader, &mut writer).await?;
///     Ok(())
/// })?;
/// println!("listening on {}", echo.local_addr());
/// // … and when it is time to stop:
/// let drained = echo.shutdown().await;
/// assert_eq!(drained.aborted, 0);
/// # Ok(())
/// # }
/// ```
///
/// A handler with state captures a clone of it, and clones it again for each
/// connection, since the future must not borrow from the closure:
///
/// ```
/// # use sockkit_core as sockkit;
/// # use sockkit::{server::{Server, ServerConfig}, tcp::Listener};
/// # async fn example(listener: Listener) -> std::io::Result<()> {
/// use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
///
/// use tokio::io::AsyncWriteExt;
///
/// let visitors = Arc::new(AtomicU64::new(0));
/// let server = Server::start(listener, ServerConfig::default(), move |mut stream, _peer| {
///     let visitors = Arc::clone(&visitors);
///     async move {
///         let number = visitors.fetch_add(1, Ordering::Relaxed) + 1;
///         stream.write_all(format!("you are visitor {number}\n").as_bytes()).await?;
///         Ok(())
///     }
/// })?;
/// # Ok(())
/// # }
/// ```
///
/// # When descriptors run out
/// The server stays up: it resets waiting clients
/// with the help of a spare descriptor, backs off for 10 ms to 1 s, and resumes
/// when descriptors are available.
#[derive(Debug)]
pub struct Server<A = SocketAddr> {
    local_addr: A,
    running: Running,
    control: Arc<Control>,
}

impl<A: Clone> Server<A> {
    /// Serves the connections of `listener` with an async closure or function.
    ///
    /// # Errors
    /// If the listener's address cannot be read, or `config` has a timeout of
    /// zero.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start<L, F, Fut>(listener: L, config: ServerConfig, handle: F) -> io::Result<Self>
    where
        L: Accept<Address = A>,
        F: Fn(Stream<L::Transport>, Peer) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Handled> + Send + 'static,
    {
        Self::start_handler(listener, config, handle)
    }

    /// Serves the connections of `listener` with a [`Handler`] type.
    ///
    /// # Errors
    /// If the listener's address cannot be read, or `config` has a timeout of
    /// zero.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start_handler<L: Accept<Address = A>>(
        listener: L,
        config: ServerConfig,
        handler: impl Handler<Stream<L::Transport>>,
    ) -> io::Result<Self> {
        config.check()?;
        let local_addr = listener.local_addr()?;
        let control = Arc::new(Control::new(config));
        let accepting = intake::accept(listener, Arc::new(handler), Arc::clone(&control));
        Ok(Self {
            local_addr,
            running: control.lifecycle.clone().run(accepting),
            control,
        })
    }

    /// The local address; one for each listener if there are several.
    pub fn local_addr(&self) -> A {
        self.local_addr.clone()
    }

    /// Counters since the server started.
    pub fn metrics(&self) -> Metrics {
        self.control.counters.metrics(&self.control.lifecycle)
    }

    /// Shuts down gracefully: serves the clients already connected and refuses
    /// others.
    ///
    /// Closes the listener first. The reads of each connection then return EOF,
    /// as if its peer had closed, once it has been
    /// [quiet](ServerConfig::quiet_period) and everything that arrived has been
    /// read, so a handler that reads to EOF answers every request. Handlers
    /// have until the [drain timeout](ServerConfig::drain_timeout) to return;
    /// those that do not are dropped.
    ///
    /// # Cancel safety
    /// Not cancel safe: dropping the future stops everything at once.
    pub async fn shutdown(self) -> Drained {
        self.running.shutdown().await
    }

    /// Serves until Ctrl-C is pressed or, on Unix, SIGTERM arrives, then shuts
    /// down like [`shutdown`](Self::shutdown). A second signal stops the
    /// handlers at once.
    ///
    /// From the call on, the signals are caught and no longer terminate the
    /// process.
    ///
    /// ```no_run
    /// # use sockkit_core as sockkit;
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use sockkit::{server::{Peer, Server, ServerConfig, Stream}, tcp::Listener};
    /// use tokio::io::AsyncWriteExt;
    ///
    /// let listener = Listener::bind(([127, 0, 0, 1], 7).into())?;
    /// let server = Server::start(listener, ServerConfig::default(), async |mut stream: Stream, _: Peer| {
    ///     stream.write_all(b"hello\n").await?;
    ///     Ok(())
    /// })?;
    /// let drained = server.run_until_ctrl_c().await?;
    /// println!("{} connections were cut off", drained.aborted);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If signals cannot be caught.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    ///
    /// # Cancel safety
    /// Not cancel safe: dropping the future stops everything at once.
    pub fn run_until_ctrl_c(self) -> impl Future<Output = io::Result<Drained>> + Send {
        self.running.run_until_ctrl_c()
    }
}

/// State shared by the accept loop, the connections and the owner.
#[derive(Debug)]
struct Control {
    config: ServerConfig,
    lifecycle: Lifecycle,
    counters: Counters,
    next_id: AtomicU64,
}

impl Control {
    fn new(config: ServerConfig) -> Self {
        let limiter =
            ConnectionLimiter::new(config.max_connections, config.max_connections_per_address);
        Self {
            lifecycle: Lifecycle::new(limiter, config.timeouts.drain),
            counters: Counters::default(),
            next_id: AtomicU64::new(0),
            config,
        }
    }

    fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    fn handle_end(&self, ended: &Ended) {
        self.counters.handle_end(ended);
        if ended.handler == HandlerEnd::Panicked {
            self.lifecycle.panicked();
        }
        let Some(on_end) = &self.config.on_end else {
            return;
        };
        if let Err(panic) = std::panic::catch_unwind(AssertUnwindSafe(|| on_end(ended))) {
            self.lifecycle.panicked();
            let message = panic_message(&*panic);
            tracing::error!(id = ended.id, message, "on_end panicked");
        }
    }
}
