//! Writes the datagrams of a message.

use reed_solomon_simd::ReedSolomonEncoder;

use super::super::{header::MessageHeader, seal::Envelope};

/// How a message is written: the common header, and what surrounds each shard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) header: MessageHeader,
    pub(super) envelope: Envelope,
}

impl Plan {
    /// Length of each datagram.
    pub(super) fn segment_bytes(&self) -> usize {
        let around = self.envelope.before_shard() + self.envelope.after_shard();
        around + self.header.shard_bytes()
    }

    /// Total length of all datagrams.
    pub(super) fn total_bytes(&self) -> usize {
        let shards = usize::from(self.header.data) + usize::from(self.header.parity);
        shards * self.segment_bytes()
    }

    /// The shard that a datagram carries.
    fn shard<'a>(&self, segment: &'a [u8]) -> &'a [u8] {
        let (_, rest) = segment.split_at(self.envelope.before_shard());
        rest.split_at(self.header.shard_bytes()).0
    }

    /// Writes the header of datagram `index`; returns the space for its shard.
    fn begin<'a>(&self, index: u16, segment: &'a mut [u8]) -> &'a mut [u8] {
        let (head, rest) = segment.split_at_mut(self.envelope.before_shard());
        self.header.emit(index, self.envelope, head);
        rest.split_at_mut(self.header.shard_bytes()).0
    }

    /// Writes the data shards: headers, the message, zero padding.
    pub(super) fn fill(&self, systematic: &mut [u8], parts: &[&[u8]]) {
        let mut parts = parts.iter().copied();
        let mut part = parts.next().unwrap_or_default();
        let segments = systematic.chunks_exact_mut(self.segment_bytes());
        for (index, segment) in (0..).zip(segments) {
            let mut room = self.begin(index, segment);
            while !room.is_empty() {
                if part.is_empty() {
                    let Some(next) = parts.next() else {
                        room.fill(0);
                        break;
                    };
                    part = next;
                    continue;
                }
                let (source, rest) = part.split_at(room.len().min(part.len()));
                let (target, left) = room.split_at_mut(source.len());
                target.copy_from_slice(source);
                (part, room) = (rest, left);
            }
        }
    }

    /// Writes the parity shards from the data shards.
    pub(super) fn protect(
        &self,
        encoder: &mut Option<ReedSolomonEncoder>,
        systematic: &[u8],
        redundant: &mut [u8],
    ) {
        let segment_bytes = self.segment_bytes();
        let data_shards = systematic
            .chunks_exact(segment_bytes)
            .map(|segment| self.shard(segment));
        let parity_segments = (self.header.data..).zip(redundant.chunks_exact_mut(segment_bytes));
        if self.header.data == 1 {
            // The parity of a single data shard is a copy of it.
            for ((index, segment), shard) in parity_segments.zip(data_shards.cycle()) {
                self.begin(index, segment).copy_from_slice(shard);
            }
            return;
        }
        let encoder = ready_encoder(encoder, &self.header);
        for shard in data_shards {
            encoder
                .add_original_shard(shard)
                .expect("as many shards, as long, as the encoder was told");
        }
        let encoded = encoder.encode().expect("every data shard was added");
        for ((index, segment), shard) in parity_segments.zip(encoded.recovery_iter()) {
            self.begin(index, segment).copy_from_slice(shard);
        }
    }
}

/// Returns the encoder, configured for this message's counts; its memory is
/// reused.
fn ready_encoder<'a>(
    encoder: &'a mut Option<ReedSolomonEncoder>,
    header: &MessageHeader,
) -> &'a mut ReedSolomonEncoder {
    let (data, parity) = (usize::from(header.data), usize::from(header.parity));
    let shard_bytes = header.shard_bytes();
    match encoder {
        Some(encoder) => {
            encoder
                .reset(data, parity, shard_bytes)
                .expect("counts are within the code, length is even");
            encoder
        }
        None => encoder.insert(
            ReedSolomonEncoder::new(data, parity, shard_bytes)
                .expect("counts are within the code, length is even"),
        ),
    }
}
