use super::*;

fn path(path: &[u8]) -> EntryPath {
    EntryPath::parse(path).unwrap()
}

#[test]
fn whatever_unix_calls_a_file_passes() {
    for name in [
        &b"a"[..],
        b"a/b/c.txt",
        "사진/바다 1.jpg".as_bytes(),
        b".bashrc",
        b"...",
        b"..a",
        b"a..b",
        b"a.",
        b" a ",
        b"c:\\x",
        b"NUL",
        b"a\nb\t\x1b[2J",
        "\u{202e}gpj.exe".as_bytes(),
        b"-rf",
        b"a;b|c*?\"<>",
        b"\xc7\xd1\xb1\xdb.txt",
        b"\xff",
        b".sockkit",
    ] {
        let path = EntryPath::parse(name).unwrap();
        assert_eq!(path.as_bytes(), name);
        assert_eq!(NameRules::Unix.check(&path), Ok(()), "{path}");
    }
}

#[test]
fn what_is_no_path_or_leads_up_is_refused_everywhere() {
    use NameError::{Dots, Empty, Reserved, Separator};
    for (name, error) in [
        ("", Empty),
        ("/", Empty),
        ("/etc/passwd", Empty),
        ("a//b", Empty),
        ("a/", Empty),
        (".", Dots),
        ("..", Dots),
        ("a/../b", Dots),
        ("a/..", Dots),
        ("./a", Dots),
        ("a\0", Separator { found: '\0' }),
        ("a/\0/b", Separator { found: '\0' }),
        (".sockkit-x", Reserved),
        ("a/.SOCKKIT-x", Reserved),
    ] {
        assert_eq!(EntryPath::parse(name), Err(error), "{name:?}");
    }
}

#[test]
fn each_system_refuses_what_it_cannot_hold() {
    use NameError::{Device, Edge, NotUnicode, Reserved, Separator};
    let separator = |found| Err(Separator { found });
    for (name, mac, windows) in [
        (&b"a"[..], Ok(()), Ok(())),
        (b"\xff", Err(NotUnicode), Err(NotUnicode)),
        (b"a/\xed\xa0\x80/b", Err(NotUnicode), Err(NotUnicode)),
        (b"a\\b", Ok(()), separator('\\')),
        (b"c:", Ok(()), separator(':')),
        (b"what?", Ok(()), separator('?')),
        (b"x*y", Ok(()), separator('*')),
        (b"a|b", Ok(()), separator('|')),
        (b"<a", Ok(()), separator('<')),
        (b"a>", Ok(()), separator('>')),
        (b"\"a\"", Ok(()), separator('"')),
        (b"a\n", Ok(()), separator('\n')),
        (b"a/nul/b", Ok(()), Err(Device)),
        (b"Aux.txt", Ok(()), Err(Device)),
        (b"com1", Ok(()), Err(Device)),
        ("LPT².x".as_bytes(), Ok(()), Err(Device)),
        (b"NUL .txt", Ok(()), Err(Device)),
        (b"CONOUT$", Ok(()), Err(Device)),
        (b"COM10", Ok(()), Ok(())),
        (b"com", Ok(()), Ok(())),
        (b"console.log", Ok(()), Ok(())),
        ("ＣＯＮ".as_bytes(), Ok(()), Ok(())),
        (b"a.", Ok(()), Err(Edge)),
        (b"a ", Ok(()), Err(Edge)),
        (b"...", Ok(()), Err(Edge)),
        (b" a", Ok(()), Ok(())),
        (b"SOCKKI~1.PAR", Ok(()), Err(Reserved)),
        (b"a/sockki~4.blo/b", Ok(()), Err(Reserved)),
        (b"SOCKK~12.PAR", Ok(()), Err(Reserved)),
        (b"SO3F9A~1.PAR", Ok(()), Err(Reserved)),
        (b"so3f9~10.Blo", Ok(()), Err(Reserved)),
        (b"SO3F9G~1.PAR", Ok(()), Ok(())),
        (b"SOCKKIT~1.PAR", Ok(()), Ok(())),
        (b"SOCKKI~12.PAR", Ok(()), Ok(())),
        (b"SOCKKI~.PAR", Ok(()), Ok(())),
        (b"SOCKKI~a.PAR", Ok(()), Ok(())),
        (b"SOCKKI1.PAR", Ok(()), Ok(())),
        (b"SOCKKI~1.TXT", Ok(()), Ok(())),
        (b"SOCKKI~1", Ok(()), Ok(())),
        (b"~1234567.PAR", Ok(()), Ok(())),
        (b"SO~1.PAR", Ok(()), Ok(())),
        (b"ACKKI~1.PAR", Ok(()), Ok(())),
    ] {
        let path = path(name);
        assert_eq!(NameRules::MacOs.check(&path), mac, "{path}");
        assert_eq!(NameRules::Windows.check(&path), windows, "{path}");
    }
}

#[test]
fn limits_hold_exactly_and_break_by_one() {
    let component = "a".repeat(MAX_COMPONENT_BYTES);
    assert!(EntryPath::parse(&component).is_ok());
    assert!(EntryPath::parse(format!("{component}a")).is_err());

    let deep = vec!["a"; MAX_DEPTH].join("/");
    assert!(EntryPath::parse(&deep).is_ok());
    assert!(EntryPath::parse(format!("{deep}/a")).is_err());

    let long = vec!["a".repeat(255); 16].join("/");
    assert_eq!(long.len(), MAX_PATH_BYTES);
    assert!(EntryPath::parse(&long).is_ok());
    assert!(EntryPath::parse(format!("{long}a")).is_err());

    // Unix and macOS count bytes, Windows UTF-16 units.
    for (name, unix, windows) in [
        ("a".repeat(255), true, true),
        ("a".repeat(256), false, false),
        ("가".repeat(85), true, true),
        ("가".repeat(86), false, true),
        ("가".repeat(255), false, true),
        ("😀".repeat(128), false, false),
    ] {
        let path = path(name.as_bytes());
        assert_eq!(NameRules::Unix.check(&path).is_ok(), unix, "{name}");
        assert_eq!(NameRules::MacOs.check(&path).is_ok(), unix, "{name}");
        assert_eq!(NameRules::Windows.check(&path).is_ok(), windows, "{name}");
    }
}

#[test]
fn a_path_comes_apart_at_its_last_separator() {
    let deep = path(b"a/b/c.txt");
    assert_eq!(deep.file_name(), b"c.txt");
    assert_eq!(deep.parent(), Some(path(b"a/b")));
    assert!(deep.components().eq([&b"a"[..], b"b", b"c.txt"]));
    assert_eq!(deep.with_file_name("d").unwrap(), path(b"a/b/d"));
    assert_eq!(Borrow::<[u8]>::borrow(&deep), b"a/b/c.txt");
    assert_eq!(deep.as_ref(), b"a/b/c.txt");
    assert_eq!(deep.to_str(), Some("a/b/c.txt"));
    assert_eq!(path(b"\xff").to_str(), None);
    let top = path(b"c.txt");
    assert_eq!((top.file_name(), top.parent()), (&b"c.txt"[..], None));
    assert_eq!(top.with_file_name("d").unwrap(), path(b"d"));
}

#[test]
fn a_path_is_shown_escaped() {
    // A joiner is allowed, and is not seen.
    let joined = path("a\u{200d}b".as_bytes());
    assert_eq!(joined.to_string(), r"a\u{200d}b");
    assert_eq!(joined.as_bytes(), "a\u{200d}b".as_bytes());
    assert_eq!(format!("{joined:?}"), r"EntryPath(a\u{200d}b)");
    let raw = RawPath::from(b"../\xff\x1b");
    assert_eq!(raw.to_string(), r"../\xff\u{1b}");
    assert_eq!(format!("{raw:?}"), r"RawPath(../\xff\u{1b})");
    assert_eq!(raw.as_bytes(), b"../\xff\x1b");
    let target = LinkTarget::parse(&joined, b"x\xff").unwrap();
    assert_eq!(target.to_string(), r"x\xff");
}

#[test]
fn what_may_deceive_is_found() {
    for (name, found) in [
        (&b"a b/c"[..], None),
        ("क्‍ष".as_bytes(), None),
        (b"a\n", Some('\n')),
        (b"\x1b[2J", Some('\x1b')),
        ("\u{202e}gpj.exe".as_bytes(), Some('\u{202e}')),
        (b"a\xffb", Some('\u{fffd}')),
    ] {
        assert_eq!(path(name).deceptive(), found, "{name:?}");
    }
}

#[test]
fn names_that_some_system_confuses_share_a_key() {
    let key = |name: &str| path(name.as_bytes()).collision_key();
    assert_eq!(key("README"), key("readme"));
    assert_eq!(key("straße"), key("STRASSE"));
    assert_eq!(
        key("한글"),
        key("\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}")
    );
    assert_eq!(key("é"), key("E\u{301}"));
    assert_eq!(key("a./b"), key("A/b. "));
    assert_ne!(key("a"), key("b"));
    assert_ne!(key("a/b"), key("ab"));
    assert_ne!(key(" a"), key("a"));
}

#[test]
fn a_link_leads_down_or_up_within_the_folder() {
    use NameError::{Empty, LeadsOut, Reserved, Separator, UpAfterName};
    for (link, target, result) in [
        ("l", "a", Ok(0)),
        ("l", "a/b", Ok(0)),
        ("l", ".", Ok(0)),
        ("l", "./a", Ok(0)),
        ("l", "a/", Ok(0)),
        ("l", "a//./b", Ok(0)),
        ("l", "l", Ok(0)),
        ("l", "...", Ok(0)),
        ("d/l", "a", Ok(1)),
        ("d/l", "../a", Ok(0)),
        ("d/l", "./../a", Ok(0)),
        ("d/l", "..", Ok(0)),
        ("d/e/f/l", "../../a", Ok(1)),
        ("d/e/f/l", "../../..", Ok(0)),
        ("d/e/f/l", "../../../..", Err(LeadsOut)),
        ("l", "..", Err(LeadsOut)),
        ("l", "../a", Err(LeadsOut)),
        ("d/l", "../../d/a", Err(LeadsOut)),
        ("l", "/", Err(LeadsOut)),
        ("l", "/etc/passwd", Err(LeadsOut)),
        ("l", "//a", Err(LeadsOut)),
        // Through another link this would lead anywhere.
        ("d/e/l", "x/..", Err(UpAfterName)),
        ("d/e/l", "../x/../y", Err(UpAfterName)),
        ("l", "x/../../y", Err(UpAfterName)),
        ("l", "", Err(Empty)),
        ("l", "a\0b", Err(Separator { found: '\0' })),
        ("l", "d/.sockkit-1.part", Err(Reserved)),
    ] {
        let link = path(link.as_bytes());
        let parsed = LinkTarget::parse(&link, target);
        let left = parsed.map(|found| {
            assert_eq!(found.as_bytes(), target.as_bytes());
            found.folders_left(&link).unwrap()
        });
        assert_eq!(left, result, "{link} -> {target:?}");
    }
}

#[test]
fn a_target_has_limits_and_its_system_too() {
    let link = path(b"l");
    let long = vec!["a".repeat(255); 16].join("/");
    assert!(LinkTarget::parse(&link, &long).is_ok());
    assert!(LinkTarget::parse(&link, format!("{long}a")).is_err());
    let target = |bytes: &[u8]| LinkTarget::parse(&link, bytes).unwrap();
    let check = |rules: NameRules, bytes| rules.check_target(&target(bytes));
    assert_eq!(check(NameRules::Unix, b"c:/x\xff"), Ok(()));
    assert_eq!(
        check(NameRules::MacOs, b"a/\xff"),
        Err(NameError::NotUnicode)
    );
    assert_eq!(
        check(NameRules::Windows, b"c:/x"),
        Err(NameError::Separator { found: ':' })
    );
    // What is no name is not judged as one.
    assert_eq!(check(NameRules::Windows, b"./a/"), Ok(()));
}
