//! Peers that hold a transfer's listener up, leave, or come second.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use sockkit::quic;

use crate::{
    prompt,
    send_receive::{Desk, send, wait_for_answer},
    sockkit,
};

/// What a sender says first.
const HELLO: &[u8] = b"\0\0\0\0\0\0\0\x09\x01SKFT\0\x02\0\0";
const WORKING: &[u8] = b"\0\0\0\0\0\0\0\x01\x09";

/// Hello, and an offer of one file of a byte called `x`.
fn hello_and_offer() -> Vec<u8> {
    let mut said = HELLO.to_vec();
    said.extend_from_slice(b"\0\0\0\0\0\0\0\x27\x02\x01\0\0\0\0\0\0\0\x01\0\0\0\0");
    said.extend_from_slice(&1_u64.to_be_bytes());
    said.extend_from_slice(&[0; 12]);
    said.extend_from_slice(b"\0\x01x\0\0");
    said
}

/// Dials `address` and says `words`.
fn stranger(address: &str, words: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(words).unwrap();
    stream
}

/// The next message's kind and body.
fn frame(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut length = [0; 8];
    stream.read_exact(&mut length).unwrap();
    let length = usize::try_from(u64::from_be_bytes(length)).unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    (body[0], body[1..].to_vec())
}

/// Whether a hello has the extension that says busy.
fn says_busy(hello: &[u8]) -> bool {
    hello.ends_with(&[0, 1, 0, 0])
}

/// Strangers that offer nothing, held until they are dropped.
type Strangers = Box<dyn std::any::Any>;

/// Sends 1 MB to a receiver on both IP versions while the strangers, whom its
/// port is told, hold on to it. Returns how long the send took.
fn send_beside(scheme: &str, strangers: impl FnOnce(u16) -> Strangers) -> Duration {
    let desk = Desk::new();
    let path = desk.write("a", &vec![7; 1 << 20]);
    let into = desk.into.path().to_str().unwrap();
    // Both versions at one port: two hosts without a second machine.
    let listen = format!("{scheme}[::]:0");
    let receiver = sockkit(&[
        "receive",
        "--plain",
        "--into",
        into,
        "--yes",
        "--no-announce",
        "--listen",
        &listen,
    ]);
    let place = receiver.line_after("listening on ");
    let port = place.rsplit(':').next().unwrap().parse().unwrap();
    let strangers = strangers(port);
    let begun = Instant::now();
    let sent = send(&[&path], &format!("{scheme}127.0.0.1:{port}")).end();
    let took = begun.elapsed();
    assert!(sent.status.success(), "{sent:?}");
    drop(strangers);
    assert!(receiver.end().status.success());
    assert_eq!(fs::read(desk.arrived("a")).unwrap().len(), 1 << 20);
    took
}

/// One of each kind, from the address of the honest sender.
fn silent_slow_and_working(port: u16) -> Strangers {
    let address = format!("127.0.0.1:{port}");
    Box::new([
        stranger(&address, b""),
        stranger(&address, b""),
        stranger(&address, &HELLO[..3]),
        stranger(&address, &[HELLO, WORKING].concat()),
    ])
}

fn seventy_over_tcp(port: u16) -> Strangers {
    let address = format!("[::1]:{port}");
    let crowd = [(); 70].map(|()| {
        let mut stranger = TcpStream::connect(&address).unwrap();
        // Those that find no place are reset at once.
        let _ = stranger.write_all(HELLO);
        stranger
    });
    Box::new(crowd)
}

fn seventy_over_quic(port: u16) -> Strangers {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let to = format!("[::1]:{port}");
    let crowd = runtime.block_on(async {
        let mut crowd = Vec::new();
        for _ in 0..70 {
            if let Ok(mut connection) = quic::connect(to.as_str()).await {
                let _ = tokio::io::AsyncWriteExt::write_all(&mut connection, HELLO).await;
                crowd.push(connection);
            }
        }
        crowd
    });
    assert!((1..=16).contains(&crowd.len()), "{}", crowd.len());
    Box::new((crowd, runtime))
}

#[test]
fn strangers_that_offer_nothing_hold_no_sender_up() {
    send_beside("", silent_slow_and_working);
}

#[test]
fn one_host_takes_only_its_share_of_the_places() {
    send_beside("", seventy_over_tcp);
}

#[test]
fn seventy_quic_connections_of_one_host_hold_no_sender_up() {
    send_beside("quic://", seventy_over_quic);
}

mod real_time {
    use sockkit::testing::real_time::check;

    use super::*;

    #[test]
    #[ignore = "real time"]
    fn beside_strangers_a_file_is_through_within_a_second() {
        through("none", "", |_| Box::new(()));
        through("silent, slow and working", "", silent_slow_and_working);
        through("seventy over TCP", "", seventy_over_tcp);
        through("seventy over QUIC", "quic://", seventy_over_quic);
    }

    fn through(who: &str, scheme: &str, strangers: fn(u16) -> Strangers) {
        check("strangers: a file is through", || {
            let took = send_beside(scheme, strangers);
            println!("{who}: {took:?}");
            if took < Duration::from_secs(1) {
                return Ok(());
            }
            Err(format!("{who}: it took {took:?}"))
        });
    }
}

#[test]
fn offers_whose_senders_left_are_not_asked_about() {
    let desk = Desk::new();
    let path = desk.write("a", b"a");
    let (mut receiver, address) = prompt::receiver(&desk, &[]);
    let first = stranger(&address, &hello_and_offer());
    receiver.wait_for_error("[y/N]");
    for _ in 0..20 {
        let mut passer_by = stranger(&address, &hello_and_offer());
        assert_eq!(frame(&mut passer_by).0, 1, "a hello");
    }
    let honest = send(&[&path], &address);
    honest.wait_for_error("is busy with others");
    // It leaves while the user thinks.
    drop(first);
    receiver.wait_for_error("disconnected");
    receiver.wait_for_error("[y/N]");
    receiver.type_line("y");
    let (sent, received) = (honest.end(), receiver.end());
    assert!(sent.status.success(), "{sent:?} {received:?}");
    assert!(received.status.success(), "{received:?}");
    assert_eq!(received.errors.matches("[y/N]").count(), 2, "{received:?}");
    assert_eq!(desk.names(), ["a"]);
}

#[test]
fn who_waits_behind_the_last_transfer_is_told_why_it_ends() {
    let desk = Desk::new();
    let (receiver, address) = desk.receiver(&["--yes"]);
    let mut first = stranger(&address, &hello_and_offer());
    wait_for_answer(&mut first);
    let mut second = stranger(&address, &hello_and_offer());
    let (kind, hello) = frame(&mut second);
    assert_eq!((kind, says_busy(&hello)), (1, true));
    drop(first);
    let mut said = frame(&mut second);
    while said.0 == 9 {
        said = frame(&mut second);
    }
    assert_eq!((said.0, said.1[0]), (10, 12), "an abort that says busy");
    drop(second);
    assert!(!receiver.end().status.success());
}

#[test]
fn ctrl_c_while_the_user_is_asked_tells_those_who_wait() {
    let desk = Desk::new();
    let (receiver, address) = prompt::receiver(&desk, &[]);
    let _first = stranger(&address, &hello_and_offer());
    receiver.wait_for_error("[y/N]");
    let mut second = stranger(&address, &hello_and_offer());
    assert!(says_busy(&frame(&mut second).1));
    receiver.interrupt();
    let mut said = frame(&mut second);
    while said.0 == 9 {
        said = frame(&mut second);
    }
    assert_eq!((said.0, said.1[0]), (10, 10), "an abort that says stopped");
    drop(second);
    let end = receiver.end();
    assert!(!end.status.success(), "{end:?}");
    assert_eq!(desk.names(), [""; 0]);
}

#[test]
fn a_silent_dialler_does_not_take_the_real_receivers_place() {
    let desk = Desk::new();
    let path = desk.write("a", b"contents");
    for transport in ["", "quic://"] {
        let listen = format!("{transport}127.0.0.1:0");
        let sender = sockkit(&["send", "--plain", "--yes", "--listen", &listen, &path]);
        let place = sender.line_after("listening on ");
        let silent = match transport {
            "" => Some(stranger(&place, b"")),
            _ => None,
        };
        let into = tempfile::tempdir().unwrap();
        let folder = into.path().to_str().unwrap();
        let received = sockkit(&["receive", "--plain", &place, "--yes", "--into", folder]).end();
        assert!(received.status.success(), "{received:?}");
        assert!(sender.end().status.success());
        drop(silent);
        assert_eq!(fs::read(into.path().join("a")).unwrap(), b"contents");
    }
}
