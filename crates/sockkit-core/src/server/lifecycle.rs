//! Running and stopping a server, shared by TCP and UDP.

use std::{
    any::Any,
    io,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::FutureExt;
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{limiter::ConnectionLimiter, metrics::add, stop_signals::StopSignals};

/// Result of a shutdown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Drained {
    /// Connections, or replies, that did not end within the drain timeout and
    /// were cut off.
    pub aborted: usize,
    /// Of those, handlers that could not be stopped because they block their
    /// thread instead of awaiting.
    pub stuck: usize,
}

/// State shared by a server's tasks and its owner. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Lifecycle {
    pub(super) limiter: Arc<ConnectionLimiter>,
    /// Nothing more is accepted; handlers should finish.
    pub(super) draining: CancellationToken,
    /// Handlers are stopped.
    pub(super) aborting: CancellationToken,
    /// Whether one of the two may be cancelled: reading it takes no lock.
    is_stopping: Arc<AtomicBool>,
    pub(super) tasks: TaskTracker,
    panicked: Arc<AtomicU64>,
    drain_timeout: Duration,
}

impl Lifecycle {
    pub(super) fn new(limiter: ConnectionLimiter, drain_timeout: Duration) -> Self {
        Self {
            limiter: Arc::new(limiter),
            draining: CancellationToken::new(),
            aborting: CancellationToken::new(),
            is_stopping: Arc::default(),
            tasks: TaskTracker::new(),
            panicked: Arc::default(),
            drain_timeout,
        }
    }

    /// Starts the task that accepts connections or requests until `draining`.
    pub(super) fn run(self, intake: impl Future<Output = ()> + Send + 'static) -> Running {
        let lifecycle = self.clone();
        Running {
            intake: tokio::spawn(async move { lifecycle.count_panic(intake).await }),
            lifecycle: self,
        }
    }

    /// Runs a task of the server itself. A panic in it is counted and logged
    /// here, because the task's owner learns of it late or never.
    pub(super) async fn count_panic(&self, task: impl Future<Output = ()>) {
        if let Err(panic) = AssertUnwindSafe(task).catch_unwind().await {
            self.panicked();
            let message = panic_message(&*panic);
            tracing::error!(message, "server task panicked");
        }
    }

    /// Begins to drain.
    fn drain(&self) {
        self.is_stopping.store(true, Ordering::Release);
        self.draining.cancel();
    }

    /// Stops the handlers.
    fn abort(&self) {
        self.is_stopping.store(true, Ordering::Release);
        self.aborting.cancel();
    }

    /// Whether the server drains or aborts. Visible to each task that one of
    /// the tokens has woken.
    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// Counts a panic of a handler or of the server itself.
    pub(super) fn panicked(&self) {
        add(&self.panicked, 1);
    }

    /// Number of panics.
    pub(super) fn panics(&self) -> u64 {
        self.panicked.load(Ordering::Relaxed)
    }
}

/// The owner's side of a server. Dropping it stops everything at once.
#[derive(Debug)]
pub(super) struct Running {
    intake: JoinHandle<()>,
    lifecycle: Lifecycle,
}

impl Running {
    /// Stops accepting, waits for the handlers until the drain timeout, then
    /// stops those that are left.
    pub(super) async fn shutdown(self) -> Drained {
        self.shutdown_until(std::future::pending()).await
    }

    /// Shuts down when the user or the system asks the program to stop. A
    /// second request stops it at once.
    ///
    /// The signals are caught from the call on, not from the first poll.
    pub(super) fn run_until_ctrl_c(self) -> impl Future<Output = io::Result<Drained>> + Send {
        let signals = StopSignals::catch();
        async move {
            let mut signals = signals?;
            signals.recv().await;
            Ok(self.shutdown_until(signals.recv()).await)
        }
    }

    /// Waits for the handlers until `hurry` completes at the latest.
    async fn shutdown_until(mut self, hurry: impl Future<Output = ()>) -> Drained {
        self.lifecycle.drain();
        // It fails only if it panicked, and then it accepts no more either.
        let _ = (&mut self.intake).await;
        let Lifecycle {
            limiter,
            tasks,
            drain_timeout,
            ..
        } = &self.lifecycle;
        tasks.close();
        let in_time = tokio::select! {
            waited = timeout(*drain_timeout, tasks.wait()) => waited.is_ok(),
            () = hurry => false,
        };
        if in_time {
            return Drained {
                aborted: 0,
                stuck: 0,
            };
        }
        let aborted = limiter.count();
        self.lifecycle.abort();
        let _ = timeout(ABORT_GRACE, tasks.wait()).await;
        Drained {
            aborted,
            stuck: tasks.len(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.intake.abort();
        self.lifecycle.abort();
    }
}

/// The message of a panic, if it has one.
pub(super) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// How long a stopped handler may take to reach its next await.
const ABORT_GRACE: Duration = Duration::from_secs(1);
