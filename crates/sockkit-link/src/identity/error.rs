//! Why a key, or the list of known peers, cannot be used.

use std::{io, path::PathBuf};

/// Why a key, or the list of known peers, cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// There is no home directory to keep them in.
    #[error("there is no folder to keep keys in; set {variable} to the path of one")]
    NoHome {
        /// What would name it.
        variable: &'static str,
    },
    /// A file or folder belongs to another user.
    #[error(
        "{} belongs to user {owner}, and this program runs as user {user}; run it as the \
         owner, without sudo, or set XDG_STATE_HOME to a folder of user {user}",
        .path.display()
    )]
    Foreign {
        /// Which.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Whose this process is.
        user: u32,
    },
    /// Others may read or change it.
    #[error(
        "{0} is open to other users (mode {mode:03o}); chmod {wanted:03o} {0}",
        .path.display()
    )]
    Open {
        /// Which.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// The mode that it should have.
        wanted: u32,
    },
    /// It is a link, a pipe or a device.
    #[error("{} is no regular {kind}; move it away", .path.display())]
    Irregular {
        /// Which.
        path: PathBuf,
        /// What it should be.
        kind: &'static str,
    },
    /// It does not hold what it should.
    #[error("{} is damaged at line {line}: {damage}; restore it, or move it away", .path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Where.
        line: usize,
        /// In what way.
        damage: Damage,
    },
    /// The operating system failed us.
    #[error("cannot {what} {}", .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// There is no Ed25519 key in it.
    #[error("there is no Ed25519 key")]
    NoKey,
    /// It is longer than any that this program writes.
    #[error("it is too long")]
    TooLong,
    /// It is of another program, or of a later version of this one.
    #[error("it is not a list of peers that this version reads")]
    OtherVersion,
    /// A line is no peer.
    #[error("it is no peer")]
    NoPeer,
    /// One key is listed twice.
    #[error("the peer is listed twice")]
    Twice,
}
