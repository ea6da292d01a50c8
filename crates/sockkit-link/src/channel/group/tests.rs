//! A member that seals as the sender does, over real sockets.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use sockkit_codec::shard::{MessageKind, Missing, Parity, SplitConfig, Splitter};
use sockkit_core::{interfaces::InterfaceSelector, tcp::End};
use tokio::time::{sleep, timeout};

use super::Group;
use crate::{
    Node,
    channel::{Channel, DatagramConfig, Limits, OpenError, RecvError, SendError, Sending},
    identity::Identity,
    sealing::{
        Direction, Key, Sealer,
        sign::{SignedPlace, Signer},
    },
    trust::Trust,
};

/// The camera's end of a subscription, and the viewer's.
async fn subscription(camera: &Identity) -> (Channel, Channel) {
    let node = |identity: &Identity| {
        let node = Node::default().messages(b"test", WITHIN);
        node.authenticate(identity.clone(), Trust::anyone())
    };
    let at = "tcp://127.0.0.1:0".parse().unwrap();
    let mut acceptor = node(camera).listen(&at).await.unwrap();
    let dialler = node(&Identity::throw_away().unwrap());
    let to = acceptor.address();
    let (dialled, accepted) = tokio::join!(dialler.dial(&to), acceptor.accept());
    let (config, limits) = (DatagramConfig::default(), Limits::default());
    let (here, there) = tokio::join!(
        Channel::serve(accepted.unwrap().into(), config.clone(), &limits),
        Channel::subscribe(dialled.unwrap().into(), config, &limits),
    );
    (here.unwrap(), there.unwrap())
}

fn group(camera: &Identity) -> Group {
    let free = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let port = free.local_addr().unwrap().port();
    let lo = InterfaceSelector::Address(Ipv4Addr::LOCALHOST.into());
    let to = SocketAddr::from(([239, 255, 77, 42], port));
    let config = DatagramConfig::to([to]).interface(lo);
    let sender = *camera.fingerprint().as_bytes();
    Group::new(&config, sender, &Limits::default()).unwrap()
}

/// What another member, with the group's key, sends to a viewer in the sender's stream; first a
/// message of its own that the sender has not signed, and then one that is signed by itself.
async fn forge(group: &Group, camera: &Identity, to: SocketAddr) {
    let (secret, _) = group.0.members().secrets();
    let stream = group.0.stream.lock().await.sealer.stream();
    let key = Key::new(&secret).of_sender(*camera.fingerprint().as_bytes());
    let splitter = Splitter::new(SplitConfig::default(), stream);
    let mut sealer = Sealer::new(key, Direction::FromSender, splitter);
    let own = Signer::new(stream).unwrap();
    let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 2), 0)).unwrap();
    for number in 0..20 {
        let place = SignedPlace {
            epoch: 0,
            number,
            kind: KIND,
        };
        let trailer = own.trailer(place, &[b"believe me"]);
        let parts: &[&[u8]] = match number % 2 {
            0 => &[b"believe me"],
            _ => &[b"believe me", &trailer],
        };
        let forged = sealer.split_parts(KIND, parts, Parity::NONE).unwrap();
        for datagram in forged.datagrams() {
            socket.send_to(datagram, to).unwrap();
        }
    }
}

#[tokio::test]
async fn what_a_member_forges_is_not_taken() {
    let camera = Identity::throw_away().unwrap();
    let group = group(&camera);
    let (subscriber, mut viewer) = subscription(&camera).await;
    let _membership = group.admit(&subscriber).await.unwrap();
    let to = subscriber.destinations()[0];
    let mut refused = 0;
    let mut arrived = 0;
    let arriving = async {
        while arrived < 20 {
            tokio::select! {
                received = viewer.recv() => match received {
                    Ok(message) => {
                        assert_eq!(message.bytes, "a picture");
                        arrived += 1;
                    }
                    Err(RecvError::NotOpened { source, .. }) => {
                        refused += u32::from(source == OpenError::NotSigned);
                    }
                    Err(error) => panic!("{error}"),
                },
                // The first ones may come before the key.
                () = sleep(Duration::from_millis(10)) => {
                    forge(&group, &camera, to).await;
                    let sent = group.send(KIND, &["a picture".into()], Parity::NONE).await;
                    sent.unwrap();
                }
            }
        }
    };
    timeout(WITHIN, arriving).await.expect("they come");
    assert!(refused > 0, "some were put together");
}

/// Its messages would be taken unverified, or those of the first.
#[tokio::test]
async fn a_second_group_ends_the_subscription() {
    let camera = Identity::throw_away().unwrap();
    let groups = [group(&camera), group(&camera)];
    let (subscriber, mut viewer) = subscription(&camera).await;
    let _membership = groups[0].admit(&subscriber).await.unwrap();
    let again = groups[1].admit(&subscriber).await.unwrap_err();
    let SendError::Ended(why) = again else {
        panic!("{again:?}");
    };
    assert_eq!(why.kind(), ErrorKind::AlreadyExists);

    let Sending::Udp(sender) = &subscriber.sender.0 else {
        unreachable!("it is served over UDP");
    };
    let (subscription, _) = sender.subscriber().unwrap();
    let stream = groups[1].0.stream.lock().await;
    let granted = groups[1]
        .0
        .grant(&stream, &groups[1].0.members(), subscription);
    granted.unwrap();
    let ended = timeout(WITHIN, viewer.recv()).await.expect("it ends");
    let end = ended.unwrap_err().end();
    assert_eq!(end, Some(End::Failed(ErrorKind::InvalidData)));
}

/// Else no viewer of another machine would hear the group.
#[tokio::test]
async fn a_member_on_this_machine_does_not_decide_where_the_group_is_sent() {
    let camera = Identity::throw_away().unwrap();
    let (subscriber, _viewer) = subscription(&camera).await;
    let Sending::Udp(sender) = &subscriber.sender.0 else {
        unreachable!("it is served over UDP");
    };
    let (_, member) = sender.subscriber().unwrap();
    assert_eq!(member.outward_ip(), None);
}

/// What is asked for again is of the last message, and no more of use.
#[tokio::test]
async fn a_repair_does_not_wait_for_a_message_on_its_way() {
    let camera = Identity::throw_away().unwrap();
    let group = group(&camera);
    let (subscriber, _viewer) = subscription(&camera).await;
    let membership = group.admit(&subscriber).await.unwrap();
    let on_its_way = group.0.stream.lock().await;
    let missing = Missing::new(on_its_way.sealer.stream(), 0, 0, 1);
    let place = membership.place();
    let repaired = timeout(WITHIN, place.repair(missing)).await;
    assert_eq!(repaired.expect("it does not wait").unwrap(), Some(0));
}

const KIND: MessageKind = MessageKind(1);
const WITHIN: Duration = Duration::from_secs(60);
