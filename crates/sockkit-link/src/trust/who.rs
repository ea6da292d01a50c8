//! Which peers a node trusts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::{Instant, sleep};

use super::{
    KnownPeer, PeerError, PeerStore, Right,
    watched::{LOOK_EVERY, WatchedPeers},
};
use crate::{
    Fingerprint,
    identity::StateError,
    pairing::{AuthenticatedPeer, Offer, ProvedBy, Refusal, TypedCode},
    trust::store::cleaned,
};

/// Which peers a [`Node`](crate::Node) accepts when it listens, and talks to
/// when it dials. Each method adds to the peers before; clones share the peers
/// paired by code.
///
/// ```
/// # mod sockkit { pub use ::sockkit_link as link; }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use sockkit::link::{
///     identity::{Identity, StateFolder},
///     pairing::{Offer, Uses},
///     trust::{PeerStore, Right, Trust},
/// };
///
/// # let home = tempfile::tempdir()?;
/// # let path = home.path().join("state");
/// let store = PeerStore::new(&StateFolder::at(path));
/// let (offer, _news) = Offer::new(Uses::Once)?;
/// // // Known peers that may give files, and one that knows the code, which is
/// // then added.
/// let trust = Trust::none().known(store, Right::Give).offer(offer);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "trust does nothing until a node is given it"]
pub struct Trust {
    anyone: bool,
    pinned: Vec<Fingerprint>,
    known: Option<(WatchedPeers, Right)>,
    forgets: bool,
    /// The only key to dial.
    only: Option<Fingerprint>,
    typed: Option<TypedCode>,
    offer: Option<Offer>,
    /// Peers paired by this node, so that reconnecting needs no code.
    paired: Arc<Mutex<Vec<Paired>>>,
}

#[derive(Clone, Debug)]
struct Paired {
    key: Fingerprint,
    name: String,
    /// Whether it was also added to the known peers, whose list decides then:
    /// its user may remove it.
    is_stored: bool,
}

impl Trust {
    /// Trusts no peer.
    pub fn none() -> Self {
        Self::default()
    }

    /// Trusts every peer: for a demonstration, or a program that decides by
    /// [`Connection::peer`](crate::Connection::peer) itself.
    pub fn anyone() -> Self {
        Self {
            anyone: true,
            ..Self::default()
        }
    }

    /// Also trusts the peer with this key.
    pub fn pinned(mut self, key: Fingerprint) -> Self {
        self.pinned.push(key);
        self
    }

    /// Also trusts known peers: listeners that are dialled, and diallers that
    /// have this right. A peer paired by a code is added to them, with the
    /// right if this side showed the code.
    pub fn known(mut self, store: PeerStore, right: Right) -> Self {
        self.known = Some((WatchedPeers::new(store), right));
        self
    }

    /// Does not add paired peers to the known ones.
    pub fn once(mut self) -> Self {
        self.forgets = true;
        self
    }

    /// When dialling, trusts no other peer than the one with this key, which must be
    /// trusted for another reason: its user has named one of the known peers.
    pub fn only(mut self, key: Fingerprint) -> Self {
        self.only = Some(key);
        self
    }

    /// When dialling, also trusts a listener that knows this code.
    pub fn code(mut self, code: TypedCode) -> Self {
        self.typed = Some(code);
        self
    }

    /// When listening, also trusts diallers that know the code of this offer.
    pub fn offer(mut self, offer: Offer) -> Self {
        self.offer = Some(offer);
        self
    }

    pub(crate) fn shown(&self) -> Option<&Offer> {
        self.offer.as_ref()
    }

    /// The code to dial with, unless this listener has already proved that it
    /// knows it.
    pub(crate) fn typed_for(&self, key: Fingerprint) -> Option<&TypedCode> {
        let typed = self.typed.as_ref()?;
        let paired = self.paired().iter().any(|peer| peer.key == key);
        (!paired).then_some(typed)
    }

    /// Whether a listener is trusted without a code.
    pub(crate) fn to_dial(
        &self,
        key: Fingerprint,
    ) -> Result<Option<AuthenticatedPeer>, StateError> {
        Ok(self.dialled(key, self.look_up(key)?.as_ref()))
    }

    fn dialled(&self, key: Fingerprint, known: Option<&KnownPeer>) -> Option<AuthenticatedPeer> {
        if self.only.is_some_and(|only| only != key) {
            return None;
        }
        self.find(key, known, |_peer| true)?.ok()
    }

    /// Whether a dialler is accepted by its key.
    pub(crate) fn to_accept(
        &self,
        key: Fingerprint,
    ) -> Result<Result<AuthenticatedPeer, Refusal>, StateError> {
        Ok(self.accepted(key, self.look_up(key)?.as_ref()))
    }

    fn accepted(
        &self,
        key: Fingerprint,
        known: Option<&KnownPeer>,
    ) -> Result<AuthenticatedPeer, Refusal> {
        let right = self.known.as_ref().map(|(_, right)| *right);
        let may = |peer: &KnownPeer| right.is_some_and(|right| peer.rights.has(right));
        self.find(key, known, may).unwrap_or(Err(Refusal::Unknown))
    }

    fn look_up(&self, key: Fingerprint) -> Result<Option<KnownPeer>, StateError> {
        match &self.known {
            Some((peers, _)) => peers.store().get(key),
            None => Ok(None),
        }
    }

    /// Waits until a peer that this side has accepted, or dialled if `is_dialled`, is no longer
    /// trusted: its user has removed it from the known peers, or its right. The list is
    /// read every 150 ms, for all peers together; if it cannot be read, no
    /// peer is trusted.
    ///
    /// # Cancel safety
    /// Cancel safe: it only waits.
    pub async fn revoked(&self, peer: &AuthenticatedPeer, is_dialled: bool) {
        // One that a code admitted, and for which the list had no room: it was never in it.
        let is_unlisted = peer.by == ProvedBy::Code && !peer.is_stored;
        let listed = self.known.as_ref().filter(|_| !is_unlisted);
        let Some((listed, _)) = listed else {
            return std::future::pending().await;
        };
        let (key, begun) = (peer.fingerprint, Instant::now());
        while let Some(peers) = listed.recent(begun).await {
            let known = peers.get(&key);
            let is_trusted = match is_dialled {
                true => self.dialled(key, known).is_some(),
                false => self.accepted(key, known).is_ok(),
            };
            if !is_trusted {
                return;
            }
            sleep(LOOK_EVERY).await;
        }
    }

    fn find(
        &self,
        key: Fingerprint,
        known: Option<&KnownPeer>,
        may: impl Fn(&KnownPeer) -> bool,
    ) -> Option<Result<AuthenticatedPeer, Refusal>> {
        let paired = self.paired().iter().find(|peer| peer.key == key).cloned();
        let paired = paired.filter(|peer| !peer.is_stored);
        let name = known.map(|peer| peer.name.clone());
        let peer = |by, name| Some(Ok(AuthenticatedPeer::new(key, name, by)));
        if let Some(paired) = paired {
            return peer(ProvedBy::Code, name.or(Some(paired.name)));
        }
        if self.pinned.contains(&key) {
            return peer(ProvedBy::Pinned, name);
        }
        if let Some(known) = known {
            return match may(known) || self.anyone {
                true => peer(ProvedBy::Known, name),
                false => Some(Err(Refusal::NotAllowed)),
            };
        }
        match self.anyone {
            true => peer(ProvedBy::Anyone, None),
            false => None,
        }
    }

    /// Checks that a peer can be remembered, before a code is used for it.
    pub(crate) fn check_room(&self, key: Fingerprint) -> Result<(), PeerError> {
        match &self.known {
            Some((peers, _)) if !self.forgets => peers.store().check_room(key),
            _ => Ok(()),
        }
    }

    /// Remembers a peer that has proved that it knows the code, and grants it
    /// the right if this side showed the code.
    pub(crate) fn pair(
        &self,
        key: Fingerprint,
        name: &str,
        grants: bool,
    ) -> Result<AuthenticatedPeer, PeerError> {
        let mut peer = AuthenticatedPeer::new(key, Some(cleaned(name, key)), ProvedBy::Code);
        if let Some((peers, right)) = &self.known {
            let store = peers.store();
            if !self.forgets && self.may_store(store, key, grants)? {
                let namesakes = store.remember(key, name, grants.then_some(*right))?;
                peer.namesakes = namesakes.len();
                peer.is_stored = true;
            }
            peer.name = store.get(key)?.map(|known| known.name).or(peer.name);
        }
        let mut all = self.paired();
        if all.len() < MAX_PAIRED && all.iter().all(|one| one.key != key) {
            all.push(Paired {
                key,
                name: peer.name.clone().unwrap_or_default(),
                is_stored: peer.is_stored,
            });
        }
        drop(all);
        Ok(peer)
    }

    /// Peers that a shown code admits may be added only up to a limit.
    fn may_store(
        &self,
        store: &PeerStore,
        key: Fingerprint,
        grants: bool,
    ) -> Result<bool, StateError> {
        let offer = self.offer.as_ref().filter(|_| grants);
        Ok(match offer {
            Some(offer) => store.get(key)?.is_some() || offer.takes_place(),
            None => true,
        })
    }

    fn paired(&self) -> MutexGuard<'_, Vec<Paired>> {
        self.paired.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Later peers are accepted once per code.
const MAX_PAIRED: usize = 1_000;

#[cfg(test)]
mod tests {
    use std::{pin::pin, time::Duration};

    use tempfile::{TempDir, tempdir};
    use tokio::time::timeout;

    use super::*;
    use crate::{identity::StateFolder, pairing::Uses, trust::Rights};

    fn key(number: u8) -> Fingerprint {
        Fingerprint::of_key(&[number])
    }

    fn store() -> (TempDir, PeerStore) {
        let home = tempdir().unwrap();
        let store = PeerStore::new(&StateFolder::at(home.path().join("state")));
        (home, store)
    }

    fn accepted(trust: &Trust, number: u8) -> Result<ProvedBy, Refusal> {
        trust.to_accept(key(number)).unwrap().map(|peer| peer.by)
    }

    fn dialled(trust: &Trust, number: u8) -> Option<ProvedBy> {
        trust.to_dial(key(number)).unwrap().map(|peer| peer.by)
    }

    #[test]
    fn another_known_peer_is_not_the_one_that_was_named() {
        let (_home, store) = store();
        for number in [1, 2] {
            store.remember(key(number), "desk", None).unwrap();
        }
        let trust = Trust::none().known(store, Right::Give).only(key(1));
        assert!(trust.to_dial(key(1)).unwrap().is_some());
        assert!(trust.to_dial(key(2)).unwrap().is_none());
        assert!(trust.only(key(3)).to_dial(key(3)).unwrap().is_none());
    }

    #[test]
    fn each_is_let_in_by_what_vouches_for_it() {
        let (_home, store) = store();
        store.remember(key(2), "gives", Some(Right::Give)).unwrap();
        store
            .remember(key(3), "watches", Some(Right::Watch))
            .unwrap();
        let trust = Trust::none().pinned(key(1)).known(store, Right::Give);
        assert_eq!(accepted(&trust, 1), Ok(ProvedBy::Pinned));
        assert_eq!(accepted(&trust, 2), Ok(ProvedBy::Known));
        assert_eq!(accepted(&trust, 3), Err(Refusal::NotAllowed));
        assert_eq!(accepted(&trust, 4), Err(Refusal::Unknown));
        // Dialling is the user's own choice, and needs no right.
        assert_eq!(dialled(&trust, 3), Some(ProvedBy::Known));
        assert_eq!(dialled(&trust, 4), None);
        assert_eq!(accepted(&Trust::none(), 1), Err(Refusal::Unknown));
        assert_eq!(accepted(&Trust::anyone(), 4), Ok(ProvedBy::Anyone));
    }

    #[test]
    fn the_side_that_showed_the_code_grants_its_right_alone() {
        for (grants, rights) in [(true, "watch"), (false, "none")] {
            let (_home, store) = store();
            let trust = Trust::none().known(store.clone(), Right::Watch);
            let peer = trust.pair(key(1), "desk", grants).unwrap();
            assert_eq!(peer.name.as_deref(), Some("desk"));
            let known = store.get(key(1)).unwrap().unwrap();
            assert_eq!(known.rights.to_string(), rights);
        }
    }

    #[test]
    fn who_was_paired_once_is_let_in_again_and_not_written_down() {
        let (_home, store) = store();
        let trust = Trust::none().known(store.clone(), Right::Give).once();
        trust.clone().pair(key(1), "desk\n", true).unwrap();
        assert_eq!(accepted(&trust, 1), Ok(ProvedBy::Code));
        assert_eq!(dialled(&trust, 1), Some(ProvedBy::Code));
        assert_eq!(store.peers().unwrap(), []);
    }

    #[test]
    fn a_code_is_asked_for_until_the_listener_has_shown_that_it_knows_it() {
        let code = TypedCode::new("7-coral-lamp".parse().unwrap());
        let trust = Trust::none().code(code);
        assert!(trust.typed_for(key(1)).is_some());
        trust.pair(key(1), "desk", false).unwrap();
        assert!(trust.typed_for(key(1)).is_none());
        assert!(trust.typed_for(key(2)).is_some());
    }

    /// One that knows the code may make any number of keys.
    #[test]
    fn a_code_for_many_adds_no_more_than_its_share_of_the_list() {
        let (_home, store) = store();
        let (offer, _news) = Offer::new(Uses::Many).unwrap();
        let trust = Trust::none().known(store.clone(), Right::Give).offer(offer);
        for number in 0..70 {
            trust.pair(key(number), "one", true).unwrap();
            // Again, which takes no place.
            trust.pair(key(0), "one", true).unwrap();
        }
        assert_eq!(store.peers().unwrap().len(), 64);
        assert_eq!(accepted(&trust, 63), Ok(ProvedBy::Known));
        // In this run alone.
        assert_eq!(accepted(&trust, 64), Ok(ProvedBy::Code));
        let next = Trust::none().known(store, Right::Give);
        assert_eq!(accepted(&next, 64), Err(Refusal::Unknown));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_is_revoked_when_its_right_or_it_is_removed() {
        let right = Some(Right::Watch);
        for is_dialled in [false, true] {
            let (_home, store) = store();
            store.remember(key(1), "desk", right).unwrap();
            let trust = Trust::none().known(store.clone(), Right::Watch);
            let peer = trust.to_accept(key(1)).unwrap().unwrap();
            let mut revoked = pin!(trust.revoked(&peer, is_dialled));
            let early = timeout(2 * LOOK_EVERY, &mut revoked).await;
            assert!(early.is_err(), "it is trusted");
            match is_dialled {
                true => store.forget(key(1)).unwrap(),
                false => store.set_rights(key(1), Rights::NONE).unwrap(),
            }
            timeout(Duration::from_secs(60), revoked).await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_list_decides_about_a_peer_that_its_pairing_added() {
        let (_home, store) = store();
        let trust = Trust::none().known(store.clone(), Right::Watch);
        let peer = trust.pair(key(1), "desk", true).unwrap();
        // Before the list was first looked at.
        store.forget(key(1)).unwrap();
        let revoked = timeout(Duration::from_secs(60), trust.revoked(&peer, false));
        revoked.await.expect("it is in no list any more");
        // For which the list had no room.
        let peer = AuthenticatedPeer::new(key(2), None, ProvedBy::Code);
        let revoked = timeout(2 * LOOK_EVERY, trust.revoked(&peer, false)).await;
        assert!(revoked.is_err(), "it was never in the list");
        let peer = AuthenticatedPeer::new(key(2), None, ProvedBy::Known);
        trust.revoked(&peer, false).await;
    }

    /// What was read for one is not held against another that was added after it.
    #[tokio::test(start_paused = true)]
    async fn a_peer_that_has_just_been_added_is_not_revoked() {
        let (_home, store) = store();
        let trust = Trust::none().known(store, Right::Watch);
        let first = trust.pair(key(1), "desk", true).unwrap();
        let mut watched = pin!(trust.revoked(&first, false));
        let early = timeout(2 * LOOK_EVERY, &mut watched).await;
        assert!(early.is_err(), "it is trusted");
        let second = trust.pair(key(2), "den", true).unwrap();
        let revoked = timeout(2 * LOOK_EVERY, trust.revoked(&second, false)).await;
        assert!(revoked.is_err(), "it is trusted, too");
    }

    #[test]
    fn a_peer_that_is_forgotten_is_a_stranger_at_once() {
        let (_home, store) = store();
        store.remember(key(1), "desk", Some(Right::Give)).unwrap();
        let trust = Trust::none().known(store.clone(), Right::Give);
        assert_eq!(accepted(&trust, 1), Ok(ProvedBy::Known));
        store.forget(key(1)).unwrap();
        assert_eq!(accepted(&trust, 1), Err(Refusal::Unknown));
    }
}
