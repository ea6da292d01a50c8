//! Shakes hands with several peers side by side, and hands out those that are
//! through, first come, first served.
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
pub use self::peer::Peer;
use crate::session::Abort;

/// Peers that transfer files with this side one after the other: senders, as a
/// `Queue<Offer<_>>`, or receivers, as a `Queue<Outgoing<_>>`.
///
/// Handshakes run in the background, side by side, each with its deadline. A
/// peer that says nothing holds its own place and delays no other; one host, an
/// IPv4 address or an IPv6 /64, has a quarter of the places at most. Who waits is
/// told that others come first, and who finds no place why. Dropping the queue
/// tells all who wait that they wait in vain.
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
///         // Its manifest and name are for a user to decide by.
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
    /// A turn was given out, and no peer has come for it yet.
    called: bool,
    closing: watch::Sender<Option<Abort>>,
    door: Option<JoinHandle<()>>,
}

/// What [`Queue::next`] gives.
#[derive(Debug)]
pub enum Arrival<P: QueuedPeer> {
    /// A peer whose turn it is.
    Turn(Turn<P>),
    /// A peer that did not come through its handshake.
    Failed(FailedHandshake<P>),
}

/// A peer whose turn it is.
#[derive(Debug)]
#[non_exhaustive]
pub struct Turn<P> {
    /// The peer, which waits for a decision.
    pub peer: P,
    /// Where it is.
    pub address: PeerAddress,
    /// While it is kept, others are told that they come later.
    pub place: QueuePermit,
}

/// A peer that did not come through its handshake.
#[derive(Debug)]
#[non_exhaustive]
pub struct FailedHandshake<P: QueuedPeer> {
    /// Where it is.
    pub address: PeerAddress,
    /// Why it did not.
    pub error: P::Error,
}

/// One of the places; free again when dropped.
#[derive(Debug)]
pub struct QueuePermit {
    shared: Arc<Shared>,
    _permit: Permit,
}

/// What the door, its peers and the owner share.
#[derive(Debug)]
struct Shared {
    /// As many as have been called in.
    turns: Semaphore,
    /// Peers that wait for their turn, or have it.
    waiting: AtomicUsize,
    /// Peers that left before their turn came.
    left: AtomicUsize,
}

impl<P: QueuedPeer> Queue<P> {
    /// Takes connections from `listener` from now on.
    ///
    /// The queue has places for [`MAX_PEERS`](Self::MAX_PEERS), and tells
    /// [`MAX_REFUSALS`](Self::MAX_REFUSALS) more why there is none: a listener
    /// with limits of its own should have room for both.
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
        let door = Intake::new(config, Arc::clone(&shared), to_ready, to_failed, is_closing);
        Self {
            ready,
            failed,
            shared,
            called: false,
            closing,
            door: Some(tokio::spawn(door.keep(listener))),
        }
    }

    /// In their handshake, waiting for their turn, or having it.
    pub const MAX_PEERS: usize = 64;

    /// Those that are told why there is no place for them.
    pub const MAX_REFUSALS: usize = 16;

    /// Waits, for ever if need be, for the peer whose turn it is.
    ///
    /// # Errors
    /// If the listener accepts nothing more; the queue is of no use then.
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

    /// How many peers left before their turn came, since the last call.
    pub fn take_left(&self) -> usize {
        self.shared.left.swap(0, Relaxed)
    }

    /// Accepts no more, and tells all who wait the `reason`. What
    /// [`end`](Self::end) gave returns when they have heard it.
    pub fn close(&self, reason: Abort) {
        self.closing.send_if_modified(|closing| {
            let first = closing.is_none();
            closing.get_or_insert(reason);
            first
        });
    }

    /// For waiting until the last of those who were turned away is gone, once
    /// this is closed or dropped. It does not take long. `None` after the first
    /// call.
    pub fn end(&mut self) -> Option<JoinHandle<()>> {
        self.door.take()
    }
}

impl<P: QueuedPeer> Drop for Queue<P> {
    fn drop(&mut self) {
        self.close(Abort::Cancelled);
    }
}

impl QueuePermit {
    /// Whether others wait for their turn.
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

/// Errors that the owner has not asked for.
const MAX_FAILED: usize = 16;
