//! What was found so far, address by address. Pure.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use super::{
    Hint, Role,
    record::{Read, short_name},
};
use crate::{Address, Host, Scheme};

/// A machine that announces something: where it is, not whose it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    label: String,
    role: Role,
    scheme: Scheme,
    addresses: Vec<SocketAddr>,
    hint: Option<Hint>,
}

impl Found {
    /// Its name. Two machines may have the same.
    pub fn name(&self) -> &str {
        short_name(&self.label)
    }

    /// Its name with what tells it from others of that name, for now.
    pub fn full_name(&self) -> &str {
        &self.label
    }

    /// What it offers.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Where to dial it: the first of its addresses.
    pub fn address(&self) -> Address {
        let first = self.addresses.first();
        let host = first.map_or(Host::Unspecified, |first| (*first).into());
        Address::new(self.scheme, host, first.map_or(0, SocketAddr::port))
    }

    /// All of its addresses: those of IPv4 first, and loopback last.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What tells those who know its identity that it is that one, if it says so.
    pub fn hint(&self) -> Option<&Hint> {
        self.hint.as_ref()
    }

    fn is_called(&self, name: &str) -> bool {
        // DNS knows no case.
        let same = |own: &str| own.to_lowercase() == name.to_lowercase();
        same(self.name()) || same(&self.label)
    }
}

/// Gathers what is announced: an announcement comes in parts, and again.
#[derive(Debug, Default)]
pub(super) struct Collector {
    found: BTreeMap<String, Found>,
}

impl Collector {
    /// Takes in one announcement, or more of its addresses.
    pub(super) fn handle_announced(
        &mut self,
        read: Read,
        addresses: impl IntoIterator<Item = SocketAddr>,
    ) {
        if self.found.len() == MAX_FOUND && !self.found.contains_key(&read.label) {
            return;
        }
        let found = self.found.entry(read.label.clone()).or_insert(Found {
            label: read.label,
            role: read.role,
            scheme: read.scheme,
            addresses: Vec::new(),
            hint: None,
        });
        (found.role, found.scheme, found.hint) = (read.role, read.scheme, read.hint);
        for address in addresses {
            if found.addresses.len() < MAX_ADDRESSES
                && address.port() != 0
                && can_be_dialled(address.ip())
                && !found.addresses.contains(&address)
            {
                found.addresses.push(address);
            }
        }
        found.addresses.sort_by_key(order);
    }

    /// It has ended, and said so.
    pub(super) fn handle_ended(&mut self, label: &str) {
        self.found.remove(label);
    }

    /// All that can be dialled.
    pub(super) fn all(&self) -> impl Iterator<Item = &Found> {
        self.found
            .values()
            .filter(|found| !found.addresses.is_empty())
    }

    /// Those of this name.
    pub(super) fn called(&self, role: Role, name: &str) -> Vec<Found> {
        let called = |found: &&Found| found.role == role && found.is_called(name);
        self.all().filter(called).cloned().collect()
    }
}

fn can_be_dialled(ip: IpAddr) -> bool {
    !ip.is_unspecified() && !ip.is_multicast()
}

/// What works most often comes first.
fn order(address: &SocketAddr) -> (bool, bool, bool) {
    let is_link_local = match address.ip() {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    (address.ip().is_loopback(), address.is_ipv6(), is_link_local)
}

/// More than a person reads, and than a network of ours has.
const MAX_FOUND: usize = 256;

const MAX_ADDRESSES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(label: &str) -> Read {
        Read {
            role: Role::Camera,
            label: label.to_owned(),
            scheme: Scheme::Tcp,
            hint: None,
        }
    }

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_trickle_in_and_those_of_ipv4_come_first() {
        let mut collector = Collector::default();
        for address in [
            "[fe80::1%3]:5006",
            "127.0.0.1:5006",
            "[fd00::1]:5006",
            "192.168.1.20:5006",
            "192.168.1.20:5006",
            "169.254.7.7:5006",
        ] {
            collector.handle_announced(read("porch-00a1"), [at(address)]);
        }
        let porch = collector.called(Role::Camera, "Porch").remove(0);
        let expected = [
            "192.168.1.20:5006",
            "169.254.7.7:5006",
            "[fd00::1]:5006",
            "[fe80::1%3]:5006",
            "127.0.0.1:5006",
        ];
        assert_eq!(porch.addresses(), expected.map(at));
        assert_eq!(porch.address().to_string(), "tcp://192.168.1.20:5006");
    }

    #[test]
    fn two_of_one_name_are_told_apart_by_their_full_names() {
        let mut collector = Collector::default();
        for label in ["porch-00a1", "porch-00b2"] {
            collector.handle_announced(read(label), [at("10.0.0.1:5006")]);
        }
        assert_eq!(collector.called(Role::Camera, "porch").len(), 2);
        let one = collector.called(Role::Camera, "porch-00B2");
        assert_eq!(one.len(), 1);
        assert_eq!((one[0].name(), one[0].full_name()), ("porch", "porch-00b2"));
        assert_eq!(collector.called(Role::Receiver, "porch"), []);
        collector.handle_ended("porch-00a1");
        assert_eq!(collector.called(Role::Camera, "porch"), one);
    }

    #[test]
    fn what_cannot_be_dialled_is_not_found() {
        let mut collector = Collector::default();
        collector.handle_announced(read("a"), []);
        for address in ["0.0.0.0:5", "239.1.1.1:5", "10.0.0.1:0"] {
            collector.handle_announced(read("b"), [at(address)]);
        }
        assert_eq!(collector.all().count(), 0);
    }

    #[test]
    fn strangers_fill_it_up_to_its_limits() {
        let mut collector = Collector::default();
        for number in 0..2_000_u16 {
            collector.handle_announced(read(&format!("x-{number}")), [at("10.0.0.1:5")]);
            let port = at(&format!("10.0.0.1:{}", number + 1));
            collector.handle_announced(read("x-0"), [port]);
        }
        assert_eq!(collector.all().count(), MAX_FOUND);
        let first = collector.called(Role::Camera, "x-0").remove(0);
        assert_eq!(first.addresses().len(), MAX_ADDRESSES);
    }
}
