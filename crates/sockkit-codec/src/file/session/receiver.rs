//! The receiving side of a session.

use std::collections::VecDeque;

use super::{
    error::{Abort, MessageKind, SessionError},
    message::{Hello, Message, Role, WireAnswer},
    reader::{Item, Reader},
    review::Limits,
};
use crate::file::{
    Answer, BLOCK_BYTES, BlockHasher, BlockIndex, Digest, DigestTree, Entry, EntryIndex, EntryKind,
    FailReason, Integrity, Manifest, RefuseReason, block_count,
};

/// The receiver's half of a session.
///
/// - [`poll_transmit`](Self::poll_transmit) returns messages to write.
/// - [`handle_input`](Self::handle_input) takes the sender's bytes and returns
///   events.
/// - After [`ReceiverEvent::Offered`], call [`answer`](Self::answer).
/// - After [`ReceiverEvent::Done`], call [`report`](Self::report), which ends the
///   session.
///
/// The data of a block reaches the caller before it is verified. Commit it only
/// after [`ReceiverEvent::BlockVerified`].
#[derive(Debug)]
pub struct ReceiverSession {
    limits: Limits,
    reader: Reader,
    outbound: Vec<u8>,
    state: State,
    integrity: Integrity,
    /// Size of each entry; `None` if it is not a file, and carries no data.
    sizes: Vec<Option<u64>>,
    /// The files still to come, in order.
    awaited: VecDeque<(EntryIndex, Answer)>,
    current: Option<Current>,
    peer_beats: bool,
}

impl ReceiverSession {
    /// Waits for an offer within `limits`. `name` is shown to the sender's
    /// user.
    pub fn new(name: &str, limits: Limits) -> Self {
        Self::greeting(name, limits, false)
    }

    /// As [`new`](Self::new), and tells the sender that other peers come first.
    pub fn busy(name: &str, limits: Limits) -> Self {
        Self::greeting(name, limits, true)
    }

    fn greeting(name: &str, limits: Limits, busy: bool) -> Self {
        let mut outbound = Vec::new();
        let hello = Hello {
            role: Role::Receiver,
            name: name.to_owned(),
            busy,
        };
        Message::Hello(hello).encode(&mut outbound);
        Self {
            reader: Reader::new(limits.max_manifest_bytes),
            limits,
            outbound,
            state: State::Hello,
            integrity: Integrity::Blake3,
            sizes: Vec::new(),
            awaited: VecDeque::new(),
            current: None,
            peer_beats: false,
        }
    }

    /// Returns bytes to write; `None` if there are none.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        (!self.outbound.is_empty()).then(|| std::mem::take(&mut self.outbound))
    }

    /// Takes bytes from the start of `input`; call it until it returns `None`.
    ///
    /// # Errors
    /// If the sender violated the protocol or a limit, if data does not match
    /// its digest, or if the sender ended the session. Errors are final.
    pub fn handle_input<'a>(
        &mut self,
        input: &mut &'a [u8],
    ) -> Result<Option<ReceiverEvent<'a>>, SessionError> {
        while let Some(item) = self.reader.next(input)? {
            return Ok(Some(match item {
                Item::Block {
                    entry,
                    index,
                    bytes,
                } => self.on_block(entry, index, bytes)?,
                Item::Data(data) => self.on_data(data),
                Item::BlockEnd(digest) => match self.on_block_end(digest)? {
                    Some(event) => event,
                    None => continue,
                },
                Item::Message(Message::Working) => {
                    self.peer_beats = true;
                    continue;
                }
                Item::Message(message) => self.on_message(message)?,
            }));
        }
        Ok(None)
    }

    /// Answers the offer, with one answer for each entry.
    ///
    /// # Panics
    /// If there is no offer, or the number of answers differs from that of the
    /// entries.
    pub fn answer(&mut self, answers: Vec<Answer>) {
        assert_eq!(self.state, State::Offered, "answers follow an offer");
        assert_eq!(answers.len(), self.sizes.len(), "one answer for each entry");
        let wire = answers.iter().map(Answer::wire).collect();
        Message::Answer(wire).encode(&mut self.outbound);
        self.awaited = (0..)
            .map(EntryIndex)
            .zip(&self.sizes)
            .zip(answers)
            .filter(|((_entry, size), answer)| {
                size.is_some() && !matches!(answer, Answer::Refuse(_))
            })
            .map(|((entry, _size), answer)| (entry, answer))
            .collect();
        self.state = State::Receiving;
    }

    /// Tells the sender what could not be stored, and ends the session.
    pub fn report(&mut self, failures: Vec<(EntryIndex, RefuseReason)>) {
        Message::Report(failures).encode(&mut self.outbound);
        self.state = State::Finished;
    }

    /// Ends the session with a reason for the sender.
    pub fn abort(&mut self, reason: Abort) {
        Message::Abort(reason).encode(&mut self.outbound);
        self.state = State::Finished;
    }

    /// Whether the sender has ever sent a keep-alive.
    pub fn peer_beats(&self) -> bool {
        self.peer_beats
    }

    fn on_message(&mut self, message: Message) -> Result<ReceiverEvent<'static>, SessionError> {
        let kind = message.kind();
        match (self.state, message) {
            (_, Message::Abort(abort)) => Err(SessionError::Aborted(abort)),
            (State::Hello, Message::Hello(hello)) if hello.role == Role::Sender => {
                self.state = State::Greeted;
                Ok(ReceiverEvent::Peer(hello))
            }
            (State::Hello, Message::Hello(_)) => Err(SessionError::SameRole),
            (State::Greeted, Message::Offer(manifest)) => {
                self.limits.check(&manifest)?;
                self.integrity = manifest.integrity;
                let sizes = manifest.entries.iter();
                let size =
                    |entry: &Entry| (entry.kind == EntryKind::File).then_some(entry.size_bytes);
                self.sizes = sizes.map(size).collect();
                self.state = State::Offered;
                Ok(ReceiverEvent::Offered(manifest))
            }
            (State::Receiving, Message::FileEnd { entry, digest }) => {
                self.on_file_end(entry, digest)
            }
            (State::Receiving, Message::FileFailed { entry, reason }) => {
                self.awaited_is(entry, kind)?;
                self.awaited.pop_front();
                self.current = None;
                Ok(ReceiverEvent::FileFailed { entry, reason })
            }
            (State::Receiving, Message::Done) if self.awaited.is_empty() => {
                self.state = State::Done;
                Ok(ReceiverEvent::Done)
            }
            _ => Err(SessionError::Unexpected { kind }),
        }
    }

    fn on_block(
        &mut self,
        entry: EntryIndex,
        index: BlockIndex,
        bytes: u64,
    ) -> Result<ReceiverEvent<'static>, SessionError> {
        let kind = MessageKind::Block;
        if self.state != State::Receiving {
            return Err(SessionError::Unexpected { kind });
        }
        self.awaited_is(entry, kind)?;
        if self.current.is_none() {
            self.current = Some(self.begin_file(entry, index)?);
        }
        let current = self.current.as_mut().expect("begun above");
        let here = current.tree.blocks() * BLOCK_BYTES;
        // After the last block, whose end may lie beyond that of the file.
        let left = current.size_bytes.saturating_sub(here);
        if current.void || index.0 != current.tree.blocks() || bytes != left.min(BLOCK_BYTES) {
            return Err(SessionError::Unexpected { kind });
        }
        current.hasher = BlockHasher::new(index, current.size_bytes);
        Ok(ReceiverEvent::Block { entry, index })
    }

    /// The first block of a file: the one requested by the receiver, or block 0
    /// if the sender's file has other contents.
    fn begin_file(&self, entry: EntryIndex, index: BlockIndex) -> Result<Current, SessionError> {
        let kind = MessageKind::Block;
        let tree = match self.awaited.front() {
            Some((_, Answer::Resume(tree))) if tree.blocks() == index.0 => (**tree).clone(),
            Some((_, Answer::Send | Answer::Resume(_))) => DigestTree::new(),
            _ => return Err(SessionError::Unexpected { kind }),
        };
        let size_bytes = self.size_bytes(entry);
        // An empty file has no blocks, nor has one that is completely present.
        if index.0 >= block_count(size_bytes) {
            return Err(SessionError::Unexpected { kind });
        }
        Ok(Current {
            size_bytes,
            tree,
            hasher: BlockHasher::new(index, size_bytes),
            void: false,
        })
    }

    fn on_data<'a>(&mut self, data: &'a [u8]) -> ReceiverEvent<'a> {
        if self.integrity == Integrity::Blake3
            && let Some(current) = &mut self.current
        {
            current.hasher.update(data);
        }
        ReceiverEvent::Data(data)
    }

    fn on_block_end(
        &mut self,
        digest: Digest,
    ) -> Result<Option<ReceiverEvent<'static>>, SessionError> {
        let (entry, current) = match (self.awaited.front(), &mut self.current) {
            (Some((entry, _)), Some(current)) => (*entry, current),
            _ => {
                let kind = MessageKind::Block;
                return Err(SessionError::Unexpected { kind });
            }
        };
        let block = BlockIndex(current.tree.blocks());
        if self.integrity == Integrity::Blake3 {
            if digest == Digest::VOID {
                current.void = true;
                return Ok(None);
            }
            if digest != current.hasher.finish() {
                return Err(SessionError::BlockMismatch { entry, block });
            }
        }
        current.tree.push(digest);
        Ok(Some(ReceiverEvent::BlockVerified {
            entry,
            index: block,
            digest,
        }))
    }

    fn on_file_end(
        &mut self,
        entry: EntryIndex,
        digest: Digest,
    ) -> Result<ReceiverEvent<'static>, SessionError> {
        let kind = MessageKind::FileEnd;
        self.awaited_is(entry, kind)?;
        let current = self.current.take();
        let Some((_, answer)) = self.awaited.pop_front() else {
            return Err(SessionError::Unexpected { kind });
        };
        let tree = match (current, answer) {
            (_, Answer::Compare(here)) if here == digest => {
                return Ok(ReceiverEvent::FileVerified { entry, digest });
            }
            (_, Answer::Compare(_)) => return Ok(ReceiverEvent::FileDiffers { entry }),
            (Some(current), _) if !current.void => current.tree,
            (None, Answer::Resume(tree)) => *tree,
            (None, _) => DigestTree::new(),
            (Some(_), _) => return Err(SessionError::Unexpected { kind }),
        };
        if tree.blocks() != block_count(self.size_bytes(entry)) {
            return Err(SessionError::Unexpected { kind });
        }
        if self.integrity == Integrity::Blake3 && tree.root() != digest {
            return Err(SessionError::FileMismatch { entry });
        }
        Ok(ReceiverEvent::FileVerified { entry, digest })
    }

    fn awaited_is(&self, entry: EntryIndex, kind: MessageKind) -> Result<(), SessionError> {
        match self.awaited.front() {
            Some((awaited, _)) if *awaited == entry => Ok(()),
            _ => Err(SessionError::Unexpected { kind }),
        }
    }

    fn size_bytes(&self, entry: EntryIndex) -> u64 {
        let size = self.sizes.get(entry.as_usize()).copied().flatten();
        size.unwrap_or(0)
    }
}

/// Events from the sender, in order.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ReceiverEvent<'a> {
    /// The sender's hello.
    Peer(Hello),
    /// The sender's offer.
    Offered(Manifest),
    /// A block starts; its data follows. If `index` is 0 although a later block
    /// was requested, the file starts from the beginning.
    Block {
        /// Position of the entry in the manifest.
        entry: EntryIndex,
        /// Position of the block in the file.
        index: BlockIndex,
    },
    /// The next bytes of the block.
    Data(&'a [u8]),
    /// The block is complete and verified.
    BlockVerified {
        /// Position of the entry in the manifest.
        entry: EntryIndex,
        /// Position of the block in the file.
        index: BlockIndex,
        /// Its digest.
        digest: Digest,
    },
    /// The file is complete and verified.
    FileVerified {
        /// Position of the entry in the manifest.
        entry: EntryIndex,
        /// Its digest.
        digest: Digest,
    },
    /// The existing file has other contents than the offered one.
    FileDiffers {
        /// Position of the entry in the manifest.
        entry: EntryIndex,
    },
    /// The sender could not read the file completely.
    FileFailed {
        /// Position of the entry in the manifest.
        entry: EntryIndex,
        /// Why.
        reason: FailReason,
    },
    /// The sender has sent everything.
    Done,
}

impl Answer {
    fn wire(&self) -> WireAnswer {
        match self {
            Self::Send => WireAnswer::Send,
            Self::Refuse(reason) => WireAnswer::Refuse(*reason),
            Self::Resume(tree) => WireAnswer::Resume {
                blocks: tree.blocks(),
                chain: tree.chain(),
            },
            Self::Compare(_) => WireAnswer::Compare,
        }
    }
}

/// The file being received.
#[derive(Debug)]
struct Current {
    size_bytes: u64,
    tree: DigestTree,
    hasher: BlockHasher,
    /// The sender could not finish a block; only a failure may follow.
    void: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Hello,
    Greeted,
    Offered,
    Receiving,
    Done,
    Finished,
}
