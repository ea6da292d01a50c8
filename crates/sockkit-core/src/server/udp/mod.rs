//! A UDP request/reply server with limits, timeouts and graceful shutdown.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use super::{
    Drained,
    config::is_zero,
    lifecycle::{Lifecycle, Running},
    limiter::ConnectionLimiter,
};
use crate::udp::UdpEndpoint;

mod metrics;
mod receive;
mod responder;

use metrics::Counters;

pub use metrics::UdpMetrics;
pub use responder::{Replied, Request, Responder};

/// A running UDP server. Dropping it stops everything at once.
///
/// Each datagram is a request, answered by at most one datagram in a task of
/// its own. A slow reply delays no other, and replies may overtake each other.
/// A reply is sent from the address to which the request was sent.
///
/// ```
/// # use sockkit_core as sockkit;
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// use sockkit::{server::{Request, UdpServer, UdpServerConfig}, udp::{Transmit, UdpEndpoint}};
///
/// let endpoint = UdpEndpoint::bind(([127, 0, 0, 1], 0).into())?;
/// let echo = UdpServer::start(endpoint, UdpServerConfig::default(), async |request: Request| {
///     Ok(Some(request.bytes))
/// })?;
///
/// let client = UdpEndpoint::bind(([127, 0, 0, 1], 0).into())?;
/// client.send(Transmit::new(echo.local_addr(), b"hello")).await?;
/// let mut buffer = [0; 1500];
/// assert_eq!(client.recv(&mut buffer).await?.bytes, b"hello");
/// echo.shutdown().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # On open networks
/// The source address of a datagram can be forged. Large replies make the
/// server a reflection amplifier: keep replies no longer than requests, or run
/// the server on a trusted network only.
#[derive(Debug)]
pub struct UdpServer {
    local_addr: SocketAddr,
    running: Running,
    control: Arc<Control>,
}

/// Limits and timeouts of a [`UdpServer`]. All limits are finite by default;
/// `Duration::MAX` means no timeout.
#[derive(Clone, Debug)]
#[must_use = "a config does nothing until a server is started with it"]
pub struct UdpServerConfig {
    max_in_flight: usize,
    max_in_flight_per_address: usize,
    reply: Duration,
    drain: Duration,
}

impl UdpServer {
    /// Serves the requests of `endpoint` with an async closure or function.
    ///
    /// # Errors
    /// If the endpoint's address cannot be read, or the reply timeout is zero.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start<F, Fut>(
        endpoint: UdpEndpoint,
        config: UdpServerConfig,
        reply: F,
    ) -> io::Result<Self>
    where
        F: Fn(Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Replied> + Send + 'static,
    {
        Self::start_responder(endpoint, config, reply)
    }

    /// Serves the requests of `endpoint` with a [`Responder`] type.
    ///
    /// # Errors
    /// If the endpoint's address cannot be read, or the reply timeout is zero.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start_responder(
        endpoint: UdpEndpoint,
        config: UdpServerConfig,
        responder: impl Responder,
    ) -> io::Result<Self> {
        if config.reply.is_zero() {
            return Err(is_zero("reply_timeout"));
        }
        let local_addr = endpoint.local_addr()?;
        // A reply is sent from the address that received the request.
        let endpoint = if local_addr.ip().is_unspecified() {
            endpoint.with_packet_info()?
        } else {
            endpoint
        };
        let limiter =
            ConnectionLimiter::new(config.max_in_flight, config.max_in_flight_per_address);
        let control = Arc::new(Control {
            lifecycle: Lifecycle::new(limiter, config.drain),
            counters: Counters::default(),
            config,
        });
        let receiving = receive::receive(endpoint, Arc::new(responder), Arc::clone(&control));
        Ok(Self {
            local_addr,
            running: control.lifecycle.clone().run(receiving),
            control,
        })
    }

    /// The local address.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Counters since the server started.
    pub fn metrics(&self) -> UdpMetrics {
        self.control.counters.metrics(&self.control.lifecycle)
    }

    /// Shuts down gracefully: takes no more requests, and answers those already
    /// received.
    ///
    /// The socket is closed when the last reply is sent, or at the [drain
    /// timeout](UdpServerConfig::drain_timeout).
    ///
    /// # Cancel safety
    /// Not cancel safe: dropping the future stops everything at once.
    pub async fn shutdown(self) -> Drained {
        self.running.shutdown().await
    }

    /// Serves until Ctrl-C is pressed or, on Unix, SIGTERM arrives, then shuts
    /// down like [`shutdown`](Self::shutdown). A second signal stops the
    /// replies at once.
    ///
    /// From the call on, the signals are caught and no longer terminate the
    /// process.
    ///
    /// ```no_run
    /// # use sockkit_core as sockkit;
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use sockkit::{server::{Request, UdpServer, UdpServerConfig}, udp::UdpEndpoint};
    ///
    /// let endpoint = UdpEndpoint::bind(([127, 0, 0, 1], 7).into())?;
    /// let echo = async |request: Request| Ok(Some(request.bytes));
    /// UdpServer::start(endpoint, UdpServerConfig::default(), echo)?.run_until_ctrl_c().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If signals cannot be caught.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    ///
    /// # Cancel safety
    /// Not cancel safe: dropping the future stops everything at once.
    pub fn run_until_ctrl_c(self) -> impl Future<Output = io::Result<Drained>> + Send {
        self.running.run_until_ctrl_c()
    }
}

impl UdpServerConfig {
    /// Maximum number of concurrent requests. Further requests are dropped and
    /// counted, as if lost by the network. Default: 1,024.
    pub fn max_in_flight(mut self, requests: usize) -> Self {
        self.max_in_flight = requests;
        self
    }

    /// Maximum number of concurrent requests from one IPv4 address or one IPv6
    /// /64 network. Default: 256.
    pub fn max_in_flight_per_address(mut self, requests: usize) -> Self {
        self.max_in_flight_per_address = requests;
        self
    }

    /// How long a reply may take before it is abandoned. Default: 5 s.
    ///
    /// A value beyond the clients' own timeout only wastes work.
    pub fn reply_timeout(mut self, timeout: Duration) -> Self {
        self.reply = timeout;
        self
    }

    /// How long [`UdpServer::shutdown`] waits for pending replies. Default: 5
    /// s.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain = timeout;
        self
    }
}

impl Default for UdpServerConfig {
    fn default() -> Self {
        Self {
            max_in_flight: 1_024,
            max_in_flight_per_address: 256,
            reply: Duration::from_secs(5),
            drain: Duration::from_secs(5),
        }
    }
}

/// State shared by the receive loop, the replies and the owner.
#[derive(Debug)]
struct Control {
    config: UdpServerConfig,
    lifecycle: Lifecycle,
    counters: Counters,
}
