//! Why two machines did not get to know each other.

use std::io;

use super::Refusal;
use crate::{Fingerprint, identity::StateError};

/// Why a peer is not talked to, or was not let in. Nothing but the handshake has
/// crossed the connection then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PairingError {
    /// Nothing vouches for the key that the listener has.
    #[error(
        "its key {fingerprint} is not known here; pair with it by --code, or name the key by \
         --allow. If this machine was paired with it, its key has changed, or another machine \
         answers"
    )]
    Unknown {
        /// The key.
        fingerprint: Fingerprint,
    },
    /// The listener let this side not in.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The listener does not know the code.
    #[error("the other side does not know the code; somebody may sit in between")]
    WrongListener,
    /// The code was tried too often.
    #[error("the code was tried three times in vain; ask for a new one")]
    Spent,
    /// What the peer sent makes no sense.
    #[error("the peer broke the handshake off in a way that an honest one does not")]
    Malformed,
    /// The peer speaks in the clear.
    #[error("the peer does not encrypt; it runs with --plain, or is older")]
    Plain,
    /// It encrypts, and offers another service at that port.
    #[error("the other side runs another command of sockkit there; look at the port")]
    OtherService,
    /// It ended its side, or the network did.
    #[error("the handshake broke off")]
    Io(#[from] io::Error),
    /// The list of known peers cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The peer cannot be kept.
    #[error("the peer cannot be remembered")]
    Store(#[source] Box<crate::trust::PeerError>),
}
