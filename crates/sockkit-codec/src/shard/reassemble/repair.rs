//! Restores a message from shards in any order.

use bytes::BytesMut;
use reed_solomon_simd::{
    DecoderResult,
    rate::{DefaultRateDecoder, RateDecoder},
};

use super::super::header::MessageHeader;
use super::{assembly::Storage, engine::SmallEngine};

type Decoder = DefaultRateDecoder<SmallEngine>;

/// Puts shards in order and computes missing ones.
#[derive(Default)]
pub(super) struct Repairer {
    /// Created by the first message that needs it.
    decoder: Option<Decoder>,
    /// For each data shard, its position among those received.
    places: Vec<Option<u16>>,
}

impl Repairer {
    /// Appends the data shards, in order, to `target`.
    ///
    /// `storage` holds as many shards as the message has data shards. Returns
    /// whether any of them had to be computed.
    pub(super) fn restore(
        &mut self,
        header: &MessageHeader,
        storage: &Storage,
        target: &mut BytesMut,
    ) -> Repaired {
        self.places.clear();
        self.places.resize(usize::from(header.data), None);
        for (place, &index) in (0..).zip(&storage.order) {
            if let Some(slot) = self.places.get_mut(usize::from(index)) {
                *slot = Some(place);
            }
        }
        let shard_bytes = header.shard_bytes();
        if self.places.iter().all(Option::is_some) {
            gather(&self.places, storage, shard_bytes, None, target);
            return Repaired::No;
        }
        let decoder = ready_decoder(&mut self.decoder, header);
        for (index, shard) in storage.shards(shard_bytes) {
            match index.checked_sub(header.data) {
                None => decoder.add_original_shard(usize::from(index), shard),
                Some(parity) => decoder.add_recovery_shard(usize::from(parity), shard),
            }
            .expect("indexes are checked and come once, lengths are checked");
        }
        let decoded = decoder.decode().expect("as many shards as data shards");
        gather(&self.places, storage, shard_bytes, Some(&decoded), target);
        drop(decoded);
        if usize::from(header.data) * shard_bytes > KEPT_MESSAGE_BYTES {
            self.decoder = None;
        }
        Repaired::Yes
    }
}

/// Whether parity was needed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Repaired {
    Yes,
    No,
}

/// Appends each data shard, as received or as computed by the decoder.
fn gather(
    places: &[Option<u16>],
    storage: &Storage,
    shard_bytes: usize,
    decoded: Option<&DecoderResult<'_>>,
    target: &mut BytesMut,
) {
    for (index, place) in places.iter().enumerate() {
        let shard = match place {
            Some(place) => {
                let start = usize::from(*place) * shard_bytes;
                storage.shards.get(start..start + shard_bytes)
            }
            None => decoded.and_then(|decoded| decoded.restored_original(index)),
        };
        target.extend_from_slice(shard.expect("every shard came or was restored"));
    }
}

/// Returns the decoder, configured for this message's counts; its memory is
/// reused.
fn ready_decoder<'a>(decoder: &'a mut Option<Decoder>, header: &MessageHeader) -> &'a mut Decoder {
    let (data, parity) = (usize::from(header.data), usize::from(header.parity));
    let shard_bytes = header.shard_bytes();
    match decoder {
        Some(decoder) => {
            decoder
                .reset(data, parity, shard_bytes)
                .expect("counts are within the code, length is even");
            decoder
        }
        None => decoder.insert(
            Decoder::new(data, parity, shard_bytes, SmallEngine::default(), None)
                .expect("counts are within the code, length is even"),
        ),
    }
}

/// After a longer message, the decoder's memory is released.
const KEPT_MESSAGE_BYTES: usize = 2 << 20;

#[cfg(test)]
mod tests {
    use super::super::{
        super::{Parity, SplitConfig, Splitter, StreamId},
        tests::{bytes, datagrams, reassembler, take},
    };

    #[test]
    fn the_decoder_is_kept_up_to_two_mebibytes() {
        // Shards of 1,024 bytes: 2,048 of them, and one more.
        for (message_bytes, kept) in [(2 << 20, true), ((2 << 20) + 1, false)] {
            let config = SplitConfig::default().max_datagram_bytes(1_060);
            let mut splitter = Splitter::new(config, StreamId(1));
            let mut set = datagrams(&mut splitter, &bytes(message_bytes), Parity::percent(1));
            set.remove(7);
            let mut reassembler = reassembler();
            assert_eq!(take(&mut reassembler, &set).len(), 1);
            assert_eq!(reassembler.stats().repaired, 1);
            assert_eq!(reassembler.repairer.decoder.is_some(), kept);
        }
    }
}
