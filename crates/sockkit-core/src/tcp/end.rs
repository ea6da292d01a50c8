//! Why a connection ended.
//!
//! Pure: errors in, reasons out.

use std::{fmt, io};

/// Why a connection ended, or could not be established.
///
/// [`End::from_io`] maps the kernel's errors; reasons on this side (a timeout,
/// a limit, a shutdown) are set by the code that decided.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum End {
    /// The peer closed its side (FIN) after sending all its data.
    Finished,
    /// The peer reset the connection (RST), or no longer reads.
    Reset,
    /// A timeout on this side passed.
    TimedOut(Timeout),
    /// The peer vanished: it acknowledged neither data nor keep-alive probes
    /// until the kernel gave up (keep-alive, `TCP_USER_TIMEOUT`, or the
    /// retransmission count).
    PeerVanished,
    /// There is no route to the peer, or its host does not answer on the local
    /// network.
    Unreachable,
    /// The peer refused the connection: the port is closed.
    Refused,
    /// This side closed it gracefully.
    Closed,
    /// This side reset it (RST).
    Aborted,
    /// A limit on this side was reached, such as connections per address.
    Limit,
    /// This side shut down, and the drain timeout passed.
    Drained,
    /// Any other error of the operating system.
    Failed(io::ErrorKind),
}

/// Which timeout passed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Timeout {
    /// Establishing the connection took too long.
    Connect,
    /// No data arrived while a read was pending.
    Read,
    /// The peer accepted no data while a write was pending.
    Write,
    /// Neither side sent anything.
    Idle,
    /// The connection reached its maximum lifetime.
    Lifetime,
    /// The peer did not close its side in time after this side had.
    Close,
    /// A handshake on top of TCP, such as TLS's, took too long.
    Handshake,
}

impl End {
    /// Maps an error of a read, a write or a connect.
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
            // This crate's timeouts carry a `TimedOut`; this one is the
            // kernel's.
            io::ErrorKind::TimedOut => Self::PeerVanished,
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown => Self::Unreachable,
            io::ErrorKind::ConnectionRefused => Self::Refused,
            other => Self::Failed(other),
        }
    }

    /// Whether the connection was closed gracefully, without data loss.
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
            Self::PeerVanished => f.pad("peer vanished (no acknowledgement or keep-alive reply)"),
            Self::Unreachable => f.pad("unreachable"),
            Self::Refused => f.pad("refused: the port is closed"),
            Self::Closed => f.pad("closed by this side (FIN)"),
            Self::Aborted => f.pad("aborted by this side (RST)"),
            Self::Limit => f.pad("a limit was reached"),
            Self::Drained => f.pad("cut off by the shutdown"),
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
    /// The error is mapped back to the same timeout by [`End::from_io`].
    fn from(timeout: Timeout) -> Self {
        Self::new(io::ErrorKind::TimedOut, TimedOut(timeout))
    }
}

/// A timeout of this crate inside an `io::Error`, distinct from the kernel's.
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
