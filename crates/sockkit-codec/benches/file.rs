//! Whole file transfers over loopback, each side a process of its own, beside a
//! C pair of `sendfile` and `recv` + `write`, in memory-backed folders.
//!
//! ```text
//! cargo bench -p sockkit-codec --bench file
//! SOCKKIT_BENCH_FOLDER=/var/tmp cargo bench -p sockkit-codec --bench file   # on a disk
//! ```
//!
//! Prints, does not judge: other load on the machine moves every figure here.

#![allow(clippy::print_stdout, reason = "a benchmark reports")]
#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::{
    env,
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Instant,
};

use sockkit_codec::file::{
    Destination, Integrity, OnConflict, ReceiveConfig, SendConfig, Source, receive, send,
    session::Limits,
};
use tokio::net::{TcpListener, TcpStream};

fn main() {
    let arguments: Vec<String> = env::args().collect();
    let words: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
    match words.as_slice() {
        ["side-send", port, path, integrity] => side_send(port, path, integrity),
        ["side-receive", folder, integrity] => side_receive(folder, integrity),
        _ => compare(),
    }
}

fn compare() {
    let base = env::var("SOCKKIT_BENCH_FOLDER").unwrap_or_else(|_unset| "/dev/shm".into());
    let lab = tempfile::Builder::new().tempdir_in(base).unwrap();
    let big = lab.path().join("big");
    write_random(&big, BIG_BYTES);
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
    run("C sendfile / recv+write", receiver, sender, BIG_BYTES)
}

fn ours(myself: &Path, name: &str, from: &Path, into: &Path, integrity: &str, bytes: u64) -> f64 {
    let receiver = Command::new(myself)
        .arg("side-receive")
        .arg(into)
        .arg(integrity)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    run(
        name,
        receiver,
        |port| {
            Command::new(myself)
                .args(["side-send", port])
                .arg(from)
                .arg(integrity)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        },
        bytes,
    )
}

/// Waits for both sides; returns the sender's seconds.
fn run(name: &str, mut receiver: Child, sender: impl FnOnce(&str) -> Child, bytes: u64) -> f64 {
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
    #[allow(clippy::cast_precision_loss, reason = "a figure for people")]
    let speed = bytes as f64 / 1e6 / sent[0];
    println!(
        "{name:28} {:8.3} {speed:8.0} {:9.2}s {:9.2}s {:9.1} {:9.1}",
        sent[0],
        sent[1],
        received[1],
        sent[2] / 1024.0,
        received[2] / 1024.0
    );
    sent[0]
}

fn side_send(port: &str, path: &str, integrity: &str) {
    let source = Source::gather([path])
        .unwrap()
        .integrity(parse_integrity(integrity));
    let address = format!("127.0.0.1:{port}");
    let since = runtime().block_on(async {
        let since = Instant::now();
        let stream = TcpStream::connect(address).await.unwrap();
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
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    // utime and stime, in the kernel's fixed hundredths of a second.
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    let peak = peak.split_whitespace().nth(1).unwrap();
    println!("{seconds} {} {peak}", ticks / 100.0);
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

/// What people use, where it is installed; over no network at all, which
/// flatters them.
fn others(lab: &Path, big: &Path, many: &Path) {
    for (what, from) in [("1 GiB", big), ("10,000 files", many)] {
        for (name, arguments) in [
            ("rsync", &["-r", "--whole-file"][..]),
            ("rsync --fsync", &["-r", "--whole-file", "--fsync"][..]),
        ] {
            let into = lab.join(format!("{name} {what}"));
            let started = Instant::now();
            let run = Command::new("rsync")
                .args(arguments)
                .arg(from)
                .arg(&into)
                .status();
            match run {
                Ok(status) if status.success() => {
                    println!(
                        "{name:20} {what:14} {:8.3} s",
                        started.elapsed().as_secs_f64()
                    );
                }
                _ => println!("{name:20} {what:14} not installed"),
            }
        }
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
