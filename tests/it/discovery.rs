//! Finding machines by name, over cables of the lab: no server, no default route.

#![cfg(target_os = "linux")]

use std::{
    net::SocketAddr,
    sync::mpsc,
    time::{Duration, Instant},
};

use sockkit::{
    link::{
        Address,
        discovery::{
            Announcement, Announcer, Found, LookupError, Obstacle, Role, Wanted, find, lookup,
        },
    },
    testing::{
        lab::{Host, Lab},
        needs::{Need, met},
    },
};
use tokio::sync::oneshot;

/// A name that a host announces until it is dropped.
struct Announced {
    stop: Option<oneshot::Sender<()>>,
    running: Option<std::thread::JoinHandle<()>>,
}

impl Announced {
    fn start(host: &Host, announcement: Announcement) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = mpsc::channel();
        let running = host.spawn(async move || {
            let announcer = Announcer::start(&announcement).unwrap();
            ready.send(()).unwrap();
            // The test's end, or its panic.
            let _ = stopped.await;
            announcer.stop().await;
        });
        is_ready.recv().unwrap();
        Self {
            stop: Some(stop),
            running: Some(running),
        }
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(running) = self.running.take() {
            let _ = running.join();
        }
    }
}

fn porch() -> Announcement {
    let at: Address = "tcp://0.0.0.0:5006".parse().unwrap();
    Announcement::new(Role::Camera, "porch", &at)
}

fn called(name: &str) -> Wanted {
    Wanted::Name(name.to_owned())
}

fn look(host: &Host) -> Result<Found, LookupError> {
    host.block_on(async || lookup(Role::Camera, called("porch"), WITHIN).await)
}

fn ipv4(lab: &Lab, host: u8, network: u8) -> SocketAddr {
    (lab.host(host).port(network).ipv4(), 5_006).into()
}

#[test]
fn a_name_is_found_without_a_default_route_in_both_orders_of_start() {
    let Some(lab) = Lab::new("discovery: both orders of start", 2, 1) else {
        return;
    };
    let there = ipv4(&lab, 0, 0);
    // The one that looks was there before.
    let looking = lab
        .host(1)
        .spawn(async || lookup(Role::Camera, called("porch"), WITHIN).await.unwrap());
    let _announced = Announced::start(lab.host(0), porch());
    assert_eq!(looking.join().unwrap().addresses()[0], there);
    // And after it.
    let found = look(lab.host(1)).unwrap();
    assert_eq!(found.addresses()[0], there);
    assert_eq!(found.address().to_string(), format!("tcp://{there}"));
    assert!(
        found.addresses().iter().any(SocketAddr::is_ipv6),
        "{found:?}"
    );
    assert_eq!(found.name(), "porch");
    assert_eq!(found.hint(), None);
}

#[test]
fn a_name_is_found_over_a_link_that_loses_a_fifth() {
    let test = "discovery: 20 % loss";
    if !met(test, &[Need::Program("nft")]) {
        return;
    }
    let Some(lab) = Lab::new(test, 2, 1) else {
        return;
    };
    for host in [0, 1] {
        lab.host(host).port(0).loss(0.2);
    }
    let _announced = Announced::start(lab.host(0), porch());
    for _ in 0..5 {
        let found = look(lab.host(1)).unwrap();
        let addresses = found.addresses();
        // That of IPv4 may be the one that was lost.
        let ours = [ipv4(&lab, 0, 0).ip(), lab.host(0).port(0).ipv6().into()];
        assert!(
            ours.contains(&addresses[0].ip()) || is_link_local(addresses[0]),
            "{found:?}"
        );
    }
}

fn is_link_local(address: SocketAddr) -> bool {
    matches!(address, SocketAddr::V6(ip) if ip.ip().is_unicast_link_local())
}

#[test]
fn a_machine_on_several_networks_is_found_on_each() {
    let Some(lab) = Lab::new("discovery: several networks", 2, 3) else {
        return;
    };
    let _announced = Announced::start(lab.host(0), porch());
    let found = lab
        .host(1)
        .block_on(async || find(Duration::from_secs(4)).await.unwrap());
    assert_eq!(found.len(), 1, "{found:?}");
    for network in 0..3 {
        let there = ipv4(&lab, 0, network);
        assert!(found[0].addresses().contains(&there), "{found:?}");
    }
}

#[test]
fn two_of_one_name_on_one_host_are_both_found_and_told_apart() {
    let Some(lab) = Lab::new("discovery: two of one name", 2, 1) else {
        return;
    };
    let second = "quic://0.0.0.0:5007".parse().unwrap();
    let second = Announcement::new(Role::Camera, "porch", &second);
    let _one = Announced::start(lab.host(0), porch());
    let _other = Announced::start(lab.host(0), second);
    // The first announcement of either may come before the other's.
    let full_names = loop {
        match look(lab.host(1)) {
            Ok(_) => {}
            Err(LookupError::Ambiguous { full_names, .. }) => break full_names,
            Err(error) => panic!("{error}"),
        }
    };
    let mut ports: Vec<_> = full_names
        .iter()
        .map(|name| {
            let found = lab
                .host(1)
                .block_on(async || lookup(Role::Camera, called(name), WITHIN).await.unwrap());
            found.address().port()
        })
        .collect();
    ports.sort_unstable();
    assert_eq!(ports, [5_006, 5_007]);
}

#[test]
fn one_that_knows_the_identity_recognises_it() {
    let Some(lab) = Lab::new("discovery: identity", 2, 1) else {
        return;
    };
    let _announced = Announced::start(lab.host(0), porch().by([7; 32]));
    let found = look(lab.host(1)).unwrap();
    let hint = found.hint().unwrap();
    assert!(hint.is_of(&[7; 32]) && !hint.is_of(&[8; 32]));
    let by_identity = |identity, timeout| {
        let wanted = Wanted::Identity([identity; 32]);
        lab.host(1)
            .block_on(async move || lookup(Role::Camera, wanted, timeout).await)
    };
    assert_eq!(by_identity(7, WITHIN).unwrap().name(), "porch");
    assert!(by_identity(8, Duration::from_millis(300)).is_err());
}

#[test]
fn a_code_is_found_by_its_number_and_by_the_next_one_when_it_is_replaced() {
    let Some(lab) = Lab::new("discovery: numbers of codes", 2, 1) else {
        return;
    };
    let (show, mut shown) = tokio::sync::mpsc::unbounded_channel();
    let announcing = lab.host(0).spawn(async move || {
        let announcer = Announcer::start(&porch().code_number(7)).unwrap();
        while let Some(number) = shown.recv().await {
            announcer.show_code(number).unwrap();
        }
    });
    let by_number = |number, timeout| {
        let wanted = Wanted::Code(number);
        lab.host(1)
            .block_on(async move || lookup(Role::Camera, wanted, timeout).await)
    };
    assert_eq!(by_number(7, WITHIN).unwrap().code_number(), Some(7));
    show.send(8).unwrap();
    assert_eq!(by_number(8, WITHIN).unwrap().code_number(), Some(8));
    assert!(by_number(7, Duration::from_millis(300)).is_err());
    drop(show);
    announcing.join().unwrap();
}

#[test]
fn what_has_ended_is_not_found() {
    let Some(lab) = Lab::new("discovery: ended", 2, 1) else {
        return;
    };
    let announced = Announced::start(lab.host(0), porch());
    look(lab.host(1)).unwrap();
    drop(announced);
    let found = lab
        .host(1)
        .block_on(async || find(Duration::from_secs(1)).await.unwrap());
    assert_eq!(found, []);
    let other_role = lab.host(1).block_on(async || {
        lookup(Role::Receiver, called("porch"), Duration::from_millis(300))
            .await
            .unwrap_err()
    });
    let LookupError::NotFound { obstacle: None, .. } = &other_role else {
        panic!("{other_role:?}");
    };
    assert!(
        other_role.to_string().contains("UDP port 5353"),
        "{other_role}"
    );
}

#[test]
fn without_a_network_it_says_so() {
    let Some(lab) = Lab::new("discovery: no network", 1, 1) else {
        return;
    };
    lab.host(0).port(0).cut();
    // The kernel notes it a moment later.
    let obstacle = loop {
        let looked = lab.host(0).block_on(async || {
            lookup(Role::Camera, called("porch"), Duration::from_millis(200))
                .await
                .unwrap_err()
        });
        match looked {
            LookupError::NotFound {
                obstacle: Some(obstacle),
                ..
            } => break obstacle,
            LookupError::NotFound { .. } => {}
            error => panic!("{error}"),
        }
    };
    assert_eq!(obstacle, Obstacle::NoNetwork);
}

/// From the later of both starts to the address, a fifth of all packets lost.
#[test]
#[ignore = "soak"]
fn how_soon_a_name_is_found() {
    for networks in [1, 3] {
        let Some(lab) = Lab::new("discovery: how soon", 2, networks) else {
            return;
        };
        for (host, network) in (0..2).flat_map(|host| (0..networks).map(move |one| (host, one))) {
            lab.host(host).port(network).loss(0.2);
        }
        let mut took = [Vec::new(), Vec::new()];
        for _ in 0..RUNS {
            let looking = lab.host(1).spawn(async || {
                lookup(Role::Camera, called("porch"), WITHIN).await.unwrap();
                Instant::now()
            });
            let began = Instant::now();
            let announced = Announced::start(lab.host(0), porch());
            took[0].push(looking.join().unwrap() - began);

            let began = Instant::now();
            look(lab.host(1)).unwrap();
            took[1].push(began.elapsed());
            drop(announced);
        }
        for (order, took) in ["looks first", "is announced first"].iter().zip(&mut took) {
            took.sort_unstable();
            let [half, most] = [RUNS / 2, RUNS * 99 / 100].map(|place| took[place]);
            println!("{networks} networks, {order}: p50 {half:?}, p99 {most:?}");
        }
    }
}

const RUNS: usize = 100;

const WITHIN: Duration = Duration::from_secs(10);
