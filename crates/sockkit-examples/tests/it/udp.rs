//! UDP echo, broadcast, multicast, and what the machine is attached to.

use crate::run::{has_python, program, python};

const ECHO_SERVER: &str = env!("CARGO_BIN_EXE_udp-echo-server");
const ECHO_CLIENT: &str = env!("CARGO_BIN_EXE_udp-echo-client");
const BROADCAST_SENDER: &str = env!("CARGO_BIN_EXE_broadcast-sender");
const BROADCAST_RECEIVER: &str = env!("CARGO_BIN_EXE_broadcast-receiver");
const MULTICAST_SENDER: &str = env!("CARGO_BIN_EXE_multicast-sender");
const MULTICAST_RECEIVER: &str = env!("CARGO_BIN_EXE_multicast-receiver");
const INTERFACES: &str = env!("CARGO_BIN_EXE_interfaces");

const PYTHON_ECHO_SERVER: &str = "
from socket import *
sock = socket(AF_INET, SOCK_DGRAM)
sock.bind(('127.0.0.1', 0))
print('listening on %s:%d' % sock.getsockname(), flush=True)
while True:
    data, addr = sock.recvfrom(2048)
    sock.sendto(data, addr)
";

const PYTHON_ECHO_CLIENT: &str = "
import sys
from socket import *
sock = socket(AF_INET, SOCK_DGRAM)
sock.settimeout(10)
for message in sys.argv[2:]:
    sock.sendto(message.encode(), ('127.0.0.1', int(sys.argv[1])))
    data, addr = sock.recvfrom(2048)
    print(data.decode(), flush=True)
";

const PYTHON_BROADCAST_SENDER: &str = "
import sys
from socket import *
sock = socket(AF_INET, SOCK_DGRAM)
sock.setsockopt(SOL_SOCKET, SO_BROADCAST, 1)
sock.sendto(sys.argv[2].encode(), ('127.255.255.255', int(sys.argv[1])))
";

const PYTHON_BROADCAST_RECEIVER: &str = "
from socket import *
sock = socket(AF_INET, SOCK_DGRAM)
sock.bind(('', 0))
print('listening on %s:%d' % sock.getsockname(), flush=True)
data, addr = sock.recvfrom(1024)
print(data.decode(), flush=True)
";

const PYTHON_MULTICAST_SENDER: &str = "
import struct, sys
from socket import *
sock = socket(AF_INET, SOCK_DGRAM)
sock.setsockopt(IPPROTO_IP, IP_MULTICAST_TTL, struct.pack('B', 2))
sock.setsockopt(IPPROTO_IP, IP_MULTICAST_IF, inet_aton('127.0.0.1'))
sock.sendto(sys.argv[2].encode(), ('224.0.0.255', int(sys.argv[1])))
";

const PYTHON_MULTICAST_RECEIVER: &str = "
import struct
from socket import *
sock = socket(AF_INET, SOCK_DGRAM)
sock.bind(('', 0))
mreq = struct.pack('=4s4s', inet_aton('224.0.0.255'), inet_aton('127.0.0.1'))
sock.setsockopt(IPPROTO_IP, IP_ADD_MEMBERSHIP, mreq)
print('listening on 224.0.0.255:%d' % sock.getsockname()[1], flush=True)
data, addr = sock.recvfrom(1024)
print(data.decode(), flush=True)
sock.setsockopt(IPPROTO_IP, IP_DROP_MEMBERSHIP, mreq)
";

#[test]
fn echo_client_with_echo_server() {
    let server = program(ECHO_SERVER, &["--bind", "127.0.0.1:0"]);
    let address = server.listening().to_string();
    let client = program(ECHO_CLIENT, &[&address, "one", "두 번째"]).end();
    assert!(client.succeeded, "{client:?}");
    assert_eq!(client.lines, ["one", "두 번째"]);
    assert!(server.line().ends_with(": one"));
    server.interrupt();
    assert!(server.end().succeeded, "Ctrl-C is no failure");
}

#[test]
fn echo_with_python_both_ways() {
    if !has_python("UDP echo with Python") {
        return;
    }
    let server = program(ECHO_SERVER, &["--bind", "127.0.0.1:0"]);
    let port = server.listening().port().to_string();
    let client = python(PYTHON_ECHO_CLIENT, &[&port, "hello", "again"]).end();
    assert_eq!(client.lines, ["hello", "again"], "{client:?}");

    let server = python(PYTHON_ECHO_SERVER, &[]);
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
    assert!(!client.succeeded);
    assert!(client.errors.contains("port closed"), "{client:?}");
}

#[test]
fn broadcast_with_ours_and_python() {
    let receiver = program(BROADCAST_RECEIVER, &["--bind", "0.0.0.0:0", "--count", "1"]);
    let to = format!("127.255.255.255:{}", receiver.listening().port());
    let sender = program(BROADCAST_SENDER, &["--to", &to, "all of you"]).end();
    assert!(sender.succeeded, "{sender:?}");
    let heard = receiver.end();
    assert!(heard.lines[0].ends_with(": all of you"), "{heard:?}");

    if !has_python("broadcast with Python") {
        return;
    }
    let receiver = program(BROADCAST_RECEIVER, &["--bind", "0.0.0.0:0", "--count", "1"]);
    let port = receiver.listening().port().to_string();
    assert!(
        python(PYTHON_BROADCAST_SENDER, &[&port, "from Python"])
            .end()
            .succeeded
    );
    assert!(receiver.end().lines[0].ends_with(": from Python"));

    let receiver = python(PYTHON_BROADCAST_RECEIVER, &[]);
    let to = format!("127.255.255.255:{}", receiver.listening().port());
    assert!(
        program(BROADCAST_SENDER, &["--to", &to, "to Python"])
            .end()
            .succeeded
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
        assert!(end.succeeded, "{end:?}");
    };
    let receiver = listen();
    tell(&receiver.listening().to_string(), "group");
    let heard = receiver.end();
    assert!(heard.lines[0].ends_with(": group"), "{heard:?}");

    if !has_python("multicast with Python") {
        return;
    }
    let receiver = listen();
    let port = receiver.listening().port().to_string();
    assert!(
        python(PYTHON_MULTICAST_SENDER, &[&port, "from Python"])
            .end()
            .succeeded
    );
    assert!(receiver.end().lines[0].ends_with(": from Python"));

    let receiver = python(PYTHON_MULTICAST_RECEIVER, &[]);
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
        assert!(!end.succeeded && end.errors.contains("no group"), "{end:?}");
    }
}

#[test]
fn interfaces_shows_the_host_and_loopback() {
    let end = program(INTERFACES, &[]).end();
    assert!(end.succeeded, "{end:?}");
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
