//! Groups over loopback without root, and across a lab's network.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::mpsc,
    thread::JoinHandle,
    time::Duration,
};

use sockkit::{
    interfaces::InterfaceSelector,
    multicast::{Group, Membership, MulticastEndpoint, MulticastError, Via},
    testing::lab::{Host, Lab},
    udp::{ReceiveBatch, Transmit},
};
use tokio::time::timeout;

const ANY_V4: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
const ANY_V6: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);
const DEADLINE: Duration = Duration::from_secs(20);

fn group(text: &str) -> Group {
    text.parse().unwrap()
}

fn loopback() -> Via {
    Via::Interface(InterfaceSelector::Address(Ipv4Addr::LOCALHOST.into()))
}

/// An endpoint that sends to groups by loopback.
fn loopback_sender() -> MulticastEndpoint {
    let sender = MulticastEndpoint::bind(ANY_V4).unwrap();
    sender
        .set_outgoing(&InterfaceSelector::Address(Ipv4Addr::LOCALHOST.into()))
        .unwrap();
    sender
}

async fn send(sender: &MulticastEndpoint, group: Group, port: u16, text: &str) {
    let to = SocketAddr::new(group.ip(), port);
    sender
        .endpoint()
        .send(Transmit::new(to, text.as_bytes()))
        .await
        .unwrap();
}

async fn hear(receiver: &MulticastEndpoint) -> String {
    let mut buffer = [0; 64];
    let heard = timeout(DEADLINE, receiver.endpoint().recv(&mut buffer))
        .await
        .expect("in time")
        .unwrap();
    String::from_utf8(heard.bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn a_member_hears_until_it_leaves() {
    let receiver = MulticastEndpoint::bind(ANY_V4).unwrap();
    let port = receiver.endpoint().local_addr().unwrap().port();
    let (first, other) = (group("239.255.77.1"), group("239.255.77.2"));
    let sender = loopback_sender();

    let membership = receiver.join(first, &loopback()).unwrap();
    let kept = receiver.join(other, &loopback()).unwrap();
    send(&sender, first, port, "one").await;
    assert_eq!(hear(&receiver).await, "one");

    membership.leave();
    // Loopback keeps the order: had the first still been heard, it came first.
    send(&sender, first, port, "two").await;
    send(&sender, other, port, "three").await;
    assert_eq!(hear(&receiver).await, "three");
    assert_eq!(kept.interface_indexes(), [1]);
}

#[tokio::test]
async fn a_group_that_somebody_else_joined_is_not_heard() {
    let (first, second) = (
        MulticastEndpoint::bind(ANY_V4).unwrap(),
        MulticastEndpoint::bind(ANY_V4).unwrap(),
    );
    let port = second.endpoint().local_addr().unwrap().port();
    let (theirs, ours) = (group("239.255.77.3"), group("239.255.77.4"));
    let _theirs = first.join(theirs, &loopback()).unwrap();
    let _ours = second.join(ours, &loopback()).unwrap();
    let sender = loopback_sender();
    send(&sender, theirs, port, "theirs").await;
    send(&sender, ours, port, "ours").await;
    assert_eq!(hear(&second).await, "ours");
}

#[tokio::test]
async fn two_programs_share_a_port_and_each_hears() {
    let first = MulticastEndpoint::bind(ANY_V4).unwrap();
    let port = first.endpoint().local_addr().unwrap().port();
    let second = MulticastEndpoint::bind((Ipv4Addr::UNSPECIFIED, port).into()).unwrap();
    let group = group("239.255.77.5");
    let _memberships = [&first, &second].map(|one| one.join(group, &loopback()).unwrap());
    send(&loopback_sender(), group, port, "both").await;
    for receiver in [&first, &second] {
        assert_eq!(hear(receiver).await, "both");
    }
}

#[tokio::test]
async fn a_blocked_source_is_not_heard_until_unblocked() {
    let receiver = MulticastEndpoint::bind(ANY_V4).unwrap();
    let port = receiver.endpoint().local_addr().unwrap().port();
    let group = group("239.255.77.6");
    let membership = receiver.join(group, &loopback()).unwrap();
    let sender = loopback_sender();
    let from = |last: u8, text| {
        let to = SocketAddr::new(group.ip(), port);
        let (sender, source) = (&sender, IpAddr::from([127, 0, 0, last]));
        async move {
            let transmit = Transmit::new(to, str::as_bytes(text)).source(source);
            sender
                .endpoint()
                .send(transmit.interface_index(1))
                .await
                .unwrap();
        }
    };
    let noisy = IpAddr::from([127, 0, 0, 2]);
    membership.block(noisy).unwrap();
    from(2, "noise").await;
    from(3, "signal").await;
    assert_eq!(hear(&receiver).await, "signal");

    membership.unblock(noisy).unwrap();
    from(2, "again").await;
    assert_eq!(hear(&receiver).await, "again");
    let error = membership.unblock(noisy).unwrap_err();
    assert!(
        matches!(error, MulticastError::Block { source_address, .. } if source_address == noisy)
    );
}

#[tokio::test]
async fn runs_of_datagrams_reach_a_group() {
    let receiver = MulticastEndpoint::bind(ANY_V4).unwrap();
    let to = SocketAddr::new(
        group("239.255.77.7").ip(),
        receiver.endpoint().local_addr().unwrap().port(),
    );
    let _membership = receiver.join(group("239.255.77.7"), &loopback()).unwrap();
    loopback_sender()
        .endpoint()
        .send_segments(Some(to), &[7; 6_400], 64)
        .await
        .unwrap();
    let (mut batch, mut count) = (ReceiveBatch::new(), 0);
    while count < 100 {
        timeout(DEADLINE, receiver.endpoint().recv_batch(&mut batch))
            .await
            .expect("in time")
            .unwrap();
        count += batch
            .iter()
            .filter(|one| one.bytes == [7; 64] && one.to == Some(to.ip()))
            .count();
    }
}

#[tokio::test]
async fn what_cannot_be_joined_says_why() {
    let endpoint = MulticastEndpoint::bind(ANY_V4).unwrap();
    let group = group("239.255.77.8");
    let absent = Via::Interface(InterfaceSelector::Name("no-such0".to_owned()));
    assert!(matches!(
        endpoint.join(group, &absent),
        Err(MulticastError::Interface(_))
    ));

    let _joined = endpoint.join(group, &loopback()).unwrap();
    let twice = endpoint.join(group, &loopback());
    assert!(
        matches!(
            twice,
            Err(MulticastError::Join {
                interface_index: 1,
                ..
            })
        ),
        "{twice:?}"
    );

    let other_version = endpoint.join_source(group, Ipv6Addr::LOCALHOST.into(), &loopback());
    assert!(matches!(
        other_version,
        Err(MulticastError::NotASource { .. })
    ));
}

#[tokio::test]
async fn a_membership_outlives_its_endpoint_harmlessly() {
    let endpoint = MulticastEndpoint::bind(ANY_V4).unwrap();
    let membership = endpoint.join(group("239.255.77.9"), &loopback()).unwrap();
    drop(endpoint);
    assert!(membership.interface_indexes().is_empty());
    let error = membership.block([127, 0, 0, 2].into()).unwrap_err();
    assert!(matches!(error, MulticastError::Closed));
}

const LAB_PORT: u16 = 5008;

fn eth0() -> Via {
    Via::Interface(InterfaceSelector::Name("eth0".to_owned()))
}

/// Starts a receiver in `host` that joins by `join` and tells each text it
/// hears, until "end".
fn listen(
    host: &Host,
    any: SocketAddr,
    join: impl FnOnce(&MulticastEndpoint) -> Vec<Membership> + Send + 'static,
) -> JoinHandle<Vec<String>> {
    let (ready, is_ready) = mpsc::channel();
    let thread = host.spawn(async move || {
        let receiver = MulticastEndpoint::bind(SocketAddr::new(any.ip(), LAB_PORT)).unwrap();
        let _memberships = join(&receiver);
        ready.send(()).unwrap();
        let mut heard = Vec::new();
        while heard.last().is_none_or(|last| last != "end") {
            heard.push(hear(&receiver).await);
        }
        heard
    });
    is_ready.recv_timeout(DEADLINE).unwrap();
    thread
}

/// Sends each text to its group, from `host`.
fn tell(host: &Host, any: SocketAddr, texts: &[(Group, &str)]) {
    host.block_on(async || {
        let sender = MulticastEndpoint::bind(any).unwrap();
        sender
            .set_outgoing(&InterfaceSelector::Name("eth0".to_owned()))
            .unwrap();
        for (group, text) in texts {
            send(&sender, *group, LAB_PORT, text).await;
        }
    });
}

#[test]
fn two_receivers_hear_one_sender_across_a_network() {
    for (any, name) in [(ANY_V4, "239.255.77.20"), (ANY_V6, "ff15::7720")] {
        let Some(lab) = Lab::new("multicast across three hosts", 3, 1) else {
            return;
        };
        let group = group(name);
        for via in [eth0(), Via::All] {
            let receivers = [1, 2].map(|host| {
                let via = via.clone();
                listen(lab.host(host), any, move |one| {
                    vec![one.join(group, &via).unwrap()]
                })
            });
            tell(lab.host(0), any, &[(group, "hello"), (group, "end")]);
            for receiver in receivers {
                assert_eq!(receiver.join().unwrap(), ["hello", "end"], "{name} {via:?}");
            }
        }
    }
}

#[test]
fn a_source_specific_member_does_not_hear_the_other_sender() {
    for (any, name) in [(ANY_V4, "232.77.0.1"), (ANY_V6, "ff35::7721")] {
        let Some(lab) = Lab::new("source-specific multicast", 3, 1) else {
            return;
        };
        let group = group(name);
        let port = lab.host(0).port(0);
        let wanted: IpAddr = if any.is_ipv4() {
            port.ipv4().into()
        } else {
            port.ipv6().into()
        };
        let receiver = listen(lab.host(2), any, move |one| {
            vec![one.join_source(group, wanted, &eth0()).unwrap()]
        });
        tell(lab.host(1), any, &[(group, "unwanted")]);
        tell(lab.host(0), any, &[(group, "wanted"), (group, "end")]);
        assert_eq!(receiver.join().unwrap(), ["wanted", "end"], "{name}");
    }
}

#[test]
fn who_left_hears_no_more_and_the_other_goes_on() {
    for (any, first, last) in [
        (ANY_V4, "239.255.77.22", "239.255.77.23"),
        (ANY_V6, "ff15::7722", "ff15::7723"),
    ] {
        let Some(lab) = Lab::new("leaving a group", 3, 1) else {
            return;
        };
        let (first, last) = (group(first), group(last));
        let leaver = listen(lab.host(1), any, move |one| {
            drop(one.join(first, &eth0()).unwrap());
            vec![one.join(last, &eth0()).unwrap()]
        });
        let stayer = listen(lab.host(2), any, move |one| {
            [first, last]
                .map(|group| one.join(group, &eth0()).unwrap())
                .into()
        });
        tell(lab.host(0), any, &[(first, "hello"), (last, "end")]);
        assert_eq!(leaver.join().unwrap(), ["end"]);
        assert_eq!(stayer.join().unwrap(), ["hello", "end"]);
    }
}

#[test]
fn a_datagram_to_a_group_goes_out_by_each_interface() {
    for (any, name) in [(ANY_V4, "239.255.77.25"), (ANY_V6, "ff15::7725")] {
        let Some(lab) = Lab::new("multicast by every interface", 2, 2) else {
            return;
        };
        let group = group(name);
        let (joined, is_joined) = mpsc::channel();
        let receiver = lab.host(1).spawn(async move || {
            let receiver = MulticastEndpoint::bind(SocketAddr::new(any.ip(), LAB_PORT)).unwrap();
            let _membership = receiver.join(group, &Via::All).unwrap();
            joined.send(()).unwrap();
            let mut heard = Vec::new();
            let mut buffer = [0; 32];
            for _ in 0..2 {
                let datagram = receiver.endpoint().recv(&mut buffer);
                let datagram = timeout(DEADLINE, datagram).await.unwrap().unwrap();
                assert_eq!(datagram.bytes, b"hello");
                heard.push(datagram.interface_index.unwrap());
            }
            heard.sort_unstable();
            heard
        });
        is_joined.recv_timeout(DEADLINE).unwrap();
        let used = lab.host(0).block_on(async || {
            let sender = MulticastEndpoint::bind(any).unwrap();
            let used = sender.send_everywhere(group, LAB_PORT, b"hello").await;
            used.unwrap()
        });
        let own = |host: u8| [0, 1].map(|port| lab.host(host).port(port).index());
        assert_eq!(used, own(0));
        assert_eq!(receiver.join().unwrap(), own(1));
    }
}

#[test]
fn a_machine_without_an_interface_for_groups_says_so() {
    let Some(lab) = Lab::new("multicast without a network", 1, 0) else {
        return;
    };
    lab.host(0).block_on(async || {
        let sender = MulticastEndpoint::bind(ANY_V4).unwrap();
        let error = sender
            .send_everywhere(group("239.255.77.26"), 9, b"hello")
            .await;
        assert!(matches!(error, Err(MulticastError::NoInterface { .. })));
    });
}

#[test]
fn an_interface_that_is_made_again_is_joined_again() {
    for (any, name) in [(ANY_V4, "239.255.77.24"), (ANY_V6, "ff15::7724")] {
        for by_index in [false, true] {
            let Some(lab) = Lab::new("joining again", 2, 1) else {
                return;
            };
            let group = group(name);
            let port = lab.host(1).port(0);
            let before = port.index();
            let selector = if by_index {
                InterfaceSelector::Index(before)
            } else {
                InterfaceSelector::Name("eth0".to_owned())
            };
            let (joined, is_joined) = mpsc::channel();
            let receiver = lab.host(1).spawn(async move || {
                let receiver =
                    MulticastEndpoint::bind(SocketAddr::new(any.ip(), LAB_PORT)).unwrap();
                let membership = receiver.join(group, &Via::Interface(selector)).unwrap();
                let mut seen = Vec::new();
                let ended = async {
                    loop {
                        let indexes = membership.interface_indexes();
                        if seen != indexes {
                            seen.clone_from(&indexes);
                            joined.send(indexes).unwrap();
                        }
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                };
                tokio::select! {
                    () = ended => unreachable!("it has no end"),
                    text = hear(&receiver) => text,
                }
            });
            let next = || is_joined.recv_timeout(DEADLINE).unwrap();
            assert_eq!(next(), [before]);
            port.delete();
            assert!(next().is_empty());
            port.create();
            let after = port.index();
            assert_ne!(after, before);
            assert_eq!(next(), [after]);
            tell(lab.host(0), any, &[(group, "welcome back")]);
            assert_eq!(receiver.join().unwrap(), "welcome back");
        }
    }
}
