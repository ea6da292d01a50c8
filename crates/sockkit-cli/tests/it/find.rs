//! Names in place of addresses, between two hosts of the lab.

use sockkit::testing::{
    lab::{Host, Lab},
    program::Program,
};

use crate::{sockkit, sockkit_in};

/// Runs a line as it was printed by the other side, in a host.
fn typed(host: &Host, line: &str, more: &[&str]) -> Program {
    let words: Vec<_> = line
        .split(' ')
        .skip(1)
        .chain(more.iter().copied())
        .collect();
    host.run(|| sockkit(&words))
}

/// The last word of the line that is to be typed on the other side.
fn name_in(line: &str) -> String {
    line.rsplit(' ').next().unwrap().to_owned()
}

#[test]
fn a_file_is_sent_to_a_name() {
    let Some(lab) = Lab::new("find: a file is sent to a name", 2, 1) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    std::fs::write(&path, "hello").unwrap();
    let receiver = lab.host(0).run(|| {
        let arguments = ["receive", "--into", "in", "--yes", "--listen", "0.0.0.0:0"];
        sockkit_in(folder.path(), &arguments)
    });
    let line = receiver.line_after("there     ");
    assert!(line.starts_with("sockkit send FILE --to "), "{line}");
    let line = line.replace("FILE", path.to_str().unwrap());
    let sent = typed(lab.host(1), &line, &[]).end();
    assert!(sent.status.success(), "{sent:?}");
    assert!(receiver.end().status.success());
    assert_eq!(std::fs::read(folder.path().join("in/a")).unwrap(), b"hello");
}

#[test]
fn a_camera_is_found_and_viewed_by_its_name() {
    let Some(lab) = Lab::new("find: a camera is viewed by its name", 2, 1) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("one.jpg");
    let cam = lab
        .host(0)
        .run(|| sockkit(&["cam", "--source", "pattern", "--listen", "tcp://0.0.0.0:0"]));
    let line = cam.line_after("there     ");
    let snapshot = ["--snapshot", picture.to_str().unwrap()];
    let viewed = typed(lab.host(1), &line, &snapshot).end();
    assert!(viewed.status.success(), "{viewed:?}");
    assert!(picture.metadata().unwrap().len() > 1_000);

    let found = lab.host(1).run(|| sockkit(&["find"])).end();
    assert!(found.status.success(), "{found:?}");
    let address = format!("tcp://{}:", lab.host(0).port(0).ipv4());
    let listed = found.lines.iter().any(|found| {
        found.starts_with("camera ") && found.contains(&line) && found.contains(&address)
    });
    assert!(listed, "{found:?}");
    // It says goodbye, so that nothing keeps its name.
    cam.interrupt();
    assert_eq!(cam.end().status.code(), Some(130));
    let gone = lab
        .host(1)
        .run(|| sockkit(&["find", "--seconds", "1"]))
        .end();
    assert!(!gone.status.success(), "{gone:?}");
}

#[test]
fn what_is_not_announced_is_not_found_and_the_error_says_what_to_look_at() {
    let Some(lab) = Lab::new("find: not announced", 2, 1) else {
        return;
    };
    let arguments = [
        "cam",
        "--source",
        "pattern",
        "--listen",
        "tcp://0.0.0.0:0",
        "--no-announce",
    ];
    let cam = lab.host(0).run(|| sockkit(&arguments));
    cam.line_after("listening on ");
    for arguments in [
        &["find", "--seconds", "1"][..],
        &["view", "porch", "--seconds", "9"],
    ] {
        let end = lab.host(1).run(|| sockkit(arguments)).end();
        assert!(!end.status.success(), "{end:?}");
        assert!(end.errors.contains("UDP port 5353"), "{end:?}");
        assert_eq!(end.errors.trim_end().lines().count(), 1, "{end:?}");
    }
    let beside = lab
        .host(0)
        .run(|| sockkit(&["find", "--seconds", "1"]))
        .end();
    assert!(!beside.status.success(), "{beside:?}");
}

#[test]
fn two_cameras_of_one_host_are_listed_under_names_that_lead_to_one_each() {
    let Some(lab) = Lab::new("find: two cameras of one host", 2, 1) else {
        return;
    };
    let arguments = ["cam", "--source", "pattern", "--listen", "tcp://0.0.0.0:0"];
    let cameras = [(); 2].map(|()| lab.host(0).run(|| sockkit(&arguments)));
    let names = cameras
        .each_ref()
        .map(|cam| name_in(&cam.line_after("there     ")));
    assert_eq!(names[0], names[1]);
    let both = loop {
        let found = lab.host(1).run(|| sockkit(&["find"])).end();
        if found.lines.len() == 2 {
            break found.lines;
        }
    };
    for line in &both {
        let full_name = line.split_whitespace().nth(3).unwrap();
        assert!(full_name.starts_with(&format!("{}-", names[0])), "{both:?}");
    }
    // An answer that is lost leaves one of them.
    let folder = tempfile::tempdir().unwrap();
    let refused = (0..10).any(|_| {
        let arguments = ["view", &names[0], "--snapshot", "one.jpg"];
        let end = lab
            .host(1)
            .run(|| sockkit_in(folder.path(), &arguments))
            .end();
        end.errors.contains("the name of several")
    });
    assert!(refused, "{both:?}");
}

#[test]
fn without_a_network_both_sides_say_so() {
    let Some(lab) = Lab::new("find: no network", 1, 1) else {
        return;
    };
    lab.host(0).port(0).delete();
    let end = lab
        .host(0)
        .run(|| sockkit(&["find", "--seconds", "1"]))
        .end();
    assert!(end.errors.contains("attached to no network"), "{end:?}");
    let cam = lab
        .host(0)
        .run(|| sockkit(&["cam", "--source", "pattern", "--listen", "tcp://0.0.0.0:0"]));
    cam.wait_for_error("others do not find this machine by name");
}
