//! The two file protocols of the course: a name, then the bytes.
//!
//! Neither carries a length nor a digest. What arrived is put in place whole,
//! at the end, but whether it is all that was sent nobody can tell. For that
//! there is the session ([`send`](sockkit_file::send), [`receive`](sockkit_file::receive)).

pub mod tcp;
pub mod udp;

use std::{io, path::Path, time::Duration};

use tokio::task::spawn_blocking;

use sockkit_codec::file::{EntryPath, NameError, course};
use sockkit_core::udp::UdpError;

/// What a course receiver got.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Received {
    /// What the sender called it.
    pub name: EntryPath,
    /// What it is called here: `new_` and its name, as in the course.
    pub saved_as: EntryPath,
    /// How much arrived.
    pub bytes: u64,
    /// In how many datagrams; 0 over TCP.
    pub datagrams: u64,
    /// How it ended.
    pub end: Completion,
}

/// How a course receiver learned that nothing more comes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Completion {
    /// The sender said so: closed its connection, or sent an empty datagram.
    Marked,
    /// It said nothing more. The last datagrams may be missing.
    Silence,
}

/// Why a course transfer failed.
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
    /// The peer did not do its part in time.
    #[error("peer was silent for {} s while {waiting_for} was awaited", timeout.as_secs())]
    Silent {
        /// How long it was waited for.
        timeout: Duration,
        /// What for.
        waiting_for: Awaited,
    },
    /// The peer closed before it had sent a name.
    #[error("peer closed before it sent a name")]
    Closed,
    /// The name is not safe as a file name.
    #[error("peer's file name is refused")]
    Name(#[from] NameError),
    /// The first bytes cannot be a name.
    #[error(
        "the first {bytes} bytes cannot be a file name: the name may have arrived in one piece \
         with the file, as this protocol has no mark between them; let the sender wait after \
         the name, or use the file session, which frames its messages"
    )]
    NotAName {
        /// How many bytes came at once.
        bytes: usize,
    },
}

/// What a course peer was waited for.
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
    /// Room to send, that is, a peer that reads.
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

/// How long a peer may be silent where the course would wait for ever.
const SILENCE: Duration = Duration::from_secs(30);

/// The name that is sent for a file: its last component.
fn name_of(path: &Path) -> Result<EntryPath, CourseError> {
    let name = path.file_name().and_then(|name| name.to_str());
    Ok(course::check_name(name.unwrap_or_default())?)
}

/// The name that arrived, if it is one.
fn parse_name(bytes: &[u8]) -> Result<EntryPath, CourseError> {
    course::parse_name(bytes)?.ok_or(CourseError::NotAName { bytes: bytes.len() })
}

/// What the file is called here.
fn saved_as(name: &EntryPath) -> Result<EntryPath, CourseError> {
    course::saved_as(name)
        .map_err(|_too_long| CourseError::File(io::ErrorKind::InvalidFilename.into()))
}

/// Runs what blocks on the disk where blocking is fine.
async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, CourseError> {
    let done = spawn_blocking(work).await;
    done.unwrap_or_else(|_stopped| Err(io::ErrorKind::Interrupted.into()))
        .map_err(CourseError::File)
}
