//! `cam --many`: pictures to a class, between hosts of the lab.

use std::{
    io::Write,
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

use sockkit::testing::{
    lab::Lab,
    needs::{Need, met},
    program::{Program, ProgramOutput},
    sim::LinkConfig,
    usage,
};
use tempfile::TempDir;

use crate::command;

/// A camera at host 0, and viewers at the others.
struct Class {
    lab: Lab,
    folder: TempDir,
}

impl Class {
    fn new(test: &str, viewers: u8) -> Option<Self> {
        if !met(test, &[Need::Program("nft"), Need::Program("ethtool")]) {
            return None;
        }
        let lab = Lab::new(test, viewers + 1, 1)?;
        for host in 0..=viewers {
            // Merged packets would be lost together.
            lab.host(host).port(0).offloads_off();
        }
        let folder = tempfile::tempdir().unwrap();
        Some(Self { lab, folder })
    }

    /// Runs `sockkit` at a host, with the keys and peers of that.
    fn run(&self, host: u8, arguments: &[&str]) -> Program {
        let state = self.folder.path().join(format!("state{host}"));
        let mut command = command();
        command.env("XDG_STATE_HOME", state).args(arguments);
        command.current_dir(self.folder.path());
        self.lab.host(host).run(|| Program::start(&mut command))
    }

    /// Starts the camera; also returns the words that viewers type.
    fn cam(&self, more: &[&str]) -> (Program, Vec<String>) {
        let pictures = ["--size", "1280x720", "--quality", "95", "--rate", "25"];
        let many = ["--many", "--listen", "udp://0.0.0.0:5006", "--no-announce"];
        let fixed = ["cam", "--source", "pattern"];
        let cam = self.run(0, &[&fixed[..], &pictures, &many, more].concat());
        let line = cam.line_after("there     sockkit ");
        (cam, line.split(' ').map(str::to_owned).collect())
    }

    fn view(&self, host: u8, line: &[String], more: &[&str]) -> Program {
        let line: Vec<_> = line.iter().map(String::as_str).collect();
        self.run(host, &[&line[..], more].concat())
    }

    fn fingerprint(&self, host: u8) -> String {
        self.run(host, &["id"]).end().lines[1].clone()
    }

    fn nft(&self, host: u8, rules: &str) {
        self.lab.host(host).run(|| {
            let mut nft = Command::new("nft");
            let nft = nft.args(["-f", "-"]).stdin(Stdio::piped());
            let mut nft = nft.spawn().unwrap();
            let mut input = nft.stdin.take().unwrap();
            input.write_all(rules.as_bytes()).unwrap();
            drop(input);
            assert!(nft.wait().unwrap().success());
        });
    }

    /// Drops what is multicast on its way to that host.
    fn deafen(&self, host: u8) {
        self.nft(
            host,
            "table ip deaf {\n\
             chain in {\n\
             type filter hook input priority 0;\n\
             ip daddr 239.0.0.0/8 drop\n\
             }\n\
             }\n",
        );
    }

    /// Loses 5 % of the datagrams on their way to that host, four in sequence on average. Those
    /// of TCP would wait for seconds, as no real burst lasts.
    fn lossy(&self, host: u8) {
        self.nft(
            host,
            "table inet lossy {\n\
             chain bursts {\n\
             ct mark 1 numgen random mod 4 < 1 ct mark set 0 accept\n\
             ct mark 1 drop\n\
             numgen random mod 75 < 1 ct mark set 1 drop\n\
             }\n\
             chain in {\n\
             type filter hook prerouting priority mangle;\n\
             iifname eth0 meta l4proto udp jump bursts\n\
             }\n\
             }\n",
        );
    }

    /// Ethernet bytes that the camera's host has sent.
    fn sent_bytes(&self) -> u64 {
        self.lab.host(0).port(0).sent_bytes()
    }
}

/// The lines of `--stats`.
fn stats(end: &ProgramOutput) -> Vec<&str> {
    let lines = end.lines.iter().map(String::as_str);
    lines.filter(|line| line.starts_with("received=")).collect()
}

fn field(stats: &str, name: &str) -> f64 {
    let mut fields = stats.split(' ');
    let value = fields.find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    value.unwrap().parse().unwrap_or(f64::NAN)
}

/// Pictures that came and those that did not, once the camera knew the loss.
fn came_and_lost(end: &ProgramOutput) -> (f64, f64) {
    let stats = stats(end);
    let counts = |at: &str| (field(at, "received"), field(at, "lost"));
    let settled = stats.iter().position(|line| field(line, "received") > 75.0);
    let settled = settled.unwrap_or_else(|| panic!("{end:?}"));
    let ((came, lost), (before, lost_before)) =
        (counts(stats[stats.len() - 1]), counts(stats[settled]));
    (came - before, lost - lost_before)
}

#[test]
fn a_class_watches_by_multicast_and_one_by_unicast() {
    let Some(class) = Class::new("cam --many: a class watches", 3) else {
        return;
    };
    (1..=3).for_each(|host| class.lossy(host));
    class.deafen(3);
    let (cam, line) = class.cam(&[]);
    let viewers: Vec<_> = (1..=3)
        .map(|host| class.view(host, &line, &["--stats", "--seconds", "20"]))
        .collect();
    cam.wait_for_error("viewers: 2 by multicast, 1 by unicast");
    for (host, viewer) in (1..).zip(viewers) {
        let end = viewer.end();
        assert!(end.status.success(), "{end:?}");
        let (came, lost) = came_and_lost(&end);
        println!("{host}: {came} pictures, {lost} lost");
        // By chance it may be one or two, of a few hundred.
        assert!(lost <= 2.0 && came > 100.0, "{host}: {came}, {lost} lost");
    }
    cam.wait_for_error("viewers: 0 by multicast, 0 by unicast");
    cam.interrupt();
    let end = cam.end();
    assert_eq!(end.status.code(), Some(130), "{end:?}");
    assert!(
        end.lines
            .iter()
            .any(|line| line.contains("viewers: 0 by multicast")),
        "{end:?}"
    );
}

#[test]
fn one_that_is_forgotten_is_cut_off_and_the_others_are_not() {
    let Some(class) = Class::new("cam --many: one is forgotten", 2) else {
        return;
    };
    let (cam, line) = class.cam(&[]);
    let stays = class.view(1, &line, &["--stats", "--seconds", "15"]);
    let goes = class.view(2, &line, &[]);
    cam.wait_for_error("viewers: 2 by multicast, 0 by unicast");
    let forgotten = class
        .run(0, &["peers", "forget", &class.fingerprint(2)])
        .end();
    assert!(forgotten.status.success(), "{forgotten:?}");
    goes.wait_for_error("not connected");
    cam.wait_for_error("viewers: 1 by multicast, 0 by unicast");
    goes.interrupt();
    goes.end();
    // Nothing is lost where the key changes.
    let end = stays.end();
    let (_, lost) = came_and_lost(&end);
    assert_eq!(lost, 0.0, "{end:?}");

    // A host, or the port of its TCP, is enough.
    let address = class.lab.host(0).port(0).ipv4().to_string();
    let again = class
        .run(1, &["view", &address, "--snapshot", "one.jpg"])
        .end();
    assert!(again.status.success(), "{again:?}");
    let refused = class.run(2, &["view", &address]).end();
    assert!(!refused.status.success(), "{refused:?}");
    assert!(
        refused.errors.contains("does not know this machine"),
        "{refused:?}"
    );
    cam.interrupt();
    cam.end();
}

#[test]
fn what_does_not_go_together_says_what_to_type() {
    for (more, words) in [
        (&["--plain"][..], &["leave out --plain"][..]),
        (&["--listen", ":7000"], &["--listen udp://:7000"]),
        (
            &["--listen", "udp://:7000", "--listen", "udp://:7001"],
            &["leave out udp://:7001"],
        ),
        (&["--to", "udp://10.0.0.9"], &["--many", "--to"]),
        (&["--key", "cam.key"], &["--many", "--key"]),
    ] {
        let cam = ["cam", "--source", "pattern", "--many"];
        crate::fails(&[&cam[..], more].concat(), words);
    }
}

/// The table of `docs/performance.md`: what thirty viewers cost beside one.
#[test]
#[ignore = "measurement"]
fn thirty_viewers_cost_what_one_does() {
    let mut one = None;
    let mut missed = Vec::new();
    if !met(
        "cam --many: thirty viewers",
        &[Need::Device("/dev/net/tun")],
    ) {
        return;
    }
    for viewers in [1, 30] {
        let Some(class) = Class::new("cam --many: thirty viewers", viewers) else {
            return;
        };
        (1..=viewers).for_each(|host| class.lossy(host));
        // One machine does the work of all: without it, the kernel's for thirty receivers would
        // be on the account of the camera that sends, and a picture for all of them, 1,500
        // packets at once, is more than its queue for them holds, 1,000.
        let _cable = class.lab.host(0).port(0).relay(&LinkConfig::default(), 1);
        let (cam, line) = class.cam(&[]);
        let seconds = ["--stats", "--seconds", "75"];
        let watching: Vec<_> = (1..=viewers)
            .map(|host| class.view(host, &line, &seconds))
            .collect();
        cam.wait_for_error(&format!("viewers: {viewers} by multicast, 0 by unicast"));
        sleep(Duration::from_secs(5));
        let cpu = || usage::cpu_time(cam.id()).unwrap().as_secs_f64() * 1_000.0;
        let before = (class.sent_bytes(), cpu());
        sleep(Duration::from_secs(40));
        let wire = (class.sent_bytes() - before.0) as f64 / 40.0;
        let cpu_ms = (cpu() - before.1) / 40.0;
        for (host, viewer) in (1..).zip(watching) {
            let end = viewer.end();
            let (came, lost) = came_and_lost(&end);
            let share = 100.0 * came / (came + lost);
            let p99_ms = field(stats(&end).last().unwrap(), "age_p99_ms");
            let line =
                format!("{viewers} viewers, {host}: {share:.2} % of {came}, p99 {p99_ms} ms");
            println!("{line}");
            if share < 99.9 || p99_ms > 40.0 {
                missed.push(line);
            }
        }
        cam.interrupt();
        // Whom the group did not reach all the time.
        let end = cam.end();
        let said = end.lines.iter().filter(|line| line.contains("viewers:"));
        said.for_each(|line| println!("cam: {line}"));
        println!("{viewers} viewers: {wire:.0} bytes/s, {cpu_ms:.1} ms of CPU a second");
        let (wire_of_one, cpu_of_one) = *one.get_or_insert((wire, cpu_ms));
        let ratios = (wire / wire_of_one, cpu_ms / cpu_of_one);
        println!(
            "{viewers} viewers: wire {:.3} x, CPU {:.3} x",
            ratios.0, ratios.1
        );
        assert!(ratios.0 <= 1.3 && ratios.1 <= 1.3, "{ratios:?}");
    }
    assert!(missed.is_empty(), "{missed:#?}");
}
