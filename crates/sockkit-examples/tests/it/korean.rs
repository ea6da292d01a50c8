//! The Korean README's commands, as a student types them.

use std::{net::TcpListener, path::Path, process::Command};

use sockkit::testing::lab::Lab;

use crate::run::{Program, has_python};

#[test]
fn the_korean_readme_works_as_it_is_written() {
    // A network of its own: the programs use the course's ports.
    let Some(lab) = Lab::new("the Korean README", 1, 0).filter(|_| has_python("the Korean README"))
    else {
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/korean-readme");
    let built = Path::new(env!("CARGO_BIN_EXE_time-server"))
        .parent()
        .unwrap();
    let mut play = Command::new("python3");
    play.arg(script).arg("--built").arg(built);
    let end = lab.host(0).run(|| Program::start(&mut play)).end();
    assert!(end.status.success(), "{end:?}");
    assert_eq!(end.lines.len(), 4, "{end:?}");
}

/// What goes wrong in a first lesson.
#[test]
fn errors_are_told_in_korean_too() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let at_closed = closed.local_addr().unwrap().to_string();
    drop(closed);
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("no.jpg").display().to_string();
    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken_udp = datagrams.local_addr().unwrap().to_string();
    let recording = folder.path().join("o.mp4").display().to_string();
    let refused = "연결이 거부되었습니다";
    let unknown = "이름을 찾을 수 없";
    let in_use = "포트를 이미 다른";
    let absent = "파일이나 폴더가 없습니다";
    says(env!("CARGO_BIN_EXE_time-client"), &[&at_closed], refused);
    says(env!("CARGO_BIN_EXE_tcp-client"), &[&at_closed], refused);
    says(
        env!("CARGO_BIN_EXE_tcp-receivefile"),
        &[&at_closed],
        refused,
    );
    says(
        env!("CARGO_BIN_EXE_time-client"),
        &["no such name"],
        unknown,
    );
    says(
        env!("CARGO_BIN_EXE_tcp-receivefile"),
        &["no such name"],
        unknown,
    );
    says(
        env!("CARGO_BIN_EXE_time-server"),
        &["--bind", &taken],
        in_use,
    );
    says(
        env!("CARGO_BIN_EXE_tcp-echo-server"),
        &["--bind", &taken],
        in_use,
    );
    says(
        env!("CARGO_BIN_EXE_tcp-sendfile"),
        &[manifest, "--bind", &taken],
        in_use,
    );
    says(
        env!("CARGO_BIN_EXE_udp-video-receiver"),
        &["--bind", &taken_udp, "--record", &recording],
        in_use,
    );
    says(
        env!("CARGO_BIN_EXE_udp-video-sender"),
        &["--source", &picture],
        absent,
    );
    says(
        env!("CARGO_BIN_EXE_tcp-video-client"),
        &[&at_closed],
        refused,
    );
    says(
        env!("CARGO_BIN_EXE_udp-echo-client"),
        &["no such name"],
        unknown,
    );
    says(
        env!("CARGO_BIN_EXE_udp-echo-server"),
        &["--bind", &taken_udp],
        in_use,
    );
    says(env!("CARGO_BIN_EXE_udp-file"), &["s", &picture], absent);
    says(env!("CARGO_BIN_EXE_p2p-chat"), &["--bind", &taken], in_use);
}

#[track_caller]
fn says(program: &str, arguments: &[&str], said: &str) {
    let mut command = Command::new(program);
    command.args(arguments).env("LC_ALL", "ko_KR.UTF-8");
    let end = Program::start(&mut command).end();
    assert!(!end.status.success(), "{program}: {end:?}");
    assert!(
        end.errors.contains(said),
        "{program} {arguments:?}: {end:?}"
    );
}
