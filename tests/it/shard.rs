//! `shard` against a second implementation, written from its description.

use std::{
    fmt::Write as _,
    io::Write as _,
    process::{Command, Stdio},
    thread,
};

use sockkit::{
    shard::{MessageKind, Parity, SplitConfig, Splitter, StreamId},
    testing::needs::{Need, met},
};

/// Message length, longest datagram, parity in per cent: each way to cut the
/// shards and each of the code's two forms.
const CASES: [(usize, usize, u8); 10] = [
    (0, 64, 0),
    (1, 64, 100),
    (40, 64, 100),
    (70, 64, 50),
    (70, 64, 100),
    (130, 64, 100),
    (500, 64, 30),
    (500, 200, 100),
    (1_000, 200, 40),
    (3_001, 1_400, 67),
];

#[test]
fn a_second_implementation_understands_every_shard() {
    if !met(
        "a_second_implementation_understands_every_shard",
        &[Need::Program("python3")],
    ) {
        return;
    }
    let (mut lines, mut expected) = (String::new(), String::new());
    for (length, datagram, percent) in CASES {
        let message: Vec<u8> = (0..=250).cycle().take(length).collect();
        lines += &datagrams(datagram, &message, Parity::percent(percent));
        writeln!(expected, "ok {}", hex(&message)).unwrap();
    }
    // More parity than data.
    lines += &datagrams(64, &[7; 50], Parity::for_loss(0.5, 1e-3));
    writeln!(expected, "ok {}", hex(&[7; 50])).unwrap();
    // And a wrong one is seen.
    let spoilt = datagrams(64, &[7; 50], Parity::percent(100));
    lines += &(spoilt.trim_end()[..spoilt.len() - 2].to_owned() + "0\n");
    expected += "wrong parity\n";
    assert_eq!(oracle(lines), expected);
}

/// All datagrams of one message as a line.
fn datagrams(max_bytes: usize, message: &[u8], parity: Parity) -> String {
    let config = SplitConfig::default().max_datagram_bytes(max_bytes);
    let mut splitter = Splitter::new(config, StreamId(0x0123_4567_89ab_cdef));
    let shards = splitter.split(MessageKind(9), message, parity).unwrap();
    let words: Vec<_> = shards.datagrams().map(hex).collect();
    words.join(" ") + "\n"
}

fn oracle(lines: String) -> String {
    let mut python = Command::new("python3")
        .args(["-c", include_str!("shard_oracle.py")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = python.stdin.take().unwrap();
    let writer = thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = python.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
