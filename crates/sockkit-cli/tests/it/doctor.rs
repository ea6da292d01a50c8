//! `sockkit doctor`, on this machine and on one that has almost nothing.

use std::net::TcpListener;

use sockkit::testing::lab::Lab;

use crate::sockkit;

#[test]
fn a_machine_without_a_network_is_told_so() {
    let Some(lab) = Lab::new("doctor: a machine without a network", 1, 0) else {
        return;
    };
    let end = lab.host(0).run(|| sockkit(&["doctor"]).end());
    // Poor, but nothing that is asked for by default fails.
    assert!(end.status.success(), "{end:?}");
    for said in [
        "network: no interface",
        "multicast: no route",
        "--interface",
        "ok    browser viewer: 127.0.0.1:8088 is free",
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
        let _taken = TcpListener::bind("127.0.0.1:8088").unwrap();
        sockkit(&["doctor"]).end()
    });
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    assert!(end.errors.contains("one problem found"), "{end:?}");
    let fails = end.lines.iter().position(|line| line.starts_with("FAIL"));
    let fails = fails.expect("a failure is shown");
    assert!(end.lines[fails].contains("127.0.0.1:8088"));
    assert!(end.lines[fails + 1].contains("--web"));
}
