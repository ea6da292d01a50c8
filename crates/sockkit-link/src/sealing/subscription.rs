//! The messages of a subscription: how a receiver gets its keys. Pure.
//!
//! They are frames of an authenticated connection; numbers are big-endian. See
//! `docs/wire/seal.md`.
#![warn(clippy::indexing_slicing)]

use bytes::{Buf, BufMut, Bytes, BytesMut};
use sockkit_codec::shard::{StreamId, seal::Position};

/// One message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum SubscriptionMessage {
    Request(Request),
    Grant(Grant),
    Epoch(NextEpoch),
    /// The side that sent it is still there.
    Alive,
    /// The receiver that was dialled has another sender.
    Busy,
    /// One of a later version, which is never sent.
    Unknown,
}

/// A receiver asks for a stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Request {
    /// The UDP port that it receives at, of the connection's address.
    pub(crate) port: u16,
    /// The stream of what it sends, which begins at position 0.
    pub(crate) replies: StreamId,
}

/// The streams that a receiver gets, and their keys.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Grant {
    /// The UDP port that they are sent from.
    pub(crate) port: u16,
    /// Of all epochs of the receiver's stream, and of `replies`.
    pub(crate) own_secret: [u8; 32],
    /// The sender's replies to this receiver, which begin at position 0.
    pub(crate) replies: StreamId,
    /// The messages.
    pub(crate) stream: StreamId,
    /// The position of the next datagram.
    pub(crate) next: Position,
    /// Of that position's epoch alone.
    pub(crate) secret: [u8; 32],
}

/// The secret of an epoch that begins later, or now.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct NextEpoch {
    pub(crate) epoch: u64,
    pub(crate) secret: [u8; 32],
    /// A receiver that has the earlier secrets was removed: they are no longer valid.
    pub(crate) removed: bool,
}

impl SubscriptionMessage {
    pub(crate) fn emit(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(MAX_BYTES);
        match self {
            Self::Request(Request { port, replies }) => {
                bytes.put_slice(&[REQUEST, VERSION]);
                bytes.put_u16(*port);
                bytes.put_u64(replies.0);
            }
            Self::Grant(grant) => {
                bytes.put_slice(&[GRANT, VERSION]);
                bytes.put_u16(grant.port);
                bytes.put_slice(&grant.own_secret);
                bytes.put_u64(grant.replies.0);
                bytes.put_u64(grant.stream.0);
                bytes.put_u64(grant.next.0);
                bytes.put_slice(&grant.secret);
            }
            Self::Epoch(next) => {
                bytes.put_slice(&[EPOCH, next.removed.into()]);
                bytes.put_u64(next.epoch);
                bytes.put_slice(&next.secret);
            }
            Self::Alive => bytes.put_slice(&[ALIVE, 0]),
            Self::Busy => bytes.put_slice(&[BUSY, 0]),
            Self::Unknown => {}
        }
        bytes.freeze()
    }

    /// Parses a message. `None` if it is of another version, or malformed; a later
    /// version may append to one.
    pub(crate) fn parse(mut bytes: &[u8]) -> Option<Self> {
        let what = bytes.try_get_u8().ok()?;
        let second = bytes.try_get_u8().ok()?;
        match what {
            REQUEST | GRANT if second != VERSION => None,
            REQUEST => Some(Self::Request(Request {
                port: bytes.try_get_u16().ok()?,
                replies: StreamId(bytes.try_get_u64().ok()?),
            })),
            GRANT => Some(Self::Grant(Grant {
                port: bytes.try_get_u16().ok()?,
                own_secret: secret(&mut bytes)?,
                replies: StreamId(bytes.try_get_u64().ok()?),
                stream: StreamId(bytes.try_get_u64().ok()?),
                next: Position(bytes.try_get_u64().ok()?),
                secret: secret(&mut bytes)?,
            })),
            EPOCH => Some(Self::Epoch(NextEpoch {
                removed: second != 0,
                epoch: bytes.try_get_u64().ok()?,
                secret: secret(&mut bytes)?,
            })),
            ALIVE => Some(Self::Alive),
            BUSY => Some(Self::Busy),
            _ => Some(Self::Unknown),
        }
    }
}

fn secret(bytes: &mut &[u8]) -> Option<[u8; 32]> {
    let mut secret = [0; 32];
    bytes.try_copy_to_slice(&mut secret).ok()?;
    Some(secret)
}

impl std::fmt::Debug for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The secrets must not end up in a log.
        f.debug_struct("Grant")
            .field("stream", &self.stream)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for NextEpoch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NextEpoch")
            .field("epoch", &self.epoch)
            .field("removed", &self.removed)
            .finish_non_exhaustive()
    }
}

const VERSION: u8 = 1;
const REQUEST: u8 = 1;
const GRANT: u8 = 2;
const EPOCH: u8 = 3;
const ALIVE: u8 = 4;
const BUSY: u8 = 5;

/// Longer ones are refused; a later version has room.
pub(crate) const MAX_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> [SubscriptionMessage; 5] {
        [
            SubscriptionMessage::Request(Request {
                port: 0x0102,
                replies: StreamId(0x0304_0506_0708_090a),
            }),
            SubscriptionMessage::Grant(Grant {
                port: 0x0102,
                own_secret: [3; 32],
                replies: StreamId(4),
                stream: StreamId(5),
                next: Position(6),
                secret: [7; 32],
            }),
            SubscriptionMessage::Epoch(NextEpoch {
                epoch: 8,
                secret: [9; 32],
                removed: true,
            }),
            SubscriptionMessage::Alive,
            SubscriptionMessage::Busy,
        ]
    }

    #[test]
    fn bytes_are_those_of_the_document() {
        let [request, grant, epoch, alive, busy] = all().map(|message| message.emit());
        assert_eq!(
            request,
            &b"\x01\x01\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a"[..]
        );
        let parts = [
            &b"\x02\x01\x01\x02"[..],
            &[3; 32],
            &[0, 0, 0, 0, 0, 0, 0, 4],
            &[0, 0, 0, 0, 0, 0, 0, 5],
            &[0, 0, 0, 0, 0, 0, 0, 6],
            &[7; 32],
        ];
        assert_eq!(grant, parts.concat());
        let parts = [&b"\x03\x01\0\0\0\0\0\0\0\x08"[..], &[9; 32]];
        assert_eq!(epoch, parts.concat());
        assert_eq!(alive, &b"\x04\0"[..]);
        assert_eq!(busy, &b"\x05\0"[..]);
    }

    #[test]
    fn all_come_back_and_every_cut_is_refused() {
        for message in all() {
            let bytes = message.emit();
            for cut in 0..bytes.len() {
                assert_eq!(SubscriptionMessage::parse(&bytes[..cut]), None, "{cut}");
            }
            let longer = [&bytes[..], b"later"].concat();
            assert_eq!(SubscriptionMessage::parse(&longer), Some(message.clone()));
            assert_eq!(SubscriptionMessage::parse(&bytes), Some(message));
        }
        for other_version in [b"\x01\x02", b"\x02\0"] {
            let parsed = SubscriptionMessage::parse(other_version);
            assert_eq!(parsed, None, "{other_version:?}");
        }
        for unknown in [&b"\0\x01"[..], b"\xff\0later"] {
            let parsed = SubscriptionMessage::parse(unknown);
            assert_eq!(parsed, Some(SubscriptionMessage::Unknown), "{unknown:?}");
        }
    }

    #[test]
    fn no_secret_is_printed() {
        for message in all() {
            let shown = format!("{message:?}");
            assert!(
                !shown.contains("7, 7") && !shown.contains("9, 9"),
                "{shown}"
            );
        }
    }
}
