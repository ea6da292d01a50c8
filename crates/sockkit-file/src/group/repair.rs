//! Parity of a block, and its restoration from any shards.

use reed_solomon_simd::{ReedSolomonDecoder, ReedSolomonEncoder};

use super::Layout;

/// Computes the parity shards of a block, in order. `data` is the block, padded
/// to whole shards.
///
/// # Panics
/// If `data` is not as long as the block's data shards.
pub fn parity(layout: &Layout, block: u32, data: &[u8]) -> Vec<u8> {
    let (count, parity) = (layout.data_shards(block), layout.parity_shards(block));
    let shard_bytes = layout.shard_bytes();
    assert_eq!(data.len(), usize::from(count) * shard_bytes, "padded");
    let mut encoder = ReedSolomonEncoder::new(usize::from(count), usize::from(parity), shard_bytes)
        .expect("within the limits of a layout");
    for shard in data.chunks_exact(shard_bytes) {
        encoder.add_original_shard(shard).expect("as announced");
    }
    let encoded = encoder.encode().expect("all shards are there");
    encoded.recovery_iter().flatten().copied().collect()
}

/// Restores the data shards of a block in place. `data` has those in `has` in
/// their places, and `parity` is the parity shards that were received, by number.
///
/// # Panics
/// If there are fewer shards than the block has data shards.
pub fn restore(
    layout: &Layout,
    block: u32,
    data: &mut [u8],
    has: &[bool],
    parity: &[(u16, Vec<u8>)],
) {
    if has.iter().all(|has| *has) {
        return;
    }
    let shard_bytes = layout.shard_bytes();
    let max_parity = usize::from(layout.parity_shards(block));
    let mut decoder = ReedSolomonDecoder::new(has.len(), max_parity, shard_bytes)
        .expect("within the limits of a layout");
    let shards = data.chunks_exact(shard_bytes).zip(has).enumerate();
    for (index, (shard, _)) in shards.filter(|(_, (_, has))| **has) {
        decoder
            .add_original_shard(index, shard)
            .expect("within the block");
    }
    for (number, shard) in parity {
        decoder
            .add_recovery_shard(usize::from(*number), shard)
            .expect("within the block");
    }
    let decoded = decoder.decode().expect("enough shards");
    for (index, shard) in decoded.restored_original_iter() {
        data[index * shard_bytes..][..shard_bytes].copy_from_slice(shard);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_as_many_shards_as_there_is_data_restore_a_block() {
        let layout = Layout::with(64 * 100 + 7, 64, 40, 16).unwrap();
        let mut rng = fastrand::Rng::with_seed(4);
        for block in 0..layout.blocks() {
            let count = usize::from(layout.data_shards(block));
            let data: Vec<u8> = (0..count * 64).map(|_| rng.u8(..)).collect();
            let parity = parity(&layout, block, &data);
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
                let shards: Vec<_> = (numbers.into_iter())
                    .map(|number| {
                        let shard = parity[number * 64..][..64].to_vec();
                        (u16::try_from(number).unwrap(), shard)
                    })
                    .collect();
                restore(&layout, block, &mut damaged, &has, &shards);
                assert!(damaged == data, "block {block}, {lost} lost");
            }
        }
    }
}
