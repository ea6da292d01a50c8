//! Listening.

#[cfg(feature = "pairing")]
use std::sync::Arc;
use std::{io, net::SocketAddr};

use sockkit_core::{
    options::SocketOptions,
    tcp::{self, ListenConfig},
};
use tokio::time::timeout;

use super::Node;
#[cfg(feature = "pairing")]
use crate::acceptor::SecureDoor;
#[cfg(feature = "tls")]
use crate::acceptor::TlsDoor;
#[cfg(feature = "pairing")]
use crate::pairing::{self, Party};
#[cfg(feature = "quic")]
use crate::quic;
use crate::{
    Acceptor, Address, Host, ListenError, Scheme, SchemeError,
    acceptor::{Door, TcpDoor},
};

impl Node {
    /// Listens at `at`; port 0 lets the system choose.
    ///
    /// An address without a host is every address of this machine, of IPv6 and
    /// of IPv4. Of a name that stands for several addresses the first is taken
    /// that can be bound.
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
            after: self.timeout,
        })??;
        let both = *at.host() == Host::Unspecified;
        if both {
            // One socket hears both versions, on a machine that has both.
            found.sort_by_key(SocketAddr::is_ipv4);
        }
        let mut failed = None;
        for address in found {
            match self.bind(at, address, both && address.is_ipv6()) {
                Ok(door) => return Ok(Acceptor::new(door, at.scheme())?),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        Err(failed.unwrap_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable).into()))
    }

    /// At one address; an IPv6 one takes IPv4 too if it is to hear `both`.
    fn bind(&self, at: &Address, address: SocketAddr, both: bool) -> Result<Door, ListenError> {
        #[cfg(feature = "pairing")]
        if let Some(party) = &self.party {
            return self.bind_secure(at, address, both, party);
        }
        match at.scheme() {
            Scheme::Tcp => {
                let listener = self.bind_tcp(address, both)?;
                Ok(Door::Tcp(TcpDoor::new(listener, self.slots())))
            }
            #[cfg(feature = "tls")]
            Scheme::Tls => {
                let keys = self.keys.server.clone();
                let keys = keys.ok_or_else(|| SchemeError::NoKeys {
                    address: at.clone(),
                })?;
                let listener = self.bind_tcp(address, both)?;
                let door = TlsDoor::start(listener, self.slots(), keys, self.timeout)?;
                Ok(Door::Tls(door))
            }
            #[cfg(feature = "quic")]
            Scheme::Quic => self.bind_quic(address, both, self.quic.clone()),
            _ => Err(SchemeError::of(at).into()),
        }
    }

    /// The same, with both ends proved.
    #[cfg(feature = "pairing")]
    fn bind_secure(
        &self,
        at: &Address,
        address: SocketAddr,
        both: bool,
        party: &Party,
    ) -> Result<Door, ListenError> {
        let below = match at.scheme() {
            Scheme::Tcp | Scheme::Tls => {
                let service = pairing::protocol(self.quic.service());
                let keys = Arc::new(party.identity.listener(&service)?);
                let listener = self.bind_tcp(address, both)?;
                Door::Tls(TlsDoor::start(listener, self.slots(), keys, self.timeout)?)
            }
            Scheme::Quic => {
                let config = self.quic.clone().identity(party.identity.clone());
                self.bind_quic(address, both, config)?
            }
            _ => return Err(SchemeError::of(at).into()),
        };
        let door = SecureDoor::start(below, party.clone(), self.timeout)?;
        Ok(Door::Secure(door))
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
        config: quic::Config,
    ) -> Result<Door, ListenError> {
        let config = config
            .map_options(|options| hearing(both, options))
            .handshake_timeout(self.timeout)
            .limits(self.max_connections, self.max_connections_per_address);
        Ok(Door::Quic(quic::Listener::bind_with(address, &config)?))
    }
}

/// The options of a socket that hears both versions of IP, or its own.
fn hearing(both: bool, options: &SocketOptions) -> SocketOptions {
    match both {
        true => options.clone().only_v6(false),
        false => options.clone(),
    }
}
