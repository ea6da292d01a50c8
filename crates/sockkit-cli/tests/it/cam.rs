//! `sockkit cam` and `sockkit view`, one sending to the other.

use std::{net::SocketAddr, os::unix::fs::MetadataExt, path::Path};

use sockkit::{
    picture::{Picture, Timestamp},
    sink::record::{Recorder, RecorderConfig},
    source::pattern::{Stamp, paint, read_stamp},
    testing::{
        lab::Lab,
        needs::{Need, met},
        program::Program,
    },
};

use crate::{fails, sockkit, sockkit_in, sockkit_under};

#[test]
fn what_cam_sends_is_viewed_and_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let view = sockkit_in(
        folder.path(),
        &[
            "view",
            "--plain",
            "udp://127.0.0.1:0",
            "--record",
            "seen.mp4",
        ],
    );
    let to = format!("udp://{}", view.line_after("listening on "));
    let cam = sockkit(&[
        "cam",
        "--plain",
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
    assert_eq!(seen.status.code(), Some(130), "{seen:?}");
    let received = seen.lines.iter().find(|line| line.starts_with("received"));
    assert!(received.unwrap().contains(" 0 lost"), "{seen:?}");
    assert!(folder.path().join("seen.mp4").metadata().unwrap().len() > 10_000);
}

#[test]
fn size_and_quality_are_those_that_were_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = ["10", "95"].map(|quality| {
        let receive = [
            "view",
            "--plain",
            "udp://127.0.0.1:0",
            "--snapshot",
            quality,
        ];
        let view = sockkit_in(folder.path(), &receive);
        let to = format!("udp://{}", view.line_after("listening on "));
        let send = ["cam", "--plain", "--source", "pattern", "--to", &to];
        let asked = ["--size", "320x240", "--rate", "10", "--quality", quality];
        let _cam = sockkit(&[&send[..], &asked].concat());
        let end = view.end();
        assert!(end.status.success(), "{end:?}");
        let jpeg = std::fs::read(folder.path().join(quality)).unwrap();
        let bytes = jpeg.len();
        let picture = Picture::from_jpeg(jpeg).unwrap();
        assert_eq!((picture.width_px(), picture.height_px()), (320, 240));
        bytes
    });
    assert!(bytes[0] < bytes[1], "{bytes:?}");
}

#[test]
fn a_snapshot_is_a_picture_of_the_source() {
    let folder = tempfile::tempdir().unwrap();
    save_snapshot(folder.path());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// Saves a snapshot as `one.jpg` in `folder`.
#[track_caller]
fn save_snapshot(folder: &Path) {
    let view = sockkit_in(
        folder,
        &[
            "view",
            "--plain",
            "udp://127.0.0.1:0",
            "--snapshot",
            "one.jpg",
        ],
    );
    let to = format!("udp://{}", view.line_after("listening on "));
    let _cam = sockkit(&["cam", "--plain", "--source", "pattern", "--to", &to]);
    let end = view.end();
    assert!(end.status.success(), "{end:?}");
    let jpeg = std::fs::read(folder.join("one.jpg")).unwrap();
    read_stamp(&Picture::from_jpeg(jpeg).unwrap()).expect("the pattern's stamp");
}

#[test]
fn a_snapshot_follows_no_link_that_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name| folder.path().join(name);
    std::fs::write(path("precious"), "precious").unwrap();
    for name in ["one.jpg.part", ".one.jpg.part"] {
        std::os::unix::fs::symlink(path("precious"), path(name)).unwrap();
    }
    save_snapshot(folder.path());
    assert_eq!(std::fs::read(path("precious")).unwrap(), b"precious");
    assert!(path("one.jpg").symlink_metadata().unwrap().is_file());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4);
}

/// As a recording does not.
#[test]
fn a_snapshot_replaces_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let old = folder.path().join("one.jpg");
    std::fs::write(&old, "the old one").unwrap();
    let path = old.to_str().unwrap();
    for option in ["--snapshot", "--record"] {
        let view = ["view", "--plain", "udp://127.0.0.1:0", option, path];
        let end = sockkit(&view).end();
        assert_eq!(end.status.code(), Some(1), "{end:?}");
        let said = [path, "exists", "choose another file with", option];
        assert!(said.iter().all(|said| end.errors.contains(said)), "{end:?}");
    }
    assert_eq!(std::fs::read(&old).unwrap(), b"the old one");
}

#[test]
fn a_snapshot_has_the_mode_of_any_new_file() {
    let folder = tempfile::tempdir().unwrap();
    save_snapshot(folder.path());
    let other = folder.path().join("other");
    std::fs::write(&other, "").unwrap();
    let mode = |path: &Path| path.metadata().unwrap().mode();
    assert_eq!(mode(&folder.path().join("one.jpg")), mode(&other));
}

#[test]
fn a_snapshot_that_cannot_be_written_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    // One of many ways to fail that stops root too.
    let view = sockkit_under(
        "ulimit -f 0",
        folder.path(),
        &[
            "view",
            "--plain",
            "udp://127.0.0.1:0",
            "--snapshot",
            "one.jpg",
        ],
    );
    let to = format!("udp://{}", view.line_after("listening on "));
    let _cam = sockkit(&["cam", "--plain", "--source", "pattern", "--to", &to]);
    let end = view.end();
    assert!(!end.status.success(), "{end:?}");
    assert!(end.errors.contains("cannot write one.jpg"), "{end:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_cam_shows_over_tcp_is_viewed_and_recorded() {
    show_and_record("tcp");
}

#[test]
fn what_cam_shows_over_quic_is_viewed_and_recorded() {
    show_and_record("quic");
}

#[track_caller]
fn show_and_record(scheme: &str) {
    let folder = tempfile::tempdir().unwrap();
    let at = format!("{scheme}://127.0.0.1:0");
    let cam = sockkit(&["cam", "--plain", "--source", "pattern", "--listen", &at]);
    let url = cam.line_after("listening on ");
    let url = match url.contains("://") {
        true => url,
        false => format!("{scheme}://{url}"),
    };
    let record = [
        "view",
        "--plain",
        &url,
        "--record",
        "seen.mp4",
        "--seconds",
        "3",
    ];
    let view = sockkit_in(folder.path(), &record);
    view.line_after("connected ");
    let seen = view.end();
    assert!(seen.status.success(), "{seen:?}");
    let received = seen.lines.iter().find(|line| line.starts_with("received"));
    // Over QUIC one that is late on a busy machine makes room for a newer one.
    if scheme == "tcp" {
        assert!(received.unwrap().contains(" 0 lost"), "{seen:?}");
    }
    assert!(folder.path().join("seen.mp4").metadata().unwrap().len() > 10_000);
    cam.interrupt();
    let sent = cam.end();
    assert_eq!(sent.status.code(), Some(130), "{sent:?}");
    let summary = sent.lines.iter().find(|line| line.starts_with("sent "));
    assert!(summary.unwrap().contains(" pictures, "), "{sent:?}");
    let viewers = sent.lines.iter().filter(|line| line.starts_with("viewer "));
    assert_eq!(viewers.count(), 1, "{sent:?}");
}

#[test]
fn datagrams_and_connections_are_mixed_freely() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = [
        "view",
        "--plain",
        "udp://127.0.0.1:0",
        "--snapshot",
        "udp.jpg",
    ];
    let bound = sockkit_in(folder.path(), &snapshot);
    let to = format!("udp://{}", bound.listening());
    let arguments = [
        "cam",
        "--plain",
        "--source",
        "pattern",
        "--to",
        "tcp://127.0.0.1:0",
        "--to",
        &to,
        "--to",
        "tcp://127.0.0.1:0",
    ];
    let cam = sockkit(&arguments);
    for name in ["first.jpg", "second.jpg"] {
        let url = format!("tcp://{}", cam.listening());
        let end = sockkit_in(
            folder.path(),
            &["view", "--plain", &url, "--snapshot", name],
        )
        .end();
        assert!(end.status.success(), "{end:?}");
    }
    assert!(bound.end().status.success());
    for name in ["udp.jpg", "first.jpg", "second.jpg"] {
        let jpeg = std::fs::read(folder.path().join(name)).unwrap();
        read_stamp(&Picture::from_jpeg(jpeg).unwrap()).expect("the pattern's stamp");
    }
}

#[test]
fn view_names_the_sender_and_takes_no_other_than_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let view = sockkit(&["view", "--plain", "udp://127.0.0.1:0", "--stats"]);
    let picky = sockkit_in(
        folder.path(),
        &[
            "view",
            "--plain",
            "udp://127.0.0.1:0",
            "--snapshot",
            "one.jpg",
            "--from",
            "127.0.0.9",
        ],
    );
    let [to, also_to] = [&view, &picky].map(|view| format!("udp://{}", view.listening()));
    let arguments = [
        "cam", "--plain", "--source", "pattern", "--to", &to, "--to", &also_to,
    ];
    let _cam = sockkit(&arguments);
    let sender: SocketAddr = view.line_after("pictures from ").parse().unwrap();
    let figures = view.line_after("received=");
    assert!(figures.ends_with(&format!(" sender={sender}")), "{figures}");
    picky.interrupt();
    let end = picky.end();
    assert!(!end.status.success(), "{end:?}");
    assert!(end.errors.contains("--from"), "{end:?}");
}

/// The tests of a build with zenoh are in `tests/routed`.
#[cfg(not(feature = "zenoh"))]
#[test]
fn a_build_without_zenoh_says_how_to_get_one() {
    for arguments in [
        &["view", "--plain", "zenoh://hub/porch"][..],
        &[
            "cam",
            "--source",
            "pattern",
            "--plain",
            "--to",
            "zenoh://hub/porch",
        ],
    ] {
        fails(arguments, &["zenoh://hub:7447/porch", "--features zenoh"]);
    }
    fails(&["view", "zenoh://hub/porch"], &["--key FILE"]);
}

#[test]
fn a_sender_cannot_be_asked_for_where_it_cannot_send() {
    fails(
        &[
            "view",
            "--plain",
            "tcp://127.0.0.1:9",
            "--from",
            "127.0.0.1",
        ],
        &["--from", "udp://"],
    );
    fails(
        &["view", "--plain", "udp://127.0.0.1:0", "--from", "::1"],
        &["--from ::1", "IPv4"],
    );
}

#[test]
fn figures_come_once_a_second_for_programs() {
    let cam = sockkit(&[
        "cam",
        "--plain",
        "--source",
        "pattern",
        "--to",
        "tcp://127.0.0.1:0",
    ]);
    let url = format!("tcp://{}", cam.listening());
    let view = sockkit(&["view", "--plain", &url, "--stats", "--seconds", "3"]);
    let line = view.line_after("received=");
    for figure in [
        "rate=",
        "lost=0",
        "late=0",
        "skipped=",
        "age_p50_ms=",
        "age_p99_ms=",
        "age_error_ms=0.000",
    ] {
        assert!(line.contains(figure), "{figure}: {line}");
    }
}

#[test]
fn nobody_there_is_said_and_waited_for() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap().to_string();
    drop(closed);
    let url = format!("tcp://{address}");
    fails(
        &[
            "view",
            "--plain",
            &url,
            "--snapshot",
            "/dev/null",
            "--seconds",
            "1",
        ],
        &["no picture", &url, "the port is closed"],
    );
    let early = sockkit(&["view", "--plain", &url, "--seconds", "3"]);
    early.line_after("dialling ");
    let _cam = sockkit(&["cam", "--plain", "--source", "pattern", "--to", &url]);
    early.line_after("connected ");
    assert!(early.end().errors.contains("not connected"));
}

#[test]
fn a_reason_is_told_once_however_often_it_is_tried() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("tcp://{}", closed.local_addr().unwrap());
    drop(closed);
    let end = sockkit(&["view", "--plain", &url, "--seconds", "2"]).end();
    assert_eq!(end.errors.matches("not connected").count(), 1, "{end:?}");
    // It has seen nothing, and says why.
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    assert!(end.errors.contains("no picture arrived from"), "{end:?}");
}

#[test]
fn what_would_be_ignored_is_refused() {
    for ignored in [&["--record", "x.mp4"][..], &["--stats"], &["--window"]] {
        let view = [
            "view",
            "--plain",
            "udp://127.0.0.1:0",
            "--snapshot",
            "x.jpg",
        ];
        fails(&[&view, ignored].concat(), &["--snapshot", ignored[0]]);
    }
    let no_group = ["--interface", "lo", "--seconds", "1"];
    let view = ["view", "--plain", "udp://127.0.0.1:0"];
    fails(&[&view[..], &no_group].concat(), &["--interface", "groups"]);
    for to in ["udp://127.0.0.1:9", "tcp://127.0.0.1:0"] {
        let cam = ["cam", "--plain", "--source", "pattern", "--to", to];
        fails(&[&cam[..], &no_group].concat(), &["--interface", "groups"]);
    }
}

#[test]
fn pictures_that_cannot_be_sent_say_why_once() {
    // Port 0 cannot be reached.
    let to = ["--to", "udp://127.0.0.1:0", "--seconds", "1"];
    let end = sockkit(&[&["cam", "--plain", "--source", "pattern"], &to[..]].concat()).end();
    let complaints = end.errors.matches("picture not sent").count();
    assert_eq!(complaints, 1, "{end:?}");
    assert!(end.errors.contains("os error"), "{end:?}");
    // For users who read it in a file.
    assert!(!end.errors.contains('\u{1b}'), "{end:?}");
}

#[cfg(unix)]
#[test]
fn a_recording_that_stops_is_told_at_once_and_the_view_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    // Files of 100 blocks at most stand for a full disk.
    let script = "trap '' XFSZ; ulimit -f 100; exec \"$0\" \"$@\"";
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_sockkit")]);
    command.args([
        "view",
        "--plain",
        "udp://127.0.0.1:0",
        "--record",
        "seen.mp4",
    ]);
    let view = Program::start(command.arg("--stats").current_dir(folder.path()));
    let to = format!("udp://{}", view.listening());
    let _cam = sockkit(&["cam", "--plain", "--source", "pattern", "--to", &to]);
    // A second's pictures are written together, and are far more than fits.
    while !view
        .line_after("received=")
        .starts_with(|digit| digit > '0')
    {}
    for _ in 0..4 {
        view.line_after("received=");
    }
    view.interrupt();
    let end = view.end();
    assert!(!end.status.success(), "{end:?}");
    assert!(end.errors.contains("plays up to this point"), "{end:?}");
    assert!(end.errors.contains("; still watching"), "{end:?}");
}

#[test]
fn what_cannot_be_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    fails(
        &[
            "cam",
            "--plain",
            "--source",
            "pattern",
            "--to",
            &format!("tcp://{taken}"),
        ],
        &[&taken, "in use"],
    );
    fails(
        &[
            "cam",
            "--plain",
            "--source",
            "pattern",
            "--to",
            "tcp://127.0.0.1:0",
            "--parity",
            "20",
        ],
        &["--parity", "udp://"],
    );
    fails(
        &["view", "--plain", "http://127.0.0.1"],
        &["http://", "udp:// or tcp:// or quic://"],
    );
    fails(
        &[
            "cam", "--plain", "--source", "pattern", "--listen", "udp://:1",
        ],
        &["viewers get keys at udp://:1", "--to udp://HOST:1"],
    );
    fails(&["view", "--plain", "udp://192.0.2.1:0"], &["192.0.2.1"]);
    let missing = [
        "cam",
        "--plain",
        "--source",
        "/no/such.mjpeg",
        "--to",
        "udp://127.0.0.1:9",
    ];
    fails(
        &missing,
        &[
            "/no/such.mjpeg",
            "show /no/such.mjpeg: cannot be read: No such",
        ],
    );
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
}

#[test]
fn the_list_of_cameras_takes_the_options_of_every_command() {
    for option in ["--json", "--quiet", "-v"] {
        let end = sockkit(&["cam", "--list", option]).end();
        assert!(end.status.success(), "{option}: {end:?}");
    }
    fails(
        &["cam", "--list", "--to", "udp://127.0.0.1:9"],
        &["--list", "--to"],
    );
    fails(&["cam", "--list", "--many"], &["--list", "--many"]);
}

#[test]
fn without_a_camera_another_source_is_named() {
    let listed = sockkit(&["cam", "--list"]).end();
    if !listed.lines[0].starts_with("no camera") {
        return;
    }
    let cam = ["cam", "--plain", "--to", "udp://127.0.0.1:9"];
    fails(&cam, &["there is no camera", "--source pattern"]);
}

#[test]
fn a_link_local_address_without_its_interface_is_refused_with_an_example() {
    for typed in [
        ["view", "--plain", "tcp://[fe80::1]:5006"],
        ["view", "--plain", "[fe80::1]"],
        ["view", "--listen", "udp://[fe80::1]:5006"],
        ["cam", "--to", "udp://[fe80::1]:5006"],
        ["cam", "--listen", "quic://[fe80::1]:5006"],
        ["receive", "--listen", "[fe80::1]:7000"],
    ] {
        fails(
            &typed,
            &["fe80::1 is link-local", "%INTERFACE", "such as fe80::1%"],
        );
    }
    let send = ["send", "Cargo.toml", "--to", "quic://[fe80::1]:7000"];
    fails(&send, &["fe80::1 is link-local", "%INTERFACE"]);
}

/// The camera is another one each time.
#[test]
fn a_recording_names_each_of_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let view = [
        "view",
        "--plain",
        "udp://127.0.0.1:0",
        "--record",
        "walk.mp4",
        "--seconds",
        "30",
    ];
    let view = sockkit_in(folder.path(), &view);
    let to = format!("udp://{}", view.line_after("listening on "));
    for (size, file) in [("320x240", "walk.mp4"), ("640x480", "walk-2.mp4")] {
        let cam = [
            "cam",
            "--plain",
            "--source",
            "pattern",
            "--size",
            size,
            "--to",
            &to,
            "--seconds",
            "60",
        ];
        let cam = sockkit(&cam);
        let recording = folder.path().join(file);
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        // Until the recorder has begun the file, and written to it.
        while recording.metadata().map_or(0, |there| there.len()) == 0 {
            assert!(std::time::Instant::now() < deadline, "no {file}");
            std::thread::yield_now();
        }
        cam.interrupt();
        cam.end();
    }
    view.interrupt();
    let end = view.end();
    let recorded = end.lines.iter().find(|line| line.starts_with("recorded"));
    let recorded = recorded.expect("the recording is told of");
    assert!(recorded.ends_with(": walk.mp4, walk-2.mp4"), "{end:?}");
    assert!(recorded.contains(" in 2 files"), "{end:?}");
}

#[test]
fn a_clip_that_is_cut_off_is_told_once_and_not_at_all_if_quiet() {
    let folder = tempfile::tempdir().unwrap();
    let y4m = b"YUV4MPEG2 W2 H2 F100:1 Cmono\nFRAME\n1234FRAME\n12".to_vec();
    for (name, clip) in [("cut.y4m", y4m), ("cut.mp4", interrupted_recording())] {
        std::fs::write(folder.path().join(name), clip).unwrap();
        let cam = [&plays(name)[..], &["--seconds", "2"]].concat();
        let end = sockkit_in(folder.path(), &cam).end();
        let note = format!("note: {name} is cut off at its end");
        assert_eq!(end.errors.matches(&note).count(), 1, "{end:?}");
        assert!(!end.errors.contains("WARN"), "{end:?}");
        let quiet = sockkit_in(folder.path(), &[&cam[..], &["--quiet"]].concat()).end();
        assert!(!quiet.errors.contains("cut off"), "{quiet:?}");
    }
}

/// Plays a clip to a port where nothing listens.
fn plays(clip: &str) -> [&str; 6] {
    let to = "udp://127.0.0.1:9";
    ["cam", "--plain", "--source", clip, "--to", to]
}

/// Half a second, which is a whole fragment, and a part of the next.
fn interrupted_recording() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("whole.mp4");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut recorder = Recorder::create(&path, RecorderConfig::default())
            .await
            .unwrap();
        for number in 0..7 {
            let clock = Timestamp::from_micros(1_700_000_000_000_000 + 100_000 * number);
            let picture = paint(320, 240, Stamp { number, clock }).unwrap();
            recorder.push(&picture).await.unwrap();
        }
        recorder.finish().await.unwrap();
    });
    let mut whole = std::fs::read(path).unwrap();
    whole.truncate(whole.len() * 4 / 5);
    whole
}

#[test]
fn an_mp4_that_is_none_is_refused_in_words_for_users() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [
        ("empty.mp4", &b""[..]),
        ("text.mp4", b"this is a text, and no film"),
    ] {
        std::fs::write(folder.path().join(name), bytes).unwrap();
        let end = sockkit_in(folder.path(), &plays(name)).end();
        assert!(!end.status.success(), "{end:?}");
        assert!(end.errors.contains("damaged mp4 file"), "{end:?}");
        assert!(!end.errors.contains(".rs:"), "{end:?}");
    }
}

#[test]
fn an_address_that_does_not_answer_is_not_taken_for_this_machine() {
    let Some(lab) = Lab::new("a viewer of an absent camera", 2, 1) else {
        return;
    };
    // No host has this address of the network.
    let view = ["view", "--plain", "tcp://10.77.0.99:5006", "--seconds", "1"];
    let end = lab.host(0).run(|| sockkit(&view).end());
    assert!(end.errors.contains("no answer yet"), "{end:?}");
    assert!(!end.errors.contains("send to this machine"), "{end:?}");
}

/// What a user types is what is printed.
#[test]
fn a_player_opens_what_is_printed() {
    let needs = [Need::Program("ffmpeg"), Need::Program("timeout")];
    if !met("cam for players", &needs) {
        return;
    }
    let cam = sockkit(&[
        "cam",
        "--source",
        "pattern",
        "--listen",
        "rtsp://127.0.0.1:0",
    ]);
    let printed = cam.line_after("there     ffplay ");
    cam.wait_for_error("not encrypted");
    let folder = tempfile::tempdir().unwrap();
    play(folder.path(), &["-rtsp_transport", "tcp", "-i", &printed]);
    cam.interrupt();
    let end = cam.end();
    assert_eq!(end.status.code(), Some(130), "{end:?}");
    let sent = end.lines.iter().find(|line| line.starts_with("sent "));
    assert!(sent.unwrap().contains(&printed), "{end:?}");
}

/// The address of the description at the page, and the file with it.
#[test]
fn a_player_opens_the_description_of_what_is_sent() {
    let needs = [Need::Program("ffmpeg"), Need::Program("timeout")];
    if !met("cam for players by SDP", &needs) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let port = two_ports();
    let to = format!("rtp://127.0.0.1:{port}");
    let arguments = ["cam", "--source", "pattern", "--to", &to];
    let by_file = [&arguments[..], &["--sdp", "cam.sdp"]].concat();
    let cam = sockkit_in(folder.path(), &by_file);
    let printed = cam.line_after("there     ffplay ");
    let options: Vec<_> = printed.split(' ').collect();
    let (path, options) = options.split_last().unwrap();
    play(folder.path(), &[options, &["-i", path]].concat());
    drop(cam);
    let by_page = [&arguments[..], &["--web", "127.0.0.1:0"]].concat();
    let cam = sockkit_in(folder.path(), &by_page);
    let printed = cam.line_after("there     ffplay ");
    play(folder.path(), &["-i", &printed]);
}

/// Reads a picture by ffmpeg, which fails if there is none.
#[track_caller]
fn play(folder: &Path, input: &[&str]) {
    let mut ffmpeg = std::process::Command::new("timeout");
    ffmpeg.args(["60", "ffmpeg", "-nostdin", "-y", "-loglevel", "warning"]);
    ffmpeg.args(input).args(["-frames:v", "1", "seen.png"]);
    let output = ffmpeg.current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(folder.join("seen.png").exists());
    std::fs::remove_file(folder.join("seen.png")).unwrap();
}

/// The first of two neighbouring ports that are free.
fn two_ports() -> u16 {
    loop {
        let bind = |port| std::net::UdpSocket::bind(("127.0.0.1", port));
        let first = bind(0).unwrap();
        let port = first.local_addr().unwrap().port();
        if port < u16::MAX && bind(port + 1).is_ok() {
            return port;
        }
    }
}

#[test]
fn what_players_cannot_have_is_said() {
    for (arguments, said) in [
        (
            &["--to", "rtp://127.0.0.1:65535"][..],
            "needs a port from 1 to 65534",
        ),
        (&["--to", "rtp://"], "has no host"),
        (
            &["--listen", "rtsp://127.0.0.1:0", "--sdp", "a.sdp"],
            "leave out --sdp, which players that connect to rtsp:// do not need",
        ),
        (
            &["--to", "rtp://127.0.0.1", "--to", "rtp://127.0.0.1:6000"],
            "would share one description",
        ),
        (
            &["--to", "rtsp://192.0.2.1"],
            "--listen rtsp://:8554 listens at all of them, and --to rtp://192.0.2.1 sends there",
        ),
        (
            &["--listen", "rtsp://127.0.0.1:0", "--code", "new"],
            "a player has neither code nor key",
        ),
        (
            &["--listen", "rtsp://127.0.0.1:0", "--seconds", "1"],
            "no player has connected",
        ),
    ] {
        let cam = [&["cam", "--source", "pattern"], arguments].concat();
        fails(&cam, &[said]);
    }
}
