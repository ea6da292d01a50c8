//! Connects by name: several addresses, a timeout, retries.

mod attempt;
mod error;

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use backon::{ExponentialBuilder, Retryable};
use tokio::{
    net::{ToSocketAddrs, lookup_host},
    time::timeout,
};

use self::attempt::Failure;
pub use self::error::{Attempt, ConnectError};
use super::Connection;
use crate::{dial, options::SocketOptions};

/// Connects to a name or an address with the default [`Connector`].
///
/// ```no_run
/// # use sockkit_core as sockkit;
/// # async fn example() -> Result<(), sockkit::tcp::ConnectError> {
/// let connection = sockkit::tcp::connect("camera.lan:5003").await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`Connector::connect`].
///
/// # Cancel safety
/// Cancel safe: pending attempts are cancelled.
pub async fn connect(to: impl ToSocketAddrs) -> Result<Connection, ConnectError> {
    Connector::default().connect(to).await
}

/// Settings for connecting.
///
/// A name may resolve to several addresses. They are tried as in RFC 8305
/// ("happy eyeballs"): IPv6 and IPv4 alternate, each attempt starts when the
/// previous one has failed or has been pending for a while, and the first
/// success wins. A broken address family thus costs a fraction of a second
/// instead of a timeout.
///
/// ```no_run
/// # use sockkit_core as sockkit;
/// # async fn example() -> Result<(), sockkit::tcp::ConnectError> {
/// use std::time::Duration;
/// use sockkit::tcp::Connector;
///
/// // For a server that may still be starting.
/// let connection = Connector::default()
///     .timeout(Duration::from_secs(30))
///     .retries(10)
///     .connect("camera.lan:5003")
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a connector does nothing until it connects"]
pub struct Connector {
    options: SocketOptions,
    local: Option<SocketAddr>,
    timeout: Duration,
    attempt_delay: Duration,
    retries: usize,
}

impl Connector {
    /// Options to set before connecting. Default: none.
    pub fn options(mut self, options: SocketOptions) -> Self {
        self.options = options;
        self
    }

    /// The local address; port 0 lets the system choose. Addresses of the other IP
    /// version are then not tried. Default: chosen by the routing table.
    pub fn local_address(mut self, address: SocketAddr) -> Self {
        self.local = Some(address);
        self
    }

    /// Timeout of the whole operation, name resolution and retries included.
    /// `Duration::MAX` means none. Default: 10 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Delay before the next address is tried in parallel. Default: 250 ms, as
    /// RFC 8305 recommends; values below 10 ms are raised to 10 ms.
    pub fn attempt_delay(mut self, delay: Duration) -> Self {
        self.attempt_delay = delay.max(MIN_ATTEMPT_DELAY);
        self
    }

    /// How many times to retry after all addresses have failed. Default: 0.
    ///
    /// Pauses double from 100 ms to 5 s, each with random jitter, so that many
    /// clients do not reconnect at the same time.
    pub fn retries(mut self, retries: usize) -> Self {
        self.retries = retries;
        self
    }

    /// Connects to the first address that accepts.
    ///
    /// # Errors
    /// [`ConnectError::TimedOut`] when the timeout passes, otherwise the error
    /// of the last try: [`ConnectError::Resolve`], [`ConnectError::NoAddress`],
    /// [`ConnectError::Options`], or [`ConnectError::Failed`] with the error of
    /// every address.
    ///
    /// # Cancel safety
    /// Cancel safe: pending attempts are cancelled.
    ///
    /// # Source
    /// RFC 8305, sections 4 and 5. All addresses are resolved before the first
    /// attempt, because the system's resolver returns them together.
    pub async fn connect(&self, to: impl ToSocketAddrs) -> Result<Connection, ConnectError> {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(MIN_PAUSE)
            .with_max_delay(MAX_PAUSE)
            .with_max_times(self.retries)
            .with_jitter();
        let trying = (|| self.try_once(&to))
            .retry(pauses)
            .when(ConnectError::is_worth_retrying)
            .notify(|error, pause| tracing::debug!(?pause, %error, "retrying"));
        timeout(self.timeout, trying)
            .await
            .unwrap_or(Err(ConnectError::TimedOut {
                timeout: self.timeout,
            }))
    }

    async fn try_once(&self, to: &impl ToSocketAddrs) -> Result<Connection, ConnectError> {
        let found = lookup_host(to).await.map_err(ConnectError::Resolve)?;
        let fits =
            |address: &SocketAddr| self.local.is_none_or(|local| same_family(local, *address));
        let addresses = dial::interleave(found.filter(fits));
        if addresses.is_empty() {
            return Err(ConnectError::NoAddress {
                family: self.local.map(|local| local.ip()),
            });
        }
        let tcp = dial::first(
            &addresses,
            self.attempt_delay,
            |address| attempt::attempt(address, self.local, &self.options),
            |failure| matches!(failure, Failure::Options(_)),
        );
        Ok(Connection::new(tcp.await.map_err(connect_error)?)?)
    }
}

impl Default for Connector {
    fn default() -> Self {
        Self {
            options: SocketOptions::new(),
            local: None,
            timeout: Duration::from_secs(10),
            attempt_delay: dial::ATTEMPT_DELAY,
            retries: 0,
        }
    }
}

fn connect_error(failed: Vec<(SocketAddr, Failure)>) -> ConnectError {
    let mut attempts = Vec::with_capacity(failed.len());
    for (address, failure) in failed {
        match failure {
            Failure::Options(error) => return error.into(),
            Failure::Io(source) => attempts.push(Attempt { address, source }),
        }
    }
    ConnectError::Failed(attempts)
}

fn same_family(a: SocketAddr, b: SocketAddr) -> bool {
    matches!(
        (a.ip(), b.ip()),
        (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_))
    )
}

/// RFC 8305, section 8: the minimum for every implementation.
const MIN_ATTEMPT_DELAY: Duration = Duration::from_millis(10);

const MIN_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(5);
