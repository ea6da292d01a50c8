//! `sockkit send` and `sockkit receive`, as two people run them.

use std::{
    ffi::OsStr,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, symlink},
    },
    path::PathBuf,
    time::{Duration, SystemTime},
};

use sockkit::testing::program::{Program, ProgramOutput};
use tempfile::{TempDir, tempdir};

use crate::{fails, sockkit, sockkit_under};

/// Two people's folders. Memory-backed: files of a gigabyte should not wait for
/// a disk.
pub(crate) struct Desk {
    pub(crate) from: TempDir,
    pub(crate) into: TempDir,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self {
            from: tempdir().unwrap(),
            into: tempdir().unwrap(),
        }
    }

    pub(crate) fn write(&self, path: &str, contents: &[u8]) -> String {
        let path = self.from.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub(crate) fn arrived(&self, path: &str) -> PathBuf {
        self.into.path().join(path)
    }

    /// What lies in the receiver's folder, hidden names included.
    pub(crate) fn names(&self) -> Vec<String> {
        let found = fs::read_dir(self.into.path()).unwrap();
        let mut names: Vec<_> = found
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Starts a receiver and waits until it listens.
    pub(crate) fn receiver(&self, arguments: &[&str]) -> (Program, String) {
        let into = self.into.path().to_str().unwrap();
        let fixed = [
            "receive",
            "--plain",
            "--into",
            into,
            "--listen",
            "127.0.0.1:0",
        ];
        let program = sockkit(&[&fixed, arguments].concat());
        let address = program.listening().to_string();
        (program, address)
    }

    /// Sends `paths` to a receiver with these arguments; sender's end, then
    /// receiver's.
    fn send(&self, paths: &[&str], arguments: &[&str]) -> (ProgramOutput, ProgramOutput) {
        let (receiver, address) = self.receiver(arguments);
        let sent = send(paths, &address).end();
        (sent, receiver.end())
    }
}

pub(crate) fn send(paths: &[&str], address: &str) -> Program {
    sockkit(&[&["send", "--plain", "--to", address], paths].concat())
}

pub(crate) fn big() -> Vec<u8> {
    let run: Vec<u8> = (0..=250).collect();
    run.repeat((24 << 20) / run.len())
}

#[test]
fn files_and_folders_arrive_and_both_print_the_same_digests() {
    let desk = Desk::new();
    let one = desk.write("one.txt", b"one\n");
    desk.write("사진/바다 1.jpg", &big());
    desk.write("사진/빈/empty", b"");
    let album = desk.from.path().join("사진");

    let (sent, received) = desk.send(&[&one, album.to_str().unwrap()], &["--yes"]);

    assert!(sent.status.success(), "{sent:?}");
    assert!(received.status.success(), "{received:?}");
    assert_eq!(sent.lines, received.lines);
    assert!(sent.lines[0].ends_with("  one.txt"), "{:?}", sent.lines);
    assert_eq!(sent.lines[0].split("  ").next().unwrap().len(), 64);
    for side in [&sent, &received] {
        assert!(side.errors.contains("not encrypted"), "{side:?}");
        assert!(side.errors.contains("3 files"), "{side:?}");
    }
    for said in ["offers 3 files in 2 folders", "바다 1.jpg", "127.0.0.1"] {
        assert!(received.errors.contains(said), "{said}: {received:?}");
    }
    assert_eq!(fs::read(desk.arrived("사진/바다 1.jpg")).unwrap(), big());
    assert_eq!(fs::read(desk.arrived("사진/빈/empty")).unwrap(), b"");
    assert_eq!(desk.names(), ["one.txt", "사진"]);
}

/// The mode's permissions.
fn mode(path: PathBuf) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn nothing_that_arrives_is_wider_than_it_was() {
    let desk = Desk::new();
    let key = desk.write("keys/id", b"k");
    let set = |path: &str, mode| fs::set_permissions(path, PermissionsExt::from_mode(mode));
    set(&key, 0o600).unwrap();
    let keys = desk.from.path().join("keys");
    set(keys.to_str().unwrap(), 0o700).unwrap();
    let open = desk.write("open", b"o");
    set(&open, 0o644).unwrap();

    let (sent, received) = desk.send(&[keys.to_str().unwrap(), &open], &["--yes"]);

    assert!(sent.status.success(), "{sent:?}");
    assert!(received.status.success(), "{received:?}");
    assert_eq!(mode(desk.arrived("keys")), 0o700);
    assert_eq!(mode(desk.arrived("keys/id")), 0o600);
    // As the umask leaves it.
    fs::write(desk.arrived("other"), "").unwrap();
    assert_eq!(mode(desk.arrived("open")), mode(desk.arrived("other")));

    // Nor is what it replaces.
    fs::set_permissions(desk.arrived("open"), PermissionsExt::from_mode(0o600)).unwrap();
    let (sent, _) = desk.send(&[&open], &["--yes", "--on-conflict", "overwrite"]);
    assert!(sent.status.success(), "{sent:?}");
    assert_eq!(mode(desk.arrived("open")), 0o600);
}

#[test]
fn a_file_beyond_the_limit_for_one_is_refused_and_the_others_arrive() {
    let desk = Desk::new();
    let (large, small) = (desk.write("a-large", &big()), desk.write("b-small", b"s"));
    let into = desk.into.path().to_str().unwrap();
    let receive = [
        "receive",
        "--plain",
        "--into",
        into,
        "--listen",
        "127.0.0.1:0",
        "--yes",
    ];
    // Blocks of 512 or 1,024 bytes, as the shell has it.
    let receiver = sockkit_under("ulimit -f 2048", desk.from.path(), &receive);
    let sender = send(&[&large, &small], &receiver.listening().to_string());
    let (sent, received) = (sender.end(), receiver.end());
    for side in [&sent, &received] {
        assert_eq!(side.status.code(), Some(1), "{side:?}");
        assert!(side.errors.contains("a-large: file is larger"), "{side:?}");
    }
    assert_eq!(desk.names(), ["b-small"]);
}

#[test]
fn what_earlier_transfers_left_is_cleaned_up_and_counted() {
    let desk = Desk::new();
    for (name, kind) in [("a", "part"), ("b", "part"), ("b", "blocks")] {
        let path = desk.arrived(&format!(".sockkit-{name}.{kind}"));
        fs::write(&path, "?").unwrap();
        let week = Duration::from_secs(8 * 24 * 60 * 60);
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - week).unwrap();
    }
    let path = desk.write("a.txt", b"new");
    let (sent, received) = desk.send(&[&path], &["--yes"]);
    assert!(sent.status.success(), "{sent:?}");
    assert!(
        received.errors.contains("removed   2 unfinished files"),
        "{received:?}"
    );
    assert_eq!(desk.names(), ["a.txt"]);
}

#[test]
fn a_file_that_is_there_is_treated_as_told() {
    for (arguments, succeeds, names, old) in [
        (&["--yes"][..], false, &["a.txt"][..], "old"),
        (
            &["--yes", "--on-conflict", "rename"],
            true,
            &["a (1).txt", "a.txt"],
            "old",
        ),
        (
            &["--yes", "--on-conflict", "overwrite"],
            true,
            &["a.txt"],
            "new",
        ),
    ] {
        let desk = Desk::new();
        let path = desk.write("a.txt", b"new");
        fs::write(desk.arrived("a.txt"), "old").unwrap();
        let (sent, received) = desk.send(&[&path], arguments);
        assert_eq!(sent.status.success(), succeeds, "{arguments:?}: {sent:?}");
        assert_eq!(received.status.success(), succeeds, "{arguments:?}");
        assert_eq!(desk.names(), names, "{arguments:?}");
        assert_eq!(fs::read_to_string(desk.arrived("a.txt")).unwrap(), old);
        if !succeeds {
            assert!(sent.errors.contains("a.txt: a file of that name exists"));
            for side in [&sent, &received] {
                let last = side.errors.lines().last().unwrap();
                assert!(last.contains("--on-conflict update"), "{side:?}");
            }
        }
        if names.len() == 2 {
            assert!(received.errors.contains("saved as a (1).txt"));
        }
    }
}

#[test]
fn ctrl_c_on_either_side_leaves_what_the_next_attempt_goes_on_from() {
    for side in ["sender", "receiver"] {
        let desk = Desk::new();
        let path = desk.write("big", &vec![7; 1 << 30]);
        let (receiver, address) = desk.receiver(&["--yes"]);
        let sender = send(&[&path], &address);
        // A block is verified as soon as the record is longer than its head.
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        while desk.verified_blocks() == 0 {
            assert!(std::time::Instant::now() < deadline, "nothing arrives");
            std::thread::yield_now();
        }
        match side {
            "sender" => sender.interrupt(),
            _ => receiver.interrupt(),
        }
        let (sent, received) = (sender.end(), receiver.end());
        let (stopped, other) = match side {
            "sender" => (sent, received),
            _ => (received, sent),
        };
        assert!(stopped.errors.contains("stopped"), "{side}: {stopped:?}");
        assert_eq!(stopped.status.code(), Some(130), "{side}: {stopped:?}");
        assert!(!other.status.success(), "{side}");
        assert!(other.errors.contains("same command to resume"), "{other:?}");
        assert!(!desk.arrived("big").exists());

        let (sent, received) = desk.send(&[&path], &["--yes"]);
        assert!(
            sent.status.success() && received.status.success(),
            "{sent:?}"
        );
        assert!(!received.errors.contains("1.00 GiB moved"), "{received:?}");
        assert_eq!(desk.names(), ["big"]);
        assert_eq!(fs::metadata(desk.arrived("big")).unwrap().len(), 1 << 30);
    }
}

#[test]
fn either_side_may_listen() {
    let desk = Desk::new();
    let path = desk.write("a", b"contents");
    let sender = sockkit(&["send", "--plain", "--yes", "--listen", "127.0.0.1:0", &path]);
    let address = sender.listening().to_string();
    let into = desk.into.path().to_str().unwrap();
    let received = sockkit(&["receive", "--plain", &address, "--yes", "--into", into]).end();
    assert!(received.status.success(), "{received:?}");
    assert!(sender.end().status.success());
    assert_eq!(fs::read(desk.arrived("a")).unwrap(), b"contents");
}

#[test]
fn what_cannot_begin_says_why() {
    let desk = Desk::new();
    let path = desk.write("a", b"a");
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let closed = closed.to_string();
    fails_last(
        &["send", "--plain", "--to", &closed, &path],
        &[&closed, "refused"],
    );
    for (to, words) in [
        ("127.0.0.1:", "a number from 0 to 65535"),
        ("my desk", "use a name"),
        ("udp://127.0.0.1:1", "tcp:// or quic://"),
    ] {
        fails(&["send", "--plain", "--to", to, &path], &["--to", words]);
        let into = desk.into.path().to_str().unwrap();
        fails(
            &["receive", "--plain", "--into", into, "--listen", to],
            &["--listen", words],
        );
    }
    fails(
        &["send", "--plain", "/no/such/file"],
        &["/no/such/file", "No such file"],
    );
    fails(&["send", "--plain", "/"], &["/", "no name"]);
    for (last, to) in [
        ("7-coral-lamp", "7-coral-lamp"),
        ("beta", "beta"),
        ("beta:", "beta"),
        ("user@192.168.77.20:", "192.168.77.20"),
    ] {
        fails(&["send", &path, last], &[&format!("write --to {to}")]);
    }
    for page in [":8078", "8078"] {
        let hint = format!("write --web={page}");
        fails(&["send", &path, "--web", page], &[&hint]);
    }
    fails(
        &["receive", "--yes", "--web", ":8077"],
        &["write --web=:8077"],
    );
    fails(
        &["receive", "--plain", "--into", "/no/such/folder"],
        &["/no/such/folder"],
    );
    fails(&["receive", "--plain"], &["--yes"]);
    fails(&["send", "--plain"], &["required"]);
}

#[test]
fn the_receiver_makes_its_folder() {
    let desk = Desk::new();
    let path = desk.write("a", b"a");
    let into = desk.arrived("받은 것");
    let receiver = sockkit(&[
        "receive",
        "--plain",
        "--yes",
        "--into",
        into.to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
    ]);
    let sent = send(&[&path], &receiver.listening().to_string()).end();
    assert!(sent.status.success(), "{sent:?}");
    assert!(receiver.end().status.success());
    assert_eq!(fs::read(into.join("a")).unwrap(), b"a");
}

/// Like [`fails`], where notes come before the complaint.
#[track_caller]
pub(crate) fn fails_last(arguments: &[&str], words: &[&str]) {
    let end = sockkit(arguments).end();
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    let last = end.errors.lines().last().unwrap_or_default();
    for word in words {
        assert!(last.contains(word), "{last:?} lacks {word:?}");
    }
}

/// Answers one connection with these bytes, and reads until it closes.
fn stranger(says: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(says).unwrap();
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    });
    address
}

#[test]
fn a_peer_of_another_version_or_protocol_is_told_apart() {
    let desk = Desk::new();
    let path = desk.write("a", b"a");
    for (says, words) in [
        (
            &b"\0\0\0\0\0\0\0\x09\x01SKFT\0\x01\x01\0"[..],
            "speaks version 1 of the file protocol, this side version 2: upgrade sockkit there",
        ),
        (
            b"\0\0\0\0\0\0\0\x09\x01SKFT\0\x03\x01\0",
            "speaks version 3 of the file protocol, this side version 2: upgrade sockkit here",
        ),
        (
            b"SSH-2.0-OpenSSH_9.6\r\n",
            "does not speak the file protocol",
        ),
        (b"", "closed the connection"),
    ] {
        let address = match says {
            b"" => {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let address = listener.local_addr().unwrap();
                std::thread::spawn(move || drop(listener.accept()));
                address
            }
            says => stranger(says),
        };
        fails_last(
            &["send", "--plain", "--to", &address.to_string(), &path],
            &[words],
        );
    }
}

#[test]
fn a_stranger_does_not_end_the_receivers_wait() {
    let desk = Desk::new();
    let path = desk.write("a", b"a");
    let (receiver, address) = desk.receiver(&["--yes"]);
    let mut browser = TcpStream::connect(&address).unwrap();
    browser.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let _ = browser.read_to_end(&mut Vec::new());
    drop(browser);
    assert!(send(&[&path], &address).end().status.success());
    let received = receiver.end();
    assert!(received.status.success(), "{received:?}");
    assert!(received.errors.contains("does not speak the file protocol"));
}

/// Reads frames up to the answer, message 3.
pub(crate) fn wait_for_answer(stream: &mut TcpStream) {
    let mut kind = 0;
    while kind != 3 {
        let mut length = [0; 8];
        stream.read_exact(&mut length).unwrap();
        let mut body = vec![0; usize::try_from(u64::from_be_bytes(length)).unwrap()];
        stream.read_exact(&mut body).unwrap();
        kind = body[0];
    }
}

#[test]
fn a_peer_of_version_one_is_told_which_version_this_is() {
    // What version 1 understands: its hello, and abort 1 with a number.
    let hello = b"\0\0\0\0\0\0\0\x09\x01SKFT\0\x01\0\0";
    let abort = b"\0\0\0\0\0\0\0\x12\x0a\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\0";
    let desk = Desk::new();
    let (receiver, address) = desk.receiver(&["--yes"]);
    let mut old = TcpStream::connect(&address).unwrap();
    old.write_all(hello).unwrap();
    let mut heard = Vec::new();
    old.read_to_end(&mut heard).unwrap();
    assert_eq!(heard[8..15], *b"\x01SKFT\0\x02");
    assert!(heard.ends_with(abort), "{heard:?}");
    drop(old);
    let path = desk.write("a", b"a");
    assert!(send(&[&path], &address).end().status.success());
    let received = receiver.end();
    let words = "peer speaks version 1 of the file protocol, this side version 2";
    assert!(received.errors.contains(words), "{received:?}");
    assert!(received.status.success());

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let sender = send(&[&path], &address);
    let (mut old, _) = listener.accept().unwrap();
    old.write_all(b"\0\0\0\0\0\0\0\x09\x01SKFT\0\x01\x01\0")
        .unwrap();
    let mut heard = Vec::new();
    old.read_to_end(&mut heard).unwrap();
    assert!(heard.ends_with(abort), "{heard:?}");
    assert!(sender.end().errors.contains(words));
}

#[test]
fn a_deceptive_path_is_shown_escaped_and_refused() {
    let desk = Desk::new();
    let (receiver, address) = desk.receiver(&["--yes"]);
    let mut liar = TcpStream::connect(&address).unwrap();
    let mut said = b"\0\0\0\0\0\0\0\x09\x01SKFT\0\x02\0\0".to_vec();
    let name = "\u{1b}[2J/../x";
    let body = 1 + 9 + 28 + name.len() as u64;
    said.extend_from_slice(&body.to_be_bytes());
    said.extend_from_slice(b"\x02\x01\0\0\0\0\0\0\0\x01");
    said.extend_from_slice(&[0; 24]);
    said.extend_from_slice(&u16::try_from(name.len()).unwrap().to_be_bytes());
    said.extend_from_slice(name.as_bytes());
    said.extend_from_slice(&[0; 2]);
    liar.write_all(&said).unwrap();
    wait_for_answer(&mut liar);
    liar.write_all(b"\0\0\0\0\0\0\0\x01\x07").unwrap();
    let received = receiver.end();
    assert!(!received.status.success());
    assert!(!received.errors.contains('\u{1b}'), "{received:?}");
    assert!(received.errors.contains(r"\u{1b}[2J/../x"), "{received:?}");
    assert_eq!(desk.names(), [""; 0]);
}

#[test]
fn names_that_the_receiver_can_hold_arrive_and_are_shown_escaped() {
    let desk = Desk::new();
    let names = [&b"a\x1b[2Jb"[..], b"\xc7\xd1.txt", b"10:57.png", b"nul"];
    let names = names.map(OsStr::from_bytes);
    let paths = names.map(|name| desk.from.path().join(name));
    for path in &paths {
        fs::write(path, "a").unwrap();
    }
    let (receiver, address) = desk.receiver(&["--yes"]);
    let mut arguments: Vec<&OsStr> = ["send", "--plain", "--to", &address].map(OsStr::new).into();
    arguments.extend(paths.iter().map(|path| path.as_os_str()));
    let sent = sockkit(&arguments).end();
    let received = receiver.end();
    for side in [&sent, &received] {
        assert!(side.status.success(), "{side:?}");
        let said = [side.lines.join("\n"), side.errors.clone()].concat();
        assert!(!said.contains('\u{1b}'), "{side:?}");
        for shown in [r"a\u{1b}[2Jb", r"\xc7\xd1.txt", "10:57.png"] {
            assert!(said.contains(shown), "{shown}: {side:?}");
        }
    }
    for name in names {
        assert_eq!(fs::read(desk.into.path().join(name)).unwrap(), b"a");
    }
}

#[test]
fn what_is_left_out_is_counted_and_makes_the_exit_code_on_both_sides() {
    let desk = Desk::new();
    desk.write("folder/a", b"a");
    let folder = desk.from.path().join("folder");
    symlink("/etc/passwd", folder.join("out")).unwrap();
    symlink("a", folder.join("in")).unwrap();
    let folder = folder.to_str().unwrap();

    let (sent, received) = desk.send(&[folder], &["--yes"]);
    for side in [&sent, &received] {
        assert_eq!(side.status.code(), Some(1), "{side:?}");
        let last = side.errors.lines().last().unwrap();
        assert!(last.contains("1 skipped by the sender"), "{side:?}");
        assert!(side.errors.contains("1 file and 1 link in 1 folder"));
    }
    for side in [&sent, &received] {
        // At the end, where a user looks.
        let named = side.errors.lines().rev().nth(2).unwrap();
        assert!(named.starts_with("skipping "), "{side:?}");
        let words = "folder/out: symbolic link leads out of the folder";
        assert!(named.contains(words), "{side:?}");
    }
    assert_eq!(fs::read(desk.arrived("folder/in")).unwrap(), b"a");

    // A socket is nothing that could be sent.
    let desk = Desk::new();
    desk.write("folder/a", b"a");
    let folder = desk.from.path().join("folder");
    let _socket = std::os::unix::net::UnixListener::bind(folder.join("socket")).unwrap();
    let (sent, received) = desk.send(&[folder.to_str().unwrap()], &["--yes"]);
    assert!(sent.status.success() && received.status.success());
    assert!(sent.errors.contains("skipping"), "{sent:?}");
    assert!(sent.errors.contains(", 1 special file skipped"), "{sent:?}");
}

#[test]
fn what_the_receiver_cannot_hold_is_told_on_both_sides() {
    let desk = Desk::new();
    desk.write("folder/a", b"a");
    let folder = desk.from.path().join("folder");
    symlink("a", folder.join("link")).unwrap();
    fs::create_dir(desk.arrived("folder")).unwrap();
    fs::create_dir(desk.arrived("folder/link")).unwrap();
    let (sent, received) = desk.send(&[folder.to_str().unwrap()], &["--yes"]);
    for side in [&sent, &received] {
        assert_eq!(side.status.code(), Some(1), "{side:?}");
        let words = "folder/link: something that is not a file or folder is in the way";
        assert!(side.errors.contains(words), "{side:?}");
        assert!(side.errors.contains("1 of 2 files not transferred"));
    }
    assert_eq!(fs::read(desk.arrived("folder/a")).unwrap(), b"a");
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_where_nothing_can_be_written_is_refused_before_anybody_is_asked() {
    let listen = ["--listen", "127.0.0.1:0"];
    let receive = ["receive", "--plain", "--into", "/proc"];
    fails(
        &[&receive[..], &listen].concat(),
        &["cannot receive into /proc"],
    );
}

#[test]
fn a_folder_that_may_not_be_written_is_named() {
    let desk = Desk::new();
    let path = desk.write("a", b"a");
    // Root may write anywhere, but not where a file is.
    fs::create_dir(desk.arrived("a")).unwrap();
    fs::set_permissions(desk.arrived("a"), fs::Permissions::from_mode(0o500)).unwrap();
    let (sent, received) = desk.send(&[&path], &["--yes", "--on-conflict", "overwrite"]);
    assert!(!sent.status.success() && !received.status.success());
    assert!(sent.errors.contains("in the way"), "{sent:?}");
}

#[test]
fn ten_kills_lose_nothing() {
    kill_at_random_moments(10);
}

#[test]
#[ignore = "soak"]
fn a_hundred_kills_lose_nothing() {
    kill_at_random_moments(100);
}

/// Kills one side in the middle, so many times, and looks at what is left; then
/// lets the same command resume.
fn kill_at_random_moments(kills: usize) {
    const BLOCK: usize = 4 << 20;
    const BLOCKS: usize = 16;
    let desk = Desk::new();
    let contents = big().repeat(3)[..BLOCKS * BLOCK].to_vec();
    let path = desk.write("big", &contents);
    let old = b"the old one";
    let overwrite = ["--yes", "--on-conflict", "overwrite"];
    let mut random = fastrand::Rng::new();
    let (mut halfway, mut longest) = (0, Duration::from_millis(100));
    for number in 0..kills {
        fs::write(desk.arrived("big"), old).unwrap();
        let (receiver, address) = desk.receiver(&overwrite);
        let sender = send(&[&path], &address);
        let (moment, side) = (random.f64(), random.bool());
        let moment = longest.mul_f64(moment);
        if number % 2 == 0 {
            // The moment of the kill, not a wait for anything.
            std::thread::sleep(moment);
        } else {
            desk.wait_for_blocks(random.usize(1..BLOCKS / 2));
        }
        let told = format!("kill {number}, the receiver: {side}, after {moment:?}");
        let ends = if side {
            receiver.kill();
            (sender.end(), receiver.end())
        } else {
            sender.kill();
            let sent = sender.end();
            // Killed before it had said a word, it leaves a receiver that waits.
            send(&[&path], &address).end();
            (sent, receiver.end())
        };
        let there = fs::read(desk.arrived("big")).unwrap();
        if there == contents {
            // Too late: the file was through.
            longest = longest.mul_f64(0.8);
        } else {
            assert!(there == old, "{told}: {} bytes: {ends:?}", there.len());
        }

        let verified = desk.verified_blocks();
        let (sent, received) = desk.send(&[&path], &overwrite);
        assert!(sent.status.success(), "{told}: {sent:?}");
        assert!(received.status.success(), "{told}: {received:?}");
        if verified > 0 {
            halfway += 1;
            let moved = format!(" {}.00 MiB moved", ((BLOCKS - verified) * BLOCK) >> 20);
            let moved = if verified == BLOCKS {
                " 0 B moved"
            } else {
                &moved
            };
            for end in [&sent, &received] {
                assert!(end.errors.contains(moved), "{told}: not{moved}: {end:?}");
            }
        } else if there != contents {
            longest = longest.mul_f64(1.2);
        }
        assert!(fs::read(desk.arrived("big")).unwrap() == contents, "{told}");
        assert_eq!(desk.names(), ["big"], "{told}");
    }
    println!("{halfway} of {kills} kills left verified blocks");
    assert!(halfway > 0, "no kill was in the middle of a transfer");
}

impl Desk {
    /// Until so many are verified, or all: then there is no record any more.
    fn wait_for_blocks(&self, blocks: usize) {
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        let mut begun = false;
        while self.verified_blocks() < blocks {
            let over = begun && self.names() == ["big"];
            begun |= self.verified_blocks() > 0;
            if over {
                return;
            }
            assert!(std::time::Instant::now() < deadline, "nothing comes");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// By the record beside the part: a head of 28 bytes, 32 for each block.
    pub(crate) fn verified_blocks(&self) -> usize {
        let names = self.names().into_iter();
        let record = names.map(PathBuf::from).find(|name| {
            name.extension()
                .is_some_and(|extension| extension == "blocks")
        });
        record.map_or(0, |name| {
            let bytes = fs::metadata(self.into.path().join(name)).unwrap().len();
            usize::try_from(bytes).unwrap().saturating_sub(28) / 32
        })
    }
}
