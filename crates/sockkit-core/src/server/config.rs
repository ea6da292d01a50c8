//! Limits and timeouts of a server.

use std::{fmt, io, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{Ended, activity::Timeouts};

/// Limits and timeouts of a [`Server`](super::Server). All limits are finite by
/// default.
///
/// `Duration::MAX` means no timeout. A timeout of zero would end every
/// connection at once, so [`Server::start`](super::Server::start) rejects it;
/// only the drain timeout may be zero.
#[derive(Clone)]
#[must_use = "a config does nothing until a server is started with it"]
pub struct ServerConfig {
    pub(super) max_connections: usize,
    pub(super) max_connections_per_address: usize,
    pub(super) timeouts: Timeouts,
    pub(super) on_end: Option<OnEnd>,
    pub(super) refusal: Option<Bytes>,
}

pub(super) type OnEnd = Arc<dyn Fn(&Ended) + Send + Sync>;

impl ServerConfig {
    /// Maximum number of concurrent connections. Default: 10,000.
    ///
    /// Further connections are accepted and reset at once, so that the client
    /// notices, or receive the [`refusal`](Self::refusal). Each connection
    /// needs a descriptor: see `ulimit -n`.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// Maximum number of concurrent connections from one IPv4 address or one
    /// IPv6 /64 network. Default: 1,000. Does not apply to Unix sockets.
    pub fn max_connections_per_address(mut self, connections: usize) -> Self {
        self.max_connections_per_address = connections;
        self
    }

    /// Closes a connection if no byte is sent or received for this long; `None`
    /// means never. Default: 5 minutes.
    ///
    /// Without it, a peer that has vanished keeps its permit until a write to
    /// it fails: use a [`read_timeout`](Self::read_timeout) or keep-alives
    /// then.
    pub fn idle_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeouts.idle = timeout.into();
        self
    }

    /// Closes a connection whose handler waits this long for the next byte.
    /// Default: only the idle timeout applies.
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.read = Some(timeout);
        self
    }

    /// Closes a connection whose peer accepts no byte for this long while the
    /// handler is writing. Default: only the idle timeout applies.
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.write = Some(timeout);
        self
    }

    /// Closes a connection after this long, whatever it does. Default: none.
    ///
    /// The only defence against a peer that sends one byte a minute forever.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.timeouts.lifetime = Some(lifetime);
        self
    }

    /// How long [`Server::shutdown`](super::Server::shutdown) waits for
    /// handlers to return. Default: 10 s.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.drain = timeout;
        self
    }

    /// How long a connection must have received nothing before a shutdown ends
    /// its reads; `None` leaves reads open. Default: 200 ms.
    ///
    /// A pending read then returns EOF, as if the peer had closed, provided
    /// that the kernel holds no more data. A connection that is already quiet
    /// ends at once. A peer that never pauses is served for half of the [drain
    /// timeout](Self::drain_timeout).
    ///
    /// Use `None` if EOF marks the end of a message, such as a file without a
    /// length, or if the handler reads alongside other work: it then watches
    /// [`Peer::draining`](super::Peer::draining).
    pub fn quiet_period(mut self, period: impl Into<Option<Duration>>) -> Self {
        self.timeouts.quiet = period.into();
        self
    }

    /// Called once for each connection when it has ended. It must not block. A
    /// panic in it is logged and counted.
    pub fn on_end(mut self, on_end: impl Fn(&Ended) + Send + Sync + 'static) -> Self {
        self.on_end = Some(Arc::new(on_end));
        self
    }

    /// Bytes sent to a client that is refused because of a limit, such as an
    /// HTTP 503 response. Default: none; the connection is reset.
    ///
    /// As much is written as fits without waiting, then the connection is
    /// closed. A client that has already sent data may see a reset instead.
    pub fn refusal(mut self, refusal: impl Into<Bytes>) -> Self {
        self.refusal = Some(refusal.into());
        self
    }

    /// Rejects configurations with which no connection could be served.
    pub(super) fn check(&self) -> io::Result<()> {
        self.timeouts
            .zero()
            .map_or(Ok(()), |name| Err(is_zero(name)))
    }
}

/// Error for a timeout of zero.
pub(super) fn is_zero(name: &str) -> io::Error {
    let message =
        format!("{name} is zero, so no connection would be served; use Duration::MAX for no limit");
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            max_connections_per_address: 1_000,
            timeouts: Timeouts {
                idle: Some(Duration::from_secs(300)),
                read: None,
                write: None,
                lifetime: None,
                quiet: Some(Duration::from_millis(200)),
                drain: Duration::from_secs(10),
            },
            on_end: None,
            refusal: None,
        }
    }
}

impl fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerConfig")
            .field("max_connections", &self.max_connections)
            .field(
                "max_connections_per_address",
                &self.max_connections_per_address,
            )
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}
