//! Broadcast over loopback, and across networks in a lab.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    sync::mpsc,
    time::Duration,
};

use sockkit::{
    broadcast::{BroadcastError, BroadcastKind, Broadcaster},
    interfaces,
    testing::lab::Lab,
    udp::{Transmit, UdpEndpoint, UdpError},
};
use tokio::time::timeout;

const ANY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
const DEADLINE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_directed_broadcast_is_heard_on_loopback() {
    let (sender, receiver) = (
        Broadcaster::bind(ANY).unwrap(),
        Broadcaster::bind(ANY).unwrap(),
    );
    let port = receiver.endpoint().local_addr().unwrap().port();
    // All of 127.0.0.0/8.
    let to = SocketAddrV4::new(Ipv4Addr::new(127, 255, 255, 255), port);
    sender.send(to, b"all of you").await.unwrap();
    let mut buffer = [0; 32];
    let heard = timeout(DEADLINE, receiver.endpoint().recv(&mut buffer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(heard.bytes, b"all of you");
    assert!(!heard.from.ip().is_unspecified());
}

#[tokio::test]
async fn a_plain_endpoint_may_not_broadcast() {
    let endpoint = UdpEndpoint::bind(ANY.into()).unwrap();
    let to = ([127, 255, 255, 255], 9).into();
    let error = endpoint.send(Transmit::new(to, b"no")).await.unwrap_err();
    let UdpError::Send { source, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(source.kind(), std::io::ErrorKind::PermissionDenied);
}

#[test]
fn ending_in_255_does_not_make_a_broadcast_address() {
    let interfaces = interfaces::list().unwrap();
    assert_eq!(
        BroadcastKind::of(Ipv4Addr::BROADCAST, &interfaces),
        Some(BroadcastKind::Limited)
    );
    assert_eq!(
        BroadcastKind::of([198, 51, 100, 255].into(), &interfaces),
        None
    );
}

#[test]
fn a_broadcast_everywhere_reaches_each_network_from_the_right_address() {
    let Some(lab) = Lab::new("broadcast on every network", 3, 2) else {
        return;
    };
    let (ready, ports) = mpsc::channel();
    // Two receivers, each on both networks, each told once by each network.
    let receivers: Vec<_> = [1, 2]
        .map(|host| {
            let ready = ready.clone();
            lab.host(host).spawn(async move || {
                let receiver =
                    Broadcaster::bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 5007)).unwrap();
                ready.send(()).unwrap();
                let mut heard = Vec::new();
                let mut buffer = [0; 32];
                for _ in 0..2 {
                    let datagram = receiver.endpoint().recv(&mut buffer);
                    let datagram = timeout(DEADLINE, datagram).await.unwrap().unwrap();
                    assert_eq!(datagram.bytes, b"hello");
                    heard.push((datagram.from.ip(), datagram.to.unwrap()));
                }
                heard.sort_unstable();
                heard
            })
        })
        .into_iter()
        .collect();
    for _ in 0..2 {
        ports.recv_timeout(DEADLINE).unwrap();
    }
    let (first, second) = (lab.host(0).port(0), lab.host(0).port(1));
    let targets = lab.host(0).block_on(async || {
        let interfaces = interfaces::list().unwrap();
        let directed = BroadcastKind::of(Ipv4Addr::new(10, 77, 1, 255), &interfaces);
        let interface_index = index_of("eth1");
        assert_eq!(directed, Some(BroadcastKind::Directed { interface_index }));
        let sender = Broadcaster::bind(ANY).unwrap();
        sender.send_everywhere(5007, b"hello").await.unwrap()
    });
    assert_eq!(
        targets
            .iter()
            .map(|target| (target.source, *target.to.ip()))
            .collect::<Vec<_>>(),
        [
            (first.ipv4(), first.broadcast()),
            (second.ipv4(), second.broadcast())
        ]
    );
    for receiver in receivers {
        let heard = receiver.join().unwrap();
        assert_eq!(
            heard,
            [
                (first.ipv4().into(), first.broadcast().into()),
                (second.ipv4().into(), second.broadcast().into())
            ]
        );
    }
}

#[test]
fn a_machine_on_no_network_says_so() {
    let Some(lab) = Lab::new("broadcast without a network", 1, 0) else {
        return;
    };
    lab.host(0).block_on(async || {
        let sender = Broadcaster::bind(ANY).unwrap();
        let error = sender.send_everywhere(5007, b"hello").await.unwrap_err();
        assert!(matches!(error, BroadcastError::NoInterface), "{error:?}");
    });
}

/// The index of an interface of the calling thread's network.
fn index_of(name: &str) -> u32 {
    interfaces::InterfaceSelector::Name(name.to_owned())
        .find()
        .unwrap()
        .index
}
