//! Error from connecting.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use crate::{
    options::OptionError,
    tcp::{End, Timeout},
};

/// Error from connecting.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The name has no address, or the resolver failed.
    #[error("cannot resolve the name")]
    Resolve(#[source] io::Error),
    /// No address of the name belongs to the local address's family.
    #[error("no address to connect to{}", from(*family))]
    NoAddress {
        /// The requested local address.
        family: Option<IpAddr>,
    },
    /// A socket option could not be set.
    #[error("cannot set socket options")]
    Options(#[from] OptionError),
    /// Every address failed; in the order in which they failed.
    #[error("cannot connect to {}", Attempts(.0))]
    Failed(Vec<Attempt>),
    /// No address answered in time.
    #[error("no answer within {timeout:?}")]
    TimedOut {
        /// The timeout.
        timeout: Duration,
    },
    /// The operating system failed: retrying may help.
    #[error("socket failed")]
    Io(#[from] io::Error),
}

/// A connection attempt that failed.
#[derive(Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// The address.
    pub address: SocketAddr,
    /// The error.
    pub source: io::Error,
}

impl ConnectError {
    /// The corresponding reason of an ended connection: refused, unreachable,
    /// or timed out.
    ///
    /// If one of several addresses refused, that is returned: its host was
    /// reached, which says more than the other errors.
    pub fn end(&self) -> End {
        match self {
            Self::TimedOut { .. } => End::TimedOut(Timeout::Connect),
            Self::Failed(attempts) => {
                let ends = || attempts.iter().map(|attempt| End::from_io(&attempt.source));
                ends()
                    .find(|end| *end == End::Refused)
                    .or_else(|| ends().next())
                    .unwrap_or(End::Unreachable)
            }
            Self::Resolve(error) | Self::Io(error) => End::from_io(error),
            Self::NoAddress { .. } => End::Unreachable,
            Self::Options(_) => End::Failed(io::ErrorKind::InvalidInput),
        }
    }

    fn io_kind(&self) -> io::ErrorKind {
        match self {
            Self::Resolve(source) | Self::Io(source) => source.kind(),
            Self::NoAddress { .. } => io::ErrorKind::AddrNotAvailable,
            Self::Options(error) => error.io_kind(),
            Self::Failed(attempts) => {
                let kinds = || attempts.iter().map(|attempt| attempt.source.kind());
                kinds()
                    .find(|kind| *kind == io::ErrorKind::ConnectionRefused)
                    .or_else(|| kinds().next())
                    .unwrap_or(io::ErrorKind::HostUnreachable)
            }
            Self::TimedOut { .. } => io::ErrorKind::TimedOut,
        }
    }

    /// Whether a retry could succeed.
    pub(super) fn is_worth_retrying(&self) -> bool {
        matches!(self, Self::Resolve(_) | Self::Failed(_) | Self::Io(_))
    }
}

impl From<ConnectError> for io::Error {
    /// Keeps the error's kind, and puts its whole text into the message.
    fn from(error: ConnectError) -> Self {
        Self::new(error.io_kind(), error)
    }
}

/// `address (reason), address (reason)`.
struct Attempts<'a>(&'a [Attempt]);

impl fmt::Display for Attempts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Attempt { address, source }) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{address} ({source})")?;
        }
        Ok(())
    }
}

fn from(local: Option<IpAddr>) -> String {
    local.map_or_else(String::new, |ip| format!(" from {ip}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_io_error_says_that_one_address_refused() {
        let attempt = |kind: io::ErrorKind| Attempt {
            address: ([127, 0, 0, 1], 9).into(),
            source: kind.into(),
        };
        let error = ConnectError::Failed(vec![
            attempt(io::ErrorKind::NetworkUnreachable),
            attempt(io::ErrorKind::ConnectionRefused),
        ]);
        let text = error.to_string();
        let error = io::Error::from(error);
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(error.to_string(), text);
    }
}
