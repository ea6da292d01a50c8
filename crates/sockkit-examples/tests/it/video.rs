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

/// Records ten pictures of an endless sender.
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

const TCP_SERVER: &str = env!("CARGO_BIN_EXE_tcp-video-server");
const TCP_CLIENT: &str = env!("CARGO_BIN_EXE_tcp-video-client");

/// Every body in every order.
fn formats() -> impl Iterator<Item = (&'static str, &'static str)> {
    ["jpeg", "raw", "pickle"]
        .into_iter()
        .flat_map(|body| [(body, "be"), (body, "le")])
}

#[test]
fn tcp_ours_to_ours_and_to_python() {
    let needs = [Need::Program("python3"), Need::PythonModule("cv2")];
    let has_python = met("TCP video to Python", &needs);
    for (body, order) in formats() {
        let format = ["--body", body, "--order", order];
        let fixed = ["--bind", "127.0.0.1:0", "--source", "pattern"];
        let server = program(TCP_SERVER, &[&fixed[..], &format].concat());
        let at = server.listening().to_string();
        let end = program(TCP_CLIENT, &[&[&at, "--frames", "5"][..], &format].concat()).end();
        assert!(end.status.success(), "{body} {order}: {end:?}");
        assert_eq!(end.lines[4..], ["picture 4: 640x480", "received 5"]);
        if has_python {
            let end = twin("tcp_video_client.py", &[&at, "5", body, order]).end();
            assert_eq!(end.lines, ["(480, 640, 3)"; 5], "{body} {order}: {end:?}");
        }
    }
}

#[test]
fn tcp_python_to_ours_recorded() {
    let needs = [
        Need::Program("python3"),
        Need::PythonModule("cv2"),
        Need::Program("ffprobe"),
    ];
    if !met("TCP video from Python", &needs) {
        return;
    }
    for (body, order) in formats() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("film.mp4");
        let server = twin("tcp_video_server.py", &["127.0.0.1:0", body, order]);
        let at = server.listening().to_string();
        let arguments = [
            &at,
            "--frames",
            "5",
            "--body",
            body,
            "--order",
            order,
            "--record",
            file.to_str().unwrap(),
        ];
        let end = program(TCP_CLIENT, &arguments).end();
        assert!(end.status.success(), "{body} {order}: {end:?}");
        assert_eq!(end.lines[5], "received 5", "{body} {order}: {end:?}");
        assert_eq!(frames_by_opencv(&file), "5 480 640", "{body} {order}");
    }
}

/// Pictures in a recording, and the shape of the last, as OpenCV reads them.
fn frames_by_opencv(file: &std::path::Path) -> String {
    let script = "import cv2, sys\n\
        film, count = cv2.VideoCapture(sys.argv[1]), 0\n\
        while True:\n    \
            good, frame = film.read()\n    \
            if not good: break\n    \
            count, shape = count + 1, frame.shape\n\
        print(count, *shape[:2])";
    let output = Command::new("python3")
        .args(["-c", script])
        .arg(file)
        .output();
    String::from_utf8(output.unwrap().stdout)
        .unwrap()
        .trim()
        .to_owned()
}

#[test]
fn a_body_of_another_kind_is_refused_by_name() {
    for (sent, expected, told) in [
        ("jpeg", "pickle", "pickle"),
        ("pickle", "jpeg", "jpeg"),
        ("jpeg", "raw", "--width"),
    ] {
        let fixed = [
            "--bind",
            "127.0.0.1:0",
            "--source",
            "pattern",
            "--body",
            sent,
        ];
        let server = program(TCP_SERVER, &fixed);
        let at = server.listening().to_string();
        let end = program(TCP_CLIENT, &[&at, "--frames", "5", "--body", expected]).end();
        assert!(!end.status.success(), "{sent} as {expected}");
        let errors = end.errors.to_lowercase();
        assert!(errors.contains(told), "{sent} as {expected}: {errors}");
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

/// The notes' own server and client, and any other: nothing has to be said.
#[test]
fn the_client_goes_by_the_first_bytes() {
    for (body, order) in formats() {
        let fixed = ["--bind", "localhost:0", "--source", "pattern"];
        let server = program(
            TCP_SERVER,
            &[&fixed[..], &["--body", body, "--order", order]].concat(),
        );
        let at = server.listening().to_string();
        let hint = "a client of the notes needs a server with --body pickle --order le";
        if (body, order) != ("pickle", "le") {
            assert_eq!(server.line(), hint);
        }
        let end = program(TCP_CLIENT, &[&at, "--frames", "2"]).end();
        assert!(end.status.success(), "{body} {order}: {end:?}");
        assert_eq!(
            end.lines,
            ["picture 0: 640x480", "picture 1: 640x480", "received 2"]
        );
    }
}

/// Serves these bodies to one client, each behind its length.
fn serve(bodies: Vec<Vec<u8>>) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        for body in bodies {
            let framed = [&(body.len() as u64).to_be_bytes()[..], &body].concat();
            if std::io::Write::write_all(&mut client, &framed).is_err() {
                return;
            }
        }
    });
    address.to_string()
}

fn image(shade: u8) -> Vec<u8> {
    use sockkit::picture::{Picture, PixelFormat, jpeg};

    let gray = Picture::new(PixelFormat::Gray, 64, 48, vec![shade; 64 * 48]).unwrap();
    jpeg::encode(&gray, 80).unwrap().into_data().to_vec()
}

#[test]
fn a_damaged_picture_costs_one_picture_of_a_recording() {
    let folder = tempfile::tempdir().unwrap();
    let good = image(99);
    let cut = good[..good.len() / 2].to_vec();
    let bodies = vec![
        vec![],
        good.clone(),
        cut.clone(),
        good.clone(),
        b"no picture".to_vec(),
        good,
    ];
    for record in [false, true] {
        let file = folder.path().join("film.mp4");
        let at = serve(bodies.clone());
        let mut arguments = vec![at.as_str()];
        if record {
            arguments.extend(["--record", file.to_str().unwrap()]);
        }
        let end = program(TCP_CLIENT, &arguments).end();
        assert!(end.status.success(), "{end:?}");
        assert_eq!(end.lines.last().unwrap(), "received 3, left out 2 damaged");
        assert_eq!(file.exists(), record);
    }
}

/// A camera that damages a picture: the server must not end with it.
#[test]
fn a_damaged_picture_costs_a_server_one_picture() {
    let folder = tempfile::tempdir().unwrap();
    let clip = folder.path().join("clip.mjpeg");
    let good = image(40);
    let mut damaged = image(200);
    let scan = damaged.len() - 6;
    damaged.truncate(scan);
    damaged.extend([0xff, 0xd9]);
    std::fs::write(&clip, [&good[..], &damaged, &good].concat()).unwrap();
    let source = ["--bind", "127.0.0.1:0", "--source", clip.to_str().unwrap()];
    for body in ["raw", "pickle"] {
        let server = program(TCP_SERVER, &[&source[..], &["--body", body]].concat());
        let at = server.listening().to_string();
        let end = program(TCP_CLIENT, &[&at, "--frames", "9", "--width", "64"]).end();
        assert!(end.status.success(), "{body}: {end:?}");
    }
}

#[test]
fn a_length_in_the_other_order_points_at_the_order() {
    let server = [
        "--bind",
        "127.0.0.1:0",
        "--source",
        "pattern",
        "--order",
        "le",
    ];
    let server = program(TCP_SERVER, &server);
    let address = server.listening().to_string();
    let end = program(TCP_CLIENT, &[&address, "--order", "be"]).end();
    assert!(
        !end.status.success() && end.errors.contains("--order"),
        "{end:?}"
    );
}
