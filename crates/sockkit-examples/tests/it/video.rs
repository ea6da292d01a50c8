//! The course's video over UDP, in every direction.

use std::process::Command;

use sockkit::testing::needs::{Need, met};

use crate::run::{Program, program, twin};

const SENDER: &str = env!("CARGO_BIN_EXE_udp-video-sender");
const RECEIVER: &str = env!("CARGO_BIN_EXE_udp-video-receiver");

#[test]
fn ours_to_ours() {
    check_recorded(|to| program(SENDER, &["--to", to, "--source", "pattern"]));
}

#[test]
fn python_to_ours() {
    let needs = [Need::Program("python3"), Need::PythonModule("numpy")];
    if met("UDP video from Python", &needs) {
        check_recorded(|to| twin("udp_video_sender.py", &[to, "1000"]));
    }
}

#[test]
fn ours_to_python() {
    let needs = [Need::Program("python3"), Need::PythonModule("numpy")];
    if !met("UDP video to Python", &needs) {
        return;
    }
    let receiver = twin("udp_video_receiver.py", &["127.0.0.1:0", "5"]);
    let to = receiver.listening().to_string();
    let _sender = program(SENDER, &["--to", &to, "--source", "pattern"]);
    let end = receiver.end();
    assert_eq!(end.lines, ["(480, 640, 3)"; 5], "{end:?}");
}

/// Records ten pictures of a sender that goes on and on.
fn check_recorded(start: impl Fn(&str) -> Program) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("seen.mp4");
    let path = file.to_str().unwrap();
    let receiver = program(
        RECEIVER,
        &["--bind", "127.0.0.1:0", "--frames", "10", "--record", path],
    );
    let to = receiver.listening().to_string();
    let _sender = start(&to);
    let end = receiver.end();
    assert!(end.status.success(), "{end:?}");
    assert!(end.lines[0].starts_with("recorded 10, "), "{end:?}");
    if met("UDP video in ffprobe", &[Need::Program("ffprobe")]) {
        let probed = Command::new("ffprobe")
            .args(["-v", "error", "-count_packets", "-of", "csv=p=0"])
            .args([
                "-show_entries",
                "stream=width,height,r_frame_rate,nb_read_packets",
            ])
            .arg(&file)
            .output()
            .unwrap();
        let probed = String::from_utf8_lossy(&probed.stdout).into_owned();
        assert_eq!(probed.trim(), "640,480,25/1,10");
    }
}

#[test]
fn tcp_ours_to_ours_and_to_python() {
    for order in ["be", "le"] {
        let arguments = [
            "--bind",
            "127.0.0.1:0",
            "--source",
            "pattern",
            "--order",
            order,
        ];
        let server = program(env!("CARGO_BIN_EXE_tcp-video-server"), &arguments);
        let at = server.listening().to_string();
        let client = env!("CARGO_BIN_EXE_tcp-video-client");
        let end = program(client, &[&at, "--frames", "5", "--order", order]).end();
        assert!(end.status.success(), "{end:?}");
        assert_eq!(end.lines[4..], ["picture 4: 640x480", "received 5"]);
        let needs = [Need::Program("python3"), Need::PythonModule("cv2")];
        if order == "le" && met("TCP video to Python", &needs) {
            let end = twin("tcp_video_client.py", &[&at, "5"]).end();
            assert_eq!(end.lines, ["(480, 640, 3)"; 5], "{end:?}");
        }
    }
}

#[test]
fn tcp_video_in_another_width() {
    let server = program(
        env!("CARGO_BIN_EXE_tcp-video-server"),
        &[
            "--bind",
            "127.0.0.1:0",
            "--source",
            "pattern",
            "--width",
            "320",
        ],
    );
    let at = server.listening().to_string();
    let client = env!("CARGO_BIN_EXE_tcp-video-client");
    let end = program(client, &[&at, "--frames", "2"]).end();
    assert_eq!(
        end.lines[..2],
        ["picture 0: 320x240", "picture 1: 320x240"],
        "{end:?}"
    );
}
