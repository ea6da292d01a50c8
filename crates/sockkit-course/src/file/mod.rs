//! The two file protocols of the course: a name, then the bytes.
//!
//! Neither transmits a length or a digest. The received file is put in place as
//! a whole, at the end, but the receiver cannot tell whether it is complete.
//! Use a session ([`send`](sockkit_file::send),
//! [`receive`](sockkit_file::receive)) for that.

pub mod tcp;
pub mod udp;

use std::{io, path::Path, time::Duration};

use tokio::task::spawn_blocking;

use sockkit_codec::file::{EntryPath, NameError, course};
use sockkit_core::udp::UdpError;

/// A file received by one of the course's protocols.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Received {
    /// The name sent by the sender.
    pub name: EntryPath,
    /// The local name: `new_` and the sender's name, as in the course.
    pub saved_as: EntryPath,
    /// Number of bytes received.
    pub bytes: u64,
    /// Number of datagrams received; 0 over TCP.
    pub datagrams: u64,
    /// How the end of the file was recognised.
    pub end: Completion,
}

/// How a receiver recognised the end of the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Completion {
    /// The sender closed its connection, or sent an empty datagram.
    Marked,
    /// The sender became silent. The last datagrams may be missing.
    Silence,
}

/// Error of a transfer by the course's protocols.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CourseError {
    /// The file could not be read or written.
    #[error("cannot read or write the file")]
    File(#[source] io::Error),
    /// The connection failed.
    #[error("connection failed")]
    Link(#[source] io::Error),
    /// The socket failed.
    #[error(transparent)]
    Udp(#[from] UdpError),
    /// The peer did not send or read in time.
    #[error("peer was silent for {} s while waiting for {waiting_for}", timeout.as_secs())]
    Silent {
        /// The timeout.
        timeout: Duration,
        /// What was awaited.
        waiting_for: Awaited,
    },
    /// The peer closed before it had sent a name.
    #[error("peer closed before it sent a name")]
    Closed,
    /// The name is not safe as a file name.
    #[error("peer sent an unsafe file name")]
    Name(#[from] NameError),
    /// The first bytes cannot be a name.
    #[error(
        "the first {bytes} bytes cannot be a file name: the name may have arrived in one piece \
         with the file, as this protocol has no mark between them; let the sender wait after \
         the name, or use the file session, which frames its messages"
    )]
    NotAName {
        /// Number of bytes that arrived at once.
        bytes: usize,
    },
}

/// What a peer was expected to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Awaited {
    /// The receiver's message that it is ready.
    Ready,
    /// The file's name.
    Name,
    /// The receiver's `OK`.
    Ok,
    /// More of the file.
    Bytes,
    /// Reading, so that there is room to send.
    Room,
}

impl std::fmt::Display for Awaited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ready => "its ready message",
            Self::Name => "the file name",
            Self::Ok => "its OK",
            Self::Bytes => "more of the file",
            Self::Room => "room to send",
        })
    }
}

/// Timeout of a silent peer, for which the course would wait forever.
const SILENCE: Duration = Duration::from_secs(30);

/// The name to send for a file: its last component.
fn name_of(path: &Path) -> Result<EntryPath, CourseError> {
    let name = path.file_name().and_then(|name| name.to_str());
    Ok(course::check_name(name.unwrap_or_default())?)
}

/// Parses the received name.
fn parse_name(bytes: &[u8]) -> Result<EntryPath, CourseError> {
    course::parse_name(bytes)?.ok_or(CourseError::NotAName { bytes: bytes.len() })
}

/// The local name of the file.
fn saved_as(name: &EntryPath) -> Result<EntryPath, CourseError> {
    course::saved_as(name)
        .map_err(|_too_long| CourseError::File(io::ErrorKind::InvalidFilename.into()))
}

/// Runs blocking disk operations on a blocking thread.
async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, CourseError> {
    let done = spawn_blocking(work).await;
    done.unwrap_or_else(|_stopped| Err(io::ErrorKind::Interrupted.into()))
        .map_err(CourseError::File)
}
