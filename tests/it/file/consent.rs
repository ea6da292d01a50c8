//! What a user is told before anything is written or given.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sockkit::file::{
    Destination, EntryPath, FileSet, OnConflict, Planned, ReceiveConfig, ReceiveError, SendConfig,
    SendError, TransferIoError, greet, receive, send,
    session::{Abort, RefuseReason, SessionError},
};
use tempfile::tempdir;
use tokio::io::AsyncWriteExt;

use super::{names, pair};

#[cfg(unix)]
#[tokio::test]
async fn no_file_becomes_a_program_unasked() {
    use std::os::unix::fs::PermissionsExt;

    let (from, into) = (tempdir().unwrap(), tempdir().unwrap());
    let path = from.path().join("run.sh");
    fs::write(&path, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let source = FileSet::gather([&path]).unwrap();
    let (sent, _) = super::transfer_all(source, into.path(), OnConflict::Refuse).await;
    assert!(sent.is_complete());
    let script = fs::metadata(into.path().join("run.sh")).unwrap();
    assert_eq!(script.permissions().mode() & 0o111, 0);
}

/// What a receiver that is offered `paths` would do in `into`.
async fn planned(paths: &[PathBuf], into: &Path, on_conflict: OnConflict) -> Vec<Planned> {
    let (ours, theirs) = pair().await;
    let source = FileSet::gather(paths).unwrap();
    let config = ReceiveConfig::default().on_conflict(on_conflict);
    let sending = SendConfig::default();
    let planning = async {
        let incoming = receive(theirs, &config).await.unwrap();
        let planned = incoming.plan(&Destination::open(into).unwrap());
        incoming.decline().await;
        planned
    };
    let (sent, planned) = tokio::join!(send(ours, source, &sending), planning);
    assert!(sent.is_err());
    planned
}

#[tokio::test]
async fn a_plan_tells_what_would_be_written_and_writes_nothing() {
    let (from, into) = (tempdir().unwrap(), tempdir().unwrap());
    let files = ["a.txt", "b.txt", "c.txt"].map(|name| from.path().join(name));
    files
        .iter()
        .for_each(|path| fs::write(path, "new").unwrap());
    let folder = from.path().join("d");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("e"), "new").unwrap();
    let paths = [&files[..], &[folder]].concat();
    fs::write(into.path().join("a.txt"), "old").unwrap();
    fs::create_dir(into.path().join("b.txt")).unwrap();
    fs::write(into.path().join("c.txt"), "longer").unwrap();
    let before = names(into.path());

    let path = |name| EntryPath::parse(name).unwrap();
    let exists = Planned::Refuse(RefuseReason::Exists);
    for (policy, a, c) in [
        (OnConflict::Refuse, exists.clone(), exists),
        (
            OnConflict::Rename,
            Planned::Write(path("a (1).txt")),
            Planned::Write(path("c (1).txt")),
        ),
        (
            OnConflict::Overwrite,
            Planned::Replace(path("a.txt")),
            Planned::Replace(path("c.txt")),
        ),
        (
            OnConflict::Resume,
            Planned::Compare(path("a.txt")),
            Planned::Refuse(RefuseReason::Differs),
        ),
    ] {
        let expected = [
            a,
            Planned::Refuse(RefuseReason::InTheWay),
            c,
            Planned::Write(path("d")),
            Planned::Write(path("d/e")),
        ];
        assert_eq!(planned(&paths, into.path(), policy).await, expected);
        assert_eq!(names(into.path()), before, "{policy:?}");
    }
}

#[tokio::test]
async fn a_sender_may_see_who_asks_before_it_offers() {
    let from = tempdir().unwrap();
    let path = from.path().join("secret");
    fs::write(&path, "secret").unwrap();
    for gives in [true, false] {
        let into = tempdir().unwrap();
        let (ours, theirs) = pair().await;
        let source = FileSet::gather([&path]).unwrap();
        let sending = async {
            let config = SendConfig::default();
            let mut outgoing = greet(ours, source.manifest().clone(), &config)
                .await
                .unwrap();
            assert_eq!(outgoing.peer(), "a receiver");
            outgoing.hold(tokio::task::yield_now()).await.unwrap();
            match gives {
                true => outgoing.offer(source).await.map(|_sent| ()).unwrap(),
                false => outgoing.decline().await,
            }
        };
        let receiving = async {
            let config = ReceiveConfig::default().name("a receiver");
            let incoming = receive(theirs, &config).await?;
            let destination = Destination::open(into.path()).unwrap();
            incoming.accept(&destination).await
        };
        let ((), received) = tokio::join!(sending, receiving);
        match received {
            Ok(_) => assert!(gives),
            Err(ReceiveError::Session(error)) => {
                assert!(!gives);
                assert_eq!(error, SessionError::Aborted(Abort::Declined));
            }
            Err(error) => panic!("{error}"),
        }
        assert_eq!(into.path().join("secret").exists(), gives);
    }
}

#[tokio::test]
async fn a_receiver_that_leaves_ends_the_senders_question() {
    let from = tempdir().unwrap();
    let path = from.path().join("a");
    fs::write(&path, "a").unwrap();
    let manifest = FileSet::gather([&path]).unwrap().manifest().clone();
    let (ours, mut theirs) = pair().await;
    let hello = b"\0\0\0\0\0\0\0\x09\x01SKFT\0\x02\x01\0";
    theirs.write_all(hello).await.unwrap();
    let config = SendConfig::default();
    let mut outgoing = greet(ours, manifest, &config).await.unwrap();
    theirs.shutdown().await.unwrap();
    let held = outgoing.hold(std::future::pending::<()>()).await;
    assert!(
        matches!(held, Err(SendError::Io(TransferIoError::Closed))),
        "{held:?}"
    );
}
