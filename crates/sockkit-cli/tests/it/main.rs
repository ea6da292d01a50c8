//! The command as a process, the way a person runs it.

// They type on a terminal and send signals.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{ffi::OsStr, path::Path, process::Command};

use sockkit::testing::program::Program;

mod bench;
mod browser;
mod cam;
mod clear;
#[cfg(target_os = "linux")]
mod crowd;
mod demo;
mod descriptors;
mod doctor;
#[cfg(target_os = "linux")]
mod fast_clock;
#[cfg(target_os = "linux")]
mod fifty;
#[cfg(target_os = "linux")]
mod find;
mod firefox;
mod home;
#[cfg(target_os = "linux")]
mod how_soon;
mod key;
#[cfg(target_os = "linux")]
mod many;
#[cfg(target_os = "linux")]
mod names;
mod options;
mod output;
mod page_sizes;
mod page_use;
mod pairing;
#[cfg(target_os = "linux")]
mod procfs;
mod prompt;
mod quic;
mod send_receive;
#[cfg(target_os = "linux")]
mod situations;
#[cfg(target_os = "linux")]
mod slow_link;
mod soak;
mod strangers;
mod subscription;
mod viewer;
#[cfg(target_os = "linux")]
mod watchers;
mod web_files;
#[cfg(target_os = "linux")]
mod web_files_long;
mod window;
#[cfg(target_os = "linux")]
mod wire;

/// `sockkit`, without the keys and peers of the user who runs the tests.
fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockkit"));
    command.env("XDG_STATE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command
}

/// Starts `sockkit` with these arguments.
pub(crate) fn sockkit(arguments: &[impl AsRef<OsStr>]) -> Program {
    Program::start(command().args(arguments))
}

/// Starts `sockkit` where a user can be asked.
pub(crate) fn sockkit_on_terminal(arguments: &[&str]) -> Program {
    Program::start_on_terminal(command().args(arguments))
}

/// Starts `sockkit` in that folder.
pub(crate) fn sockkit_in(folder: &Path, arguments: &[&str]) -> Program {
    Program::start(command().args(arguments).current_dir(folder))
}

/// Starts `sockkit` in that folder, under a limit that the shell sets.
pub(crate) fn sockkit_under(limit: &str, folder: &Path, arguments: &[&str]) -> Program {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{limit}; exec \"$0\" \"$@\"")]);
    shell.arg(env!("CARGO_BIN_EXE_sockkit")).args(arguments);
    Program::start(shell.current_dir(folder))
}

/// Runs `sockkit`, which must fail with one line that holds each of `words`.
#[track_caller]
pub(crate) fn fails(arguments: &[&str], words: &[&str]) {
    let end = sockkit(arguments).end();
    let code = end.status.code();
    assert!(matches!(code, Some(1 | 2)), "{arguments:?}: {end:?}");
    let notes = |line: &&str| line.starts_with("note: ");
    let mut complaint = end.errors.lines().skip_while(notes);
    let first = complaint.next().unwrap_or_default();
    // clap adds its usage below the line.
    assert!(
        code == Some(2) || complaint.next().is_none(),
        "one line: {}",
        end.errors
    );
    for word in words {
        assert!(
            first.contains(word),
            "{arguments:?}: {first:?} lacks {word:?}"
        );
    }
}
