//! Folders as people have them: awkward names, modes and links, from Linux to Linux and
//! to a receiver with the rules of Windows.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
    process::Command,
};

use sockkit::testing::{
    needs::{Need, met},
    program::{Program, ProgramOutput},
};

use crate::{
    send_receive::{Desk, send},
    sockkit, sockkit_in,
};

/// Names that Linux holds; those before the mark Windows does not.
const AWKWARD: &[&[u8]] = &[
    b"Screenshot from 2026-11-25 19:34:55.png",
    b"a:b",
    b"back\\slash",
    b"what?.txt",
    b"x*y.txt",
    b"a|b.txt",
    b"say \"hi\".txt",
    b"<tag>",
    b"trail ",
    b"dot.",
    b"dots...",
    b"...",
    b"draft v1.",
    b"aux.c",
    b"con.txt",
    b"CON",
    b"prn",
    b"nul.md",
    b"NUL .txt",
    b"COM1.log",
    b"lpt9",
    b"com\xc2\xb9.txt",
    b"tab\there",
    b"line\nbreak",
    b"return\r",
    b"\x1b[2Jescape",
    b"\x01",
    b"bell\x07",
    b"\xff",
    b"\xc7\xd1\xb1\xdb.txt",
    b"half \xed\xa0\x80",
    b"\x80\x81\x82",
    b"\x7f",
    // Windows holds those below.
    b" lead",
    b"-rf",
    b"--help",
    b"~",
    b"~user",
    b"$HOME",
    b"`id`",
    b"$(id)",
    b"a;b",
    b"a&b",
    b"a'b",
    b"#comment",
    b"!history",
    b"{a,b}",
    b"[ab]",
    b"100%",
    b"a=b",
    b".hidden",
    b"..two",
    b"a,b",
    b"@host",
    "한글 이름.txt".as_bytes(),
    "\u{1112}\u{1161}\u{11ab}.txt".as_bytes(),
    "e\u{301}".as_bytes(),
    "\u{e9}".as_bytes(),
    "\u{202e}gpj.exe".as_bytes(),
    "\u{feff}".as_bytes(),
    "\u{200b}zero".as_bytes(),
    b"A",
    b"a",
    b"README",
    b"readme",
];

/// Names that Windows forbids.
const FORBIDDEN: usize = 33;

/// Names that Windows or macOS does not tell from one that is sent before.
const TWINS: [&[u8]; 3] = ["\u{e9}".as_bytes(), b"a", b"readme"];

fn name(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}

/// A folder of files, folders, links and modes.
fn awkward_folder(desk: &Desk) -> PathBuf {
    let folder = desk.from.path().join("trip");
    fs::create_dir(&folder).unwrap();
    for (number, bytes) in AWKWARD.iter().enumerate() {
        let file = folder.join(name(bytes));
        fs::write(&file, bytes).unwrap();
        // Of all that a umask of 022 leaves.
        let mode = [0o644, 0o600, 0o444, 0o640][number % 4];
        fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
    }
    fs::create_dir(folder.join("2026-11-25T10:00")).unwrap();
    fs::write(folder.join("2026-11-25T10:00/inner"), "x").unwrap();
    fs::create_dir(folder.join("empty ")).unwrap();
    fs::create_dir(folder.join("private")).unwrap();
    fs::set_permissions(folder.join("private"), PermissionsExt::from_mode(0o700)).unwrap();
    symlink("a:b", folder.join("link")).unwrap();
    symlink("nowhere?", folder.join("link to nothing")).unwrap();
    folder
}

fn diff(one: &Path, other: &Path) -> String {
    let output = Command::new("diff")
        .args(["-r", "--no-dereference"])
        .args([one, other])
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Everything below, with kind, mode and target.
fn listing(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(open) = folders.pop() {
        for entry in fs::read_dir(&open).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let what = match fs::read_link(&path) {
                Ok(target) => format!("-> {}", target.display()),
                Err(_) => format!("{:o}", metadata.permissions().mode()),
            };
            if metadata.is_dir() {
                folders.push(path.clone());
            }
            found.push((path.strip_prefix(folder).unwrap().to_owned(), what));
        }
    }
    found.sort();
    found
}

#[test]
fn a_folder_of_sixty_awkward_names_arrives_equal() {
    assert!(AWKWARD.len() >= 60);
    let desk = Desk::new();
    let folder = awkward_folder(&desk);
    let (receiver, address) = desk.receiver(&["--yes"]);
    let sent = sockkit(&[
        "send",
        "--plain",
        "--to",
        &address,
        folder.to_str().unwrap(),
    ])
    .end();
    let received = receiver.end();
    for side in [&sent, &received] {
        assert!(side.status.success(), "{side:?}");
    }
    let arrived = desk.arrived("trip");
    assert_eq!(diff(&folder, &arrived), "");
    // What a group could read is for the owner alone.
    let expected = listing(&folder)
        .into_iter()
        .map(|(path, what)| (path, what.replace("100640", "100600")));
    assert_eq!(listing(&arrived), expected.collect::<Vec<_>>());

    if met("rsync beside it", &[Need::Program("rsync")]) {
        let beside = tempfile::tempdir().unwrap();
        let copied = Command::new("rsync")
            .arg("-a")
            .args([folder.as_path(), beside.path()])
            .status();
        assert!(copied.unwrap().success());
        assert_eq!(diff(&beside.path().join("trip"), &arrived), "");
    }
}

#[test]
fn a_receiver_with_the_rules_of_windows_takes_the_rest_and_both_sides_name_what_is_missing() {
    let desk = Desk::new();
    let folder = awkward_folder(&desk);
    let (receiver, address) = desk.receiver(&["--yes", "--names", "windows"]);
    let sent = send(&[folder.to_str().unwrap()], &address).end();
    let received = receiver.end();
    for side in [&sent, &received] {
        assert_eq!(side.status.code(), Some(1), "{side:?}");
        let named = |reason: &str| {
            let lines = side.errors.lines();
            let about = |line: &&str| line.starts_with("trip/") && line.contains(reason);
            lines.filter(about).count()
        };
        // The folder with a colon, what is in it, and one with a space at its end.
        assert_eq!(named("is not allowed"), FORBIDDEN + 3, "{side:?}");
        assert_eq!(named("collides"), TWINS.len(), "{side:?}");
        // What they lead to cannot be there.
        assert_eq!(named("symbolic link"), 2, "{side:?}");
        for name in [
            "trip/a:b: ",
            "trip/aux.c: ",
            r"trip/\xff: ",
            r"trip/trail\u{20}: ",
        ] {
            assert!(side.errors.contains(name), "{name}: {side:?}");
        }
    }
    for bytes in AWKWARD[..FORBIDDEN].iter().chain(&TWINS) {
        assert!(!desk.arrived("trip").join(name(bytes)).exists());
    }
    let rest = AWKWARD[FORBIDDEN..].iter();
    for bytes in rest.filter(|bytes| !TWINS.contains(bytes)) {
        let arrived = desk.arrived("trip").join(name(bytes));
        assert_eq!(fs::read(arrived).unwrap(), *bytes);
    }
}

/// Sends the folder `f`, and gives both ends.
fn send_folder(desk: &Desk, arguments: &[&str]) -> [ProgramOutput; 2] {
    let (receiver, address) = desk.receiver(&[&["--yes"], arguments].concat());
    let folder = desk.from.path().join("f");
    let sent = send(&[folder.to_str().unwrap()], &address).end();
    [sent, receiver.end()]
}

#[test]
fn the_same_command_again_finds_all_of_it_done() {
    let desk = Desk::new();
    for number in 0..5 {
        desk.write(&format!("f/{number}"), &vec![number; 100_000]);
    }
    desk.write("f/empty", b"");
    symlink("1", desk.from.path().join("f/link")).unwrap();
    for moved in ["488.28 KiB moved", "0 B moved"] {
        for side in send_folder(&desk, &[]) {
            assert!(side.status.success(), "{side:?}");
            assert!(side.errors.contains(moved), "{moved}: {side:?}");
            assert_eq!(side.lines.len(), 6, "{side:?}");
        }
    }
    // A changed one is refused, and stays.
    desk.write("f/3", &vec![9; 100_000]);
    for side in send_folder(&desk, &[]) {
        assert_eq!(side.status.code(), Some(1), "{side:?}");
        assert!(side.errors.contains("f/3: "), "{side:?}");
    }
    assert_eq!(fs::read(desk.arrived("f/3")).unwrap(), [3; 100_000]);
}

#[test]
fn an_update_keeps_what_is_the_same_and_replaces_what_changed() {
    let desk = Desk::new();
    let large: Vec<u8> = (0..9_437_184_u32).map(|at| at.to_le_bytes()[1]).collect();
    desk.write("f/same", &large);
    desk.write("f/changed", &large);
    desk.write("f/longer", b"short");
    desk.write("f/empty", b"");
    symlink("same", desk.from.path().join("f/link")).unwrap();
    let [sent, received] = send_folder(&desk, &[]);
    assert!(sent.status.success() && received.status.success());

    let same = fs::metadata(desk.arrived("f/same")).unwrap();
    let mut other = large.clone();
    *other.last_mut().unwrap() ^= 1;
    desk.write("f/changed", &other);
    desk.write("f/longer", b"it has grown");
    let link = desk.from.path().join("f/link");
    fs::remove_file(&link).unwrap();
    symlink("changed", &link).unwrap();
    let [sent, received] = send_folder(&desk, &["--on-conflict", "update"]);
    for side in [&sent, &received] {
        assert!(side.status.success(), "{side:?}");
        assert!(side.errors.contains("9.00 MiB moved"), "{side:?}");
    }
    assert_eq!(diff(&desk.from.path().join("f"), &desk.arrived("f")), "");
    let still = fs::metadata(desk.arrived("f/same")).unwrap();
    assert_eq!(still.ino(), same.ino());
}

#[test]
fn standard_input_and_output_take_the_place_of_a_file() {
    let desk = Desk::new();
    let words: Vec<String> = (0..20_000).map(|number| number.to_string()).collect();
    let input = desk.write("words", words.join("\n").as_bytes());
    let script = "exec \"$0\" send - --plain --name words.txt --listen 127.0.0.1:0 --yes <\"$1\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_sockkit"), &input]);
    let sender = Program::start(&mut shell);
    let address = sender.listening().to_string();
    let received = sockkit(&["receive", "--plain", "--stdout", "--yes", &address]).end();
    let sent = sender.end();
    assert!(sent.status.success(), "{sent:?}");
    assert!(sent.lines[0].ends_with("  words.txt"), "{sent:?}");
    assert!(received.status.success(), "{received:?}");
    assert_eq!(received.lines, words);
    assert!(received.errors.contains("words.txt"), "{received:?}");
}

#[test]
fn the_longest_names_and_a_folder_named_by_dots_arrive() {
    let desk = Desk::new();
    let long = ["x".repeat(255), "가".repeat(85)];
    for name in &long {
        assert_eq!(name.len(), 255);
        desk.write(&format!("folder/below/{name}"), b"long");
    }
    let below = desk.from.path().join("folder/below");
    let (receiver, address) = desk.receiver(&["--yes"]);
    let arguments = ["send", "--plain", "--to", &address, ".."];
    let sent = sockkit_in(&below, &arguments).end();
    for side in [&sent, &receiver.end()] {
        assert!(side.status.success(), "{side:?}");
    }
    assert_eq!(
        diff(&desk.from.path().join("folder"), &desk.arrived("folder")),
        ""
    );
}

/// The system reads no longer path.
#[test]
fn what_is_too_deep_to_be_read_is_named_and_the_rest_arrives() {
    let desk = Desk::new();
    desk.write("folder/a", b"a");
    let folder = desk.from.path().join("folder");
    // From the innermost outwards: no path is too long while it is made.
    let [inner, outer] = ["inner", "outer"].map(|name| desk.from.path().join(name));
    fs::create_dir(&inner).unwrap();
    for _ in 0..17 {
        fs::create_dir(&outer).unwrap();
        fs::rename(&inner, outer.join("d".repeat(250))).unwrap();
        fs::rename(&outer, &inner).unwrap();
    }
    fs::rename(&inner, folder.join("deep")).unwrap();
    let (receiver, address) = desk.receiver(&["--yes"]);
    let sent = send(&[folder.to_str().unwrap()], &address).end();
    for side in [&sent, &receiver.end()] {
        assert_eq!(side.status.code(), Some(1), "{side:?}");
        assert!(side.errors.contains("skipping "), "{side:?}");
        assert!(side.errors.contains("1 skipped by the sender"), "{side:?}");
    }
    assert_eq!(fs::read(desk.arrived("folder/a")).unwrap(), b"a");
}
