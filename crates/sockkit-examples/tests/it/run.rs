//! Running programs: ours and their Python twins.

use std::{path::Path, process::Command};

use sockkit::testing::needs::{Need, met};
pub(crate) use sockkit::testing::program::Program;

/// Starts one of this crate's programs; `path` is `env!("CARGO_BIN_EXE_…")`.
pub(crate) fn program(path: &str, arguments: &[&str]) -> Program {
    // The texts are those in English, whatever the user speaks.
    Program::start(Command::new(path).args(arguments).env("LC_ALL", "C"))
}

/// Starts the Python program of that name in `twins/`.
///
/// Ask [`has_python`] first.
pub(crate) fn twin(name: &str, arguments: &[&str]) -> Program {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("twins")
        .join(name);
    Program::start(Command::new("python3").arg("-u").arg(path).args(arguments))
}

/// Whether the test can run; says so if not.
#[must_use]
pub(crate) fn has_python(test: &str) -> bool {
    met(test, &[Need::Program("python3")])
}
