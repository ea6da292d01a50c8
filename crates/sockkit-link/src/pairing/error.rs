//! Error from authenticating a peer.

use std::io;

use super::Refusal;
use crate::{Fingerprint, identity::StateError};

/// Why a peer is not trusted, or did not accept this side. Nothing but the
/// handshake was exchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PairingError {
    /// The listener's key is not trusted.
    #[error(
        "its key {fingerprint} is not known here; pair with it by the code that it shows, or \
         allow the key. If this machine was paired with it, its key has changed, or another \
         machine answers"
    )]
    Unknown {
        /// The key.
        fingerprint: Fingerprint,
    },
    /// The listener did not accept this side.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The listener does not know the code.
    #[error("the peer does not know the code; there may be an attacker in between")]
    WrongListener,
    /// The code was tried too often.
    #[error("the code failed three times; ask for a new one")]
    Spent,
    /// The peer sent a malformed message.
    #[error("the peer violated the handshake protocol")]
    Malformed,
    /// The peer does not encrypt: what it sent is not TLS.
    #[error("the peer does not encrypt; it runs with --plain, or is an older version")]
    Plain,
    /// The peer closed the connection before it had proved anything.
    #[error(
        "the peer closed the connection during the handshake: it is at its limit, or does not \
         encrypt"
    )]
    Closed,
    /// It encrypts, but offers another service at that port.
    #[error("the peer runs another sockkit command at that port; check the port")]
    OtherService,
    /// The connection failed, or the peer closed it.
    #[error("the connection failed during the handshake")]
    Io(#[from] io::Error),
    /// The list of known peers cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The peer cannot be stored.
    #[error("the peer cannot be remembered")]
    Store(#[source] Box<crate::trust::PeerError>),
}
