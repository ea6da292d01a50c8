//! A stranger's bytes never reach the terminal as they came.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    thread,
};

use sockkit::testing::program::ProgramOutput;
use tempfile::tempdir;

use crate::run::program;

/// Sets the title, clears the screen, colours, turns around, and hides.
const HOSTILE: &str =
    "\u{1b}]0;pwned\u{7}\u{1b}[2J\u{9b}31mfake$ \u{202e}\u{7f}\u{3164}\u{8} the end";

#[track_caller]
fn is_harmless(name: &str, end: &ProgramOutput) {
    let said = format!("{}\n{}", end.lines.join("\n"), end.errors);
    let odd = |character: char| {
        character.is_control() && character != '\n' || "\u{202e}\u{3164}".contains(character)
    };
    assert!(!said.contains(odd), "{name}: {said:?}");
}

/// Where a program listens that may have bound every address.
fn at_loopback(address: SocketAddr) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], address.port()))
}

#[test]
fn servers_print_what_a_client_sends_escaped() {
    let bind = &["--bind", "127.0.0.1:0"][..];
    for (name, path, arguments) in [
        (
            "tcp-echo-server",
            env!("CARGO_BIN_EXE_tcp-echo-server"),
            bind,
        ),
        (
            "tcp-echo-server-demo",
            env!("CARGO_BIN_EXE_tcp-echo-server-demo"),
            bind,
        ),
        (
            "tcp-process-server",
            env!("CARGO_BIN_EXE_tcp-process-server"),
            bind,
        ),
        (
            "my-tcp-server-ex01",
            env!("CARGO_BIN_EXE_my-tcp-server-ex01"),
            &["--port", "0"],
        ),
        ("p2p-chat", env!("CARGO_BIN_EXE_p2p-chat"), bind),
    ] {
        let server = program(path, arguments);
        let mut stream = TcpStream::connect(at_loopback(server.listening())).unwrap();
        writeln!(stream, "{HOSTILE}").unwrap();
        loop {
            let line = server.line();
            let shown = line.contains("the end");
            assert!(!line.contains(char::is_control), "{name}: {line:?}");
            if shown {
                assert!(
                    line.contains(r"\u{1b}]0;pwned\u{7}\u{1b}[2J"),
                    "{name}: {line}"
                );
                break;
            }
        }
        drop(stream);
        server.interrupt();
        is_harmless(name, &server.end());
    }
}

#[test]
fn receivers_print_what_a_datagram_holds_escaped() {
    let group = ["--group", "224.0.0.255:0", "--interface", "127.0.0.1"];
    let bind = ["--bind", "127.0.0.1:0"];
    for (name, path, arguments) in [
        (
            "udp-echo-server",
            env!("CARGO_BIN_EXE_udp-echo-server"),
            &bind[..],
        ),
        (
            "broadcast-receiver",
            env!("CARGO_BIN_EXE_broadcast-receiver"),
            &bind,
        ),
        (
            "multicast-receiver",
            env!("CARGO_BIN_EXE_multicast-receiver"),
            &group,
        ),
    ] {
        let receiver = program(path, arguments);
        let to = at_loopback(receiver.listening());
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.send_to(HOSTILE.as_bytes(), to).unwrap();
        let line = receiver.line();
        assert!(line.contains(r"\u{1b}[2J\u{9b}31m"), "{name}: {line:?}");
        receiver.interrupt();
        let end = receiver.end();
        is_harmless(
            name,
            &ProgramOutput {
                lines: vec![line],
                ..end
            },
        );
    }
}

/// Answers one connection with `says`, whatever it hears.
fn stranger(says: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.write_all(&says);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    });
    address.to_string()
}

#[test]
fn clients_print_what_a_server_answers_escaped() {
    let into = tempdir().unwrap();
    let into = into.path().to_str().unwrap();
    for (name, path, arguments) in [
        ("time-client", env!("CARGO_BIN_EXE_time-client"), &[][..]),
        ("tcp-client", env!("CARGO_BIN_EXE_tcp-client"), &[]),
        (
            "tcp-client-demo",
            env!("CARGO_BIN_EXE_tcp-client-demo"),
            &[HOSTILE],
        ),
        (
            "tcp-receivefile",
            env!("CARGO_BIN_EXE_tcp-receivefile"),
            &["--into", into],
        ),
        (
            "tcp-video-client",
            env!("CARGO_BIN_EXE_tcp-video-client"),
            &["--frames", "1"],
        ),
        (
            "tcp-video-client",
            env!("CARGO_BIN_EXE_tcp-video-client"),
            &["--body", "pickle", "--frames", "1"],
        ),
    ] {
        let says = match arguments {
            // A pickle that names what it wants run.
            ["--body", ..] => {
                let pickle = format!("c{HOSTILE}\n{HOSTILE}\n.");
                let length = (pickle.len() as u64).to_be_bytes();
                [&length[..], pickle.as_bytes()].concat()
            }
            _ => HOSTILE.as_bytes().to_vec(),
        };
        let address = stranger(says);
        let mut client = program(path, &[&[address.as_str()], arguments].concat());
        if name == "tcp-client" {
            client.type_line("hello");
        }
        let end = client.end();
        if matches!(name, "time-client" | "tcp-client" | "tcp-client-demo") {
            assert!(end.lines[0].contains(r"\u{1b}[2J"), "{name}: {end:?}");
        }
        is_harmless(name, &end);
    }
}

#[test]
fn a_datagram_that_answers_is_escaped() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap().to_string();
    let client = program(env!("CARGO_BIN_EXE_udp-echo-client"), &[&address]);
    let (_, from) = server.recv_from(&mut [0; 100]).unwrap();
    server.send_to(HOSTILE.as_bytes(), from).unwrap();
    let end = client.end();
    assert!(end.lines[0].contains(r"\u{1b}[2J"), "{end:?}");
    is_harmless("udp-echo-client", &end);
}

#[test]
fn a_hostile_file_name_is_told_escaped() {
    let into = tempdir().unwrap();
    let arguments = [
        "r",
        "--bind",
        "127.0.0.1:0",
        "--into",
        into.path().to_str().unwrap(),
    ];
    let receiver = program(env!("CARGO_BIN_EXE_udp-file"), &arguments);
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender
        .send_to(HOSTILE.as_bytes(), receiver.listening())
        .unwrap();
    let end = receiver.end();
    assert!(!end.status.success(), "{end:?}");
    is_harmless("udp-file", &end);
}
