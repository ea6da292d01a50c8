//! Sealed datagrams against a second implementation, written from their description.

use std::{
    fmt::Write as _,
    io::Write as _,
    net::SocketAddr,
    process::{Command, Stdio},
    thread,
    time::Instant,
};

use sockkit::{
    link::{
        channel::OpenError,
        sealing::{Direction, Key, Opener, Sealer},
    },
    shard::{
        MessageKind, Parity, SplitConfig, Splitter, StreamId,
        seal::{Position, Suite},
    },
    testing::needs::{Need, met},
};

const SUITES: [Suite; 2] = [Suite::Aes128Gcm, Suite::ChaCha20Poly1305];
const DIRECTIONS: [Direction; 2] = [Direction::FromSender, Direction::ToSender];
const IDENTITIES: [[u8; 32]; 2] = [[0; 32], [0xa5; 32]];
const STREAM: StreamId = StreamId(0x0123_4567_89ab_cdef);

#[test]
fn a_second_implementation_opens_what_is_sealed_here() {
    if !met(
        "a_second_implementation_opens_what_is_sealed_here",
        &[Need::Program("python3")],
    ) {
        return;
    }
    let (mut lines, mut expected) = (String::new(), String::new());
    each(|key, common, direction, suite| {
        let text: Vec<u8> = (0..=250).cycle().take(1_000).collect();
        let config = SplitConfig::default().max_datagram_bytes(500);
        let mut sealer =
            Sealer::with_suite(key, direction, Splitter::new(config.clone(), STREAM), suite);
        // The first message of the stream fills positions, the second is compared.
        for _ in 0..2 {
            let shards = sealer.split_parts(MessageKind(9), &[&text], Parity::percent(40));
            let shards = shards.unwrap();
            for datagram in shards.datagrams() {
                writeln!(lines, "open {common} {}", hex(datagram)).unwrap();
            }
            let plain = config.clone().max_datagram_bytes(500 - 28);
            let mut plain = Splitter::new(plain, STREAM);
            let plain = plain
                .split(MessageKind(9), &text, Parity::percent(40))
                .unwrap();
            for datagram in plain.datagrams() {
                let (checksum, shard) = (hex(&datagram[24..28]), hex(&datagram[36..]));
                writeln!(expected, "{checksum} {shard}").unwrap();
            }
        }
        // One bit of the header, and the other direction.
        let shards = sealer
            .split_parts(MessageKind(9), &[b"x"], Parity::NONE)
            .unwrap();
        let mut forged = shards.as_bytes().to_vec();
        let (whose, _) = common.rsplit_once(' ').unwrap();
        let back = direction.back() as u8;
        writeln!(lines, "open {whose} {back} {}", hex(&forged)).unwrap();
        forged[3] ^= 1;
        writeln!(lines, "open {common} {}", hex(&forged)).unwrap();
        expected += "refused\nrefused\n";
    });
    assert_eq!(oracle(lines), expected);
}

#[test]
fn what_a_second_implementation_seals_is_opened_here() {
    if !met(
        "what_a_second_implementation_seals_is_opened_here",
        &[Need::Program("python3")],
    ) {
        return;
    }
    let mut plain = Splitter::new(SplitConfig::default(), STREAM);
    let plain = plain
        .split(MessageKind(9), &[7; 333], Parity::NONE)
        .unwrap();
    let (header, shard) = plain.as_bytes().split_at(36);
    let (checksum, common_part) = (hex(&header[24..28]), hex(header));
    let positions = [0, 1, Position::EPOCH_DATAGRAMS, u64::MAX - 1];
    let (mut lines, mut openers) = (String::new(), Vec::new());
    each(|key, common, direction, suite| {
        for position in positions {
            let suite = suite as u8;
            let shard = hex(shard);
            writeln!(
                lines,
                "seal {common} {position:x} {suite} {common_part} {checksum} {shard}"
            )
            .unwrap();
        }
        openers.push(Opener::new(key, direction));
    });
    let answers = oracle(lines);
    let mut answers = answers.lines().map(unhex);
    let (now, from) = (Instant::now(), SocketAddr::from(([10, 0, 0, 1], 5_006)));
    for mut opener in openers {
        for _ in positions {
            let mut sealed = answers.next().unwrap();
            assert_eq!(
                opener.open(now, from, &sealed).unwrap().datagram,
                plain.as_bytes()
            );
            *sealed.last_mut().unwrap() ^= 1;
            assert_eq!(
                opener.open(now, from, &sealed).unwrap_err(),
                OpenError::NotNew
            );
        }
    }
}

/// The example of `docs/wire/seal.md`.
#[test]
fn the_described_example_is_opened() {
    let secret: [u8; 32] = std::array::from_fn(|place| u8::try_from(place).unwrap());
    let start = "534b0101 0000000000000001 0000000000000000 0000000a 00000000 0000 0001 0000";
    let rest = [
        "0001 0000000000800001 3b42837bcd6c0409dc168afc67701143123df962677e5e20d4642b72ede4",
        "0003 0000000000800001 991bcce32bcee9e3420f2a310c7383a3890a2ede7c043f4adef1487c0876",
    ];
    for rest in rest {
        let datagram = unhex(&format!("{start}{rest}").replace(' ', ""));
        let mut opener = Opener::new(Key::new(&secret), Direction::FromSender);
        let opened = opener
            .open(Instant::now(), ([10, 0, 0, 1], 5_006).into(), &datagram)
            .unwrap();
        assert_eq!(opened.datagram[..24], datagram[..24]);
        assert_eq!(opened.datagram[24..28], [0x28, 0x0c, 0x06, 0x9e]);
        assert_eq!(opened.datagram[34..36], [0, 0]);
        assert_eq!(opened.datagram[36..], *b"0123456789");
    }
}

/// Each cipher, direction and sender: the key, and the words that say it to the oracle.
fn each(mut make: impl FnMut(Key, &str, Direction, Suite)) {
    let secret = [0x3c; 32];
    for suite in SUITES {
        for direction in DIRECTIONS {
            for identity in IDENTITIES {
                let key = Key::new(&secret).of_sender(identity);
                let number = direction as u8;
                let common = format!("{} {} {number}", hex(&secret), hex(&identity));
                make(key, &common, direction, suite);
            }
        }
    }
}

fn oracle(lines: String) -> String {
    let mut python = Command::new("python3")
        .args(["-c", include_str!("seal_oracle.py")])
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

fn unhex(text: &str) -> Vec<u8> {
    let byte = |pair: usize| u8::from_str_radix(&text[pair..pair + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}
