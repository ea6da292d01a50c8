//! A group whose members get its key over their subscriptions.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use sockkit::{
    interfaces::InterfaceSelector,
    link::{
        channel::{Channel, DatagramConfig, Group, Limits, OpenError, Reached, RecvError},
        identity::Identity,
    },
    shard::{MessageKind, Parity},
};
use tokio::time::{sleep, timeout};

use super::{WITHIN, subscribed::channels};

const KIND: MessageKind = MessageKind(1);

/// A group that is sent to by the loopback interface.
fn group(camera: &Identity) -> Group {
    let free = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let port = free.local_addr().unwrap().port();
    let to = SocketAddr::from(([239, 255, 77, 41], port));
    let loopback = InterfaceSelector::Address(Ipv4Addr::LOCALHOST.into());
    let config = DatagramConfig::to([to]).interface(loopback);
    let sender = *camera.fingerprint().as_bytes();
    Group::new(&config, sender, &Limits::default()).unwrap()
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
    let group = group(&camera);
    let (first, mut stays) = channels(camera.clone()).await;
    let (second, mut goes) = channels(camera.clone()).await;
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

#[tokio::test]
async fn one_that_is_handed_over_hears_the_group_as_well() {
    let camera = Identity::throw_away().unwrap();
    let group = group(&camera);
    let (subscribed, mut member) = channels(camera.clone()).await;
    let _membership = group.admit(&subscribed).await.unwrap();
    let hears = async {
        while group.reached().multicast == 0 {
            arrives(&group, &mut member, "one").await;
        }
    };
    timeout(WITHIN, hears).await.expect("the group reaches it");
    group.hand_over(subscribed.destinations()[0], WITHIN);
    assert_eq!(group.reached().unicast.len(), 1);
    arrives(&group, &mut member, "two").await;
    group.hand_over(subscribed.destinations()[0], Duration::ZERO);
    assert_eq!(group.reached().multicast, 1);
    arrives(&group, &mut member, "three").await;
}

#[tokio::test]
async fn only_a_subscriber_is_admitted() {
    let group = group(&Identity::throw_away().unwrap());
    let plain = DatagramConfig::to([SocketAddr::from(([127, 0, 0, 1], 9))]);
    let plain = Channel::datagrams(plain, &Limits::default()).unwrap();
    group.admit(&plain).await.unwrap_err();
    assert_eq!(group.reached(), Reached::default());
}
