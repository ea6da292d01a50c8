//! Writes the datagrams of a message.

use reed_solomon_simd::ReedSolomonEncoder;

use super::super::header::{HEADER_BYTES, MessageHeader};

/// Writes the data shards: headers, the message, zero padding.
pub(super) fn fill(header: &MessageHeader, systematic: &mut [u8], parts: &[&[u8]]) {
    let mut parts = parts.iter().copied();
    let mut part = parts.next().unwrap_or_default();
    let segments = systematic.chunks_exact_mut(HEADER_BYTES + header.shard_bytes());
    for (index, segment) in (0..).zip(segments) {
        let (head, mut room) = segment.split_at_mut(HEADER_BYTES);
        header.emit(index, head);
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

/// Computes the parity shards.
pub(super) fn protect(
    encoder: &mut Option<ReedSolomonEncoder>,
    header: &MessageHeader,
    systematic: &[u8],
    redundant: &mut [u8],
) {
    let segment_bytes = HEADER_BYTES + header.shard_bytes();
    let data_shards = systematic
        .chunks_exact(segment_bytes)
        .map(|segment| segment.split_at(HEADER_BYTES).1);
    let parity_segments = (header.data..).zip(redundant.chunks_exact_mut(segment_bytes));
    if header.data == 1 {
        // The parity of a single data shard is a copy of it.
        for ((index, segment), shard) in parity_segments.zip(data_shards.cycle()) {
            write_segment(header, index, segment, shard);
        }
        return;
    }
    let encoder = ready_encoder(encoder, header);
    for shard in data_shards {
        encoder
            .add_original_shard(shard)
            .expect("as many shards, as long, as the encoder was told");
    }
    let encoded = encoder.encode().expect("every data shard was added");
    for ((index, segment), shard) in parity_segments.zip(encoded.recovery_iter()) {
        write_segment(header, index, segment, shard);
    }
}

fn write_segment(header: &MessageHeader, index: u16, segment: &mut [u8], shard: &[u8]) {
    let (head, target) = segment.split_at_mut(HEADER_BYTES);
    header.emit(index, head);
    target.copy_from_slice(shard);
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
