//! What the network can read: each of its commands says so before anything is sent.

use std::{collections::BTreeSet, fs, path::Path};

use crate::sockkit_in;

/// Rows of docs/security.md that name something in the clear, and what is typed for each.
/// `AT` is where the row's first command listens.
const IN_THE_CLEAR: &[(&str, &[&[&str]])] = &[
    (
        "`receive`",
        &[
            &["receive", "--plain", "--yes", "--listen", "127.0.0.1:0"],
            &["send", "file", "--plain", "--to", "AT"],
        ],
    ),
    (
        "`send` without `--to`",
        &[
            &[
                "send",
                "file",
                "--plain",
                "--yes",
                "--listen",
                "127.0.0.1:0",
            ],
            &["receive", "AT", "--plain", "--yes"],
        ],
    ),
    (
        "`send --to`, `receive CODE`, `view tcp://`, `view quic://`",
        &[
            &["cam", PATTERN, "--plain", "--listen", "tcp://127.0.0.1:0"],
            &["view", "tcp://AT", "--plain", "--snapshot", "one.jpg"],
        ],
    ),
    (
        "`cam --listen`",
        &[&["cam", PATTERN, "--plain", "--listen", "tcp://127.0.0.1:0"]],
    ),
    (
        "`cam --to udp://`, `view --listen udp://`",
        &[
            &["view", "udp://127.0.0.1:0", "--plain"],
            &["cam", PATTERN, "--plain", "--to", "udp://AT"],
        ],
    ),
    (
        "groups, and `udp://` with `--key FILE`",
        &[&["cam", PATTERN, "--plain", "--to", "udp://127.0.0.1:9"]],
    ),
    (
        "`find`, `send --to CODE`, `send --to NAME`, `view NAME`",
        &[&["send", "file", "--plain", "--to", "nowhere.invalid"]],
    ),
    (
        "`send --web`, `receive --web`",
        &[
            &["send", "file", "--web=127.0.0.1:0"],
            &["receive", "--yes", "--web=127.0.0.1:0"],
        ],
    ),
    (
        "`cam --to rtp://`, `cam --listen rtsp://`",
        &[
            &["cam", PATTERN, "--to", "rtp://127.0.0.1:9"],
            &["cam", PATTERN, "--listen", "rtsp://127.0.0.1:0"],
        ],
    ),
    (
        "`cam --web`, `view --web`",
        &[
            &["cam", PATTERN, "--web", "0.0.0.0:0"],
            &["view", "udp://127.0.0.1:0", "--plain", "--web", "0.0.0.0:0"],
        ],
    ),
];

const PATTERN: &str = "--source=pattern";

/// Their own tests: it needs zenoh's feature, and the programs say it in `--help`.
const ELSEWHERE: [&str; 2] = [
    "`cam --to zenoh://`, `view zenoh://`",
    "the course's programs",
];

#[test]
fn every_command_in_the_clear_says_so() {
    for (row, commands) in IN_THE_CLEAR {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "words").unwrap();
        let mut running = Vec::new();
        let mut at = String::new();
        for typed in *commands {
            let typed: Vec<_> = typed.iter().map(|word| word.replace("AT", &at)).collect();
            let typed: Vec<_> = typed.iter().map(String::as_str).collect();
            println!("{row}: {typed:?}");
            let program = sockkit_in(folder.path(), &typed);
            program.wait_for_error("not encrypted");
            if commands.iter().any(|other| other.join(" ").contains("AT")) && at.is_empty() {
                at = program.line_after("listening on ");
            }
            running.push(program);
        }
    }
}

#[test]
fn the_list_is_that_of_the_documentation() {
    let documented = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/security.md");
    let documented = fs::read_to_string(documented).unwrap();
    let rows = documented.lines().filter(|line| line.starts_with("| "));
    let clear = rows.filter(|row| row.contains("in the clear"));
    let documented: BTreeSet<_> = clear
        .filter_map(|row| row.split(" | ").next()?.strip_prefix("| "))
        .collect();
    let tested = IN_THE_CLEAR.iter().map(|(row, _)| *row);
    let tested: BTreeSet<_> = tested.chain(ELSEWHERE).collect();
    assert_eq!(documented, tested);
}
