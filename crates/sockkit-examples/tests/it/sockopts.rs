//! `sockopts`: the course's table, set and read back.

use crate::run::program;

const SOCKOPTS: &str = env!("CARGO_BIN_EXE_sockopts");

/// The notes' rows, by the names that exist, and what of them TCP and UDP have.
const COURSE: [(&str, &str); 9] = [
    ("SO_REUSEADDR: asked on, took on (as asked)", "both"),
    ("SO_RCVBUF: asked 65536, took 131072 (doubled)", "both"),
    ("SO_SNDBUF: asked 65536, took 131072 (doubled)", "both"),
    ("SO_RCVTIMEO: asked 1s, took 1s (as asked)", "both"),
    ("SO_SNDTIMEO: asked 1s, took 1s (as asked)", "both"),
    ("SO_LINGER: asked wait 1s, took wait 1s (as asked)", "both"),
    (
        "SO_LINGER: asked background, took background (as asked)",
        "both",
    ),
    ("SO_DONTROUTE: asked on, took on (as asked)", "both"),
    ("SO_BROADCAST: asked on, took on (as asked)", "UDP"),
];

#[cfg_attr(not(target_os = "linux"), ignore = "the values are Linux's")]
#[test]
fn every_row_of_the_course_reads_back_what_was_set() {
    let end = program(SOCKOPTS, &["--course"]).end();
    assert!(end.status.success(), "{end:?}");
    let udp = end.lines.iter().position(|line| line == "UDP").unwrap();
    let (tcp, udp) = end.lines.split_at(udp);
    let has = |lines: &[String], row| lines.iter().any(|line| line.trim() == row);
    for (row, kind) in COURSE {
        assert!(has(udp, row), "UDP: {row}: {udp:#?}");
        assert_eq!(has(tcp, row), kind == "both", "TCP: {row}: {tcp:#?}");
    }
    assert!(has(tcp, "SO_KEEPALIVE: asked on, took on (as asked)"));
}

#[test]
fn every_other_option_is_tried_and_explained_as_well() {
    let end = program(SOCKOPTS, &[]).end();
    assert!(end.status.success(), "{end:?}");
    let names: std::collections::BTreeSet<_> = end
        .lines
        .iter()
        .filter_map(|line| line.strip_prefix("  ")?.split_once(':'))
        .map(|(name, _)| name)
        .filter(|name| name.contains('_'))
        .collect();
    assert!(names.len() >= 60, "{}: {names:?}", names.len());
    for name in [
        "TCP_USER_TIMEOUT",
        "SO_MARK",
        "IP_MULTICAST_ALL",
        "SO_COOKIE",
    ] {
        assert!(end.lines.iter().any(|line| line.contains(name)), "{name}");
    }
}
