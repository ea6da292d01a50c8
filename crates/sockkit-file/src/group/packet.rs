//! Datagrams of a group: a shard, encrypted and authenticated with its key.

use std::{fmt, io};

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, Tag, UnboundKey};

use super::ShardId;

/// The key of one transfer to a group.
///
/// Every member has it, so it keeps others out and proves nothing about a member:
/// what is in a datagram is believed only if the block's digest says so.
pub struct GroupKey {
    secret: [u8; KEY_BYTES],
    key: LessSafeKey,
}

/// What an opened datagram carries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Opened<'a> {
    /// Counts the sender's datagrams.
    pub counter: u64,
    /// `None`: only to be heard.
    pub shard: Option<(ShardId, &'a [u8])>,
}

impl GroupKey {
    /// A new key from the system's random source.
    ///
    /// # Errors
    /// If that fails.
    pub fn random() -> io::Result<Self> {
        let mut secret = [0; KEY_BYTES];
        getrandom::fill(&mut secret)?;
        Ok(Self::new(secret))
    }

    /// The key that a sender has told its members.
    pub fn new(secret: [u8; KEY_BYTES]) -> Self {
        Self {
            secret,
            key: cipher(&secret),
        }
    }

    /// To be sent to a member, over its own encrypted connection only.
    #[must_use]
    pub fn secret(&self) -> &[u8; KEY_BYTES] {
        &self.secret
    }

    /// Seals a datagram into `packet`. No counter may be used twice with one
    /// key.
    pub fn seal(&self, counter: u64, shard: Option<(ShardId, &[u8])>, packet: &mut Vec<u8>) {
        let (id, text) = shard.unwrap_or((BEACON, &[]));
        packet.clear();
        packet.extend_from_slice(&counter.to_be_bytes()[2..]);
        packet.extend_from_slice(&id.block.to_be_bytes());
        packet.extend_from_slice(&id.index.to_be_bytes());
        packet.extend_from_slice(text);
        let (header, text) = packet.split_at_mut(HEADER_BYTES);
        let tag = self.encrypt(header, text);
        packet.extend_from_slice(tag.as_ref());
    }

    fn encrypt(&self, header: &[u8], text: &mut [u8]) -> Tag {
        self.key
            .seal_in_place_separate_tag(nonce(header), Aad::from(header), text)
            .expect("a datagram is shorter than the cipher's limit")
    }

    /// Opens a datagram in place. `None` if it is not authentic.
    #[must_use]
    pub fn open<'a>(&self, packet: &'a mut [u8]) -> Option<Opened<'a>> {
        let (header, text) = packet.split_at_mut_checked(HEADER_BYTES)?;
        let header = &*header;
        let text = self
            .key
            .open_in_place(nonce(header), Aad::from(header), text)
            .ok()?;
        let (counter, rest) = header.split_first_chunk::<6>()?;
        let (block, index) = rest.split_first_chunk::<4>()?;
        let id = ShardId {
            block: u32::from_be_bytes(*block),
            index: u16::from_be_bytes(index.try_into().ok()?),
        };
        let mut wide = [0; 8];
        wide[2..].copy_from_slice(counter);
        Some(Opened {
            counter: u64::from_be_bytes(wide),
            shard: (id != BEACON).then_some((id, &*text)),
        })
    }
}

fn cipher(secret: &[u8; KEY_BYTES]) -> LessSafeKey {
    let key = UnboundKey::new(&CHACHA20_POLY1305, secret).expect("a key of 32 bytes");
    LessSafeKey::new(key)
}

/// The counter is the nonce.
fn nonce(header: &[u8]) -> Nonce {
    let mut nonce = [0; 12];
    nonce[6..].copy_from_slice(&header[..6]);
    Nonce::assume_unique_for_key(nonce)
}

impl fmt::Debug for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The secret must not end up in a log.
        f.write_str("GroupKey")
    }
}

/// In a datagram that carries no shard. No block has so many.
const BEACON: ShardId = ShardId {
    block: u32::MAX,
    index: u16::MAX,
};
const KEY_BYTES: usize = 32;
/// Counter (6), block (4), index (2).
const HEADER_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
/// Bytes that a datagram adds to its shard.
pub const OVERHEAD_BYTES: usize = HEADER_BYTES + TAG_BYTES;

#[cfg(test)]
mod tests {
    use super::*;

    const ID: ShardId = ShardId { block: 7, index: 9 };

    #[test]
    fn what_is_sealed_is_opened_and_nothing_else_is() {
        let (key, other) = (GroupKey::new([1; 32]), GroupKey::new([2; 32]));
        let mut packet = Vec::new();
        key.seal(5, Some((ID, b"text")), &mut packet);
        assert_eq!(packet.len(), 4 + OVERHEAD_BYTES);
        for place in 0..packet.len() {
            let mut altered = packet.clone();
            altered[place] ^= 1;
            assert!(key.open(&mut altered).is_none(), "{place}");
            assert!(key.open(&mut packet[..place].to_vec()).is_none(), "{place}");
        }
        assert!(other.open(&mut packet.clone()).is_none());
        let opened = key.open(&mut packet).unwrap();
        assert_eq!(opened.counter, 5);
        assert_eq!(opened.shard, Some((ID, &b"text"[..])));
    }

    #[test]
    fn a_datagram_may_be_there_only_to_be_heard() {
        let key = GroupKey::new([1; 32]);
        let mut packet = Vec::new();
        key.seal((1 << 48) - 1, None, &mut packet);
        let opened = key.open(&mut packet).unwrap();
        assert_eq!((opened.counter, opened.shard), ((1 << 48) - 1, None));
    }

    #[test]
    fn no_secret_is_printed() {
        assert_eq!(format!("{:?}", GroupKey::new([0x5e; 32])), "GroupKey");
    }
}
