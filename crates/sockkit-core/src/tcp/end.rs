//! Why a connection ended.
//!
//! Pure: errors in, reasons out.

use std::{fmt, io};

/// The one reason why a connection ended, or was never made.
///
/// What the kernel reports comes from [`End::from_io`]; what this side decided
/// (a timeout, a limit, a shutdown) is told by the side that decided it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum End {
    /// The peer sent all it had and said so (FIN).
    Finished,
    /// The peer threw the connection away (RST), or no longer reads.
    Reset,
    /// A timeout of this side passed.
    TimedOut(Timeout),
    /// The peer vanished: it acknowledged neither data nor keep-alive probes
    /// until the kernel gave it up (keep-alive, `TCP_USER_TIMEOUT`, or the
    /// retransmission count).
    PeerVanished,
    /// No route leads to the peer, or its host does not answer on the link.
    Unreachable,
    /// Nobody listens there.
    Refused,
    /// This side closed it in order.
    Closed,
    /// This side threw it away (RST).
    Aborted,
    /// A limit of this side was reached, such as connections per address.
    Limit,
    /// This side shut down and its time for open connections was up.
    Drained,
    /// The operating system failed in another way.
    Failed(io::ErrorKind),
}

/// Which timeout passed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Timeout {
    /// The connection was not made in time.
    Connect,
    /// Nothing came while one read waited.
    Read,
    /// The peer made no room while one write waited.
    Write,
    /// Neither side sent anything.
    Idle,
    /// The connection was open for as long as it may be.
    Lifetime,
    /// The peer did not close its side in time after this side had.
    Close,
    /// A handshake on top of TCP, such as TLS's, took too long.
    Handshake,
}

impl End {
    /// What an error of a read, a write or a connect says about the connection.
    ///
    /// ```
    /// # use sockkit_core as sockkit;
    /// use std::io::{Error, ErrorKind};
    /// use sockkit::tcp::End;
    ///
    /// let error = Error::from(ErrorKind::ConnectionReset);
    /// assert_eq!(End::from_io(&error), End::Reset);
    /// ```
    pub fn from_io(error: &io::Error) -> Self {
        if let Some(TimedOut(timeout)) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
            return Self::TimedOut(*timeout);
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Finished,
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => Self::Reset,
            // Ours carry a `TimedOut`; this one is the kernel's.
            io::ErrorKind::TimedOut => Self::PeerVanished,
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown => Self::Unreachable,
            io::ErrorKind::ConnectionRefused => Self::Refused,
            other => Self::Failed(other),
        }
    }

    /// Whether both sides parted in order, with nothing lost.
    pub fn is_orderly(self) -> bool {
        matches!(self, Self::Finished | Self::Closed)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished => f.pad("finished by the peer (FIN)"),
            Self::Reset => f.pad("reset by the peer (RST)"),
            Self::TimedOut(timeout) => write!(f, "{timeout} timed out"),
            Self::PeerVanished => f.pad("peer vanished (unacknowledged or no keep-alive answer)"),
            Self::Unreachable => f.pad("unreachable"),
            Self::Refused => f.pad("refused: nobody listens there"),
            Self::Closed => f.pad("closed by this side (FIN)"),
            Self::Aborted => f.pad("aborted by this side (RST)"),
            Self::Limit => f.pad("a limit was reached"),
            Self::Drained => f.pad("shut down before it was done"),
            Self::Failed(kind) => write!(f, "{kind}"),
        }
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Connect => "connect",
            Self::Read => "read",
            Self::Write => "write",
            Self::Idle => "idle connection",
            Self::Lifetime => "lifetime",
            Self::Close => "close",
            Self::Handshake => "handshake",
        })
    }
}

impl From<Timeout> for io::Error {
    /// An error from which [`End::from_io`] gets the same timeout back.
    fn from(timeout: Timeout) -> Self {
        Self::new(io::ErrorKind::TimedOut, TimedOut(timeout))
    }
}

/// A timeout of ours inside an `io::Error`, apart from the kernel's own.
#[derive(Debug, thiserror::Error)]
#[error("{0} timed out")]
struct TimedOut(Timeout);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_timeout_survives_an_io_error() {
        for timeout in [
            Timeout::Connect,
            Timeout::Read,
            Timeout::Write,
            Timeout::Idle,
            Timeout::Lifetime,
            Timeout::Close,
            Timeout::Handshake,
        ] {
            let error = io::Error::from(timeout);
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert_eq!(End::from_io(&error), End::TimedOut(timeout));
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_kernels_numbers_have_their_reasons() {
        for (errno, end) in [
            (libc::ECONNRESET, End::Reset),
            (libc::EPIPE, End::Reset),
            (libc::ETIMEDOUT, End::PeerVanished),
            (libc::EHOSTUNREACH, End::Unreachable),
            (libc::ENETUNREACH, End::Unreachable),
            (libc::ENETDOWN, End::Unreachable),
            (libc::ECONNREFUSED, End::Refused),
            (libc::EACCES, End::Failed(io::ErrorKind::PermissionDenied)),
        ] {
            assert_eq!(End::from_io(&io::Error::from_raw_os_error(errno)), end);
        }
    }
}
