//! Connecting by name: several addresses, a timeout, further tries.

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

/// Connects to a name or an address, as [`Connector::default`] does.
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
/// Cancel safe: an attempt under way is given up.
pub async fn connect(to: impl ToSocketAddrs) -> Result<Connection, ConnectError> {
    Connector::default().connect(to).await
}

/// How to connect.
///
/// A name may stand for several addresses. They are tried as RFC 8305 ("happy
/// eyeballs") says: IPv6 and IPv4 by turns, each as soon as the one before has
/// failed or has not answered for a while, and the first that answers wins. An
/// address family that leads nowhere thus costs a moment and not a timeout.
///
/// ```no_run
/// # use sockkit_core as sockkit;
/// # async fn example() -> Result<(), sockkit::tcp::ConnectError> {
/// use std::time::Duration;
/// use sockkit::tcp::Connector;
///
/// // A server that may still be starting.
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

    /// The address to connect from; port 0 lets the system choose. Addresses of
    /// the other family are not tried then. Default: the routing table decides.
    pub fn local_address(mut self, address: SocketAddr) -> Self {
        self.local = Some(address);
        self
    }

    /// How long it may take in all, names and retries included; `Duration::MAX`
    /// is for ever. Default: 10 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long to wait for one address before the next is tried beside it.
    /// Default: 250 ms, as RFC 8305 recommends; less than 10 ms is taken as that.
    pub fn attempt_delay(mut self, delay: Duration) -> Self {
        self.attempt_delay = delay.max(MIN_ATTEMPT_DELAY);
        self
    }

    /// How often to begin anew after all addresses have failed. Default: 0.
    ///
    /// The pauses double from 100 ms to 5 s, and each is lengthened by a random
    /// share of itself, so that many clients do not return all at once.
    pub fn retries(mut self, retries: usize) -> Self {
        self.retries = retries;
        self
    }

    /// Connects to the first address that answers.
    ///
    /// # Errors
    /// [`ConnectError::TimedOut`] after the timeout, else what kept the last try
    /// from succeeding: [`ConnectError::Resolve`], [`ConnectError::NoAddress`],
    /// [`ConnectError::Options`], or [`ConnectError::Failed`] with every
    /// address and its reason.
    ///
    /// # Cancel safety
    /// Cancel safe: attempts under way are given up.
    ///
    /// # Source
    /// RFC 8305, sections 4 and 5. All addresses of the name are awaited before
    /// the first attempt, since the system's resolver gives them together.
    pub async fn connect(&self, to: impl ToSocketAddrs) -> Result<Connection, ConnectError> {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(MIN_PAUSE)
            .with_max_delay(MAX_PAUSE)
            .with_max_times(self.retries)
            .with_jitter();
        let trying = (|| self.try_once(&to))
            .retry(pauses)
            .when(ConnectError::is_worth_retrying)
            .notify(|error, pause| tracing::debug!(?pause, %error, "connect again"));
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

/// RFC 8305, section 8: no implementation may go below.
const MIN_ATTEMPT_DELAY: Duration = Duration::from_millis(10);

const MIN_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(5);
