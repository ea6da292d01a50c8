//! The list of known peers, read for all connections together.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{sync::Mutex, task::spawn_blocking, time::Instant};

use super::{KnownPeer, PeerStore};
use crate::Fingerprint;

/// A list of known peers whose changes are waited for; clones share what was read.
#[derive(Clone, Debug)]
pub(super) struct WatchedPeers {
    store: PeerStore,
    last: Arc<Mutex<Option<(Instant, Peers)>>>,
}

/// `None` if the list could not be read.
pub(super) type Peers = Option<Arc<BTreeMap<Fingerprint, KnownPeer>>>;

impl WatchedPeers {
    pub(super) fn new(store: PeerStore) -> Self {
        Self {
            store,
            last: Arc::default(),
        }
    }

    pub(super) fn store(&self) -> &PeerStore {
        &self.store
    }

    /// The peers as they were 150 ms ago at the earliest, and after `since`: one that was added
    /// by then is among them. Cancel safe.
    pub(super) async fn recent(&self, since: Instant) -> Peers {
        let mut last = self.last.lock().await;
        let now = Instant::now();
        if let Some((at, peers)) = &*last
            && *at > since
            && now.duration_since(*at) < LOOK_EVERY
        {
            return peers.clone();
        }
        let store = self.store.clone();
        let read = spawn_blocking(move || store.peers()).await;
        let peers = read.ok().and_then(Result::ok).map(|peers| {
            let by_key = peers.into_iter().map(|peer| (peer.fingerprint, peer));
            Arc::new(by_key.collect())
        });
        *last = Some((now, Option::clone(&peers)));
        peers
    }
}

/// A list as old as that, another wait for the next look, and the 650 ms in which a group has
/// another key: a removed peer gets nothing more within a second.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(150);
