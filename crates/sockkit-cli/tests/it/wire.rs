//! What a machine on the same network can read of the command's traffic.

use std::{fs, process::Command};

use sockkit::testing::{
    lab::{Host, Lab},
    needs::{Need, met},
    program::Program,
};

use crate::find::Machine;

/// Every frame on the interfaces of a host, from its start to its end.
struct Capture {
    program: Program,
    file: tempfile::NamedTempFile,
}

impl Capture {
    fn start(host: &Host) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut command = Command::new("python3");
        command.args(["-c", CAPTURE]).arg(file.path());
        let program = host.run(|| Program::start(&mut command));
        assert_eq!(program.line(), "captures");
        Self { program, file }
    }

    /// All bytes so far.
    fn end(self) -> Vec<u8> {
        self.program.kill();
        self.program.end();
        fs::read(self.file.path()).unwrap()
    }
}

const CAPTURE: &str = "
import socket, sys
taken = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
taken.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)
out = open(sys.argv[1], 'wb', buffering=0)
print('captures', flush=True)
while True:
    out.write(taken.recv(1 << 17))
";

fn holds(bytes: &[u8], text: impl AsRef<[u8]>) -> bool {
    let text = text.as_ref();
    bytes.windows(text.len()).any(|window| window == text)
}

/// What none but the two sides may read: file names, contents, the user, pictures.
const SECRETS: [&str; 3] = [
    "unmistakable-name",
    "unmistakable-words",
    "unmistakable-user",
];

/// Sends a file from one host to the other, and returns what was on the cable.
fn captured_file(lab: &Lab, listen: &[&str], options: &[&str]) -> Vec<u8> {
    let (desk, laptop) = (Machine::new(lab.host(0)), Machine::new(lab.host(1)));
    let words = "unmistakable-words ".repeat(10_000);
    fs::write(laptop.home.path().join("unmistakable-name"), &words).unwrap();
    let capture = Capture::start(lab.host(0));
    let receive = ["receive", "--into", "in", "--yes"];
    let receiver = desk.run(&[&receive[..], listen, options].concat());
    let line = receiver.line_after("there     ");
    let line = line.replace("FILE", "unmistakable-name");
    let typed: Vec<_> = line.split(' ').skip(1).collect();
    let sent = laptop.run(&typed).end();
    assert!(sent.status.success(), "{sent:?}");
    assert!(receiver.end().status.success());
    let arrived = fs::read(desk.home.path().join("in/unmistakable-name")).unwrap();
    assert_eq!(arrived, words.as_bytes());
    capture.end()
}

/// Views a camera of one host at the other, likewise.
fn captured_pictures(lab: &Lab, listen: &str, options: &[&str]) -> Vec<u8> {
    let (porch, laptop) = (Machine::new(lab.host(0)), Machine::new(lab.host(1)));
    let capture = Capture::start(lab.host(0));
    let cam = ["cam", "--source", "pattern", "--listen", listen];
    let cam = porch.run(&[&cam[..], options].concat());
    let line = cam.line_after("there     ");
    let mut typed: Vec<_> = line.split(' ').skip(1).collect();
    typed.extend(["--snapshot", "one.jpg"]);
    let viewed = laptop.run(&typed).end();
    assert!(viewed.status.success(), "{viewed:?}");
    cam.interrupt();
    cam.end();
    capture.end()
}

/// Views what a camera pushes, likewise.
fn captured_push(lab: &Lab) -> Vec<u8> {
    let (porch, laptop) = (Machine::new(lab.host(0)), Machine::new(lab.host(1)));
    let capture = Capture::start(lab.host(0));
    let view = [
        "view",
        "--listen",
        "udp://0.0.0.0:0",
        "--snapshot",
        "one.jpg",
    ];
    let view = laptop.run(&view);
    let line = view.line_after("there     ");
    let mut typed: Vec<_> = line.split(' ').skip(1).collect();
    typed.extend(["--source", "pattern"]);
    let cam = porch.run(&typed);
    let viewed = view.end();
    assert!(viewed.status.success(), "{viewed:?}");
    cam.interrupt();
    cam.end();
    capture.end()
}

#[test]
fn no_default_command_shows_names_files_or_pictures_on_the_wire() {
    let test = "wire: captures";
    if !met(test, &[Need::Program("python3")]) {
        return;
    }
    let Some(lab) = Lab::new(test, 2, 1) else {
        return;
    };
    // The controls: what is plain is read in the same way.
    let plain = captured_file(&lab, &["--listen", "0.0.0.0:0"], &["--plain"]);
    for secret in SECRETS {
        assert!(holds(&plain, secret), "{secret}");
    }
    let plain = captured_pictures(&lab, "tcp://0.0.0.0:0", &["--plain"]);
    assert!(holds(&plain, JPEG));

    for listen in [&[][..], &["--listen", "quic://0.0.0.0:0"]] {
        let seen = captured_file(&lab, listen, &[]);
        assert!(seen.len() > 190_000, "{} bytes", seen.len());
        for secret in SECRETS {
            assert!(!holds(&seen, secret), "{secret}, {listen:?}");
        }
    }
    for listen in ["tcp://0.0.0.0:0", "quic://0.0.0.0:0"] {
        let seen = captured_pictures(&lab, listen, &[]);
        assert!(seen.len() > 5_000, "{} bytes", seen.len());
        assert!(!holds(&seen, JPEG) && !holds(&seen, SECRETS[2]), "{listen}");
    }
    let pulled = captured_pictures(&lab, "udp://0.0.0.0:0", &[]);
    for seen in [pulled, captured_push(&lab)] {
        assert!(holds(&seen, SEALED), "no datagrams");
        assert!(!holds(&seen, JPEG) && !holds(&seen, SECRETS[2]));
    }
}

/// The beginning of a picture's sealed datagram, after its addresses and lengths.
const SEALED: [u8; 4] = *b"SK\x01\x01";

/// Every picture has this in its header.
const JPEG: &str = "JFIF\0";
