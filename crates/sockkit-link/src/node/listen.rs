//! Listening.

use std::{io, net::SocketAddr};

use sockkit_core::{
    options::SocketOptions,
    tcp::{self, ListenConfig},
};
use tokio::time::timeout;

use super::Node;
#[cfg(feature = "tls")]
use crate::acceptor::TlsAcceptor;
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
                Ok(acceptor) => return Ok(Acceptor::new(acceptor)?),
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
        let hears = |options: &SocketOptions| match both {
            true => options.clone().only_v6(false),
            false => options.clone(),
        };
        let listen = || {
            let config = ListenConfig::default().options(hears(&self.tcp_options));
            tcp::Listener::bind_with(address, &config)
        };
        match at.scheme() {
            Scheme::Tcp => Ok(TransportAcceptor::Tcp(TcpAcceptor::new(
                listen()?,
                self.limiter(),
            ))),
            #[cfg(feature = "tls")]
            Scheme::Tls => {
                let keys = self.keys.server.clone();
                let keys = keys.ok_or_else(|| SchemeError::NoKeys {
                    address: at.clone(),
                })?;
                let acceptor = TlsAcceptor::start(listen()?, self.limiter(), keys, self.timeout)?;
                Ok(TransportAcceptor::Tls(acceptor))
            }
            #[cfg(feature = "quic")]
            Scheme::Quic => {
                let config = (self.quic.clone())
                    .map_options(hears)
                    .handshake_timeout(self.timeout)
                    .limits(self.max_connections, self.max_connections_per_address);
                Ok(TransportAcceptor::Quic(quic::Listener::bind_with(
                    address, &config,
                )?))
            }
            _ => Err(SchemeError::of(at).into()),
        }
    }
}
