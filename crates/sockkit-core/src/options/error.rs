//! Error from setting or reading one option.

use std::io;

use super::{Platforms, Scope};

/// Error from setting or reading a socket option. Every variant names the
/// option.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OptionError {
    /// This platform or kernel does not have the option.
    #[error("{option} is not available here; it exists on {platforms}")]
    Unsupported {
        /// The constant's name, such as `SO_MARK`.
        option: &'static str,
        /// Where the option exists.
        platforms: Platforms,
    },
    /// The option belongs to another kind of socket: a bug in the program.
    #[error("{option} applies to {scope} sockets, and this is not one")]
    WrongSocket {
        /// The constant's name.
        option: &'static str,
        /// The kind of socket that has it.
        scope: Scope,
    },
    /// The kernel rejected the value; a privilege may be missing.
    #[error("{option} could not be set")]
    Set {
        /// The constant's name.
        option: &'static str,
        /// Error from the kernel.
        source: io::Error,
    },
    /// The kernel did not return the value.
    #[error("{option} could not be read")]
    Read {
        /// The constant's name.
        option: &'static str,
        /// Error from the kernel.
        source: io::Error,
    },
    /// Not an open IP socket.
    #[error("not an open socket")]
    NotASocket(#[source] io::Error),
}

impl OptionError {
    /// Converts it to an I/O error of the same kind.
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
