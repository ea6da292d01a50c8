//! Listening.

#[cfg(feature = "tls")]
use std::sync::Arc;
use std::{io, net::SocketAddr};

use sockkit_core::{
    options::SocketOptions,
    tcp::{self, ListenConfig},
};
use tokio::time::timeout;

use super::Node;
#[cfg(feature = "pairing")]
use crate::acceptor::SecureAcceptor;
#[cfg(feature = "tls")]
use crate::acceptor::TlsAcceptor;
#[cfg(feature = "pairing")]
use crate::pairing::{self, Party};
#[cfg(feature = "quic")]
use crate::quic;
use crate::{
    Acceptor, Address, Host, ListenError, Scheme, SchemeError,
    acceptor::{TcpAcceptor, TransportAcceptor},
};

impl Node {
    /// Listens at `at`; port 0 lets the system choose.
    ///
    /// An address without a host means every local address, IPv6 and IPv4. If a
    /// name has several addresses, the first that can be bound is used.
    ///
    /// # Errors
    /// [`ListenError`].
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn listen(&self, at: &Address) -> Result<Acceptor, ListenError> {
        let found = timeout(self.timeout, at.to_bind()).await;
        let mut found = found.map_err(|_elapsed| ListenError::TimedOut {
            address: at.clone(),
            timeout: self.timeout,
        })??;
        let both = *at.host() == Host::Unspecified;
        if both {
            // A dual-stack socket accepts both IP versions, on a machine that
            // has both.
            found.sort_by_key(SocketAddr::is_ipv4);
        }
        let mut failed = None;
        for address in found {
            match self.bind(at, address, both && address.is_ipv6()) {
                Ok(acceptor) => return Ok(Acceptor::new(acceptor, at.scheme())?),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        Err(failed.unwrap_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable).into()))
    }

    /// Binds one address; an IPv6 socket accepts IPv4, too, if `both` is set.
    fn bind(
        &self,
        at: &Address,
        address: SocketAddr,
        both: bool,
    ) -> Result<TransportAcceptor, ListenError> {
        #[cfg(feature = "pairing")]
        if let Some(party) = &self.party {
            return self.bind_secure(at, address, both, party);
        }
        match at.scheme() {
            Scheme::Tcp => {
                let listener = self.bind_tcp(address, both)?;
                Ok(TransportAcceptor::Tcp(TcpAcceptor::new(
                    listener,
                    self.limiter(),
                )))
            }
            #[cfg(feature = "tls")]
            Scheme::Tls => {
                let keys = self.keys.server.clone();
                let keys = keys.ok_or_else(|| SchemeError::NoKeys {
                    address: at.clone(),
                })?;
                let listener = self.bind_tcp(address, both)?;
                let timeout = self.timeout;
                let none = Arc::default();
                let acceptor = TlsAcceptor::start(listener, self.limiter(), keys, timeout, none)?;
                Ok(TransportAcceptor::Tls(acceptor))
            }
            #[cfg(feature = "quic")]
            Scheme::Quic => self.bind_quic(address, both, self.quic.clone()),
            _ => Err(SchemeError::of(at).into()),
        }
    }

    /// As `bind`, with authentication on both sides.
    #[cfg(feature = "pairing")]
    fn bind_secure(
        &self,
        at: &Address,
        address: SocketAddr,
        both: bool,
        party: &Party,
    ) -> Result<TransportAcceptor, ListenError> {
        let below = match at.scheme() {
            Scheme::Tcp | Scheme::Tls => {
                let service = pairing::protocol(self.quic.service());
                let keys = Arc::new(party.identity.listener(&service)?);
                let listener = self.bind_tcp(address, both)?;
                TransportAcceptor::Tls(TlsAcceptor::start(
                    listener,
                    self.limiter(),
                    keys,
                    self.timeout,
                    Arc::clone(&self.plain_refusal),
                )?)
            }
            Scheme::Quic => {
                let config = self.quic.clone().identity(party.identity.clone());
                self.bind_quic(address, both, config)?
            }
            _ => return Err(SchemeError::of(at).into()),
        };
        let door = SecureAcceptor::start(below, party.clone(), self.timeout)?;
        Ok(TransportAcceptor::Secure(door))
    }

    fn bind_tcp(&self, address: SocketAddr, both: bool) -> Result<tcp::Listener, ListenError> {
        let config = ListenConfig::default().options(hearing(both, &self.tcp_options));
        Ok(tcp::Listener::bind_with(address, &config)?)
    }

    #[cfg(feature = "quic")]
    fn bind_quic(
        &self,
        address: SocketAddr,
        both: bool,
        config: quic::QuicConfig,
    ) -> Result<TransportAcceptor, ListenError> {
        let config = config
            .map_options(|options| hearing(both, options))
            .handshake_timeout(self.timeout)
            .limits(self.max_connections, self.max_connections_per_address);
        Ok(TransportAcceptor::Quic(quic::Listener::bind_with(
            address, &config,
        )?))
    }
}

/// The options of a socket that accepts both IP versions, or only its own.
fn hearing(both: bool, options: &SocketOptions) -> SocketOptions {
    match both {
        true => options.clone().only_v6(false),
        false => options.clone(),
    }
}
