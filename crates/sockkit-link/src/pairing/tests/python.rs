//! The messages against a second implementation, in Python, written from
//! `docs/wire/pair.md`.

use std::{
    io::{Read, Write},
    process::{Child, Command, Stdio},
};

use sockkit_testing::needs::{Need, met};

use super::*;
use crate::pairing::wire;

fn python(arguments: &[&str]) -> Command {
    let mut python = Command::new("python3");
    python.args(["-c", include_str!("peer.py")]).args(arguments);
    python
}

fn is_there(test: &str) -> bool {
    met(test, &[Need::Program("python3")])
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The vectors, by this implementation.
fn vectors() -> String {
    let bound = Bound {
        dialler: [0xd1; 32].into(),
        listener: [0x15; 32].into(),
        binding: [0xb1; 32],
    };
    let mut text = String::new();
    for shown in ["7-coral-lamp", "coral-lamp-orbit"] {
        let half = |role, seed| Half::new(role, &bound, &code(shown), [seed; 64]);
        let (dialler, listener) = (half(Role::Dialler, 1), half(Role::Listener, 2));
        let elements = [dialler.element(), listener.element()];
        let tags = [
            dialler.finish(&elements[1]).unwrap().own,
            listener.finish(&elements[0]).unwrap().own,
        ];
        for (label, value) in [
            ("code", shown.to_owned()),
            ("dialler's element", to_hex(&elements[0])),
            ("listener's element", to_hex(&elements[1])),
            ("dialler's tag", to_hex(&tags[0])),
            ("listener's tag", to_hex(&tags[1])),
        ] {
            text += &format!("{label}: {value}\n");
        }
    }
    text
}

/// Without the keys, which never leave this one.
fn without_keys(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with("key: "));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_vectors_are_those_of_the_document() {
    let document = include_str!("../../../../../docs/wire/pair.md");
    let block = document.split("```text vectors\n").nth(1).unwrap();
    let listed = block.split("```").next().unwrap();
    assert_eq!(without_keys(listed), vectors());
    if is_there("pairing vectors in Python") {
        let output = python(&["vectors"]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), listed);
    }
}

fn start(role: &str, code: &str, bound: &Bound) -> Child {
    let hex = |bytes: &[u8; 32]| to_hex(bytes);
    let [dialler, listener] = [bound.dialler, bound.listener].map(|key| hex(key.as_bytes()));
    let seed = "5a".repeat(64);
    python(&[
        role,
        code,
        &dialler,
        &listener,
        &hex(&bound.binding),
        &seed,
        "뱀",
    ])
    .stdin(Stdio::piped())
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap()
}

fn read<const BYTES: usize>(child: &mut Child) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut bytes)
        .unwrap();
    bytes
}

fn write(child: &mut Child, bytes: &[u8]) {
    let pipe = child.stdin.as_mut().unwrap();
    pipe.write_all(bytes).and_then(|()| pipe.flush()).unwrap();
}

/// What it says at its end, and whether it paired.
fn end(child: Child) -> (bool, String) {
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.success(), said.trim().to_owned())
}

#[test]
fn a_dialler_in_python_is_let_in_by_the_right_code_alone() {
    if !is_there("a dialler in Python") {
        return;
    }
    for (typed, right) in [("7 Coral-LAMP", true), ("7-coral-river", false)] {
        let bound = bound(1);
        let mut child = start("dialler", typed, &bound);
        let hello = Hello::parse(read(&mut child)).unwrap();
        assert_eq!(hello.number, 7);
        let answering =
            Answering::new(&bound, &code("7-coral-lamp"), [3; 64], &read(&mut child)).unwrap();
        write(&mut child, &wire::proceed(&answering.element()));
        match answering.confirm(&read(&mut child)) {
            Some(own) => {
                write(
                    &mut child,
                    &[&wire::proceed(&own)[..], &wire::name("desk")].concat(),
                );
                let [length] = read(&mut child);
                assert_eq!(length, 3);
                assert_eq!(read::<3>(&mut child), "뱀".as_bytes());
                write(&mut child, &[wire::PROCEED]);
                assert_eq!(end(child), (true, "desk".to_owned()));
                assert!(right);
            }
            None => {
                write(&mut child, &[Refusal::Wrong.byte()]);
                assert_eq!(end(child), (false, "refused: 5".to_owned()));
                assert!(!right);
            }
        }
    }
}

#[test]
fn a_listener_in_python_lets_in_by_the_right_code_alone() {
    if !is_there("a listener in Python") {
        return;
    }
    for (shown, right) in [("coral-lamp-orbit", true), ("coral-lamp-ocean", false)] {
        let bound = bound(2);
        let typed = TypedCode::new(code("coral-lamp-orbit"));
        let mut child = start("listener", shown, &bound);
        let (asking, first) = Asking::new(&bound, &typed, [4; 64]);
        write(&mut child, &first);
        assert_eq!(read(&mut child), [wire::PROCEED]);
        let (confirming, tag) = asking.answer(&read(&mut child)).unwrap();
        write(&mut child, &tag);
        let [status] = read(&mut child);
        assert_eq!(status == wire::PROCEED, right);
        if right {
            confirming.confirm(&read(&mut child)).unwrap();
            let [length] = read(&mut child);
            assert_eq!(length, 3);
            let _name: [u8; 3] = read(&mut child);
            write(&mut child, &wire::name("laptop"));
            assert_eq!(read(&mut child), [wire::PROCEED]);
            assert_eq!(end(child), (true, "laptop".to_owned()));
        } else {
            assert_eq!(end(child), (false, "wrong code".to_owned()));
        }
    }
}
