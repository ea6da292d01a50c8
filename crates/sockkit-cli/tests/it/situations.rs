//! What two users type on two machines, what they must read, within how long, and the
//! exit codes.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use sockkit::testing::{
    lab::{Host, Lab},
    needs::{Need, met},
    program::{Program, ProgramOutput},
};
use tempfile::{TempDir, tempdir};

/// One row: machine B is prepared, then something is typed on machine A.
///
/// `{A}` and `{B}` stand for their addresses, `{B6}` for one of IPv6, `{X}` for one that
/// no machine has. Each line is run by a shell, in a folder with the files of
/// [`prepare`].
#[derive(Clone, Copy)]
struct Situation {
    name: &'static str,
    /// What B does to its firewall.
    firewall: Firewall,
    /// What runs on B meanwhile, started first, and what ends it.
    there: Option<There>,
    typed: &'static str,
    /// On either stream of A.
    printed: &'static [&'static str],
    timeout: Duration,
    code: i32,
}

#[derive(Clone, Copy)]
struct There {
    typed: &'static str,
    printed: &'static [&'static str],
    ends: Ends,
}

/// How a program on B ends.
#[derive(Clone, Copy)]
enum Ends {
    /// By itself, with this code.
    With(i32),
    /// By Ctrl-C, once A has ended.
    Interrupted,
}

#[derive(Clone, Copy)]
enum Firewall {
    None,
    Drops,
}

const fn here(
    name: &'static str,
    typed: &'static str,
    code: i32,
    printed: &'static [&'static str],
) -> Situation {
    Situation {
        name,
        firewall: Firewall::None,
        there: None,
        typed,
        printed,
        timeout: SOON,
        code,
    }
}

impl Situation {
    const fn there(
        mut self,
        typed: &'static str,
        ends: Ends,
        printed: &'static [&'static str],
    ) -> Self {
        self.there = Some(There {
            typed,
            printed,
            ends,
        });
        self
    }

    const fn behind_firewall(mut self) -> Self {
        self.firewall = Firewall::Drops;
        self
    }

    const fn within(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

use Ends::{Interrupted, With};

#[rustfmt::skip]
const SITUATIONS: &[Situation] = &[
    // Files that arrive.
    here("the first file", "sockkit send film.mkv --plain --to {B}:7000", 0, &["sent 1 file", "  film.mkv"])
        .there("sockkit receive --plain --yes --listen :7000", With(0), &["listening on", "address   {B}:7000", "received 1 file", "  film.mkv"]),
    here("no port on either side", "sockkit send film.mkv --plain --to {B}", 0, &["sent 1 file"])
        .there("sockkit receive --plain --yes --listen :5010", With(0), &["address   {B}:5010", "received 1 file"]),
    here("a port alone", "sockkit send film.mkv --plain --to {B}:7000", 0, &["sent 1 file"])
        .there("sockkit receive --plain --yes --listen 7000", With(0), &["received 1 file"]),
    here("over IPv6", "sockkit send film.mkv --plain --to [{B6}]:7000", 0, &["sent 1 file"])
        .there("sockkit receive --plain --yes --listen :7000", With(0), &["received 1 file"]),
    here("over QUIC", "sockkit send film.mkv --plain --to quic://{B}:7000", 0, &["sent 1 file"])
        .there("sockkit receive --plain --yes --listen quic://:7000", With(0), &["received 1 file"]),
    here("names of screenshots, ISO times and devices", "sockkit send trip --plain --to {B}", 0, &["sent 4 files"])
        .there("sockkit receive --plain --yes --listen :5010", With(0), &["received 4 files"]),
    here("the same folder again", "sockkit send trip --plain --to {B} && sockkit send trip --plain --to {B}", 0, &["sent 4 files, 0 B moved"])
        .there("sockkit receive --plain --yes --listen :5010 --keep-listening", Interrupted, &["received 4 files, 0 B moved"]),
    here("a folder with a pipe in it", "sockkit send odd --plain --to {B}", 0, &["odd/pipe: neither a file nor a folder", "sent 1 file"])
        .there("sockkit receive --plain --yes --listen :5010", With(0), &["received 1 file"]),
    here("a link keeps the name that was typed", "sockkit send film.mkv link.mkv --plain --to {B}", 0, &["  film.mkv", "  link.mkv", "sent 2 files"])
        .there("sockkit receive --plain --yes --listen :5010", With(0), &["received 2 files"]),
    here("standard input to standard output", "echo spoken | sockkit send - --name words.txt --plain --to {B}", 0, &["  words.txt"])
        .there("sockkit receive --plain --yes --listen :5010 --stdout", With(0), &["spoken"]),
    here("a limit in units", "sockkit send big --plain --to {B}", 1, &["it takes at most 102400 bytes"])
        .there("sockkit receive --plain --yes --listen :5010 --max-bytes 100K", Interrupted, &["1048576 bytes offered, limit is 102400"]),
    // Files that do not.
    here("nobody listens", "sockkit send film.mkv --plain --to {B}:7000", 1, &["{B}:7000", "Connection refused", "is the other side listening"]),
    here("no such machine", "sockkit send film.mkv --plain --to {X}:7000", 1, &["{X}:7000", "is it on this network"])
        .within(PATIENT),
    here("a firewall drops TCP", "sockkit send film.mkv --plain --to {B}:7000", 1, &["did not answer within", "does its firewall allow TCP?"])
        .behind_firewall().within(PATIENT),
    here("a firewall drops UDP", "sockkit send film.mkv --plain --to quic://{B}:7000", 1, &["did not answer within", "does its firewall allow UDP?"])
        .behind_firewall().within(PATIENT),
    here("QUIC to a listener without", "sockkit send film.mkv --plain --to quic://{B}:7000", 1, &["on quic:// as well?"])
        .there("sockkit receive --plain --yes --listen :7000", Interrupted, &[]),
    here("a listener on QUIC alone", "sockkit send film.mkv --plain --to {B}:7000", 1, &["without quic://?"])
        .there("sockkit receive --plain --yes --listen quic://:7000", Interrupted, &[]),
    here("the address in scp's place", "sockkit send film.mkv {B}:7000", 1, &["write --to {B}:7000"]),
    here("a code in scp's place", "sockkit send film.mkv 7-coral-lamp", 1, &["write --to 7-coral-lamp"]),
    here("a user and a host in scp's place", "sockkit send film.mkv user@{B}:", 1, &["write --to {B}"]),
    here("the port of a page after a space", "sockkit send film.mkv --web :8078", 1, &["write --web=:8078"]),
    here("the port of a page for uploads after a space", "sockkit receive --yes --web 8077", 1, &["write --web=:8077"]),
    here("a file that is there and differs", "sockkit send film.mkv --plain --to {B}", 1, &["exists and differs", "--on-conflict update"])
        .there("echo other >film.mkv && exec sockkit receive --plain --yes --listen :5010", With(1), &["exists and differs", "--on-conflict update"]),
    here("notes that cannot be written", "sockkit send film.mkv --plain --to {B} 2>/dev/full", 0, &["  film.mkv"])
        .there("sockkit receive --plain --yes --listen :5010 2>/dev/full", With(0), &["  film.mkv"]),
    here("nobody can be asked", "sockkit receive --plain </dev/null", 1, &["use --yes"]),
    here("output that cannot be written", "sockkit send film.mkv --plain --to {B} >/dev/full", 1, &["cannot write the output"])
        .there("sockkit receive --plain --yes --listen :5010", With(0), &["received 1 file"]),
    // Pictures that arrive.
    here("a picture by UDP", "sockkit cam --plain --source pattern --to udp://{B}:5006 --seconds 30", 0, &["sending pattern"])
        .there("sockkit view --plain udp://:5006 --snapshot one.jpg", With(0), &["saved     one.jpg"]).within(PATIENT),
    here("a picture by TCP", "sockkit view tcp://{B}:5006 --plain --snapshot one.jpg", 0, &["dialling  tcp://{B}:5006", "saved     one.jpg"])
        .there("sockkit cam --source pattern --plain --listen :5006", Interrupted, &["listening on"]),
    here("a picture by a group", "sockkit cam --plain --source pattern --to udp://239.255.0.1:5006 --interface eth0 --seconds 30", 0, &["sending pattern"])
        .there("sockkit view --plain udp://239.255.0.1:5006 --interface eth0 --snapshot one.jpg", With(0), &["saved     one.jpg"]).within(PATIENT),
    here("a page alone", "sockkit cam --source pattern --web --seconds 1", 0, &["watch     http://{A}:8088/", "every host on this network can watch"]),
    here("a page at a port", "sockkit cam --source pattern --web 8090 --seconds 1", 0, &["watch     http://{A}:8090/"]),
    // Pictures that do not.
    here("no viewer", "sockkit cam --plain --source pattern --to udp://{B}:5006 --seconds 2", 0, &["no viewer has answered at udp://{B}:5006", "firewall"]),
    here("no camera", "sockkit view --plain udp://:5006 --seconds 2", 1, &["no picture arrived from udp://:5006", "firewall"]),
    here("a camera's address after udp://", "sockkit view --plain udp://{B}:5006", 1, &["not an address of this machine", "udp://:5006", "tcp://{B}:5006 connects to a camera"]),
    here("a viewer's address after tcp://", "sockkit cam --plain --source pattern --to tcp://{B}:5006", 1, &["not an address of this machine", "--listen :5006", "udp://{B}:5006"]),
    here("no route to a group", "sockkit cam --plain --source pattern --to udp://239.1.2.3:5006", 1, &["no route leads to the group", "--interface"]),
    here("no interface for a group", "sockkit view --plain udp://239.1.2.3:5006", 1, &["239.1.2.3", "--interface NAME"]),
    here("a broadcast address", "sockkit cam --plain --source pattern --to udp://10.77.0.255:5006", 1, &["a broadcast address", "send to a group"]),
    here("several sources without a page", "sockkit view --plain porch=udp://:5006 yard=udp://:5007", 1, &["add --web"]),
    // The machine itself.
    here("another machine is reached", "sockkit doctor {B}", 0, &["{B}:5010: can be reached", "not running there"]),
    here("another machine drops", "sockkit doctor {B}", 1, &["{B}:5010: no answer; a firewall drops"])
        .behind_firewall().within(PATIENT),
    here("this machine drops", "nft -f drop.nft && sockkit doctor", 1, &["FAIL  firewall: drops UDP 5006", "to fix: allow UDP 5006"])
        .within(PATIENT),
    here("the command's name", "sockkit --version", 0, &["sockkit "]),
    here("help that cannot be written", "sockkit --help >/dev/full", 1, &[]),
];

#[test]
fn two_users_read_what_they_need() {
    let needs = [
        Need::Linux,
        Need::Root,
        Need::Program("ip"),
        Need::Program("nft"),
    ];
    if !met("situations: two users", &needs) {
        return;
    }
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(one) = SITUATIONS.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(why) = play(one) {
                        failed.lock().unwrap().push(format!("{}: {why}", one.name));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

#[test]
fn there_are_enough_situations() {
    assert!(SITUATIONS.len() >= 25, "{}", SITUATIONS.len());
}

fn play(one: &Situation) -> Result<(), String> {
    let lab = Lab::new("situations", 2, 1).ok_or("no lab")?;
    let [folder_a, folder_b] = [prepare(), tempdir().unwrap()];
    if matches!(one.firewall, Firewall::Drops) {
        run(lab.host(1), folder_a.path(), "nft -f drop.nft", &lab).end();
    }
    let there = one.there.map(|there| {
        let program = run(lab.host(1), folder_b.path(), there.typed, &lab);
        let ready = match there.typed.contains("--stdout") {
            true => {
                program.wait_for_error("listening on");
                String::new()
            }
            false => program.line(),
        };
        (there, program, ready)
    });
    let begun = Instant::now();
    let end = run(lab.host(0), folder_a.path(), one.typed, &lab).end();
    let took = begun.elapsed();
    check("A", &end, one.code, one.printed, "", &lab)?;
    if took > one.timeout {
        return Err(format!("took {took:?}, not {:?}", one.timeout));
    }
    let Some((there, program, ready)) = there else {
        return Ok(());
    };
    let code = match there.ends {
        With(code) => code,
        Interrupted => {
            program.interrupt();
            130
        }
    };
    check("B", &program.end(), code, there.printed, &ready, &lab)
}

/// Runs a line of the shell on a machine.
fn run(host: &Host, folder: &Path, line: &str, lab: &Lab) -> Program {
    let line = filled(line, lab);
    let alone = !line.contains(['|', '&', ';']);
    let exec = if alone { "exec " } else { "" };
    let programs = Path::new(env!("CARGO_BIN_EXE_sockkit")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{exec}{line}")]);
    shell
        .current_dir(folder)
        .env("PATH", path)
        .env("HOME", folder);
    host.run(|| Program::start(&mut shell))
}

fn filled(text: &str, lab: &Lab) -> String {
    let [a, b] = [0, 1].map(|host| lab.host(host).port(0));
    text.replace("{A}", &a.ipv4().to_string())
        .replace("{B}", &b.ipv4().to_string())
        .replace("{B6}", &b.ipv6().to_string())
        .replace("{X}", "10.77.0.99")
}

fn check(
    who: &str,
    end: &ProgramOutput,
    code: i32,
    printed: &[&str],
    first: &str,
    lab: &Lab,
) -> Result<(), String> {
    let all = format!("{first}\n{}\n{}", end.lines.join("\n"), end.errors);
    if end.status.code() != Some(code) {
        return Err(format!(
            "{who} ended with {}, not {code}:\n{all}",
            end.status
        ));
    }
    if let Some(raw) = all.lines().find(|line| line.contains(" WARN ")) {
        return Err(format!("{who} printed a line of the log: {raw}"));
    }
    let printed = printed.iter().map(|text| filled(text, lab));
    match printed.into_iter().find(|text| !all.contains(text)) {
        Some(missing) => Err(format!("{who} did not print {missing:?}:\n{all}")),
        None => Ok(()),
    }
}

/// The folder that the user of A is in; that of B is empty.
fn prepare() -> TempDir {
    let folder = tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("film.mkv"), "a film").unwrap();
    symlink("film.mkv", path("link.mkv")).unwrap();
    fs::write(path("big"), vec![7; 1 << 20]).unwrap();
    fs::create_dir_all(path("trip/2026-11-25T10:00")).unwrap();
    for name in [
        "Screenshot 19:34:55.png",
        "aux.c",
        "draft v1.",
        "2026-11-25T10:00/inner",
    ] {
        fs::write(path("trip").join(name), name).unwrap();
    }
    fs::create_dir(path("odd")).unwrap();
    fs::write(path("odd/file"), "file").unwrap();
    let pipe = Command::new("mkfifo").arg(path("odd/pipe")).status();
    assert!(pipe.unwrap().success());
    let rules = "table inet drops {\n chain input {\n type filter hook input priority 0; policy drop; iif lo accept\n }\n }\n";
    fs::write(path("drop.nft"), rules).unwrap();
    folder
}

/// As many as keep two cores busy while some wait.
const AT_ONCE: usize = 4;

/// What a user takes for at once, on a machine that is busy with other tests.
const SOON: Duration = Duration::from_secs(30);
/// What has a timeout of its own.
const PATIENT: Duration = Duration::from_secs(55);
