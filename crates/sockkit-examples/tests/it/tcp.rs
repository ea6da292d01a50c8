//! The course's text servers and clients over TCP.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use crate::run::{Program, has_python, program, twin};

const TIME_SERVER: &str = env!("CARGO_BIN_EXE_time-server");
const TIME_CLIENT: &str = env!("CARGO_BIN_EXE_time-client");
const ECHO_DEMO: &str = env!("CARGO_BIN_EXE_tcp-echo-server-demo");
const CLIENT_DEMO: &str = env!("CARGO_BIN_EXE_tcp-client-demo");
const ECHO: &str = env!("CARGO_BIN_EXE_tcp-echo-server");
const CLIENT: &str = env!("CARGO_BIN_EXE_tcp-client");
const PROCESS: &str = env!("CARGO_BIN_EXE_tcp-process-server");
const MY_SERVER: &str = env!("CARGO_BIN_EXE_my-tcp-server-ex01");
const MULTIPLEX: &str = env!("CARGO_BIN_EXE_multiplex");
const BACKPRESSURE: &str = env!("CARGO_BIN_EXE_backpressure");
const P2P_CHAT: &str = env!("CARGO_BIN_EXE_p2p-chat");

const ANY_PORT: [&str; 2] = ["--bind", "127.0.0.1:0"];

fn connect(server: &Program) -> TcpStream {
    let address = SocketAddr::from(([127, 0, 0, 1], server.listening().port()));
    let stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream
}

/// One of our servers, or its twin.
fn server(python: bool, path: &str, name: &str) -> Program {
    if python {
        twin(name, &["127.0.0.1:0"])
    } else {
        program(path, &ANY_PORT)
    }
}

/// Each server with each client: ours and ours, and if there is Python the mixed
/// pairs.
fn pairs(test: &str) -> Vec<(bool, bool)> {
    let mut pairs = vec![(false, false)];
    if has_python(test) {
        pairs.extend([(false, true), (true, false)]);
    }
    pairs
}

#[test]
fn the_time_is_told_as_ctime_writes_it() {
    for (python_server, python_client) in pairs("time server and client") {
        let server = server(python_server, TIME_SERVER, "time_server.py");
        let address = server.listening().to_string();
        let client = match python_client {
            false => program(TIME_CLIENT, &[&address]),
            true => twin("time_client.py", &[&address]),
        };
        let end = client.end();
        assert!(end.status.success(), "{end:?}");
        let time = end.lines[0].strip_prefix("current time: ").unwrap();
        assert_eq!(time.len(), 24, "{time:?}");
        assert!(time.contains(" 20"), "{time:?}");
    }
}

#[test]
fn the_time_is_pythons_time_to_the_second() {
    if !has_python("time beside Python's") {
        return;
    }
    let (ours, theirs) = (
        program(TIME_SERVER, &ANY_PORT),
        twin("time_server.py", &["127.0.0.1:0"]),
    );
    let (our_address, their_address) = (ours.listening(), theirs.listening());
    let ask = |address: SocketAddr| {
        let mut time = String::new();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.read_to_string(&mut time).unwrap();
        time
    };
    // A second may pass between the two.
    let agree = || ask(our_address) == ask(their_address);
    assert!(agree() || agree());
}

#[test]
fn the_demo_echoes_one_client_and_ends_with_it() {
    for (python_server, python_client) in pairs("TCP echo demo") {
        let server = server(python_server, ECHO_DEMO, "tcp_echo_server_demo.py");
        let address = server.listening().to_string();
        let arguments = [address.as_str(), "hello", "안녕하세요"];
        let client = match python_client {
            false => program(CLIENT_DEMO, &arguments),
            true => twin("tcp_client_demo.py", &arguments),
        };
        let end = client.end();
        assert_eq!(
            end.lines,
            ["received: hello", "received: 안녕하세요"],
            "{end:?}"
        );
        assert!(server.end().status.success());
    }
}

#[test]
fn three_megabytes_come_back_whole_after_a_half_close() {
    let server = program(ECHO, &ANY_PORT);
    let mut stream = connect(&server);
    let mut reading = stream.try_clone().unwrap();
    let reading = std::thread::spawn(move || {
        let mut back = Vec::new();
        reading.read_to_end(&mut back).map(|_bytes| back)
    });
    let sent = (0..=250_u8).collect::<Vec<_>>().repeat(12_000);
    stream.write_all(&sent).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert!(reading.join().unwrap().unwrap() == sent);
}

#[test]
fn lines_are_echoed_until_q() {
    for (python_server, python_client) in pairs("TCP echo") {
        let server = server(python_server, ECHO, "tcp_echo_server.py");
        let address = server.listening().to_string();
        let mut client = match python_client {
            false => program(CLIENT, &[&address]),
            true => twin("tcp_client.py", &[&address]),
        };
        for line in ["one", "둘"] {
            client.type_line(line);
            assert_eq!(client.line(), line);
        }
        client.type_line("q");
        let end = client.end();
        assert!(end.status.success(), "{end:?}");
        // The notes' first question: `q` is a FIN, `recv` returns 0.
        match python_server {
            false => assert!(server.line_after("127.0.0.1").ends_with("connected")),
            true => assert_eq!(server.line(), "left: recv returned 0"),
        }
        if !python_server {
            loop {
                let line = server.line();
                if line.contains("left") {
                    assert!(line.ends_with("finished by the peer (FIN)"), "{line}");
                    break;
                }
            }
        }
    }
}

/// How the echo server says that its client left.
#[cfg(unix)]
fn said_of_leaving(server: &Program) -> String {
    loop {
        let line = server.line();
        if let Some((_, end)) = line.split_once(" left: ") {
            return end.to_owned();
        }
    }
}

#[cfg(unix)]
#[test]
fn a_killed_client_is_a_fin_if_nothing_was_on_its_way_and_else_a_reset() {
    let server = program(ECHO, &ANY_PORT);
    let address = server.listening().to_string();
    // The notes' second question: the terminal is closed.
    let mut client = program(CLIENT, &[&address]);
    client.type_line("hello");
    assert_eq!(client.line(), "hello");
    client.kill();
    assert_eq!(said_of_leaving(&server), "finished by the peer (FIN)");

    // Unread data when the program is killed causes a reset.
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.write_all(b"?").unwrap();
    stream.peek(&mut [0]).unwrap();
    drop(stream);
    assert_eq!(said_of_leaving(&server), "reset by the peer (RST)");
}

#[test]
fn a_server_that_closes_or_was_never_there_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut client = program(CLIENT, &[&address]);
    client.type_line("hello");
    let (mut stream, _) = listener.accept().unwrap();
    stream.read_exact(&mut [0; 5]).unwrap();
    stream.shutdown(Shutdown::Both).unwrap();
    let end = client.end();
    assert!(!end.status.success());
    assert!(end.errors.contains("closed the connection"), "{end:?}");

    drop((listener, stream));
    for path in [CLIENT, CLIENT_DEMO, TIME_CLIENT] {
        let end = program(path, &[&address]).end();
        assert!(!end.status.success());
        let complaint = format!("{} {}", end.errors, address);
        assert!(
            complaint.contains(&address) && end.errors.contains("refused"),
            "{end:?}"
        );
    }
}

#[test]
fn a_taken_port_is_told_by_every_server() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for path in [TIME_SERVER, ECHO_DEMO, ECHO, PROCESS, P2P_CHAT] {
        let end = program(path, &["--bind", &address]).end();
        assert!(!end.status.success());
        assert!(end.errors.contains(&address), "{path}: {end:?}");
    }
}

#[test]
fn numbers_become_words() {
    for python_server in pairs("TCP number words").into_iter().map(|pair| pair.0) {
        let server = server(python_server, PROCESS, "tcp_process_server.py");
        let address = server.listening().to_string();
        let mut client = program(CLIENT, &[&address]);
        for (number, word) in [("1", "one"), ("10", "ten"), ("7", "seven")] {
            client.type_line(number);
            assert_eq!(client.line(), word);
        }
        for nonsense in ["0", "11", "-1", "one", "둘", "99999999999999999999"] {
            client.type_line(nonsense);
            assert_eq!(client.line(), "Try again", "{nonsense}");
        }
    }
    if has_python("number words to Python") {
        let server = program(PROCESS, &ANY_PORT);
        let mut client = twin("tcp_client.py", &[&server.listening().to_string()]);
        client.type_line("3");
        assert_eq!(client.line(), "three");
    }
}

#[test]
fn telnet_is_a_client_too() {
    let server = program(PROCESS, &ANY_PORT);
    let mut stream = connect(&server);
    stream.write_all(b"4\r\n").unwrap();
    let mut word = [0; 4];
    stream.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"four");
}

#[test]
fn the_class_of_the_notes_echoes_one_client_after_the_other() {
    let server = program(MY_SERVER, &["--port", "0"]);
    let port = server.listening().port();
    for text in ["first", "둘째"] {
        let client = program(CLIENT_DEMO, &[&format!("127.0.0.1:{port}"), text]);
        let end = client.end();
        assert_eq!(end.lines, [format!("received: {text}")], "{end:?}");
    }
    if has_python("MyTCPServer with Python") {
        let address = format!("127.0.0.1:{port}");
        let end = twin("tcp_client_demo.py", &[&address, "from Python"]).end();
        assert_eq!(end.lines, ["received: from Python"], "{end:?}");

        let server = twin("my_tcp_server_ex01.py", &["0"]);
        let address = format!("127.0.0.1:{}", server.listening().port());
        let end = program(CLIENT_DEMO, &[&address, "to Python"]).end();
        assert_eq!(end.lines, ["received: to Python"], "{end:?}");
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_is_no_failure() {
    for (path, arguments) in [
        (TIME_SERVER, &ANY_PORT[..]),
        (ECHO_DEMO, &ANY_PORT),
        (ECHO, &ANY_PORT),
        (PROCESS, &ANY_PORT),
        (P2P_CHAT, &ANY_PORT),
        (MY_SERVER, &["--port", "0"]),
    ] {
        let server = program(path, arguments);
        server.listening();
        server.interrupt();
        let end = server.end();
        assert!(end.status.success(), "{path}: {end:?}");
    }
}

#[test]
fn every_way_to_serve_many_answers_all() {
    let end = program(MULTIPLEX, &["--clients", "5", "--work", "1"]).end();
    assert!(end.status.success(), "{end:?}");
    let answered = end.lines.iter().filter(|line| line.contains("5 answered"));
    assert_eq!(answered.count(), 4, "{end:?}");
}

#[cfg_attr(not(target_os = "linux"), ignore = "it counts by Linux's options")]
#[test]
fn a_sender_is_stopped_and_every_byte_accounted_for() {
    let end = program(BACKPRESSURE, &[]).end();
    assert!(end.status.success(), "{end:?}");
    assert!(
        end.lines
            .contains(&"send stopped: write timed out".to_owned()),
        "{end:?}"
    );
    let figure = |label: &str| -> Vec<u64> {
        let lines = end.lines.iter().filter(|line| line.ends_with(label));
        let numbers = lines.map(|line| line.split_whitespace().next().unwrap());
        numbers.map(|number| number.parse().unwrap()).collect()
    };
    let sent = figure("bytes taken from the program by send");
    let unread = figure("wait in the receive buffer, not read");
    let read = figure("read by the other program");
    assert_eq!(sent.len(), 3);
    assert!(unread[0] > 0 && read[0] == 0);
    assert!(sent[1] > sent[0], "it did not continue: {sent:?}");
    assert_eq!((unread[2], read[2]), (0, sent[2]));
}

#[test]
fn nodes_that_dial_and_nodes_that_were_dialled_talk_alike() {
    let mut first = program(P2P_CHAT, &ANY_PORT);
    let address = first.listening().to_string();
    let mut second = program(P2P_CHAT, &["--bind", "127.0.0.1:0", &address]);
    let second_address = second.listening().to_string();
    assert!(second.line().ends_with("connected"));
    assert!(first.line().ends_with("connected"));
    let third = program(
        P2P_CHAT,
        &["--bind", "127.0.0.1:0", &address, &second_address],
    );
    third.listening();
    for node in [&third, &third, &first, &second] {
        assert!(node.line().ends_with("connected"));
    }

    first.type_line("안녕");
    for node in [&second, &third] {
        assert!(node.line().ends_with(": 안녕"));
    }
    second.type_line("hello");
    for node in [&first, &third] {
        assert!(node.line().ends_with(": hello"));
    }

    second.type_line("q");
    assert!(second.end().status.success());
    for node in [&first, &third] {
        let line = node.line();
        assert!(line.ends_with("left: finished by the peer (FIN)"), "{line}");
    }
}
