//! A UDP socket for messages, with or without a group.

use std::net::SocketAddr;

use sockkit_core::{
    interfaces::InterfaceSelector,
    multicast::{Group, Membership, MulticastEndpoint, Via},
    options::SocketOptions,
    udp::{UdpEndpoint, unspecified},
};

use super::ChannelError;

/// A socket that leaves its group when dropped.
#[derive(Debug)]
pub(super) enum Socket {
    Alone(UdpEndpoint),
    InGroup {
        endpoint: MulticastEndpoint,
        /// Senders need none.
        _membership: Option<Membership>,
    },
}

impl Socket {
    /// Binds a local address, or joins a group at its port.
    pub(super) fn receiving(
        address: SocketAddr,
        interface: Option<&InterfaceSelector>,
        options: &SocketOptions,
    ) -> Result<Self, ChannelError> {
        let Ok(group) = Group::new(address.ip()) else {
            // A sender on this machine is recognised by the address that it
            // sent to.
            #[cfg(target_os = "linux")]
            let options = &options.clone().packet_info(true);
            return Ok(Self::Alone(UdpEndpoint::bind_with(address, options)?));
        };
        let any = SocketAddr::new(unspecified(address).ip(), address.port());
        let endpoint = MulticastEndpoint::bind_with(any, options)?;
        let via = interface.map_or(Via::Route, |named| Via::Interface(named.clone()));
        Ok(Self::InGroup {
            _membership: Some(endpoint.join(group, &via)?),
            endpoint,
        })
    }

    /// Binds for sending to `destinations`, which have the same IP version.
    pub(super) fn sending(
        bind: SocketAddr,
        destinations: &[SocketAddr],
        interface: Option<&InterfaceSelector>,
        options: &SocketOptions,
    ) -> Result<Self, ChannelError> {
        if !destinations.iter().any(|to| to.ip().is_multicast()) {
            return Ok(Self::Alone(UdpEndpoint::bind_with(bind, options)?));
        }
        let endpoint = MulticastEndpoint::bind_with(bind, options)?;
        if let Some(interface) = interface {
            endpoint.set_outgoing(interface)?;
        }
        Ok(Self::InGroup {
            endpoint,
            _membership: None,
        })
    }

    /// Sends to groups by the interface with this address.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub(super) fn set_outgoing(&self, local: std::net::IpAddr) -> Result<(), ChannelError> {
        match self {
            Self::Alone(_) => Ok(()),
            Self::InGroup { endpoint, .. } => {
                Ok(endpoint.set_outgoing(&InterfaceSelector::Address(local))?)
            }
        }
    }

    pub(super) fn endpoint(&self) -> &UdpEndpoint {
        match self {
            Self::Alone(endpoint) => endpoint,
            Self::InGroup { endpoint, .. } => endpoint.endpoint(),
        }
    }
}
