//! The limits of an acceptor, against hosts of their own.

use std::{process::Command, sync::mpsc, thread};

use sockkit::{
    link::{Address, Connection, Host, Node, Scheme},
    testing::lab::Lab,
};
use tokio::sync::oneshot;

use super::{SCHEMES, address, greet_all, greeted, node};

/// Addresses of the host that has many.
const MANY: u16 = 12;

/// Listens at host 0, for both versions of IP.
fn serve(lab: &Lab, scheme: Scheme, node: Node) -> u16 {
    let (told, port) = mpsc::channel();
    // Ends with the test's process.
    drop(lab.host(0).spawn(async move || {
        let at = Address::new(scheme, Host::Unspecified, 0);
        let acceptor = node.listen(&at).await.unwrap();
        told.send(acceptor.local_addr().port()).unwrap();
        greet_all(acceptor).await;
    }));
    port.recv().unwrap()
}

fn ip(arguments: &str) {
    let done = Command::new("ip").args(arguments.split(' ')).status();
    assert!(done.unwrap().success(), "ip {arguments}");
}

/// From here on the host dials from its address of that number, in a /64 or a
/// /24 that it shares with the listener.
fn dial_from(number: u16, version: u8) {
    if version == 4 {
        let address = format!("10.77.0.{}", 100 + number);
        ip(&format!("addr add {address}/24 dev eth0"));
        ip(&format!(
            "route replace 10.77.0.0/24 dev eth0 src {address}"
        ));
        return;
    }
    // What is deprecated is dialled from no more (RFC 6724, rule 3).
    let before = match number {
        0 => "fd77::e".to_owned(),
        _ => format!("fd77::1:{}", number - 1),
    };
    ip(&format!("addr change {before}/64 dev eth0 preferred_lft 0"));
    ip(&format!("addr add fd77::1:{number}/64 dev eth0 nodad"));
}

/// Host 13 dials three times from each of its addresses, and keeps what it got
/// until it is told to let go. Returns how many it got from each.
fn crowd(lab: &Lab, to: Address, version: u8) -> (Vec<usize>, oneshot::Sender<()>) {
    let (told, got) = mpsc::channel();
    let (release, released) = oneshot::channel();
    drop(lab.host(13).spawn(async move || {
        let node = node();
        let mut kept: Vec<Connection> = Vec::new();
        let mut from_each = Vec::new();
        for number in 0..MANY {
            dial_from(number, version);
            let before = kept.len();
            for _ in 0..3 {
                kept.extend(greeted(&node, &to).await.ok());
            }
            from_each.push(kept.len() - before);
        }
        told.send(from_each).unwrap();
        let _ = released.await;
    }));
    (got.recv().unwrap(), release)
}

/// Each of twelve hosts, from its own IPv4 address.
fn twelve_are_served(lab: &Lab, scheme: Scheme, port: u16) {
    let to = address(scheme, &format!("10.77.0.1:{port}"));
    thread::scope(|scope| {
        for host in 1..=12 {
            let to = &to;
            scope.spawn(move || {
                let greeted = lab
                    .host(host)
                    .block_on(async || greeted(&node(), to).await.map(drop));
                assert_eq!(greeted, Ok(()), "host {host} over {scheme:?}");
            });
        }
    });
}

#[test]
fn one_host_of_twelve_ipv6_addresses_keeps_none_of_twelve_hosts_out() {
    for scheme in SCHEMES {
        let Some(lab) = Lab::new("link: one host and twelve", 14, 1) else {
            return;
        };
        let port = serve(&lab, scheme, node().max_connections(20));
        let to = address(scheme, &format!("[fd77::1]:{port}"));
        let (got, kept) = crowd(&lab, to, 6);
        assert_eq!(got.iter().sum::<usize>(), 5, "{scheme:?}: {got:?}");
        twelve_are_served(&lab, scheme, port);
        drop(kept);
    }
}

#[test]
fn an_ipv4_address_has_its_share_and_no_more() {
    for scheme in SCHEMES {
        let Some(lab) = Lab::new("link: twelve IPv4 addresses", 14, 1) else {
            return;
        };
        let node = node().max_connections(64).max_connections_per_address(2);
        let port = serve(&lab, scheme, node);
        let to = address(scheme, &format!("10.77.0.1:{port}"));
        let (got, kept) = crowd(&lab, to, 4);
        assert_eq!(got, [2; MANY as usize], "{scheme:?}");
        twelve_are_served(&lab, scheme, port);
        drop(kept);
    }
}

mod real_time {
    use std::{
        net::{IpAddr, SocketAddr},
        time::{Duration, Instant},
    };

    use sockkit::{quic, tcp::Connector, testing::real_time};

    use super::*;

    /// A host of two addresses, of which the first leads nowhere, connects by
    /// the second after the 250 ms of RFC 8305, whatever the transport.
    #[test]
    #[ignore = "real time"]
    fn a_dead_ipv6_path_costs_quic_no_more_than_tcp() {
        let Some(lab) = Lab::new("link: a dead IPv6 path", 2, 1) else {
            return;
        };
        let ports = [Scheme::Tcp, Scheme::Quic].map(|scheme| serve(&lab, scheme, node()));
        // A neighbour that takes what is sent to it, and says nothing.
        let here = lab.host(1);
        here.run(|| ip("-6 neigh replace fd77::dead lladdr 02:00:00:00:00:01 dev eth0"));
        let addresses = |port| -> [SocketAddr; 2] {
            let dead: IpAddr = "fd77::dead".parse().unwrap();
            [dead, lab.host(0).port(0).ipv4().into()].map(|ip| (ip, port).into())
        };
        real_time::check("a dead IPv6 path costs 0.3 s at most", || {
            let took = here.block_on(async || {
                let began = Instant::now();
                let to = addresses(ports[0]);
                let tcp = Connector::default().connect(&to[..]).await.unwrap();
                let by_tcp = began.elapsed();
                assert_eq!(tcp.peer_addr().unwrap(), to[1]);
                let began = Instant::now();
                let to = addresses(ports[1]);
                let quic = quic::connect(&to[..]).await.unwrap();
                let by_quic = began.elapsed();
                assert_eq!(quic.peer_addr(), to[1]);
                [by_tcp, by_quic]
            });
            println!("TCP and QUIC took {took:?}");
            match took.iter().all(|took| *took <= Duration::from_millis(300)) {
                true => Ok(()),
                false => Err(format!("TCP and QUIC took {took:?}")),
            }
        });
    }
}
