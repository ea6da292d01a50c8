//! A file of unknown length that appears only when it is complete.

use std::{
    io,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{Destination, OnConflict, Part, Writer};
use crate::{BlockIndex, Entry, EntryIndex, EntryPath, FileTime};

/// Writes a file, and replaces an existing one at the end. If dropped before
/// that, it leaves nothing behind. Blocks on the disk.
#[derive(Debug)]
pub struct Whole {
    writer: Writer,
    part: Option<Part>,
    path: EntryPath,
    bytes: u64,
}

impl Whole {
    /// Starts the file at `path`.
    ///
    /// # Errors
    /// If the disk fails, or another transfer is writing that file.
    pub fn begin(destination: &Destination, path: EntryPath) -> io::Result<Self> {
        let mut writer = Writer::new(destination, OnConflict::Overwrite);
        let mut part = writer.open(EntryIndex(0), &path, &entry(&path, 0))?;
        part.begin_block(BlockIndex(0))?;
        Ok(Self {
            writer,
            part: Some(part),
            path,
            bytes: 0,
        })
    }

    /// Number of bytes written.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends data.
    ///
    /// # Errors
    /// If the disk fails.
    #[expect(
        clippy::missing_panics_doc,
        reason = "`finish` takes the part, and the whole with it"
    )]
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let part = self.part.as_mut().expect("taken by finish alone");
        part.write(bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Puts the file in place, and returns its path.
    ///
    /// # Errors
    /// If the disk fails, or a folder or a link has its name.
    #[expect(
        clippy::missing_panics_doc,
        reason = "`finish` takes the part, and the whole with it"
    )]
    pub fn finish(mut self) -> io::Result<EntryPath> {
        let part = self.part.take().expect("taken by finish alone");
        let entry = entry(&self.path, self.bytes);
        self.writer
            .complete(EntryIndex(0), part, &self.path, &entry)?;
        let (_, kept) = self.writer.flush()?.pop().expect("one was completed");
        kept
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        if let Some(part) = self.part.take() {
            let _ = part.discard();
        }
    }
}

fn entry(path: &EntryPath, size_bytes: u64) -> Entry {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let mut entry = Entry::file(path.as_bytes(), size_bytes);
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    entry.modified = FileTime::new(seconds, now.subsec_nanos());
    entry
}
