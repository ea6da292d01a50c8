//! The memberships an endpoint wants, and the interfaces on which it has them.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket as StdUdpSocket},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::net::UdpSocket;

use super::{Group, MulticastError, Via};
use crate::{
    interfaces::{self, Interface, InterfaceSelector},
    sys::group::{self, Change},
};

/// All memberships of one socket.
#[derive(Debug, Default)]
pub(super) struct Memberships {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    next_id: u64,
    by_id: BTreeMap<u64, Wanted>,
}

/// One wanted membership, whether or not its interfaces are present.
#[derive(Debug)]
pub(super) struct Wanted {
    group: Group,
    /// The only source to receive from, for source-specific multicast.
    source: Option<IpAddr>,
    via: Via,
    blocked: BTreeSet<IpAddr>,
    /// Interfaces on which the kernel has joined.
    joined: BTreeSet<u32>,
}

impl Memberships {
    /// Joins, and remembers the membership; returns its id.
    pub(super) fn add(
        &self,
        socket: &UdpSocket,
        mut wanted: Wanted,
    ) -> Result<u64, MulticastError> {
        let interfaces = interfaces::list()?;
        let mut table = self.table();
        let found = wanted.interface_indexes(&interfaces);
        if found.is_empty() {
            return Err(MulticastError::NoInterface {
                group: wanted.group,
            });
        }
        for interface_index in found {
            if let Err(source) = wanted.join(socket, interface_index) {
                wanted.leave_all(socket);
                return Err(MulticastError::Join {
                    group: wanted.group,
                    interface_index,
                    source,
                });
            }
        }
        let id = table.next_id;
        table.next_id += 1;
        table.by_id.insert(id, wanted);
        Ok(id)
    }

    pub(super) fn remove(&self, socket: &UdpSocket, id: u64) {
        if let Some(mut wanted) = self.table().by_id.remove(&id) {
            wanted.leave_all(socket);
        }
    }

    pub(super) fn interface_indexes(&self, id: u64) -> Vec<u32> {
        let table = self.table();
        let joined = table.by_id.get(&id).map(|wanted| &wanted.joined);
        joined.into_iter().flatten().copied().collect()
    }

    /// Blocks or unblocks `source`, now and on interfaces that are joined
    /// later.
    pub(super) fn filter(
        &self,
        socket: &UdpSocket,
        id: u64,
        source: IpAddr,
        change: Change,
    ) -> io::Result<()> {
        let mut table = self.table();
        let wanted = table.by_id.get_mut(&id).ok_or(io::ErrorKind::NotFound)?;
        for &interface_index in &wanted.joined {
            group::change(socket, wanted.group.ip(), interface_index, change)?;
        }
        match change {
            Change::Block(_) => wanted.blocked.insert(source),
            _ => wanted.blocked.remove(&source),
        };
        Ok(())
    }

    /// Joins on interfaces that have appeared and forgets those that have gone.
    pub(super) fn follow_interfaces(&self, socket: &UdpSocket) {
        let interfaces = match interfaces::list() {
            Ok(interfaces) => interfaces,
            Err(error) => {
                tracing::warn!(%error, "cannot list interfaces to rejoin groups");
                return;
            }
        };
        for wanted in self.table().by_id.values_mut() {
            wanted.follow(socket, &interfaces);
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wanted {
    pub(super) fn new(
        group: Group,
        source: Option<IpAddr>,
        via: &Via,
    ) -> Result<Self, MulticastError> {
        let via = match via {
            // A re-created interface keeps its name, not its index.
            Via::Interface(selector @ InterfaceSelector::Index(_)) => {
                Via::Interface(InterfaceSelector::Name(selector.find()?.name))
            }
            Via::Interface(selector) => {
                selector.find()?;
                via.clone()
            }
            Via::Route | Via::All => via.clone(),
        };
        Ok(Self {
            group,
            source,
            via,
            blocked: BTreeSet::new(),
            joined: BTreeSet::new(),
        })
    }

    /// The interfaces on which to join the group.
    fn interface_indexes(&self, interfaces: &[Interface]) -> BTreeSet<u32> {
        let is_wanted = |interface: &Interface| match &self.via {
            Via::Interface(selector) => selector.matches(interface),
            Via::All => {
                let flags = interface.flags;
                flags.up && flags.multicast && !flags.loopback && self.has_address(interface)
            }
            Via::Route => source_towards(self.group)
                .is_some_and(|source| InterfaceSelector::Address(source).matches(interface)),
        };
        interfaces
            .iter()
            .filter(|interface| is_wanted(interface))
            .map(|interface| interface.index)
            .collect()
    }

    /// Whether the interface has an address of the group's IP version.
    fn has_address(&self, interface: &Interface) -> bool {
        let is_ipv4 = self.group.ip().is_ipv4();
        interface
            .addresses
            .iter()
            .any(|address| address.ip.is_ipv4() == is_ipv4)
    }

    fn follow(&mut self, socket: &UdpSocket, interfaces: &[Interface]) {
        let exists = |index: &u32| interfaces.iter().any(|interface| interface.index == *index);
        let gone: Vec<_> = self
            .joined
            .iter()
            .copied()
            .filter(|index| !exists(index))
            .collect();
        for interface_index in gone {
            // The kernel keeps the entry, and counts it towards its limit.
            self.leave(socket, interface_index);
        }
        for interface_index in self.interface_indexes(interfaces) {
            if self.joined.contains(&interface_index) {
                continue;
            }
            match self.join(socket, interface_index) {
                Ok(()) => tracing::debug!(group = %self.group, interface_index, "rejoined"),
                // Possibly not fully configured yet: the next change tries
                // again.
                Err(error) => {
                    tracing::debug!(%error, group = %self.group, interface_index, "not joined");
                }
            }
        }
    }

    fn join(&mut self, socket: &UdpSocket, interface_index: u32) -> io::Result<()> {
        let change = self.source.map_or(Change::Join, Change::JoinSource);
        group::change(socket, self.group.ip(), interface_index, change)?;
        self.joined.insert(interface_index);
        for &source in &self.blocked {
            group::change(
                socket,
                self.group.ip(),
                interface_index,
                Change::Block(source),
            )?;
        }
        Ok(())
    }

    fn leave(&mut self, socket: &UdpSocket, interface_index: u32) {
        let change = self.source.map_or(Change::Leave, Change::LeaveSource);
        // A membership that the kernel has already dropped counts as left.
        let _ = group::change(socket, self.group.ip(), interface_index, change);
        self.joined.remove(&interface_index);
    }

    fn leave_all(&mut self, socket: &UdpSocket) {
        for interface_index in self.joined.clone() {
            self.leave(socket, interface_index);
        }
    }
}

/// The local address from which the group would be sent to.
fn source_towards(group: Group) -> Option<IpAddr> {
    let any: IpAddr = match group.ip() {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // Connecting a datagram socket consults the routing table and sends
    // nothing.
    let socket = StdUdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    socket
        .connect(SocketAddr::new(group.ip(), DISCARD_PORT))
        .ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// RFC 863. Any port other than zero works.
const DISCARD_PORT: u16 = 9;
