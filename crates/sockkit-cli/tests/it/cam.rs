//! `sockkit cam` and `sockkit view`, one sending to the other.

use sockkit::{picture::VideoFrame, source::pattern::read_stamp};

use crate::{fails, sockkit, sockkit_in};

#[test]
fn what_cam_sends_is_viewed_and_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let view = sockkit_in(
        folder.path(),
        &["view", "udp://127.0.0.1:0", "--record", "seen.mp4"],
    );
    let to = format!("udp://{}", view.line_after("listening on "));
    let cam = sockkit(&[
        "cam",
        "--source",
        "pattern",
        "--to",
        &to,
        "--parity",
        "20",
        "--seconds",
        "3",
    ]);
    let sent = cam.end();
    assert!(sent.status.success(), "{sent:?}");
    assert!(
        sent.lines.iter().any(|line| line.starts_with("viewer  ")),
        "{sent:?}"
    );
    view.interrupt();
    let seen = view.end();
    assert!(seen.status.success(), "{seen:?}");
    let received = seen.lines.iter().find(|line| line.starts_with("received"));
    assert!(received.unwrap().contains(" 0 lost"), "{seen:?}");
    assert!(folder.path().join("seen.mp4").metadata().unwrap().len() > 10_000);
}

#[test]
fn a_snapshot_is_a_picture_of_the_source() {
    let folder = tempfile::tempdir().unwrap();
    let view = sockkit_in(
        folder.path(),
        &["view", "udp://127.0.0.1:0", "--snapshot", "one.jpg"],
    );
    let to = format!("udp://{}", view.line_after("listening on "));
    let _cam = sockkit(&["cam", "--source", "pattern", "--to", &to]);
    let end = view.end();
    assert!(end.status.success(), "{end:?}");
    let jpeg = std::fs::read(folder.path().join("one.jpg")).unwrap();
    read_stamp(&VideoFrame::from_jpeg(jpeg).unwrap()).expect("the pattern's stamp");
}

#[test]
fn what_cannot_be_is_named() {
    fails(
        &["cam", "--source", "pattern", "--to", "host:1"],
        &["host:1", "udp://"],
    );
    fails(&["view", "udp://192.0.2.1:0"], &["192.0.2.1"]);
    let missing = [
        "cam",
        "--source",
        "/no/such.mjpeg",
        "--to",
        "udp://127.0.0.1:9",
    ];
    fails(&missing, &["/no/such.mjpeg"]);
}

#[test]
fn cameras_are_listed_without_a_destination() {
    let end = sockkit(&["cam", "--list"]).end();
    assert!(end.status.success(), "{end:?}");
    let first = &end.lines[0];
    assert!(
        first.starts_with("camera:0") || first.starts_with("no camera"),
        "{end:?}"
    );
    fails(&["cam"], &["required"]);
}
