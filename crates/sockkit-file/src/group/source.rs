//! What a group has delivered, as a source of files for a session.

use std::{
    io::{self, Read, Seek, SeekFrom},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::{Layout, bundle::ends};
use crate::{Destination, EntryIndex, FailReason, FileSource, Manifest, SourceFile, store::Spool};

/// Which blocks are complete; shared with the threads that wait for them.
#[derive(Debug)]
pub(super) struct Progress {
    layout: Layout,
    blocks: Mutex<Blocks>,
    changed: Condvar,
}

#[derive(Debug)]
struct Blocks {
    verified: Vec<bool>,
    failed: bool,
}

impl Progress {
    pub(super) fn new(layout: Layout) -> Self {
        let verified = vec![false; layout.blocks() as usize];
        Self {
            layout,
            blocks: Mutex::new(Blocks {
                verified,
                failed: false,
            }),
            changed: Condvar::new(),
        }
    }

    pub(super) fn verified(&self, block: u32) {
        if let Some(verified) = self.blocks().verified.get_mut(block as usize) {
            *verified = true;
        }
        self.changed.notify_all();
    }

    pub(super) fn is_complete(&self) -> bool {
        self.blocks().verified.iter().all(|verified| *verified)
    }

    /// No further block will become complete. The session that reads them has ended: it
    /// would tell the receiver that a file cannot be read.
    pub(super) fn fail(&self) {
        self.blocks().failed = true;
        self.changed.notify_all();
    }

    fn wait_for_failure(&self) {
        let blocks = self.blocks();
        let waited = self.changed.wait_while(blocks, |blocks| !blocks.failed);
        drop(waited);
    }

    /// Blocks until the block with that byte is complete; returns how many bytes
    /// follow in it.
    fn wait_for(&self, offset: u64) -> io::Result<u64> {
        let block_bytes = self.layout.block_offset(1);
        let block = offset / block_bytes;
        let index = usize::try_from(block).unwrap_or(usize::MAX);
        let mut blocks = self.blocks();
        loop {
            match blocks.verified.get(index) {
                Some(true) => return Ok((block + 1) * block_bytes - offset),
                Some(false) if !blocks.failed => {
                    blocks = (self.changed.wait(blocks)).unwrap_or_else(PoisonError::into_inner);
                }
                _ => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }

    fn blocks(&self) -> MutexGuard<'_, Blocks> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The files of the offer, as they become complete.
pub(super) struct GroupSource {
    manifest: Manifest,
    ends: Vec<u64>,
    progress: Arc<Progress>,
    destination: Destination,
    transfer: [u8; 32],
    spool: Option<Arc<Spool>>,
    /// Told when the first file is accepted.
    accepted: Option<oneshot::Sender<io::Result<Arc<Spool>>>>,
}

impl GroupSource {
    pub(super) fn new(
        manifest: Manifest,
        progress: Arc<Progress>,
        destination: Destination,
        transfer: [u8; 32],
        accepted: oneshot::Sender<io::Result<Arc<Spool>>>,
    ) -> Self {
        Self {
            ends: ends(&manifest),
            manifest,
            progress,
            destination,
            transfer,
            spool: None,
            accepted: Some(accepted),
        }
    }

    /// Opens it at the first file; `None` if that fails, which ends the transfer.
    fn spool(&mut self) -> Option<Arc<Spool>> {
        if let Some(accepted) = self.accepted.take() {
            let opened = Spool::open(&self.destination, self.transfer).map(Arc::new);
            self.spool = opened.as_ref().ok().cloned();
            if accepted.send(opened).is_ok() && self.spool.is_none() {
                self.progress.wait_for_failure();
            }
        }
        self.spool.clone()
    }
}

impl FileSource for GroupSource {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn open(&mut self, entry: EntryIndex) -> Result<Box<dyn SourceFile>, FailReason> {
        let spool = self.spool().ok_or(FailReason::Unreadable)?;
        let end = self.ends.get(entry.as_usize()).copied();
        let offered = self.manifest.entry(entry);
        let (Some(end), Some(offered)) = (end, offered) else {
            return Err(FailReason::Vanished);
        };
        Ok(Box::new(GroupFile {
            spool,
            progress: Arc::clone(&self.progress),
            start: end.saturating_sub(offered.size_bytes),
            size_bytes: offered.size_bytes,
            position: 0,
        }))
    }
}

struct GroupFile {
    spool: Arc<Spool>,
    progress: Arc<Progress>,
    start: u64,
    size_bytes: u64,
    position: u64,
}

impl Read for GroupFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.size_bytes.saturating_sub(self.position);
        if left == 0 || buffer.is_empty() {
            return Ok(0);
        }
        let offset = self.start + self.position;
        let left = left.min(self.progress.wait_for(offset)?);
        let bytes = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        self.spool.read(offset, &mut buffer[..bytes])?;
        self.position += bytes as u64;
        Ok(bytes)
    }
}

impl Seek for GroupFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.size_bytes.checked_add_signed(by),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

impl SourceFile for GroupFile {}
