//! Splits the peer's bytes into messages, and passes the bytes of blocks
//! through without buffering them.

use bytes::Buf;

use super::{
    error::{MessageKind, SessionError},
    message::{LENGTH_BYTES, Message},
};
use crate::file::{BLOCK_BYTES, BlockIndex, Digest, EntryIndex};

/// The next item in the stream.
#[derive(Debug)]
pub(crate) enum Item<'a> {
    Message(Message),
    /// Start of a block; `bytes` of it follow as [`Data`](Self::Data).
    Block {
        entry: EntryIndex,
        index: BlockIndex,
        bytes: u64,
    },
    Data(&'a [u8]),
    BlockEnd(Digest),
}

/// Buffers at most one message that is not a block, and only as much of it as
/// has arrived.
#[derive(Debug)]
pub(crate) struct Reader {
    max_list_bytes: u64,
    buffer: Vec<u8>,
    state: State,
    greeted: bool,
}

impl Reader {
    pub(crate) fn new(max_list_bytes: u64) -> Self {
        Self {
            max_list_bytes,
            buffer: Vec::new(),
            state: State::Head,
            greeted: false,
        }
    }

    /// Takes bytes from the start of `input`; returns `None` if it needs more.
    pub(crate) fn next<'a>(
        &mut self,
        input: &mut &'a [u8],
    ) -> Result<Option<Item<'a>>, SessionError> {
        loop {
            match self.state {
                State::Head => {
                    let Some(mut head) = self.fill(input, LENGTH_BYTES + 1) else {
                        return Ok(None);
                    };
                    let announced = head.get_u64();
                    let kind = head.get_u8();
                    self.buffer.clear();
                    self.state = self.body(announced, kind)?;
                    self.greeted = true;
                }
                State::Body { kind, bytes } => {
                    let Some(body) = self.fill(input, bytes) else {
                        return Ok(None);
                    };
                    let message = Message::decode(kind, body);
                    // The memory of a manifest is not kept for the whole
                    // session.
                    self.buffer = Vec::new();
                    self.state = State::Head;
                    return message.map(|message| Some(Item::Message(message)));
                }
                State::BlockHead { bytes } => {
                    let Some(mut head) = self.fill(input, BLOCK_HEAD_BYTES) else {
                        return Ok(None);
                    };
                    let entry = EntryIndex(head.get_u32());
                    let index = BlockIndex(head.get_u64());
                    self.buffer.clear();
                    self.state = State::BlockData { left: bytes };
                    return Ok(Some(Item::Block {
                        entry,
                        index,
                        bytes,
                    }));
                }
                State::BlockData { left: 0 } => {
                    let Some(tail) = self.fill(input, DIGEST_BYTES) else {
                        return Ok(None);
                    };
                    let digest = Digest(tail.try_into().expect("filled to this length"));
                    self.buffer.clear();
                    self.state = State::Head;
                    return Ok(Some(Item::BlockEnd(digest)));
                }
                State::BlockData { left } => {
                    let here = usize::try_from(left).map_or(input.len(), |l| l.min(input.len()));
                    if here == 0 {
                        return Ok(None);
                    }
                    let (data, rest) = input.split_at(here);
                    *input = rest;
                    self.state = State::BlockData {
                        left: left - here as u64,
                    };
                    return Ok(Some(Item::Data(data)));
                }
            }
        }
    }

    /// Compares the announced length with the limit of the message kind, before
    /// any byte of the body is buffered.
    fn body(&self, announced: u64, kind: u8) -> Result<State, SessionError> {
        // Any other service that answers on this port is rejected here.
        let is_hello = kind == MessageKind::Hello as u8 && announced <= MAX_HELLO_BYTES;
        if !self.greeted && announced >> 48 == TLS_HANDSHAKE {
            return Err(SessionError::Encrypted);
        }
        if !self.greeted && !is_hello {
            return Err(SessionError::NotThisProtocol);
        }
        let kind = MessageKind::from_code(kind)?;
        let bytes = announced
            .checked_sub(1)
            .ok_or(SessionError::Malformed { kind })?;
        let limit = match kind {
            MessageKind::Block => BLOCK_BYTES + BLOCK_EXTRA_BYTES,
            MessageKind::Offer | MessageKind::Answer | MessageKind::Report => self.max_list_bytes,
            MessageKind::Hello => MAX_HELLO_BYTES,
            _ => MAX_CONTROL_BYTES,
        };
        if bytes > limit {
            return Err(SessionError::TooLong {
                kind,
                announced,
                limit,
            });
        }
        if kind == MessageKind::Block {
            return match bytes.checked_sub(BLOCK_EXTRA_BYTES) {
                None | Some(0) => Err(SessionError::Malformed { kind }),
                Some(bytes) => Ok(State::BlockHead { bytes }),
            };
        }
        let bytes = usize::try_from(bytes).map_err(|_too_long| SessionError::TooLong {
            kind,
            announced,
            limit,
        })?;
        Ok(State::Body { kind, bytes })
    }

    /// Buffers input until `bytes` are available.
    fn fill(&mut self, input: &mut &[u8], bytes: usize) -> Option<&[u8]> {
        let missing = bytes - self.buffer.len();
        let (here, rest) = input.split_at(missing.min(input.len()));
        self.buffer.extend_from_slice(here);
        *input = rest;
        (self.buffer.len() == bytes).then_some(&self.buffer)
    }
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Length and kind.
    Head,
    Body {
        kind: MessageKind,
        bytes: usize,
    },
    BlockHead {
        bytes: u64,
    },
    /// `left` bytes, then the digest.
    BlockData {
        left: u64,
    },
}

/// Length of the entry and block numbers between the kind and the data of a
/// block.
pub(crate) const BLOCK_HEAD_BYTES: usize = 12;
const DIGEST_BYTES: usize = 32;
const BLOCK_EXTRA_BYTES: u64 = (BLOCK_HEAD_BYTES + DIGEST_BYTES) as u64;
const MAX_HELLO_BYTES: u64 = 4_096;
const MAX_CONTROL_BYTES: u64 = 64;

/// How each TLS handshake begins: its record's type and major version (RFC 8446, 5.1).
const TLS_HANDSHAKE: u64 = 0x1603;
