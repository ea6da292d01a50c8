//! A group whose members get its key over their subscriptions.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use sockkit::{
    interfaces::InterfaceSelector,
    link::{
        Node,
        channel::{Channel, DatagramConfig, Group, Limits, OpenError, Reached, RecvError},
        identity::Identity,
        trust::Trust,
    },
    shard::{MessageKind, Parity},
};
use tokio::time::{sleep, timeout};

use super::{WITHIN, address};

const KIND: MessageKind = MessageKind(1);

/// A group that is sent to by an interface of this machine.
fn group(camera: &Identity, interface: InterfaceSelector) -> Group {
    let free = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let port = free.local_addr().unwrap().port();
    let to = SocketAddr::from(([239, 255, 77, 41], port));
    let config = DatagramConfig::to([to]).interface(interface);
    let sender = *camera.fingerprint().as_bytes();
    Group::new(&config, sender, &Limits::default()).unwrap()
}

fn loopback() -> InterfaceSelector {
    InterfaceSelector::Address(Ipv4Addr::LOCALHOST.into())
}

/// A subscriber: the camera's end, and its own.
async fn subscriber(camera: &Identity) -> (Channel, Channel) {
    let node = |identity: &Identity| {
        let node = Node::default().messages(b"test", WITHIN);
        node.authenticate(identity.clone(), Trust::anyone())
    };
    let at = address("tcp://127.0.0.1:0");
    let mut acceptor = node(camera).listen(&at).await.unwrap();
    let dialler = node(&Identity::throw_away().unwrap());
    let to = acceptor.address();
    let (dialled, accepted) = tokio::join!(dialler.dial(&to), acceptor.accept());
    let limits = Limits::default();
    let (here, there) = tokio::join!(
        Channel::serve(accepted.unwrap().into(), DatagramConfig::default(), &limits),
        Channel::subscribe(dialled.unwrap().into(), DatagramConfig::default(), &limits),
    );
    (here.unwrap(), there.unwrap())
}

async fn send(group: &Group, text: &'static str) {
    let sent = group.send(KIND, &[text.into()], Parity::NONE).await;
    sent.unwrap();
}

/// Sends it until the member has it.
async fn arrives(group: &Group, member: &mut Channel, text: &'static str) {
    let arriving = async {
        loop {
            tokio::select! {
                message = member.recv() => {
                    if message.is_ok_and(|message| message.bytes == text) {
                        return;
                    }
                }
                () = sleep(Duration::from_millis(10)) => send(group, text).await,
            }
        }
    };
    timeout(WITHIN, arriving).await.expect("it comes");
}

/// What the member cannot open, while more is sent.
async fn refused(group: &Group, member: &mut Channel) -> RecvError {
    let refused = async {
        loop {
            tokio::select! {
                message = member.recv() => {
                    if let Err(error) = message {
                        return error;
                    }
                }
                () = sleep(Duration::from_millis(10)) => send(group, "more").await,
            }
        }
    };
    timeout(WITHIN, refused).await.expect("it has no key")
}

#[tokio::test]
async fn members_hear_the_group_until_they_are_removed() {
    let camera = Identity::throw_away().unwrap();
    let group = group(&camera, loopback());
    let (first, mut stays) = subscriber(&camera).await;
    let (second, mut goes) = subscriber(&camera).await;
    let _stays = group.admit(&first).await.unwrap();
    let membership = group.admit(&second).await.unwrap();
    // None has said that the group reaches it.
    assert_eq!(group.reached().unicast.len(), 2);
    arrives(&group, &mut stays, "one").await;
    arrives(&group, &mut goes, "two").await;
    let both = async {
        while group.reached().multicast < 2 {
            arrives(&group, &mut stays, "three").await;
            arrives(&group, &mut goes, "four").await;
        }
    };
    timeout(WITHIN, both).await.expect("the group reaches both");

    // Its own subscription lives on; the group's key does not.
    drop(membership);
    let reached = group.reached();
    assert_eq!((reached.multicast, reached.unicast.len()), (1, 0));
    let error = refused(&group, &mut goes).await;
    let RecvError::NotOpened { source, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(source, OpenError::OtherEpoch);
    arrives(&group, &mut stays, "five").await;
}

/// The others of its datagrams go elsewhere.
#[tokio::test]
async fn one_that_the_group_does_not_reach_gets_the_same_by_unicast() {
    let camera = Identity::throw_away().unwrap();
    let interfaces = sockkit::interfaces::list().unwrap();
    let elsewhere = interfaces
        .iter()
        .find(|one| !one.flags.loopback && one.flags.running);
    let Some(elsewhere) = elsewhere else {
        // Of a machine without another interface, the group is the member's own.
        return;
    };
    let group = group(&camera, InterfaceSelector::Index(elsewhere.index));
    let (subscribed, mut member) = subscriber(&camera).await;
    let membership = group.admit(&subscribed).await.unwrap();
    for text in ["one", "two"] {
        arrives(&group, &mut member, text).await;
    }
    assert_eq!(group.reached().unicast.len(), 1);
    drop(membership);
    assert_eq!(group.reached().unicast.len(), 0);
}

#[tokio::test]
async fn one_that_is_handed_over_hears_the_group_as_well() {
    let camera = Identity::throw_away().unwrap();
    let group = group(&camera, loopback());
    let (subscribed, mut member) = subscriber(&camera).await;
    let _membership = group.admit(&subscribed).await.unwrap();
    let hears = async {
        while group.reached().multicast == 0 {
            arrives(&group, &mut member, "one").await;
        }
    };
    timeout(WITHIN, hears).await.expect("the group reaches it");
    group.hand_over(subscribed.destinations()[0]);
    assert_eq!(group.reached().unicast.len(), 1);
    arrives(&group, &mut member, "two").await;
}

#[tokio::test]
async fn only_a_subscriber_is_admitted() {
    let group = group(&Identity::throw_away().unwrap(), loopback());
    let plain = DatagramConfig::to([SocketAddr::from(([127, 0, 0, 1], 9))]);
    let plain = Channel::datagrams(plain, &Limits::default()).unwrap();
    group.admit(&plain).await.unwrap_err();
    assert_eq!(group.reached(), Reached::default());
}
