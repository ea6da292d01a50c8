//! Few descriptors are an error of one line, never a panic.

use std::process::Command;

use sockkit::testing::program::{Program, ProgramOutput};

/// Runs `sockkit` in `folder`, where no more than `limit` descriptors may be open.
fn limited(limit: u32, folder: &str, arguments: &[&str]) -> ProgramOutput {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "ulimit -n \"$0\" && exec \"$@\""])
        .arg(limit.to_string())
        .arg(env!("CARGO_BIN_EXE_sockkit"))
        .args(arguments)
        .current_dir(folder);
    Program::start(&mut shell).end()
}

#[test]
fn too_few_descriptors_are_told_by_every_subcommand() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("film");
    std::fs::write(&file, b"frames").unwrap();
    let (file, into) = (file.to_str().unwrap(), folder.path().to_str().unwrap());
    // Each ends by itself, or fails because nothing answers at port 1.
    let all: [&[&str]; 8] = [
        &["interfaces"],
        &["options"],
        &["doctor"],
        &[
            "demo",
            "--seconds",
            "1",
            "--source",
            "pattern",
            "--web",
            "127.0.0.1:0",
        ],
        &[
            "cam",
            "--plain",
            "--source",
            "pattern",
            "--to",
            "udp://127.0.0.1:9",
            "--seconds",
            "1",
        ],
        &["view", "--plain", "udp://127.0.0.1:0", "--seconds", "1"],
        &["send", "--plain", file, "--to", "127.0.0.1:1"],
        &["receive", "--plain", "--into", into, "quic://127.0.0.1:1"],
    ];
    for arguments in all {
        for limit in [6, 7, 8, 9, 10, 12, 14] {
            let end = limited(limit, into, arguments);
            assert_eq!(end.status.code(), Some(1), "{limit} {arguments:?}: {end:?}");
            assert_eq!(
                end.errors.lines().count(),
                1,
                "{limit} {arguments:?}: {end:?}"
            );
            assert!(
                end.errors.contains("ulimit -n"),
                "{limit} {arguments:?}: {end:?}"
            );
        }
        for limit in [15, 16, 17, 18, 20, 24] {
            let end = limited(limit, into, arguments);
            assert!(
                matches!(end.status.code(), Some(0 | 1)),
                "{limit} {arguments:?}: {end:?}"
            );
            assert!(
                !end.errors.contains("panicked"),
                "{limit} {arguments:?}: {end:?}"
            );
        }
    }
}
