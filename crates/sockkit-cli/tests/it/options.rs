//! `sockkit options`.

use std::process::{Command, Stdio};

use crate::{fails, sockkit};

#[test]
fn the_table_has_a_line_an_option_for_both_kinds_of_socket() {
    let end = sockkit(&["options"]).end();
    assert!(end.status.success(), "{end:?}");
    let values = |name: &str| {
        let lines = end.lines.iter();
        lines
            .filter(|line| line.split(' ').next() == Some(name))
            .count()
    };
    assert_eq!(values("SO_RCVBUF"), 2, "{:?}", end.lines);
    assert_eq!((values("TCP_NODELAY"), values("UDP_GRO")), (1, 1));
    assert_eq!((values("IPV6_V6ONLY"), values("IPV6_UNICAST_HOPS")), (0, 0));
    assert!(end.lines.len() > 80, "{}", end.lines.len());

    let end = sockkit(&["options", "--ipv6"]).end();
    assert!(end.lines.iter().any(|line| line.starts_with("IPV6_V6ONLY")));
}

#[test]
fn no_value_is_a_number_of_twenty_digits() {
    let end = sockkit(&["options"]).end();
    let huge = u64::MAX.to_string();
    assert!(
        !end.lines.iter().any(|line| line.contains(&huge)),
        "{end:?}"
    );
}

#[test]
fn a_name_is_explained() {
    let end = sockkit(&["options", "so_rcvtimeo", "CORK"]).end();
    assert!(end.status.success(), "{end:?}");
    for said in [
        "SO_RCVTIMEO: Timeout",
        "TCP_CORK: ",
        "UDP_CORK: ",
        "read_timeout",
    ] {
        assert!(
            end.lines.iter().any(|line| line.contains(said)),
            "{said}: {end:?}"
        );
    }
    fails(&["options", "SO_WHAT"], &["SO_WHAT", "sockkit options"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_behind_a_redirection_is_told_once() {
    let full = std::fs::File::options().write(true).open("/dev/full");
    let output = Command::new(env!("CARGO_BIN_EXE_sockkit"))
        .arg("options")
        .stdout(full.unwrap())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert!(errors.contains("No space left"), "{errors}");
}

#[test]
fn a_reader_that_has_gone_ends_it_quietly() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sockkit"))
        .arg("options")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    // As if SIGPIPE had ended it.
    assert_eq!(output.status.code(), Some(141), "{output:?}");
}
