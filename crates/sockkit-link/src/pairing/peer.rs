//! An authenticated peer.

use crate::Fingerprint;

/// The authenticated peer of a connection.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct AuthenticatedPeer {
    /// Its key.
    pub fingerprint: Fingerprint,
    /// Its name here, or the name it gives itself, made displayable.
    pub name: Option<String>,
    /// Why it is trusted.
    pub by: ProvedBy,
    /// Number of other known peers with the same name.
    pub namesakes: usize,
    /// Whether its pairing added it to the known peers, whose list decides from then on.
    pub(crate) is_stored: bool,
}

impl AuthenticatedPeer {
    pub(crate) fn new(fingerprint: Fingerprint, name: Option<String>, by: ProvedBy) -> Self {
        Self {
            fingerprint,
            name,
            by,
            namesakes: 0,
            is_stored: false,
        }
    }
}

/// Why a peer is trusted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ProvedBy {
    /// Its key was given by the user.
    Pinned,
    /// Its key is in the list of known peers.
    Known,
    /// It knew the code, now or earlier with the same node.
    Code,
    /// Every peer is trusted: the key is proved, but unknown.
    Anyone,
}
