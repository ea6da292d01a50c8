//! Takes connections, shakes hands with several peers side by side, and hands
//! out those that are through, first come, first served.
//!
//! ```text
//!   accept ─▶ a place ─▶ handshake ─▶ waits its turn ─▶ next()
//!                │           │             │
//!                none: told  too slow      left: dropped
//! ```
//!
//! A peer that says nothing holds its own place and delays no other; one host
//! has a quarter of the places at most.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use sockkit::{
    file::{
        session::{Abort, Role},
        turn_away,
    },
    quic,
    server::{Slot, Slots},
};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};

use super::{Link, Listener};

/// A peer that is through its handshake.
pub(crate) trait Guest: Sized + Send + 'static {
    type Config: Send + Sync + 'static;
    type Error: std::error::Error + Send + Sync + 'static;

    /// What this side is.
    const ROLE: Role;

    /// Shakes hands; says so if others come first.
    fn greet(
        link: Link,
        config: &Self::Config,
        busy: bool,
    ) -> impl Future<Output = Result<Self, Self::Error>> + Send;

    /// Waits for `decision`, or until the peer has left.
    fn hold<T: Send>(
        &mut self,
        decision: impl Future<Output = T> + Send,
    ) -> impl Future<Output = Result<T, Self::Error>> + Send;

    /// Says no, and why.
    fn refuse(self, reason: Abort) -> impl Future<Output = ()> + Send;
}

/// A listener with its queue. Handshakes run in the background; dropping it
/// tells all who wait that they wait in vain.
#[derive(Debug)]
pub(crate) struct Acceptor<G: Guest> {
    ready: mpsc::UnboundedReceiver<io::Result<Visitor<G>>>,
    failed: mpsc::Receiver<Failed<G>>,
    shared: Arc<Shared>,
    /// A turn was given out, and no peer has come for it yet.
    called: bool,
    closing: watch::Sender<Option<Abort>>,
    door: Option<JoinHandle<()>>,
}

/// What [`Acceptor::next`] gives.
#[derive(Debug)]
pub(crate) enum Arrival<G: Guest> {
    /// A peer whose turn it is.
    Visitor(Visitor<G>),
    /// A peer that did not come through its handshake.
    Failed(Failed<G>),
}

/// A peer whose turn it is, with its place.
#[derive(Debug)]
pub(crate) struct Visitor<G> {
    pub(crate) guest: G,
    pub(crate) peer: SocketAddr,
    /// To see a QUIC connection's end.
    pub(crate) handle: Option<quic::Handle>,
    /// While it is kept, others are told that they come later.
    pub(crate) place: Place,
}

/// A peer that did not come through its handshake.
#[derive(Debug)]
pub(crate) struct Failed<G: Guest> {
    pub(crate) peer: SocketAddr,
    pub(crate) error: G::Error,
}

/// One of the places; free again when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    shared: Arc<Shared>,
    _slot: Slot,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.waiting.fetch_sub(1, Relaxed);
    }
}

/// What the door, its visitors and the owner share.
#[derive(Debug)]
struct Shared {
    /// As many as have been called in.
    turns: Semaphore,
    /// Peers that wait for their turn, or have it.
    waiting: AtomicUsize,
    /// Peers that left before their turn came.
    left: AtomicUsize,
}

impl<G: Guest> Acceptor<G> {
    /// Takes connections from `listener` from now on.
    pub(crate) fn start(listener: Listener, config: G::Config) -> Self {
        let shared = Arc::new(Shared {
            turns: Semaphore::new(0),
            waiting: AtomicUsize::new(0),
            left: AtomicUsize::new(0),
        });
        let (to_ready, ready) = mpsc::unbounded_channel();
        let (to_failed, failed) = mpsc::channel(MAX_FAILED);
        let (closing, is_closing) = watch::channel(None);
        let door = Door {
            config: Arc::new(config),
            slots: Arc::new(Slots::shared(MAX_PEERS)),
            refusals: Arc::new(Slots::shared(MAX_REFUSALS)),
            shared: Arc::clone(&shared),
            ready: to_ready,
            failed: to_failed,
            closing: is_closing,
        };
        Self {
            ready,
            failed,
            shared,
            called: false,
            closing,
            door: Some(tokio::spawn(door.keep(listener))),
        }
    }

    /// Waits, for ever if need be, for the peer whose turn it is.
    ///
    /// # Errors
    /// If the listener failed; it is of no use then.
    ///
    /// # Cancel safety
    /// Cancel safe: no peer is lost.
    pub(crate) async fn next(&mut self) -> io::Result<Arrival<G>> {
        if !self.called {
            self.called = true;
            self.shared.turns.add_permits(1);
        }
        tokio::select! {
            biased;
            ready = self.ready.recv() => {
                self.called = false;
                let ready = ready.unwrap_or_else(|| Err(io::Error::other("the door is gone")));
                ready.map(Arrival::Visitor)
            }
            Some(failed) = self.failed.recv() => Ok(Arrival::Failed(failed)),
        }
    }

    /// How many peers left before their turn came, since the last time.
    pub(crate) fn take_left(&self) -> usize {
        self.shared.left.swap(0, Relaxed)
    }

    /// Accepts no more, and tells all who wait the `reason`. What
    /// [`end`](Self::end) gave returns when they have heard it.
    pub(crate) fn close(&self, reason: Abort) {
        self.closing.send_if_modified(|closing| {
            let first = closing.is_none();
            closing.get_or_insert(reason);
            first
        });
    }

    /// For waiting until the last of those who were turned away is gone, once
    /// this is closed or dropped. It does not take long.
    pub(crate) fn end(&mut self) -> Option<JoinHandle<()>> {
        self.door.take()
    }
}

impl<G: Guest> Drop for Acceptor<G> {
    fn drop(&mut self) {
        self.close(Abort::Cancelled);
    }
}

/// Lets peers in.
struct Door<G: Guest> {
    config: Arc<G::Config>,
    slots: Arc<Slots>,
    refusals: Arc<Slots>,
    shared: Arc<Shared>,
    ready: mpsc::UnboundedSender<io::Result<Visitor<G>>>,
    failed: mpsc::Sender<Failed<G>>,
    closing: watch::Receiver<Option<Abort>>,
}

impl<G: Guest> Door<G> {
    /// Runs until the acceptor is closed or the listener fails.
    async fn keep(mut self, listener: Listener) {
        let mut peers = JoinSet::new();
        let mut pause = SHORTEST_PAUSE;
        loop {
            let accepted = tokio::select! {
                biased;
                _ = self.closing.changed() => break,
                Some(_ended) = peers.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((link, peer)) => {
                    pause = SHORTEST_PAUSE;
                    self.admit(link, peer, &mut peers);
                }
                Err(error) if listener.is_broken_by(&error) => {
                    let _ = self.ready.send(Err(error));
                    break;
                }
                // No descriptor is left, most likely: one comes back when a
                // handshake ends.
                Err(error) => {
                    tracing::warn!(%error, ?pause, "cannot accept");
                    tokio::select! {
                        _ = self.closing.changed() => break,
                        () = sleep(pause) => {}
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
        // They believe that they are connected.
        while let Ok(Ok((link, peer))) = timeout(Duration::ZERO, listener.accept()).await {
            self.admit(link, peer, &mut peers);
        }
        drop(listener);
        let ended = async { while peers.join_next().await.is_some() {} };
        let _ = timeout(WINDING_DOWN, ended).await;
    }

    fn admit(&self, link: Link, peer: SocketAddr, peers: &mut JoinSet<()>) {
        if let Some(slot) = self.slots.take(peer.ip()) {
            peers.spawn(self.welcome(link, peer, slot));
        } else if let Some(slot) = self.refusals.take(peer.ip()) {
            tracing::debug!(%peer, "refused: no room");
            peers.spawn(async move {
                turn_away(link, G::ROLE, Abort::Busy).await;
                drop(slot);
            });
        } else {
            // Who comes that often is not worth a word.
            drop(link);
        }
    }

    fn welcome(
        &self,
        link: Link,
        peer: SocketAddr,
        slot: Slot,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (shared, config) = (Arc::clone(&self.shared), Arc::clone(&self.config));
        let (ready, failed) = (self.ready.clone(), self.failed.clone());
        let closing = self.closing.clone();
        async move {
            let handle = link.handle();
            let busy = shared.waiting.load(Relaxed) > 0;
            match G::greet(link, &config, busy).await {
                Ok(guest) => {
                    shared.waiting.fetch_add(1, Relaxed);
                    let place = Place {
                        shared,
                        _slot: slot,
                    };
                    let visitor = Visitor {
                        guest,
                        peer,
                        handle,
                        place,
                    };
                    wait_for_turn(visitor, &ready, closing).await;
                }
                // When more fail than are asked for, the first are enough.
                Err(error) => {
                    let _ = failed.try_send(Failed { peer, error });
                }
            }
        }
    }
}

/// The peer may leave meanwhile, or be turned away.
async fn wait_for_turn<G: Guest>(
    mut visitor: Visitor<G>,
    ready: &mpsc::UnboundedSender<io::Result<Visitor<G>>>,
    mut closing: watch::Receiver<Option<Abort>>,
) {
    let shared = Arc::clone(&visitor.place.shared);
    let turn = async {
        tokio::select! {
            biased;
            reason = closing.wait_for(Option::is_some) => {
                Some(reason.ok().and_then(|reason| *reason).unwrap_or(Abort::Cancelled))
            }
            turn = shared.turns.acquire() => {
                turn.expect("never closed").forget();
                None
            }
        }
    };
    match visitor.guest.hold(turn).await {
        Ok(None) => {
            let _ = ready.send(Ok(visitor));
        }
        Ok(Some(reason)) => visitor.guest.refuse(reason).await,
        Err(error) => {
            shared.left.fetch_add(1, Relaxed);
            tracing::debug!(peer = %visitor.peer, %error, "left before its turn came");
        }
    }
}

/// In their handshake, waiting for their turn, or having it.
const MAX_PEERS: usize = 64;
/// Those that are told why there is no place for them.
const MAX_REFUSALS: usize = 16;
/// Errors that the owner has not asked for.
const MAX_FAILED: usize = 16;
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// For those who are told that they waited in vain, or are about to come through
/// their handshake.
const WINDING_DOWN: Duration = Duration::from_secs(1);
