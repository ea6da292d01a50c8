//! Limited and directed broadcast, on one interface or all.
//!
//! A packet to 255.255.255.255 leaves through one interface only, the one with
//! the default route, and not at all on a machine without one.
//! [`Broadcaster::send_everywhere`] sends to the directed address of each
//! interface instead, from the address that its network knows.
//!
//! ```no_run
//! # use sockkit_core as sockkit;
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! use std::net::{Ipv4Addr, SocketAddrV4};
//! use sockkit::broadcast::{Broadcaster, BroadcastKind};
//! use sockkit::interfaces;
//!
//! let broadcaster = Broadcaster::bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0))?;
//! let reached = broadcaster.send_everywhere(5007, b"anybody here?").await?;
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
//! IPv6 has no broadcast: its groups do that work, see
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

/// An endpoint that may send to everybody on a network.
#[derive(Debug)]
pub struct Broadcaster {
    endpoint: UdpEndpoint,
}

/// Where a broadcast went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Target {
    /// The interface it left by.
    pub interface_index: u32,
    /// The address of this machine that it came from.
    pub source: Ipv4Addr,
    /// The directed broadcast address and port.
    pub to: SocketAddrV4,
}

/// What kind of broadcast address an address is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BroadcastKind {
    /// 255.255.255.255: the network of whichever interface it leaves by.
    Limited,
    /// All of one interface's network.
    Directed {
        /// That interface.
        interface_index: u32,
    },
}

/// Why a broadcast was not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BroadcastError {
    /// The machine is on no network that broadcasts: plug a cable in.
    #[error("no interface is up that broadcasts")]
    NoInterface,
    /// The system would not list the interfaces.
    #[error("cannot list interfaces")]
    Interfaces(#[source] io::Error),
    /// The socket failed or refused.
    #[error(transparent)]
    Udp(#[from] UdpError),
}

impl Broadcaster {
    /// Binds `address` and allows broadcast (`SO_BROADCAST`).
    ///
    /// To hear broadcasts, bind 0.0.0.0: a socket bound to one of the
    /// machine's addresses hears none.
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

    /// The endpoint, for receiving and for all else.
    pub fn endpoint(&self) -> &UdpEndpoint {
        &self.endpoint
    }

    /// Sends one datagram to one address, limited, directed or a machine's.
    ///
    /// # Errors
    /// As [`UdpEndpoint::send`].
    ///
    /// # Cancel safety
    /// Cancel safe: sent whole or not at all.
    pub async fn send(&self, to: SocketAddrV4, bytes: &[u8]) -> Result<(), UdpError> {
        self.endpoint.send(Transmit::new(to.into(), bytes)).await
    }

    /// Sends one datagram to everybody on each of the machine's networks; says
    /// where it went.
    ///
    /// # Errors
    /// [`BroadcastError::NoInterface`] if there is no network to send to,
    /// [`BroadcastError::Udp`] if one of them failed; the others were tried.
    ///
    /// # Cancel safety
    /// Not cancel safe: it may have gone to some networks and not to others.
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
    /// The kind of `address` on a machine with these interfaces; `None` if it
    /// is no broadcast address there.
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

/// One target for each network of each interface that is up and broadcasts.
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
