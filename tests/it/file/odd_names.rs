//! Names that Linux allows, between two sides that are both Linux.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt, path::Path};

use sockkit::file::{
    Destination, EntryKind, FileOutcome, FileSet, OnConflict, Planned, ReceiveConfig, SendConfig,
    receive, send, session::RefuseReason,
};
use tempfile::tempdir;

use super::{
    liar::{Manners, Offered, Said, lie, offer},
    pair, transfer_all,
};

/// What other systems, or careless programs, would not have as names.
fn odd() -> Vec<Vec<u8>> {
    let mut odd: Vec<Vec<u8>> = [
        &b"Screenshot from 2026-11-25 19:34:55.png"[..],
        b"back\\slash",
        b"trail ",
        b" lead",
        b"dot.",
        b"...",
        b"CON",
        b"nul.txt",
        b"COM1.log",
        b"tab\there",
        b"line\nbreak",
        b"return\r",
        b"\x1b[2Jescape",
        b"\x7f",
        b"what?",
        b"a|b*c\"<d>",
        b"\xc7\xd1\xb1\xdb.txt",
        b"\xff",
        b"\xed\xa0\x80",
        b"-rf",
    ]
    .map(<[u8]>::to_vec)
    .into();
    odd.extend(["\u{202e}gpj.exe", "\u{feff}", "한글", "e\u{301}"].map(|name| name.into()));
    odd.push(vec![b'n'; 255]);
    odd.push("\u{ac00}".repeat(85).into_bytes());
    odd
}

fn at(folder: &Path, name: &[u8]) -> std::path::PathBuf {
    folder.join(OsStr::from_bytes(name))
}

#[tokio::test]
async fn whatever_linux_can_hold_arrives() {
    let (from, into) = (tempdir().unwrap(), tempdir().unwrap());
    let folder = at(from.path(), b"all \xff");
    fs::create_dir(&folder).unwrap();
    for name in odd() {
        fs::write(at(&folder, &name), &name).unwrap();
        fs::create_dir(at(&folder, &[b"d", &name[..name.len().min(99)]].concat())).unwrap();
    }
    // One of them by itself: what was named is what arrives.
    let one = at(from.path(), b"a:b\xfe");
    fs::write(&one, "one").unwrap();

    let source = FileSet::gather([&folder, &one]).unwrap();
    assert_eq!(source.skipped(), []);
    let (sent, received) = transfer_all(source, into.path(), OnConflict::Refuse).await;

    assert!(sent.is_complete() && received.is_complete(), "{sent:?}");
    assert_eq!(sent.files, received.files);
    for name in odd() {
        let arrived = at(&at(into.path(), b"all \xff"), &name);
        assert_eq!(fs::read(arrived).unwrap(), name);
    }
    assert_eq!(fs::read(at(into.path(), b"a:b\xfe")).unwrap(), b"one");
    let shown: Vec<_> = sent
        .files
        .iter()
        .map(|file| file.path.to_string())
        .collect();
    assert!(shown.iter().all(|shown| !shown.contains(char::is_control)));
    assert!(
        shown.contains(&r"all\u{20}\xff/\xed\xa0\x80".to_owned()),
        "{shown:?}"
    );
}

#[tokio::test]
async fn names_that_differ_by_case_alone_are_two_here() {
    let (from, into) = (tempdir().unwrap(), tempdir().unwrap());
    let names = ["README", "readme", "\u{e9}", "e\u{301}"];
    for name in names {
        fs::write(from.path().join(name), name).unwrap();
    }
    let source = FileSet::gather(names.map(|name| from.path().join(name))).unwrap();
    let (sent, _) = transfer_all(source, into.path(), OnConflict::Refuse).await;
    assert!(sent.is_complete(), "{sent:?}");
    for name in names {
        let arrived = fs::read_to_string(into.path().join(name)).unwrap();
        assert_eq!(arrived, name);
    }
}

/// What becomes of these entries: the answer's codes, and what is then there.
async fn offered(entries: Vec<Offered>) -> (Vec<u8>, Vec<String>) {
    let into = tempdir().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let liar = std::thread::spawn(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let said = Said {
            entries: &entries,
            manners: Manners::Polite,
        };
        lie(&mut stream, &offer(&entries), &said)
    });
    let (stream, _) = listener.accept().await.unwrap();
    let destination = Destination::open(into.path()).unwrap();
    let incoming = receive(stream, &ReceiveConfig::default()).await.unwrap();
    incoming.accept(&destination).await.unwrap();
    (liar.join().unwrap().unwrap(), super::names(into.path()))
}

#[tokio::test]
async fn one_entry_that_is_refused_leaves_the_others_alone() {
    let mut later = Offered::file("of a later kind", b"");
    (later.kind, later.target) = (9, b"whatever that needs".to_vec());
    let entries = vec![
        Offered::file("../up", b"x"),
        Offered::file("a", b"x"),
        Offered::file("a", b"again"),
        Offered::file("a/b", b"x"),
        Offered::file("ab/c", b"x"),
        later,
        Offered::link("l", "/etc"),
        Offered::file(vec![b'n'; 256], b"x"),
        Offered::file(vec![b'n'; 60_000], b"x"),
        Offered::link("m", vec![b'n'; 60_000]),
        Offered::link("n", "a"),
        Offered::folder(""),
        Offered::folder("z"),
    ];
    let (codes, there) = offered(entries).await;
    assert_eq!(codes, [1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 0, 1, 0]);
    assert_eq!(there, ["a", "ab", "ab/c", "n", "z"]);
}

#[tokio::test]
async fn a_receiver_takes_what_it_selects() {
    let (from, into) = (tempdir().unwrap(), tempdir().unwrap());
    for name in ["a.jpg", "b.txt", "c.jpg"] {
        fs::write(from.path().join(name), name).unwrap();
    }
    let paths = ["a.jpg", "b.txt", "c.jpg"].map(|name| from.path().join(name));
    let source = FileSet::gather(paths).unwrap();
    let (ours, theirs) = pair().await;
    let config = SendConfig::default();
    let receiving = async {
        let incoming = receive(theirs, &ReceiveConfig::default()).await.unwrap();
        let incoming = incoming.select(|entry| {
            entry.kind == EntryKind::File && entry.path.as_bytes().ends_with(b".jpg")
        });
        let destination = Destination::open(into.path()).unwrap();
        let planned = incoming.plan(&destination);
        assert_eq!(planned[1], Planned::Refuse(RefuseReason::Unwanted));
        incoming.accept(&destination).await.unwrap()
    };
    let (sent, received) = tokio::join!(send(ours, source, &config), receiving);
    let sent = sent.unwrap();
    assert_eq!(sent.files, received.files);
    assert_eq!(
        sent.files[1].outcome,
        FileOutcome::Refused(RefuseReason::Unwanted)
    );
    assert_eq!(super::names(into.path()), ["a.jpg", "c.jpg"]);
}
