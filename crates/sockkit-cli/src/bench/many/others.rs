//! What people use otherwise.

use std::process::Command;

use sockkit::testing::{needs::Need, program::Program};

use super::{Bed, Figures, Transfer};

/// UFTP: data, and again what any receiver lacks.
pub(super) struct Uftp;

/// UDP cast, where receivers confirm slice by slice.
pub(super) struct Udpcast;

impl Transfer for Uftp {
    fn name(&self) -> &'static str {
        "uftp"
    }

    fn needs(&self) -> &'static [Need<'static>] {
        &[Need::Program("uftp"), Need::Program("uftpd")]
    }

    fn run(&self, bed: &Bed, mbits: u64) -> anyhow::Result<Figures> {
        let receive = |receiver| {
            let mut command = Command::new("uftpd");
            command.args(["-d", "-I", "eth0", "-B", BUFFER_BYTES, "-D"]);
            command.arg(bed.folder_of(receiver));
            command
        };
        let kbits = (mbits * 1_000).to_string();
        let mut send = Command::new("uftp");
        send.args(["-R", &kbits, "-I", "eth0", "-m", "20", "-B", BUFFER_BYTES]);
        send.arg(bed.film());
        run(bed, mbits, receive, send)
    }
}

impl Transfer for Udpcast {
    fn name(&self) -> &'static str {
        "udpcast"
    }

    fn needs(&self) -> &'static [Need<'static>] {
        &[Need::Program("udp-sender"), Need::Program("udp-receiver")]
    }

    fn run(&self, bed: &Bed, mbits: u64) -> anyhow::Result<Figures> {
        let receive = |receiver| {
            let mut command = Command::new("udp-receiver");
            command.args(["--interface", "eth0", "--nokbd", "--file"]);
            command.arg(bed.folder_of(receiver).join("film"));
            command
        };
        let (receivers, rate) = (bed.receivers.to_string(), format!("{mbits}m"));
        let mut send = Command::new("udp-sender");
        send.args(["--interface", "eth0", "--nokbd", "--full-duplex"]);
        send.args(["--max-bitrate", &rate, "--min-receivers", &receivers]);
        send.arg("--file").arg(bed.film());
        run(bed, mbits, receive, send)
    }
}

/// Starts the receivers, and then the sender. Those that wait for another file are killed
/// in the end.
fn run(
    bed: &Bed,
    mbits: u64,
    receive: impl Fn(u8) -> Command,
    mut send: Command,
) -> anyhow::Result<Figures> {
    bed.lose();
    let before = bed.counted();
    let mut receivers = Vec::new();
    for receiver in 1..=bed.receivers {
        let (host, mut command) = (bed.lab.host(receiver), receive(receiver));
        receivers.push(host.run(|| Program::start(&mut command)));
    }
    let sender = bed.lab.host(0).run(|| Program::start(&mut send));
    let mut programs = vec![sender];
    programs.append(&mut receivers);
    bed.finish(programs, before, mbits)
}

/// As large as the system allows.
const BUFFER_BYTES: &str = "4194304";
