//! Names, renames, locks and folders that are swapped, by Windows' rules.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::windows::fs::OpenOptionsExt,
    path::Path,
    process::Command,
};

use sockkit_testing::needs::{Need, met};
use tempfile::tempdir;

use super::imp::*;
use crate::{Destination, EntryPath, FileTime};

fn path(path: &str) -> EntryPath {
    EntryPath::parse(path).unwrap()
}

fn put(folder: &Folder, name: &str, bytes: &[u8]) {
    folder.lock_new(name).unwrap().write_all(bytes).unwrap();
}

/// What a folder holds, and the contents.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let found = fs::read_dir(folder).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let bytes = fs::read(entry.path()).unwrap_or_default();
        (entry.file_name().into_string().unwrap(), bytes)
    });
    let mut found: Vec<_> = found.collect();
    found.sort();
    found
}

#[test]
fn a_path_is_shown_as_it_is_typed() {
    let shown = crate::escape_path(Path::new("C:\\Users\\나\\a\u{1b}b"));
    assert_eq!(shown, r"C:\Users\나\a\u{1b}b");
}

fn file(name: &str, bytes: &[u8]) -> (String, Vec<u8>) {
    (name.to_owned(), bytes.to_owned())
}

#[test]
fn a_new_name_is_taken_once_in_any_case() {
    let place = tempdir().unwrap();
    let folder = Folder::open(place.path()).unwrap();
    put(&folder, "part", b"1");
    folder.rename_new("part", "Name").unwrap();
    put(&folder, "part", b"2");
    for taken in ["Name", "nAME"] {
        let error = folder.rename_new("part", taken).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{taken}: {error}");
    }
    let expected = [file("Name", b"1"), file("part", b"2")];
    assert_eq!(contents(place.path()), expected);
}

#[test]
fn a_file_is_replaced_while_it_is_read() {
    let place = tempdir().unwrap();
    let folder = Folder::open(place.path()).unwrap();
    put(&folder, "name", b"old");
    put(&folder, "part", b"new");
    let mut old = folder.open_file("name").unwrap();
    // Its lock does not keep it from its name.
    let _locked = folder.lock("part").unwrap().unwrap();
    let replaced = folder.rename_over("part", "name");
    let mut text = String::new();
    old.read_to_string(&mut text).unwrap();
    assert_eq!(text, "old");
    // Wine, like Windows on FAT, refuses, and leaves both as they were.
    let expected = match replaced {
        Ok(()) => vec![file("name", b"new")],
        Err(_refused) => vec![file("name", b"old"), file("part", b"new")],
    };
    assert_eq!(contents(place.path()), expected);
    assert!(expected.len() == 1 || !met("a read file is replaced", &[Need::Windows]));
    drop(old);
    if expected.len() == 2 {
        folder.rename_over("part", "name").unwrap();
    }
    assert_eq!(contents(place.path()), [file("name", b"new")]);
}

#[test]
fn a_folder_is_not_replaced_by_a_file() {
    let place = tempdir().unwrap();
    let folder = Folder::open(place.path()).unwrap();
    folder.make_below(&path("name"), |_path| Mode).unwrap();
    put(&folder, "part", b"1");
    folder.rename_over("part", "name").unwrap_err();
    folder.rename_new("part", "name").unwrap_err();
    assert!(place.path().join("name").is_dir());
    let error = folder.open_file("name").unwrap_err();
    assert!(is_in_the_way(&error), "{error}");
    let error = folder.below(&path("part")).unwrap_err();
    assert!(is_in_the_way(&error), "{error}");
}

#[test]
fn a_name_that_leads_elsewhere_is_no_name() {
    let place = tempdir().unwrap();
    fs::create_dir(place.path().join("inside")).unwrap();
    fs::write(place.path().join("secret"), b"1").unwrap();
    let folder = Folder::open(&place.path().join("inside")).unwrap();
    put(&folder, "part", b"2");
    let hostile = [
        "",
        ".",
        "..",
        r"..\secret",
        "../secret",
        r"\secret",
        "C:",
        r"C:\secret",
        "part:stream",
        "part::$DATA",
        "a\0b",
    ];
    for name in hostile {
        let errors = [
            folder.lock_new(name).err(),
            folder.open_file(name).err(),
            folder.find(name).err(),
            folder.remove(name).err(),
            folder.rename_over("part", name).err(),
            folder.rename_new("part", name).err(),
        ];
        for error in errors {
            let error = error.expect(name);
            assert!(is_bad_name(&error), "{name:?}: {error}");
        }
    }
    let error = folder.open_file([0xff]).unwrap_err();
    assert!(is_bad_name(&error), "{error}");
    assert_eq!(contents(&place.path().join("inside")), [file("part", b"2")]);
}

#[test]
fn a_name_that_windows_cannot_hold_is_not_created() {
    let place = tempdir().unwrap();
    let folder = Folder::open(place.path()).unwrap();
    put(&folder, ".sockkit-1.part", b"1");
    for name in ["CON", "nul.txt", "a.", "a ", "a?", "SOCKKI~1.PAR"] {
        let errors = [
            folder.find(name).err(),
            folder.make_below(&path(name), |_path| Mode).err(),
            folder.rename_over(".sockkit-1.part", name).err(),
            folder.rename_new(".sockkit-1.part", name).err(),
        ];
        for error in errors {
            let error = error.expect(name);
            assert!(is_bad_name(&error), "{name:?}: {error}");
        }
    }
    assert!(folder.find(".sockkit-1.part").unwrap().is_some());
    assert_eq!(contents(place.path()), [file(".sockkit-1.part", b"1")]);
}

#[test]
fn a_part_has_one_writer() {
    let place = tempdir().unwrap();
    let folder = Folder::open(place.path()).unwrap();
    let first = folder.lock_temporary("part").unwrap().unwrap();
    let busy = folder.lock_temporary("part").unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::WouldBlock);
    let busy = folder.lock("part").unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::WouldBlock);
    // Others may read it, but not write to it.
    OpenOptions::new()
        .write(true)
        .open(place.path().join("part"))
        .unwrap_err();
    drop(first);
    assert!(folder.lock_temporary("part").unwrap().is_some());
}

#[test]
fn a_part_with_a_second_name_is_begun_again() {
    let place = tempdir().unwrap();
    let folder = Folder::open(place.path()).unwrap();
    fs::write(place.path().join("other"), b"1").unwrap();
    fs::hard_link(place.path().join("other"), place.path().join("part")).unwrap();
    let mut part = folder.lock_temporary("part").unwrap().unwrap();
    part.write_all(b"secret").unwrap();
    drop(part);
    let expected = [file("other", b"1"), file("part", b"secret")];
    assert_eq!(contents(place.path()), expected);
}

#[test]
fn a_part_with_a_second_name_is_not_removed_from_its_writer() {
    let place = tempdir().unwrap();
    let folder = Folder::open(place.path()).unwrap();
    let mut first = folder.lock_temporary("part").unwrap().unwrap();
    fs::hard_link(place.path().join("part"), place.path().join("other")).unwrap();
    let busy = folder.lock_temporary("part").unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::WouldBlock);
    first.write_all(b"1").unwrap();
    drop(first);
    let expected = [file("other", b"1"), file("part", b"1")];
    assert_eq!(contents(place.path()), expected);
}

#[test]
fn a_folder_with_the_name_of_a_part_is_left_alone() {
    let place = tempdir().unwrap();
    let folder = Folder::open(place.path()).unwrap();
    folder.make_below(&path("part"), |_path| Mode).unwrap();
    assert!(folder.lock_temporary("part").unwrap().is_none());
    assert!(place.path().join("part").is_dir());
}

#[test]
fn an_open_folder_that_is_moved_is_not_mistaken_for_another() {
    let place = tempdir().unwrap();
    let root = Folder::open(place.path()).unwrap();
    let held = root.make_below(&path("a/b"), |_path| Mode).unwrap();
    // Windows itself may refuse to move a folder in which something is open.
    if fs::rename(place.path().join("a"), place.path().join("moved")).is_err() {
        return;
    }
    fs::create_dir_all(place.path().join("a/b")).unwrap();
    // Wine refuses to use the handle from here on.
    let made = held
        .lock_new("part")
        .and_then(|_part| held.rename_new("part", "name"));
    assert_eq!(contents(&place.path().join("a/b")), []);
    if made.is_ok() || met("a moved folder is the same", &[Need::Windows]) {
        let expected = [file("name", b"")];
        assert_eq!(contents(&place.path().join("moved/b")), expected);
    }
}

/// Makes a junction by the system's own command, which needs no rights.
fn make_junction(at: &Path, to: &Path) {
    let made = Command::new("cmd")
        .args(["/c", "mklink", "/J"])
        .args([at, to])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    assert!(fs::symlink_metadata(at).unwrap().is_symlink());
}

#[test]
fn a_junction_is_not_followed() {
    if !met("junctions are not followed", &[Need::Windows]) {
        return;
    }
    let place = tempdir().unwrap();
    let outside = place.path().join("outside");
    let inside = place.path().join("inside");
    fs::create_dir(&outside).unwrap();
    fs::create_dir_all(inside.join("swapped")).unwrap();
    fs::write(outside.join("secret"), b"1").unwrap();
    let folder = Folder::open(&inside).unwrap();
    let held = folder.below(&path("swapped")).unwrap();
    fs::remove_dir(inside.join("swapped")).unwrap();
    make_junction(&inside.join("swapped"), &outside);
    let errors = [
        folder.below(&path("swapped")).err(),
        folder.make_below(&path("swapped"), |_path| Mode).err(),
        folder.make_below(&path("swapped/new"), |_path| Mode).err(),
        folder.open_file_below(&path("swapped/secret")).err(),
        folder.open_file("swapped").err(),
    ];
    for error in errors {
        let error = error.unwrap();
        assert!(is_in_the_way(&error), "{error}");
    }
    assert!(is_link(&folder.find("swapped").unwrap().unwrap()));
    assert!(folder.lock_temporary("swapped").unwrap().is_none());
    // The folder that was there is gone, and the junction is not taken for it.
    held.lock_new("part").unwrap_err();
    assert_eq!(contents(&outside), [file("secret", b"1")]);
}

#[test]
fn an_empty_folder_that_is_made_a_junction_in_place_is_not_followed() {
    if !met("junctions are not followed", &[Need::Windows]) {
        return;
    }
    let place = tempdir().unwrap();
    let outside = place.path().join("outside");
    let inside = place.path().join("inside");
    fs::create_dir(&outside).unwrap();
    make_junction(&inside, &outside);
    // As if it had become one after it was opened.
    let flags = 0x0200_0000 | 0x0020_0000;
    let held = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(&inside)
        .unwrap();
    let opened =
        sockkit_core::directory::open(&held, "part", sockkit_core::directory::Opening::New);
    opened.unwrap_err();
    assert_eq!(contents(&outside), []);
}

#[test]
fn paths_may_be_long() {
    let place = tempdir().unwrap();
    let folder = Folder::open(place.path()).unwrap();
    let long = vec!["a".repeat(100); 20].join("/");
    let bottom = folder.make_below(&path(&long), |_path| Mode).unwrap();
    put(&bottom, "part", b"1");
    bottom.rename_new("part", &"n".repeat(200)).unwrap();
    let below = path(&format!("{long}/{}", "n".repeat(200)));
    let mut text = String::new();
    let mut found = folder.open_file_below(&below).unwrap();
    found.read_to_string(&mut text).unwrap();
    assert_eq!(text, "1");
}

#[test]
fn times_are_kept_and_absurd_ones_do_no_harm() {
    let place = tempdir().unwrap();
    let folder = Folder::open(place.path()).unwrap();
    let file = folder.lock_new("part").unwrap();
    // The system counts in 100 ns.
    for (seconds, nanoseconds) in [(1_700_000_000, 123_456_700), (0, 0), (-1, 500_000_000)] {
        let time = FileTime::new(seconds, nanoseconds);
        set_modified(&file, time).unwrap();
        assert_eq!(file_time(&file.metadata().unwrap()), time);
        let stat = folder.find("part").unwrap().unwrap();
        assert_eq!(modified_seconds(&stat), seconds);
    }
    for seconds in [i64::MIN, -11_644_473_601, i64::MAX] {
        set_modified(&file, FileTime::new(seconds, 999_999_999)).unwrap();
    }
    // The first moment that the system counts is one that it does not set.
    set_modified(&file, FileTime::new(-11_644_473_600, 0)).unwrap();
}

#[test]
fn a_folder_is_listed_measured_and_searched() {
    let place = tempdir().unwrap();
    let folder = Folder::open(place.path()).unwrap();
    let many: Vec<String> = (0..700)
        .map(|number| format!("temporary {number:090}"))
        .collect();
    for name in &many {
        put(&folder, name, b"");
    }
    put(&folder, "한글", b"1");
    let mut found = folder.names_with("temporary").unwrap();
    found.sort();
    assert_eq!(found, many);
    assert_eq!(folder.names_with("한").unwrap(), ["한글"]);
    // A second listing begins at the first name again.
    assert_eq!(folder.names_with("한").unwrap(), ["한글"]);
    let room = folder.room().unwrap();
    assert!(room.bytes > 0 && room.unit_bytes > 0, "{room:?}");
    let [one, other] = [many[0].as_str(), "한글"].map(|name| folder.find(name).unwrap().unwrap());
    assert_ne!(identity(&one), identity(&other));
    assert_eq!(size_bytes(&other), Some(1));
    assert!(folder.find("none").unwrap().is_none());
    folder.remove("한글").unwrap();
    folder.remove("한글").unwrap();
    assert!(folder.find("한글").unwrap().is_none());
    assert!(
        Destination::open(place.path())
            .unwrap()
            .free_bytes()
            .unwrap()
            > 0
    );
}

#[test]
fn a_target_is_sent_with_slashes_and_an_absolute_one_is_seen_to_be() {
    for (target, sent) in [
        (r"..\a\b", "../a/b"),
        ("a/b", "a/b"),
        (r"C:\a", "/C:/a"),
        ("C:a", "/C:a"),
        (r"\a", "//a"),
        (r"\\?\C:\a", "///?/C:/a"),
    ] {
        let found = target_of(Path::new(target)).unwrap();
        assert_eq!(String::from_utf8(found).unwrap(), sent);
    }
}
