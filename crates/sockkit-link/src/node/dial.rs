//! Dialling, with one timeout for everything.

#[cfg(feature = "tls")]
use std::sync::Arc;
use std::{io, net::SocketAddr, time::Duration};

use sockkit_core::tcp::{self, Connector};
use tokio::time::{Instant, timeout};

use super::Node;
#[cfg(feature = "pairing")]
use crate::pairing::{self, PairingError, Party};
#[cfg(feature = "quic")]
use crate::quic;
use crate::{Address, Connection, DialError, Scheme, SchemeError};
#[cfg(feature = "tls")]
use crate::{
    FailedBy,
    tls::{self, TlsConnector, rustls::pki_types::ServerName},
};

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
        #[cfg(feature = "pairing")]
        if let Some(party) = &self.party {
            return self.dial_secure(to, &found, began, party).await;
        }
        match to.scheme() {
            Scheme::Tcp => {
                let tcp = self.dial_tcp(to, &found, began).await?;
                Connection::tcp(tcp).map_err(broken)
            }
            #[cfg(feature = "tls")]
            Scheme::Tls => self.dial_tls(to, &found, began).await,
            #[cfg(feature = "quic")]
            Scheme::Quic => self.dial_quic(to, &found, began, self.quic.clone()).await,
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

    /// The race for the fastest address, and TLS or QUIC with the winner, come
    /// first, so that a code is tried with one peer per dial.
    #[cfg(feature = "pairing")]
    async fn dial_secure(
        &self,
        to: &Address,
        found: &[SocketAddr],
        began: Instant,
        party: &Party,
    ) -> Result<Connection, DialError> {
        let not_trusted = |source| DialError::NotTrusted {
            address: to.clone(),
            source,
        };
        let mut connection = match to.scheme() {
            Scheme::Tcp | Scheme::Tls => {
                let service = pairing::protocol(self.quic.service());
                let keys = party.identity.dialler(&service).map_err(broken)?;
                // The name that the user typed is not for those who listen in.
                let name = tls::constant_name().map_err(broken)?;
                let keys = Arc::new(keys);
                let shaken = self.shake_hands(to, found, began, keys, name).await;
                shaken.map_err(|error| otherwise(to, error))?
            }
            Scheme::Quic => {
                let config = self.quic.clone().identity(party.identity.clone());
                self.dial_quic(to, found, began, config).await?
            }
            _ => return Err(SchemeError::of(to).into()),
        };
        let listener = connection.peer_key().map_err(broken)?;
        let proving = party.dial(&mut connection, listener);
        let proved = timeout(self.left(began), proving).await;
        let proved = proved.map_err(|_elapsed| self.too_late(to))?;
        let proved = proved.map_err(not_trusted)?;
        Ok(connection.authenticated(proved, party.identity.fingerprint()))
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
        let name = tls::name_of(to.host()).map_err(|source| tls_failed(to, source))?;
        self.shake_hands(to, found, began, keys, name).await
    }

    #[cfg(feature = "tls")]
    async fn shake_hands(
        &self,
        to: &Address,
        found: &[SocketAddr],
        began: Instant,
        keys: Arc<rustls::ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<Connection, DialError> {
        let tcp = self.dial_tcp(to, found, began).await?;
        let shaking = TlsConnector::from(keys).connect(name, tcp);
        let shaken = timeout(self.left(began), shaking).await;
        let stream = shaken
            .map_err(|_elapsed| self.too_late(to))?
            .map_err(|source| tls_failed(to, source))?;
        Connection::tls(stream).map_err(broken)
    }

    #[cfg(feature = "quic")]
    async fn dial_quic(
        &self,
        to: &Address,
        found: &[SocketAddr],
        began: Instant,
        config: quic::QuicConfig,
    ) -> Result<Connection, DialError> {
        use quic::ConnectError;

        let config = config.handshake_timeout(self.left(began));
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

#[cfg(feature = "tls")]
fn tls_failed(to: &Address, source: io::Error) -> DialError {
    DialError::Failed(FailedBy::Tls {
        address: to.clone(),
        source,
    })
}

/// Explains why the listener did not take part in the handshake.
#[cfg(feature = "pairing")]
fn otherwise(to: &Address, error: DialError) -> DialError {
    use rustls::{AlertDescription, Error, InvalidMessage};

    let DialError::Failed(FailedBy::Tls { source, .. }) = &error else {
        return error;
    };
    let said = source.get_ref().and_then(|source| source.downcast_ref());
    let source = match said {
        Some(Error::AlertReceived(AlertDescription::NoApplicationProtocol)) => {
            PairingError::OtherService
        }
        Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => PairingError::Plain,
        // No proof that it does not encrypt: a host at its limit closes too.
        None if is_close(source.kind()) => PairingError::Closed,
        _ => return error,
    };
    DialError::NotTrusted {
        address: to.clone(),
        source,
    }
}

#[cfg(feature = "pairing")]
fn is_close(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};

    matches!(
        kind,
        BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof
    )
}

/// The peer closed the connection before its address could be read.
fn broken(error: io::Error) -> DialError {
    DialError::Failed(error.into())
}
