//! A peer whose key was proved.

use crate::Fingerprint;

/// Who is on the other side of a connection, proved.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct AuthenticatedPeer {
    /// Its key.
    pub fingerprint: Fingerprint,
    /// What it is called here, or what it calls itself: fit to be shown.
    pub name: Option<String>,
    /// Why it was let in, or talked to.
    pub by: ProvedBy,
    /// Other peers that are known by the same name.
    pub namesakes: usize,
}

impl AuthenticatedPeer {
    pub(crate) fn new(fingerprint: Fingerprint, name: Option<String>, by: ProvedBy) -> Self {
        Self {
            fingerprint,
            name,
            by,
            namesakes: 0,
        }
    }
}

/// By what a peer is trusted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ProvedBy {
    /// Its key was given by the user.
    Pinned,
    /// Its key is in the list of known peers.
    Known,
    /// It knew the code now, or earlier to the same node.
    Code,
    /// Anyone is let in: the key is proved, and says nothing.
    Anyone,
}
