//! A buffer for many datagrams, reused between calls.

use std::slice::ChunksExactMut;

use super::Datagram;
use crate::{
    options::TrafficClass,
    sys::datagram::{MAX_MESSAGES, Received},
};

/// A buffer for the datagrams of one
/// [`recv_batch`](super::UdpEndpoint::recv_batch).
///
/// Create it once and reuse it: receiving then allocates nothing. Each slot
/// holds one datagram or a run merged by the kernel, so nothing is ever
/// truncated.
///
/// # Units
/// A slot takes 64 KiB of address space; memory is only used as far as it was
/// filled.
#[derive(Debug)]
pub struct ReceiveBatch {
    storage: Box<[u8]>,
    received: Box<[Received]>,
    /// How many slots to pass to the kernel next.
    lent: usize,
    filled: usize,
    /// The first datagram that has not been taken.
    front: Front,
}

/// A position in the batch: a slot, and how many of its datagrams are taken.
#[derive(Clone, Copy, Debug, Default)]
struct Front {
    slot: usize,
    taken: usize,
}

impl ReceiveBatch {
    /// Creates a batch of 32 slots.
    pub fn new() -> Self {
        Self::with_slots(DEFAULT_SLOTS)
    }

    /// Creates a batch of 1 to 64 slots.
    pub fn with_slots(slots: usize) -> Self {
        let slots = slots.clamp(1, MAX_MESSAGES);
        Self {
            storage: vec![0; slots * SLOT_BYTES].into_boxed_slice(),
            received: vec![Received::EMPTY; slots].into_boxed_slice(),
            lent: 1,
            filled: 0,
            front: Front::default(),
        }
    }

    /// Iterates over the datagrams, in order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = Datagram<'_>> {
        self.storage
            .chunks_exact(SLOT_BYTES)
            .zip(&self.received[..self.filled])
            .skip(self.front.slot)
            .flat_map(|(slot, received)| split(slot, received))
            .skip(self.front.taken)
    }

    /// Takes the first datagram; the others remain.
    ///
    /// ```
    /// # use sockkit_core as sockkit;
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// use sockkit::udp::{ReceiveBatch, UdpEndpoint};
    ///
    /// let endpoint = UdpEndpoint::bind(([127, 0, 0, 1], 0).into())?;
    /// endpoint.send(sockkit::udp::Transmit::new(endpoint.local_addr()?, b"one")).await?;
    /// let mut batch = ReceiveBatch::new();
    /// endpoint.recv_batch(&mut batch).await?;
    /// assert_eq!(batch.pop().map(|datagram| datagram.bytes), Some(&b"one"[..]));
    /// assert!(batch.pop().is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pop(&mut self) -> Option<Datagram<'_>> {
        let Front { slot, taken } = self.front;
        let received = self.received[..self.filled].get(slot)?;
        self.front = match taken + 1 < count(received) {
            true => Front {
                slot,
                taken: taken + 1,
            },
            false => Front {
                slot: slot + 1,
                taken: 0,
            },
        };
        let bytes = &self.storage[slot * SLOT_BYTES..][..SLOT_BYTES];
        nth(bytes, received, taken)
    }

    /// Number of datagrams.
    pub fn len(&self) -> usize {
        let left = self.received[..self.filled].iter().skip(self.front.slot);
        left.map(count).sum::<usize>() - self.front.taken
    }

    /// Whether there are no datagrams.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn clear(&mut self) {
        (self.filled, self.front) = (0, Front::default());
    }

    /// Clears the batch and passes slots to the kernel through `fill`.
    ///
    /// Passes twice as many slots as the last time if all of them were filled,
    /// half as many if few were: each slot costs time, and so does a further
    /// call.
    pub(super) fn refill<E>(
        &mut self,
        fill: impl FnOnce(ChunksExactMut<'_, u8>, &mut [Received]) -> Result<usize, E>,
    ) -> Result<(), E> {
        self.clear();
        self.filled = fill(
            self.storage.chunks_exact_mut(SLOT_BYTES),
            &mut self.received[..self.lent],
        )?;
        self.lent = if self.filled == self.lent {
            self.received.len().min(2 * self.lent)
        } else {
            self.filled.max(self.lent / 2)
        };
        Ok(())
    }

    /// Copies the first datagram to `buffer`, as far as it fits.
    pub(super) fn take_first(&mut self, buffer: &mut [u8]) -> Option<Received> {
        let first = self.pop()?;
        let fitting = first.bytes.len().min(buffer.len());
        buffer[..fitting].copy_from_slice(&first.bytes[..fitting]);
        Some(Received {
            from: first.from,
            wire_bytes: first.wire_bytes,
            segment_bytes: None,
            to: first.to,
            interface_index: first.interface_index,
            traffic_class: first.traffic_class.map(u8::from),
            hops: first.hops,
            received: first.received,
            drops: first.drops,
        })
    }
}

impl Default for ReceiveBatch {
    fn default() -> Self {
        Self::new()
    }
}

/// Splits one slot into its datagrams.
fn split<'a>(slot: &'a [u8], received: &'a Received) -> impl Iterator<Item = Datagram<'a>> {
    (0..count(received)).map_while(move |index| nth(slot, received, index))
}

/// One datagram of a slot.
fn nth<'a>(slot: &'a [u8], received: &Received, index: usize) -> Option<Datagram<'a>> {
    let bytes = &slot[..received.wire_bytes.min(slot.len())];
    let segment_bytes = segment_bytes(received);
    let start = index * segment_bytes;
    let end = bytes.len().min(start + segment_bytes);
    Some(datagram(bytes.get(start..end)?, end - start, received))
}

/// Number of datagrams in a slot; an empty datagram counts as one.
fn count(received: &Received) -> usize {
    received.wire_bytes.div_ceil(segment_bytes(received)).max(1)
}

fn segment_bytes(received: &Received) -> usize {
    received.segment_bytes.unwrap_or(received.wire_bytes).max(1)
}

pub(super) fn datagram<'a>(
    bytes: &'a [u8],
    wire_bytes: usize,
    received: &Received,
) -> Datagram<'a> {
    Datagram {
        bytes,
        wire_bytes,
        from: received.from,
        to: received.to,
        interface_index: received.interface_index,
        traffic_class: received.traffic_class.map(TrafficClass::from),
        hops: received.hops,
        received: received.received,
        drops: received.drops,
    }
}

const DEFAULT_SLOTS: usize = 32;

/// More than any datagram and any merged run.
const SLOT_BYTES: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    /// A batch of one slot with `wire_bytes` counted up from zero.
    fn batch(wire_bytes: usize, segment_bytes: Option<usize>) -> ReceiveBatch {
        let mut batch = ReceiveBatch::with_slots(1);
        let filled: Result<(), ()> = batch.refill(|mut slots, received| {
            let slot = slots.next().unwrap();
            for (index, byte) in slot[..wire_bytes].iter_mut().enumerate() {
                *byte = u8::try_from(index % 251).unwrap();
            }
            received[0] = Received {
                wire_bytes,
                segment_bytes,
                ..Received::EMPTY
            };
            Ok(1)
        });
        filled.unwrap();
        batch
    }

    #[track_caller]
    fn check(wire_bytes: usize, segment_bytes: Option<usize>, expected: &[usize]) {
        let mut batch = batch(wire_bytes, segment_bytes);
        let lengths: Vec<usize> = batch.iter().map(|datagram| datagram.bytes.len()).collect();
        assert_eq!(lengths, expected);
        assert_eq!(batch.len(), expected.len());
        let joined: Vec<u8> = batch
            .iter()
            .flat_map(|datagram| datagram.bytes.to_vec())
            .collect();
        assert_eq!(joined, batch.storage[..wire_bytes]);
        let mut buffer = [0; 64];
        for (taken, length) in expected.iter().enumerate() {
            assert_eq!(batch.len(), expected.len() - taken);
            let first = batch.take_first(&mut buffer).map(|first| first.wire_bytes);
            assert_eq!(first, Some(*length));
        }
        assert!(batch.take_first(&mut buffer).is_none());
        assert!(batch.is_empty());
    }

    #[test]
    fn one_datagram() {
        check(5, None, &[5]);
    }

    #[test]
    fn an_empty_datagram_is_a_datagram() {
        check(0, None, &[0]);
    }

    #[test]
    fn a_joined_run_is_cut_where_it_was_joined() {
        check(10, Some(5), &[5, 5]);
        check(11, Some(5), &[5, 5, 1]);
        check(4, Some(5), &[4]);
    }

    #[test]
    fn a_segment_of_no_bytes_does_not_divide_by_zero() {
        check(3, Some(0), &[1, 1, 1]);
        check(0, Some(0), &[0]);
    }

    #[test]
    fn a_new_batch_is_empty() {
        assert!(ReceiveBatch::new().is_empty());
    }

    #[test]
    fn slots_stay_in_range() {
        assert_eq!(ReceiveBatch::with_slots(0).received.len(), 1);
        assert_eq!(
            ReceiveBatch::with_slots(usize::MAX).received.len(),
            MAX_MESSAGES
        );
    }
}
