//! Limited and directed broadcast, on one interface or all of them.
//!
//! A packet to 255.255.255.255 leaves through one interface only, the one with
//! the default route, and cannot be sent without a default route.
//! [`Broadcaster::send_everywhere`] sends to the directed broadcast address of
//! each interface instead, from that interface's own address.
//!
//! ```no_run
//! # use sockkit_core as sockkit;
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! use std::net::{Ipv4Addr, SocketAddrV4};
//! use sockkit::broadcast::{Broadcaster, BroadcastKind};
//! use sockkit::interfaces;
//!
//! let broadcaster = Broadcaster::bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0))?;
//! let reached = broadcaster.send_everywhere(5007, b"discover").await?;
//! for target in reached {
//!     println!("sent to {} by interface {}", target.to, target.interface_index);
//! }
//!
//! // Ending in .255 does not make a broadcast address; a prefix does.
//! let interfaces = interfaces::list()?;
//! assert_eq!(BroadcastKind::of([255, 255, 255, 255].into(), &interfaces), Some(BroadcastKind::Limited));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! IPv6 has no broadcast and uses multicast groups instead: see
//! [`multicast`](crate::multicast).

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddrV4},
};

use crate::{
    BindError,
    interfaces::{self, Interface},
    options::SocketOptions,
    udp::{Transmit, UdpEndpoint, UdpError},
};

/// An endpoint that may send broadcasts.
#[derive(Debug)]
pub struct Broadcaster {
    endpoint: UdpEndpoint,
}

/// Destination of a broadcast.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Target {
    /// The interface it was sent from.
    pub interface_index: u32,
    /// The local address it was sent from.
    pub source: Ipv4Addr,
    /// The directed broadcast address and port.
    pub to: SocketAddrV4,
}

/// Kinds of broadcast address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BroadcastKind {
    /// 255.255.255.255: the network of the interface it leaves through.
    Limited,
    /// The network of one interface.
    Directed {
        /// Index of that interface.
        interface_index: u32,
    },
}

/// Error from sending a broadcast.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BroadcastError {
    /// The machine has no network that supports broadcast: check the cable.
    #[error("no interface that supports broadcast is up")]
    NoInterface,
    /// The operating system could not list the interfaces.
    #[error("cannot list interfaces")]
    Interfaces(#[source] io::Error),
    /// The socket failed or rejected the datagram.
    #[error(transparent)]
    Udp(#[from] UdpError),
}

impl Broadcaster {
    /// Binds `address` and allows broadcast (`SO_BROADCAST`).
    ///
    /// Bind 0.0.0.0 to receive broadcasts: a socket bound to a specific local
    /// address receives none.
    ///
    /// # Errors
    /// As [`UdpEndpoint::bind`].
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn bind(address: SocketAddrV4) -> Result<Self, BindError> {
        Self::bind_with(address, &SocketOptions::new())
    }

    /// Binds with further options.
    ///
    /// # Errors
    /// As [`UdpEndpoint::bind_with`].
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn bind_with(address: SocketAddrV4, options: &SocketOptions) -> Result<Self, BindError> {
        let options = options.clone().broadcast(true);
        Ok(Self {
            endpoint: UdpEndpoint::bind_with(address.into(), &options)?.with_packet_info()?,
        })
    }

    /// The underlying endpoint, to receive datagrams and for everything else.
    pub fn endpoint(&self) -> &UdpEndpoint {
        &self.endpoint
    }

    /// Sends one datagram to a limited, directed or unicast address.
    ///
    /// # Errors
    /// As [`UdpEndpoint::send`].
    ///
    /// # Cancel safety
    /// Cancel safe: the datagram is sent completely or not at all.
    pub async fn send(&self, to: SocketAddrV4, bytes: &[u8]) -> Result<(), UdpError> {
        self.endpoint.send(Transmit::new(to.into(), bytes)).await
    }

    /// Sends one datagram to the broadcast address of each local network.
    /// Returns where it was sent.
    ///
    /// # Errors
    /// [`BroadcastError::NoInterface`] if no network supports broadcast,
    /// [`BroadcastError::Udp`] if a send failed; the other networks were still
    /// tried.
    ///
    /// # Cancel safety
    /// Not cancel safe: the datagram may have been sent to some networks only.
    pub async fn send_everywhere(
        &self,
        port: u16,
        bytes: &[u8],
    ) -> Result<Vec<Target>, BroadcastError> {
        let interfaces = interfaces::list().map_err(BroadcastError::Interfaces)?;
        let targets: Vec<Target> = targets(&interfaces, port).collect();
        if targets.is_empty() {
            return Err(BroadcastError::NoInterface);
        }
        let batch: Vec<_> = targets
            .iter()
            .map(|target| {
                Transmit::new(target.to.into(), bytes)
                    .source(target.source.into())
                    .interface_index(target.interface_index)
            })
            .collect();
        self.endpoint.send_batch(&batch).await?;
        Ok(targets)
    }
}

impl BroadcastKind {
    /// Returns the kind of `address` on a machine with these interfaces; `None`
    /// if it is not a broadcast address there.
    pub fn of(address: Ipv4Addr, interfaces: &[Interface]) -> Option<Self> {
        if address.is_broadcast() {
            return Some(Self::Limited);
        }
        interfaces
            .iter()
            .find(|interface| {
                interface
                    .addresses
                    .iter()
                    .any(|one| one.broadcast == Some(address))
            })
            .map(|interface| Self::Directed {
                interface_index: interface.index,
            })
    }
}

/// One target per network of each interface that is up and supports broadcast.
fn targets(interfaces: &[Interface], port: u16) -> impl Iterator<Item = Target> {
    interfaces
        .iter()
        .filter(|interface| interface.flags.up)
        .flat_map(move |interface| {
            interface.addresses.iter().filter_map(move |address| {
                let IpAddr::V4(source) = address.ip else {
                    return None;
                };
                Some(Target {
                    interface_index: interface.index,
                    source,
                    to: SocketAddrV4::new(address.broadcast?, port),
                })
            })
        })
}
