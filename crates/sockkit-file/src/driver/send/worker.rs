//! The sender's worker thread: reads, hashes, and fills buffers with messages.

use std::{
    collections::HashMap,
    io::{self, SeekFrom},
    mem,
};

use tokio::{sync::mpsc::error::TryRecvError, time::Instant};

use super::{FileSource, SendConfig, SendError, SourceFile};
use crate::{
    BLOCK_BYTES, BlockIndex, Digest, EntryIndex, EntryKind, Integrity,
    driver::{
        io_loop::{CHUNK_BYTES, Chunk, HEARTBEAT, TransferIoError, WorkerChannels},
        progress::{FileOutcome, OnProgress, Progress, Summary, set_outcome},
    },
    session::{
        BlockHasher, DigestTree, FailReason, FileEncoder, Job, Plan, RefuseReason, SenderEvent,
        SenderSession, WORKING,
    },
};

pub(super) struct SendWorker<F> {
    source: F,
    session: SenderSession,
    link: WorkerChannels,
    outbox: Outbox,
    outcomes: Vec<Option<FileOutcome>>,
    on_progress: OnProgress,
    moved_bytes: u64,
    reported: bool,
    spoke: Instant,
}

impl<F: FileSource> SendWorker<F> {
    pub(super) fn new(
        source: F,
        session: SenderSession,
        refused: Vec<(EntryIndex, RefuseReason)>,
        link: WorkerChannels,
        config: &SendConfig,
    ) -> Self {
        let mut outcomes = vec![None; source.manifest().entries.len()];
        for (entry, reason) in refused {
            set_outcome(&mut outcomes, entry, FileOutcome::Refused(reason));
        }
        Self {
            source,
            session,
            link,
            outbox: Outbox::new(),
            outcomes,
            on_progress: config.on_progress.clone(),
            moved_bytes: 0,
            reported: false,
            spoke: Instant::now(),
        }
    }

    pub(super) fn run(mut self) -> Result<Summary, SendError> {
        let sent = self.send_all();
        match sent {
            Ok(()) => Ok(self.summary()),
            // The receiver may have sent the reason before it closed.
            Err(SendError::Io(TransferIoError::Closed)) => {
                while let Some(bytes) = self.link.inbound.blocking_recv() {
                    self.handle_input(&bytes)?;
                }
                Err(TransferIoError::Closed.into())
            }
            Err(error) => Err(error),
        }
    }

    fn send_all(&mut self) -> Result<(), SendError> {
        self.on_progress.tell(Progress::Started {
            total_bytes: self.accepted_bytes(),
        });
        while let Some(job) = self.session.poll_job() {
            self.send_file(job)?;
            self.on_progress.tell(Progress::Ended { entry: job.entry });
        }
        self.transmit()?;
        self.ship()?;
        while !self.reported {
            let bytes = self.link.inbound.blocking_recv();
            self.handle_input(&bytes.ok_or(TransferIoError::Closed)?)?;
        }
        Ok(())
    }

    fn send_file(&mut self, job: Job) -> Result<(), SendError> {
        let entry = job.entry;
        match self.source.open(entry) {
            Ok(mut opened) => match self.send_opened(job, &mut *opened)? {
                Ok(digest) => {
                    let digest = (self.integrity() == Integrity::Blake3).then_some(digest);
                    set_outcome(&mut self.outcomes, entry, FileOutcome::Complete(digest));
                    Ok(())
                }
                Err(reason) => self.fail(entry, reason),
            },
            Err(reason) => self.fail(entry, reason),
        }
    }

    /// The inner error concerns the file only; the outer one ends the session.
    fn send_opened(
        &mut self,
        job: Job,
        opened: &mut dyn SourceFile,
    ) -> Result<Result<Digest, FailReason>, SendError> {
        let entry = job.entry;
        let size_bytes = self.size_bytes(entry);
        let prefix = match job.plan {
            Plan::DigestOnly => match self.hash(opened, size_bytes, u64::MAX)? {
                Ok(tree) => tree,
                Err(reason) => return Ok(Err(reason)),
            },
            Plan::After { blocks, chain } => match self.hash(opened, size_bytes, blocks)? {
                Ok(tree) if tree.chain() == chain => tree,
                Ok(_other_bytes) => DigestTree::new(),
                Err(reason) => return Ok(Err(reason)),
            },
            _ => DigestTree::new(),
        };
        let skipped = size_bytes.min(prefix.blocks() * BLOCK_BYTES);
        if skipped > 0 {
            self.on_progress.tell(Progress::Resumed {
                entry,
                bytes: skipped,
            });
        }
        let integrity = self.integrity();
        let mut encoder = FileEncoder::new(entry, size_bytes, integrity, prefix);
        if let Err(error) = opened.seek(SeekFrom::Start(skipped)) {
            return Ok(Err(fail_reason(&error)));
        }
        loop {
            self.outbox.message.clear();
            let Some(bytes) = encoder.begin_block(&mut self.outbox.message) else {
                break;
            };
            self.put_message()?;
            if let Err(reason) = self.send_block(opened, &mut encoder, bytes)? {
                self.outbox.message.clear();
                encoder.void_block(&mut self.outbox.message);
                self.put_message()?;
                return Ok(Err(reason));
            }
            self.outbox.message.clear();
            encoder.end_block(&mut self.outbox.message);
            self.put_message()?;
            self.look_at_inbound()?;
        }
        let mut end = Vec::new();
        let digest = encoder.finish(&mut end);
        if let Err(reason) = self.check_unchanged(opened, size_bytes, digest)? {
            return Ok(Err(reason));
        }
        self.outbox.message = end;
        self.put_message()?;
        Ok(Ok(digest))
    }

    /// Makes sure that the bytes that were sent are the file's. Where its times alone tell
    /// of a change, the bytes decide.
    fn check_unchanged(
        &mut self,
        opened: &mut dyn SourceFile,
        size_bytes: u64,
        digest: Digest,
    ) -> Result<Result<(), FailReason>, SendError> {
        // A file that says that it is shorter than it is, as those of /proc do.
        let goes_on = matches!(opened.read(&mut [0]), Ok(1..));
        if goes_on || !opened.is_unchanged() {
            return Ok(Err(FailReason::Changed));
        }
        if opened.is_untouched() {
            return Ok(Ok(()));
        }
        if self.integrity() == Integrity::Unverified {
            return Ok(Err(FailReason::Changed));
        }
        if let Err(error) = opened.seek(SeekFrom::Start(0)) {
            return Ok(Err(fail_reason(&error)));
        }
        let again = match self.hash(opened, size_bytes, u64::MAX)? {
            Ok(tree) => tree.root(),
            Err(reason) => return Ok(Err(reason)),
        };
        let is_same = again == digest && opened.is_unchanged();
        Ok(is_same.then_some(()).ok_or(FailReason::Changed))
    }

    /// Sends `bytes` of the file. What cannot be read is filled up with zeros:
    /// the block's length has been announced.
    fn send_block(
        &mut self,
        opened: &mut dyn SourceFile,
        encoder: &mut FileEncoder,
        bytes: u64,
    ) -> Result<Result<(), FailReason>, SendError> {
        let mut left = bytes;
        let mut failed = None;
        while left > 0 {
            if self.outbox.is_full() {
                self.ship()?;
            }
            let room = self.outbox.room(left);
            let read = match failed {
                None => opened.read(room),
                Some(_) => Ok(0),
            };
            let filled = match read {
                Ok(0) => {
                    failed.get_or_insert(FailReason::Changed);
                    room.fill(0);
                    room.len()
                }
                Ok(read) => {
                    encoder.update(&room[..read]);
                    read
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
                Err(error) => {
                    failed = Some(self.fail_reason(&error)?);
                    0
                }
            };
            self.outbox.piece.filled += filled;
            left -= filled as u64;
        }
        self.moved_bytes += bytes;
        self.on_progress.tell(Progress::Moved {
            entry: encoder.entry(),
            bytes,
        });
        Ok(failed.map_or(Ok(()), Err))
    }

    /// Hashes the first `blocks` of a file, or all of it.
    fn hash(
        &mut self,
        opened: &mut dyn SourceFile,
        size_bytes: u64,
        blocks: u64,
    ) -> Result<Result<DigestTree, FailReason>, SendError> {
        let mut tree = DigestTree::new();
        let mut buffer = vec![0; CHUNK_BYTES];
        while tree.blocks() < blocks {
            let mut left = size_bytes
                .saturating_sub(tree.blocks() * BLOCK_BYTES)
                .min(BLOCK_BYTES);
            if left == 0 {
                break;
            }
            let mut hasher = BlockHasher::new(BlockIndex(tree.blocks()), size_bytes);
            while left > 0 {
                let room = usize::try_from(left).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES));
                match opened.read(&mut buffer[..room]) {
                    Ok(0) => return Ok(Err(FailReason::Changed)),
                    Ok(read) => {
                        hasher.update(&buffer[..read]);
                        left -= read as u64;
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Ok(Err(self.fail_reason(&error)?)),
                }
                self.show_life()?;
            }
            tree.push(hasher.finish());
        }
        Ok(Ok(tree))
    }

    /// Why the file fails, unless it does because the transfer has ended.
    fn fail_reason(&self, error: &io::Error) -> Result<FailReason, SendError> {
        self.link.check()?;
        Ok(fail_reason(error))
    }

    /// Sends keep-alives while nothing else is sent, and checks whether the
    /// receiver has ended the session. Only between messages.
    fn show_life(&mut self) -> Result<(), SendError> {
        self.look_at_inbound()?;
        if self.spoke.elapsed() >= HEARTBEAT {
            self.outbox.message.clear();
            self.outbox.message.extend_from_slice(WORKING);
            self.put_message()?;
            self.ship()?;
        }
        Ok(())
    }

    fn fail(&mut self, entry: EntryIndex, reason: FailReason) -> Result<(), SendError> {
        set_outcome(&mut self.outcomes, entry, FileOutcome::Failed(reason));
        self.session.handle_failed(entry, reason);
        self.transmit()
    }

    /// Handles messages of the receiver in the meantime: a keep-alive, or the
    /// end of the session.
    fn look_at_inbound(&mut self) -> Result<(), SendError> {
        loop {
            match self.link.inbound.try_recv() {
                Ok(bytes) => self.handle_input(&bytes)?,
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => return Err(TransferIoError::Closed.into()),
            }
        }
    }

    fn handle_input(&mut self, mut bytes: &[u8]) -> Result<(), SendError> {
        while let Some(event) = self.session.handle_input(&mut bytes)? {
            if let SenderEvent::Reported(failures) = event {
                for (entry, reason) in failures {
                    set_outcome(&mut self.outcomes, entry, FileOutcome::Refused(reason));
                }
                self.complete_links();
                self.reported = true;
            }
        }
        Ok(())
    }

    /// Entries without data count as complete unless the receiver has said
    /// otherwise.
    fn complete_links(&mut self) {
        let entries = self.source.manifest().entries.iter();
        for (entry, outcome) in entries.zip(&mut self.outcomes) {
            if entry.kind != EntryKind::File {
                outcome.get_or_insert(FileOutcome::Complete(None));
            }
        }
    }

    /// Queues the session's own messages.
    fn transmit(&mut self) -> Result<(), SendError> {
        while let Some(bytes) = self.session.poll_transmit() {
            self.outbox.message = bytes;
            self.put_message()?;
        }
        Ok(())
    }

    fn put_message(&mut self) -> Result<(), SendError> {
        let mut from = 0;
        while from < self.outbox.message.len() {
            if self.outbox.is_full() {
                self.ship()?;
            }
            from += self.outbox.put(from);
        }
        Ok(())
    }

    /// Passes the chunk on and starts another.
    fn ship(&mut self) -> Result<(), SendError> {
        let spare = self.link.outbound_free.try_recv();
        let full = mem::replace(
            &mut self.outbox.piece,
            spare.unwrap_or_else(|_none| Chunk::new()),
        );
        self.spoke = Instant::now();
        self.link
            .outbound
            .blocking_send(full)
            .map_err(|_closed| TransferIoError::Closed.into())
    }

    fn accepted_bytes(&self) -> u64 {
        let entries = self.source.manifest().entries.iter();
        entries
            .zip(&self.outcomes)
            .filter(|(_, outcome)| outcome.is_none())
            .map(|(entry, _)| entry.size_bytes)
            .sum()
    }

    fn size_bytes(&self, entry: EntryIndex) -> u64 {
        self.source.manifest().entries[entry.as_usize()].size_bytes
    }

    fn integrity(&self) -> Integrity {
        self.source.manifest().integrity
    }

    fn summary(self) -> Summary {
        Summary::new(
            self.source.manifest(),
            self.outcomes,
            HashMap::new(),
            self.moved_bytes,
        )
    }
}

/// The chunk being filled, and the message that goes into it next.
struct Outbox {
    piece: Chunk,
    message: Vec<u8>,
}

impl Outbox {
    fn new() -> Self {
        Self {
            piece: Chunk::new(),
            message: Vec::new(),
        }
    }

    fn is_full(&self) -> bool {
        self.piece.filled == self.piece.buffer.len()
    }

    fn room(&mut self, at_most: u64) -> &mut [u8] {
        let Chunk { buffer, filled } = &mut self.piece;
        let free = &mut buffer[*filled..];
        let bytes = usize::try_from(at_most).map_or(free.len(), |bytes| bytes.min(free.len()));
        &mut free[..bytes]
    }

    /// Copies as much of the message from `from` on as fits.
    fn put(&mut self, from: usize) -> usize {
        let Chunk { buffer, filled } = &mut self.piece;
        let message = &self.message[from..];
        let bytes = message.len().min(buffer.len() - *filled);
        buffer[*filled..*filled + bytes].copy_from_slice(&message[..bytes]);
        *filled += bytes;
        bytes
    }
}

fn fail_reason(error: &io::Error) -> FailReason {
    match error.kind() {
        io::ErrorKind::NotFound => FailReason::Vanished,
        _ => {
            // The peer gets no further details.
            tracing::warn!(%error, "cannot read a file");
            FailReason::Unreadable
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use super::*;
    use crate::{
        FileSet,
        driver::io_loop::{IoLoop, IoLoopConfig},
    };

    #[tokio::test]
    async fn a_sender_that_compares_says_so_whatever_its_own_timeout() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("film");
        fs::write(&path, b"frames").unwrap();
        let source = FileSet::gather([path]).unwrap();
        let session = SenderSession::new("", source.manifest().clone());
        let (mut io_loop, link) = IoLoop::new(IoLoopConfig {
            idle_timeout: Duration::MAX,
            stall_timeout: Duration::MAX,
            read_buffer_bytes: 1_024,
            heartbeat: None,
        });
        let config = SendConfig::default().idle_timeout(Duration::MAX);
        let mut worker = SendWorker::new(source, session, Vec::new(), link, &config);
        tokio::task::spawn_blocking(move || {
            worker.show_life().unwrap();
            worker.spoke -= HEARTBEAT;
            worker.show_life().unwrap();
        })
        .await
        .unwrap();
        let said = io_loop.outbound.recv().await.unwrap();
        assert_eq!(said.buffer[..said.filled], *WORKING);
        assert!(io_loop.outbound.recv().await.is_none());
    }
}
