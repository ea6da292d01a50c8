//! Pictures over udp://, whose keys come over an authenticated connection.

use std::{fs, path::Path, process::Command};

use sockkit::testing::program::{Program, ProgramOutput};
use tempfile::{TempDir, tempdir};

use crate::viewer::{closed_port, get, page_of};

/// Starts `sockkit` on a machine whose home that is.
fn at(home: &TempDir, arguments: &[&str]) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockkit"));
    command
        .args(arguments)
        .current_dir(home.path())
        .env("XDG_STATE_HOME", home.path().join("state"));
    Program::start(&mut command)
}

/// The command line that a program shows for the other side, without its first word.
fn line_of(program: &Program) -> Vec<String> {
    let line = program.line_after("there     sockkit ");
    line.split(' ').map(str::to_owned).collect()
}

fn with<'a>(line: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    let line = line.iter().map(String::as_str);
    line.chain(more.iter().copied()).collect()
}

#[track_caller]
fn fails(end: &ProgramOutput, words: &[&str]) {
    assert!(!end.status.success(), "{end:?}");
    for word in words {
        assert!(end.errors.contains(word), "{word}: {end:?}");
    }
}

fn is_jpeg(path: &Path) -> bool {
    fs::read(path).is_ok_and(|bytes| bytes.starts_with(&[0xff, 0xd8]))
}

#[test]
fn a_viewer_pairs_by_the_code_and_then_needs_none_until_it_is_forgotten() {
    let (porch, laptop) = (tempdir().unwrap(), tempdir().unwrap());
    let listen = [
        "cam",
        "--source",
        "pattern",
        "--listen",
        "udp://127.0.0.1:0",
    ];
    let cam = at(&porch, &listen);
    let line = line_of(&cam);
    assert!(line[1].starts_with("udp://127.0.0.1:"), "{line:?}");
    let viewed = at(&laptop, &with(&line, &["--snapshot", "one.jpg"])).end();
    assert!(viewed.status.success(), "{viewed:?}");
    assert!(viewed.errors.contains("paired by the code"), "{viewed:?}");
    assert!(is_jpeg(&laptop.path().join("one.jpg")));

    let place = line[1].as_str();
    let stranger = tempdir().unwrap();
    let refused = at(&stranger, &["view", place]).end();
    fails(
        &refused,
        &["To pair: sockkit view udp://127.0.0.1:", "--code CODE"],
    );

    let watching = at(&laptop, &["view", place]);
    watching.line_after("connected ");
    let id = at(&laptop, &["id"]).end();
    let forgotten = at(&porch, &["peers", "forget", &id.lines[1]]).end();
    assert!(forgotten.status.success(), "{forgotten:?}");
    watching.wait_for_error("not connected");
    watching.interrupt();
    watching.end();
    fails(
        &at(&laptop, &["view", place]).end(),
        &["does not know this machine"],
    );
    cam.interrupt();
    cam.end();
}

#[test]
fn a_camera_is_typed_what_the_viewer_shows_and_pushes_again_by_its_key() {
    let (porch, laptop) = (tempdir().unwrap(), tempdir().unwrap());
    let pattern = ["--source", "pattern"];
    let view = at(
        &laptop,
        &[
            "view",
            "--listen",
            "udp://127.0.0.1:0",
            "--snapshot",
            "one.jpg",
        ],
    );
    let line = line_of(&view);
    assert_eq!(line[..2], ["cam", "--to"]);
    let number = line[4].split('-').next().unwrap();
    let mistyped = [&line[..4], &[format!("{number}-acid-acid")]].concat();
    let refused = at(&porch, &with(&mistyped, &pattern)).end();
    assert!(!refused.status.success(), "{refused:?}");
    view.wait_for_error("tried a wrong code");
    let cam = at(&porch, &with(&line, &pattern));
    let end = view.end();
    assert!(end.status.success(), "{end:?}");
    assert!(is_jpeg(&laptop.path().join("one.jpg")));
    cam.wait_for_error("not connected");
    cam.interrupt();
    cam.end();

    let view = at(
        &laptop,
        &["view", "--listen", "udp://127.0.0.1:0", "--known"],
    );
    let place = view.line_after("listening on ");
    let cam = at(
        &porch,
        &with(&["cam".into(), "--to".into(), place.clone()], &pattern),
    );
    view.line_after("pictures from 127.0.0.1:");
    let peers = at(&laptop, &["peers"]).end();
    assert!(peers.lines[0].contains("  show  "), "{peers:?}");
    let id = at(&porch, &["id"]).end();
    let taken = at(&laptop, &["peers", "rights", &id.lines[1], "none"]).end();
    assert!(taken.status.success(), "{taken:?}");
    cam.wait_for_error("not connected");
    cam.interrupt();
    cam.end();
    let refused = at(
        &porch,
        &with(&["cam".into(), "--to".into(), place], &pattern),
    )
    .end();
    fails(&refused, &["does not allow this"]);
    view.interrupt();
    view.end();
}

#[test]
fn one_of_several_cameras_may_come_later() {
    let (porch, laptop) = (tempdir().unwrap(), tempdir().unwrap());
    let cam = ["cam", "--source", "pattern", "--listen"];
    let there = at(&porch, &[&cam[..], &["tcp://127.0.0.1:0"]].concat());
    let line = line_of(&there);
    let paired = at(&laptop, &with(&line, &["--snapshot", "one.jpg"])).end();
    assert!(paired.status.success(), "{paired:?}");

    let away = format!("tcp://{}", closed_port());
    let [zebra, ape] = [format!("zebra={away}"), format!("ape={}", line[1])];
    let several = ["view", &zebra, &ape, "--web", "127.0.0.1:0"];
    let view = at(&laptop, &several);
    let page = page_of(&view);
    view.wait_for_error("zebra: not connected: refused: the port is closed; retrying");
    let state = get(page, "/state", &page.to_string()).body;
    let state = String::from_utf8(state).unwrap();
    let (first, second) = state.split_once("\"ape\"").expect("both are there");
    assert!(first.contains("\"zebra\""), "{state}");
    assert!(first.contains("\"not_connected\":\"refused: "), "{state}");
    assert!(second.contains("\"not_connected\":null"), "{state}");
    let late = at(&porch, &[&cam[..], &[&away, "--known"]].concat());
    view.line_after("zebra: connected ");
    view.interrupt();
    view.end();
    // That is no question of time.
    let stranger = tempdir().unwrap();
    fails(&at(&stranger, &several).end(), &["To pair: sockkit view "]);
    late.interrupt();
    late.end();
    there.interrupt();
    there.end();
}

#[test]
fn plain_and_authenticated_do_not_mix_and_each_says_what_to_type() {
    let home = tempdir().unwrap();
    let cam = ["cam", "--source", "pattern"];
    let plain = [&cam[..], &["--listen", "udp://127.0.0.1:0", "--plain"]].concat();
    fails(
        &at(&home, &plain).end(),
        &["viewers get keys", "--to udp://HOST"],
    );

    let view = at(&home, &["view", "udp://127.0.0.1:0", "--plain"]);
    let place = format!("udp://{}", view.line_after("listening on "));
    let push = [&cam[..], &["--to", &place, "--code", "7-coral-lamp"]].concat();
    fails(
        &at(&home, &push).end(),
        &["listening at udp:// there", "--plain"],
    );
    view.interrupt();
    view.end();
    // Both name no machine.
    fails(
        &at(&home, &["view", "udp://:5006", "--known"]).end(),
        &["view --listen udp://:5006"],
    );
    let group = [&cam[..], &["--to", "udp://239.7.7.7:5006"]].concat();
    fails(&at(&home, &group).end(), &["--key FILE", "--plain"]);
    fails(
        &at(&home, &["view", "udp://239.7.7.7:5006"]).end(),
        &["--key FILE", "--plain"],
    );
}
