//! The port of a host on a network: its interface, and the cable to the switch.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::{Duration, Instant},
};

use super::{Host, Relay, kernel};
use crate::sim::LinkConfig;

/// A host's interface on one network, and its cable.
#[derive(Clone, Copy, Debug)]
pub struct Port<'a> {
    pub(super) host: &'a Host,
    pub(super) network: u8,
}

impl Port<'_> {
    /// The interface's name inside the host.
    pub fn interface(&self) -> String {
        format!("eth{}", self.network)
    }

    /// The interface's index inside the host.
    ///
    /// # Panics
    /// If the interface is [deleted](Self::delete).
    pub fn index(&self) -> u32 {
        let interface = self.interface();
        self.host
            .run(|| kernel::index_of(&interface))
            .unwrap_or_else(|error| panic!("{interface}: {error}"))
    }

    /// Ethernet bytes that the host has sent here.
    ///
    /// # Panics
    /// If the interface is [deleted](Self::delete).
    pub fn sent_bytes(&self) -> u64 {
        let interface = self.interface();
        let read = || std::fs::read_to_string("/proc/thread-self/net/dev");
        let counters = self.host.run(read).expect("the kernel counts bytes");
        let fields = counters.lines().find_map(|line| {
            let (name, fields) = line.split_once(':')?;
            (name.trim() == interface).then_some(fields)
        });
        let sent = fields.and_then(|fields| fields.split_ascii_whitespace().nth(8)?.parse().ok());
        sent.unwrap_or_else(|| panic!("{interface} is not there"))
    }

    /// The host's IPv4 address here; the prefix is 24 bits long.
    pub fn ipv4(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, self.network, self.host.index + 1)
    }

    /// The network's broadcast address.
    pub fn broadcast(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, self.network, 255)
    }

    /// The host's IPv6 address here; the prefix is 64 bits long.
    pub fn ipv6(&self) -> Ipv6Addr {
        let host = u16::from(self.host.index) + 1;
        Ipv6Addr::new(0xfd77, self.network.into(), 0, 0, 0, 0, 0, host)
    }

    /// Pulls the cable at the switch: the host loses its carrier.
    ///
    /// # Panics
    /// If `ip` fails.
    pub fn cut(&self) {
        self.host
            .switch
            .ip(&format!("link set {} down", self.far_end()));
    }

    /// Reconnects the cable.
    ///
    /// # Panics
    /// If `ip` fails.
    pub fn restore(&self) {
        self.host
            .switch
            .ip(&format!("link set {} up", self.far_end()));
        self.wait_until_it_carries();
    }

    /// Deletes the interface, like unplugging an adapter.
    ///
    /// # Panics
    /// If `ip` fails.
    pub fn delete(&self) {
        self.host
            .namespace
            .ip(&format!("link del {}", self.interface()));
    }

    /// Re-creates the interface after [`delete`](Self::delete), with the same
    /// name and addresses and a new index.
    ///
    /// # Panics
    /// If `ip` fails.
    pub fn create(&self) {
        let (far, near, network) = (self.far_end(), self.interface(), self.network);
        self.host.switch.ip(&format!(
            "link add {far} type veth peer name {near} netns {}\n\
             link set {far} master br{network} up",
            self.host.namespace.path(),
        ));
        self.bring_up();
    }

    /// Connects a cable whose packets pass through this process, which impairs them as
    /// `config` says, in both directions. It supports everything that
    /// [`Link`](crate::sim::Link) does, including delay. Neighbour discovery (ARP and
    /// ICMPv6) passes immediately. The previous cable is disconnected, and the interface
    /// gets a new index; [`create`](Self::create) connects an ordinary one again.
    ///
    /// Packets pass separately, regardless of offloads. A busy machine delays packets
    /// longer than requested, never shorter.
    ///
    /// # Panics
    /// If `ip` fails, or the process may not open `/dev/net/tun`
    /// ([`Need::Device`](crate::needs::Need::Device)).
    pub fn relay(&self, config: &LinkConfig, seed: u64) -> Relay {
        let (near, far) = (self.interface(), self.far_end());
        let is_there = self.host.run(|| kernel::index_of(&near).is_ok());
        if is_there {
            self.delete();
        }
        let ends =
            [(&self.host.namespace, &near), (&*self.host.switch, &far)].map(|(namespace, name)| {
                let tap = namespace.run(|| kernel::open_tap(name));
                // Packets that wait for this process must not be dropped.
                namespace.ip(&format!("link set {name} txqueuelen {RELAY_QUEUE_FRAMES}"));
                tap.unwrap_or_else(|error| panic!("{name}: {error}"))
            });
        let network = self.network;
        self.host
            .switch
            .ip(&format!("link set {far} master br{network} up"));
        let relay = Relay::start(ends, config, seed);
        self.bring_up();
        relay
    }

    /// Gives the interface its addresses.
    fn bring_up(&self) {
        let near = self.interface();
        self.host.namespace.ip(&format!(
            "addr add {}/24 broadcast + dev {near}\n\
             addr add {}/64 dev {near} nodad\n\
             link set {near} up",
            self.ipv4(),
            self.ipv6(),
        ));
        self.wait_until_it_carries();
    }

    /// The kernel detects a carrier with a delay; until then both ends and the
    /// bridge drop packets.
    fn wait_until_it_carries(&self) {
        let deadline = Instant::now() + CARRIER_DEADLINE;
        let (near, far) = (self.interface(), self.far_end());
        // A relay's interface reports only that it is not down.
        let up = ["state UP", "state UNKNOWN"].as_slice();
        for (namespace, interface, signs) in [
            (&self.host.namespace, &near, up),
            (&*self.host.switch, &far, up),
            (&*self.host.switch, &far, &["state forwarding"]),
        ] {
            let show = ["ip", "-details", "link", "show", interface];
            let is_up = || {
                let shown = namespace.command(&show, "");
                signs.iter().any(|sign| shown.contains(sign))
            };
            while !is_up() {
                assert!(Instant::now() < deadline, "{interface} does not come up");
            }
        }
    }

    /// Sends every packet separately, as a real cable does, instead of several
    /// merged ones. Needs `ethtool`.
    ///
    /// # Panics
    /// If `ethtool` fails.
    pub fn offloads_off(&self) {
        for (namespace, interface) in [
            (&self.host.namespace, self.interface()),
            (&*self.host.switch, self.far_end()),
        ] {
            namespace.command(
                &[
                    "ethtool",
                    "-K",
                    &interface,
                    "gro",
                    "off",
                    "gso",
                    "off",
                    "tso",
                    "off",
                    "tx-udp-segmentation",
                    "off",
                ],
                "",
            );
        }
    }

    /// The name of the cable's far end, at the switch.
    pub(super) fn far_end(&self) -> String {
        format!("h{}n{}", self.host.index, self.network)
    }
}

/// How long the kernel may take to detect a carrier.
const CARRIER_DEADLINE: Duration = Duration::from_secs(10);

/// Half a second of frames at 100 Mbit/s.
const RELAY_QUEUE_FRAMES: usize = 4_096;
