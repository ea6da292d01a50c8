//! Network interfaces of this machine: addresses, routes, names.
//!
//! ```
//! # use sockkit_core as sockkit;
//! use sockkit::interfaces;
//!
//! for interface in interfaces::list()? {
//!     println!("{}: {} ({} bytes)", interface.index, interface.name, interface.mtu_bytes);
//!     for address in &interface.addresses {
//!         println!("    {}/{}", address.ip, address.prefix_bits);
//!     }
//! }
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Every call returns the current state; interfaces and addresses come and go.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
};

mod resolver;
mod selector;
mod watch;

pub use resolver::{Host, host};
pub use selector::{InterfaceSelector, NoSuchInterface};
pub(crate) use watch::Changes;

/// Returns the local address from which the routing table would send to `peer`,
/// which may be a multicast group.
///
/// ```
/// # use sockkit_core as sockkit;
/// let source = sockkit::interfaces::source_for("127.0.0.1".parse()?)?;
/// assert!(source.is_loopback());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The operating system's error if there is no route.
pub fn source_for(peer: IpAddr) -> io::Result<IpAddr> {
    // Connecting a datagram socket consults the routing table and sends
    // nothing.
    let peer = SocketAddr::new(peer, 1);
    let socket = UdpSocket::bind(crate::udp::unspecified(peer))?;
    socket.connect(peer)?;
    Ok(socket.local_addr()?.ip())
}

/// One network interface.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Interface {
    /// Its index. An interface that is re-created gets a new one.
    pub index: u32,
    /// Its name, such as `eth0`. A re-created interface keeps it.
    pub name: String,
    /// Its state and capabilities.
    pub flags: Flags,
    /// Its MTU: the largest packet it carries unfragmented, IP header included.
    pub mtu_bytes: u32,
    /// Its hardware address; none on loopback and tunnels.
    pub mac: Option<MacAddress>,
    /// Its addresses, IPv4 first.
    pub addresses: Vec<InterfaceAddress>,
    /// The routers of the default routes through it.
    pub gateways: Vec<IpAddr>,
}

/// State and capabilities of an interface.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Flags {
    /// Enabled by the administrator.
    pub up: bool,
    /// Ready to send, for example because a cable is plugged in.
    pub running: bool,
    /// A loopback interface.
    pub loopback: bool,
    /// Supports broadcast.
    pub broadcast: bool,
    /// Supports multicast.
    pub multicast: bool,
    /// A point-to-point link.
    pub point_to_point: bool,
}

/// An address of an interface, and its network.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InterfaceAddress {
    /// The address.
    pub ip: IpAddr,
    /// Length of the network prefix, in bits.
    pub prefix_bits: u8,
    /// The directed broadcast address of the network, if it has one: IPv4, on
    /// an interface that supports broadcast, with a prefix of at most 30 bits.
    pub broadcast: Option<Ipv4Addr>,
}

/// A hardware address.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct MacAddress(pub [u8; 6]);

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// All interfaces, by index.
///
/// # Errors
/// The operating system's error if the interfaces cannot be listed.
pub fn list() -> io::Result<Vec<Interface>> {
    let routes = getifs::route_table_by_filter(getifs::IpRoute::is_default)?;
    let mut interfaces = getifs::interfaces()?
        .iter()
        .map(|interface| Interface::read(interface, &routes))
        .collect::<io::Result<Vec<_>>>()?;
    interfaces.sort_by_key(|interface| interface.index);
    Ok(interfaces)
}

impl Interface {
    fn read(interface: &getifs::Interface, routes: &[getifs::IpRoute]) -> io::Result<Self> {
        let flags = Flags::read(interface.flags());
        let mut addresses: Vec<_> = interface
            .addrs()?
            .iter()
            .map(|net| InterfaceAddress::new(net.addr(), net.prefix_len(), flags))
            .collect();
        addresses.sort_by_key(|address| address.ip.is_ipv6());
        Ok(Self {
            index: interface.index(),
            name: interface.name().to_string(),
            flags,
            mtu_bytes: interface.mtu(),
            mac: interface.mac_addr().map(|mac| MacAddress(mac.octets())),
            addresses,
            gateways: routes
                .iter()
                .filter(|route| route.index() == interface.index())
                .filter_map(getifs::IpRoute::gateway)
                .collect(),
        })
    }

    /// Its IPv4 addresses.
    pub fn ipv4(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.addresses
            .iter()
            .filter_map(|address| match address.ip {
                IpAddr::V4(ip) => Some(ip),
                IpAddr::V6(_) => None,
            })
    }
}

impl Flags {
    fn read(flags: getifs::Flags) -> Self {
        let has = |flag| flags.contains(flag);
        Self {
            up: has(getifs::Flags::UP),
            running: has(getifs::Flags::RUNNING),
            loopback: has(getifs::Flags::LOOPBACK),
            broadcast: has(getifs::Flags::BROADCAST),
            multicast: has(getifs::Flags::MULTICAST),
            #[cfg(unix)]
            point_to_point: has(getifs::Flags::POINTOPOINT),
            #[cfg(not(unix))]
            point_to_point: false,
        }
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (self.up, "up"),
            (self.running, "running"),
            (self.loopback, "loopback"),
            (self.broadcast, "broadcast"),
            (self.multicast, "multicast"),
            (self.point_to_point, "point-to-point"),
        ];
        let set: Vec<_> = names
            .iter()
            .filter(|(is_set, _)| *is_set)
            .map(|(_, name)| *name)
            .collect();
        f.write_str(&set.join(", "))
    }
}

impl InterfaceAddress {
    fn new(ip: IpAddr, prefix_bits: u8, flags: Flags) -> Self {
        let broadcast = match ip {
            IpAddr::V4(ip) if flags.broadcast => broadcast_address(ip, prefix_bits),
            _ => None,
        };
        Self {
            ip,
            prefix_bits,
            broadcast,
        }
    }

    /// The netmask of the prefix, for IPv4.
    pub fn netmask(&self) -> Option<Ipv4Addr> {
        self.ip
            .is_ipv4()
            .then(|| Ipv4Addr::from_bits(!host_mask(self.prefix_bits)))
    }
}

/// Sets all host bits. Networks of one or two addresses (RFC 3021) have no
/// broadcast address.
fn broadcast_address(ip: Ipv4Addr, prefix_bits: u8) -> Option<Ipv4Addr> {
    (prefix_bits <= 30).then(|| Ipv4Addr::from_bits(ip.to_bits() | host_mask(prefix_bits)))
}

fn host_mask(prefix_bits: u8) -> u32 {
    u32::MAX.checked_shr(prefix_bits.into()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(ip: [u8; 4], prefix_bits: u8, expected: Option<[u8; 4]>) {
        assert_eq!(
            broadcast_address(ip.into(), prefix_bits),
            expected.map(Ipv4Addr::from)
        );
    }

    #[test]
    fn broadcast_depends_on_the_prefix() {
        check([192, 168, 1, 7], 24, Some([192, 168, 1, 255]));
        check([192, 168, 1, 7], 25, Some([192, 168, 1, 127]));
        check([10, 1, 2, 3], 8, Some([10, 255, 255, 255]));
        check([10, 1, 2, 3], 0, Some([255, 255, 255, 255]));
        check([10, 1, 2, 1], 30, Some([10, 1, 2, 3]));
    }

    #[test]
    fn a_network_of_two_or_one_has_no_broadcast() {
        check([10, 1, 2, 2], 31, None);
        check([10, 1, 2, 2], 32, None);
    }

    #[test]
    fn only_interfaces_that_broadcast_have_the_address() {
        let ip = IpAddr::from([127, 0, 0, 1]);
        assert_eq!(
            InterfaceAddress::new(ip, 8, Flags::default()).broadcast,
            None
        );
    }

    #[test]
    fn a_mac_address_reads_as_usual() {
        let mac = MacAddress([0x02, 0xfc, 0, 0, 0, 0x01]);
        assert_eq!(mac.to_string(), "02:fc:00:00:00:01");
    }

    #[test]
    fn netmask_follows_the_prefix() {
        let address = InterfaceAddress::new([10, 0, 0, 1].into(), 20, Flags::default());
        assert_eq!(address.netmask(), Some([255, 255, 240, 0].into()));
    }
}
