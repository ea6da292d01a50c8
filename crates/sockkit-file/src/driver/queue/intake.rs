//! Accepts peers, and holds them until their turn.

use std::{
    io,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use sockkit_core::server::{
    Accept, Accepted, Backoff, ConnectionLimiter, PeerAddress, Permit, Transport,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::timeout,
};

use super::{FailedHandshake, Queue, QueuePermit, QueuedPeer, Shared, Turn};
use crate::{driver::turn_away, session::Abort};

/// The task behind a queue.
pub(super) struct Intake<P: QueuedPeer> {
    config: Arc<P::Config>,
    limiter: Arc<ConnectionLimiter>,
    refusals: Arc<ConnectionLimiter>,
    shared: Arc<Shared>,
    ready: mpsc::UnboundedSender<io::Result<Turn<P>>>,
    failed: mpsc::Sender<FailedHandshake<P>>,
    closing: watch::Receiver<Option<Abort>>,
}

impl<P: QueuedPeer> Intake<P> {
    pub(super) fn new(
        config: P::Config,
        shared: Arc<Shared>,
        ready: mpsc::UnboundedSender<io::Result<Turn<P>>>,
        failed: mpsc::Sender<FailedHandshake<P>>,
        closing: watch::Receiver<Option<Abort>>,
    ) -> Self {
        Self {
            config: Arc::new(config),
            limiter: Arc::new(ConnectionLimiter::shared(Queue::<P>::MAX_PEERS)),
            refusals: Arc::new(ConnectionLimiter::shared(Queue::<P>::MAX_REFUSALS)),
            shared,
            ready,
            failed,
            closing,
        }
    }

    /// Runs until the queue is closed or the listener ends.
    pub(super) async fn keep<L>(mut self, mut listener: L)
    where
        L: Accept<Transport = P::Stream>,
    {
        let mut peers = JoinSet::new();
        let mut backoff = Backoff::default();
        loop {
            let accepted = tokio::select! {
                biased;
                _ = self.closing.changed() => break,
                Some(_ended) = peers.join_next() => continue,
                accepted = backoff.accept(&mut listener) => accepted,
            };
            match accepted {
                Ok(accepted) => self.admit(accepted, &mut peers),
                Err(error) => {
                    let _ = self.ready.send(Err(error));
                    break;
                }
            }
        }
        // These clients consider themselves connected.
        while let Some(accepted) = listener.accept_waiting() {
            self.admit(accepted, &mut peers);
        }
        drop(listener);
        let ended = async { while peers.join_next().await.is_some() {} };
        let _ = timeout(WINDING_DOWN, ended).await;
    }

    fn admit(&self, accepted: Accepted<P::Stream>, peers: &mut JoinSet<()>) {
        let Accepted {
            transport, peer, ..
        } = accepted;
        if let Some(permit) = self.limiter.take(peer.ip()) {
            peers.spawn(self.welcome(transport, peer, permit));
        } else if let Some(permit) = self.refusals.take(peer.ip()) {
            tracing::debug!(%peer, "refused: no permit");
            peers.spawn(async move {
                turn_away(transport, P::ROLE, Abort::Busy).await;
                drop(permit);
            });
        } else {
            // A host with that many connections gets no explanation.
            transport.abort();
        }
    }

    fn welcome(
        &self,
        stream: P::Stream,
        address: PeerAddress,
        permit: Permit,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (shared, config) = (Arc::clone(&self.shared), Arc::clone(&self.config));
        let (ready, failed) = (self.ready.clone(), self.failed.clone());
        let closing = self.closing.clone();
        async move {
            let busy = shared.waiting.load(Relaxed) > 0;
            match P::greet(stream, &config, busy).await {
                Ok(peer) => {
                    let place = QueuePermit::take(shared, permit);
                    let turn = Turn {
                        peer,
                        address,
                        place,
                    };
                    wait_for_turn(turn, &ready, closing).await;
                }
                // If more fail than are fetched, the first are enough.
                Err(error) => {
                    let _ = failed.try_send(FailedHandshake { address, error });
                }
            }
        }
    }
}

/// In the meantime, the peer may disconnect, or the queue may be closed.
async fn wait_for_turn<P: QueuedPeer>(
    mut waiting: Turn<P>,
    ready: &mpsc::UnboundedSender<io::Result<Turn<P>>>,
    mut closing: watch::Receiver<Option<Abort>>,
) {
    let shared = Arc::clone(&waiting.place.shared);
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
    match waiting.peer.hold(turn).await {
        Ok(None) => {
            let _ = ready.send(Ok(waiting));
        }
        Ok(Some(reason)) => waiting.peer.refuse(reason).await,
        Err(error) => {
            shared.left.fetch_add(1, Relaxed);
            tracing::debug!(peer = %waiting.address, %error, "disconnected before its turn");
        }
    }
}

/// For peers that are told of the queue's end, or are about to complete their
/// handshake.
const WINDING_DOWN: Duration = Duration::from_secs(1);
