//! What a server allows and how long it waits.

use std::{fmt, io, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{Ended, activity::Timeouts};

/// What a server allows and how long it waits. All limits are finite by default.
///
/// `Duration::MAX` is never. A timeout of zero, except that of the drain, would
/// end each connection at once: [`Server::start`](super::Server::start) refuses it.
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
    /// Connections held at once. Default: 10,000.
    ///
    /// One more is accepted and reset at once, so that the client knows, or
    /// told with a [`refusal`](Self::refusal). Each takes a descriptor: see
    /// `ulimit -n`.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// Connections held at once from one IPv4 address or one IPv6 /64 network.
    /// Default: 1,000. Peers on a Unix socket have no such limit.
    pub fn max_connections_per_address(mut self, connections: usize) -> Self {
        self.max_connections_per_address = connections;
        self
    }

    /// Ends a connection on which no byte went either way for so long; `None`
    /// is for ever. Default: 5 minutes.
    ///
    /// Without it, a peer that has vanished keeps its place until a write to it
    /// fails: set [`read_timeout`](Self::read_timeout) or keepalive then.
    pub fn idle_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeouts.idle = timeout.into();
        self
    }

    /// Ends a connection whose handler waits so long for the next byte.
    /// Default: none beside the idle timeout.
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.read = Some(timeout);
        self
    }

    /// Ends a connection whose peer takes no byte for so long while the
    /// handler wants to send. Default: none beside the idle timeout.
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.write = Some(timeout);
        self
    }

    /// Ends a connection after so long, whatever it does. Default: none.
    ///
    /// The only answer to a peer that sends one byte a minute for ever.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.timeouts.lifetime = Some(lifetime);
        self
    }

    /// How long [`Server::shutdown`](super::Server::shutdown) waits for handlers
    /// to return by themselves. Default: 10 s.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.drain = timeout;
        self
    }

    /// How long nothing must have come on a connection before its reads end
    /// because the server shuts down; `None` leaves them open. Default: 200 ms.
    ///
    /// A read that waits then gives the end of the stream, as if the peer had
    /// closed, once the kernel holds nothing more either: at once if the
    /// connection was quiet already. A peer that never pauses is served for half
    /// of the [drain timeout](Self::drain_timeout).
    ///
    /// Take `None` where the end of the stream ends a message, such as a file
    /// without a length, or where reads wait beside other work: the handler
    /// then watches [`Peer::draining`](super::Peer::draining).
    pub fn quiet_period(mut self, period: impl Into<Option<Duration>>) -> Self {
        self.timeouts.quiet = period.into();
        self
    }

    /// Called once for each connection, when it has ended. Must not block. A
    /// panic in it is logged and counted.
    pub fn on_end(mut self, on_end: impl Fn(&Ended) + Send + Sync + 'static) -> Self {
        self.on_end = Some(Arc::new(on_end));
        self
    }

    /// What a client is told that is refused for a limit, such as HTTP's 503.
    /// Default: nothing, its connection is reset.
    ///
    /// As much as there is room for at once, and then the connection is closed;
    /// a client that has written something already may see a reset instead.
    pub fn refusal(mut self, refusal: impl Into<Bytes>) -> Self {
        self.refusal = Some(refusal.into());
        self
    }

    /// Whether a server with it can serve anybody.
    pub(super) fn check(&self) -> io::Result<()> {
        self.timeouts
            .zero()
            .map_or(Ok(()), |name| Err(is_zero(name)))
    }
}

/// A timeout that would pass before anything could happen.
pub(super) fn is_zero(name: &str) -> io::Error {
    let message = format!("{name} is zero, so nothing would be served; Duration::MAX is no limit");
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
