//! Any-source and source-specific multicast, IPv4 and IPv6.
//!
//! ```
//! # use sockkit_core as sockkit;
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! use sockkit::multicast::{Group, MulticastEndpoint, Via};
//! use sockkit::udp::Transmit;
//!
//! let group: Group = "239.1.2.3".parse()?;
//! let lan = Via::Interface("127.0.0.1".parse()?);
//!
//! let receiver = MulticastEndpoint::bind(([0, 0, 0, 0], 0).into())?;
//! // Leaves when dropped.
//! let membership = receiver.join(group, &lan)?;
//!
//! let sender = MulticastEndpoint::bind(([0, 0, 0, 0], 0).into())?;
//! sender.set_outgoing(&"127.0.0.1".parse()?)?;
//! let to = (group.ip(), receiver.endpoint().local_addr()?.port()).into();
//! sender.endpoint().send(Transmit::new(to, b"hello, all")).await?;
//!
//! let mut buffer = [0; 64];
//! assert_eq!(receiver.endpoint().recv(&mut buffer).await?.bytes, b"hello, all");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Which interface
//! A machine usually has several, and the kernel's choice (the default route)
//! is often wrong. [`Via`] selects one or all of them. When an interface
//! disappears and returns, with a new index, the endpoint rejoins its groups.
//!
//! # Which groups are received
//! The endpoint receives only groups that it has joined itself: it turns off
//! `IP_MULTICAST_ALL`, with which Linux delivers every group that any program
//! on the machine has joined.
//!
//! # How far it goes
//! Packets stay on the local network unless
//! [`SocketOptions::multicast_hops`](crate::options::SocketOptions::multicast_hops)
//! allows more hops. The sending machine receives its own packets unless
//! `multicast_loop` is off.
//!
//! # Platforms
//! Source-specific groups and blocked sources are implemented on Linux and Windows,
//! and fail as unsupported elsewhere. The rest has not been run on macOS, and on
//! Windows under Wine only.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Weak},
};

use socket2::SockRef;
use tokio::task::AbortHandle;

mod error;
mod group;
mod membership;
mod memberships;

pub use error::MulticastError;
pub use group::{Group, NotAGroup};
pub use membership::Membership;

use crate::{
    BindError,
    interfaces::{self, Changes, Interface, InterfaceSelector},
    options::SocketOptions,
    sys,
    udp::{Transmit, UdpEndpoint},
};
use memberships::{Memberships, Wanted};

/// A UDP endpoint that can join multicast groups.
///
/// Several endpoints on one machine may bind the same port; each receives every
/// packet.
#[derive(Debug)]
pub struct MulticastEndpoint {
    shared: Arc<Shared>,
    /// Aborted when the endpoint is dropped.
    watcher: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    udp: UdpEndpoint,
    memberships: Memberships,
}

/// The interfaces on which to join a group.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Via {
    /// The interface to which the routing table sends the group's packets.
    Route,
    /// This interface, also when it returns after an absence.
    Interface(InterfaceSelector),
    /// All interfaces that support multicast, including those that appear
    /// later.
    All,
}

impl MulticastEndpoint {
    /// Binds `address`; other sockets may share the port.
    ///
    /// Bind the unspecified address of the IP version (0.0.0.0 or ::) to
    /// receive groups. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// As [`UdpEndpoint::bind`].
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn bind(address: SocketAddr) -> Result<Self, BindError> {
        Self::bind_with(address, &SocketOptions::new())
    }

    /// Binds with further options, such as hops and loopback.
    ///
    /// # Errors
    /// As [`UdpEndpoint::bind_with`].
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn bind_with(address: SocketAddr, options: &SocketOptions) -> Result<Self, BindError> {
        let options = options.clone().reuse_address(true);
        // On BSD-derived systems, sharing a port needs this option.
        #[cfg(all(unix, not(target_os = "linux")))]
        let options = options.reuse_port(true);
        #[cfg(target_os = "linux")]
        let options = options.multicast_all_v4(false).multicast_all_v6(false);
        let shared = Arc::new(Shared {
            udp: UdpEndpoint::bind_with(address, &options)?.with_packet_info()?,
            memberships: Memberships::default(),
        });
        let watcher = tokio::spawn(rejoin(Changes::watch()?, Arc::downgrade(&shared)));
        Ok(Self {
            shared,
            watcher: watcher.abort_handle(),
        })
    }

    /// The underlying UDP endpoint, to send and receive with.
    pub fn endpoint(&self) -> &UdpEndpoint {
        &self.shared.udp
    }

    /// Joins `group`: receives from every sender, except blocked sources.
    ///
    /// # Errors
    /// [`MulticastError`] if no interface matches `via`, or the operating
    /// system rejects the membership: already joined, or too many (Linux allows
    /// 20 per socket, `net.ipv4.igmp_max_memberships`).
    pub fn join(&self, group: Group, via: &Via) -> Result<Membership, MulticastError> {
        self.add(group, None, via)
    }

    /// Joins `group` to receive from `source` only.
    ///
    /// Call it again for each further source.
    ///
    /// # Errors
    /// As [`join`](Self::join), and [`MulticastError::NotASource`] if `source`
    /// is not a unicast address of the group's IP version.
    pub fn join_source(
        &self,
        group: Group,
        source: IpAddr,
        via: &Via,
    ) -> Result<Membership, MulticastError> {
        self.add(group, Some(group.check_source(source)?), via)
    }

    /// Sets the interface through which groups are sent.
    ///
    /// A single packet can override it with
    /// [`Transmit::interface_index`](crate::udp::Transmit::interface_index).
    ///
    /// # Errors
    /// [`MulticastError::Interface`] if no interface matches,
    /// [`MulticastError::Io`] if the operating system rejects it.
    pub fn set_outgoing(&self, interface: &InterfaceSelector) -> Result<(), MulticastError> {
        let index = interface.find()?.index;
        let socket = self.endpoint().socket();
        if self.endpoint().local_addr()?.is_ipv6() {
            SockRef::from(socket).set_multicast_if_v6(index)?;
        } else {
            sys::group::set_outgoing_ipv4(socket, index)?;
        }
        Ok(())
    }

    /// Sends one datagram to `group` on each interface that is up and supports
    /// multicast. Returns the indexes of those interfaces.
    ///
    /// ```no_run
    /// # use sockkit_core as sockkit;
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// use sockkit::multicast::MulticastEndpoint;
    ///
    /// let endpoint = MulticastEndpoint::bind(([0, 0, 0, 0], 0).into())?;
    /// let group = "239.1.2.3".parse()?;
    /// let interfaces = endpoint.send_everywhere(group, 5007, b"discover").await?;
    /// println!("sent on the interfaces {interfaces:?}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MulticastError::NoInterface`] if there is none,
    /// [`MulticastError::Udp`] if a send failed; the other interfaces were
    /// still tried.
    ///
    /// # Cancel safety
    /// Not cancel safe: the datagram may have been sent on some interfaces
    /// only.
    pub async fn send_everywhere(
        &self,
        group: Group,
        port: u16,
        bytes: &[u8],
    ) -> Result<Vec<u32>, MulticastError> {
        let indexes: Vec<u32> = interfaces::list()?
            .iter()
            .filter(|interface| reaches(interface, group))
            .map(|interface| interface.index)
            .collect();
        if indexes.is_empty() {
            return Err(MulticastError::NoInterface { group });
        }
        let to = SocketAddr::new(group.ip(), port);
        let batch: Vec<_> = indexes
            .iter()
            .map(|index| Transmit::new(to, bytes).interface_index(*index))
            .collect();
        self.endpoint().send_batch(&batch).await?;
        Ok(indexes)
    }

    fn add(
        &self,
        group: Group,
        source: Option<IpAddr>,
        via: &Via,
    ) -> Result<Membership, MulticastError> {
        let wanted = Wanted::new(group, source, via)?;
        let id = self
            .shared
            .memberships
            .add(self.endpoint().socket(), wanted)?;
        Ok(Membership::new(Arc::downgrade(&self.shared), id, group))
    }
}

impl Drop for MulticastEndpoint {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

/// Whether `interface` has an address from which it can send to `group`.
fn reaches(interface: &Interface, group: Group) -> bool {
    let is_of_its_version = |ip: IpAddr| ip.is_ipv4() == group.ip().is_ipv4();
    interface.flags.up
        && interface.flags.multicast
        && (interface.addresses.iter()).any(|address| is_of_its_version(address.ip))
}

/// Rejoins groups as interfaces change, for as long as the endpoint lives.
async fn rejoin(changes: Changes, shared: Weak<Shared>) {
    loop {
        if let Err(error) = changes.next().await {
            tracing::warn!(%error, "groups will no longer be rejoined");
            return;
        }
        let Some(shared) = shared.upgrade() else {
            return;
        };
        shared.memberships.follow_interfaces(shared.udp.socket());
    }
}
