//! Members that do not keep to the protocol: they have the code and the group's key.

use std::thread::JoinHandle;

use sockkit::{
    file::group::{GroupKey, Lack, Layout, ShardId, ToMember, ToSender, Welcome},
    interfaces::InterfaceSelector,
    link::{Connection, Node, identity::Identity, pairing::TypedCode, trust::Trust},
    multicast::MulticastEndpoint,
    testing::program::{Program, ProgramOutput},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split},
    sync::oneshot,
};

use super::{Class, succeeds};

#[derive(Clone, Copy, Debug)]
enum Behaviour {
    /// Always lacks everything.
    Lies,
    /// Never answers.
    Mute,
    /// Multicasts shards of its own.
    Forges,
    /// Says more than anyone can use.
    Floods,
}

/// Stays until it is told to leave.
struct Member {
    leave: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Class {
    fn misbehave(&self, host: u8, line: &str, behaviour: Behaviour) -> Member {
        let (leave, told) = oneshot::channel();
        let line = line.to_owned();
        let thread = self.lab.host(host).spawn(async move || {
            tokio::select! {
                _ = told => {}
                () = misbehave(&line, behaviour) => {}
            }
        });
        Member { leave, thread }
    }
}

/// Joins by the line that the sender shows.
async fn misbehave(line: &str, behaviour: Behaviour) {
    let words: Vec<_> = line.split(' ').collect();
    let ["sockkit", "receive", address, "--code", code] = words[..] else {
        panic!("{line}");
    };
    let code = Trust::none().code(TypedCode::new(code.parse().unwrap()));
    let node = Node::default().authenticate(Identity::throw_away().unwrap(), code);
    let address = format!("tcp://{address}").parse().unwrap();
    let connection = node.dial(&address).await.unwrap();
    let own = InterfaceSelector::Address(connection.local_ip().unwrap());
    let (mut reading, mut writing) = split(connection);
    write(&mut writing, &ToSender::Hello("member".into())).await;
    let ToMember::Welcome(welcome) = read(&mut reading).await else {
        panic!("a welcome comes first");
    };
    write(&mut writing, &ToSender::Ready).await;
    match behaviour {
        Behaviour::Mute => ignore(&mut reading).await,
        Behaviour::Lies => lie(&mut reading, &mut writing, &welcome.layout).await,
        Behaviour::Forges => {
            forge(&welcome, &own).await;
            ignore(&mut reading).await;
        }
        Behaviour::Floods => {
            let flood = flood(&mut writing);
            tokio::join!(flood, ignore(&mut reading));
        }
    }
}

async fn ignore(reading: &mut ReadHalf<Connection>) {
    loop {
        read(reading).await;
    }
}

async fn lie(
    reading: &mut ReadHalf<Connection>,
    writing: &mut WriteHalf<Connection>,
    layout: &Layout,
) {
    loop {
        if let ToMember::Poll { round, blocks, .. } = read(reading).await {
            let shards = |block| layout.data_shards(block);
            let lacks = blocks.map(|block| Lack {
                block,
                shards: shards(block),
            });
            let lacks = lacks.collect();
            write(writing, &ToSender::Report { round, lacks }).await;
        }
    }
}

/// The last shards of each block, before the sender gets there, and what only a
/// connection can say.
async fn forge(welcome: &Welcome, outgoing: &InterfaceSelector) {
    let (layout, key) = (welcome.layout, GroupKey::new(welcome.secret));
    let endpoint = MulticastEndpoint::bind(([0, 0, 0, 0], 0).into()).unwrap();
    endpoint.set_outgoing(outgoing).unwrap();
    let forged = vec![0xaa; layout.shard_bytes()];
    let (mut counter, mut packet) = (1 << 40, Vec::new());
    for block in 0..layout.blocks() {
        let shards = layout.data_shards(block);
        for index in shards.saturating_sub(20)..shards {
            counter += 1;
            key.seal(
                counter,
                Some((ShardId { block, index }, &forged)),
                &mut packet,
            );
            let (to, bytes) = (Some(welcome.group), packet.len());
            let endpoint = endpoint.endpoint();
            endpoint.send_segments(to, &packet, bytes).await.unwrap();
        }
    }
}

async fn flood(writing: &mut WriteHalf<Connection>) {
    loop {
        for message in [
            ToSender::Ready,
            ToSender::Working,
            ToSender::Report {
                round: 1,
                lacks: vec![Lack {
                    block: 0,
                    shards: 1,
                }],
            },
        ] {
            write(writing, &message).await;
        }
    }
}

/// Never returns once the connection is closed.
async fn write(writing: &mut WriteHalf<Connection>, message: &ToSender) {
    let mut frame = Vec::new();
    message.encode(&mut frame);
    if writing.write_all(&frame).await.is_err() || writing.flush().await.is_err() {
        std::future::pending().await
    }
}

/// Likewise.
async fn read(reading: &mut ReadHalf<Connection>) -> ToMember {
    let Ok(length) = reading.read_u32().await else {
        return std::future::pending().await;
    };
    let mut message = vec![0; length as usize];
    match reading.read_exact(&mut message).await {
        Ok(_) => ToMember::decode(&message).unwrap(),
        Err(_) => std::future::pending().await,
    }
}

/// Two honest receivers beside members that behave so. Their files are right, and the
/// sender names the others. Returns what the two receivers printed.
fn check(test: &str, behaviours: &[Behaviour]) -> Option<[ProgramOutput; 2]> {
    let members = 2 + u8::try_from(behaviours.len()).unwrap();
    let class = Class::new(test, members, 0.02)?;
    let film = class.film(8 << 20);
    let (sender, line) = class.send(&["--rate", "60"]);
    let receivers = [1, 2].map(|host| class.receive(host, &line));
    sender.wait_for_error("has accepted (2 of");
    let bad: Vec<_> = (3..)
        .zip(behaviours)
        .map(|(host, behaviour)| class.misbehave(host, &line, *behaviour))
        .collect();
    let ends = receivers.map(Program::end);
    for (host, end) in (1..).zip(&ends) {
        succeeds(end);
        assert!(class.has_film(host, &film), "{host}: {end:?}");
    }
    for member in bad {
        // One whose connection was closed has left.
        let _ = member.leave.send(());
        member.thread.join().unwrap();
    }
    let end = sender.end();
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    let says = |text: &str| end.lines.iter().filter(|line| line.contains(text)).count();
    let expected = format!("2 of {members} have everything");
    assert_eq!(says(&expected), 1, "{end:?}");
    assert_eq!(
        says("does not have everything"),
        behaviours.len(),
        "{end:?}"
    );
    Some(ends)
}

#[test]
fn members_that_lie_do_not_answer_or_flood_keep_nothing_from_the_others() {
    use Behaviour::{Floods, Lies, Mute};
    check("many: a liar, a mute, a flood", &[Lies, Mute, Floods]);
}

#[test]
fn what_a_member_forges_is_never_in_a_file() {
    let Some(ends) = check("many: a forger", &[Behaviour::Forges]) else {
        return;
    };
    for end in ends {
        assert!(end.errors.contains("a member forged shards"), "{end:?}");
    }
}
