//! `sockkit key new`, and pictures sealed with what it makes.

use std::{fs::Permissions, os::unix::fs::PermissionsExt, path::Path};

use sockkit::{picture::Picture, source::pattern::read_stamp, testing::program::Program};

use crate::{fails, sockkit_in};

/// A folder with two keys.
fn keys() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["key", "new"][..], &["key", "new", "other.key"]] {
        let end = sockkit_in(folder.path(), arguments).end();
        assert!(end.status.success(), "{end:?}");
        let has = |words: &str| end.lines.iter().any(|line| line.contains(words));
        assert!(has("sockkit view udp://") && has("--key"), "{end:?}");
    }
    folder
}

/// Runs a line as it was printed, but with another source than the camera.
fn typed(folder: &Path, line: &str) -> Program {
    let words: Vec<_> = line.split(' ').collect();
    assert_eq!(words[0], "sockkit");
    let mut words = words[1..].to_vec();
    if words[0] == "cam" {
        words.extend(["--source", "pattern"]);
    }
    sockkit_in(folder, &words)
}

#[test]
fn the_line_that_view_prints_shows_it_sealed_pictures() {
    let folder = keys();
    let view = sockkit_in(
        folder.path(),
        &[
            "view",
            "udp://127.0.0.1:0",
            "--key",
            "sockkit.key",
            "--snapshot",
            "one.jpg",
        ],
    );
    let line = view.line_after("there     ");
    assert!(line.ends_with("--key sockkit.key"), "{line}");
    let cam = typed(folder.path(), &line);
    let end = view.end();
    assert!(end.status.success(), "{end:?}");
    let jpeg = std::fs::read(folder.path().join("one.jpg")).unwrap();
    read_stamp(&Picture::from_jpeg(jpeg).unwrap()).expect("the pattern's stamp");
    let there = cam.line_after("there     ");
    assert!(there.starts_with("sockkit view udp://:"), "{there}");
    assert!(there.ends_with(" --key sockkit.key"), "{there}");
}

#[test]
fn the_line_that_cam_prints_joins_its_sealed_group() {
    let folder = keys();
    // It chooses the port.
    let first = sockkit_in(
        folder.path(),
        &[
            "view",
            "udp://239.255.77.7:0",
            "--interface",
            "127.0.0.1",
            "--key",
            "sockkit.key",
        ],
    );
    let group = format!("udp://{}", first.line_after("listening on "));
    let cam = sockkit_in(
        folder.path(),
        &[
            "cam",
            "--source",
            "pattern",
            "--to",
            &group,
            "--interface",
            "127.0.0.1",
            "--key",
            "sockkit.key",
        ],
    );
    let line = cam.line_after("there     ");
    assert_eq!(line, format!("sockkit view {group} --key sockkit.key"));
    let view = typed(
        folder.path(),
        &format!("{line} --interface 127.0.0.1 --snapshot one.jpg"),
    );
    let end = view.end();
    assert!(end.status.success(), "{end:?}");
}

#[test]
fn keys_that_differ_are_told_and_not_only_silence() {
    let folder = keys();
    for (there, here, words) in [
        (
            Some("other.key"),
            Some("sockkit.key"),
            "sealed with another key",
        ),
        (
            Some("other.key"),
            None,
            "they are sealed: leave out --plain here",
        ),
        (None, Some("sockkit.key"), "they are not sealed"),
    ] {
        let mut arguments = vec!["view", "udp://127.0.0.1:0"];
        arguments.extend(here.map_or_else(|| vec!["--plain"], |key| vec!["--key", key]));
        let view = sockkit_in(folder.path(), &arguments);
        let to = format!("udp://{}", view.line_after("listening on "));
        let mut arguments = vec!["cam", "--source", "pattern", "--to", &to];
        arguments.extend(there.map_or_else(|| vec!["--plain"], |key| vec!["--key", key]));
        let _cam = sockkit_in(folder.path(), &arguments);
        view.wait_for_error(words);
        view.interrupt();
        let end = view.end();
        assert!(
            end.lines
                .iter()
                .any(|line| line.contains("received  0 pictures"))
        );
    }
}

#[test]
fn a_snapshot_that_waits_in_vain_says_that_the_keys_differ() {
    let folder = keys();
    let view = sockkit_in(
        folder.path(),
        &[
            "view",
            "udp://127.0.0.1:0",
            "--key",
            "sockkit.key",
            "--snapshot",
            "one.jpg",
            "--seconds",
            "2",
        ],
    );
    let to = format!("udp://{}", view.line_after("listening on "));
    let arguments = [
        "cam",
        "--source",
        "pattern",
        "--to",
        &to,
        "--key",
        "other.key",
    ];
    let _cam = sockkit_in(folder.path(), &arguments);
    let end = view.end();
    assert!(!end.status.success(), "{end:?}");
    assert!(end.errors.contains("sealed with another key"), "{end:?}");
}

#[test]
fn what_no_key_can_seal_is_refused() {
    let folder = keys();
    let path = folder.path().join("sockkit.key");
    let key = path.to_str().unwrap();
    let cam = ["cam", "--source", "pattern"];
    let sealed = |more: &[&'static str]| [&cam[..], more].concat();
    for (mut arguments, words) in [
        (
            sealed(&["--listen", "quic://127.0.0.1:0"]),
            &["--key", "udp://"][..],
        ),
        (vec!["view", "quic://127.0.0.1:9"], &["quic:// encrypts"]),
        (vec!["key", "new"], &["never overwritten"]),
    ] {
        match arguments[0] {
            "key" => arguments.push(key),
            _ => arguments.extend(["--key", key]),
        }
        fails(&arguments, words);
    }
    let absent = folder.path().join("absent.key");
    let view = ["view", "udp://127.0.0.1:0", "--key"];
    let with = |key: &Path| {
        let arguments = [&view[..], &[key.to_str().unwrap()]].concat();
        arguments.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let refused = |key: &Path, words: &[&str]| {
        let arguments = with(key);
        fails(
            &arguments.iter().map(String::as_str).collect::<Vec<_>>(),
            words,
        );
    };
    refused(&absent, &["no key", "sockkit key new"]);
    std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    refused(&path, &["other users can read", "chmod 600"]);
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&path, "correct horse battery staple").unwrap();
    refused(&path, &["28 bytes"]);
}
