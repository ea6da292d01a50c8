//! What programs read: `--json`, `--quiet`, exit codes, completions, manual pages.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use tempfile::tempdir;

use crate::{
    send_receive::{Desk, send},
    sockkit,
};

#[test]
fn each_line_is_an_object_with_json() {
    let desk = Desk::new();
    let path = desk.write("한글 \"a\".txt", b"contents");
    let receiver = sockkit(&[
        "--json",
        "receive",
        "--plain",
        "--yes",
        "--into",
        desk.into.path().to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
    ]);
    let address = receiver.line_after("{\"event\":\"listening\",\"address\":\"");
    let address = address.trim_end_matches("\"}");
    let sent = sockkit(&["send", &path, "--plain", "--json", "--to", address]).end();
    let received = receiver.end();
    for (end, verb) in [(sent, "sent"), (received, "received")] {
        assert!(end.status.success(), "{end:?}");
        let all = end.lines.iter().all(|line| line.starts_with("{\"event\":"));
        assert!(
            all && end.lines.iter().all(|line| line.ends_with('}')),
            "{end:?}"
        );
        let file = "{\"event\":\"file\",\"path\":\"한글 \\\"a\\\".txt\",\"outcome\":\"complete\"";
        let totals =
            format!("{{\"event\":\"{verb}\",\"files\":1,\"missing\":0,\"skipped\":0,\"bytes\":8,");
        for starts in [file, &totals] {
            let told = end.lines.iter().any(|line| line.starts_with(starts));
            assert!(told, "{starts}: {end:?}");
        }
    }
}

#[test]
fn an_error_is_an_object_too() {
    let end = sockkit(&["--json", "send", "/no/such/file"]).end();
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    let error = "{\"event\":\"error\",\"message\":\"cannot read /no/such/file";
    assert!(end.lines[0].starts_with(error), "{end:?}");
    assert!(end.errors.starts_with("sockkit: cannot read"), "{end:?}");
}

#[test]
fn statistics_are_objects() {
    let view = sockkit(&[
        "view",
        "udp://127.0.0.1:0",
        "--plain",
        "--json",
        "--seconds",
        "2",
    ]);
    view.line_after("{\"event\":\"pictures\",\"name\":\"view\",\"received\":0,");
    assert_eq!(view.end().status.code(), Some(1));
}

#[test]
fn quiet_leaves_results_and_errors() {
    let desk = Desk::new();
    let path = desk.write("a", b"contents");
    let (receiver, address) = desk.receiver(&["--yes", "--quiet"]);
    let sent = sockkit(&["send", &path, "--plain", "-q", "--to", &address]).end();
    let received = receiver.end();
    for end in [sent, received] {
        assert!(end.status.success(), "{end:?}");
        // The question of a receiver, and nothing else.
        let notes = end.errors.lines().filter(|line| line.contains("note"));
        assert_eq!(notes.count(), 0, "{end:?}");
        assert!(!end.errors.contains("moved in"), "{end:?}");
        assert!(
            end.lines.iter().any(|line| line.ends_with("  a")),
            "{end:?}"
        );
    }
    let end = sockkit(&["-q", "send", "/no/such/file"]).end();
    assert_eq!(end.errors.lines().count(), 1, "{end:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_a_failure() {
    for arguments in [
        &["options"][..],
        &["interfaces"],
        &["doctor"],
        &["--version"],
        &["send", "--help"],
        &["completions", "bash"],
    ] {
        let full = fs::File::options().write(true).open("/dev/full");
        let mut command = Command::new(env!("CARGO_BIN_EXE_sockkit"));
        let output = command.args(arguments).stdout(full.unwrap()).output();
        assert_eq!(output.unwrap().status.code(), Some(1), "{arguments:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn notes_that_cannot_be_written_end_no_transfer() {
    let desk = Desk::new();
    let path = desk.write("a", b"contents");
    let deaf =
        |arguments: &[&str]| crate::sockkit_under("exec 2>/dev/full", desk.from.path(), arguments);
    let receiver = deaf(&[
        "-v",
        "receive",
        "--plain",
        "--yes",
        "--into",
        desk.into.path().to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
    ]);
    let address = receiver.listening().to_string();
    let sent = deaf(&["-v", "send", &path, "--plain", "--to", &address]).end();
    assert!(sent.status.success(), "{sent:?}");
    assert!(receiver.end().status.success());
    assert_eq!(fs::read(desk.arrived("a")).unwrap(), b"contents");
    let end = deaf(&["send", "/no/such/file"]).end();
    assert_eq!(end.status.code(), Some(1), "{end:?}");
}

#[test]
fn a_transfer_outlives_the_reader_of_its_output() {
    let desk = Desk::new();
    let path = desk.write("a", b"contents");
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "exec \"$0\" \"$@\" 2>&1"])
        .arg(env!("CARGO_BIN_EXE_sockkit"))
        .args(["receive", "--plain", "--yes", "--listen", "127.0.0.1:0"])
        .arg("--into")
        .arg(desk.into.path());
    let mut receiver = shell.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(receiver.stdout.take().unwrap()).lines();
    let address = lines
        .find_map(|line| Some(line.unwrap().strip_prefix("listening on ")?.to_owned()))
        .unwrap();
    // As `head` does.
    drop(lines);
    let sent = send(&[&path], &address).end();
    assert!(sent.status.success(), "{sent:?}");
    assert_eq!(receiver.wait().unwrap().code(), Some(141));
    assert_eq!(fs::read(desk.arrived("a")).unwrap(), b"contents");
}

#[test]
fn what_is_skipped_is_an_object() {
    let desk = Desk::new();
    desk.write("folder/a", b"a");
    let folder = desk.from.path().join("folder");
    std::os::unix::fs::symlink("/etc/passwd", folder.join("out")).unwrap();
    let (receiver, address) = desk.receiver(&["--yes"]);
    let folder = folder.to_str().unwrap();
    let sent = sockkit(&["send", "--plain", "--json", "--to", &address, folder]).end();
    receiver.end();
    let skipped = "folder/out\",\"outcome\":\"skipped\",\"reason\":\"symbolic link leads out";
    let lines = sent.lines.iter();
    assert_eq!(lines.filter(|line| line.contains(skipped)).count(), 1);
}

#[test]
fn every_shell_gets_a_script() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let end = sockkit(&["completions", shell]).end();
        assert!(end.status.success(), "{end:?}");
        let script = end.lines.join("\n");
        assert!(script.contains("on-conflict"), "{shell}: {script}");
    }
}

#[test]
fn every_subcommand_has_a_manual_page() {
    let folder = tempdir().unwrap();
    let pages = folder.path().join("man/man1");
    let end = sockkit(&["man", pages.to_str().unwrap()]).end();
    assert!(end.status.success(), "{end:?}");
    for page in ["sockkit.1", "sockkit-send.1", "sockkit-peers-rename.1"] {
        let text = fs::read_to_string(pages.join(page)).unwrap();
        assert!(text.contains(".SH SYNOPSIS"), "{page}: {text}");
    }
    let end = sockkit(&["man", "/dev/null/folder"]).end();
    assert_eq!(end.status.code(), Some(1), "{end:?}");
}
