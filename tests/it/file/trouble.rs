//! Disks, files and peers that fail halfway: a clear error each, and nothing
//! that was there before is lost.

use std::{
    error::Error,
    fs::{self, File},
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
    thread,
    time::Duration,
};

use sockkit::{
    file::{
        BLOCK_BYTES, Destination, FileOutcome, FileSet, OnConflict, OnProgress, Progress,
        ReceiveConfig, ReceiveError, SendConfig, SendError, Summary, receive, send,
        session::FailReason,
    },
    testing::needs::{Need, met},
};
use tempfile::{TempDir, tempdir, tempdir_in};

use super::{
    contents,
    liar::{Offered, block, file_end, frame, hello, offer, read_frame},
    names, pair, transfer, transfer_all,
};

/// What a receiver makes of a peer that says hello and `offered`, waits for an
/// answer, says what `follows`, and then waits.
async fn hear(
    into: &Path,
    offered: Vec<u8>,
    follows: Vec<u8>,
    config: ReceiveConfig,
) -> Result<Summary, ReceiveError> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let liar = thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(&[hello(2), offered].concat()).unwrap();
        if !follows.is_empty() {
            while read_frame(&mut stream).unwrap().0 != 3 {}
        }
        // It may be refused in the middle.
        let _ = stream.write_all(&follows);
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let (stream, _) = listener.accept().await.unwrap();
    let destination = Destination::open(into).unwrap();
    let received = async {
        let incoming = receive(stream, &config).await?;
        incoming.accept(&destination).await
    };
    let received = tokio::time::timeout(PATIENCE, received).await;
    let received = received.expect("a receiver does not hang");
    liar.join().unwrap();
    received
}

/// An offer of one file of `size` bytes called `film`.
fn film_of(size: u64) -> Vec<u8> {
    let film = Offered {
        size,
        ..Offered::file("film", b"")
    };
    frame(2, &offer(&[film]))
}

/// A destination in which an old film lies.
fn with_old_film() -> TempDir {
    let into = tempdir().unwrap();
    fs::write(into.path().join("film"), "the old one").unwrap();
    into
}

/// A silent peer times out soon.
fn overwriting() -> ReceiveConfig {
    ReceiveConfig::default()
        .on_conflict(OnConflict::Overwrite)
        .idle_timeout(Duration::from_secs(2))
}

/// The whole of an error, causes included.
fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text += &format!(": {inner}");
        cause = inner.source();
    }
    text
}

#[tokio::test]
async fn a_peer_that_lies_is_found_out_and_the_old_file_stays() {
    let digest = |bytes: &[u8]| *blake3::hash(bytes).as_bytes();
    let film = b"the new one";
    let size = film.len() as u64;
    for (what, said) in [
        (
            "another digest of the block",
            vec![block(0, 0, film, &digest(b"?"))],
        ),
        (
            "another digest of the file",
            vec![block(0, 0, film, &digest(film)), file_end(0, &digest(b"?"))],
        ),
        (
            "fewer bytes than offered",
            vec![block(0, 0, b"the", &digest(b"the"))],
        ),
        (
            "more bytes than offered",
            vec![block(0, 0, b"the new one!", &digest(b"the new one!"))],
        ),
        ("an end without the bytes", vec![file_end(0, &digest(film))]),
        (
            "the block twice",
            vec![
                block(0, 0, film, &digest(film)),
                block(0, 0, film, &digest(film)),
            ],
        ),
        ("another block", vec![block(0, 1, film, &digest(film))]),
        ("another entry", vec![block(1, 0, film, &digest(film))]),
        ("done before it is", vec![frame(7, b"")]),
        (
            "a frame of 2^62 bytes",
            vec![(1_u64 << 62).to_be_bytes().to_vec(), vec![4]],
        ),
        (
            "a frame of no bytes",
            vec![0_u64.to_be_bytes().to_vec(), vec![4]],
        ),
        ("an unknown message", vec![frame(77, b"")]),
        ("a second offer", vec![frame(2, &offer(&[]))]),
    ] {
        let into = with_old_film();
        let error = hear(into.path(), film_of(size), said.concat(), overwriting())
            .await
            .expect_err(what);
        assert!(
            matches!(error, ReceiveError::Session(_)),
            "{what}: {error:?}"
        );
        let film = fs::read(into.path().join("film")).unwrap();
        assert_eq!(film, b"the old one", "{what}");
    }
}

#[tokio::test]
async fn bytes_before_the_answer_are_out_of_turn_and_a_heartbeat_is_not() {
    let film = b"the new one";
    let digest = *blake3::hash(film).as_bytes();
    let early = [block(0, 0, film, &digest), file_end(0, &digest)].concat();
    let into = with_old_film();
    let offered = [film_of(film.len() as u64), early.clone()].concat();
    let error = hear(into.path(), offered, vec![], overwriting()).await;
    assert!(matches!(error, Err(ReceiveError::Session(_))), "{error:?}");

    // Cut anywhere: what comes in one read with the offer is not lost.
    let working = frame(9, b"");
    for cut in 1..working.len() {
        let into = with_old_film();
        let offered = [film_of(film.len() as u64), working[..cut].to_vec()].concat();
        let follows = [&working[cut..], &early, &frame(7, b"")].concat();
        let received = hear(into.path(), offered, follows, overwriting()).await;
        assert!(received.unwrap().is_complete(), "cut at {cut}");
        assert_eq!(fs::read(into.path().join("film")).unwrap(), film);
    }
}

#[tokio::test]
async fn an_offer_that_does_not_add_up_is_refused_before_anything_is_made() {
    let entry = |change: fn(&mut Offered)| {
        let mut entry = Offered::file("film", b"");
        change(&mut entry);
        offer(&[entry])
    };
    let big = |size| {
        move || {
            let one = Offered {
                size,
                ..Offered::file("a", b"")
            };
            let other = Offered {
                path: b"b".into(),
                ..one.clone()
            };
            offer(&[one, other])
        }
    };
    let mut short = offer(&[Offered::file("film", b"")]);
    short.pop();
    let mut long = offer(&[Offered::file("film", b"")]);
    long.push(0);
    let mut many = vec![1, 0, 0, 0, 0];
    many.extend(u32::MAX.to_be_bytes());
    for (what, body) in [
        ("sizes that overflow together", big(u64::MAX)()),
        ("more bytes than any disk has", big(1 << 62)()),
        ("an unknown flag", entry(|entry| entry.flags = 0x80)),
        (
            "a folder with bytes",
            entry(|entry| (entry.kind, entry.size) = (1, 5)),
        ),
        (
            "a link with bytes",
            entry(|entry| (entry.kind, entry.size) = (2, 5)),
        ),
        (
            "a file with a target",
            entry(|entry| entry.target = b"a".into()),
        ),
        ("a setuid bit", entry(|entry| entry.mode = 0o4755)),
        (
            "a second with 10^9 nanoseconds",
            entry(|entry| entry.nanoseconds = 1_000_000_000),
        ),
        ("an entry that is cut", short),
        ("bytes after the last entry", long),
        ("four thousand million entries", many),
        ("an unknown integrity", vec![9, 0, 0, 0, 0, 0, 0, 0, 0]),
        (
            "an extension that must be known",
            [offer(&[]), vec![0x80, 0, 0, 0, 0, 0]].concat(),
        ),
        (
            "an extension that is cut",
            [offer(&[]), vec![0, 1, 0, 0, 0, 9, 0]].concat(),
        ),
        ("nothing", vec![]),
    ] {
        let into = with_old_film();
        let error = hear(into.path(), frame(2, &body), vec![], overwriting())
            .await
            .expect_err(what);
        assert!(
            matches!(
                error,
                ReceiveError::Session(_) | ReceiveError::NoSpace { .. }
            ),
            "{what}: {error:?}"
        );
        assert_eq!(names(into.path()), ["film"], "{what}");
    }
}

#[tokio::test]
async fn a_peer_that_stalls_is_given_up_and_what_came_is_kept() {
    let into = with_old_film();
    let first = contents(usize::try_from(BLOCK_BYTES).unwrap(), 1);
    // Half of the second block, and then nothing.
    let digest = [7; 32];
    let half = &block(0, 0, &first, &digest)[..2 << 20];
    let config = overwriting().idle_timeout(Duration::from_millis(300));
    let error = hear(into.path(), film_of(2 * BLOCK_BYTES), half.to_vec(), config)
        .await
        .unwrap_err();
    assert!(matches!(error, ReceiveError::Io(_)), "{error:?}");
    assert!(told(&error).contains("silent"), "{}", told(&error));
    assert_eq!(fs::read(into.path().join("film")).unwrap(), b"the old one");
}

#[tokio::test]
async fn a_receiver_that_stalls_is_given_up() {
    let from = tempdir().unwrap();
    let path = from.path().join("film");
    fs::write(&path, contents(32 << 20, 1)).unwrap();
    let (ours, theirs) = pair().await;
    let theirs = theirs.into_std().unwrap();
    theirs.set_nonblocking(false).unwrap();
    let silent = thread::spawn(move || {
        let mut theirs = theirs;
        let hello = [b"SKFT", &2_u16.to_be_bytes()[..], &[1, 0]].concat();
        theirs.write_all(&frame(1, &hello)).unwrap();
        while read_frame(&mut theirs).unwrap().0 != 2 {}
        theirs.write_all(&frame(3, &[0, 0, 0, 1, 0])).unwrap();
        theirs
    });
    let config = SendConfig::default().idle_timeout(Duration::from_millis(300));
    let sending = send(ours, FileSet::gather([&path]).unwrap(), &config);
    let error = tokio::time::timeout(PATIENCE, sending)
        .await
        .unwrap()
        .unwrap_err();
    assert!(matches!(error, SendError::Io(_)), "{error:?}");
    drop(silent.join().unwrap());
}

#[tokio::test]
async fn a_source_that_vanishes_or_changes_fails_alone() {
    for (what, reason) in [
        ("vanishes", FailReason::Vanished),
        ("shrinks", FailReason::Changed),
        ("grows", FailReason::Changed),
    ] {
        let (from, into) = (tempdir().unwrap(), with_old_film());
        let [film, other] = ["film", "other"].map(|name| from.path().join(name));
        fs::write(&film, contents(9 << 20, 1)).unwrap();
        fs::write(&other, "fine").unwrap();
        let source = FileSet::gather([&film, &other]).unwrap();
        match what {
            "vanishes" => fs::remove_file(&film).unwrap(),
            "shrinks" => File::options()
                .write(true)
                .open(&film)
                .unwrap()
                .set_len(5)
                .unwrap(),
            _ => File::options()
                .append(true)
                .open(&film)
                .unwrap()
                .write_all(b"more")
                .unwrap(),
        }
        let (sent, received) = transfer(source, into.path(), overwriting()).await;
        for (side, summary) in [("sent", sent.unwrap()), ("received", received.unwrap())] {
            let outcomes: Vec<_> = summary.files.iter().map(|file| file.outcome).collect();
            assert_eq!(outcomes[0], FileOutcome::Failed(reason), "{what}, {side}");
            assert!(
                matches!(outcomes[1], FileOutcome::Complete(_)),
                "{what}, {side}"
            );
        }
        assert_eq!(
            fs::read(into.path().join("film")).unwrap(),
            b"the old one",
            "{what}"
        );
        assert_eq!(
            fs::read(into.path().join("other")).unwrap(),
            b"fine",
            "{what}"
        );
    }
}

/// A file system in memory, which goes away again.
struct Disk(TempDir);

impl Disk {
    fn mount(test: &str, options: &str) -> Option<Self> {
        Self::mount_in(&std::env::temp_dir(), test, options)
    }

    fn mount_in(folder: &Path, test: &str, options: &str) -> Option<Self> {
        if !met(test, &[Need::Root, Need::Program("mount")]) {
            return None;
        }
        let disk = Self(tempdir_in(folder).unwrap());
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(disk.0.path())
            .status();
        assert!(mounted.unwrap().success());
        Some(disk)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn room_is_asked_for_before_anything_is_sent() {
    let Some(disk) = Disk::mount("file: room is asked for", "size=8m") else {
        return;
    };
    let from = tempdir().unwrap();
    let path = from.path().join("film");
    fs::write(&path, contents(9 << 20, 1)).unwrap();
    fs::write(disk.0.path().join("film"), "the old one").unwrap();
    let source = FileSet::gather([&path]).unwrap();
    let (sent, received) = transfer(source, disk.0.path(), overwriting()).await;
    let error = received.unwrap_err();
    assert!(matches!(error, ReceiveError::NoSpace { .. }), "{error:?}");
    // The sender hears of it too, in the same numbers.
    assert!(told(&sent.unwrap_err()).contains("9437184"));
    assert_eq!(names(disk.0.path()), ["film"]);
}

#[tokio::test]
async fn a_disk_that_fills_up_meanwhile_is_survived_and_resumed() {
    let Some(disk) = Disk::mount("file: a disk that fills up", "size=16m") else {
        return;
    };
    let from = tempdir().unwrap();
    let path = from.path().join("film");
    fs::write(&path, contents(12 << 20, 1)).unwrap();
    let into = disk.0.path();
    fs::write(into.join("film"), "the old one").unwrap();
    let hog = into.join("hog");
    // Room for all when it is asked for, and not when it is needed.
    let config = overwriting().on_progress({
        let hog = hog.clone();
        OnProgress::new(move |progress| {
            if matches!(progress, Progress::Moved { .. }) && !hog.exists() {
                let _ = fs::write(&hog, vec![1; 16 << 20]);
            }
        })
    });
    let source = || FileSet::gather([&path]).unwrap();
    let (sent, received) = transfer(source(), into, config).await;
    let error = received.unwrap_err();
    assert!(matches!(error, ReceiveError::NoSpace { .. }), "{error:?}");
    assert!(sent.is_err());
    assert_eq!(fs::read(into.join("film")).unwrap(), b"the old one");

    fs::remove_file(&hog).unwrap();
    let (sent, received) = transfer(source(), into, overwriting()).await;
    assert!(sent.unwrap().is_complete() && received.unwrap().is_complete());
    assert!(fs::read(into.join("film")).unwrap() == fs::read(&path).unwrap());
    assert_eq!(names(into), ["film"]);
}

/// `count` empty files, each in a folder of its own that is not listed.
fn scattered(count: usize) -> Vec<u8> {
    let files: Vec<_> = (0..count)
        .map(|number| Offered::file(format!("{number}/empty"), b""))
        .collect();
    frame(2, &offer(&files))
}

#[tokio::test]
async fn what_is_empty_needs_room_too_and_nothing_is_made_where_there_is_none() {
    let Some(disk) = Disk::mount("file: a disk for few entries", "size=1m,nr_inodes=900") else {
        return;
    };
    let into = disk.0.path();
    let heard = hear(into, scattered(200), Vec::new(), ReceiveConfig::default()).await;
    let error = heard.unwrap_err();
    assert!(
        matches!(error, ReceiveError::NoSpace { needed_bytes, .. } if needed_bytes == 400 * 4_096),
        "{error:?}"
    );
    assert!(names(into).is_empty());

    let Some(disk) = Disk::mount("file: a disk for few files", "size=64m,nr_inodes=99") else {
        return;
    };
    let into = disk.0.path();
    let heard = hear(into, scattered(200), Vec::new(), ReceiveConfig::default()).await;
    let error = heard.unwrap_err();
    assert!(
        matches!(error, ReceiveError::NoInodes { needed: 400, .. }),
        "{error:?}"
    );
    assert!(names(into).is_empty());
}

/// A disk below the destination is another file system, whose files are written
/// out by a call of its own.
#[tokio::test]
async fn a_disk_below_the_destination_takes_its_share() {
    let into = tempdir().unwrap();
    let Some(disk) = Disk::mount_in(into.path(), "file: a disk below another", "size=8m") else {
        return;
    };
    let below = disk.0.path().file_name().unwrap();
    let from = tempdir().unwrap();
    let (film, folder) = (from.path().join("film"), from.path().join(below));
    fs::write(&film, "here").unwrap();
    fs::create_dir_all(folder.join("deep")).unwrap();
    for number in 0..20 {
        fs::write(folder.join(format!("deep/{number}")), "there").unwrap();
    }
    let source = FileSet::gather([&film, &folder]).unwrap();
    transfer_all(source, into.path(), OnConflict::Refuse).await;
    assert_eq!(fs::read(disk.0.path().join("deep/7")).unwrap(), b"there");
    assert_eq!(names(into.path()).len(), 23);
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_named() {
    let Some(disk) = Disk::mount("file: a folder that cannot be written", "size=8m,ro") else {
        return;
    };
    let from = tempdir().unwrap();
    let path = from.path().join("film");
    fs::write(&path, "new").unwrap();
    let (sent, received) = transfer(
        FileSet::gather([&path]).unwrap(),
        disk.0.path(),
        overwriting(),
    )
    .await;
    let error = received.unwrap_err();
    let text = told(&error);
    assert!(
        text.contains("film") && text.contains("Read-only"),
        "{text}"
    );
    assert!(sent.is_err());
}

const PATIENCE: Duration = Duration::from_secs(30);
