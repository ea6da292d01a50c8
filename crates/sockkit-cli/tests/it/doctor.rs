//! `sockkit doctor`, on this machine and on one that has almost nothing.

use std::{
    net::{Ipv4Addr, TcpListener},
    process::Command,
};

use sockkit::testing::{
    lab::Lab,
    needs::{Need, met},
};

use crate::sockkit;

#[test]
fn a_machine_without_a_network_is_told_so() {
    let Some(lab) = Lab::new("doctor: a machine without a network", 1, 0) else {
        return;
    };
    let end = lab.host(0).run(|| sockkit(&["doctor"]).end());
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    for said in [
        "FAIL  network: no interface",
        "multicast: no route",
        "--interface",
        "ok    browser viewer: port 8088 is free",
        "descriptors: ",
    ] {
        assert!(
            end.lines.iter().any(|line| line.contains(said)),
            "{said}: {end:?}"
        );
    }
}

#[test]
fn a_port_that_is_taken_fails_and_says_what_to_do() {
    let Some(lab) = Lab::new("doctor: a port that is taken", 1, 1) else {
        return;
    };
    let end = lab.host(0).run(|| {
        // By one address alone: `--web` takes the port at all of them.
        let own = own_address();
        let _taken = TcpListener::bind((own, 8088)).unwrap();
        sockkit(&["doctor"]).end()
    });
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    assert!(end.errors.contains("one problem found"), "{end:?}");
    let fails = end.lines.iter().position(|line| line.starts_with("FAIL"));
    let fails = fails.expect("a failure is shown");
    assert!(end.lines[fails].contains("port 8088"), "{end:?}");
    assert!(end.lines[fails + 1].contains("--web"));
}

fn own_address() -> Ipv4Addr {
    let interfaces = sockkit::interfaces::list().unwrap();
    let mut others = interfaces.iter().filter(|one| !one.flags.loopback);
    others.find_map(|one| one.ipv4().next()).unwrap()
}

#[test]
fn a_firewall_that_drops_is_seen_from_inside() {
    let needs = [Need::Program("nft")];
    let Some(lab) =
        Lab::new("doctor: a firewall", 1, 1).filter(|_| met("doctor: a firewall", &needs))
    else {
        return;
    };
    let doctor = || {
        let end = lab.host(0).run(|| sockkit(&["doctor"]).end());
        let firewall = end.lines.iter().find(|line| line.contains("firewall: "));
        (firewall.expect("it was looked at").clone(), end)
    };
    let (firewall, end) = doctor();
    assert!(firewall.starts_with("ok  "), "{end:?}");
    // Loopback is usually let through, so that a connection to oneself shows nothing.
    rule(&lab, "add table inet f");
    rule(
        &lab,
        "add chain inet f i { type filter hook input priority 0; policy drop; }",
    );
    rule(&lab, "add rule inet f i iif lo accept");
    let (firewall, end) = doctor();
    assert!(firewall.starts_with("FAIL"), "{end:?}");
    assert!(
        firewall.contains("UDP 5006 (pictures), UDP 5353 (names) that"),
        "{end:?}"
    );
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    rule(&lab, "add rule inet f i udp dport { 5006, 5353 } accept");
    let (firewall, end) = doctor();
    assert!(firewall.starts_with("ok  "), "{end:?}");
}

fn rule(lab: &Lab, rule: &str) {
    let status = lab.host(0).run(|| Command::new("nft").arg(rule).status());
    assert!(status.unwrap().success(), "{rule}");
}
