//! A file to many receivers, between hosts of the lab.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use sockkit::testing::{
    lab::Lab,
    needs::{Need, met},
    program::{Program, ProgramOutput},
};
use tempfile::TempDir;

use crate::{command, sockkit_in};

mod dishonest;
mod reasons;
mod troubles;

/// A sender at host 0, and receivers at the others.
struct Class {
    lab: Lab,
    folder: TempDir,
    receivers: u8,
}

impl Class {
    fn new(test: &str, receivers: u8, loss: f64) -> Option<Self> {
        if !met(test, &[Need::Program("nft"), Need::Program("ethtool")]) {
            return None;
        }
        let lab = Lab::new(test, receivers + 1, 1)?;
        for host in 0..=receivers {
            // Merged packets would be lost together.
            lab.host(host).port(0).offloads_off();
            if host > 0 && loss > 0.0 {
                lab.host(host).port(0).loss(loss);
            }
        }
        let folder = tempfile::tempdir().unwrap();
        Some(Self {
            lab,
            folder,
            receivers,
        })
    }

    fn film(&self, bytes: usize) -> PathBuf {
        let film = self.folder.path().join("film");
        let mut rng = fastrand::Rng::with_seed(6);
        let bytes: Vec<u8> = (0..bytes).map(|_| rng.u8(..)).collect();
        fs::write(&film, bytes).unwrap();
        film
    }

    /// Starts the sender, which begins with so many members; also returns the line that
    /// is to be typed elsewhere.
    fn send_to(&self, members: u8, more: &[&str]) -> (Program, String) {
        let members = members.to_string();
        let fixed = ["send", "film", "--many", "--listen", "0.0.0.0:0"];
        let security = ["--once", "--no-announce", "--members", &members];
        let arguments = [&fixed[..], &security, more].concat();
        let sender = (self.lab.host(0)).run(|| sockkit_in(self.folder.path(), &arguments));
        let line = sender.line_after("there     ");
        (sender, line)
    }

    /// The same, for all receivers.
    fn send(&self, more: &[&str]) -> (Program, String) {
        self.send_to(self.receivers, more)
    }

    fn folder_of(&self, host: u8) -> PathBuf {
        self.folder.path().join(format!("in{host}"))
    }

    /// Starts a receiver, with the key of that host.
    fn receive(&self, host: u8, line: &str) -> Program {
        let mut command = self.receiver(host, line);
        self.lab.host(host).run(|| Program::start(&mut command))
    }

    fn receiver(&self, host: u8, line: &str) -> Command {
        let into = self.folder_of(host);
        let more = ["--yes", "-v", "--into", into.to_str().unwrap()];
        let words: Vec<_> = line.split(' ').skip(1).chain(more).collect();
        let state = self.folder.path().join(format!("state{host}"));
        let mut command = command();
        command.env("XDG_STATE_HOME", state).args(&words);
        command
    }

    fn has_film(&self, host: u8, film: &Path) -> bool {
        let here = fs::read(self.folder_of(host).join("film"));
        here.is_ok_and(|here| here == fs::read(film).unwrap())
    }
}

#[track_caller]
fn succeeds(end: &ProgramOutput) {
    assert!(end.status.success(), "{end:?}");
}

/// What the sender and all receivers put on the Ethernet, divided by the file.
fn ratios(class: &Class, bytes: usize, rate: &str) -> (f64, f64) {
    let film = class.film(bytes);
    let (sender, line) = class.send(&["--rate", rate]);
    let hosts = 1..=class.receivers;
    let receivers: Vec<_> = hosts
        .clone()
        .map(|host| class.receive(host, &line))
        .collect();
    let mut lines = Vec::new();
    for receiver in receivers {
        let end = receiver.end();
        succeeds(&end);
        lines.push(end.lines);
    }
    let end = sender.end();
    succeeds(&end);
    let all = class.receivers;
    let last = end.lines.last().unwrap();
    assert!(
        last.starts_with(&format!("{all} of {all} have everything")),
        "{end:?}"
    );
    for host in hosts.clone() {
        assert!(class.has_film(host, &film), "{host}: {lines:?}");
    }
    let sent = |host| class.lab.host(host).port(0).sent_bytes();
    let (there, back) = (sent(0), hosts.map(sent).sum::<u64>());
    (there as f64 / bytes as f64, back as f64 / bytes as f64)
}

#[test]
fn a_class_gets_a_file_in_one_pass_and_repairs() {
    let Some(class) = Class::new("many: a class gets a file", 3, 0.05) else {
        return;
    };
    let (there, back) = ratios(&class, 8 << 20, "50");
    // Joining is counted, too, and is a large part of so short a file.
    assert!(there < 1.16 && back < 0.03, "{there:.4}, back {back:.4}");
}

#[test]
#[ignore = "soak"]
fn one_pass_and_repairs_cost_what_the_table_says() {
    for (loss, most) in [(0.0, 1.055), (0.01, 1.075), (0.05, 1.125)] {
        let Some(class) = Class::new("many: the table", 8, loss) else {
            return;
        };
        let (there, back) = ratios(&class, 64 << 20, "100");
        println!("8 receivers, {loss} lost: {there:.4}, back {back:.4}");
        assert!(there <= most && back <= 0.01, "{there:.4}, back {back:.4}");
    }
}

#[test]
fn one_that_hears_nothing_is_served_and_one_that_is_killed_is_named() {
    let Some(class) = Class::new("many: one is deaf, one is killed", 3, 0.0) else {
        return;
    };
    let film = class.film(4 << 20);
    class.lab.host(2).run(|| {
        let rules = "add table ip deaf; add chain ip deaf in { type filter hook input priority 0; }; \
                     add rule ip deaf in ip daddr 224.0.0.0/4 drop";
        let done = Command::new("nft").arg(rules).status().unwrap();
        assert!(done.success());
    });
    let (sender, line) = class.send(&["--rate", "8"]);
    let receivers: Vec<_> = (1..=3).map(|host| class.receive(host, &line)).collect();
    sender.wait_for_error("has accepted (3 of 3)");
    receivers[2].kill();
    for (host, receiver) in (1..).zip(receivers).take(2) {
        succeeds(&receiver.end());
        assert!(class.has_film(host, &film));
    }
    let end = sender.end();
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    assert!(end.errors.contains("does not hear the group"), "{end:?}");
    let says = |text: &str| end.lines.iter().any(|line| line.contains(text));
    assert!(says("2 of 3 have everything"), "{end:?}");
    assert!(
        says("does not have everything: the receiver went away"),
        "{end:?}"
    );
    // The next attempt would find what it has.
    assert!(!class.folder_of(3).join("film").exists());
}
