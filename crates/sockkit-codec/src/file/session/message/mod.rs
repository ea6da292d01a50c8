//! Encoding of the control messages. Layouts: `docs/wire/file.md`.

mod offer;

use bytes::{Buf, BufMut, TryGetError};

pub(super) use self::offer::ENTRY_HEAD_BYTES;
pub use self::offer::{decode_manifest, encode_manifest};
use super::error::{Abort, MessageKind, SessionError};
use crate::file::{Digest, EntryIndex, FailReason, Manifest, RawPath, RefuseReason};

/// The first message of each side.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Hello {
    /// The role of this side.
    pub role: Role,
    /// Name of the user and host, to be shown to the user. Untrusted: escape it
    /// before printing. At most 255 bytes.
    pub name: String,
    /// Other peers come first: this one will have to wait for its answer.
    pub busy: bool,
}

/// The role of a peer in the transfer, independent of which side listened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Role {
    /// Sends files.
    Sender,
    /// Receives files.
    Receiver,
}

/// Any message except a block.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Message {
    Hello(Hello),
    Offer(Manifest),
    Answer(Vec<WireAnswer>),
    FileEnd {
        entry: EntryIndex,
        digest: Digest,
    },
    FileFailed {
        entry: EntryIndex,
        reason: FailReason,
    },
    Done,
    Report(Vec<(EntryIndex, RefuseReason)>),
    Working,
    Abort(Abort),
}

/// The receiver's answer to one entry, as on the wire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum WireAnswer {
    Send,
    Refuse(RefuseReason),
    /// The first `blocks` are present; `chain` covers their digests.
    Resume {
        blocks: u64,
        chain: Digest,
    },
    /// A file of that size is present: send the digest only.
    Compare,
}

impl Message {
    pub(crate) fn kind(&self) -> MessageKind {
        match self {
            Self::Hello(_) => MessageKind::Hello,
            Self::Offer(_) => MessageKind::Offer,
            Self::Answer(_) => MessageKind::Answer,
            Self::FileEnd { .. } => MessageKind::FileEnd,
            Self::FileFailed { .. } => MessageKind::FileFailed,
            Self::Done => MessageKind::Done,
            Self::Report(_) => MessageKind::Report,
            Self::Working => MessageKind::Working,
            Self::Abort(_) => MessageKind::Abort,
        }
    }

    /// Appends the message as a frame.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let mut body = vec![self.kind() as u8];
        self.put_body(&mut body);
        put_frame(&body, out);
    }

    /// As [`encode`](Self::encode), for an offer, which is too long to copy.
    pub(crate) fn encode_offer(manifest: &Manifest, out: &mut Vec<u8>) {
        let mut body = vec![MessageKind::Offer as u8];
        offer::put(manifest, &mut body);
        put_frame(&body, out);
    }

    fn put_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::Hello(hello) => put_hello(hello, out),
            Self::Offer(manifest) => offer::put(manifest, out),
            Self::Answer(answers) => {
                put_count(answers.len(), out);
                answers.iter().for_each(|answer| put_answer(*answer, out));
            }
            Self::FileEnd { entry, digest } => {
                out.put_u32(entry.0);
                out.put_slice(&digest.0);
            }
            Self::FileFailed { entry, reason } => {
                out.put_u32(entry.0);
                out.put_u8(reason.code());
            }
            Self::Report(failures) => {
                put_count(failures.len(), out);
                for (entry, reason) in failures {
                    out.put_u32(entry.0);
                    out.put_u8(reason.code());
                }
            }
            Self::Abort(abort) => abort.put(out),
            Self::Done | Self::Working => {}
        }
    }

    /// Decodes the body of a frame, without its kind.
    pub(crate) fn decode(kind: MessageKind, mut body: &[u8]) -> Result<Self, SessionError> {
        let input = &mut body;
        let message = match kind {
            MessageKind::Hello => Self::Hello(take_hello(input)?),
            MessageKind::Offer => Self::Offer(offer::take(input)?),
            MessageKind::Answer => {
                let answers = take_list(input, take_answer).ok_or_else(|| malformed(kind))?;
                for_extensions(kind, input, |_extension, _value| Some(()))?;
                Self::Answer(answers)
            }
            MessageKind::Report => {
                let take = |input: &mut &[u8]| {
                    let entry = EntryIndex(input.try_get_u32().ok()?);
                    Some((entry, RefuseReason::from_code(input.try_get_u8().ok()?)))
                };
                Self::Report(take_list(input, take).ok_or_else(|| malformed(kind))?)
            }
            MessageKind::Done => Self::Done,
            MessageKind::Working => Self::Working,
            MessageKind::Abort => Self::Abort(Abort::take(input).ok_or_else(|| malformed(kind))?),
            MessageKind::FileEnd | MessageKind::FileFailed => {
                take_fixed(kind, input).map_err(|_short| malformed(kind))?
            }
            MessageKind::Block => unreachable!("blocks are not buffered"),
        };
        if input.is_empty() {
            Ok(message)
        } else {
            Err(malformed(kind))
        }
    }
}

/// Version of the protocol, sent in the first message.
pub(crate) const VERSION: u16 = 2;

/// A keep-alive message, as on the wire: tells the peer that this side is still
/// working.
///
/// Either side may send it between any two messages.
pub const WORKING: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 1, MessageKind::Working as u8];

/// Maximum length of the extensions of an answer.
pub(super) const MAX_EXTENSION_BYTES: u64 = 4_096;

/// Length of the prefix of every frame.
pub(crate) const LENGTH_BYTES: usize = 8;

fn malformed(kind: MessageKind) -> SessionError {
    SessionError::Malformed { kind }
}

fn put_count(count: usize, out: &mut Vec<u8>) {
    out.put_u32(u32::try_from(count).expect("a manifest has fewer than 2^32 entries"));
}

fn put_frame(body: &[u8], out: &mut Vec<u8>) {
    out.put_u64(body.len() as u64);
    out.put_slice(body);
}

fn put_hello(hello: &Hello, out: &mut Vec<u8>) {
    out.put_slice(MAGIC);
    out.put_u16(VERSION);
    out.put_u8(match hello.role {
        Role::Sender => 0,
        Role::Receiver => 1,
    });
    let name = cut(&hello.name, usize::from(u8::MAX));
    out.put_u8(u8::try_from(name.len()).expect("cut above"));
    out.put_slice(name.as_bytes());
    if hello.busy {
        out.put_u16(BUSY_EXTENSION);
        out.put_u16(0);
    }
}

/// Cuts at a character boundary.
fn cut(text: &str, max_bytes: usize) -> &str {
    let mut lengths = (0..=max_bytes.min(text.len())).rev();
    let fits = lengths.find_map(|bytes| text.get(..bytes));
    fits.unwrap_or_default()
}

/// All versions start with the magic and the version, so that each side can
/// tell the other its version.
fn take_hello(input: &mut &[u8]) -> Result<Hello, SessionError> {
    let mut magic = [0; 4];
    let version = input
        .try_copy_to_slice(&mut magic)
        .and_then(|()| input.try_get_u16())
        .map_err(|_short| SessionError::NotThisProtocol)?;
    if magic != *MAGIC {
        return Err(SessionError::NotThisProtocol);
    }
    if version != VERSION {
        return Err(SessionError::Version {
            ours: VERSION,
            theirs: version,
        });
    }
    let mut hello = take_hello_body(input).ok_or_else(|| malformed(MessageKind::Hello))?;
    let short = |_short| malformed(MessageKind::Hello);
    while !input.is_empty() {
        let kind = input.try_get_u16().map_err(short)?;
        let length = input.try_get_u16().map_err(short)?;
        take_extension(MessageKind::Hello, kind, length.into(), input)?;
        hello.busy |= kind == BUSY_EXTENSION;
    }
    Ok(hello)
}

/// Reads the extensions after an offer or an answer: (type, length, value). `take` gets
/// each, and returns `None` if its value is malformed.
fn for_extensions(
    message: MessageKind,
    input: &mut &[u8],
    mut take: impl FnMut(u16, &[u8]) -> Option<()>,
) -> Result<(), SessionError> {
    let short = |_short| malformed(message);
    while !input.is_empty() {
        let kind = input.try_get_u16().map_err(short)?;
        let length = input.try_get_u32().map_err(short)?;
        let value = take_extension(message, kind, length, input)?;
        take(kind, value).ok_or_else(|| malformed(message))?;
    }
    Ok(())
}

/// An extension with the top bit set must be understood; this version knows
/// none.
fn take_extension<'a>(
    message: MessageKind,
    kind: u16,
    length: u32,
    input: &mut &'a [u8],
) -> Result<&'a [u8], SessionError> {
    if kind >= CRITICAL_EXTENSION {
        return Err(SessionError::UnknownExtension { kind });
    }
    let value = usize::try_from(length).ok();
    let value = value.and_then(|length| take_bytes(input, length));
    value.ok_or_else(|| malformed(message))
}

fn take_hello_body(input: &mut &[u8]) -> Option<Hello> {
    let role = match input.try_get_u8().ok()? {
        0 => Role::Sender,
        1 => Role::Receiver,
        _ => return None,
    };
    let length = usize::from(input.try_get_u8().ok()?);
    Some(Hello {
        role,
        name: str::from_utf8(take_bytes(input, length)?).ok()?.to_owned(),
        busy: false,
    })
}

fn put_answer(answer: WireAnswer, out: &mut Vec<u8>) {
    match answer {
        WireAnswer::Send => out.put_u8(0),
        WireAnswer::Refuse(reason) => {
            out.put_u8(1);
            out.put_u8(reason.code());
        }
        WireAnswer::Resume { blocks, chain } => {
            out.put_u8(2);
            out.put_u64(blocks);
            out.put_slice(&chain.0);
        }
        WireAnswer::Compare => out.put_u8(3),
    }
}

fn take_answer(input: &mut &[u8]) -> Option<WireAnswer> {
    Some(match input.try_get_u8().ok()? {
        0 => WireAnswer::Send,
        1 => WireAnswer::Refuse(RefuseReason::from_code(input.try_get_u8().ok()?)),
        2 => WireAnswer::Resume {
            blocks: input.try_get_u64().ok()?,
            chain: take_digest(input).ok()?,
        },
        3 => WireAnswer::Compare,
        _ => return None,
    })
}

fn take_fixed(kind: MessageKind, input: &mut &[u8]) -> Result<Message, TryGetError> {
    let entry = EntryIndex(input.try_get_u32()?);
    Ok(if kind == MessageKind::FileEnd {
        let digest = take_digest(input)?;
        Message::FileEnd { entry, digest }
    } else {
        let reason = FailReason::from_code(input.try_get_u8()?);
        Message::FileFailed { entry, reason }
    })
}

/// Reserves memory for what the bytes can contain, not for the announced count.
fn take_list<T>(
    input: &mut &[u8],
    mut take: impl FnMut(&mut &[u8]) -> Option<T>,
) -> Option<Vec<T>> {
    let count = input.try_get_u32().ok()?;
    let mut list = Vec::new();
    for _ in 0..count {
        list.push(take(input)?);
    }
    Some(list)
}

fn take_digest(input: &mut &[u8]) -> Result<Digest, TryGetError> {
    let mut digest = [0; 32];
    input.try_copy_to_slice(&mut digest)?;
    Ok(Digest(digest))
}

fn take_path(input: &mut &[u8]) -> Option<RawPath> {
    let length = usize::from(input.try_get_u16().ok()?);
    take_bytes(input, length).map(RawPath::from)
}

fn take_bytes<'a>(input: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (bytes, rest) = input.split_at_checked(length)?;
    *input = rest;
    Some(bytes)
}

const MAGIC: &[u8; 4] = b"SKFT";
const CRITICAL_EXTENSION: u16 = 0x8000;
/// Its presence is the message; the value is empty.
const BUSY_EXTENSION: u16 = 1;
