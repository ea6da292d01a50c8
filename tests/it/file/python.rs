//! The session against a second implementation, in Python, written from
//! `docs/wire/file.md`.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
};

use sockkit::{
    file::{
        BLOCK_BYTES, Destination, FileOutcome, FileSet, OnConflict, ReceiveConfig, SendConfig,
        Summary, receive, send,
        session::{Limits, RefuseReason},
    },
    testing::needs::{Need, met},
};
use tempfile::tempdir;
use tokio::net::{TcpListener, TcpStream};

use super::contents;

/// A name that is no text.
const EUC_KR: &[u8] = b"\xc7\xd1\xb1\xdb.txt";

/// The other side, a program of its own.
fn peer(role: &str, port: u16, folder: &Path) -> thread::JoinHandle<Output> {
    let mut python = Command::new("python3");
    python
        .args(["-c", include_str!("peer.py"), role, &port.to_string()])
        .arg(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = python.spawn().unwrap();
    thread::spawn(move || child.wait_with_output().unwrap())
}

/// A connection to the other side, and what it prints.
async fn with_peer(role: &str, folder: &Path) -> (TcpStream, thread::JoinHandle<Output>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let python = peer(role, port, folder);
    (listener.accept().await.unwrap().0, python)
}

/// The lines that it printed, each path as it is.
fn told(python: thread::JoinHandle<Output>) -> Vec<String> {
    let output = python.join().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// What it prints of an entry.
fn line(outcome: &str, path: impl AsRef<[u8]>) -> String {
    let hex: String = path
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{outcome} {hex}")
}

/// A folder with all that a session carries.
fn album(folder: &Path, refused: &[&str]) -> PathBuf {
    let album = folder.join("album");
    fs::create_dir_all(album.join("deep/empty")).unwrap();
    let block = usize::try_from(BLOCK_BYTES).unwrap();
    for (name, bytes) in [
        (&b"nothing"[..], 0),
        (EUC_KR, 5),
        (b"line\nbreak", 1_025),
        (b"deep/large", 2 * block + 7),
        (b"C: NUL.", 100),
    ] {
        fs::write(album.join(OsStr::from_bytes(name)), contents(bytes, 1)).unwrap();
    }
    for name in refused {
        fs::write(album.join(name), "refused").unwrap();
    }
    symlink("../nothing", album.join("deep/link")).unwrap();
    symlink(OsStr::from_bytes(EUC_KR), album.join("linked")).unwrap();
    let mode = |name: &str, mode| {
        fs::set_permissions(album.join(name), PermissionsExt::from_mode(mode)).unwrap();
    };
    mode("deep/empty", 0o750);
    mode("nothing", 0o600);
    mode("deep/large", 0o644);
    album
}

/// The same names with the same contents, links, times of files, and modes.
#[track_caller]
fn same(one: &Path, other: &Path) {
    let mut names: Vec<_> = fs::read_dir(one)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    for name in names {
        let (one, other) = (one.join(&name), other.join(&name));
        let metadata = fs::symlink_metadata(&one).unwrap();
        let there = fs::symlink_metadata(&other).unwrap();
        assert_eq!(metadata.file_type(), there.file_type(), "{name:?}");
        if metadata.is_symlink() {
            assert_eq!(fs::read_link(&one).unwrap(), fs::read_link(&other).unwrap());
        } else if metadata.is_dir() {
            same(&one, &other);
        } else {
            assert!(
                fs::read(&one).unwrap() == fs::read(&other).unwrap(),
                "{name:?}"
            );
            assert_eq!(metadata.modified().unwrap(), there.modified().unwrap());
        }
    }
}

fn mode(path: PathBuf) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

/// The outcomes of files and links, by path.
fn outcomes(summary: &Summary) -> Vec<(Vec<u8>, FileOutcome)> {
    let files = summary.files.iter();
    files
        .map(|file| (file.path.as_bytes().to_vec(), file.outcome))
        .collect()
}

#[tokio::test]
async fn a_sender_in_python_is_understood() {
    if !met("the file session in Python", &[Need::Program("python3")]) {
        return;
    }
    let (from, into) = (tempdir().unwrap(), tempdir().unwrap());
    let album = album(from.path(), &[]);
    symlink("/etc/passwd", album.join("out")).unwrap();
    let (stream, python) = with_peer("send", from.path()).await;
    let destination = Destination::open(into.path()).unwrap();
    let config = ReceiveConfig::default().name("receiver");
    let incoming = receive(stream, &config).await.unwrap();
    assert_eq!(incoming.peer(), "py");
    let received = incoming.accept(&destination).await.unwrap();

    let told = told(python);
    assert_eq!(received.left_out, 2);
    let refused = outcomes(&received)
        .into_iter()
        .filter(|(_, outcome)| !matches!(outcome, FileOutcome::Complete(_)));
    let target = FileOutcome::Refused(RefuseReason::Target);
    assert_eq!(
        refused.collect::<Vec<_>>(),
        [(b"album/out".to_vec(), target)]
    );
    assert!(told.contains(&line("refused 10", "album/out")), "{told:?}");
    assert!(told.contains(&line("sent", [b"album/", EUC_KR].concat())));
    fs::remove_file(album.join("out")).unwrap();
    same(&album, &into.path().join("album"));
    assert_eq!(mode(into.path().join("album/deep/empty")), 0o700);
    assert_eq!(mode(into.path().join("album/nothing")), 0o600);

    // Once more: all is here.
    let (stream, python) = with_peer("send", from.path()).await;
    let config = config.on_conflict(OnConflict::Resume);
    let incoming = receive(stream, &config).await.unwrap();
    let received = incoming.accept(&destination).await.unwrap();
    assert!(received.is_complete(), "{received:?}");
    assert_eq!(received.moved_bytes, 0);
    assert!(
        self::told(python)
            .iter()
            .all(|line| line.starts_with("sent"))
    );
}

#[tokio::test]
async fn a_receiver_in_python_is_understood() {
    if !met("the file session in Python", &[Need::Program("python3")]) {
        return;
    }
    let (from, into) = (tempdir().unwrap(), tempdir().unwrap());
    let album = album(from.path(), &["a.no", "b.odd"]);
    symlink("a.no", album.join("link.no")).unwrap();
    fs::create_dir(album.join("folder.no")).unwrap();
    symlink("/etc/passwd", album.join("out")).unwrap();
    // The first of two blocks and a bit is there, and all of another file.
    fs::create_dir_all(into.path().join("album/deep")).unwrap();
    let large = fs::read(album.join("deep/large")).unwrap();
    let block = usize::try_from(BLOCK_BYTES).unwrap();
    fs::write(into.path().join("album/deep/large"), &large[..block]).unwrap();
    let there = into.path().join("album/line\nbreak");
    fs::copy(album.join("line\nbreak"), there).unwrap();

    let (stream, python) = with_peer("receive", into.path()).await;
    let source = FileSet::gather([&album]).unwrap();
    let sent = send(stream, source, &SendConfig::default()).await.unwrap();

    let told = told(python);
    assert!(told.contains(&"left out 1".to_owned()), "{told:?}");
    assert_eq!(sent.left_out, 1);
    let refused = outcomes(&sent)
        .into_iter()
        .filter(|(_, outcome)| !matches!(outcome, FileOutcome::Complete(_)));
    let because = |name: &str, reason| (name.as_bytes().to_vec(), FileOutcome::Refused(reason));
    assert_eq!(
        refused.collect::<Vec<_>>(),
        [
            because("album/a.no", RefuseReason::Unwanted),
            because("album/b.odd", RefuseReason::Other(200)),
            because("album/folder.no", RefuseReason::Unwanted),
            because("album/link.no", RefuseReason::Unwanted),
        ]
    );
    let small = 5 + 100;
    assert_eq!(sent.moved_bytes, BLOCK_BYTES + 7 + small);
    assert!(told.contains(&line("received", [b"album/", EUC_KR].concat())));
    for name in ["a.no", "b.odd", "link.no", "out"] {
        fs::remove_file(album.join(name)).unwrap();
    }
    fs::remove_dir(album.join("folder.no")).unwrap();
    same(&album, &into.path().join("album"));
    assert_eq!(mode(into.path().join("album/deep/empty")), 0o700);
    assert_eq!(mode(into.path().join("album/nothing")), 0o600);
}

#[tokio::test]
async fn a_sender_in_python_is_told_the_limit_that_it_broke() {
    if !met("the file session in Python", &[Need::Program("python3")]) {
        return;
    }
    let (from, into) = (tempdir().unwrap(), tempdir().unwrap());
    album(from.path(), &[]);
    let (stream, python) = with_peer("send", from.path()).await;
    let config = ReceiveConfig::default().limits(Limits::default().max_entries(3));
    receive(stream, &config).await.unwrap_err();
    let complaint = String::from_utf8(python.join().unwrap().stderr).unwrap();
    assert_eq!(complaint.trim(), "abort 4, 3, 0");
    assert!(fs::read_dir(into.path()).unwrap().next().is_none());
}
