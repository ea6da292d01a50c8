//! Whether the peer of a connection is still trusted.

#[cfg(feature = "pairing")]
use sockkit_link::{Connection, identity::Identity, pairing::AuthenticatedPeer, trust::Trust};

/// The peer of a connection, and the reasons for which it is trusted.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    #[cfg(feature = "pairing")]
    peer: Option<(Trust, AuthenticatedPeer)>,
    #[cfg(feature = "pairing")]
    is_dialled: bool,
}

impl Standing {
    /// Of a connection that this side has dialled or accepted.
    #[cfg(feature = "pairing")]
    pub(super) fn of(
        connection: &Connection,
        party: Option<&(Identity, Trust)>,
        is_dialled: bool,
    ) -> Self {
        Self {
            peer: party
                .map(|(_, trust)| trust.clone())
                .zip(connection.peer().cloned()),
            is_dialled,
        }
    }

    /// Waits until it is not trusted any more. Cancel safe.
    pub(super) async fn revoked(&self) {
        #[cfg(feature = "pairing")]
        if let Some((trust, peer)) = &self.peer {
            return trust.revoked(peer, self.is_dialled).await;
        }
        std::future::pending().await
    }
}
