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
    code_number: Option<u16>,
}

/// What is looked for on the network.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Wanted {
    /// This name. Case does not matter.
    Name(String),
    /// The side that shows the code of this number, which is 0 for a code without one.
    Code(u16),
    /// The machine that hints at this identity.
    Identity([u8; 32]),
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

    /// The number of the code that it shows: 0 for a code without one.
    pub fn code_number(&self) -> Option<u16> {
        self.code_number
    }

    fn is(&self, wanted: &Wanted) -> bool {
        match wanted {
            Wanted::Name(name) => self.is_called(name),
            Wanted::Code(number) => self.code_number == Some(*number),
            Wanted::Identity(identity) => self.hint.is_some_and(|hint| hint.is_of(identity)),
        }
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
    /// All that is gathered; everything without it.
    wanted: Option<(Role, Wanted)>,
    found: BTreeMap<String, Found>,
}

impl Collector {
    /// Passes over all else, so that a flood of other names does not fill it.
    pub(super) fn of(role: Role, wanted: Wanted) -> Self {
        Self {
            wanted: Some((role, wanted)),
            found: BTreeMap::new(),
        }
    }

    /// Takes in one announcement, or more of its addresses.
    pub(super) fn handle_announced(
        &mut self,
        read: Read,
        addresses: impl IntoIterator<Item = SocketAddr>,
    ) {
        let fresh = Found {
            label: read.label,
            role: read.role,
            scheme: read.scheme,
            addresses: Vec::new(),
            hint: read.hint,
            code_number: read.code_number,
        };
        if let Some((role, wanted)) = &self.wanted
            && !(fresh.role == *role && fresh.is(wanted))
        {
            // It may have been, under the code before.
            self.found.remove(&fresh.label);
            return;
        }
        if self.found.len() == MAX_FOUND && !self.found.contains_key(&fresh.label) {
            return;
        }
        let mut found = match self.found.remove(&fresh.label) {
            Some(known) => Found {
                addresses: known.addresses,
                ..fresh
            },
            None => fresh,
        };
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
        self.found.insert(found.label.clone(), found);
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
            code_number: None,
        }
    }

    fn called(name: &str) -> Collector {
        Collector::of(Role::Camera, Wanted::Name(name.to_owned()))
    }

    fn all(collector: &Collector) -> Vec<Found> {
        collector.all().cloned().collect()
    }

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_trickle_in_and_those_of_ipv4_come_first() {
        let mut collector = called("Porch");
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
        let porch = all(&collector).remove(0);
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
        let mut both = called("porch");
        let mut one = called("porch-00B2");
        let mut receivers = Collector::of(Role::Receiver, Wanted::Name("porch".to_owned()));
        for label in ["porch-00a1", "porch-00b2"] {
            for collector in [&mut both, &mut one, &mut receivers] {
                collector.handle_announced(read(label), [at("10.0.0.1:5006")]);
            }
        }
        assert_eq!(all(&both).len(), 2);
        let one = all(&one);
        assert_eq!(one.len(), 1);
        assert_eq!((one[0].name(), one[0].full_name()), ("porch", "porch-00b2"));
        assert_eq!(all(&receivers), []);
        both.handle_ended("porch-00a1");
        assert_eq!(all(&both), one);
    }

    #[test]
    fn a_code_is_found_by_its_number_until_another_is_shown() {
        let mut collector = Collector::of(Role::Camera, Wanted::Code(7));
        let numbered = |number| Read {
            code_number: number,
            ..read("porch-00a1")
        };
        for (number, count) in [(None, 0), (Some(8), 0), (Some(7), 1), (Some(8), 0)] {
            collector.handle_announced(numbered(number), [at("10.0.0.1:5006")]);
            assert_eq!(collector.all().count(), count, "{number:?}");
        }
    }

    #[test]
    fn an_identity_is_found_by_its_hint_whatever_its_name() {
        let mut collector = Collector::of(Role::Camera, Wanted::Identity([7; 32]));
        for (label, identity) in [("desk-00a1", [8; 32]), ("other-00a1", [7; 32])] {
            let hint = Some(Hint::new(&identity, [1; 8]));
            let read = Read {
                hint,
                ..read(label)
            };
            collector.handle_announced(read, [at("10.0.0.1:5006")]);
        }
        let found = all(&collector);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].name(), "other");
    }

    #[test]
    fn a_flood_of_names_does_not_hide_the_one_that_is_wanted() {
        let mut collector = called("porch");
        for number in 0..1_000 {
            collector.handle_announced(read(&format!("x-{number}")), [at("10.0.0.1:5")]);
        }
        collector.handle_announced(read("porch-00a1"), [at("10.0.0.1:5006")]);
        assert_eq!(all(&collector)[0].name(), "porch");
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
        let first = collector.all().find(|found| found.full_name() == "x-0");
        assert_eq!(first.unwrap().addresses().len(), MAX_ADDRESSES);
    }
}
