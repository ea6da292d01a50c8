//! What a user is shown and asked, on a terminal.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
};

use sockkit::testing::program::Program;

use crate::{
    fails,
    send_receive::{Desk, fails_last, send},
    sockkit, sockkit_on_terminal,
};

/// Starts a receiver that asks, and waits until it listens.
pub(crate) fn receiver(desk: &Desk, arguments: &[&str]) -> (Program, String) {
    let into = desk.into.path().to_str().unwrap();
    let fixed = [
        "receive",
        "--plain",
        "--into",
        into,
        "--listen",
        "127.0.0.1:0",
    ];
    let program = sockkit_on_terminal(&[&fixed, arguments].concat());
    let address = program.listening().to_string();
    (program, address)
}

/// A sender's hello, called `name`, and an offer of empty executable files.
fn offer(name: &str, files: &[&str]) -> Vec<u8> {
    let frame = |kind: u8, body: &[u8]| {
        let length = 1 + body.len() as u64;
        [&length.to_be_bytes()[..], &[kind], body].concat()
    };
    let text = name.as_bytes();
    let hello = [
        b"SKFT\0\x02\0",
        &[u8::try_from(text.len()).unwrap()][..],
        text,
    ]
    .concat();
    let count = u32::try_from(files.len()).unwrap();
    let mut offer = [&[1, 0, 0, 0, 0], &count.to_be_bytes()[..]].concat();
    for file in files {
        // A file that may be executed, with no size nor time.
        offer.extend_from_slice(b"\0\0\x01\xed");
        offer.extend_from_slice(&[0; 20]);
        offer.extend_from_slice(&u16::try_from(file.len()).unwrap().to_be_bytes());
        offer.extend_from_slice(file.as_bytes());
        offer.extend_from_slice(&[0; 2]);
    }
    [frame(1, &hello), frame(2, &offer)].concat()
}

#[test]
fn the_receiver_asks_and_anything_but_yes_is_a_no() {
    let desk = Desk::new();
    let path = desk.write("a", b"a");
    for (answer, taken) in [("n", false), ("", false), ("nope", false), ("y", true)] {
        let (mut receiver, address) = receiver(&desk, &[]);
        let sender = send(&[&path], &address);
        receiver.wait_for_error("[y/N]");
        receiver.type_line(answer);
        let (sent, received) = (sender.end(), receiver.end());
        assert_eq!(sent.status.success(), taken, "{answer:?}: {sent:?}");
        assert_eq!(received.status.success(), taken, "{answer:?}");
        assert_eq!(desk.arrived("a").exists(), taken, "{answer:?}");
        if !taken {
            assert!(sent.errors.contains("declined"), "{sent:?}");
        }
    }
}

#[test]
fn what_was_typed_before_the_question_is_no_answer() {
    let desk = Desk::new();
    let path = desk.write("a", b"a");
    let (mut receiver, address) = receiver(&desk, &[]);
    receiver.type_line("y");
    let sender = send(&[&path], &address);
    receiver.wait_for_error("[y/N]");
    receiver.type_line("n");
    let (sent, received) = (sender.end(), receiver.end());
    assert!(!sent.status.success(), "{sent:?}");
    assert!(received.errors.contains("declined"), "{received:?}");
    assert!(!desk.arrived("a").exists());
}

#[test]
fn an_answer_is_for_one_question() {
    let desk = Desk::new();
    let (one, two) = (desk.write("one", b"1"), desk.write("two", b"2"));
    let (mut receiver, address) = receiver(&desk, &["--keep-listening"]);
    let first = send(&[&one], &address);
    receiver.wait_for_error("offers 1 file");
    receiver.wait_for_error("[y/N]");
    receiver.type_line("y");
    receiver.type_line("y");
    assert!(first.end().status.success());
    let second = send(&[&two], &address);
    receiver.wait_for_error("[y/N]");
    // The end of input is a no, and the second `y` was for nothing.
    receiver.close_input();
    let second = second.end();
    assert!(!second.status.success(), "{second:?}");
    assert!(!desk.arrived("two").exists());
    receiver.interrupt();
}

#[test]
fn hidden_files_and_programs_cannot_be_hidden_behind_others() {
    let desk = Desk::new();
    let (mut receiver, address) = receiver(&desk, &[]);
    let harmless: Vec<_> = (0..40).map(|number| format!("../{number}")).collect();
    let mut files: Vec<_> = harmless.iter().map(String::as_str).collect();
    files.extend([
        ".bashrc",
        ".git/hooks/pre-commit",
        "report.pdf\u{2003}\u{2003}.exe",
    ]);
    let mut liar = TcpStream::connect(&address).unwrap();
    let name = "user@desk) offers 1 file, 12 B:\u{1b}[31m holiday.jpg";
    liar.write_all(&offer(name, &files)).unwrap();
    receiver.wait_for_error("[y/N]");
    receiver.type_line("n");
    let _ = liar.read_to_end(&mut Vec::new());
    let said = receiver.end().errors;
    for shown in [
        "hidden or executable, 3:",
        ".bashrc  (hidden, executable)",
        ".git/hooks/pre-commit  (hidden, executable)",
        r"report.pdf\u{2003}\u{2003}.exe  (executable)",
        "3 of them hidden or executable",
        "refused: 40 (name is not allowed on the receiving system)",
        "--keep-executable",
        "calls itself \"user@desk) offers 1 file, 12 B:\"…, offers 43 files",
    ] {
        assert!(said.contains(shown), "{shown}: {said}");
    }
    assert!(!said.contains('\u{1b}') && !said.contains("more"), "{said}");
}

#[test]
fn a_file_becomes_a_program_only_if_the_receiver_says_so() {
    for keep in [false, true] {
        let desk = Desk::new();
        let path = desk.write("run", b"#!/bin/sh\n");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let into = desk.into.path().to_str().unwrap();
        let mut arguments = vec![
            "receive",
            "--plain",
            "--yes",
            "--into",
            into,
            "--listen",
            "127.0.0.1:0",
        ];
        if keep {
            arguments.push("--keep-executable");
        }
        let receiver = sockkit(&arguments);
        let sent = send(&[&path], &receiver.listening().to_string()).end();
        assert!(sent.status.success(), "{sent:?}");
        assert!(receiver.end().status.success());
        let mode = fs::metadata(desk.arrived("run"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o111 != 0, keep, "{mode:o}");
    }
}

#[test]
fn a_sender_that_listens_asks_and_waits_for_the_right_receiver() {
    let desk = Desk::new();
    let path = desk.write("secret", b"secret");
    let mut sender = sockkit_on_terminal(&["send", "--plain", "--listen", "127.0.0.1:0", &path]);
    let address = sender.listening().to_string();
    let into = desk.into.path().to_str().unwrap();
    let fetch = || sockkit(&["receive", "--plain", &address, "--yes", "--into", into]);

    let stranger = fetch();
    sender.wait_for_error("[y/N]");
    sender.type_line("n");
    let declined = stranger.end();
    assert!(declined.errors.contains("declined"), "{declined:?}");
    assert!(!declined.errors.contains("secret"), "{declined:?}");
    assert!(!desk.arrived("secret").exists());

    let receiver = fetch();
    sender.wait_for_error("waiting for another receiver");
    sender.wait_for_error("[y/N]");
    sender.type_line("y");
    assert!(receiver.end().status.success());
    let sent = sender.end();
    assert!(sent.status.success(), "{sent:?}");
    assert!(
        sent.errors
            .contains("connected; it would receive 1 file, 6 B"),
        "{sent:?}"
    );
    assert_eq!(fs::read(desk.arrived("secret")).unwrap(), b"secret");
}

#[test]
fn without_a_terminal_the_option_that_helps_is_named() {
    let desk = Desk::new();
    let path = desk.write("a", b"a");
    let into = desk.into.path().to_str().unwrap();
    fails(
        &[
            "receive",
            "--plain",
            "--into",
            into,
            "--listen",
            "127.0.0.1:0",
        ],
        &["not a terminal", "--yes"],
    );
    fails_last(
        &["send", "--plain", "--listen", "127.0.0.1:0", &path],
        &["not a terminal", "--yes"],
    );
}

#[test]
fn a_sender_is_told_that_it_waits_which_is_no_time_of_the_transfer() {
    let desk = Desk::new();
    let path = desk.write("a", b"");
    let (mut receiver, address) = receiver(&desk, &[]);
    let sender = send(&[&path], &address);
    sender.wait_for_error("waiting for an answer from 127.0.0.1");
    receiver.wait_for_error("receive them? [y/N]");
    // As the y of a Korean keyboard.
    receiver.type_line("ㅛ");
    for end in [sender.end(), receiver.end()] {
        assert!(end.status.success(), "{end:?}");
        assert!(end.errors.contains("0 B moved in 0.0 s"), "{end:?}");
    }
}
