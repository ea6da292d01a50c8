//! Errors between two peers, and their codes on the wire.

use std::fmt;

use bytes::{Buf, BufMut};

use super::message::VERSION;
use crate::file::{BlockIndex, EntryIndex};

/// Why a session ended early. All variants except [`Aborted`](Self::Aborted)
/// are protocol violations of the peer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The first bytes are not a hello of this protocol.
    #[error("peer does not speak the file protocol: is it the right port?")]
    NotThisProtocol,
    /// The first bytes are those of TLS.
    #[error("peer encrypts, and this side does not: start both with --plain, or both without")]
    Encrypted,
    /// The peer speaks another version: upgrade the older one.
    #[error(
        "peer speaks version {theirs} of the file protocol, this side version {ours}: \
         upgrade sockkit {}",
        older(*ours, *theirs)
    )]
    Version {
        /// The version of this side.
        ours: u16,
        /// The version of the peer.
        theirs: u16,
    },
    /// The peer requires an extension that this version does not know.
    #[error("peer requires extension {kind:#06x}, which this version does not know")]
    UnknownExtension {
        /// Its number.
        kind: u16,
    },
    /// Both sides want to send, or both to receive.
    #[error("both sides want to send, or both to receive")]
    SameRole,
    /// A message exceeds the maximum length of its kind.
    #[error("{kind} of {announced} bytes, limit is {limit}")]
    TooLong {
        /// The message.
        kind: MessageKind,
        /// Its announced length.
        announced: u64,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The body of a message is malformed.
    #[error("{kind} is malformed")]
    Malformed {
        /// The message.
        kind: MessageKind,
    },
    /// An unknown kind of message.
    #[error("message of unknown kind {kind}")]
    UnknownKind {
        /// Its number.
        kind: u8,
    },
    /// A known message that is not allowed at this point.
    #[error("unexpected {kind}")]
    Unexpected {
        /// The message.
        kind: MessageKind,
    },
    /// The offer exceeds the receiver's limit of entries.
    #[error("{announced} or more files and folders offered, limit is {limit}")]
    TooManyEntries {
        /// The number counted so far.
        announced: usize,
        /// The limit.
        limit: usize,
    },
    /// The offer exceeds the receiver's limit of bytes.
    #[error("{announced} bytes offered, limit is {limit}")]
    TooManyBytes {
        /// The offered number of bytes.
        announced: u64,
        /// The limit.
        limit: u64,
    },
    /// The sender does not send digests, and the receiver requires them.
    #[error("peer offers files without digests, which this side does not allow")]
    Unverified,
    /// A block does not match its digest.
    #[error("block {block} of entry {entry} does not match its digest")]
    BlockMismatch {
        /// Position of the file in the manifest, from 0.
        entry: EntryIndex,
        /// Position of the block in the file, from 0.
        block: BlockIndex,
    },
    /// All blocks match, but the file's digest does not.
    #[error("entry {entry} does not match its digest")]
    FileMismatch {
        /// Position of the file in the manifest, from 0.
        entry: EntryIndex,
    },
    /// The peer ended the session with a reason.
    #[error("peer ended the transfer: {0}")]
    Aborted(Abort),
}

/// Which side needs an upgrade.
fn older(ours: u16, theirs: u16) -> &'static str {
    if ours < theirs { "here" } else { "there" }
}

impl SessionError {
    /// The reason to send to the peer; `None` if the peer ended the session.
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

/// Reason for ending a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Abort {
    /// Its version differs; `theirs` from the reader's point of view.
    Version {
        /// Its version.
        theirs: u16,
    },
    /// The user or the program declined.
    Declined,
    /// It received something that it could not parse.
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
    /// The receiver's disk is too small.
    NoSpace {
        /// Bytes still to come.
        needed: u64,
        /// Free bytes.
        available: u64,
    },
    /// Data did not match its digest.
    Mismatch,
    /// The receiver requires digests.
    Unverified,
    /// A file system operation failed; details are in the other side's log.
    Io,
    /// It was cancelled; the transfer can be resumed.
    Cancelled,
    /// It timed out.
    TimedOut,
    /// It is busy with other peers and accepts no more.
    Busy,
    /// It accepts encrypted connections only.
    Plain,
    /// A code of a later minor version.
    Other(u8),
}

impl Abort {
    /// Appends it as it is in an abort: a code, and two numbers.
    pub fn put(self, out: &mut Vec<u8>) {
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
            Self::Plain => (13, 0, 0),
            Self::Other(code) => (code, 0, 0),
        };
        out.put_u8(code);
        out.put_u64(a);
        out.put_u64(b);
    }

    /// Reads one; `None` if it is cut short.
    pub fn take(input: &mut &[u8]) -> Option<Self> {
        let code = input.try_get_u8().ok()?;
        let (a, b) = (input.try_get_u64().ok()?, input.try_get_u64().ok()?);
        Some(match code {
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
            13 => Self::Plain,
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
            Self::Protocol => f.write_str("it received something that it could not parse"),
            Self::TooMany { limit } => write!(f, "it takes at most {limit} files and folders"),
            Self::TooLarge { limit } => write!(f, "it takes at most {limit} bytes"),
            Self::NoSpace { needed, available } => {
                write!(
                    f,
                    "{needed} bytes are needed, {available} are free on its disk"
                )
            }
            Self::Mismatch => f.write_str("data did not match its digest"),
            Self::Unverified => f.write_str("it requires digests"),
            Self::Io => f.write_str("its file system failed"),
            Self::Cancelled => f.write_str("it was stopped there"),
            Self::TimedOut => f.write_str("it timed out"),
            Self::Busy => f.write_str("it is busy with other peers; try again later"),
            Self::Plain => {
                f.write_str("it accepts encrypted connections only: leave out --plain here")
            }
            Self::Other(code) => write!(f, "reason {code}, unknown to this version"),
        }
    }
}

/// Kinds of message, with their numbers on the wire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum MessageKind {
    /// First message of each side.
    Hello = 1,
    /// The manifest.
    Offer = 2,
    /// The receiver's answer to each entry.
    Answer = 3,
    /// One block of a file, and its digest.
    Block = 4,
    /// A file's digest, after its last block.
    FileEnd = 5,
    /// A file will not be sent after all.
    FileFailed = 6,
    /// Everything was sent.
    Done = 7,
    /// What the receiver could not store.
    Report = 8,
    /// Keep-alive.
    Working = 9,
    /// End of the session, with a reason.
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
