//! What can go wrong between two peers, and the codes that say so on the wire.

use std::fmt;

use bytes::{Buf, BufMut, TryGetError};

use super::message::VERSION;

/// Why a session ended early. All but [`Aborted`](Self::Aborted) are faults of
/// the peer's bytes.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The first bytes are not a hello of this protocol.
    #[error("peer does not speak the file protocol: is it the right port?")]
    NotThisProtocol,
    /// The peer speaks another version: upgrade the older one.
    #[error(
        "peer speaks version {theirs} of the file protocol, this side version {ours}: \
         upgrade sockkit {}",
        older(*ours, *theirs)
    )]
    Version {
        /// What this side speaks.
        ours: u16,
        /// What the peer speaks.
        theirs: u16,
    },
    /// The peer insists on something this version does not know.
    #[error("peer requires extension {kind:#06x}, which this version does not know")]
    UnknownExtension {
        /// Its number.
        kind: u16,
    },
    /// Both sides want to send, or both to receive.
    #[error("both sides want to send, or both to receive")]
    SameRole,
    /// A message longer than its kind may be.
    #[error("{kind} of {announced} bytes, limit is {limit}")]
    TooLong {
        /// The message.
        kind: MessageKind,
        /// Its announced length.
        announced: u64,
        /// The limit in force.
        limit: u64,
    },
    /// A message whose body does not parse.
    #[error("{kind} does not parse")]
    Malformed {
        /// The message.
        kind: MessageKind,
    },
    /// A kind of message that does not exist.
    #[error("message of unknown kind {kind}")]
    UnknownKind {
        /// Its number.
        kind: u8,
    },
    /// A message that exists but not at this point.
    #[error("{kind} came at a point where it makes no sense")]
    Unexpected {
        /// The message.
        kind: MessageKind,
    },
    /// More entries than the receiver allows.
    #[error("{announced} or more files and folders offered, limit is {limit}")]
    TooManyEntries {
        /// How many had been counted by then.
        announced: usize,
        /// The limit in force.
        limit: usize,
    },
    /// More bytes than the receiver allows.
    #[error("{announced} bytes offered, limit is {limit}")]
    TooManyBytes {
        /// How many were offered.
        announced: u64,
        /// The limit in force.
        limit: u64,
    },
    /// The sender will not send digests, and the receiver insists on them.
    #[error("peer offers files without digests, which this side does not allow")]
    Unverified,
    /// A block's bytes are not those of its digest.
    #[error("block {block} of entry {entry} does not match its digest")]
    BlockMismatch {
        /// Position of the file in the manifest, from 0.
        entry: u32,
        /// Position of the block in the file, from 0.
        block: u64,
    },
    /// All blocks fit, the file's digest does not.
    #[error("entry {entry} does not match its digest")]
    FileMismatch {
        /// Position of the file in the manifest, from 0.
        entry: u32,
    },
    /// The peer ended the session and said why.
    #[error("peer ended the transfer: {0}")]
    Aborted(Abort),
}

/// Which side is to be upgraded.
fn older(ours: u16, theirs: u16) -> &'static str {
    if ours < theirs { "here" } else { "there" }
}

impl SessionError {
    /// What to tell the peer; `None` if it knows.
    pub fn abort(&self) -> Option<Abort> {
        Some(match *self {
            Self::Version { ours, .. } => Abort::Version { theirs: ours },
            Self::TooManyEntries { limit, .. } => Abort::TooMany {
                limit: limit as u64,
            },
            Self::TooManyBytes { limit, .. } => Abort::TooLarge { limit },
            Self::BlockMismatch { .. } | Self::FileMismatch { .. } => Abort::Mismatch,
            Self::Unverified => Abort::Unverified,
            Self::Aborted(_) => return None,
            _ => Abort::Protocol,
        })
    }
}

/// Why one side ended the session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Abort {
    /// It speaks another version, `theirs` as seen by whoever reads this.
    Version {
        /// The version it speaks.
        theirs: u16,
    },
    /// The person, or the program, said no.
    Declined,
    /// It could not make sense of what it was sent.
    Protocol,
    /// Too many entries.
    TooMany {
        /// The receiver's limit.
        limit: u64,
    },
    /// Too many bytes.
    TooLarge {
        /// The receiver's limit.
        limit: u64,
    },
    /// The receiver's disk cannot hold it.
    NoSpace {
        /// Bytes that were to come.
        needed: u64,
        /// Bytes that are free.
        available: u64,
    },
    /// Bytes did not match their digest.
    Mismatch,
    /// The receiver insists on digests.
    Unverified,
    /// A file system failed; the other side's log has the details.
    Io,
    /// It was stopped; the transfer can be resumed.
    Cancelled,
    /// It gave up waiting.
    TimedOut,
    /// It serves others and takes no more.
    Busy,
    /// A code from a later minor revision.
    Other(u8),
}

impl Abort {
    pub(crate) fn put(self, out: &mut Vec<u8>) {
        let (code, a, b) = match self {
            Self::Version { theirs } => (1, u64::from(theirs), 0),
            Self::Declined => (2, 0, 0),
            Self::Protocol => (3, 0, 0),
            Self::TooMany { limit } => (4, limit, 0),
            Self::TooLarge { limit } => (5, limit, 0),
            Self::NoSpace { needed, available } => (6, needed, available),
            Self::Mismatch => (7, 0, 0),
            Self::Unverified => (8, 0, 0),
            Self::Io => (9, 0, 0),
            Self::Cancelled => (10, 0, 0),
            Self::TimedOut => (11, 0, 0),
            Self::Busy => (12, 0, 0),
            Self::Other(code) => (code, 0, 0),
        };
        out.put_u8(code);
        out.put_u64(a);
        out.put_u64(b);
    }

    pub(crate) fn take(input: &mut &[u8]) -> Result<Self, TryGetError> {
        let (code, a, b) = (
            input.try_get_u8()?,
            input.try_get_u64()?,
            input.try_get_u64()?,
        );
        Ok(match code {
            1 => Self::Version {
                theirs: u16::try_from(a).unwrap_or(u16::MAX),
            },
            2 => Self::Declined,
            3 => Self::Protocol,
            4 => Self::TooMany { limit: a },
            5 => Self::TooLarge { limit: a },
            6 => Self::NoSpace {
                needed: a,
                available: b,
            },
            7 => Self::Mismatch,
            8 => Self::Unverified,
            9 => Self::Io,
            10 => Self::Cancelled,
            11 => Self::TimedOut,
            12 => Self::Busy,
            code => Self::Other(code),
        })
    }
}

impl fmt::Display for Abort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version { theirs } => write!(
                f,
                "it speaks version {theirs} of the file protocol, this side version {VERSION}: \
                 upgrade sockkit {}",
                older(VERSION, *theirs)
            ),
            Self::Declined => f.write_str("it declined the offer"),
            Self::Protocol => f.write_str("it could not make sense of what it was sent"),
            Self::TooMany { limit } => write!(f, "it takes at most {limit} files and folders"),
            Self::TooLarge { limit } => write!(f, "it takes at most {limit} bytes"),
            Self::NoSpace { needed, available } => {
                write!(
                    f,
                    "{needed} bytes are needed, {available} are free on its disk"
                )
            }
            Self::Mismatch => f.write_str("bytes did not match their digest"),
            Self::Unverified => f.write_str("it insists on digests"),
            Self::Io => f.write_str("its file system failed"),
            Self::Cancelled => f.write_str("it was stopped there, and can be resumed"),
            Self::TimedOut => f.write_str("it gave up waiting"),
            Self::Busy => f.write_str("it is busy with others and takes no more; try again later"),
            Self::Other(code) => write!(f, "reason {code}, unknown to this version"),
        }
    }
}

/// The kinds of message, by their number on the wire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum MessageKind {
    /// First message of each side.
    Hello = 1,
    /// The manifest.
    Offer = 2,
    /// What the receiver says to each entry.
    Answer = 3,
    /// One block of a file, and its digest.
    Block = 4,
    /// A file's digest, after its last block.
    FileEnd = 5,
    /// A file will not come after all.
    FileFailed = 6,
    /// Everything was sent.
    Done = 7,
    /// What the receiver could not keep.
    Report = 8,
    /// Still alive.
    Working = 9,
    /// The end, with a reason.
    Abort = 10,
}

impl MessageKind {
    pub(crate) fn from_code(code: u8) -> Result<Self, SessionError> {
        Ok(match code {
            1 => Self::Hello,
            2 => Self::Offer,
            3 => Self::Answer,
            4 => Self::Block,
            5 => Self::FileEnd,
            6 => Self::FileFailed,
            7 => Self::Done,
            8 => Self::Report,
            9 => Self::Working,
            10 => Self::Abort,
            kind => return Err(SessionError::UnknownKind { kind }),
        })
    }
}

impl fmt::Display for MessageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hello => "hello",
            Self::Offer => "offer",
            Self::Answer => "answer",
            Self::Block => "block",
            Self::FileEnd => "file end",
            Self::FileFailed => "file failure",
            Self::Done => "done",
            Self::Report => "report",
            Self::Working => "keep-alive",
            Self::Abort => "abort",
        })
    }
}
