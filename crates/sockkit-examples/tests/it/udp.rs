//! UDP echo, broadcast, multicast, and what the machine is attached to.

use crate::run::{has_python, program, twin};

const ECHO_SERVER: &str = env!("CARGO_BIN_EXE_udp-echo-server");
const ECHO_CLIENT: &str = env!("CARGO_BIN_EXE_udp-echo-client");
const BROADCAST_SENDER: &str = env!("CARGO_BIN_EXE_broadcast-sender");
const BROADCAST_RECEIVER: &str = env!("CARGO_BIN_EXE_broadcast-receiver");
const MULTICAST_SENDER: &str = env!("CARGO_BIN_EXE_multicast-sender");
const MULTICAST_RECEIVER: &str = env!("CARGO_BIN_EXE_multicast-receiver");
const INTERFACES: &str = env!("CARGO_BIN_EXE_interfaces");

#[cfg(unix)]
#[test]
fn echo_client_with_echo_server() {
    let server = program(ECHO_SERVER, &["--bind", "127.0.0.1:0"]);
    let address = server.listening().to_string();
    let client = program(ECHO_CLIENT, &[&address, "one", "두 번째"]).end();
    assert!(client.status.success(), "{client:?}");
    assert_eq!(client.lines, ["one", "두 번째"]);
    assert!(server.line().ends_with(": one"));
    server.interrupt();
    assert!(server.end().status.success(), "Ctrl-C is no failure");
}

#[test]
fn echo_with_python_both_ways() {
    if !has_python("UDP echo with Python") {
        return;
    }
    let server = program(ECHO_SERVER, &["--bind", "127.0.0.1:0"]);
    let address = server.listening().to_string();
    let client = twin("udp_echo_client.py", &[&address, "hello", "again"]).end();
    assert_eq!(client.lines, ["hello", "again"], "{client:?}");

    let server = twin("udp_echo_server.py", &["127.0.0.1:0"]);
    let address = server.listening().to_string();
    let client = program(ECHO_CLIENT, &[&address, "hello"]).end();
    assert_eq!(client.lines, ["hello"], "{client:?}");
}

#[test]
fn echo_client_says_that_nobody_listens() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    drop(socket);
    let client = program(ECHO_CLIENT, &[&address]).end();
    assert!(!client.status.success());
    assert!(client.errors.contains("port closed"), "{client:?}");
}

#[test]
fn broadcast_with_ours_and_python() {
    let receiver = program(BROADCAST_RECEIVER, &["--bind", "0.0.0.0:0", "--count", "1"]);
    let to = format!("127.255.255.255:{}", receiver.listening().port());
    let sender = program(BROADCAST_SENDER, &["--to", &to, "all of you"]).end();
    assert!(sender.status.success(), "{sender:?}");
    let heard = receiver.end();
    assert!(heard.lines[0].ends_with(": all of you"), "{heard:?}");

    if !has_python("broadcast with Python") {
        return;
    }
    let receiver = program(BROADCAST_RECEIVER, &["--bind", "0.0.0.0:0", "--count", "1"]);
    let to = format!("127.255.255.255:{}", receiver.listening().port());
    assert!(
        twin("broadcast_sender.py", &[&to, "from Python"])
            .end()
            .status
            .success()
    );
    assert!(receiver.end().lines[0].ends_with(": from Python"));

    let receiver = twin("broadcast_receiver.py", &["0.0.0.0:0"]);
    let to = format!("127.255.255.255:{}", receiver.listening().port());
    assert!(
        program(BROADCAST_SENDER, &["--to", &to, "to Python"])
            .end()
            .status
            .success()
    );
    assert_eq!(receiver.end().lines, ["to Python"]);
}

#[test]
fn multicast_with_ours_and_python() {
    let local = ["--interface", "127.0.0.1"];
    let listen = || {
        let group = ["--group", "224.0.0.255:0", "--count", "1"];
        program(MULTICAST_RECEIVER, &[&group[..], &local].concat())
    };
    let tell = |group: &str, text: &str| {
        let sender = program(
            MULTICAST_SENDER,
            &[&["--group", group], &local[..], &[text]].concat(),
        );
        let end = sender.end();
        assert!(end.status.success(), "{end:?}");
    };
    let receiver = listen();
    tell(&receiver.listening().to_string(), "group");
    let heard = receiver.end();
    assert!(heard.lines[0].ends_with(": group"), "{heard:?}");

    if !has_python("multicast with Python") {
        return;
    }
    let receiver = listen();
    let group = receiver.listening().to_string();
    assert!(
        twin("multicast_sender.py", &[&group, "127.0.0.1", "from Python"])
            .end()
            .status
            .success()
    );
    assert!(receiver.end().lines[0].ends_with(": from Python"));

    let receiver = twin("multicast_receiver.py", &["224.0.0.255:0", "127.0.0.1"]);
    tell(&receiver.listening().to_string(), "to Python");
    assert_eq!(receiver.end().lines, ["to Python"]);
}

#[test]
fn an_address_that_is_no_group_is_refused() {
    for path in [MULTICAST_SENDER, MULTICAST_RECEIVER] {
        let arguments: &[&str] = if path == MULTICAST_SENDER {
            &["--group", "192.0.2.1:5008", "hello"]
        } else {
            &["--group", "192.0.2.1:5008"]
        };
        let end = program(path, arguments).end();
        assert!(
            !end.status.success() && end.errors.contains("not a multicast group"),
            "{end:?}"
        );
    }
}

#[test]
fn interfaces_shows_the_host_and_loopback() {
    let end = program(INTERFACES, &[]).end();
    assert!(end.status.success(), "{end:?}");
    assert!(
        end.lines[0].trim_start().starts_with("Host name"),
        "{end:?}"
    );
    assert!(
        end.lines.iter().any(|line| line.ends_with(": 127.0.0.1/8")),
        "{end:?}"
    );
    assert!(
        end.lines.iter().any(|line| line.ends_with(": 255.0.0.0")),
        "{end:?}"
    );
}
