//! Why there is no connection.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use crate::{
    options::OptionError,
    tcp::{End, Timeout},
};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The name has no address, or nobody could be asked for it.
    #[error("cannot resolve the name")]
    Resolve(#[source] io::Error),
    /// No address of the name is of the local address's family.
    #[error("no address to connect to{}", from(*family))]
    NoAddress {
        /// The local address that was asked for.
        family: Option<IpAddr>,
    },
    /// An option could not be set.
    #[error("cannot set the socket up")]
    Options(#[from] OptionError),
    /// Every address failed: in the order of their failing.
    #[error("cannot connect to {}", Attempts(.0))]
    Failed(Vec<Attempt>),
    /// No address answered within the deadline.
    #[error("no answer within {after:?}")]
    TimedOut {
        /// The deadline.
        after: Duration,
    },
    /// The operating system failed us: retrying may help.
    #[error("socket failed")]
    Io(#[from] io::Error),
}

/// One address that was tried.
#[derive(Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// The address.
    pub address: SocketAddr,
    /// Why it failed.
    pub source: io::Error,
}

impl ConnectError {
    /// The same as the reason of an ended connection: refused, unreachable, or
    /// a deadline.
    ///
    /// Of several addresses, one that refused was at least reached, and says
    /// more than one that was not.
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

    /// Whether another try can end otherwise.
    pub(super) fn is_worth_retrying(&self) -> bool {
        matches!(self, Self::Resolve(_) | Self::Failed(_) | Self::Io(_))
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
