//! Every program of the course is there, and its help begins with its name in
//! the course.

use std::path::Path;

use crate::run::program;

/// Binary, and what the first line of its help says.
const PROGRAMS: [(&str, &str); 27] = [
    (env!("CARGO_BIN_EXE_time-server"), "time_server.py"),
    (env!("CARGO_BIN_EXE_time-client"), "time_client.py"),
    (
        env!("CARGO_BIN_EXE_tcp-echo-server-demo"),
        "TCP_echoserver_demo.py",
    ),
    (env!("CARGO_BIN_EXE_tcp-client-demo"), "TCP_client_demo.py"),
    (env!("CARGO_BIN_EXE_tcp-echo-server"), "TCP_echoserver.py"),
    (env!("CARGO_BIN_EXE_tcp-client"), "TCP_client.py"),
    (
        env!("CARGO_BIN_EXE_tcp-process-server"),
        "TCP_processs_server.py",
    ),
    (
        env!("CARGO_BIN_EXE_my-tcp-server-ex01"),
        "MyTCPServer_ex01.py",
    ),
    (env!("CARGO_BIN_EXE_tcp-sendfile"), "TCP_sendfile.py"),
    (env!("CARGO_BIN_EXE_tcp-receivefile"), "TCP_receivefile.py"),
    (env!("CARGO_BIN_EXE_tcp-video-server"), "video_server.py"),
    (env!("CARGO_BIN_EXE_tcp-video-client"), "video_client.py"),
    (env!("CARGO_BIN_EXE_udp-echo-server"), "UDP echo server"),
    (env!("CARGO_BIN_EXE_udp-echo-client"), "UDP echo client"),
    (env!("CARGO_BIN_EXE_udp-file"), "UDP file"),
    (env!("CARGO_BIN_EXE_udp-video-sender"), "UDP video sender"),
    (
        env!("CARGO_BIN_EXE_udp-video-receiver"),
        "UDP video receiver",
    ),
    (env!("CARGO_BIN_EXE_broadcast-sender"), "broadcast sender"),
    (
        env!("CARGO_BIN_EXE_broadcast-receiver"),
        "broadcast receiver",
    ),
    (env!("CARGO_BIN_EXE_multicast-sender"), "multicast sender"),
    (
        env!("CARGO_BIN_EXE_multicast-receiver"),
        "multicast receiver",
    ),
    (env!("CARGO_BIN_EXE_sockopts"), "setsockopt"),
    (env!("CARGO_BIN_EXE_struct-pack"), "struct module"),
    (env!("CARGO_BIN_EXE_interfaces"), "ipconfig /all"),
    (env!("CARGO_BIN_EXE_p2p-chat"), "peer-to-peer"),
    (env!("CARGO_BIN_EXE_multiplex"), "socketserver"),
    (env!("CARGO_BIN_EXE_backpressure"), "buffers"),
];

#[test]
fn help_begins_with_the_name_in_the_course() {
    for (path, name) in PROGRAMS {
        let end = program(path, &["--help"]).end();
        assert!(end.status.success(), "{path}: {end:?}");
        let first = &end.lines[0];
        assert!(first.contains(name), "{path}: {first:?} lacks {name:?}");
    }
}

/// Programs that send nothing to another machine.
const LOCAL: [&str; 5] = [
    "setsockopt",
    "struct module",
    "ipconfig /all",
    "buffers",
    "socketserver",
];

#[test]
fn help_says_that_the_network_reads_what_is_sent() {
    for (path, name) in PROGRAMS {
        let end = program(path, &["--help"]).end();
        let says = end.lines.join(" ").contains("nothing is encrypted");
        assert_eq!(says, !LOCAL.contains(&name), "{path}: {:?}", end.lines);
    }
}

#[test]
fn no_program_is_left_out() {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin");
    assert_eq!(std::fs::read_dir(programs).unwrap().count(), PROGRAMS.len());
}

#[test]
fn a_reader_that_has_gone_ends_a_program_quietly() {
    for (binary, arguments) in [
        (env!("CARGO_BIN_EXE_sockopts"), &[][..]),
        (env!("CARGO_BIN_EXE_interfaces"), &[]),
        (env!("CARGO_BIN_EXE_struct-pack"), &["<b", "1"]),
        (
            env!("CARGO_BIN_EXE_time-server"),
            &["--bind", "127.0.0.1:0"],
        ),
    ] {
        let (reader, output) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = std::process::Command::new(binary);
        let ended = command.args(arguments).stdout(output).output().unwrap();
        assert_eq!(ended.status.code(), Some(141), "{binary}: {ended:?}");
        assert!(ended.stderr.is_empty(), "{binary}: {ended:?}");
    }
}
