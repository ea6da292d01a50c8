//! How the bytes of a transfer are divided into blocks and shards.

/// Division of a transfer into blocks, and of blocks into shards.
///
/// The bytes of all files, one after another, are cut into blocks, and each
/// block into data shards. Parity shards of the same length are computed from
/// the data shards of a block: any as many shards of a block as it has data
/// shards restore it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Layout {
    total_bytes: u64,
    shard_bytes: u16,
    block_shards: u16,
    parity_shards: u16,
}

/// One shard: data shards first, then parity shards.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ShardId {
    /// Its block, from 0.
    pub block: u32,
    /// Its index in the block, from 0.
    pub index: u16,
}

/// A layout that is not valid, or larger than the limits.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{total_bytes} bytes in blocks of {block_shards} + {parity_shards} shards of {shard_bytes} bytes is not a layout"
)]
#[non_exhaustive]
#[allow(missing_docs, reason = "named in the message")]
pub struct LayoutError {
    pub total_bytes: u64,
    pub shard_bytes: u16,
    pub block_shards: u16,
    pub parity_shards: u16,
}

impl Layout {
    /// The usual division of `total_bytes`.
    ///
    /// # Errors
    /// If it is too large.
    pub fn new(total_bytes: u64) -> Result<Self, LayoutError> {
        Self::with(total_bytes, SHARD_BYTES, BLOCK_SHARDS, PARITY_SHARDS)
    }

    /// A division into blocks of at most `block_shards` shards, for each of
    /// which at most `parity_shards` may be sent.
    ///
    /// # Errors
    /// If a number is outside its limits.
    pub fn with(
        total_bytes: u64,
        shard_bytes: u16,
        block_shards: u16,
        parity_shards: u16,
    ) -> Result<Self, LayoutError> {
        let layout = Self {
            total_bytes,
            shard_bytes,
            block_shards,
            parity_shards,
        };
        let is_valid = shard_bytes.is_multiple_of(2)
            && (MIN_SHARD_BYTES..=SHARD_BYTES).contains(&shard_bytes)
            && (1..=MAX_BLOCK_SHARDS).contains(&block_shards)
            && parity_shards <= MAX_BLOCK_SHARDS
            && total_bytes.div_ceil(layout.full_block_bytes()) <= MAX_BLOCKS;
        match is_valid {
            true => Ok(layout),
            false => Err(LayoutError {
                total_bytes,
                shard_bytes,
                block_shards,
                parity_shards,
            }),
        }
    }

    /// Length of all files together.
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// Length of every shard. The last one of a block is padded with zeros.
    pub fn shard_bytes(&self) -> usize {
        usize::from(self.shard_bytes)
    }

    /// Data shards of a block that is not the last.
    pub fn block_shards(&self) -> u16 {
        self.block_shards
    }

    /// Ceiling of parity shards.
    pub fn max_parity_shards(&self) -> u16 {
        self.parity_shards
    }

    /// Number of blocks.
    pub fn blocks(&self) -> u32 {
        // Limited on creation.
        u32::try_from(self.total_bytes.div_ceil(self.full_block_bytes())).unwrap_or(u32::MAX)
    }

    /// Offset of a block in the bytes of all files.
    pub fn block_offset(&self, block: u32) -> u64 {
        u64::from(block) * self.full_block_bytes()
    }

    /// Length of a block; 0 beyond the last.
    pub fn block_bytes(&self, block: u32) -> usize {
        let left = self.total_bytes.saturating_sub(self.block_offset(block));
        usize::try_from(left.min(self.full_block_bytes())).unwrap_or(0)
    }

    /// Number of data shards of a block; 0 beyond the last.
    pub fn data_shards(&self, block: u32) -> u16 {
        let shards = self.block_bytes(block).div_ceil(self.shard_bytes());
        // Limited on creation.
        u16::try_from(shards).unwrap_or(u16::MAX)
    }

    /// Maximum number of parity shards of a block. A short block may have more
    /// parity than data, because a single lost datagram is much of it.
    pub fn parity_shards(&self, block: u32) -> u16 {
        self.parity_shards
            .min(self.data_shards(block).max(MIN_PARITY_SHARDS))
    }

    /// How many bytes of files are in a shard: not its padding, and none in parity.
    pub(super) fn file_bytes(&self, id: ShardId) -> u64 {
        let start = usize::from(id.index) * self.shard_bytes();
        let left = self.block_bytes(id.block).saturating_sub(start);
        left.min(self.shard_bytes()) as u64
    }

    /// Whether the block has such a shard.
    pub fn contains(&self, id: ShardId) -> bool {
        let shards = self.data_shards(id.block);
        shards > 0 && id.index < shards + self.parity_shards(id.block)
    }

    /// Where a receiver keeps a shard: data at its place in the bytes of all
    /// files, parity behind all data.
    #[must_use]
    pub fn place(&self, id: ShardId) -> u64 {
        let shard_bytes = u64::from(self.shard_bytes);
        match id.index.checked_sub(self.data_shards(id.block)) {
            None => self.block_offset(id.block) + u64::from(id.index) * shard_bytes,
            Some(parity) => {
                let before = u64::from(id.block) * u64::from(self.parity_shards);
                self.data_end() + (before + u64::from(parity)) * shard_bytes
            }
        }
    }

    /// End of the last data shard, with its padding.
    fn data_end(&self) -> u64 {
        u64::from(self.blocks()) * self.full_block_bytes()
    }

    fn full_block_bytes(&self) -> u64 {
        u64::from(self.block_shards) * u64::from(self.shard_bytes)
    }
}

/// Fills an Ethernet packet of 1,500 bytes, with the headers of IPv4 and UDP,
/// and those of a group's datagram.
const SHARD_BYTES: u16 = 1_444;
/// Larger blocks need less parity and more memory: see `docs/wire/group.md`.
const BLOCK_SHARDS: u16 = 3_072;
const PARITY_SHARDS: u16 = 1_024;
const MIN_PARITY_SHARDS: u16 = 32;
const MIN_SHARD_BYTES: u16 = 64;
const MAX_BLOCK_SHARDS: u16 = 8_192;
/// 1.1 TB in blocks of the usual size; 8 MiB of digests.
const MAX_BLOCKS: u64 = 1 << 18;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_cover_every_byte_once() {
        for total in [0, 1, 63, 64, 65, 64 * 10, 64 * 10 + 1, 64 * 25 - 1] {
            let layout = Layout::with(total, 64, 10, 4).unwrap();
            let bytes: u64 = (0..layout.blocks())
                .map(|block| layout.block_bytes(block) as u64)
                .sum();
            assert_eq!(bytes, total);
            assert_eq!(layout.data_shards(layout.blocks()), 0);
        }
    }

    #[test]
    fn padding_and_parity_are_no_bytes_of_files() {
        let layout = Layout::with(64 * 10 + 7, 64, 10, 4).unwrap();
        let bytes = |block, index| layout.file_bytes(ShardId { block, index });
        assert_eq!([bytes(0, 9), bytes(0, 10), bytes(1, 0)], [64, 0, 7]);
        assert_eq!([bytes(1, 1), bytes(2, 0)], [0, 0]);
    }

    #[test]
    fn no_two_shards_have_one_place() {
        let layout = Layout::with(64 * 25 - 1, 64, 10, 4).unwrap();
        let mut places = std::collections::BTreeSet::new();
        for block in 0..3 {
            for index in 0..u16::MAX {
                let id = ShardId { block, index };
                if layout.contains(id) {
                    assert!(places.insert(layout.place(id)), "{id:?}");
                }
            }
        }
        assert_eq!(places.len(), 25 + 3 * 4);
        let places: Vec<_> = places.into_iter().collect();
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= 64));
    }

    #[test]
    fn numbers_outside_the_limits_are_no_layout() {
        for (total, shard, block, parity) in [
            (1, 0, 10, 4),
            (1, 65, 10, 4),
            (1, 1_446, 10, 4),
            (1, 64, 0, 4),
            (1, 64, 8_193, 4),
            (1, 64, 10, 8_193),
            (u64::MAX, 1_444, 8_192, 0),
            (64 * (1 << 18) + 1, 64, 1, 0),
        ] {
            assert!(Layout::with(total, shard, block, parity).is_err());
        }
    }
}
