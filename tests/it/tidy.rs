//! Architecture rules that a compiler does not check.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The modules that say what bytes mean: no socket, no clock, no task, no randomness.
const PURE: [&str; 2] = [
    "crates/sockkit-codec/src",
    "crates/sockkit-media/src/picture",
];

const BANNED: [&str; 8] = [
    "Instant::now",
    "SystemTime::now",
    "TcpStream",
    "UdpSocket",
    "fastrand",
    "std::fs",
    "tokio::fs",
    "tokio::spawn",
];

#[test]
fn pure_code_has_no_socket_clock_or_task() {
    let files: Vec<_> = PURE
        .iter()
        .flat_map(|folder| rust_files(&root().join(folder)))
        .collect();
    assert!(files.len() >= PURE.len(), "found nothing to check");
    for path in files {
        refuse(&path, &BANNED, "pure code must not use it; pass it in");
    }
}

/// Beside the code that waits, files say of themselves that they do not.
#[test]
fn files_that_call_themselves_pure_are() {
    let is_pure = |path: &PathBuf| {
        let source = fs::read_to_string(path).expect("source is UTF-8");
        source
            .lines()
            .any(|line| line.starts_with("//!") && line.contains("Pure"))
    };
    // The simulated link draws from a seed that it is given.
    let link = root().join("crates/sockkit-testing/src/link");
    let mut files = rust_files(&root().join("crates"));
    files.retain(|path| !path.starts_with(&link) && is_pure(path));
    assert!(files.len() > 10, "found {files:?} alone");
    for path in files {
        refuse(&path, &BANNED, "it says that it is pure; pass it in");
    }
}

#[test]
fn unsafe_code_stays_in_core_sys() {
    let home = root().join("crates/sockkit-core/src/sys");
    let files = rust_files(&root().join("crates"));
    assert!(!files.is_empty(), "found nothing to check");
    for path in files.iter().filter(|path| !path.starts_with(&home)) {
        refuse(
            path,
            &["unsafe {", "unsafe fn", "unsafe impl"],
            "unsafe lives in core::sys",
        );
    }
}

#[test]
fn programs_depend_on_the_facade_only() {
    for program in ["sockkit-cli", "sockkit-examples"] {
        let path = root().join("crates").join(program).join("Cargo.toml");
        let manifest = fs::read_to_string(&path).expect("manifest is UTF-8");
        for line in manifest.lines() {
            assert!(
                !["sockkit-core", "sockkit-codec", "sockkit-media"]
                    .iter()
                    .any(|library| line.starts_with(library)),
                "{}: {line}: programs use the facade",
                path.display()
            );
        }
    }
}

/// Fails at the first line of code, tests apart, that holds one of `words`.
#[track_caller]
fn refuse(path: &Path, words: &[&str], reason: &str) {
    let source = fs::read_to_string(path).expect("source is UTF-8");
    // Unit tests sit last in a file and may do what they like.
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    for (index, line) in code.lines().enumerate() {
        let line = line.trim_start();
        if line.starts_with("//") {
            continue;
        }
        for word in words {
            assert!(
                !line.contains(word),
                "{}:{}: {word}: {reason}",
                path.display(),
                index + 1
            );
        }
    }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("folder exists").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
