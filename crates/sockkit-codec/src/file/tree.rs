//! Block digests, and how the file's digest is computed from them.
//!
//! A block is a whole subtree of BLAKE3's own tree. Its digest is the chaining
//! value of that subtree, and the file's digest is computed from the blocks'
//! digests without hashing any byte twice. It equals the output of `b3sum` for
//! the file.
//!
//! ```text
//!            file digest (root)
//!             /            \
//!        parent             \
//!       /      \             \
//!    block 0  block 1      block 2        4 MiB each, the last one shorter
//! ```
//!
//! # Source
//! The BLAKE3 paper, §2.1 and §2.4.

use blake3::hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};

use crate::file::{BLOCK_BYTES, BlockIndex, Digest};

/// Hashes one block incrementally.
#[derive(Clone, Debug)]
pub struct BlockHasher {
    hasher: blake3::Hasher,
    /// A single block is the whole tree, and its digest is that of the file.
    is_whole_file: bool,
}

impl BlockHasher {
    /// Creates a hasher for block `index` of a file of `file_bytes`.
    pub fn new(index: BlockIndex, file_bytes: u64) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.set_input_offset(index.offset_bytes());
        Self {
            hasher,
            is_whole_file: file_bytes <= BLOCK_BYTES,
        }
    }

    /// Hashes the next bytes of the block.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// Returns the block's digest. A block has at least one byte.
    pub fn finish(&self) -> Digest {
        Digest(if self.is_whole_file {
            *self.hasher.finalize().as_bytes()
        } else {
            self.hasher.finalize_non_root()
        })
    }
}

/// Combines the digests of a file's blocks, in order; stores at most 64 of
/// them.
#[derive(Clone, Debug)]
pub struct DigestTree {
    /// Complete subtrees, largest first.
    stack: Vec<[u8; 32]>,
    /// The newest block, which is not merged until it is known whether it is
    /// the last.
    newest: Option<[u8; 32]>,
    blocks: u64,
    chain: blake3::Hasher,
}

impl DigestTree {
    /// The tree of an empty file.
    pub fn new() -> Self {
        Self {
            stack: Vec::new(),
            newest: None,
            blocks: 0,
            chain: blake3::Hasher::new(),
        }
    }

    /// Number of blocks added.
    pub fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Appends the next block.
    pub fn push(&mut self, block: Digest) {
        if let Some(newest) = self.newest.replace(block.0) {
            self.merge(newest);
        }
        self.chain.update(&block.0);
        self.blocks += 1;
    }

    /// Returns the file's digest.
    pub fn root(&self) -> Digest {
        let Some(mut right) = self.newest else {
            return Digest(*blake3::hash(b"").as_bytes());
        };
        let Some((top, inner)) = self.stack.split_first() else {
            return Digest(right);
        };
        for left in inner.iter().rev() {
            right = merge_subtrees_non_root(left, &right, Mode::Hash);
        }
        Digest(*merge_subtrees_root(top, &right, Mode::Hash).as_bytes())
    }

    /// Returns one digest over all block digests so far. A receiver that
    /// resumes sends it, so that the sender can check whether both have the
    /// same data.
    pub fn chain(&self) -> Digest {
        Digest(*self.chain.finalize().as_bytes())
    }

    /// Each trailing one bit in the number of merged blocks stands for a
    /// subtree as large as the one just completed.
    fn merge(&mut self, mut subtree: [u8; 32]) {
        let mut merged = self.blocks - 1;
        while merged & 1 == 1 {
            let left = self.stack.pop().expect("one subtree per bit of the count");
            subtree = merge_subtrees_non_root(&left, &subtree, Mode::Hash);
            merged >>= 1;
        }
        self.stack.push(subtree);
    }
}

impl Default for DigestTree {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(file_bytes: usize) {
        let run: Vec<u8> = (0..=250).collect();
        let file = &run.repeat(file_bytes / run.len() + 1)[..file_bytes];
        let mut tree = DigestTree::new();
        for (index, block) in file
            .chunks(usize::try_from(BLOCK_BYTES).unwrap())
            .enumerate()
        {
            let mut hasher = BlockHasher::new(BlockIndex(index as u64), file_bytes as u64);
            for piece in block.chunks(100_000) {
                hasher.update(piece);
            }
            tree.push(hasher.finish());
        }
        assert_eq!(
            tree.root().0,
            *blake3::hash(file).as_bytes(),
            "{file_bytes}"
        );
    }

    #[test]
    fn the_tree_of_blocks_is_the_digest_of_the_file() {
        let block = usize::try_from(BLOCK_BYTES).unwrap();
        for blocks in 0..=9 {
            for extra in [0, 1, block / 2] {
                check(blocks * block + extra);
            }
        }
    }

    #[test]
    fn the_chain_knows_order_and_count() {
        let (a, b) = (Digest([1; 32]), Digest([2; 32]));
        let chain = |digests: &[Digest]| {
            let mut tree = DigestTree::new();
            digests.iter().for_each(|digest| tree.push(*digest));
            tree.chain()
        };
        assert_ne!(chain(&[a, b]), chain(&[b, a]));
        assert_ne!(chain(&[a]), chain(&[a, a]));
    }
}
