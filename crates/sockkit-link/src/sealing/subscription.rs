//! The messages of a subscription: how a receiver gets its keys. Pure.
//!
//! They are frames of an authenticated connection; numbers are big-endian. See
//! `docs/wire/seal.md`.
#![warn(clippy::indexing_slicing)]

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use sockkit_codec::shard::{StreamId, seal::Position};

/// One message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum SubscriptionMessage {
    Request(Request),
    Grant(Grant),
    Epoch(NextEpoch),
    /// The receiver is admitted to a group.
    Group(GroupGrant),
    /// A later epoch of the group's stream.
    GroupEpoch(NextEpoch),
    /// Whether the group's datagrams reach the receiver.
    Hears(bool),
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

/// The stream of a group, and its keys.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) struct GroupGrant {
    /// Where the group's datagrams are sent.
    pub(crate) address: SocketAddr,
    pub(crate) stream: StreamId,
    /// The position of the next datagram.
    pub(crate) next: Position,
    /// The number of the next message.
    pub(crate) number: u64,
    /// Of that position's epoch alone.
    pub(crate) secret: [u8; 32],
    /// The sender's Ed25519 key, which signs the messages.
    pub(crate) verifying_key: [u8; 32],
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
            Self::Group(grant) => {
                bytes.put_slice(&[GROUP, VERSION]);
                bytes.put_u16(grant.address.port());
                let ip = match grant.address.ip() {
                    IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                    IpAddr::V6(ip) => ip,
                };
                bytes.put_slice(&ip.octets());
                bytes.put_u64(grant.stream.0);
                bytes.put_u64(grant.next.0);
                bytes.put_u64(grant.number);
                bytes.put_slice(&grant.secret);
                bytes.put_slice(&grant.verifying_key);
            }
            Self::GroupEpoch(next) => {
                bytes.put_slice(&[GROUP_EPOCH, next.removed.into()]);
                bytes.put_u64(next.epoch);
                bytes.put_slice(&next.secret);
            }
            Self::Hears(hears) => bytes.put_slice(&[HEARS, (*hears).into()]),
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
            REQUEST | GRANT | GROUP if second != VERSION => None,
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
            EPOCH => Some(Self::Epoch(next_epoch(second, bytes)?)),
            GROUP => group_grant(bytes).map(Self::Group),
            GROUP_EPOCH => Some(Self::GroupEpoch(next_epoch(second, bytes)?)),
            HEARS => Some(Self::Hears(second != 0)),
            ALIVE => Some(Self::Alive),
            BUSY => Some(Self::Busy),
            _ => Some(Self::Unknown),
        }
    }
}

/// A receiver joins nothing but a group, and no port of the system's.
fn group_grant(mut bytes: &[u8]) -> Option<GroupGrant> {
    let port = bytes.try_get_u16().ok()?;
    let ip = Ipv6Addr::from(bytes.try_get_u128().ok()?).to_canonical();
    let grant = GroupGrant {
        address: SocketAddr::new(ip, port),
        stream: StreamId(bytes.try_get_u64().ok()?),
        next: Position(bytes.try_get_u64().ok()?),
        number: bytes.try_get_u64().ok()?,
        secret: secret(&mut bytes)?,
        verifying_key: secret(&mut bytes)?,
    };
    (ip.is_multicast() && port >= 1_024).then_some(grant)
}

fn next_epoch(removed: u8, mut bytes: &[u8]) -> Option<NextEpoch> {
    Some(NextEpoch {
        removed: removed != 0,
        epoch: bytes.try_get_u64().ok()?,
        secret: secret(&mut bytes)?,
    })
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

impl std::fmt::Debug for GroupGrant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GroupGrant")
            .field("address", &self.address)
            .field("stream", &self.stream)
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
const GROUP: u8 = 6;
const GROUP_EPOCH: u8 = 7;
const HEARS: u8 = 8;

/// Longer ones are refused; a later version has room.
pub(crate) const MAX_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> [SubscriptionMessage; 8] {
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
            SubscriptionMessage::Group(GroupGrant {
                address: ([239, 1, 2, 3], 0x1234).into(),
                stream: StreamId(1),
                next: Position(2),
                number: 3,
                secret: [7; 32],
                verifying_key: [5; 32],
            }),
            SubscriptionMessage::GroupEpoch(NextEpoch {
                epoch: 8,
                secret: [9; 32],
                removed: false,
            }),
            SubscriptionMessage::Hears(true),
        ]
    }

    #[test]
    fn bytes_are_those_of_the_document() {
        let [request, grant, epoch, alive, busy, group, later, hears] =
            all().map(|message| message.emit());
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
        let parts = [
            &b"\x06\x01\x12\x34"[..],
            b"\0\0\0\0\0\0\0\0\0\0\xff\xff\xef\x01\x02\x03",
            &[0, 0, 0, 0, 0, 0, 0, 1],
            &[0, 0, 0, 0, 0, 0, 0, 2],
            &[0, 0, 0, 0, 0, 0, 0, 3],
            &[7; 32],
            &[5; 32],
        ];
        assert_eq!(group, parts.concat());
        let parts = [&b"\x07\0\0\0\0\0\0\0\0\x08"[..], &[9; 32]];
        assert_eq!(later, parts.concat());
        assert_eq!(hears, &b"\x08\x01"[..]);
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
    fn a_group_that_is_none_is_refused() {
        let [.., group, _, _] = all();
        let bytes = group.emit();
        for (at, byte) in [(16, 10), (2, 3)] {
            let mut other = bytes.to_vec();
            other[at] = byte;
            assert_eq!(SubscriptionMessage::parse(&other), None, "{at}");
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
