//! Performs handshakes with several peers concurrently, and returns those that
//! have completed it, in order.
//!
//! ```text
//!   accept ─▶ a place ─▶ handshake ─▶ waits its turn ─▶ next()
//!                │           │             │
//!                none: told  too slow      left: dropped
//! ```

mod intake;
mod peer;
#[cfg(test)]
mod tests;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use sockkit_core::server::{Accept, PeerAddress, Permit};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::JoinHandle,
};

use self::intake::Intake;
pub use self::peer::QueuedPeer;
use crate::session::Abort;

/// Peers that transfer files with this side one after another: senders, as a
/// `Queue<Offer<_>>`, or receivers, as a `Queue<Outgoing<_>>`.
///
/// Handshakes run concurrently in the background, each with a timeout. A silent
/// peer uses only its own permit and delays no other. One host, which is an
/// IPv4 address or an IPv6 /64 network, gets at most a quarter of the permits.
/// Waiting peers are told that others come first, and peers without a permit
/// are told why. Dropping the queue tells all waiting peers that it has ended.
///
/// ```no_run
/// # mod sockkit { pub use ::sockkit_core::*; pub use ::sockkit_file as file; }
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use sockkit::tcp::Listener;
/// use sockkit::file::{Arrival, Destination, Offer, Queue, ReceiveConfig};
///
/// let destination = Destination::open("inbox")?;
/// let listener = Listener::bind(([0; 4], 5010).into())?;
/// let mut queue = Queue::<Offer<_>>::start(listener, ReceiveConfig::default());
/// loop {
///     match queue.next().await? {
///         // Show its manifest and name to a user, who decides.
///         Arrival::Turn(turn) => drop(turn.peer.accept(&destination).await?),
///         Arrival::Failed(failed) => eprintln!("{}: {}", failed.address, failed.error),
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Queue<P: QueuedPeer> {
    ready: mpsc::UnboundedReceiver<io::Result<Turn<P>>>,
    failed: mpsc::Receiver<FailedHandshake<P>>,
    shared: Arc<Shared>,
    /// A turn was granted, and no peer has taken it yet.
    called: bool,
    closing: watch::Sender<Option<Abort>>,
    intake: Option<JoinHandle<()>>,
}

/// Result of [`Queue::next`].
#[derive(Debug)]
pub enum Arrival<P: QueuedPeer> {
    /// A peer whose turn it is.
    Turn(Turn<P>),
    /// A peer whose handshake failed.
    Failed(FailedHandshake<P>),
}

/// A peer whose turn it is.
#[derive(Debug)]
#[non_exhaustive]
pub struct Turn<P> {
    /// The peer, which waits for a decision.
    pub peer: P,
    /// Its address.
    pub address: PeerAddress,
    /// While it is held, other peers are told that they come later.
    pub place: QueuePermit,
}

/// A peer whose handshake failed.
#[derive(Debug)]
#[non_exhaustive]
pub struct FailedHandshake<P: QueuedPeer> {
    /// Its address.
    pub address: PeerAddress,
    /// The error.
    pub error: P::Error,
}

/// The right to a turn; released on drop.
#[derive(Debug)]
#[non_exhaustive]
pub struct QueuePermit {
    shared: Arc<Shared>,
    _permit: Permit,
}

/// State shared by the intake task, its peers and the owner.
#[derive(Debug)]
struct Shared {
    /// Granted turns.
    turns: Semaphore,
    /// Number of peers that wait for their turn or have it.
    waiting: AtomicUsize,
    /// Number of peers that disconnected before their turn.
    left: AtomicUsize,
}

impl<P: QueuedPeer> Queue<P> {
    /// Starts to accept connections from `listener`.
    ///
    /// The queue holds up to [`MAX_PEERS`](Self::MAX_PEERS), and tells up to
    /// [`MAX_REFUSALS`](Self::MAX_REFUSALS) more why they are refused: a
    /// listener with its own limit should allow the sum of both.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn start<L: Accept<Transport = P::Stream>>(listener: L, config: P::Config) -> Self {
        let shared = Arc::new(Shared {
            turns: Semaphore::new(0),
            waiting: AtomicUsize::new(0),
            left: AtomicUsize::new(0),
        });
        let (to_ready, ready) = mpsc::unbounded_channel();
        let (to_failed, failed) = mpsc::channel(MAX_FAILED);
        let (closing, is_closing) = watch::channel(None);
        let intake = Intake::new(config, Arc::clone(&shared), to_ready, to_failed, is_closing);
        Self {
            ready,
            failed,
            shared,
            called: false,
            closing,
            intake: Some(tokio::spawn(intake.keep(listener))),
        }
    }

    /// Maximum number of peers in their handshake, waiting, or having their
    /// turn.
    pub const MAX_PEERS: usize = 64;

    /// Maximum number of peers that are being told why they are refused.
    pub const MAX_REFUSALS: usize = 16;

    /// Waits for the next peer whose turn it is.
    ///
    /// # Errors
    /// If the listener has failed; the queue is then unusable.
    ///
    /// # Cancel safety
    /// Cancel safe: no peer is lost.
    pub async fn next(&mut self) -> io::Result<Arrival<P>> {
        if !self.called {
            self.called = true;
            self.shared.turns.add_permits(1);
        }
        tokio::select! {
            biased;
            ready = self.ready.recv() => {
                self.called = false;
                let ready = ready.unwrap_or_else(|| Err(io::Error::other("the queue is closed")));
                ready.map(Arrival::Turn)
            }
            Some(failed) = self.failed.recv() => Ok(Arrival::Failed(failed)),
        }
    }

    /// Number of peers that disconnected before their turn since the last call.
    pub fn take_left(&self) -> usize {
        self.shared.left.swap(0, Relaxed)
    }

    /// Stops accepting, and sends all waiting peers the `reason`. The task
    /// returned by [`end`](Self::end) completes when they have received it.
    pub fn close(&self, reason: Abort) {
        self.closing.send_if_modified(|closing| {
            let first = closing.is_none();
            closing.get_or_insert(reason);
            first
        });
    }

    /// Returns a handle to wait until the last refused peer is gone, after the
    /// queue is closed or dropped; this takes a second at most. Returns `None`
    /// after the first call.
    pub fn end(&mut self) -> Option<JoinHandle<()>> {
        self.intake.take()
    }
}

impl<P: QueuedPeer> Drop for Queue<P> {
    fn drop(&mut self) {
        self.close(Abort::Cancelled);
    }
}

impl QueuePermit {
    /// Whether other peers are waiting for their turn.
    pub fn others_wait(&self) -> bool {
        self.shared.waiting.load(Relaxed) > 1
    }

    fn take(shared: Arc<Shared>, permit: Permit) -> Self {
        shared.waiting.fetch_add(1, Relaxed);
        Self {
            shared,
            _permit: permit,
        }
    }
}

impl Drop for QueuePermit {
    fn drop(&mut self) {
        self.shared.waiting.fetch_sub(1, Relaxed);
    }
}

/// Maximum number of errors kept for the owner.
const MAX_FAILED: usize = 16;
