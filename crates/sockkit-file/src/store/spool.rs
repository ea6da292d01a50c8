//! Shards of a transfer to a group, in any order, before they become files.
//!
//! Like a part, it is in the destination folder, belongs to this user alone, is locked,
//! and is found by the next attempt; an empty record beside it keeps it from being
//! cleaned up as useless.

use std::{
    fs::File,
    io::{self, Write},
    sync::Arc,
};

use super::{
    Destination,
    folder::{FileExt, Folder},
    part::PartNames,
};

/// A temporary file that is written and read at any place.
#[derive(Debug)]
pub(crate) struct Spool {
    folder: Arc<Folder>,
    names: PartNames,
    file: File,
    /// Locked as well.
    _record: File,
}

impl Spool {
    /// Opens the one of this transfer, or creates it.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if another transfer is writing it.
    pub(crate) fn open(destination: &Destination, transfer: [u8; 32]) -> io::Result<Self> {
        let folder = Arc::clone(&destination.root);
        let names = PartNames::of(transfer);
        let lock = |name| {
            let locked = folder.lock_temporary(name)?;
            locked.ok_or_else(|| io::Error::from(io::ErrorKind::PermissionDenied))
        };
        let (file, mut record) = (lock(&names.part)?, lock(&names.record)?);
        // Its time counts.
        record.set_len(0)?;
        record.write_all(&[0])?;
        Ok(Self {
            folder,
            names,
            file,
            _record: record,
        })
    }

    /// Where the last write ended so far.
    pub(crate) fn end(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    pub(crate) fn write(&self, place: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, place)
    }

    /// Fills `bytes`, with zeros where nothing was written.
    pub(crate) fn read(&self, place: u64, bytes: &mut [u8]) -> io::Result<()> {
        let mut filled = 0;
        while filled < bytes.len() {
            let read = self
                .file
                .read_at(&mut bytes[filled..], place + filled as u64)?;
            if read == 0 {
                bytes[filled..].fill(0);
                break;
            }
            filled += read;
        }
        Ok(())
    }

    /// Removes it: it has become files.
    pub(crate) fn remove(&self) -> io::Result<()> {
        self.folder.remove(&self.names.record)?;
        self.folder.remove(&self.names.part)
    }
}
