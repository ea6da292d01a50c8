//! Refuses a peer.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use super::handshake::HandshakeStream;
use crate::{
    Manifest,
    session::{Abort, Limits, ReceiverSession, Role, SenderSession},
};

/// Tells the peer at the other end of `stream` why it is refused by this side,
/// which would have had the given `role`. Takes two seconds at most.
///
/// # Cancel safety
/// Cancel safe: dropping it closes the connection without a reply.
pub async fn turn_away<S>(stream: S, role: Role, reason: Abort)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    HandshakeStream::new(stream, Duration::MAX)
        .close_after(Some(refusal(role, reason)))
        .await;
}

/// The bytes by which this side, which would have had the given `role`, tells a peer
/// why it is refused, whatever that has sent.
#[must_use]
pub fn refusal(role: Role, reason: Abort) -> Vec<u8> {
    let words = match role {
        Role::Sender => {
            let mut session = SenderSession::new("", Manifest::default());
            session.abort(reason);
            session.poll_transmit()
        }
        _ => {
            let mut session = ReceiverSession::new("", Limits::default());
            session.abort(reason);
            session.poll_transmit()
        }
    };
    words.unwrap_or_default()
}
