//! Error from binding an address.

use std::{io, net::SocketAddr};

use crate::options::OptionError;

/// Error from binding the socket of a listener, a UDP endpoint, or anything
/// built on one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The address could not be bound: in use, not local, or reserved.
    #[error("cannot bind {address}{}", advice(source))]
    Address {
        /// The requested address.
        address: SocketAddr,
        /// Error from the operating system.
        source: io::Error,
    },
    /// A socket option could not be set.
    #[error("cannot set socket options")]
    Options(#[from] OptionError),
    /// The operating system failed: retrying may help.
    #[error("socket failed")]
    Io(#[from] io::Error),
}

impl From<BindError> for io::Error {
    /// Keeps the error's kind, and puts its whole text into the message.
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
