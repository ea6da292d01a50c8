//! The course's video over loopback, each end a process of its own, beside the
//! pair in Python, and in C what the calls alone take.
//!
//! ```text
//! cargo bench -p sockkit-course --bench video
//! ```
//!
//! Prints, does not judge: other load on the machine moves every figure here.

#![allow(clippy::print_stdout, reason = "a benchmark reports")]
#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

use std::{
    env,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use sockkit_course::video::{Receiver, Sender};
use sockkit_media::picture::{Picture, PixelFormat};
use tokio::time::{interval, timeout};

#[path = "../../sockkit-media/benches/ends/mod.rs"]
mod ends;
use ends::{Piped, cpu_seconds, number, run, runtime, tell_port};

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["side-receive"] => runtime().block_on(course_receive()),
        ["side-send", port, rate, count] => {
            runtime().block_on(course_send(number(port), number(rate), number(count)));
        }
        _ => compare_course(),
    }
}

/// Raw course video: ours, Python's, and in C what the calls alone take, in turns.
fn compare_course() {
    println!("course video, 640x480 raw, pictures made beforehand, {COURSE_SECONDS} s a run");
    println!(
        "{:30} {:>6} {:>9} {:>9} {:>12} {:>12} {:>12}",
        "", "sent", "a second", "lost", "send CPU", "recv CPU", "both"
    );
    let lab = tempfile::tempdir().unwrap();
    let myself = env::current_exe().unwrap();
    let myself = myself.to_str().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/course_pair.py");
    let ours = Pair::new(
        "sockkit",
        vec![myself],
        ["side-receive", "side-send"],
        1_000,
    );
    let python = || vec!["python3", script];
    let mut pairs = vec![
        ours,
        Pair::new("Python", python(), WORDS, 1_000),
        Pair::new("Python", python(), WORDS, 400),
        Pair::new("Python, keeping memory", python(), WORDS, 1_000).keeping_memory(),
        Pair::new("Python, cut beforehand", python(), WORDS, 1_000).cut_beforehand(),
    ];
    let compiled = compile_pair(lab.path());
    if let Some(compiled) = &compiled {
        pairs.push(Pair::new("C", vec![compiled], WORDS, 1_000));
    }
    for _ in 0..COURSE_RUNS {
        for pair in &mut pairs {
            pair.run();
        }
    }
    let ours = pairs[0].median_micros();
    println!("\nboth ends, median of {COURSE_RUNS}, and sockkit beside it");
    for pair in &pairs {
        let median = pair.median_micros();
        println!(
            "{:30} {median:9.0} µs {:9.2} x",
            pair.title(),
            ours / median
        );
    }
}

/// A sender and a receiver of the course's video, and what they took.
struct Pair<'a> {
    name: &'a str,
    program: Vec<&'a str>,
    receive: &'a str,
    send: &'a str,
    rate: u64,
    keeps_memory: bool,
    cut_beforehand: bool,
    micros: Vec<f64>,
}

impl<'a> Pair<'a> {
    fn new(name: &'a str, program: Vec<&'a str>, words: [&'a str; 2], rate: u64) -> Self {
        let [receive, send] = words;
        Self {
            name,
            program,
            receive,
            send,
            rate,
            keeps_memory: false,
            cut_beforehand: false,
            micros: Vec::new(),
        }
    }

    /// glibc gives a picture's memory back after each, or keeps it, as the heap
    /// happens to lie; so it always does.
    fn keeping_memory(mut self) -> Self {
        self.keeps_memory = true;
        self
    }

    fn cut_beforehand(mut self) -> Self {
        self.cut_beforehand = true;
        self
    }

    fn title(&self) -> String {
        format!("{}, {}/s", self.name, self.rate)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.program[0]);
        command.args(&self.program[1..]);
        if self.keeps_memory {
            command.env("MALLOC_MMAP_THRESHOLD_", "33554432");
            command.env("MALLOC_TRIM_THRESHOLD_", "1073741824");
        }
        command
    }

    fn run(&mut self) {
        let title = self.title();
        let count = self.rate * COURSE_SECONDS;
        let receiver = self.command().arg(self.receive).piped();
        let sender = |port: &str| {
            let mut command = self.command();
            command.args([self.send, port, &self.rate.to_string(), &count.to_string()]);
            command.args(self.cut_beforehand.then_some("cut")).piped()
        };
        let Some((sent, received)) = run(receiver, sender) else {
            println!("{title:30} did not run (python3 with numpy?)");
            return;
        };
        let pictures = sent[0] / 20.0;
        let micros = |seconds: f64| seconds * 1e6 / pictures;
        println!(
            "{title:30} {pictures:6.0} {:9.0} {:9.1} {:9.0} µs {:9.0} µs {:9.0} µs",
            pictures / sent[2],
            (sent[0] - received[0]) / 20.0,
            micros(sent[1]),
            micros(received[1]),
            micros(sent[1] + received[1]),
        );
        self.micros.push(micros(sent[1] + received[1]));
    }

    /// Not a number if it never ran.
    fn median_micros(&self) -> f64 {
        let mut sorted = self.micros.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

fn compile_pair(lab: &Path) -> Option<String> {
    let pair = lab.join("pair");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/course_pair.c");
    let mut compiler = Command::new("cc");
    let compiled = compiler.args(["-O2", source, "-o"]).arg(&pair).status();
    if compiled.is_ok_and(|status| status.success()) {
        return pair.to_str().map(str::to_owned);
    }
    println!("no C compiler: the limit is not shown");
    None
}

async fn course_receive() {
    let mut receiver = Receiver::bind(LOOPBACK.parse().unwrap()).unwrap();
    tell_port(receiver.local_addr().unwrap().port());
    let _first = receiver.next().await.unwrap();
    let (mut pictures, since) = (1, cpu_seconds());
    while let Ok(next) = timeout(Duration::from_secs(1), receiver.next()).await {
        std::hint::black_box(next.unwrap());
        pictures += 1;
    }
    println!("{} {}", 20 * pictures, cpu_seconds() - since);
}

async fn course_send(port: u64, rate: u64, count: u64) {
    let pictures: Vec<Picture> = (0..25)
        .map(|shade| {
            let pixels = vec![shade; 640 * 480 * 3];
            Picture::new(PixelFormat::Bgr, 640, 480, pixels).unwrap()
        })
        .collect();
    let to = format!("127.0.0.1:{port}").parse().unwrap();
    let mut sender = Sender::bind(to).unwrap().max_bytes_per_second(u64::MAX);
    let (since, begun) = (cpu_seconds(), Instant::now());
    let mut ticks = interval(Duration::from_secs(1) / u32::try_from(rate).unwrap());
    for (_, picture) in (0..count).zip(pictures.iter().cycle()) {
        ticks.tick().await;
        sender.send(picture).await.unwrap();
    }
    let elapsed = begun.elapsed().as_secs_f64();
    println!("{} {} {elapsed}", 20 * count, cpu_seconds() - since);
}

const LOOPBACK: &str = "127.0.0.1:0";
const WORDS: [&str; 2] = ["receive", "send"];
const COURSE_SECONDS: u64 = 10;
const COURSE_RUNS: usize = 5;
