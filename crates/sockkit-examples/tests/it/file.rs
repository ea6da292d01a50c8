//! The course's file programs, over TCP and UDP.

use std::{fs, path::Path};

use tempfile::tempdir;

use crate::run::{Program, has_python, program, python};

const SENDFILE: &str = env!("CARGO_BIN_EXE_tcp-sendfile");
const RECEIVEFILE: &str = env!("CARGO_BIN_EXE_tcp-receivefile");
const UDP_FILE: &str = env!("CARGO_BIN_EXE_udp-file");

/// The notes' sender. It waits after the name, as any sender of this protocol
/// must: a faster one glues the file to the name.
const PYTHON_SENDFILE: &str = "
import os, sys, time
from socket import *
sock = socket(AF_INET, SOCK_STREAM)
sock.bind(('127.0.0.1', 0))
sock.listen(1)
print('listening on %s:%d' % sock.getsockname(), flush=True)
c_sock, addr = sock.accept()
print(c_sock.recv(1024).decode(), flush=True)
c_sock.sendall(os.path.basename(sys.argv[1]).encode())
if sys.argv[2] == 'wait':
    time.sleep(0.2)
with open(sys.argv[1], 'rb') as f:
    c_sock.sendfile(f, 0)
c_sock.close()
";

const PYTHON_RECEIVEFILE: &str = "
import os, sys
from socket import *
os.chdir(sys.argv[2])
s_sock = socket(AF_INET, SOCK_STREAM)
s_sock.connect(('127.0.0.1', int(sys.argv[1])))
s_sock.sendall(b'I am ready')
fn = s_sock.recv(1024).decode()
with open('new_' + fn, 'wb') as f:
    while True:
        data = s_sock.recv(8192)
        if not data:
            break
        f.write(data)
print(fn, flush=True)
";

const PYTHON_UDP_SEND: &str = "
import os, sys, time
from socket import *
sock = socket(AF_INET, SOCK_DGRAM)
sock.settimeout(10)
to = ('127.0.0.1', int(sys.argv[1]))
sock.sendto(os.path.basename(sys.argv[2]).encode(), to)
assert sock.recvfrom(1024)[0] == b'OK'
with open(sys.argv[2], 'rb') as f:
    n = 0
    while data := f.read(1024):
        sock.sendto(data, to)
        n += 1
        if n % 16 == 0:
            time.sleep(0.001)
sock.sendto(b'', to)
";

const PYTHON_UDP_RECEIVE: &str = "
import os, sys
from socket import *
os.chdir(sys.argv[1])
sock = socket(AF_INET, SOCK_DGRAM)
sock.bind(('127.0.0.1', 0))
print('listening on %s:%d' % sock.getsockname(), flush=True)
name, addr = sock.recvfrom(1024)
sock.settimeout(2)
sock.sendto(b'OK', addr)
with open('new_' + name.decode(), 'wb') as f:
    while True:
        data, addr = sock.recvfrom(65535)
        if not data:
            break
        f.write(data)
print('done', flush=True)
";

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
            assert!(end.succeeded, "{name}: {end:?}");
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

#[test]
fn tcp_to_python() {
    if !has_python("course file over TCP to Python") {
        return;
    }
    check(10 << 20, |file, into| {
        let sender = program(SENDFILE, &[text(file), "--bind", "127.0.0.1:0"]);
        let port = sender.listening().port().to_string();
        vec![sender, python(PYTHON_RECEIVEFILE, &[&port, text(into)])]
    });
}

#[test]
fn tcp_from_python() {
    if !has_python("course file over TCP from Python") {
        return;
    }
    check(100 << 20, |file, into| {
        let sender = python(PYTHON_SENDFILE, &[text(file), "wait"]);
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
        let port = receiver.listening().port().to_string();
        vec![python(PYTHON_UDP_SEND, &[&port, text(file)]), receiver]
    });
    check(5 << 20, |file, into| {
        let receiver = python(PYTHON_UDP_RECEIVE, &[text(into)]);
        let address = receiver.listening().to_string();
        let sender = program(UDP_FILE, &["s", text(file), "--to", &address]);
        vec![sender, receiver]
    });
}

#[test]
fn a_name_that_leads_out_is_refused() {
    use std::{io::Write, net::TcpListener, thread};

    for (name, error) in [
        (&b"../escape"[..], "refused"),
        (b"/etc/passwd", "refused"),
        (b"..", "refused"),
        (b"a\0b", "refused"),
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
        assert!(!end.succeeded && end.errors.contains(error), "{end:?}");
        assert_eq!(fs::read_dir(into.path()).unwrap().count(), 0);
    }
}
