//! What the machine is attached to.

use std::net::{IpAddr, Ipv4Addr};

use sockkit::{
    interfaces::{self, InterfaceSelector, NoSuchInterface},
    testing::lab::Lab,
};

#[test]
fn loopback_is_listed_as_what_it_is() {
    let all = interfaces::list().unwrap();
    let loopback = all
        .iter()
        .find(|one| one.flags.loopback)
        .expect("every machine has one");
    assert!(loopback.flags.up && !loopback.flags.broadcast);
    assert!(loopback.ipv4().any(|ip| ip == Ipv4Addr::LOCALHOST));
    assert_eq!(loopback.mac, None);
    assert!(loopback.mtu_bytes >= 16_384, "{}", loopback.mtu_bytes);
    assert!(
        loopback
            .addresses
            .iter()
            .all(|address| address.broadcast.is_none())
    );
    assert!(loopback.gateways.is_empty());
}

#[test]
fn an_interface_is_found_by_index_name_and_address() {
    let by_address = InterfaceSelector::Address(Ipv4Addr::LOCALHOST.into())
        .find()
        .unwrap();
    for selector in [by_address.index.to_string(), by_address.name.clone()] {
        let selector: InterfaceSelector = selector.parse().unwrap();
        assert_eq!(selector.find().unwrap(), by_address);
    }
    for absent in ["4000000000", "no-such0", "192.0.2.254"] {
        let selector: InterfaceSelector = absent.parse().unwrap();
        let error = selector.find().unwrap_err();
        assert!(matches!(error, NoSuchInterface::Unknown(ref asked) if *asked == selector));
    }
}

#[test]
fn the_host_has_a_name() {
    assert!(!interfaces::host().unwrap().name.is_empty());
}

#[test]
fn a_cable_shows_its_addresses_and_what_it_can_do() {
    let Some(lab) = Lab::new("an interface of a lab host is listed", 1, 1) else {
        return;
    };
    let port = lab.host(0).port(0);
    let interface = lab
        .host(0)
        .run(|| InterfaceSelector::Name(port.interface()).find().unwrap());
    assert_eq!(interface.index, port.index());
    assert!(interface.flags.up && interface.flags.running && interface.flags.broadcast);
    assert!(interface.flags.multicast && !interface.flags.loopback);
    assert_eq!(interface.mtu_bytes, 1500);
    assert!(interface.mac.is_some());
    let ipv4 = interface
        .addresses
        .iter()
        .find(|address| address.ip == IpAddr::from(port.ipv4()));
    let ipv4 = ipv4.expect("the address that the lab gave");
    assert_eq!(
        (ipv4.prefix_bits, ipv4.broadcast),
        (24, Some(port.broadcast()))
    );
    assert!(
        interface
            .addresses
            .iter()
            .any(|address| address.ip == IpAddr::from(port.ipv6()))
    );
}
