//! Dialling, with one timeout for everything.

use std::{io, net::SocketAddr, time::Duration};

use sockkit_core::tcp::{self, Connector};
use tokio::time::{Instant, timeout};

use super::Node;
#[cfg(feature = "quic")]
use crate::quic;
use crate::{Address, Connection, DialError, Scheme, SchemeError};
#[cfg(feature = "tls")]
use crate::{FailedBy, tls};

impl Node {
    /// Connects to `to`.
    ///
    /// If the host has several addresses, they are tried like
    /// [`tcp::Connector`] does, over every transport: each attempt starts when
    /// the previous one has failed or has been pending for 250 ms.
    ///
    /// # Errors
    /// [`DialError`], which distinguishes a refusal from a timeout.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    ///
    /// # Cancel safety
    /// Cancel safe: a pending attempt is cancelled.
    pub async fn dial(&self, to: &Address) -> Result<Connection, DialError> {
        let began = Instant::now();
        let found = timeout(self.timeout, to.resolve()).await;
        let found = found.map_err(|_elapsed| self.too_late(to))??;
        match to.scheme() {
            Scheme::Tcp => {
                let tcp = self.dial_tcp(to, &found, began).await?;
                Connection::tcp(tcp).map_err(broken)
            }
            #[cfg(feature = "tls")]
            Scheme::Tls => self.dial_tls(to, &found, began).await,
            #[cfg(feature = "quic")]
            Scheme::Quic => self.dial_quic(to, &found, began).await,
            _ => Err(SchemeError::of(to).into()),
        }
    }

    async fn dial_tcp(
        &self,
        to: &Address,
        found: &[SocketAddr],
        began: Instant,
    ) -> Result<tcp::Connection, DialError> {
        let connector = Connector::default()
            .options(self.tcp_options.clone())
            .timeout(self.left(began));
        connector.connect(found).await.map_err(|error| match error {
            tcp::ConnectError::TimedOut { .. } => self.too_late(to),
            error if error.end() == tcp::End::Refused => DialError::Refused(error.into()),
            error => DialError::Failed(error.into()),
        })
    }

    #[cfg(feature = "tls")]
    async fn dial_tls(
        &self,
        to: &Address,
        found: &[SocketAddr],
        began: Instant,
    ) -> Result<Connection, DialError> {
        let keys = self.keys.client.clone();
        let keys = keys.ok_or_else(|| SchemeError::NoKeys {
            address: to.clone(),
        })?;
        let tcp = self.dial_tcp(to, found, began).await?;
        let shaking = tls::connect(keys, to.host(), tcp);
        let shaken = timeout(self.left(began), shaking).await;
        let stream = shaken
            .map_err(|_elapsed| self.too_late(to))?
            .map_err(|source| FailedBy::Tls {
                address: to.clone(),
                source,
            })
            .map_err(DialError::Failed)?;
        Connection::tls(stream).map_err(broken)
    }

    #[cfg(feature = "quic")]
    async fn dial_quic(
        &self,
        to: &Address,
        found: &[SocketAddr],
        began: Instant,
    ) -> Result<Connection, DialError> {
        use quic::ConnectError;

        let config = self.quic.clone().handshake_timeout(self.left(began));
        let connected = quic::connect_with(found, &config).await;
        let connection = connected.map_err(|error| match error {
            ConnectError::TimedOut { .. } => self.too_late(to),
            error @ ConnectError::Refused { .. } => DialError::Refused(error.into()),
            error @ ConnectError::OtherProtocol { .. } => DialError::OtherProtocol(error.into()),
            error @ ConnectError::Busy { .. } => DialError::Busy(error.into()),
            error => DialError::Failed(error.into()),
        })?;
        Ok(Connection::quic(connection))
    }

    /// What is left of the timeout.
    fn left(&self, began: Instant) -> Duration {
        self.timeout.saturating_sub(began.elapsed())
    }

    fn too_late(&self, to: &Address) -> DialError {
        DialError::TimedOut {
            address: to.clone(),
            timeout: self.timeout,
        }
    }
}

/// The peer closed the connection before its address could be read.
fn broken(error: io::Error) -> DialError {
    DialError::Failed(error.into())
}
