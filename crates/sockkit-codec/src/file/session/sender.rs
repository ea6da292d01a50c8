//! The sending side of a session.

use std::{collections::VecDeque, sync::Arc};

use bytes::BufMut;

use super::{
    error::{Abort, MessageKind, SessionError},
    message::{Hello, MAX_EXTENSION_BYTES, Message, Role, WireAnswer},
    reader::{BLOCK_HEAD_BYTES, Item, Reader},
};
use crate::file::{
    BLOCK_BYTES, BlockHasher, BlockIndex, Digest, DigestTree, EntryIndex, EntryKind, FailReason,
    Integrity, Manifest, RefuseReason, block_count,
};

/// The sender's half of a session.
///
/// - [`poll_transmit`](Self::poll_transmit) returns control messages to write.
/// - [`handle_input`](Self::handle_input) takes the receiver's bytes.
/// - After [`SenderEvent::Answered`], [`poll_job`](Self::poll_job) returns
///   the files to send, one after another. Each is encoded by a [`FileEncoder`]
///   or abandoned by [`handle_failed`](Self::handle_failed).
/// - After the last job the done message is queued, and [`SenderEvent::Reported`]
///   ends the session.
#[derive(Debug)]
pub struct SenderSession {
    manifest: Arc<Manifest>,
    reader: Reader,
    outbound: Vec<u8>,
    state: State,
    jobs: VecDeque<Job>,
    peer_beats: bool,
}

impl SenderSession {
    /// Offers `manifest`. `name` is shown to the receiver's user.
    pub fn new(name: &str, manifest: impl Into<Arc<Manifest>>) -> Self {
        let manifest = manifest.into();
        let mut outbound = Vec::new();
        let hello = Hello {
            role: Role::Sender,
            name: name.to_owned(),
            busy: false,
        };
        Message::Hello(hello).encode(&mut outbound);
        // The receiver's lists refer to the offered entries: at most 41 bytes
        // each.
        let max_list_bytes = 4 + 41 * manifest.entries.len() as u64 + MAX_EXTENSION_BYTES;
        Self {
            manifest,
            reader: Reader::new(max_list_bytes),
            outbound,
            state: State::Hello,
            jobs: VecDeque::new(),
            peer_beats: false,
        }
    }

    /// The offered manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Returns bytes to write before anything else; `None` if there are none.
    /// After [`SenderEvent::Peer`] this is the offer.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        // Encoded only now, so that a peer that is turned away costs no memory.
        if self.state == State::Greeted {
            Message::encode_offer(&self.manifest, &mut self.outbound);
            self.state = State::Offered;
        }
        (!self.outbound.is_empty()).then(|| std::mem::take(&mut self.outbound))
    }

    /// Takes bytes from the start of `input`; call it until it returns `None`.
    ///
    /// # Errors
    /// If the receiver violated the protocol or ended the session. Errors are
    /// final.
    pub fn handle_input(&mut self, input: &mut &[u8]) -> Result<Option<SenderEvent>, SessionError> {
        while let Some(item) = self.reader.next(input)? {
            let Item::Message(message) = item else {
                let kind = MessageKind::Block;
                return Err(SessionError::Unexpected { kind });
            };
            let kind = message.kind();
            let event = match (self.state, message) {
                (_, Message::Working) => {
                    self.peer_beats = true;
                    continue;
                }
                (_, Message::Abort(abort)) => return Err(SessionError::Aborted(abort)),
                (State::Hello, Message::Hello(hello)) => self.on_hello(hello)?,
                (State::Offered, Message::Answer(answers)) => self.on_answer(answers)?,
                (State::Done, Message::Report(failures)) => {
                    self.check_entries(failures.iter().map(|(entry, _reason)| *entry))?;
                    self.state = State::Finished;
                    SenderEvent::Reported(failures)
                }
                _ => return Err(SessionError::Unexpected { kind }),
            };
            return Ok(Some(event));
        }
        Ok(None)
    }

    /// Returns the next file to send. Returns `None` after the last one, and
    /// queues the done message.
    pub fn poll_job(&mut self) -> Option<Job> {
        if self.state != State::Answered {
            return None;
        }
        let job = self.jobs.pop_front();
        if job.is_none() {
            Message::Done.encode(&mut self.outbound);
            self.state = State::Done;
        }
        job
    }

    /// Tells the receiver that a file will not be sent, or not completely.
    pub fn handle_failed(&mut self, entry: EntryIndex, reason: FailReason) {
        Message::FileFailed { entry, reason }.encode(&mut self.outbound);
    }

    /// Ends the session with a reason for the receiver.
    pub fn abort(&mut self, reason: Abort) {
        Message::Abort(reason).encode(&mut self.outbound);
        self.state = State::Finished;
    }

    /// Whether the receiver has ever sent a keep-alive.
    pub fn peer_beats(&self) -> bool {
        self.peer_beats
    }

    /// Whether the receiver's hello has arrived.
    pub fn is_greeted(&self) -> bool {
        self.state != State::Hello
    }

    fn on_hello(&mut self, hello: Hello) -> Result<SenderEvent, SessionError> {
        if hello.role != Role::Receiver {
            return Err(SessionError::SameRole);
        }
        self.state = State::Greeted;
        Ok(SenderEvent::Peer(hello))
    }

    fn on_answer(&mut self, answers: Vec<WireAnswer>) -> Result<SenderEvent, SessionError> {
        let malformed = SessionError::Malformed {
            kind: MessageKind::Answer,
        };
        if answers.len() != self.manifest.entries.len() {
            return Err(malformed);
        }
        let mut refused = Vec::new();
        for ((entry, offered), answer) in self.manifest.indexed().zip(answers) {
            let plan = match answer {
                WireAnswer::Refuse(reason) => {
                    refused.push((entry, reason));
                    continue;
                }
                WireAnswer::Send => Plan::All,
                WireAnswer::Compare => Plan::DigestOnly,
                WireAnswer::Resume { blocks, chain } => Plan::After { blocks, chain },
            };
            let is_file = offered.kind == EntryKind::File;
            let has_digests = is_file && self.manifest.integrity == Integrity::Blake3;
            let possible = match plan {
                Plan::All => true,
                Plan::DigestOnly => has_digests,
                Plan::After { blocks, .. } => {
                    has_digests && blocks <= block_count(offered.size_bytes)
                }
            };
            if !possible {
                return Err(malformed);
            }
            if is_file {
                self.jobs.push_back(Job { entry, plan });
            }
        }
        self.state = State::Answered;
        Ok(SenderEvent::Answered { refused })
    }

    fn check_entries(
        &self,
        mut entries: impl Iterator<Item = EntryIndex>,
    ) -> Result<(), SessionError> {
        let count = self.manifest.entries.len();
        if entries.all(|entry| entry.as_usize() < count) {
            Ok(())
        } else {
            Err(SessionError::Malformed {
                kind: MessageKind::Report,
            })
        }
    }
}

/// Events from the receiver.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SenderEvent {
    /// The receiver's hello. The next
    /// [`poll_transmit`](SenderSession::poll_transmit) returns the offer.
    Peer(Hello),
    /// The receiver's decision, with the entries that it refused.
    Answered {
        /// Positions in the manifest, with reasons.
        refused: Vec<(EntryIndex, RefuseReason)>,
    },
    /// The receiver is done; these are the entries that it could not store.
    Reported(Vec<(EntryIndex, RefuseReason)>),
}

/// One file to send.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Job {
    /// Position in the manifest.
    pub entry: EntryIndex,
    /// Which part of it to send.
    pub plan: Plan,
}

/// Which part of a file the receiver needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Plan {
    /// The whole file.
    All,
    /// Everything after the first `blocks`, provided that `chain` is the
    /// [chain](DigestTree::chain) of their digests; otherwise the whole file.
    After {
        /// Blocks that the receiver has verified.
        blocks: u64,
        /// The chain of their digests.
        chain: Digest,
    },
    /// Only the digest: the receiver has a file of that size.
    DigestOnly,
}

/// Encodes the data of one file as messages, block by block.
///
/// For each block: call [`begin_block`](Self::begin_block), pass the block's
/// bytes through [`update`](Self::update) and to the peer, then call
/// [`end_block`](Self::end_block). Finally, call [`finish`](Self::finish).
#[derive(Debug)]
pub struct FileEncoder {
    entry: EntryIndex,
    size_bytes: u64,
    integrity: Integrity,
    tree: DigestTree,
    hasher: BlockHasher,
    next_block: BlockIndex,
}

impl FileEncoder {
    /// Starts after the blocks in `prefix`.
    pub fn new(
        entry: EntryIndex,
        size_bytes: u64,
        integrity: Integrity,
        prefix: DigestTree,
    ) -> Self {
        Self {
            entry,
            size_bytes,
            integrity,
            next_block: BlockIndex(prefix.blocks()),
            tree: prefix,
            hasher: BlockHasher::new(BlockIndex(0), size_bytes),
        }
    }

    /// Position of the file in the manifest.
    pub fn entry(&self) -> EntryIndex {
        self.entry
    }

    /// Offset of the next block in the file.
    pub fn offset_bytes(&self) -> u64 {
        self.next_block.offset_bytes()
    }

    /// Appends the header of the next block and returns how many bytes of the
    /// file must follow; `None` after the last block.
    pub fn begin_block(&mut self, out: &mut Vec<u8>) -> Option<u64> {
        let left = self.size_bytes.checked_sub(self.offset_bytes())?;
        let bytes = left.min(BLOCK_BYTES);
        if bytes == 0 {
            return None;
        }
        self.hasher = BlockHasher::new(self.next_block, self.size_bytes);
        out.put_u64(1 + BLOCK_HEAD_BYTES as u64 + bytes + 32);
        out.put_u8(MessageKind::Block as u8);
        out.put_u32(self.entry.0);
        out.put_u64(self.next_block.0);
        Some(bytes)
    }

    /// Hashes the next bytes of the block.
    pub fn update(&mut self, bytes: &[u8]) {
        if self.integrity == Integrity::Blake3 {
            self.hasher.update(bytes);
        }
    }

    /// Appends the digest of the current block.
    pub fn end_block(&mut self, out: &mut Vec<u8>) {
        let digest = match self.integrity {
            Integrity::Blake3 => {
                let digest = self.hasher.finish();
                self.tree.push(digest);
                digest
            }
            Integrity::Unverified => Digest::VOID,
        };
        out.put_slice(&digest.0);
        self.next_block.0 += 1;
    }

    /// Ends a block that could not be read completely and was padded with
    /// zeros. [`SenderSession::handle_failed`] must follow.
    pub fn void_block(self, out: &mut Vec<u8>) {
        out.put_slice(&Digest::VOID.0);
    }

    /// Appends the end of the file and returns its digest.
    pub fn finish(self, out: &mut Vec<u8>) -> Digest {
        let digest = match self.integrity {
            Integrity::Blake3 => self.tree.root(),
            Integrity::Unverified => Digest::VOID,
        };
        let entry = self.entry;
        Message::FileEnd { entry, digest }.encode(out);
        digest
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Hello,
    Greeted,
    Offered,
    Answered,
    Done,
    Finished,
}
