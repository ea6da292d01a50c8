//! Names in place of addresses, between two hosts of the lab.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use sockkit::testing::{
    lab::{Host, Lab},
    program::{Program, ProgramOutput},
};
use tempfile::TempDir;

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
    let line = line.strip_suffix(" --plain").unwrap();
    line.rsplit(' ').next().unwrap().to_owned()
}

/// A machine: a host of the lab, and a user's home.
pub(crate) struct Machine<'a> {
    host: &'a Host,
    pub(crate) home: TempDir,
}

impl<'a> Machine<'a> {
    pub(crate) fn new(host: &'a Host) -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("film"), "hello").unwrap();
        Self { host, home }
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Program {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sockkit"));
        command
            .args(arguments)
            .current_dir(self.home.path())
            .env("USER", "unmistakable-user")
            .env("XDG_STATE_HOME", self.home.path().join("state"));
        self.host.run(|| Program::start(&mut command))
    }

    /// Types the line that the other side shows.
    fn typed(&self, line: &str) -> ProgramOutput {
        let line = line.replace("FILE", "film");
        let words: Vec<_> = line.split(' ').skip(1).collect();
        let yes = (words[0] == "receive").then_some(["--into", "in", "--yes"]);
        self.run(&[&words[..], yes.as_ref().map_or(&[], |yes| &yes[..])].concat())
            .end()
    }

    /// Until the record of an unfinished file, whose head has 28 bytes, names a block.
    fn wait_for_a_block(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        let is_record = |entry: &std::fs::DirEntry| {
            let is_long = entry.metadata().is_ok_and(|found| found.len() >= 28 + 32);
            is_long
                && entry
                    .path()
                    .extension()
                    .is_some_and(|found| found == "blocks")
        };
        loop {
            let names = std::fs::read_dir(self.home.path().join("in"));
            let mut names = names.into_iter().flatten().flatten();
            if names.any(|entry| is_record(&entry)) {
                return;
            }
            assert!(Instant::now() < deadline, "nothing arrives");
            std::thread::yield_now();
        }
    }

    pub(crate) fn has_received(&self) -> bool {
        let film = self.home.path().join("in/film");
        let whole = std::fs::read(&film).is_ok_and(|bytes| bytes == b"hello");
        let _ = std::fs::remove_file(film);
        whole
    }
}

const RECEIVE: [&str; 4] = ["receive", "--into", "in", "--yes"];

#[test]
fn a_code_is_all_that_is_typed_and_later_a_name() {
    let Some(lab) = Lab::new("find: a code is all that is typed", 2, 1) else {
        return;
    };
    let (desk, laptop) = (Machine::new(lab.host(0)), Machine::new(lab.host(1)));
    // The one that receives shows the code, or the one that sends.
    let receiver = desk.run(&RECEIVE);
    let line = receiver.line_after("there     ");
    assert!(line.starts_with("sockkit send FILE --to "), "{line}");
    assert_eq!(line.split(' ').count(), 5, "{line}");
    let sent = laptop.typed(&line);
    assert!(sent.status.success(), "{sent:?}");
    assert!(receiver.end().status.success() && desk.has_received());

    let sender = desk.run(&["send", "film", "--yes"]);
    let line = sender.line_after("there     ");
    assert!(line.starts_with("sockkit receive "), "{line}");
    let received = laptop.typed(&line);
    assert!(received.status.success(), "{received:?}");
    assert!(sender.end().status.success() && laptop.has_received());

    // Both know each other by now, and whatever desk is announced as, its key is meant.
    let listed = laptop.run(&["peers"]).end().lines;
    let key = listed[0].split(' ').next().unwrap();
    let named = laptop.run(&["peers", "rename", key, "desk"]).end();
    assert!(named.status.success(), "{named:?}");
    let receiver = desk.run(&RECEIVE);
    receiver.line_after("there     ");
    let sent = laptop.run(&["send", "film", "--to", "desk"]).end();
    assert!(sent.status.success(), "{sent:?}");
    assert!(
        sent.errors.contains("\"desk\"") && sent.errors.contains("known"),
        "{sent:?}"
    );
    assert!(receiver.end().status.success() && desk.has_received());
}

#[test]
fn what_was_interrupted_after_a_code_is_resumed_by_the_line_that_is_printed() {
    let Some(lab) = Lab::new("find: an interrupted transfer is resumed", 2, 1) else {
        return;
    };
    let (desk, laptop) = (Machine::new(lab.host(0)), Machine::new(lab.host(1)));
    let film = std::fs::File::create(laptop.home.path().join("film")).unwrap();
    film.set_len(1 << 30).unwrap();
    for gives_up in ["sender", "receiver"] {
        let receiver = desk.run(&RECEIVE);
        let line = receiver.line_after("there     ").replace("FILE", "film");
        let words: Vec<_> = line.split(' ').skip(1).collect();
        let sender = laptop.run(&words);
        desk.wait_for_a_block();
        match gives_up {
            "sender" => sender.interrupt(),
            _ => receiver.interrupt(),
        }
        let (sent, received) = (sender.end(), receiver.end());
        assert!(!sent.status.success() && !received.status.success());
        // Each side names the line for the sender, which alone knows where the file is.
        let resumes = |errors: &str, file: &str| {
            let line = errors.lines().last().unwrap();
            let (_, to) = line.split_once(&format!(": sockkit send {file} --to "))?;
            Some(to.to_owned())
        };
        let to = resumes(&sent.errors, "film").unwrap_or_else(|| panic!("{sent:?}"));
        let there = resumes(&received.errors, "FILE");
        assert_eq!(there.as_deref(), Some(&*to), "{received:?}");

        let receiver = desk.run(&RECEIVE);
        receiver.line_after("there     ");
        let sent = laptop.run(&["send", "film", "--to", &to]).end();
        assert!(sent.status.success(), "{sent:?}");
        let moved = sent.errors.lines().find(|line| line.contains(" moved in "));
        let moved = moved.expect("what was moved is told");
        assert!(!moved.contains("1.00 GiB"), "{moved}");
        assert!(receiver.end().status.success());
        let film = desk.home.path().join("in/film");
        assert_eq!(film.metadata().unwrap().len(), 1 << 30);
        std::fs::remove_file(film).unwrap();
    }
}

#[test]
fn what_has_not_begun_is_not_said_to_resume() {
    let receiver = sockkit(&["receive", "--plain", "--yes", "--listen", "127.0.0.1:0"]);
    receiver.listening();
    receiver.interrupt();
    let end = receiver.end();
    assert_eq!(
        end.errors.lines().last(),
        Some("sockkit: stopped"),
        "{end:?}"
    );
}

#[test]
fn a_stranger_that_announces_a_known_name_gets_nothing() {
    let Some(lab) = Lab::new("find: a stranger with a known name", 2, 1) else {
        return;
    };
    let (laptop, stranger) = (Machine::new(lab.host(0)), Machine::new(lab.host(1)));
    let receiver = stranger.run(&RECEIVE);
    let there = receiver.line_after("there     ");
    let found = laptop.run(&["find"]).end().lines.concat();
    let name = found.split_whitespace().nth(5).unwrap().to_owned();
    // Not paired with any machine of that name, and then with another one.
    let sent = laptop.run(&["send", "film", "--to", &name]).end();
    assert!(sent.errors.contains("is not paired with"), "{sent:?}");
    let desk = Machine::new(lab.host(0));
    let listen = ["--listen", "127.0.0.1:0", "--code", "7-coral-lamp"];
    let waiting = desk.run(&[&RECEIVE[..], &listen].concat());
    let place = waiting.line_after("listening on ");
    let sent = laptop
        .run(&["send", "film", "--to", &place, "--code", "7-coral-lamp"])
        .end();
    assert!(sent.status.success(), "{sent:?}");
    assert!(waiting.end().status.success() && desk.has_received());
    let listed = laptop.run(&["peers"]).end().lines;
    let key = listed[0].split(' ').next().unwrap();
    laptop.run(&["peers", "rename", key, &name]).end();
    let sent = laptop.run(&["send", "film", "--to", &name]).end();
    assert!(
        sent.errors.contains("no receiver with that key"),
        "{sent:?}"
    );
    receiver.kill();
    assert!(!stranger.has_received(), "{there}");
}

#[test]
fn a_camera_is_found_and_viewed_by_its_name() {
    let Some(lab) = Lab::new("find: a camera is viewed by its name", 2, 1) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("one.jpg");
    let cam = lab.host(0).run(|| {
        sockkit(&[
            "cam",
            "--plain",
            "--source",
            "pattern",
            "--listen",
            "tcp://0.0.0.0:0",
        ])
    });
    let line = cam.line_after("there     ");
    let snapshot = ["--snapshot", picture.to_str().unwrap()];
    let viewed = typed(lab.host(1), &line, &snapshot).end();
    assert!(viewed.status.success(), "{viewed:?}");
    assert!(picture.metadata().unwrap().len() > 1_000);

    // A user who names no camera is told which there are.
    for command in ["find", "view"] {
        let found = lab.host(1).run(|| sockkit(&[command])).end();
        assert!(found.status.success(), "{found:?}");
        let address = format!("tcp://{}:", lab.host(0).port(0).ipv4());
        let listed = found.lines.iter().any(|found| {
            found.starts_with("camera ")
                && found.contains(line.strip_suffix(" --plain").unwrap())
                && found.contains(&address)
        });
        assert!(listed, "{command}: {found:?}");
    }
    // It says goodbye, so that nothing keeps its name.
    cam.interrupt();
    assert_eq!(cam.end().status.code(), Some(130));
    let gone = lab
        .host(1)
        .run(|| sockkit(&["find", "--seconds", "1"]))
        .end();
    assert!(!gone.status.success(), "{gone:?}");
    let none = lab.host(1).run(|| sockkit(&["view"])).end();
    assert!(none.errors.contains("no camera was found"), "{none:?}");
}

#[test]
fn a_camera_is_viewed_by_its_code_and_then_by_the_name_of_a_known_machine() {
    let Some(lab) = Lab::new("find: a camera is viewed by its code", 2, 1) else {
        return;
    };
    let (porch, laptop) = (Machine::new(lab.host(0)), Machine::new(lab.host(1)));
    let cam = porch.run(&["cam", "--source", "pattern"]);
    let line = cam.line_after("there     ");
    let words: Vec<_> = line.split(' ').skip(1).collect();
    assert_eq!((words[0], words.len()), ("view", 2), "{line}");
    let seen = |camera: &str, picture: &str| {
        let end = laptop.run(&["view", camera, "--snapshot", picture]).end();
        assert!(end.status.success(), "{end:?}");
        laptop.home.path().join(picture).metadata().unwrap().len() > 1_000
    };
    assert!(seen(words[1], "one.jpg"));
    let listed = laptop.run(&["peers"]).end().lines;
    let key = listed[0].split(' ').next().unwrap();
    laptop.run(&["peers", "rename", key, "porch"]).end();
    assert!(seen("porch", "two.jpg"));
    cam.interrupt();
}

#[test]
fn what_is_not_announced_is_not_found_and_the_error_says_what_to_look_at() {
    let Some(lab) = Lab::new("find: not announced", 2, 1) else {
        return;
    };
    let arguments = [
        "cam",
        "--plain",
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
        &["view", "--plain", "porch", "--seconds", "9"],
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
    let arguments = [
        "cam",
        "--plain",
        "--source",
        "pattern",
        "--listen",
        "tcp://0.0.0.0:0",
    ];
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
        let arguments = ["view", "--plain", &names[0], "--snapshot", "/dev/null"];
        let end = lab
            .host(1)
            .run(|| sockkit_in(folder.path(), &arguments))
            .end();
        end.errors.contains("several are called")
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
    let cam = lab.host(0).run(|| {
        sockkit(&[
            "cam",
            "--plain",
            "--source",
            "pattern",
            "--listen",
            "tcp://0.0.0.0:0",
        ])
    });
    cam.wait_for_error("others do not find this machine by name");
}
