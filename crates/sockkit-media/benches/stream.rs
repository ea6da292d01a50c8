//! Streams of pictures over loopback, each end a process of its own.
//!
//! ```text
//! cargo bench -p sockkit-media --bench stream              # all three
//! cargo bench -p sockkit-media --bench stream -- course    # beside the Python pair
//! cargo bench -p sockkit-media --bench stream -- age       # JPEG, captured to ready to show
//! cargo bench -p sockkit-media --bench stream -- cpu       # JPEG, passed through
//! ```
//!
//! Prints, does not judge: other load on the machine moves every figure here.

#![allow(clippy::print_stdout, reason = "a benchmark reports")]
#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime},
};

use sockkit_media::{
    latest,
    picture::{PixelFormat, Timestamp, VideoFrame, jpeg},
    source::{Source, SourceConfig, SourceSpec},
    stream::{Receiver, ReceiverConfig, Sender, SenderConfig, course},
};
use tokio::{
    runtime::{Builder, Runtime},
    time::{MissedTickBehavior, interval, timeout},
};

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .filter(|word| *word != "--bench")
        .collect();
    match words.as_slice() {
        ["course-receive"] => runtime().block_on(course_receive()),
        ["course-send", port, rate, count] => {
            runtime().block_on(course_send(number(port), number(rate), number(count)));
        }
        ["jpeg-receive"] => runtime().block_on(jpeg_receive()),
        ["jpeg-send", port, size, rate, count] => {
            runtime().block_on(jpeg_send(number(port), size, number(rate), number(count)));
        }
        ["course"] => compare_course(),
        ["age"] => show_age(),
        ["cpu"] => show_cpu(),
        _ => {
            compare_course();
            show_age();
            show_cpu();
        }
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
        ["course-receive", "course-send"],
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
    let mut receiver = course::Receiver::bind(LOOPBACK.parse().unwrap()).unwrap();
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
    let pictures: Vec<VideoFrame> = (0..25)
        .map(|shade| {
            let pixels = vec![shade; 640 * 480 * 3];
            VideoFrame::new(PixelFormat::Bgr, 640, 480, pixels).unwrap()
        })
        .collect();
    let to = format!("127.0.0.1:{port}").parse().unwrap();
    let mut sender = course::Sender::bind(to)
        .unwrap()
        .max_bytes_per_second(u64::MAX);
    let (since, begun) = (cpu_seconds(), Instant::now());
    let mut ticks = interval(Duration::from_secs(1) / u32::try_from(rate).unwrap());
    for (_, picture) in (0..count).zip(pictures.iter().cycle()) {
        ticks.tick().await;
        sender.send(picture).await.unwrap();
    }
    let elapsed = begun.elapsed().as_secs_f64();
    println!("{} {} {elapsed}", 20 * count, cpu_seconds() - since);
}

/// From the capture of a JPEG of 1280x720 to its pixels, beside decoding alone.
fn show_age() {
    let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
    let (mut ages, mut decodes) = runtime.block_on(async {
        let pictures = jpegs(1_280, 720).await;
        let receiver = Receiver::bind(ReceiverConfig::at(LOOPBACK.parse().unwrap())).unwrap();
        let mut shown = receiver.pictures();
        let (camera, newest) = latest::channel();
        let _sender = Sender::bind(SenderConfig::to(receiver.local_addr()), newest).unwrap();
        let mut ticks = interval(Duration::from_secs(1) / 30);
        let (mut ages, mut decodes) = (Vec::new(), Vec::new());
        for (number, picture) in (0..AGE_PICTURES).zip(pictures.iter().cycle()) {
            ticks.tick().await;
            let captured = Timestamp::from(SystemTime::now());
            camera.publish(picture.clone().numbered(number).captured_at(captured));
            let arrived = shown.next().await.unwrap();
            std::hint::black_box(jpeg::decode(&arrived).unwrap());
            ages.push(Timestamp::from(SystemTime::now()).saturating_since(captured));
            let alone = Instant::now();
            std::hint::black_box(jpeg::decode(picture).unwrap());
            decodes.push(alone.elapsed());
        }
        (ages, decodes)
    });
    ages.sort_unstable();
    decodes.sort_unstable();
    let at = |sorted: &[Duration], percent: usize| {
        sorted[(sorted.len() - 1) * percent / 100].as_secs_f64() * 1e3
    };
    println!("\nJPEG 1280x720 at 30/s, captured to pixels ready to show");
    println!(
        "p50 {:.2} ms, p99 {:.2} ms; decoding alone p50 {:.2} ms; {:.2} x",
        at(&ages, 50),
        at(&ages, 99),
        at(&decodes, 50),
        at(&ages, 50) / at(&decodes, 50)
    );
}

/// What passing JPEGs through costs.
fn show_cpu() {
    println!("\nJPEG passed through, 60/s, CPU a picture");
    let myself = env::current_exe().unwrap();
    for size in ["640x480", "1280x720"] {
        let receive = Command::new(&myself).arg("jpeg-receive").piped();
        let send = |port: &str| {
            let words = ["jpeg-send", port, size, "60", "600"];
            Command::new(&myself).args(words).piped()
        };
        let (sent, received) = run(receive, send).unwrap();
        println!(
            "{size:24} {} of {} arrived, {:.0} KB each; sender {:.0} µs, receiver {:.0} µs",
            received[0],
            sent[0],
            sent[2] / sent[0] / 1e3,
            sent[1] * 1e6 / sent[0],
            received[1] * 1e6 / sent[0],
        );
    }
}

async fn jpeg_receive() {
    let receiver = Receiver::bind(ReceiverConfig::at(LOOPBACK.parse().unwrap())).unwrap();
    tell_port(receiver.local_addr().port());
    let mut pictures = receiver.pictures();
    pictures.next().await.unwrap();
    let since = cpu_seconds();
    while let Ok(Some(next)) = timeout(Duration::from_secs(1), pictures.next()).await {
        std::hint::black_box(next);
    }
    let received = receiver.stats().snapshot().received;
    println!("{received} {}", cpu_seconds() - since);
}

async fn jpeg_send(port: u64, size: &str, rate: u64, count: u64) {
    let (width, height) = size.split_once('x').unwrap();
    let pictures = jpegs(width.parse().unwrap(), height.parse().unwrap()).await;
    let to = format!("127.0.0.1:{port}").parse().unwrap();
    let (camera, newest) = latest::channel();
    let sender = Sender::bind(SenderConfig::to(to), newest).unwrap();
    let mut ticks = interval(Duration::from_secs(1) / u32::try_from(rate).unwrap());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let since = cpu_seconds();
    for (number, picture) in (0..count).zip(pictures.iter().cycle()) {
        ticks.tick().await;
        let now = SystemTime::now().into();
        camera.publish(picture.clone().numbered(number).captured_at(now));
    }
    ticks.tick().await;
    let stats = sender.stats();
    println!("{} {} {}", stats.sent, cpu_seconds() - since, stats.bytes);
}

/// The bundled clip's first second, in that size.
async fn jpegs(width_px: u32, height_px: u32) -> Vec<VideoFrame> {
    let config = SourceConfig::default().rate_hz(1_000.0);
    let mut clip = Source::open(&SourceSpec::Clip, config).await.unwrap();
    let mut pictures = Vec::new();
    while pictures.len() < 25 {
        let picture = clip.next().await.unwrap();
        let resized = picture.resize(width_px, height_px).unwrap();
        pictures.push(jpeg::encode(&resized, jpeg::DEFAULT_QUALITY).unwrap());
    }
    pictures
}

/// Runs both ends and returns their figures, the sender's first.
fn run(mut receiver: Child, sender: impl FnOnce(&str) -> Child) -> Option<(Vec<f64>, Vec<f64>)> {
    let mut output = BufReader::new(receiver.stdout.take().unwrap());
    let mut port = String::new();
    output.read_line(&mut port).unwrap();
    if port.is_empty() {
        return None;
    }
    let sent = sender(port.trim()).wait_with_output().unwrap();
    let mut received = String::new();
    output.read_to_string(&mut received).unwrap();
    receiver.wait().unwrap();
    let numbers = |text: &str| {
        let words = text.split_whitespace();
        words.map(|word| word.parse().unwrap()).collect::<Vec<_>>()
    };
    Some((
        numbers(str::from_utf8(&sent.stdout).unwrap()),
        numbers(&received),
    ))
}

trait Piped {
    fn piped(&mut self) -> Child;
}

impl Piped for Command {
    fn piped(&mut self) -> Child {
        self.stdout(Stdio::piped()).spawn().unwrap()
    }
}

fn tell_port(port: u16) {
    println!("{port}");
    std::io::stdout().flush().unwrap();
}

/// Both of user and system, in the kernel's fixed hundredths of a second.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn number(word: &str) -> u64 {
    word.parse().unwrap()
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

const LOOPBACK: &str = "127.0.0.1:0";
const WORDS: [&str; 2] = ["receive", "send"];
const COURSE_SECONDS: u64 = 10;
const COURSE_RUNS: usize = 5;
const AGE_PICTURES: u64 = 300;
