//! The port of a host on a network: its interface, and the cable to the switch.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::{Duration, Instant},
};

use super::{Host, kernel};

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
        for (namespace, interface, sign) in [
            (&self.host.namespace, &near, "state UP"),
            (&*self.host.switch, &far, "state UP"),
            (&*self.host.switch, &far, "state forwarding"),
        ] {
            let show = ["ip", "-details", "link", "show", interface];
            while !namespace.command(&show, "").contains(sign) {
                assert!(Instant::now() < deadline, "{interface} does not come up");
            }
        }
    }

    /// Randomly drops this fraction of the packets that arrive at the host.
    /// With 1 all packets are dropped silently while the carrier stays; 0 turns
    /// it off. Needs `nft`.
    ///
    /// Turn the [offloads off](Self::offloads_off) on both hosts first if
    /// losses must be per packet: merged packets are dropped together.
    ///
    /// # Panics
    /// If `nft` fails, or `share` is not between 0 and 1.
    pub fn loss(&self, share: f64) {
        assert!((0.0..=1.0).contains(&share), "{share} is no share");
        let parts = (1..=LOSS_PARTS)
            .filter(|&part| part as f64 / LOSS_PARTS as f64 <= share)
            .count();
        // nft rejects comparisons that are always true or always false.
        let chance = match parts {
            0 => return self.end_loss(),
            LOSS_PARTS => String::new(),
            parts => format!("numgen random mod {LOSS_PARTS} < {parts}"),
        };
        self.end_loss();
        self.nft(&format!(
            "table inet {} {{ chain arriving {{ \
             type filter hook prerouting priority raw; \
             iifname {} {chance} drop; }}; }}\n",
            self.table(),
            self.interface(),
        ));
    }

    fn end_loss(&self) {
        // Deleting a missing table is an error, so it is created first.
        let table = self.table();
        self.nft(&format!(
            "add table inet {table}\ndelete table inet {table}\n"
        ));
    }

    fn nft(&self, lines: &str) {
        self.host.namespace.command(&["nft", "-f", "-"], lines);
    }

    fn table(&self) -> String {
        format!("loss{}", self.network)
    }

    /// Limits the host's send rate. Needs `tc`.
    ///
    /// # Panics
    /// If `tc` fails.
    pub fn rate(&self, bits_per_second: u64) {
        let (interface, rate) = (self.interface(), format!("{bits_per_second}bit"));
        self.host.namespace.command(
            &[
                "tc", "qdisc", "replace", "dev", &interface, "root", "tbf", "rate", &rate, "burst",
                "16kb", "latency", "50ms",
            ],
            "",
        );
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

    /// The name of the cable's far end.
    fn far_end(&self) -> String {
        format!("h{}n{}", self.host.index, self.network)
    }
}

/// How long the kernel may take to detect a carrier.
const CARRIER_DEADLINE: Duration = Duration::from_secs(10);

/// Resolution of the loss fraction.
const LOSS_PARTS: usize = 1_000;
