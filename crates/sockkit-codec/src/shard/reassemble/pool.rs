//! Reuses buffers, so that a steady stream allocates nothing per datagram.

use std::{collections::VecDeque, mem};

use bytes::{Bytes, BytesMut};

use super::assembly::Storage;

/// Spare buffers, and those still in use by the caller.
#[derive(Debug, Default)]
pub(super) struct Pool {
    /// Spare bookkeeping; its buffers are in `idle`.
    storages: Vec<Storage>,
    idle: Vec<BytesMut>,
    /// Delivered messages with their capacities. When the caller drops one, its
    /// buffer can be reused.
    lent: VecDeque<(Bytes, usize)>,
    /// Blocks for messages of a single datagram, many per block.
    small: BytesMut,
}

impl Pool {
    /// Takes empty storage for a message of this length, reusing memory if it
    /// fits.
    pub(super) fn take(&mut self, message_bytes: usize) -> Storage {
        let mut storage = self.storages.pop().unwrap_or_default();
        storage.clear();
        storage.shards = self.take_buffer(message_bytes);
        storage
    }

    /// Takes an empty buffer for a message of this length, of any capacity.
    pub(super) fn take_buffer(&mut self, message_bytes: usize) -> BytesMut {
        let buffer = self.idle.pop().or_else(|| self.reclaim());
        // A short message in a long buffer would keep it allocated while the
        // caller reads.
        let most = message_bytes.saturating_mul(4).saturating_add(SLACK_BYTES);
        let fitting = buffer.filter(|buffer| buffer.capacity() <= most);
        let mut buffer = fitting.unwrap_or_default();
        buffer.clear();
        buffer
    }

    /// Takes back the storage of a finished message.
    pub(super) fn put(&mut self, mut storage: Storage) {
        let buffer = mem::take(&mut storage.shards);
        if buffer.capacity() > 0 && self.idle.len() < KEPT {
            self.idle.push(buffer);
        }
        if self.storages.len() < KEPT {
            self.storages.push(storage);
        }
    }

    /// Passes a message to the caller, and remembers it to reuse its buffer.
    pub(super) fn lend(&mut self, message: BytesMut) -> Bytes {
        if self.lent.len() == KEPT {
            self.lent.pop_front();
        }
        let capacity = message.capacity();
        let message = message.freeze();
        self.lent.push_back((message.clone(), capacity));
        message
    }

    /// Copies a message of one datagram.
    pub(super) fn copy_small(&mut self, message: &[u8]) -> Bytes {
        if self.small.capacity() < message.len() {
            self.small.reserve(message.len().max(SMALL_BLOCK_BYTES));
        }
        self.small.extend_from_slice(message);
        self.small.split().freeze()
    }

    /// Releases one buffer; returns `false` if there is none.
    pub(super) fn release_one(&mut self) -> bool {
        self.idle.pop().is_some() || self.lent.pop_front().is_some()
    }

    /// Memory kept for later messages, in bytes.
    pub(super) fn capacity_bytes(&self) -> usize {
        let idle: usize = self.idle.iter().map(BytesMut::capacity).sum();
        let lent: usize = self.lent.iter().map(|(_, capacity)| capacity).sum();
        idle + lent
    }

    /// Takes a buffer that the caller has dropped.
    fn reclaim(&mut self) -> Option<BytesMut> {
        let free = self.lent.iter().position(|(bytes, _)| bytes.is_unique())?;
        let (bytes, _) = self.lent.remove(free)?;
        bytes.try_into_mut().ok()
    }
}

/// Buffers kept of each sort: enough for a reader that is a few messages
/// behind.
const KEPT: usize = 4;

/// A buffer may exceed four times its message by this much.
const SLACK_BYTES: usize = 64 << 10;

/// Block size for messages of one datagram; a message in use keeps its whole
/// block allocated.
const SMALL_BLOCK_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn storage(capacity: usize) -> Storage {
        let mut storage = Storage::default();
        storage.shards.reserve(capacity);
        storage
    }

    fn message(text: &[u8], capacity: usize) -> BytesMut {
        let mut message = BytesMut::with_capacity(capacity);
        message.extend_from_slice(text);
        message
    }

    #[test]
    fn what_was_put_is_taken_again_and_is_empty() {
        let mut pool = Pool::default();
        let mut used = storage(1_000);
        used.shards.extend_from_slice(b"old");
        used.order.push(3);
        pool.put(used);
        assert_eq!(pool.capacity_bytes(), 1_000);
        let taken = pool.take(1_000);
        let shards = (taken.shards.len(), taken.shards.capacity());
        assert_eq!(shards, (0, 1_000));
        assert!(taken.order.is_empty() && taken.order.capacity() > 0 && taken.in_order);
        assert_eq!(pool.capacity_bytes(), 0);
    }

    #[test]
    fn four_of_each_sort_are_kept() {
        let mut pool = Pool::default();
        for put in 1..=6 {
            pool.put(storage(100));
            assert_eq!(pool.capacity_bytes(), 100 * put.min(4));
            assert_eq!(pool.storages.len(), put.min(4));
        }
        let mut read = Vec::new();
        for lent in 1..=6 {
            read.push(pool.lend(message(b"", 50)));
            assert_eq!(pool.capacity_bytes(), 400 + 50 * lent.min(4));
        }
        let mut released = 0;
        while pool.release_one() {
            released += 1;
        }
        assert_eq!((released, pool.capacity_bytes()), (8, 0));
        // A message that was moved out leaves bookkeeping, and no buffer.
        let mut pool = Pool::default();
        pool.put(Storage::default());
        assert_eq!((pool.storages.len(), pool.idle.len()), (1, 0));
    }

    #[test]
    fn a_short_message_gets_no_long_buffer() {
        let longest = 4 * 10_000 + 65_536;
        for (capacity, given) in [(longest, longest), (longest + 1, 0)] {
            let mut pool = Pool::default();
            pool.put(storage(capacity));
            assert_eq!(pool.take_buffer(10_000).capacity(), given);
        }
    }

    #[test]
    fn a_message_comes_back_once_it_is_dropped() {
        let mut pool = Pool::default();
        let first = pool.lend(message(b"first", 700));
        let second = pool.lend(message(b"second", 800));
        assert_eq!(pool.take_buffer(500).capacity(), 0);
        drop(second);
        let again = pool.take_buffer(500);
        assert_eq!((again.len(), again.capacity()), (0, 800));
        assert_eq!(first, "first");
        assert_eq!(pool.capacity_bytes(), 700);
    }

    #[test]
    fn short_messages_fill_a_block_to_its_last_byte() {
        let mut pool = Pool::default();
        let first = pool.copy_small(&[1; 100]);
        assert_eq!(pool.small.capacity(), 16_384 - 100);
        let rest = pool.copy_small(&[2; 16_384 - 100]);
        assert_eq!(rest.as_ptr(), first.as_ptr_range().end);
        assert_eq!(first, [1; 100][..]);
        assert_eq!(pool.copy_small(&[3; 20_000]), [3; 20_000][..]);
    }
}
