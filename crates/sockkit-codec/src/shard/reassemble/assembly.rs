//! One message in flight: its shards, in order of arrival.

use std::time::Instant;

use bytes::BytesMut;

use super::{super::header::MessageHeader, missing::Asking, share::Sender};

/// The shards of one incomplete message.
///
/// They are stored in order of arrival, so memory grows with the bytes
/// received, wherever in the message they belong. Usually that order is the
/// message's own, and the buffer becomes the message.
#[derive(Debug)]
pub(super) struct Assembly {
    pub(super) from: Sender,
    pub(super) header: MessageHeader,
    /// When its first shard arrived.
    pub(super) since: Instant,
    pub(super) asking: Asking,
    pub(super) storage: Storage,
}

/// The memory of an assembly, reused for the next one.
#[derive(Debug, Default)]
pub(super) struct Storage {
    pub(super) shards: BytesMut,
    /// The index of each shard in `shards`.
    pub(super) order: Vec<u16>,
    /// One bit for each index up to the highest received.
    seen: Vec<u64>,
    /// Whether each index so far equals its position.
    pub(super) in_order: bool,
}

impl Assembly {
    /// Whether this shard has already arrived.
    pub(super) fn has(&self, index: u16) -> bool {
        let (word, bit) = place(index);
        self.storage
            .seen
            .get(word)
            .is_some_and(|word| word & bit != 0)
    }

    /// The capacity required for one more shard; the current one if it
    /// suffices.
    ///
    /// Doubles, so that a message is moved only a few times, but never exceeds
    /// the message.
    pub(super) fn capacity_for_next(&self) -> usize {
        let (held, capacity) = (self.storage.shards.len(), self.storage.shards.capacity());
        let shard_bytes = self.header.shard_bytes();
        let needed = held + shard_bytes;
        if needed <= capacity {
            return capacity;
        }
        let whole = shard_bytes * usize::from(self.header.data);
        (held * 2)
            .max(shard_bytes * FIRST_SHARDS)
            .clamp(needed, whole)
    }

    /// Stores a new shard.
    pub(super) fn push(&mut self, index: u16, shard: &[u8]) {
        let storage = &mut self.storage;
        let (word, bit) = place(index);
        if storage.seen.len() <= word {
            storage.seen.resize(word + 1, 0);
        }
        if let Some(word) = storage.seen.get_mut(word) {
            *word |= bit;
        }
        storage.in_order &= usize::from(index) == storage.order.len();
        storage.order.push(index);
        storage.shards.extend_from_slice(shard);
    }

    /// Bytes allocated for its shards.
    pub(super) fn capacity_bytes(&self) -> usize {
        self.storage.shards.capacity()
    }

    /// Whether as many shards have arrived as the message has data shards.
    pub(super) fn is_complete(&self) -> bool {
        self.storage.order.len() >= usize::from(self.header.data)
    }
}

impl Storage {
    /// Removes the shards and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.shards.clear();
        self.order.clear();
        self.seen.clear();
        self.in_order = true;
    }

    /// The shards with their indexes, in order of arrival.
    pub(super) fn shards(&self, shard_bytes: usize) -> impl Iterator<Item = (u16, &[u8])> {
        self.order
            .iter()
            .copied()
            .zip(self.shards.chunks_exact(shard_bytes))
    }
}

/// The word and the bit of an index.
fn place(index: u16) -> (usize, u64) {
    (usize::from(index / 64), 1 << (index % 64))
}

/// Initial capacity for a message, in shards.
const FIRST_SHARDS: usize = 4;
