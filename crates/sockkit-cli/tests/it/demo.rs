//! `sockkit demo`.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use sockkit::testing::needs::{Need, met};

use crate::{fails, sockkit, sockkit_in};

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    fails(
        &[
            "demo",
            "--seconds",
            "1",
            "--source",
            "clip",
            "--web",
            &address,
        ],
        &[&address, "in use", "--web"],
    );
}

#[test]
fn a_bad_address_is_named() {
    fails(&["demo", "--web", "nowhere"], &["nowhere", "--web"]);
}

#[test]
fn a_missing_source_is_named() {
    fails(
        &[
            "demo",
            "--source",
            "/no/such/clip.mjpeg",
            "--web",
            "127.0.0.1:0",
        ],
        &["/no/such/clip.mjpeg", "No such file"],
    );
}

#[test]
fn every_step_runs_and_is_summed_up() {
    let [sent, received, lost] = run_two_seconds();
    assert!(
        received > 0 && received + lost <= sent,
        "{sent}, {received}, {lost}"
    );
}

mod real_time {
    use sockkit::testing::real_time::check;

    use super::*;

    #[test]
    #[ignore = "real time"]
    fn a_second_of_pictures_at_least_and_none_is_lost() {
        check("demo: none is lost", || {
            let [sent, received, lost] = run_two_seconds();
            if sent >= 25 && (received, lost) == (sent, 0) {
                return Ok(());
            }
            Err(format!("{sent} sent, {received} received, {lost} lost"))
        });
    }
}

/// Pictures sent, received and lost, of a demo whose every other step ran.
fn run_two_seconds() -> [u64; 3] {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "demo",
        "--seconds",
        "2",
        "--web",
        "127.0.0.1:0",
        "--source",
        "clip",
    ];
    let end = sockkit_in(folder.path(), &arguments).end();
    assert!(end.status.success(), "{end:?}");
    let said = |what: &str| {
        let line = end.lines.iter().find_map(|line| line.strip_prefix(what));
        line.unwrap_or_else(|| panic!("no {what:?} in {:?}", end.lines))
            .trim()
    };
    assert!(said("age").contains(" ms median"), "{end:?}");
    assert!(said("delivered").contains(" over TCP in "), "{end:?}");
    assert!(said("digest").starts_with("equal, "), "{end:?}");
    let names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["sockkit-demo.mp4"], "the copy is gone");
    let sent = said("sent").trim_end_matches(" pictures");
    let (received, lost) = said("received").split_once(", ").unwrap();
    let lost = lost.trim_end_matches(" lost");
    [sent, received, lost].map(|number| number.parse().unwrap())
}

#[test]
fn ctrl_c_closes_the_recording() {
    if !met("demo's recording opens", &[Need::Program("ffprobe")]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("walk.mp4");
    let path = file.to_str().unwrap();
    let demo = sockkit(&[
        "demo",
        "--source",
        "pattern",
        "--web",
        "127.0.0.1:0",
        "--record",
        path,
    ]);
    let page: SocketAddr = demo
        .line_after("watch     http://")
        .trim_end_matches('/')
        .parse()
        .unwrap();
    wait_for_pictures(page, 10);
    demo.interrupt();
    let end = demo.end();
    assert_eq!(end.status.code(), Some(130), "{end:?}");
    let recorded = end
        .lines
        .iter()
        .find_map(|line| line.strip_prefix("recorded  "));
    let frames = recorded.unwrap().split(' ').next().unwrap();
    assert_eq!(frames_in(&file), frames);
}

/// Waits until the viewer has counted so many.
fn wait_for_pictures(page: SocketAddr, wished: u64) {
    let deadline = Instant::now() + Duration::from_secs(30);
    let received = || -> u64 {
        let mut stream = TcpStream::connect(page).unwrap();
        let request = format!("GET /state HTTP/1.1\r\nHost: {page}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, rest) = answer.split_once("\"received\":").unwrap();
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap();
        rest[..digits].parse().unwrap()
    };
    while received() < wished {
        assert!(Instant::now() < deadline, "no pictures");
    }
}

fn frames_in(file: &Path) -> String {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-count_frames", "-select_streams", "v"])
        .args([
            "-show_entries",
            "stream=nb_read_frames",
            "-of",
            "default=nw=1:nk=1",
        ])
        .arg(file)
        .output()
        .unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_recording_that_exists_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("old.mp4");
    fs::write(&file, "old").unwrap();
    let path = file.to_str().unwrap();
    fails(
        &[
            "demo",
            "--seconds",
            "1",
            "--source",
            "clip",
            "--web",
            "127.0.0.1:0",
            "--record",
            path,
        ],
        &["old.mp4", "already", "--record"],
    );
    assert_eq!(fs::read(&file).unwrap(), b"old");
}

#[test]
fn a_recording_that_cannot_be_made_is_named() {
    let path = "/proc/no-such-folder/new.mp4";
    fails(
        &[
            "demo",
            "--seconds",
            "1",
            "--source",
            "clip",
            "--web",
            "127.0.0.1:0",
            "--record",
            path,
        ],
        &[path, "--record"],
    );
}
