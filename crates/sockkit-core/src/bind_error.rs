//! Why an address could not be bound.

use std::{io, net::SocketAddr};

use crate::options::OptionError;

/// Error from binding a socket: of a listener, a UDP endpoint, and all that
/// stands on one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The address could not be bound: taken, not this machine's, or reserved.
    #[error("cannot bind {address}{}", advice(source))]
    Address {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// An option could not be set.
    #[error("cannot set the socket up")]
    Options(#[from] OptionError),
    /// The operating system failed us: retrying may help.
    #[error("socket failed")]
    Io(#[from] io::Error),
}

impl From<BindError> for io::Error {
    /// An error of the same kind, with all that is known in its text.
    fn from(error: BindError) -> Self {
        let kind = match &error {
            BindError::Address { source, .. } | BindError::Io(source) => source.kind(),
            BindError::Options(option) => option.io_kind(),
        };
        Self::new(kind, error)
    }
}

fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => ": in use by another program, choose another port",
        io::ErrorKind::AddrNotAvailable => ": not an address of this machine",
        io::ErrorKind::PermissionDenied => ": ports below 1024 are reserved, choose a higher one",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: io::ErrorKind, expected: &str) {
        let error = BindError::Address {
            address: ([127, 0, 0, 1], 80).into(),
            source: kind.into(),
        };
        assert_eq!(error.to_string(), expected);
        let error = io::Error::from(error);
        assert_eq!((error.kind(), error.to_string()), (kind, expected.into()));
    }

    #[test]
    fn a_refused_address_is_named_with_what_to_do() {
        check(
            io::ErrorKind::AddrInUse,
            "cannot bind 127.0.0.1:80: in use by another program, choose another port",
        );
        check(
            io::ErrorKind::AddrNotAvailable,
            "cannot bind 127.0.0.1:80: not an address of this machine",
        );
        check(
            io::ErrorKind::PermissionDenied,
            "cannot bind 127.0.0.1:80: ports below 1024 are reserved, choose a higher one",
        );
        check(io::ErrorKind::OutOfMemory, "cannot bind 127.0.0.1:80");
    }
}
