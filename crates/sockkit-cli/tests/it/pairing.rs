//! Two people whose machines get to know each other.

use std::{
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use sockkit::testing::program::{Program, ProgramOutput};
use tempfile::{TempDir, tempdir};

/// Two machines' homes, and a file on one.
struct Two {
    desk: TempDir,
    laptop: TempDir,
}

impl Two {
    fn new() -> Self {
        let (desk, laptop) = (tempdir().unwrap(), tempdir().unwrap());
        fs::write(laptop.path().join("film"), b"the film").unwrap();
        fs::create_dir(desk.path().join("in")).unwrap();
        Self { desk, laptop }
    }

    /// Starts a receiver at the desk; where it listens, and the line that it shows.
    fn receiver(&self, listen: &str, arguments: &[&str]) -> (Program, String) {
        let fixed = ["receive", "--into", "in", "--yes", "--listen", listen];
        let program = at(&self.desk, &[&fixed, arguments].concat());
        let place = program.line_after("listening on ");
        (program, place)
    }

    fn send(&self, arguments: &[&str]) -> ProgramOutput {
        at(&self.laptop, &[&["send", "film"], arguments].concat()).end()
    }

    fn has_arrived(&self) -> bool {
        let arrived = self.desk.path().join("in/film");
        let whole = fs::read(&arrived).is_ok_and(|bytes| bytes == b"the film");
        let _ = fs::remove_file(arrived);
        whole
    }
}

/// `sockkit` on that machine, in its home.
fn command_at(home: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockkit"));
    command
        .args(arguments)
        .current_dir(home.path())
        .env("XDG_STATE_HOME", home.path().join("state"));
    command
}

fn at(home: &TempDir, arguments: &[&str]) -> Program {
    Program::start(&mut command_at(home, arguments))
}

fn succeeds(end: &ProgramOutput) {
    assert!(end.status.success(), "{end:?}");
}

#[track_caller]
fn fails(end: &ProgramOutput, words: &[&str]) {
    assert!(!end.status.success(), "{end:?}");
    let last = end.errors.lines().last().unwrap_or_default();
    for word in words {
        assert!(last.contains(word), "{word}: {end:?}");
    }
}

fn fingerprint(home: &TempDir) -> String {
    let end = at(home, &["id"]).end();
    succeeds(&end);
    end.lines[1].clone()
}

fn peers(home: &TempDir) -> Vec<String> {
    let end = at(home, &["peers"]).end();
    succeeds(&end);
    end.lines
}

#[test]
fn a_code_pairs_two_machines_and_later_their_keys_are_enough() {
    for listen in ["127.0.0.1:0", "quic://127.0.0.1:0"] {
        let two = Two::new();
        fs::write(two.laptop.path().join("code"), " 7 Coral lamp\n").unwrap();
        let (receiver, place) = two.receiver(listen, &["--code", "7-coral-lamp"]);
        let sent = two.send(&["--to", &place, "--code-file", "code"]);
        let received = receiver.end();
        succeeds(&sent);
        succeeds(&received);
        assert!(two.has_arrived());
        for side in [&sent, &received] {
            assert!(side.errors.contains("encrypted"), "{side:?}");
            assert!(!side.errors.contains("in the clear"), "{side:?}");
        }
        assert!(
            received.errors.contains("paired by the code"),
            "{received:?}"
        );
        assert!(
            peers(&two.desk)[0].contains("  give  "),
            "{:?}",
            peers(&two.desk)
        );
        assert!(peers(&two.laptop)[0].contains("  none  "));

        let (receiver, place) = two.receiver(listen, &["--known"]);
        succeeds(&two.send(&["--to", &place, "--known"]));
        succeeds(&receiver.end());
        assert!(two.has_arrived());

        // A peer that is forgotten is a stranger.
        let key = fingerprint(&two.laptop);
        succeeds(&at(&two.desk, &["peers", "forget", &key]).end());
        let (receiver, place) = two.receiver(listen, &["--known"]);
        fails(
            &two.send(&["--to", &place, "--known"]),
            &["does not know this machine"],
        );
        receiver.kill();
        assert!(!two.has_arrived());
    }
}

/// The line on the receiver's screen, typed as it stands there.
#[test]
fn what_is_shown_is_the_command_that_works() {
    let two = Two::new();
    let (receiver, _) = two.receiver("127.0.0.1:0", &[]);
    let line = receiver.line_after("there     sockkit send FILE ");
    let arguments: Vec<_> = line.split(' ').collect();
    succeeds(&two.send(&arguments));
    succeeds(&receiver.end());
    assert!(two.has_arrived());
}

/// The sender shows the code, and its user is not asked about the one who was told it.
#[test]
fn the_side_that_sends_may_show_the_code() {
    for listen in ["127.0.0.1:0", "quic://127.0.0.1:0"] {
        let two = Two::new();
        let sender = at(&two.laptop, &["send", "film", "--listen", listen, "--yes"]);
        let line = sender.line_after("there     sockkit receive ");
        let mut arguments = vec!["receive", "--into", "in", "--yes"];
        arguments.extend(line.split(' '));
        succeeds(&at(&two.desk, &arguments).end());
        succeeds(&sender.end());
        assert!(two.has_arrived());
        assert!(peers(&two.laptop)[0].contains("  take  "));
    }
}

/// No default waits for a user who is not there.
#[test]
fn without_a_terminal_or_a_home_it_says_what_to_type() {
    let two = Two::new();
    for arguments in [&["send", "film"][..], &["receive"]] {
        fails(
            &at(&two.laptop, arguments).end(),
            &["not a terminal", "--yes"],
        );
    }
    let end = at(&two.laptop, &["send", "film", "--to", "-"]).end();
    fails(&end, &["not a code"]);
    for arguments in [&["send", "film", "--yes"][..], &["receive", "--yes"]] {
        let mut homeless = Command::new(env!("CARGO_BIN_EXE_sockkit"));
        homeless
            .args(arguments)
            .current_dir(two.laptop.path())
            .env_remove("HOME")
            .env_remove("XDG_STATE_HOME");
        let end = Program::start(&mut homeless).end();
        fails(&end, &["--once", "XDG_STATE_HOME"]);
    }
}

#[test]
fn an_address_without_a_code_is_refused_with_the_command_that_works() {
    let two = Two::new();
    let (receiver, place) = two.receiver("127.0.0.1:0", &[]);
    let sent = two.send(&["--to", &place]);
    let works = format!("sockkit send film --to {place} --code CODE");
    fails(&sent, &["is not known here", &works]);
    receiver.kill();
    assert!(!two.has_arrived());
}

#[test]
fn an_interrupted_sender_shows_the_whole_command_that_resumes() {
    const BLOCK_BYTES: u64 = 4 << 20;
    let two = Two::new();
    let film = fs::File::create(two.laptop.path().join("my film")).unwrap();
    film.set_len(4 << 30).unwrap();
    let (receiver, place) = two.receiver("127.0.0.1:0", &["--code", "7-coral-lamp"]);
    let line = [
        "send",
        "my film",
        "--to",
        &place,
        "--code=7-coral-lamp",
        "-q",
    ];
    let sender = at(&two.laptop, &line);
    // The sender counts whole blocks.
    let has_begun = || {
        let files = fs::read_dir(two.desk.path().join("in")).unwrap();
        files
            .flatten()
            .any(|file| file.metadata().is_ok_and(|file| file.len() > BLOCK_BYTES))
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while !has_begun() {
        assert!(Instant::now() < deadline, "nothing arrives");
        thread::yield_now();
    }
    receiver.kill();
    let again = format!(
        "to resume, start the other side again and run: sockkit send 'my film' --quiet --to {place}"
    );
    fails(
        &sender.end(),
        &[
            "peer closed the connection before the transfer was complete; ",
            &again,
        ],
    );
}

#[test]
fn a_sender_whose_receiver_ends_before_its_answer_shows_how_to_try_again() {
    let two = Two::new();
    let receive = [
        "receive",
        "--into=in",
        "--listen=127.0.0.1:0",
        "--code=7-coral-lamp",
    ];
    let receiver = Program::start_on_terminal(&mut command_at(&two.desk, &receive));
    let place = receiver.listening().to_string();
    let line = ["send", "film", "--to", &place, "--code=7-coral-lamp"];
    let sender = at(&two.laptop, &line);
    receiver.wait_for_error("[y/N]");
    receiver.kill();
    let again =
        format!("to try again, start the other side again and run: sockkit send film --to {place}");
    fails(&sender.end(), &["the transfer was complete; ", &again]);
}

/// Enter ends it; the input stays open.
#[test]
fn a_code_may_be_typed() {
    let two = Two::new();
    let (receiver, place) = two.receiver("127.0.0.1:0", &["--code", "7-coral-lamp"]);
    let mut sender = at(
        &two.laptop,
        &["send", "film", "--to", &place, "--code", "-"],
    );
    sender.type_line("7 coral lamp");
    succeeds(&receiver.end());
    succeeds(&sender.end());
    assert!(two.has_arrived());
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let two = Two::new();
    for (arguments, words) in [
        (&["send", "-", "--code", "-"][..], &["--code-file"][..]),
        (&["send", "-", "film"], &["sent alone", "./-"]),
        (&["send", "film", "--name", "a"], &["--name", "-"]),
        (
            &[
                "cam",
                "--source",
                "pattern",
                "--to",
                "udp://127.0.0.1:9",
                "--known",
            ],
            &["Connection refused", "listening at udp:// there"],
        ),
        (
            &["cam", "--source", "pattern", "--web", "--known"],
            &["a browser or a player has neither code nor key", "--listen"],
        ),
        (
            &["send", "film", "--to", "7-coral-lamp", "--known"],
            &["--known takes no code"],
        ),
        (
            &[
                "cam",
                "--source",
                "pattern",
                "--to",
                "udp://127.0.0.1:9",
                "--plain",
                "--no-announce",
            ],
            &["--no-announce needs a listener"],
        ),
    ] {
        fails(&at(&two.laptop, arguments).end(), words);
    }
}

#[test]
fn a_wrong_code_gets_nothing_and_three_revoke_it() {
    let two = Two::new();
    let (receiver, place) = two.receiver("127.0.0.1:0", &["--code", "7-coral-lamp"]);
    for _ in 0..3 {
        let sent = two.send(&["--to", &place, "--code", "7-coral-river"]);
        fails(&sent, &["the code is wrong"]);
    }
    receiver.wait_for_error("the code is revoked");
    let sent = two.send(&["--to", &place, "--code", "7-coral-lamp"]);
    fails(&sent, &["shows no code"]);
    receiver.kill();
    assert!(!two.has_arrived());
    assert_eq!(peers(&two.desk), [""; 0]);
    let slip = two.send(&["--to", &place, "--code", "7-cora-lamp"]);
    fails(&slip, &["did you mean \"coral\""]);
}

#[test]
fn with_a_code_nothing_plain_is_used() {
    let two = Two::new();
    // The other side does not encrypt: no transfer, and no falling back.
    let (receiver, place) = two.receiver("127.0.0.1:0", &["--keep-listening", "--plain"]);
    let sent = two.send(&["--to", &place, "--code", "7-coral-lamp"]);
    fails(&sent, &["does not encrypt", "--plain"]);
    receiver.wait_for_error("peer encrypts");
    receiver.kill();
    // Nor the other way round.
    let (receiver, place) = two.receiver("127.0.0.1:0", &["--code", "7-coral-lamp"]);
    let sent = two.send(&["--to", &place, "--plain"]);
    fails(&sent, &["accepts encrypted connections only", "--plain"]);
    receiver.kill();
    assert!(!two.has_arrived());
    let new = [
        "cam",
        "--source",
        "pattern",
        "--to",
        "127.0.0.1",
        "--code",
        "new",
    ];
    fails(&at(&two.desk, &new).end(), &["this side connects"]);
    let no_one = ["cam", "--source", "pattern", "--to", "127.0.0.1:9"];
    fails(
        &at(&two.desk, &no_one).end(),
        &["Connection refused", "listening at udp:// there"],
    );
    let both = at(
        &two.desk,
        &["view", "tcp://127.0.0.1:1", "--known", "--plain"],
    )
    .end();
    assert_eq!(both.status.code(), Some(2), "{both:?}");
}

/// Between two machines, with nothing but the command itself: it answers each side in
/// place of the other.
#[test]
fn one_in_between_gets_nothing_from_either_side_by_code_or_by_key() {
    for listen in ["127.0.0.1:0", "quic://127.0.0.1:0"] {
        let two = Two::new();
        let between = tempdir().unwrap();
        fs::write(between.path().join("film"), b"altered").unwrap();
        let pose = |code: &str| {
            let fixed = ["receive", "--yes", "--listen", listen, "--code", code];
            let program = at(&between, &fixed);
            let place = program.line_after("listening on ");
            (program, place)
        };
        let (receiver, place) = two.receiver(listen, &["--code", "7-coral-lamp"]);
        let (posing, there) = pose("7-coral-river");
        fails(
            &two.send(&["--to", &there, "--code", "7-coral-lamp"]),
            &["the code is wrong", "attacker"],
        );
        posing.wait_for_error("tried a wrong code");
        let altered = ["send", "film", "--to", &place, "--code", "7-coral-river"];
        fails(&at(&between, &altered).end(), &["the code is wrong"]);
        receiver.wait_for_error("tried a wrong code");
        // The right code still works, and then the keys do, and no other key.
        succeeds(&two.send(&["--to", &place, "--code", "7-coral-lamp"]));
        succeeds(&receiver.end());
        assert!(two.has_arrived());
        fails(&two.send(&["--to", &there]), &["is not known here"]);
        let (receiver, place) = two.receiver(listen, &["--known"]);
        let altered = ["send", "film", "--to", &place, "--known"];
        fails(&at(&between, &altered).end(), &["is not known here"]);
        receiver.kill();
        posing.kill();
        assert!(!two.has_arrived());
        let left: Vec<_> = fs::read_dir(between.path()).unwrap().collect();
        assert_eq!(left.len(), 2, "its film and its state: {left:?}");
    }
}

#[test]
fn a_key_is_allowed_by_its_fingerprint_and_nobody_is_remembered() {
    let two = Two::new();
    let (desk, laptop) = (fingerprint(&two.desk), fingerprint(&two.laptop));
    let (receiver, place) = two.receiver("127.0.0.1:0", &["--allow", &laptop]);
    succeeds(&two.send(&["--to", &place, "--allow", &desk]));
    succeeds(&receiver.end());
    assert!(two.has_arrived());
    assert_eq!(peers(&two.desk), [""; 0]);

    let other = fingerprint(&tempdir().unwrap());
    let (receiver, place) = two.receiver("127.0.0.1:0", &["--allow", &other]);
    let sent = two.send(&["--to", &place, "--allow", &desk]);
    fails(&sent, &["does not know this machine"]);
    let sent = two.send(&["--to", &place, "--allow", &other]);
    fails(&sent, &["its key ", "is not known here"]);
    receiver.kill();
}

/// A name on the network may lead to any of the machines that are known.
#[test]
fn with_an_allowed_key_no_other_known_machine_is_dialled() {
    let two = Two::new();
    let (receiver, place) = two.receiver("127.0.0.1:0", &["--code", "7-coral-lamp"]);
    succeeds(&two.send(&["--to", &place, "--code", "7-coral-lamp"]));
    succeeds(&receiver.end());
    let other = fingerprint(&tempdir().unwrap());
    let (receiver, place) = two.receiver("127.0.0.1:0", &["--known"]);
    let sent = two.send(&["--to", &place, "--allow", &other]);
    fails(&sent, &["its key ", "is not known here"]);
    succeeds(&two.send(&["--to", &place, "--allow", &other, "--known"]));
    receiver.end();
}

#[test]
fn once_needs_no_home_and_leaves_nothing() {
    let two = Two::new();
    let once = ["--code", "7-coral-lamp", "--once"];
    let (receiver, place) = two.receiver("127.0.0.1:0", &once);
    succeeds(&two.send(&[&["--to", &place], &once[..]].concat()));
    succeeds(&receiver.end());
    assert!(two.has_arrived());
    for home in [&two.desk, &two.laptop] {
        assert!(!home.path().join("state").exists());
    }
}

#[test]
fn a_peer_that_gives_files_does_not_watch_the_camera() {
    let two = Two::new();
    let (receiver, place) = two.receiver("127.0.0.1:0", &["--code", "7-coral-lamp"]);
    succeeds(&two.send(&["--to", &place, "--code", "7-coral-lamp"]));
    succeeds(&receiver.end());

    let cam = [
        "cam",
        "--source",
        "pattern",
        "--listen",
        "tcp://127.0.0.1:0",
        "--known",
    ];
    let cam = at(&two.desk, &cam);
    let url = format!("tcp://{}", cam.line_after("listening on "));
    let watch = [
        "view",
        &url,
        "--known",
        "--snapshot",
        "seen.jpg",
        "--seconds",
        "10",
    ];
    let watched = at(&two.laptop, &watch).end();
    fails(&watched, &["does not allow this"]);
    let key = fingerprint(&two.laptop);
    succeeds(&at(&two.desk, &["peers", "rights", &key, "give,watch"]).end());
    succeeds(&at(&two.laptop, &watch).end());
    assert!(two.laptop.path().join("seen.jpg").exists());
    cam.kill();
}

#[test]
fn many_watch_by_one_code_over_tcp_and_quic() {
    for scheme in ["tcp", "quic"] {
        let two = Two::new();
        let listen = format!("{scheme}://127.0.0.1:0");
        let cam = ["cam", "--source", "pattern", "--listen", &listen];
        let cam = at(&two.desk, &cam);
        let line = cam.line_after("there     sockkit view ");
        for viewer in ["one.jpg", "two.jpg"] {
            let home = tempdir().unwrap();
            let mut arguments: Vec<_> = ["view"].into_iter().chain(line.split(' ')).collect();
            arguments.extend(["--snapshot", viewer, "--seconds", "20"]);
            let seen = at(&home, &arguments).end();
            succeeds(&seen);
            assert!(seen.errors.contains("paired by the code"), "{seen:?}");
            assert!(home.path().join(viewer).exists());
        }
        assert_eq!(peers(&two.desk).len(), 2);
        cam.kill();
    }
}

#[test]
fn damaged_foreign_and_missing_places_are_told_of() {
    let two = Two::new();
    fingerprint(&two.desk);
    let state = two.desk.path().join("state/sockkit");
    fs::write(state.join("identity.pem"), "nonsense").unwrap();
    let receive = ["receive", "--into", "in", "--yes", "--known"];
    fails(&at(&two.desk, &receive).end(), &["identity.pem is damaged"]);
    let mut homeless = Command::new(env!("CARGO_BIN_EXE_sockkit"));
    homeless
        .arg("id")
        .env_remove("HOME")
        .env_remove("XDG_STATE_HOME");
    fails(
        &Program::start(&mut homeless).end(),
        &["no folder", "XDG_STATE_HOME"],
    );
    open_to_others(&state.join("identity.pem"));
    fails(&at(&two.desk, &["id"]).end(), &["chmod 600"]);
}

fn open_to_others(path: &Path) {
    use std::os::unix::fs::PermissionsExt;

    fs::set_permissions(path, PermissionsExt::from_mode(0o644)).unwrap();
}

#[test]
fn peers_are_renamed_and_two_of_one_name_are_told_apart() {
    let two = Two::new();
    for _ in 0..2 {
        let laptop = tempdir().unwrap();
        fs::write(laptop.path().join("film"), b"the film").unwrap();
        let (receiver, place) = two.receiver("127.0.0.1:0", &["--code", "7-coral-lamp"]);
        let send = ["send", "film", "--to", &place, "--code", "7-coral-lamp"];
        succeeds(&at(&laptop, &send).end());
        succeeds(&receiver.end());
        assert!(two.has_arrived());
    }
    let listed = peers(&two.desk);
    let name = listed[0].rsplit("  ").next().unwrap();
    let key = listed[1].split(' ').next().unwrap();
    let several = at(&two.desk, &["peers", "rights", name, "none"]).end();
    fails(&several, &["2 peers are called"]);
    succeeds(&at(&two.desk, &["peers", "rename", key, "den"]).end());
    succeeds(&at(&two.desk, &["peers", "rights", "den", "none"]).end());
    let listed = peers(&two.desk);
    assert!(
        listed[1].ends_with("  den") && listed[1].contains("  none "),
        "{listed:?}"
    );
    fails(
        &at(&two.desk, &["peers", "forget", "nobody"]).end(),
        &["no peer is called"],
    );
}
