//! Two ends of a stream, each a process of its own, and what they took.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    process::{Child, Command, Stdio},
};

use tokio::runtime::{Builder, Runtime};

/// Runs both ends and returns their figures, the sender's first.
pub(crate) fn run(
    mut receiver: Child,
    sender: impl FnOnce(&str) -> Child,
) -> Option<(Vec<f64>, Vec<f64>)> {
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

/// A program whose output is read.
pub(crate) trait Piped {
    fn piped(&mut self) -> Child;
}

impl Piped for Command {
    fn piped(&mut self) -> Child {
        self.stdout(Stdio::piped()).spawn().unwrap()
    }
}

pub(crate) fn tell_port(port: u16) {
    println!("{port}");
    std::io::stdout().flush().unwrap();
}

/// Both of user and system, in the kernel's fixed hundredths of a second.
pub(crate) fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

pub(crate) fn number(word: &str) -> u64 {
    word.parse().unwrap()
}

pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}
