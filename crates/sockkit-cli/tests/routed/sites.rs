//! Two sites and a hub, as hosts of a lab.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
};

use sockkit::testing::{
    lab::{Host, Lab},
    needs::{Need, met},
    program::Program,
};
use tempfile::TempDir;

use crate::router::router;

/// Two sites and a hub, with a router each, and a folder with keys.
pub(crate) struct Sites {
    lab: Lab,
    pub(crate) home: TempDir,
    pub(crate) routers: Vec<Program>,
}

impl Sites {
    pub(crate) fn new(test: &str) -> Option<Self> {
        if !met(test, &[Need::Program("python3")]) {
            return None;
        }
        let lab = Lab::new(test, 3, 1)?;
        let home = tempfile::tempdir().unwrap();
        for key in ["porch.key", "other.key"] {
            let made = Program::start(&mut command(home.path(), &["key", "new", key])).end();
            assert!(made.status.success(), "{made:?}");
        }
        let hub = format!("[\"tcp/{}:7447\"]", address(HUB));
        let routers = [(SITE_A, &hub[..]), (HUB, "[]"), (SITE_B, &hub)];
        let routers = routers.map(|(host, to)| router(lab.host(host), 7447, to));
        let routers = routers.into();
        Some(Self { lab, home, routers })
    }

    pub(crate) fn host(&self, host: u8) -> &Host {
        self.lab.host(host)
    }

    pub(crate) fn router(&self, host: u8) -> &Program {
        &self.routers[usize::from(host)]
    }

    pub(crate) fn program(&self, host: u8, arguments: &[&str]) -> Program {
        let mut command = command(self.home.path(), arguments);
        self.lab.host(host).run(|| Program::start(&mut command))
    }

    /// A camera at the router of its host; without a key in the clear.
    pub(crate) fn cam(&self, host: u8, name: &str, key: &str) -> Program {
        let to = format!("zenoh://{}/{name}", address(host));
        let sealed = match key {
            "" => vec!["--plain"],
            key => vec!["--key", key],
        };
        let cam = ["cam", "--source", "pattern", "--to", &to];
        let cam = self.program(host, &[&cam[..], &sealed].concat());
        cam.line_after("sending pattern to ");
        cam
    }

    /// A viewer at the second site.
    pub(crate) fn view(&self, arguments: &[&str]) -> Program {
        let at = format!("zenoh://{}/{}", address(SITE_B), arguments[0]);
        let view = [&["view", &at], &arguments[1..]].concat();
        self.program(SITE_B, &view)
    }

    pub(crate) fn in_site_b<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.lab.host(SITE_B).run(work)
    }
}

pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockkit"));
    command
        .args(arguments)
        .current_dir(folder)
        .env("XDG_STATE_HOME", folder.join("state"));
    command
}

pub(crate) fn address(host: u8) -> String {
    format!("10.77.0.{}", host + 1)
}

pub(crate) fn http_get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Every frame on the interfaces of a host, from its start to its end.
pub(crate) struct Capture {
    program: Program,
    file: tempfile::NamedTempFile,
}

impl Capture {
    pub(crate) fn start(host: &Host) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut command = Command::new("python3");
        command.args(["-c", CAPTURE]).arg(file.path());
        let program = host.run(|| Program::start(&mut command));
        assert_eq!(program.line(), "captures");
        Self { program, file }
    }

    pub(crate) fn end(self) -> Vec<u8> {
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

/// Every picture has this in its header.
pub(crate) fn holds_jpeg(bytes: &[u8]) -> bool {
    bytes.windows(5).any(|window| window == b"JFIF\0")
}

pub(crate) const SITE_A: u8 = 0;
pub(crate) const HUB: u8 = 1;
pub(crate) const SITE_B: u8 = 2;
