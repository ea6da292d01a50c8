//! The network lab itself: what it joins talks, what it cuts does not, and it
//! leaves nothing behind.

#![cfg(target_os = "linux")]

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use sockkit::testing::{
    lab::{Host, Lab},
    needs::{Need, met},
};

mod beds;

/// A socket of `host` on `ip`.
fn socket(host: &Host, ip: IpAddr) -> UdpSocket {
    host.run(|| UdpSocket::bind((ip, 0)).unwrap())
}

fn send(from: &UdpSocket, to: SocketAddr) -> bool {
    from.send_to(b"hello", to).is_ok()
}

/// Whether a datagram comes, however busy the machine is.
fn receives(socket: &UdpSocket) -> bool {
    comes_within(socket, Duration::from_secs(10))
}

/// Whether none comes for a while: one that is late is not seen.
fn receives_nothing(socket: &UdpSocket) -> bool {
    !comes_within(socket, A_MOMENT)
}

fn comes_within(socket: &UdpSocket, timeout: Duration) -> bool {
    socket.set_read_timeout(Some(timeout)).unwrap();
    socket.recv_from(&mut [0; 16]).is_ok()
}

#[test]
fn hosts_reach_each_other_on_every_network_in_both_families() {
    let Some(lab) = Lab::new("lab: hosts reach each other", 3, 2) else {
        return;
    };
    for network in 0..2 {
        let ports = [0, 1, 2].map(|host| lab.host(host).port(network));
        for ips in [
            ports.map(|port| IpAddr::from(port.ipv4())),
            ports.map(|port| IpAddr::from(port.ipv6())),
        ] {
            let sockets = [0, 1, 2].map(|host| socket(lab.host(host), ips[usize::from(host)]));
            for from in &sockets {
                for to in &sockets {
                    assert!(send(from, to.local_addr().unwrap()));
                    assert!(receives(to), "{from:?} to {to:?}");
                }
            }
        }
    }
}

#[test]
fn a_cut_cable_carries_nothing_until_it_is_restored() {
    let Some(lab) = Lab::new("lab: a cut cable carries nothing", 2, 1) else {
        return;
    };
    let [a, b] = [0, 1].map(|host| socket(lab.host(host), lab.host(host).port(0).ipv4().into()));
    let to = b.local_addr().unwrap();
    lab.host(1).port(0).cut();
    send(&a, to);
    assert!(receives_nothing(&b));
    lab.host(1).port(0).restore();
    // The neighbour that did not answer is asked again only after a second.
    eventually(|| send(&a, to) && comes_within(&b, A_MOMENT));
}

#[test]
fn a_deleted_interface_returns_with_a_new_index() {
    let Some(lab) = Lab::new("lab: a deleted interface returns", 2, 1) else {
        return;
    };
    let port = lab.host(1).port(0);
    let before = port.index();
    port.delete();
    port.create();
    assert_ne!(before, port.index());
    let [a, b] = [0, 1].map(|host| socket(lab.host(host), lab.host(host).port(0).ipv4().into()));
    assert!(send(&a, b.local_addr().unwrap()) && receives(&b));
}

#[test]
fn loss_is_as_asked_for() {
    let test = "lab: loss is as asked for";
    if !met(test, &[Need::Program("nft"), Need::Program("ethtool")]) {
        return;
    }
    let Some(lab) = Lab::new(test, 2, 1) else {
        return;
    };
    let [a, b] = [0, 1].map(|host| {
        lab.host(host).port(0).offloads_off();
        socket(lab.host(host), lab.host(host).port(0).ipv4().into())
    });
    let to = b.local_addr().unwrap();
    // First one without loss, so that neighbours know each other.
    assert!(send(&a, to) && receives(&b));
    lab.host(1).port(0).loss(0.3);
    b.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let arrived = (0..20)
        .map(|_| {
            for _ in 0..100 {
                assert!(send(&a, to));
            }
            std::iter::from_fn(|| comes_within(&b, A_MOMENT).then_some(())).count()
        })
        .sum::<usize>();
    assert!((1_200..1_600).contains(&arrived), "{arrived} of 2000");
    lab.host(1).port(0).loss(1.0);
    assert!(send(&a, to) && receives_nothing(&b));
    lab.host(1).port(0).loss(0.0);
    assert!(send(&a, to) && receives(&b));
}

#[test]
fn losses_in_bursts_are_as_asked_for() {
    let test = "lab: losses in bursts are as asked for";
    if !met(test, &[Need::Program("nft"), Need::Program("ethtool")]) {
        return;
    }
    let Some(lab) = Lab::new(test, 2, 1) else {
        return;
    };
    let [a, b] = [0, 1].map(|host| {
        lab.host(host).port(0).offloads_off();
        socket(lab.host(host), lab.host(host).port(0).ipv4().into())
    });
    let to = b.local_addr().unwrap();
    assert!(send(&a, to) && receives(&b));
    lab.host(1).port(0).loss_in_bursts(0.2, 4.0);
    let mut has_come = vec![false; 4_000];
    let mut receive_all = |timeout| {
        b.set_read_timeout(Some(timeout)).unwrap();
        let mut number = [0; 4];
        while b.recv_from(&mut number).is_ok() {
            has_come[u32::from_be_bytes(number) as usize] = true;
        }
    };
    for number in 0..4_000_u32 {
        a.send_to(&number.to_be_bytes(), to).unwrap();
        if number % 100 == 99 {
            // One that is late is received with the next ones.
            receive_all(Duration::from_millis(5));
        }
    }
    receive_all(A_MOMENT);
    let lost = has_come.iter().filter(|has_come| !**has_come).count();
    assert!((500..1_100).contains(&lost), "{lost} of 4000");
    let bursts = has_come.windows(2).filter(|pair| pair[0] && !pair[1]);
    let mean = lost as f64 / bursts.count() as f64;
    assert!((3.0..5.2).contains(&mean), "{mean}");
    lab.host(1).port(0).loss(0.0);
    assert!(send(&a, to) && receives(&b));
}

#[test]
fn a_rate_limit_slows_the_sender_down() {
    let test = "lab: a rate limit slows the sender down";
    if !met(test, &[Need::Program("tc")]) {
        return;
    }
    let Some(lab) = Lab::new(test, 2, 1) else {
        return;
    };
    let [a, b] = [0, 1].map(|host| socket(lab.host(host), lab.host(host).port(0).ipv4().into()));
    lab.host(0).port(0).rate(2_000_000);
    let start = Instant::now();
    let mut arrived = 0;
    // 2 Mbit/s: 64 KiB after the bucket's 16 KiB take a quarter of a second.
    while arrived < 64 + 16 {
        let _ = a.send_to(&[0; 1024], b.local_addr().unwrap());
        b.set_nonblocking(true).unwrap();
        while b.recv_from(&mut [0; 2048]).is_ok() {
            arrived += 1;
        }
    }
    assert!(
        start.elapsed() > Duration::from_millis(200),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn programs_started_inside_a_host_belong_to_it() {
    let Some(lab) = Lab::new("lab: programs belong to their host", 1, 1) else {
        return;
    };
    let output = lab
        .host(0)
        .run(|| {
            std::process::Command::new("ip")
                .args(["-br", "addr"])
                .output()
        })
        .unwrap();
    let listing = String::from_utf8(output.stdout).unwrap();
    assert!(listing.contains("10.77.0.1/24"), "{listing}");
}

#[test]
fn a_panic_leaves_through_the_host_and_the_lab_is_taken_down() {
    let Some(lab) = Lab::new("lab: a panic leaves", 1, 1) else {
        return;
    };
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        lab.host(0).run(|| panic!("inside"));
    }));
    assert_eq!(*outcome.unwrap_err().downcast::<&str>().unwrap(), "inside");
    // The far ends of the cables were in a namespace, so none can be here.
    let here = std::fs::read_to_string("/proc/net/dev").unwrap();
    assert!(!here.contains("h0n0") && !here.contains("br0:"), "{here}");
}

/// Waits until `condition` holds, for at most five seconds.
#[track_caller]
fn eventually(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !condition() {
        assert!(Instant::now() < deadline, "it never came true");
    }
}

/// What has not come by then was cut off, or is sent again.
const A_MOMENT: Duration = Duration::from_millis(300);
