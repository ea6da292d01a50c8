//! Parity of a block, and its restoration from any shards.

use reed_solomon_simd::{ReedSolomonDecoder, ReedSolomonEncoder};

use super::Layout;

/// Computes parity, with memory that is kept from one block to the next.
#[derive(Default)]
pub(super) struct Encoder(Option<ReedSolomonEncoder>);

/// Restores blocks, likewise.
#[derive(Default)]
pub(super) struct Decoder(Option<ReedSolomonDecoder>);

impl Encoder {
    /// Computes the parity shards of a block, in order. `data` is the block, padded
    /// to whole shards.
    ///
    /// # Panics
    /// If `data` is not as long as the block's data shards.
    pub(super) fn parity(&mut self, layout: &Layout, block: u32, data: &[u8], out: &mut Vec<u8>) {
        let (data_shards, parity_shards, shard_bytes) = numbers(layout, block);
        assert_eq!(data.len(), data_shards * shard_bytes, "padded");
        let encoder = match &mut self.0 {
            Some(encoder) => {
                let reset = encoder.reset(data_shards, parity_shards, shard_bytes);
                reset.expect(WITHIN_LIMITS);
                encoder
            }
            None => self.0.insert(
                ReedSolomonEncoder::new(data_shards, parity_shards, shard_bytes)
                    .expect(WITHIN_LIMITS),
            ),
        };
        for shard in data.chunks_exact(shard_bytes) {
            encoder.add_original_shard(shard).expect("as announced");
        }
        out.clear();
        let encoded = encoder.encode().expect("all shards are there");
        encoded
            .recovery_iter()
            .for_each(|shard| out.extend_from_slice(shard));
    }
}

impl Decoder {
    /// Begins with the data shards of a block that are there: `data` has them in their
    /// places.
    pub(super) fn begin(&mut self, layout: &Layout, block: u32, data: &[u8], has: &[bool]) {
        let (data_shards, parity_shards, shard_bytes) = numbers(layout, block);
        let decoder = match &mut self.0 {
            Some(decoder) => {
                let reset = decoder.reset(data_shards, parity_shards, shard_bytes);
                reset.expect(WITHIN_LIMITS);
                decoder
            }
            None => self.0.insert(
                ReedSolomonDecoder::new(data_shards, parity_shards, shard_bytes)
                    .expect(WITHIN_LIMITS),
            ),
        };
        let shards = data.chunks_exact(shard_bytes).zip(has).enumerate();
        for (index, (shard, _)) in shards.filter(|(_, (_, has))| **has) {
            let added = decoder.add_original_shard(index, shard);
            added.expect("within the block");
        }
    }

    /// Adds a parity shard, by its number.
    pub(super) fn add_parity(&mut self, number: u16, shard: &[u8]) {
        let decoder = self.0.as_mut().expect("it has begun");
        let added = decoder.add_recovery_shard(usize::from(number), shard);
        added.expect("within the block");
    }

    /// Restores the data shards that were not there.
    ///
    /// # Panics
    /// If there were fewer shards than the block has data shards.
    pub(super) fn finish(&mut self, layout: &Layout, data: &mut [u8]) {
        let shard_bytes = layout.shard_bytes();
        let decoder = self.0.as_mut().expect("it has begun");
        let decoded = decoder.decode().expect("enough shards");
        for (index, shard) in decoded.restored_original_iter() {
            data[index * shard_bytes..][..shard_bytes].copy_from_slice(shard);
        }
    }
}

/// Data and parity shards of a block, and the bytes of each.
fn numbers(layout: &Layout, block: u32) -> (usize, usize, usize) {
    let data = layout.data_shards(block).into();
    let parity = layout.parity_shards(block).into();
    (data, parity, layout.shard_bytes())
}

const WITHIN_LIMITS: &str = "within the limits of a layout";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_as_many_shards_as_there_is_data_restore_a_block() {
        let layout = Layout::with(64 * 100 + 7, 64, 40, 16).unwrap();
        let mut rng = fastrand::Rng::with_seed(4);
        let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
        let mut parity = Vec::new();
        for block in 0..layout.blocks() {
            let count = usize::from(layout.data_shards(block));
            let data: Vec<u8> = (0..count * 64).map(|_| rng.u8(..)).collect();
            encoder.parity(&layout, block, &data, &mut parity);
            assert_eq!(parity.len(), 64 * usize::from(layout.parity_shards(block)));
            for lost in 0..=usize::from(layout.parity_shards(block)).min(count) {
                let mut has = vec![true; count];
                rng.choose_multiple(0..count, lost)
                    .into_iter()
                    .for_each(|index| has[index] = false);
                let mut damaged = data.clone();
                for index in (0..count).filter(|index| !has[*index]) {
                    damaged[index * 64..][..64].fill(0xff);
                }
                let numbers = rng.choose_multiple(0..parity.len() / 64, lost);
                decoder.begin(&layout, block, &damaged, &has);
                for number in numbers {
                    let shard = &parity[number * 64..][..64];
                    decoder.add_parity(number.try_into().unwrap(), shard);
                }
                decoder.finish(&layout, &mut damaged);
                assert!(damaged == data, "block {block}, {lost} lost");
            }
        }
    }
}
