//! Handler-style servers with limits, timeouts and a graceful end.
//!
//! A [`Server`] accepts connections and gives each to a [`Handler`], in a task
//! of its own: an async closure, or a type like Python's `socketserver`
//! handlers.

use std::{
    any::Any,
    io,
    net::SocketAddr,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::FutureExt;
use tokio::{net::TcpListener, task::JoinHandle, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

mod accept;
mod activity;
mod config;
mod connection;
mod handler;
mod metrics;
mod slots;
mod stream;
mod udp;

use metrics::{Counters, add};

pub use config::ServerConfig;
pub use handler::{Handled, Handler, Peer};
pub use metrics::{Ended, HandlerEnd, Metrics};
pub use slots::{Slot, Slots, host};
pub use stream::Stream;
pub use udp::{Replied, Request, Responder, UdpMetrics, UdpServer, UdpServerConfig};

/// A running TCP server. Dropping it stops everything at once.
///
/// ```
/// # async fn example() -> std::io::Result<()> {
/// use sockkit_core::server::{Server, ServerConfig};
/// use tokio::{io, net::TcpListener};
///
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let echo = Server::start(listener, ServerConfig::default(), async |stream, _peer| {
///     let (mut reader, mut writer) = io::split(stream);
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
/// # When descriptors run out
/// The server stays up: it resets those who wait, by means of a descriptor kept
/// back, pauses for 10 ms to 1 s, and serves again when descriptors return.
#[derive(Debug)]
pub struct Server {
    local_addr: SocketAddr,
    accepting: JoinHandle<()>,
    control: Arc<Control>,
}

/// What a shutdown left behind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Drained {
    /// Connections that did not end within the drain timeout and were cut off.
    pub aborted: usize,
    /// Of those, handlers that cannot be stopped, because they block their
    /// thread instead of awaiting.
    pub stuck: usize,
}

impl Server {
    /// Serves connections of `listener` with an async closure or function.
    ///
    /// # Errors
    /// If the listener's address cannot be read, or `config` has a timeout of
    /// zero.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start<F, Fut>(listener: TcpListener, config: ServerConfig, handle: F) -> io::Result<Self>
    where
        F: Fn(Stream, Peer) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Handled> + Send + 'static,
    {
        Self::start_handler(listener, config, handle)
    }

    /// Serves connections of `listener` with a [`Handler`] type.
    ///
    /// # Errors
    /// If the listener's address cannot be read, or `config` has a timeout of
    /// zero.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start_handler(
        listener: TcpListener,
        config: ServerConfig,
        handler: impl Handler,
    ) -> io::Result<Self> {
        config.check()?;
        let local_addr = listener.local_addr()?;
        let control = Arc::new(Control::new(config));
        let accepting = accept::accept(listener, Arc::new(handler), Arc::clone(&control));
        let task_control = Arc::clone(&control);
        Ok(Self {
            local_addr,
            accepting: tokio::spawn(async move {
                count_panic(accepting, &task_control.counters.panicked).await;
            }),
            control,
        })
    }

    /// The address that clients connect to.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What the server did so far.
    pub fn metrics(&self) -> Metrics {
        self.control.counters.metrics(self.control.slots.count())
    }

    /// Stops in order: serves those already connected, refuses all others.
    ///
    /// The listener is closed first. Then [`Peer::draining`] tells the handlers,
    /// which have the [drain timeout](ServerConfig::drain_timeout) to return;
    /// those that do not are dropped.
    ///
    /// # Cancel safety
    /// Not cancel safe: if dropped, what still runs is stopped at once.
    pub async fn shutdown(mut self) -> Drained {
        let Control {
            config,
            slots,
            draining,
            aborting,
            tasks,
            ..
        } = &*self.control;
        draining.cancel();
        // Only a panic can fail it, and then the listener is closed as well.
        let _ = (&mut self.accepting).await;
        tasks.close();
        if timeout(config.drain, tasks.wait()).await.is_ok() {
            return Drained {
                aborted: 0,
                stuck: 0,
            };
        }
        let aborted = slots.count();
        aborting.cancel();
        let _ = timeout(ABORT_GRACE, tasks.wait()).await;
        Drained {
            aborted,
            stuck: tasks.len(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
        self.control.aborting.cancel();
    }
}

/// What the accept loop, the connections and the owner share.
#[derive(Debug)]
struct Control {
    config: ServerConfig,
    slots: Arc<Slots>,
    counters: Counters,
    /// Handlers should come to an end.
    draining: CancellationToken,
    /// Handlers are stopped.
    aborting: CancellationToken,
    tasks: TaskTracker,
    next_id: AtomicU64,
}

impl Control {
    fn new(config: ServerConfig) -> Self {
        Self {
            slots: Arc::new(Slots::new(
                config.max_connections,
                config.max_connections_per_address,
            )),
            counters: Counters::default(),
            draining: CancellationToken::new(),
            aborting: CancellationToken::new(),
            tasks: TaskTracker::new(),
            next_id: AtomicU64::new(0),
            config,
        }
    }

    fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    fn handle_end(&self, ended: &Ended) {
        self.counters.handle_end(ended);
        let Some(on_end) = &self.config.on_end else {
            return;
        };
        if let Err(panic) = std::panic::catch_unwind(AssertUnwindSafe(|| on_end(ended))) {
            add(&self.counters.panicked, 1);
            let message = panic_message(&*panic);
            tracing::error!(id = ended.id, message, "on_end panicked");
        }
    }
}

/// Runs a task of the server itself. A panic in it is counted and logged: who
/// awaits the task learns of it too late, or not at all.
async fn count_panic(task: impl Future<Output = ()>, panicked: &AtomicU64) {
    if let Err(panic) = AssertUnwindSafe(task).catch_unwind().await {
        add(panicked, 1);
        let message = panic_message(&*panic);
        tracing::error!(message, "a task of the server panicked");
    }
}

/// What a panic said, if it said it in text.
fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// How long a stopped handler may take to reach its next await.
const ABORT_GRACE: Duration = Duration::from_secs(1);
