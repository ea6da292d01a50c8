//! Buffers used again, so that a steady stream allocates nothing per datagram.

use std::{collections::VecDeque, mem};

use bytes::{Bytes, BytesMut};

use super::assembly::Storage;

/// Buffers that wait for a message, and those the caller still reads.
#[derive(Debug, Default)]
pub(super) struct Pool {
    /// Bookkeeping that waits for a message; its buffers are in `idle`.
    storages: Vec<Storage>,
    idle: Vec<BytesMut>,
    /// Delivered messages and the capacity behind each; once the caller drops
    /// one, its buffer is ours again.
    lent: VecDeque<(Bytes, usize)>,
    /// Where messages of a single datagram are put, many to a block.
    small: BytesMut,
}

impl Pool {
    /// Storage for a message of so many bytes, empty, with whatever memory fits.
    pub(super) fn take(&mut self, message_bytes: usize) -> Storage {
        let mut storage = self.storages.pop().unwrap_or_default();
        storage.clear();
        storage.shards = self.take_buffer(message_bytes);
        storage
    }

    /// An empty buffer for a message of so many bytes, of whatever capacity.
    pub(super) fn take_buffer(&mut self, message_bytes: usize) -> BytesMut {
        let buffer = self.idle.pop().or_else(|| self.reclaim());
        // A short message in a long buffer would pin it while the caller reads.
        let most = message_bytes.saturating_mul(4).saturating_add(SLACK_BYTES);
        let fitting = buffer.filter(|buffer| buffer.capacity() <= most);
        let mut buffer = fitting.unwrap_or_default();
        buffer.clear();
        buffer
    }

    /// Takes back what a finished message leaves.
    pub(super) fn put(&mut self, mut storage: Storage) {
        let buffer = mem::take(&mut storage.shards);
        if buffer.capacity() > 0 && self.idle.len() < KEPT {
            self.idle.push(buffer);
        }
        if self.storages.len() < KEPT {
            self.storages.push(storage);
        }
    }

    /// Hands a message to the caller, and remembers it to have its buffer back.
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

    /// Lets go of one buffer; `false` if there is none.
    pub(super) fn release_one(&mut self) -> bool {
        self.idle.pop().is_some() || self.lent.pop_front().is_some()
    }

    /// Bytes kept for messages to come.
    pub(super) fn capacity_bytes(&self) -> usize {
        let idle: usize = self.idle.iter().map(BytesMut::capacity).sum();
        let lent: usize = self.lent.iter().map(|(_, capacity)| capacity).sum();
        idle + lent
    }

    /// A buffer that the caller has dropped.
    fn reclaim(&mut self) -> Option<BytesMut> {
        let free = self.lent.iter().position(|(bytes, _)| bytes.is_unique())?;
        let (bytes, _) = self.lent.remove(free)?;
        bytes.try_into_mut().ok()
    }
}

/// Buffers kept of each sort: enough for a reader a few messages behind.
const KEPT: usize = 4;

/// A buffer this much longer than four times its message still serves it.
const SLACK_BYTES: usize = 64 << 10;

/// Block for messages of one datagram; a message that is kept pins its block.
const SMALL_BLOCK_BYTES: usize = 16 << 10;
