//! The bytes of all files of an offer, one after another.

use std::{io, ops::Range};

use super::Layout;
use crate::{
    Digest, EntryIndex, EntryKind, FailReason, FileSet, Manifest,
    store::{FileExt, OpenFileSet},
};

/// A file that could not be read as it was offered.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("entry {entry}: {reason}")]
#[non_exhaustive]
pub struct ReadError {
    /// Which file.
    pub entry: EntryIndex,
    /// Why.
    pub reason: FailReason,
}

/// Reads any block of a set of files. At most one file is open.
#[derive(Debug)]
pub(super) struct Bundle {
    files: FileSet,
    layout: Layout,
    /// Where each entry ends.
    ends: Vec<u64>,
    open: Option<(EntryIndex, OpenFileSet)>,
    /// Of the blocks read so far, in order: each must stay what it was.
    digests: Vec<Digest>,
}

impl Bundle {
    pub(super) fn new(files: FileSet, layout: Layout) -> Self {
        Self {
            ends: ends(files.manifest()),
            files,
            layout,
            open: None,
            digests: Vec::new(),
        }
    }

    pub(super) fn manifest(&self) -> &Manifest {
        self.files.manifest()
    }

    /// Reads all blocks, and returns their digests.
    pub(super) fn digest(&mut self) -> Result<Vec<Digest>, ReadError> {
        let mut data = Vec::new();
        for block in 0..self.layout.blocks() {
            self.fill(block, &mut data)?;
            let bytes = &data[..self.layout.block_bytes(block)];
            self.digests.push(Digest(*blake3::hash(bytes).as_bytes()));
        }
        Ok(self.digests.clone())
    }

    /// Reads a block, padded to whole shards, that is what it was when its digest
    /// was computed.
    pub(super) fn read(&mut self, block: u32, data: &mut Vec<u8>) -> Result<(), ReadError> {
        self.fill(block, data)?;
        let digest = blake3::hash(&data[..self.layout.block_bytes(block)]);
        let is_same = self
            .digests
            .get(block as usize)
            .is_some_and(|then| then.0 == *digest.as_bytes());
        match is_same {
            true => Ok(()),
            false => Err(ReadError {
                entry: self.entry_at(self.layout.block_offset(block)),
                reason: FailReason::Changed,
            }),
        }
    }

    /// Reads some data shards of a block, without looking at the digest: who asked
    /// for them does.
    pub(super) fn shards(&mut self, block: u32, indexes: Range<u16>) -> Result<Vec<u8>, ReadError> {
        let shard_bytes = self.layout.shard_bytes();
        let start = usize::from(indexes.start) * shard_bytes;
        let mut shards = vec![0; indexes.len() * shard_bytes];
        let left = self.layout.block_bytes(block).saturating_sub(start);
        let bytes = shards.len().min(left);
        let offset = self.layout.block_offset(block) + start as u64;
        self.read_at(offset, &mut shards[..bytes])?;
        Ok(shards)
    }

    fn fill(&mut self, block: u32, data: &mut Vec<u8>) -> Result<(), ReadError> {
        let shards = usize::from(self.layout.data_shards(block));
        data.clear();
        data.resize(shards * self.layout.shard_bytes(), 0);
        let bytes = self.layout.block_bytes(block);
        self.read_at(self.layout.block_offset(block), &mut data[..bytes])
    }

    fn read_at(&mut self, mut offset: u64, mut rest: &mut [u8]) -> Result<(), ReadError> {
        while !rest.is_empty() {
            let entry = self.entry_at(offset);
            let end = self.ends[entry.as_usize()];
            let start = end - self.files.manifest().entries[entry.as_usize()].size_bytes;
            let bytes =
                usize::try_from(end - offset).map_or(rest.len(), |left| left.min(rest.len()));
            let (now, later) = rest.split_at_mut(bytes);
            self.fill_from(entry, offset - start, now)?;
            (offset, rest) = (offset + bytes as u64, later);
        }
        Ok(())
    }

    fn fill_from(
        &mut self,
        entry: EntryIndex,
        place: u64,
        out: &mut [u8],
    ) -> Result<(), ReadError> {
        let failed = |reason| ReadError { entry, reason };
        if self.open.as_ref().is_none_or(|(open, _)| *open != entry) {
            self.open = Some((entry, self.files.open_unchanged(entry).map_err(failed)?));
        }
        let Some((_, open)) = &self.open else {
            return Err(failed(FailReason::Unreadable));
        };
        read_exact_at(&open.file, place, out).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => failed(FailReason::Changed),
            _ => failed(FailReason::Unreadable),
        })
    }

    /// The file to which the byte at `offset` belongs.
    fn entry_at(&self, offset: u64) -> EntryIndex {
        let entry = self.ends.partition_point(|end| *end <= offset);
        EntryIndex(u32::try_from(entry).unwrap_or(u32::MAX))
    }
}

/// Where each entry ends in the bytes of all files.
pub(super) fn ends(manifest: &Manifest) -> Vec<u64> {
    let mut end = 0_u64;
    let sizes = manifest.entries.iter().map(|entry| match entry.kind {
        EntryKind::File => entry.size_bytes,
        _ => 0,
    });
    sizes
        .map(|bytes| {
            end = end.saturating_add(bytes);
            end
        })
        .collect()
}

fn read_exact_at(file: &std::fs::File, place: u64, out: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while filled < out.len() {
        match file.read_at(&mut out[filled..], place + filled as u64)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            bytes => filled += bytes,
        }
    }
    Ok(())
}
