//! Requirements of tests beyond a bare machine.
//!
//! A test that cannot run must not look like one that passed. It is reported on
//! standard error, bypassing the test harness's capture, and it fails if
//! `SOCKKIT_TEST_ALL=1` is set, which promises that nothing is missing.

use std::{env, io::Write, path::Path};

/// A requirement of a test.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Need<'a> {
    /// A device, by its path.
    Device(&'a str),
    /// Linux itself: namespaces, `/proc`.
    Linux,
    /// A program on `PATH`.
    Program(&'a str),
    /// A module that `python3` can import.
    PythonModule(&'a str),
    /// The privilege to create network namespaces and mount file systems.
    Root,
    /// Windows itself: Wine lacks much, junctions among it.
    Windows,
}

/// Returns whether every requirement is met, and reports the missing one
/// otherwise.
///
/// ```
/// # mod sockkit { pub use ::sockkit_testing as testing; }
/// use sockkit::testing::needs::{Need, met};
///
/// if !met("recording opens in ffprobe", &[Need::Program("ffprobe")]) {
///     return;
/// }
/// ```
///
/// # Panics
/// If a need is missing while `SOCKKIT_TEST_ALL=1` is set.
#[must_use = "a test whose needs are not met must return"]
pub fn met(test: &str, needs: &[Need<'_>]) -> bool {
    let Some(missing) = needs.iter().find(|need| !need.is_met()) else {
        return true;
    };
    assert!(
        env::var_os("SOCKKIT_TEST_ALL").is_none_or(|value| value != "1"),
        "{test}: needs {missing:?}, which this machine lacks"
    );
    // `eprintln!` would be captured and lost with the passing test's output.
    let line = format!("SKIPPED {test}: needs {missing:?}, which this machine lacks\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
    false
}

impl Need<'_> {
    fn is_met(self) -> bool {
        match self {
            Need::Device(path) => Path::new(path).exists(),
            Need::Linux => cfg!(target_os = "linux"),
            // `scripts/windows` sets it.
            Need::Windows => cfg!(windows) && env::var_os("WINEPREFIX").is_none(),
            Need::Program(name) => on_path(name),
            Need::PythonModule(name) => std::process::Command::new("python3")
                .args(["-c", &format!("import {name}")])
                .output()
                .is_ok_and(|output| output.status.success()),
            #[cfg(unix)]
            Need::Root => rustix::process::geteuid().is_root(),
            #[cfg(not(unix))]
            Need::Root => false,
        }
    }
}

fn on_path(program: &str) -> bool {
    let file = format!("{program}{}", env::consts::EXE_SUFFIX);
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|folder| is_file(&folder.join(&file))))
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_exists_is_met() {
        let shell = if cfg!(windows) { "cmd" } else { "sh" };
        assert!(Need::Program(shell).is_met());
    }

    #[test]
    fn a_program_that_does_not_exist_is_missing() {
        assert!(!Need::Program("no-such-program-of-any-name").is_met());
    }
}
