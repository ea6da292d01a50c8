//! Accepts authenticated connections concurrently, in a task owned by the
//! listener.

use std::{io, net::SocketAddr, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use sockkit_core::server::{Accept, Accepted, Backoff};
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};

use super::TransportAcceptor;
use crate::{Connection, Fingerprint, pairing::Party};

/// A listener that accepts only trusted peers. Dropping it cancels pending
/// authentications.
#[derive(Debug)]
pub(crate) struct SecureAcceptor {
    local: SocketAddr,
    fingerprint: Fingerprint,
    ready: mpsc::Receiver<Accepted<Connection>>,
    task: JoinHandle<()>,
}

impl SecureAcceptor {
    /// Starts accepting connections from `below`; each peer must authenticate
    /// within `proof_timeout`.
    pub(crate) fn start(
        below: TransportAcceptor,
        party: Party,
        proof_timeout: Duration,
    ) -> io::Result<Self> {
        let local = below.local_addr()?;
        let fingerprint = party.identity.fingerprint();
        let (to_ready, ready) = mpsc::channel(1);
        let proofs = Proofs {
            party,
            timeout: proof_timeout,
            ready: to_ready,
        };
        let task = tokio::spawn(proofs.keep(below));
        Ok(Self {
            local,
            fingerprint,
            ready,
            task,
        })
    }

    pub(super) fn local_addr(&self) -> SocketAddr {
        self.local
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    pub(super) async fn accept(&mut self) -> io::Result<Accepted<Connection>> {
        let accepted = self.ready.recv().await;
        accepted.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    pub(super) fn accept_waiting(&mut self) -> Option<Accepted<Connection>> {
        self.ready.try_recv().ok()
    }
}

impl Drop for SecureAcceptor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// State shared by all authentications.
struct Proofs {
    party: Party,
    timeout: Duration,
    ready: mpsc::Sender<Accepted<Connection>>,
}

impl Proofs {
    /// Runs until the listener is dropped, or the one below fails.
    async fn keep(self, mut below: TransportAcceptor) {
        let mut running = FuturesUnordered::new();
        let mut backoff = Backoff::default();
        loop {
            tokio::select! {
                accepted = backoff.accept(&mut below) => match accepted {
                    Ok(accepted) => running.push(self.admit(accepted)),
                    Err(_ended) => return,
                },
                Some(()) = running.next() => {}
            }
        }
    }

    /// Authenticates a connection and keeps it until it is accepted.
    async fn admit(&self, accepted: Accepted<Connection>) {
        let (mut connection, accepted) = accepted.replace(());
        let peer = accepted.peer.clone();
        let proving = async {
            let dialler = connection.peer_key()?;
            self.party.accept(&mut connection, dialler).await
        };
        match timeout(self.timeout, proving).await {
            Ok(Ok(proved)) => {
                let own = self.party.identity.fingerprint();
                let ((), accepted) = accepted.replace(connection.authenticated(proved, own));
                // Without a listener it is useless.
                let _ = self.ready.send(accepted).await;
            }
            Ok(Err(error)) => tracing::debug!(%peer, %error, "not admitted"),
            Err(_elapsed) => tracing::debug!(%peer, "authentication timed out"),
        }
    }
}
