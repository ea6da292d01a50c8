//! The course's file programs, over TCP and UDP.

use std::{fs, path::Path};

use tempfile::tempdir;

use crate::run::{Program, has_python, program, twin};

const SENDFILE: &str = env!("CARGO_BIN_EXE_tcp-sendfile");
const RECEIVEFILE: &str = env!("CARGO_BIN_EXE_tcp-receivefile");
const UDP_FILE: &str = env!("CARGO_BIN_EXE_udp-file");

/// What every pair of programs must carry, and the largest that it can.
fn check(largest: usize, transfer: impl Fn(&Path, &Path) -> Vec<Program>) {
    for (name, bytes) in [
        ("빈 파일.txt", 0),
        ("one", 1),
        ("frame.bin", 46_081),
        ("바다.jpg", largest),
    ] {
        let (from, into) = (tempdir().unwrap(), tempdir().unwrap());
        let path = from.path().join(name);
        let contents: Vec<u8> = (0..=250).cycle().take(bytes).collect();
        fs::write(&path, &contents).unwrap();
        for program in transfer(&path, into.path()) {
            let end = program.end();
            // What is empty may be a text that came with its name.
            let is_unsure = bytes == 0 && end.errors.contains("the file is empty, or its text");
            assert!(end.status.success() || is_unsure, "{name}: {end:?}");
        }
        let arrived = fs::read(into.path().join(format!("new_{name}"))).unwrap();
        assert!(arrived == contents, "{name}: {} bytes", arrived.len());
        assert_eq!(fs::read_dir(into.path()).unwrap().count(), 1, "{name}");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn tcp_with_ours_at_both_ends() {
    check(100 << 20, |file, into| {
        let sender = program(SENDFILE, &[text(file), "--bind", "127.0.0.1:0"]);
        let address = sender.listening().to_string();
        let receiver = program(RECEIVEFILE, &[&address, "--into", text(into)]);
        vec![sender, receiver]
    });
}

/// The notes' sender does not wait after the name, and TCP keeps no borders.
#[test]
fn a_text_that_came_with_its_name_is_no_success() {
    let into = tempdir().unwrap();
    let listener = std::net::TcpListener::bind("localhost:0").unwrap();
    let address = format!("localhost:{}", listener.local_addr().unwrap().port());
    let sender = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        std::io::Write::write_all(&mut stream, b"s.txthello").unwrap();
    });
    let end = program(RECEIVEFILE, &[&address, "--into", text(into.path())]).end();
    sender.join().unwrap();
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    assert!(end.errors.contains("in one piece with the name"), "{end:?}");
}

#[test]
fn tcp_to_python() {
    if !has_python("course file over TCP to Python") {
        return;
    }
    check(100 << 20, |file, into| {
        let sender = program(SENDFILE, &[text(file), "--bind", "127.0.0.1:0"]);
        let address = sender.listening().to_string();
        vec![sender, twin("tcp_receivefile.py", &[&address, text(into)])]
    });
}

#[test]
fn tcp_from_python() {
    if !has_python("course file over TCP from Python") {
        return;
    }
    check(100 << 20, |file, into| {
        let sender = twin("tcp_sendfile.py", &[text(file), "127.0.0.1:0"]);
        let address = sender.listening().to_string();
        let receiver = program(RECEIVEFILE, &[&address, "--into", text(into)]);
        vec![sender, receiver]
    });
}

#[test]
fn udp_with_ours_at_both_ends() {
    check(5 << 20, |file, into| {
        let receiver = program(
            UDP_FILE,
            &["r", "--bind", "127.0.0.1:0", "--into", text(into)],
        );
        let address = receiver.listening().to_string();
        let sender = program(UDP_FILE, &["s", text(file), "--to", &address]);
        vec![sender, receiver]
    });
}

#[test]
fn udp_with_python_both_ways() {
    if !has_python("course file over UDP with Python") {
        return;
    }
    check(5 << 20, |file, into| {
        let receiver = program(
            UDP_FILE,
            &["r", "--bind", "127.0.0.1:0", "--into", text(into)],
        );
        let address = receiver.listening().to_string();
        vec![twin("udp_file.py", &["s", text(file), &address]), receiver]
    });
    check(5 << 20, |file, into| {
        let receiver = twin("udp_file.py", &["r", "127.0.0.1:0", text(into)]);
        let address = receiver.listening().to_string();
        let sender = program(UDP_FILE, &["s", text(file), "--to", &address]);
        vec![sender, receiver]
    });
}

#[test]
fn a_name_that_leads_out_is_refused() {
    use std::{io::Write, net::TcpListener, thread};

    for (name, error) in [
        (&b"../escape"[..], "unsafe file name"),
        (b"/etc/passwd", "unsafe file name"),
        (b"..", "unsafe file name"),
        (b"a\0b", "unsafe file name"),
        (b"\xff\xfe\x00binary", "cannot be a file name"),
        (
            b"name.txtfirst line\nsecond line\n",
            "cannot be a file name",
        ),
    ] {
        let into = tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let sender = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(name).unwrap();
        });
        let end = program(RECEIVEFILE, &[&address, "--into", text(into.path())]).end();
        sender.join().unwrap();
        assert!(
            !end.status.success() && end.errors.contains(error),
            "{end:?}"
        );
        assert_eq!(fs::read_dir(into.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_file_that_is_not_there_is_missed_before_anybody_dials() {
    let end = program(SENDFILE, &["/no/such", "--bind", "127.0.0.1:0"]).end();
    assert!(!end.status.success() && end.lines.is_empty(), "{end:?}");
    assert!(end.errors.contains("cannot read /no/such"), "{end:?}");
}
