//! Whole file transfers over loopback, each side a process of its own, beside a
//! C pair of `sendfile` and `recv` + `write`, in memory-backed folders.
//!
//! ```text
//! cargo bench -p sockkit-file --bench file
//! SOCKKIT_BENCH_FOLDER=/var/tmp cargo bench -p sockkit-file --bench file   # on a disk
//! cargo bench -p sockkit-file --bench file -- routes   # ways through the kernel, in C
//! ```
//!
//! Where they are installed, rsync (over a pipe, with no network at all, which
//! flatters it) and scp (through a server of its own) copy the same.
//!
//! Prints, does not judge: other load on the machine moves every figure here.

#![allow(clippy::print_stdout, reason = "a benchmark reports")]
#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::{
    env,
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use sockkit_file::{
    Destination, FileSet, Integrity, OnConflict, ReceiveConfig, SendConfig, receive, send,
    session::Limits,
};
use sockkit_testing::usage;
use tokio::net::TcpListener;

fn main() {
    let arguments: Vec<String> = env::args().collect();
    let words: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
    match words.as_slice() {
        ["side-send", port, path, integrity] => side_send(port, path, integrity),
        ["side-receive", folder, integrity] => side_receive(folder, integrity),
        ["routes", ..] => compare_routes(),
        _ => compare(),
    }
}

/// Every way to send with every way to receive.
fn compare_routes() {
    let lab = lab();
    let big = lab.path().join("big");
    write_random(&big, BIG_BYTES);
    let Some(pair) = compile_pair(lab.path()) else {
        return;
    };
    println!("median of {ROUNDS} rounds; CPU seconds of sender and receiver");
    for sending in ["sendfile", "read", "splice"] {
        for receiving in ["write", "splice", "mmap"] {
            let into = lab.path().join("into");
            let mut rounds: Vec<Figures> = (0..ROUNDS)
                .map(|_| {
                    let receiver = Command::new(&pair)
                        .arg("receive")
                        .args([into.as_os_str(), receiving.as_ref()])
                        .stdout(Stdio::piped())
                        .spawn()
                        .unwrap();
                    run("C pair", receiver, |port| {
                        Command::new(&pair)
                            .args(["send", port])
                            .args([big.as_os_str(), sending.as_ref()])
                            .stdout(Stdio::piped())
                            .spawn()
                            .unwrap()
                    })
                })
                .collect();
            rounds.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
            println!(
                "{sending:9} {receiving:7} {}",
                rounds[ROUNDS / 2].row(BIG_BYTES)
            );
        }
    }
}

fn lab() -> tempfile::TempDir {
    let base = env::var("SOCKKIT_BENCH_FOLDER").unwrap_or_else(|_unset| "/dev/shm".into());
    tempfile::Builder::new().tempdir_in(base).unwrap()
}

/// What both sides of one transfer print.
struct Figures {
    seconds: f64,
    cpu_seconds: [f64; 2],
    peak_kib: [f64; 2],
}

impl Figures {
    fn row(&self, bytes: u64) -> String {
        #[allow(clippy::cast_precision_loss, reason = "a figure for people")]
        let speed = bytes as f64 / 1e6 / self.seconds;
        format!(
            "{:8.3} {speed:8.0} {:9.2}s {:9.2}s {:9.1} {:9.1}",
            self.seconds,
            self.cpu_seconds[0],
            self.cpu_seconds[1],
            self.peak_kib[0] / 1024.0,
            self.peak_kib[1] / 1024.0
        )
    }
}

fn compare() {
    let lab = lab();
    let big = lab.path().join("big");
    write_random(&big, BIG_BYTES);
    // The first to touch memory that the machine has not used yet pays for it.
    let warm = lab.path().join("warm");
    fs::copy(&big, &warm).unwrap();
    fs::remove_file(&warm).unwrap();
    let many = lab.path().join("many");
    fs::create_dir(&many).unwrap();
    for index in 0..10_000 {
        fs::write(
            many.join(index.to_string()),
            [index.to_string().as_bytes(), &[7; 4_000]].concat(),
        )
        .unwrap();
    }
    let pair = compile_pair(lab.path());
    let myself = env::current_exe().unwrap();

    println!(
        "{:28} {:>8} {:>8} {:>10} {:>10} {:>9} {:>9}",
        "", "s", "MB/s", "send CPU", "recv CPU", "send MiB", "recv MiB"
    );
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        let mut row = [f64::NAN; 3];
        // Each in turn goes first: the first to touch fresh memory pays for it.
        for turn in 0..row.len() {
            let column = (round + turn) % row.len();
            let into = lab.path().join("into");
            fs::create_dir(&into).unwrap();
            row[column] = match (column, &pair) {
                (0, None) => f64::NAN,
                (0, Some(pair)) => theirs(pair, &big, &into),
                (1, _) => ours(
                    &myself,
                    "sockkit, unverified",
                    &big,
                    &into,
                    "unverified",
                    BIG_BYTES,
                ),
                _ => ours(&myself, "sockkit, blake3", &big, &into, "blake3", BIG_BYTES),
            };
            fs::remove_dir_all(&into).unwrap();
        }
        rounds.push(row);
    }
    summarise(&rounds);

    let into = lab.path().join("into-many");
    fs::create_dir(&into).unwrap();
    ours(
        &myself,
        "10,000 files of 4 KiB",
        &many,
        &into,
        "blake3",
        10_000 * 4_004,
    );
    others(lab.path(), &big, &many);
}

/// Ratio to the C pair within each round, median over the rounds.
fn summarise(rounds: &[[f64; 3]]) {
    for (column, name) in [(1, "unverified"), (2, "blake3")] {
        let mut ratios: Vec<f64> = rounds.iter().map(|row| row[0] / row[column]).collect();
        ratios.sort_by(f64::total_cmp);
        let median = ratios[ratios.len() / 2];
        println!(
            "{name}: {median:.2} x the C pair's speed (median of {})",
            ratios.len()
        );
    }
}

fn theirs(pair: &Path, from: &Path, into: &Path) -> f64 {
    let receiver = Command::new(pair)
        .arg("receive")
        .arg(into.join("big"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let sender = |port: &str| {
        let mut sender = Command::new(pair);
        sender.args(["send", port]).arg(from).stdout(Stdio::piped());
        sender.spawn().unwrap()
    };
    let name = "C sendfile / recv+write";
    let figures = run(name, receiver, sender);
    println!("{name:28} {}", figures.row(BIG_BYTES));
    figures.seconds
}

fn ours(myself: &Path, name: &str, from: &Path, into: &Path, integrity: &str, bytes: u64) -> f64 {
    let receiver = Command::new(myself)
        .arg("side-receive")
        .arg(into)
        .arg(integrity)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let figures = run(name, receiver, |port| {
        Command::new(myself)
            .args(["side-send", port])
            .arg(from)
            .arg(integrity)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    });
    println!("{name:28} {}", figures.row(bytes));
    figures.seconds
}

/// Waits for both sides.
fn run(name: &str, mut receiver: Child, sender: impl FnOnce(&str) -> Child) -> Figures {
    let mut output = BufReader::new(receiver.stdout.take().unwrap());
    let mut port = String::new();
    output.read_line(&mut port).unwrap();
    let sent = sender(port.trim()).wait_with_output().unwrap();
    let mut received = String::new();
    output.read_to_string(&mut received).unwrap();
    assert!(
        sent.status.success() && receiver.wait().unwrap().success(),
        "{name}"
    );
    let numbers = |text: &str| -> Vec<f64> {
        text.split_whitespace()
            .map(|word| word.parse().unwrap())
            .collect()
    };
    let sent = numbers(str::from_utf8(&sent.stdout).unwrap());
    let received = numbers(&received);
    Figures {
        seconds: sent[0],
        cpu_seconds: [sent[1], received[1]],
        peak_kib: [sent[2], received[2]],
    }
}

fn side_send(port: &str, path: &str, integrity: &str) {
    let source = FileSet::gather([path])
        .unwrap()
        .integrity(parse_integrity(integrity));
    let address = format!("127.0.0.1:{port}");
    let since = runtime().block_on(async {
        let since = Instant::now();
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let summary = send(stream, source, &SendConfig::default()).await.unwrap();
        assert!(summary.is_complete());
        since
    });
    print_figures(since);
}

fn side_receive(folder: &str, integrity: &str) {
    let since = runtime().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap().port());
        std::io::stdout().flush().unwrap();
        let (stream, _peer) = listener.accept().await.unwrap();
        let since = Instant::now();
        let config = ReceiveConfig::default()
            .limits(Limits::default().integrity(parse_integrity(integrity)))
            .on_conflict(OnConflict::Refuse);
        let incoming = receive(stream, &config).await.unwrap();
        incoming
            .accept(&Destination::open(folder).unwrap())
            .await
            .unwrap();
        since
    });
    print_figures(since);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn parse_integrity(name: &str) -> Integrity {
    match name {
        "unverified" => Integrity::Unverified,
        _ => Integrity::Blake3,
    }
}

/// The same three numbers as the C pair prints.
fn print_figures(since: Instant) {
    let seconds = since.elapsed().as_secs_f64();
    let own = std::process::id();
    let cpu = usage::cpu_time(own).unwrap().as_secs_f64();
    let peak_kib = usage::peak_bytes(own).unwrap() / 1_024;
    println!("{seconds} {cpu} {peak_kib}");
}

fn compile_pair(lab: &Path) -> Option<PathBuf> {
    let pair = lab.join("pair");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/file_pair.c");
    let compiled = Command::new("cc")
        .args(["-O2", source, "-o"])
        .arg(&pair)
        .status();
    if compiled.is_ok_and(|status| status.success()) {
        return Some(pair);
    }
    println!("no C compiler: nothing to compare with");
    None
}

/// What people use, where it is installed.
fn others(lab: &Path, big: &Path, many: &Path) {
    let server = ScpServer::start(lab);
    for (what, from) in [("1 GiB", big), ("10,000 files", many)] {
        for (name, arguments) in [
            ("rsync", &["-r", "--whole-file"][..]),
            ("rsync --fsync", &["-r", "--whole-file", "--fsync"][..]),
        ] {
            let mut rsync = Command::new("rsync");
            rsync.args(arguments).arg(from);
            rsync.arg(lab.join(format!("{name} {what}")));
            time(name, what, &mut rsync);
        }
        if let Some(server) = &server {
            time(
                "scp",
                what,
                &mut server.copy(from, &lab.join(format!("scp {what}"))),
            );
        }
    }
}

fn time(name: &str, what: &str, command: &mut Command) {
    let started = Instant::now();
    match command.status() {
        Ok(status) if status.success() => {
            let seconds = started.elapsed().as_secs_f64();
            println!("{name:20} {what:14} {seconds:8.3} s");
        }
        _ => println!("{name:20} {what:14} did not run"),
    }
}

/// An SSH server for one user, at a port of its own.
struct ScpServer {
    process: Child,
    key: PathBuf,
}

impl ScpServer {
    fn start(lab: &Path) -> Option<Self> {
        let key = lab.join("key");
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(&key)
            .status();
        if !made.is_ok_and(|status| status.success()) || !Path::new(SSHD).exists() {
            println!("no {SSHD}: scp is left out");
            return None;
        }
        // Insists on it when started by root.
        let _ = fs::create_dir_all("/run/sshd");
        let option = |name: &str, path: &Path| format!("-o{name}={}", path.display());
        let process = Command::new(SSHD)
            .args(["-D", "-e", "-f", "/dev/null", "-p", SSH_PORT])
            .args([
                "-oListenAddress=127.0.0.1",
                "-oStrictModes=no",
                "-oUsePAM=no",
            ])
            .args(["-oSubsystem=sftp internal-sftp", "-oLogLevel=ERROR"])
            .arg(option("HostKey", &key))
            .arg(option("AuthorizedKeysFile", &key.with_extension("pub")))
            .spawn()
            .unwrap();
        let mut server = Self { process, key };
        for _ in 0..50 {
            thread::sleep(Duration::from_millis(100));
            if TcpStream::connect(("127.0.0.1", SSH_PORT.parse().unwrap())).is_ok() {
                return Some(server);
            }
            if server.process.try_wait().unwrap().is_some() {
                break;
            }
        }
        println!("{SSHD} does not listen: scp is left out");
        None
    }

    fn copy(&self, from: &Path, into: &Path) -> Command {
        let mut scp = Command::new("scp");
        scp.args(["-r", "-q", "-B", "-P", SSH_PORT, "-i"])
            .arg(&self.key)
            .args([
                "-oStrictHostKeyChecking=no",
                "-oUserKnownHostsFile=/dev/null",
            ])
            .arg("-oLogLevel=ERROR")
            .arg(from)
            .arg(format!(
                "127.0.0.1:{}",
                into.display().to_string().replace(' ', "-")
            ));
        scp
    }
}

impl Drop for ScpServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn write_random(path: &Path, bytes: u64) {
    let mut file = File::create(path).unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    let mut buffer = vec![0; 1 << 20];
    for _ in 0..bytes >> 20 {
        random.fill(&mut buffer);
        file.write_all(&buffer).unwrap();
    }
}

const BIG_BYTES: u64 = 1 << 30;
const ROUNDS: usize = 7;
const SSHD: &str = "/usr/sbin/sshd";
/// Below the ephemeral ports.
const SSH_PORT: &str = "22022";
