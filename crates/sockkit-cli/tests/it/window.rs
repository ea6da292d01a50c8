//! `sockkit view --window`, on a display of its own.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use sockkit::testing::{
    needs::{Need, met},
    program::Program,
};

use crate::sockkit;

/// A virtual screen.
struct Display {
    server: Child,
    name: String,
}

impl Display {
    fn start(test: &str) -> Option<Self> {
        let needs = ["Xvfb", "xdotool", "xwd"].map(Need::Program);
        if !met(test, &needs) {
            return None;
        }
        // It writes the number of the display that it has chosen.
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "800x600x24"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut number = String::new();
        let output = server.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut number).unwrap();
        let name = format!(":{}", number.trim());
        Some(Self { server, name })
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Vec<u8> {
        let mut command = Command::new(program);
        let output = command.args(arguments).env("DISPLAY", &self.name).output();
        output.unwrap().stdout
    }

    fn view(&self, arguments: &[&str]) -> Program {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sockkit"));
        let fixed = ["view", "--plain", "udp://127.0.0.1:0", "--window"];
        Program::start(
            command
                .args(fixed)
                .args(arguments)
                .env("DISPLAY", &self.name),
        )
    }

    /// Different bytes in a picture of the whole screen: one on an empty one.
    fn shades(&self) -> usize {
        let screen = self.run("xwd", &["-root", "-silent"]);
        let pixels = &screen[screen.len().saturating_sub(800 * 600 * 4)..];
        pixels
            .iter()
            .collect::<std::collections::BTreeSet<_>>()
            .len()
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[track_caller]
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_window_shows_the_picture_and_a_key_ends_it() {
    let Some(display) = Display::start("view in a window") else {
        return;
    };
    let view = display.view(&[]);
    let to = format!("udp://{}", view.listening());
    let search = ["search", "--name", "sockkit view"];
    eventually("no window", || !display.run("xdotool", &search).is_empty());
    let before = display.shades();
    let _cam = sockkit(&["cam", "--plain", "--source", "clip", "--to", &to]);
    eventually("no picture", || display.shades() > before + 50);

    let window = String::from_utf8(display.run("xdotool", &search)).unwrap();
    let window = window.lines().next().unwrap();
    display.run("xdotool", &["windowfocus", window]);
    display.run("xdotool", &["keydown", "q"]);
    let end = view.end();
    assert!(end.status.success(), "{end:?}");
    assert!(
        end.lines.iter().any(|line| line.starts_with("received")),
        "{end:?}"
    );
}

#[test]
fn without_a_display_it_says_so() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockkit"));
    command.args(["view", "--plain", "udp://127.0.0.1:0", "--window"]);
    let end = Program::start(command.env_remove("DISPLAY")).end();
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    assert!(end.errors.contains("--web"), "{end:?}");
    assert!(!end.errors.contains("panicked"), "{end:?}");
}
