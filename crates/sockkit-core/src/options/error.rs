//! What can go wrong between a program and one option.

use std::io;

use super::{Platforms, Scope};

/// Why an option could not be set or read. Every variant names the option.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OptionError {
    /// This platform, or this kernel, has no such option.
    #[error("{option} does not exist here; it is for {platforms}")]
    Unsupported {
        /// The constant's name, such as `SO_MARK`.
        option: &'static str,
        /// Where the option exists.
        platforms: Platforms,
    },
    /// The option belongs to another kind of socket: a fault in the program.
    #[error("{option} is for {scope} sockets, and this one is not")]
    WrongSocket {
        /// The constant's name.
        option: &'static str,
        /// The kind of socket that has it.
        scope: Scope,
    },
    /// The kernel refused the value; a privilege may be missing.
    #[error("{option} could not be set")]
    Set {
        /// The constant's name.
        option: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel did not give the value.
    #[error("{option} could not be read")]
    Read {
        /// The constant's name.
        option: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// What was given is no IP socket that is open.
    #[error("not an open socket")]
    NotASocket(#[source] io::Error),
}

impl OptionError {
    /// The same as an I/O error, for callers whose own error is one.
    pub fn into_io(self) -> io::Error {
        io::Error::new(self.io_kind(), self)
    }

    pub(crate) fn io_kind(&self) -> io::ErrorKind {
        match self {
            Self::Unsupported { .. } => io::ErrorKind::Unsupported,
            Self::WrongSocket { .. } => io::ErrorKind::InvalidInput,
            Self::Set { source, .. } | Self::Read { source, .. } | Self::NotASocket(source) => {
                source.kind()
            }
        }
    }
}

impl From<OptionError> for io::Error {
    fn from(error: OptionError) -> Self {
        error.into_io()
    }
}
