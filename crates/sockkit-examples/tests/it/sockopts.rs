//! `sockopts`: the course's table, set and read back.

use crate::run::program;

const SOCKOPTS: &str = env!("CARGO_BIN_EXE_sockopts");

/// The notes' rows, by the names that exist, and what of them TCP and UDP have.
const COURSE: [(&str, &str); 10] = [
    (
        "SO_REUSEADDR: requested on, effective on (as requested)",
        "both",
    ),
    (
        "SO_RCVBUF: requested 65536, effective 131072 (doubled)",
        "both",
    ),
    (
        "SO_SNDBUF: requested 65536, effective 131072 (doubled)",
        "both",
    ),
    (
        "SO_RCVTIMEO: requested 1s, effective 1s (as requested)",
        "both",
    ),
    (
        "SO_SNDTIMEO: requested 1s, effective 1s (as requested)",
        "both",
    ),
    (
        "SO_LINGER: requested wait 1s, effective wait 1s (as requested)",
        "both",
    ),
    (
        "SO_LINGER: requested background, effective background (as requested)",
        "both",
    ),
    (
        "SO_DONTROUTE: requested on, effective on (as requested)",
        "both",
    ),
    (
        "SO_BROADCAST: requested on, effective on (as requested)",
        "UDP",
    ),
    (
        "IP_MULTICAST_TTL: requested 2, effective 2 (as requested)",
        "UDP",
    ),
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
    assert!(has(
        tcp,
        "SO_KEEPALIVE: requested on, effective on (as requested)"
    ));
}

#[test]
fn every_other_option_is_read_and_explained_as_well() {
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
