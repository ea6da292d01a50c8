//! Error from using a key or the list of known peers.

use std::{io, path::PathBuf};

/// Error from using a key or the list of known peers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// There is no home directory to store them in.
    #[error("there is no folder to keep keys in; set {variable} to the path of one")]
    NoHome {
        /// The environment variable that would name it.
        variable: &'static str,
    },
    /// A file or folder belongs to another user.
    #[error(
        "{} belongs to user {owner}, and this program runs as user {user}; run it as the \
         owner, without sudo, or set XDG_STATE_HOME to a folder of user {user}",
        .path.display()
    )]
    Foreign {
        /// The path.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// The user of this process.
        user: u32,
    },
    /// Other users may read or change it.
    #[error(
        "{0} is open to other users (mode {mode:03o}); chmod {wanted:03o} {0}",
        .path.display()
    )]
    Open {
        /// The path.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// The mode that it should have.
        wanted: u32,
    },
    /// It is a symbolic link, a pipe or a device.
    #[error("{} is not a regular {kind}; move it away", .path.display())]
    Irregular {
        /// The path.
        path: PathBuf,
        /// What it should be.
        kind: &'static str,
    },
    /// Its content is invalid.
    #[error("{} is damaged at line {line}: {damage}; restore it, or move it away", .path.display())]
    Damaged {
        /// The path.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The kind of damage.
        damage: Damage,
    },
    /// The operating system returned an error.
    #[error("cannot {what} {}", .path.display())]
    Io {
        /// The operation that failed.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// It contains no Ed25519 key.
    #[error("there is no Ed25519 key")]
    NoKey,
    /// It contains no ECDSA key, which pages need.
    #[error("there is no ECDSA key")]
    NoWebKey,
    /// It is longer than any file that this program writes.
    #[error("it is too long")]
    TooLong,
    /// It was written by another program, or by a later version.
    #[error("it is not a list of peers that this version reads")]
    OtherVersion,
    /// A line is not a peer.
    #[error("it is not a peer")]
    NoPeer,
    /// A key is listed twice.
    #[error("the peer is listed twice")]
    Twice,
}
