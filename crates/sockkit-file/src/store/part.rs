//! A file being received: its part, and the record of its verified blocks.
//!
//! ```text
//!   .sockkit-4f1c…9a.part      the bytes, from the first
//!   .sockkit-4f1c…9a.blocks    what they are a part of (size, time), then the
//!                              digest of each verified block; only for files
//!                              of more than one block
//! ```
//!
//! Both are in the folder of the final file, and their names are derived from
//! its name, so that the next attempt finds them. On resume each recorded block
//! is read again and must match its digest: what a power failure left unwritten
//! is transferred again.
//!
//! No other user may read or write them. If another user has the name, the part
//! gets an unpredictable one, and no record.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    sync::Arc,
};

use super::folder::{self, FileExt, Folder, Mode, Stat, fresh_stem};
use crate::{
    BLOCK_BYTES, BlockHasher, BlockIndex, Digest, DigestTree, Entry, EntryPath, TEMPORARY_PREFIX,
    block_count,
};

/// An unfinished file, locked against other transfers.
#[derive(Debug)]
pub(crate) struct Part {
    /// A part that no later attempt can use; dropped first, while the file is
    /// still locked.
    leftover: Option<Leftover>,
    folder: Arc<Folder>,
    names: PartNames,
    file: File,
    record: Option<File>,
    /// Offset of the next write.
    position: u64,
    verified: DigestTree,
}

impl Part {
    /// Opens the part left by an earlier attempt for `entry`, or starts a new
    /// one.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if another transfer is writing it.
    pub(crate) fn open(folder: Arc<Folder>, path: &EntryPath, entry: &Entry) -> io::Result<Self> {
        let names = PartNames::of(path.file_name());
        let Some(file) = folder.lock_temporary(&names.part)? else {
            tracing::warn!(%path, part = names.part, "part belongs to another user; not used");
            let names = PartNames::fresh();
            let file = folder.lock_new(&names.part)?;
            return Ok(Self::new(folder, names, file));
        };
        let mut part = Self::new(folder, names, file);
        if block_count(entry.size_bytes) > 1 {
            part.read_record(entry)?;
        }
        if part.record.is_some()
            && let Some(leftover) = part.leftover.take()
        {
            leftover.keep();
        }
        Ok(part)
    }

    fn new(folder: Arc<Folder>, names: PartNames, file: File) -> Self {
        Self {
            leftover: Some(Leftover::new(&folder, &names.part)),
            folder,
            names,
            file,
            record: None,
            position: u64::MAX,
            verified: DigestTree::new(),
        }
    }

    /// The blocks that need not be sent again.
    pub(crate) fn verified(&self) -> &DigestTree {
        &self.verified
    }

    /// Reads what was verified, for another digest of it.
    #[cfg(feature = "web")]
    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    /// Starts writing block `index`, and truncates what follows it.
    pub(crate) fn begin_block(&mut self, index: BlockIndex) -> io::Result<()> {
        let offset = index.offset_bytes();
        if index.0 == 0 && self.verified.blocks() > 0 {
            self.verified = DigestTree::new();
            if let Some(record) = &mut self.record {
                record.set_len(RECORD_HEAD_BYTES as u64)?;
                record.seek(SeekFrom::End(0))?;
            }
        }
        if index.0 == self.verified.blocks() && self.position != offset {
            self.file.set_len(offset)?;
            self.position = offset;
        }
        Ok(())
    }

    /// Appends data of the block.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.position)?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// Records that the block is complete and matches its digest.
    pub(crate) fn keep_block(&mut self, digest: Digest) -> io::Result<()> {
        self.verified.push(digest);
        match &mut self.record {
            Some(record) => record.write_all(&digest.0),
            None => Ok(()),
        }
    }

    /// Removes the part: none of its blocks is usable.
    pub(crate) fn discard(self) -> io::Result<()> {
        discard(&self.folder, &self.names, self.record.is_some())
    }

    /// Sets the length and time of the file. It must still be synced and
    /// renamed, which gives it `mode`.
    pub(crate) fn complete(
        self,
        path: EntryPath,
        entry: &Entry,
        mode: Mode,
    ) -> io::Result<Completed> {
        self.file.set_len(entry.size_bytes)?;
        folder::set_modified(&self.file, entry.modified)?;
        let stat = folder::stat_of(&self.file)?;
        Ok(Completed {
            leftover: self.leftover,
            folder: self.folder,
            names: self.names,
            file: self.file,
            stat,
            mode,
            has_record: self.record.is_some(),
            path,
            size_bytes: entry.size_bytes,
        })
    }

    /// Reads the record and keeps the blocks that match their digests.
    fn read_record(&mut self, entry: &Entry) -> io::Result<()> {
        let Some(mut record) = self.folder.lock_temporary(&self.names.record)? else {
            tracing::warn!(
                record = self.names.record,
                "record belongs to another user; not used"
            );
            return Ok(());
        };
        let head = record_head(entry);
        let mut found = [0; RECORD_HEAD_BYTES];
        if record.read_exact(&mut found).is_err() || found != head {
            record.set_len(0)?;
            record.seek(SeekFrom::Start(0))?;
            record.write_all(&head)?;
            self.record = Some(record);
            return Ok(());
        }
        let mut digest = [0; 32];
        while self.verified.blocks() < block_count(entry.size_bytes)
            && record.read_exact(&mut digest).is_ok()
            && self.has_block(entry.size_bytes, Digest(digest))?
        {
            self.verified.push(Digest(digest));
        }
        let kept = RECORD_HEAD_BYTES as u64 + 32 * self.verified.blocks();
        record.set_len(kept)?;
        record.seek(SeekFrom::Start(kept))?;
        self.record = Some(record);
        Ok(())
    }

    /// Whether the next block in the part matches `digest`.
    fn has_block(&self, size_bytes: u64, digest: Digest) -> io::Result<bool> {
        let index = BlockIndex(self.verified.blocks());
        let mut offset = index.offset_bytes();
        let end = size_bytes.min(offset + BLOCK_BYTES);
        let mut hasher = BlockHasher::new(index, size_bytes);
        let mut buffer = vec![0; 1 << 18];
        while offset < end {
            let room = usize::try_from(end - offset).map_or(buffer.len(), |b| b.min(buffer.len()));
            let bytes = self.file.read_at(&mut buffer[..room], offset)?;
            if bytes == 0 {
                return Ok(false);
            }
            hasher.update(&buffer[..bytes]);
            offset += bytes as u64;
        }
        Ok(hasher.finish() == digest)
    }
}

/// A complete and verified file under its temporary name.
#[derive(Debug)]
pub(crate) struct Completed {
    leftover: Option<Leftover>,
    pub(crate) folder: Arc<Folder>,
    pub(crate) names: PartNames,
    /// Open until it is renamed, because it holds the lock.
    pub(crate) file: File,
    /// Its metadata when it was complete.
    pub(crate) stat: Stat,
    mode: Mode,
    pub(crate) has_record: bool,
    pub(crate) path: EntryPath,
    pub(crate) size_bytes: u64,
}

impl Completed {
    /// Whether its temporary name still refers to it.
    pub(crate) fn is_there(&self) -> io::Result<bool> {
        self.folder.names(&self.names.part, &self.stat)
    }

    /// Extends its permissions, but not beyond those of a file that it
    /// replaces.
    pub(crate) fn open_up(&self, replaced: Option<&Stat>) {
        folder::open_up(&self.file, self.mode, replaced);
    }

    /// The temporary name is gone: the file has its final one.
    pub(crate) fn renamed(&mut self) -> io::Result<()> {
        if let Some(leftover) = self.leftover.take() {
            leftover.keep();
        }
        match self.has_record {
            true => self.folder.remove(&self.names.record),
            false => Ok(()),
        }
    }

    /// Removes the file: its data may not be on the disk.
    pub(crate) fn discard(self) -> io::Result<()> {
        discard(&self.folder, &self.names, self.has_record)
    }
}

/// Removes a part, and first its record, without which the rest is not trusted. A record
/// of another user stays.
fn discard(folder: &Folder, names: &PartNames, has_record: bool) -> io::Result<()> {
    if has_record {
        folder.remove(&names.record)?;
    }
    folder.remove(&names.part)
}

/// A temporary file that is removed on drop: without a record it would be
/// useless.
#[derive(Debug)]
struct Leftover {
    folder: Arc<Folder>,
    name: String,
}

impl Leftover {
    fn new(folder: &Arc<Folder>, name: &str) -> Self {
        Self {
            folder: Arc::clone(folder),
            name: name.to_owned(),
        }
    }

    fn keep(mut self) {
        self.name.clear();
    }
}

impl Drop for Leftover {
    fn drop(&mut self) {
        if !self.name.is_empty() {
            let _ = self.folder.remove(&self.name);
        }
    }
}

/// The names of the temporary files for one final name.
#[derive(Clone, Debug)]
pub(crate) struct PartNames {
    pub(crate) part: String,
    pub(crate) record: String,
}

impl PartNames {
    /// Short for any length of `name`, and the same at each attempt.
    pub(crate) fn of(name: impl AsRef<[u8]>) -> Self {
        let digest = blake3::hash(name.as_ref()).to_hex();
        Self::of_stem(&format!("{TEMPORARY_PREFIX}{}", &digest[..32]))
    }

    pub(crate) fn of_stem(stem: &str) -> Self {
        Self {
            part: format!("{stem}{PART}"),
            record: format!("{stem}{RECORD}"),
        }
    }

    /// Unpredictable names, which no later attempt finds.
    fn fresh() -> Self {
        Self::of_stem(&fresh_stem())
    }
}

/// Identifies the file to which the recorded blocks belong.
fn record_head(entry: &Entry) -> [u8; RECORD_HEAD_BYTES] {
    let mut head = [0; RECORD_HEAD_BYTES];
    head[..8].copy_from_slice(RECORD_MAGIC);
    head[8..16].copy_from_slice(&entry.size_bytes.to_be_bytes());
    head[16..24].copy_from_slice(&entry.modified.seconds.to_be_bytes());
    head[24..].copy_from_slice(&entry.modified.nanoseconds.to_be_bytes());
    head
}

pub(super) const PART: &str = ".part";
pub(super) const RECORD: &str = ".blocks";
const RECORD_MAGIC: &[u8; 8] = b"SKBLOCK1";
const RECORD_HEAD_BYTES: usize = 28;
