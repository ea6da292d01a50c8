//! Transfers between well-behaved peers.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    time::{Duration, SystemTime},
};

use sockkit::file::{
    BLOCK_BYTES, Destination, FailReason, FileOutcome, FileSet, Integrity, OnConflict, OnProgress,
    Progress, ReceiveConfig, SendConfig, Summary, receive, send, session::Limits,
};
use tempfile::tempdir;

use super::{contents, names, pair, transfer, transfer_all};

#[tokio::test]
async fn files_of_every_size_arrive_as_they_were() {
    let (from, into) = (tempdir().unwrap(), tempdir().unwrap());
    let block = usize::try_from(BLOCK_BYTES).unwrap();
    let sizes = [0, 1, 46_081, block - 1, block, block + 1, 3 * block + 7];
    for (seed, bytes) in sizes.into_iter().enumerate() {
        let path = from.path().join(format!("{bytes}.bin"));
        fs::write(path, contents(bytes, seed as u64)).unwrap();
    }
    let paths = sizes.map(|bytes| from.path().join(format!("{bytes}.bin")));
    let source = FileSet::gather(&paths).unwrap();

    let (sent, received) = transfer_all(source, into.path(), OnConflict::Refuse).await;

    assert_eq!(sent.files, received.files);
    assert!(sent.is_complete());
    for (path, summary) in paths.iter().zip(&received.files) {
        let original = fs::read(path).unwrap();
        let name = path.file_name().unwrap();
        assert!(
            fs::read(into.path().join(name)).unwrap() == original,
            "{name:?}"
        );
        let FileOutcome::Complete(Some(digest)) = summary.outcome else {
            panic!("{summary:?}");
        };
        assert_eq!(digest.to_string(), blake3_of(&original));
    }
    assert_eq!(names(into.path()), {
        let mut expected = sizes.map(|bytes| format!("{bytes}.bin")).to_vec();
        expected.sort();
        expected
    });
}

/// The digest by another road than the block tree.
fn blake3_of(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

#[tokio::test]
async fn folders_arrive_with_names_and_times() {
    let (from, into) = (tempdir().unwrap(), tempdir().unwrap());
    let album = from.path().join("사진");
    fs::create_dir_all(album.join("바다/empty")).unwrap();
    let picture = album.join("바다/파도 1.jpg");
    fs::write(&picture, contents(5_000, 1)).unwrap();
    // Windows counts in 100 ns.
    let old = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_700);
    let file = File::options().write(true).open(&picture).unwrap();
    file.set_modified(old).unwrap();
    drop(file);

    let source = FileSet::gather([&album]).unwrap();
    let (sent, _) = transfer_all(source, into.path(), OnConflict::Refuse).await;

    assert!(sent.is_complete(), "{sent:?}");
    assert!(into.path().join("사진/바다/empty").is_dir());
    let arrived = into.path().join("사진/바다/파도 1.jpg");
    assert_eq!(fs::read(&arrived).unwrap(), contents(5_000, 1));
    assert_eq!(fs::metadata(&arrived).unwrap().modified().unwrap(), old);
}

#[cfg(unix)]
#[tokio::test]
async fn folders_arrive_with_times_and_the_executable_bit() {
    use std::os::unix::fs::PermissionsExt;

    let (from, into) = (tempdir().unwrap(), tempdir().unwrap());
    let album = from.path().join("사진");
    fs::create_dir_all(album.join("바다/empty")).unwrap();
    fs::write(album.join("바다/파도 1.jpg"), contents(5_000, 1)).unwrap();
    fs::write(album.join("run.sh"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(album.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    let old = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
    let file = File::options()
        .write(true)
        .open(album.join("run.sh"))
        .unwrap();
    file.set_modified(old).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", album.join("link")).unwrap();

    let source = FileSet::gather([&album]).unwrap();
    assert_eq!(source.skipped().len(), 1, "the link leads out");
    assert_eq!(source.manifest().left_out, 1);
    let config = ReceiveConfig::default().keep_executable(true);
    let (sent, received) = transfer(source, into.path(), config).await;

    assert!(sent.unwrap().is_complete() && received.unwrap().is_complete());
    assert_eq!(
        names(into.path()),
        [
            "사진",
            "사진/run.sh",
            "사진/바다",
            "사진/바다/empty",
            "사진/바다/파도 1.jpg"
        ]
    );
    let script = fs::metadata(into.path().join("사진/run.sh")).unwrap();
    assert_eq!(script.modified().unwrap(), old);
    assert_eq!(script.permissions().mode() & 0o111, 0o111);
    let picture = fs::metadata(into.path().join("사진/바다/파도 1.jpg")).unwrap();
    assert_eq!(picture.permissions().mode() & 0o111, 0);
}

#[tokio::test]
async fn a_file_that_is_there_is_treated_as_the_policy_says() {
    let from = tempdir().unwrap();
    let path = from.path().join("a.txt");
    fs::write(&path, "new").unwrap();
    let complete = |outcome| matches!(outcome, FileOutcome::Complete(Some(_)));
    for (policy, there, expected, is_complete) in [
        (OnConflict::Refuse, "old", vec![("a.txt", "old")], false),
        (OnConflict::Overwrite, "old", vec![("a.txt", "new")], true),
        (
            OnConflict::Rename,
            "old",
            vec![("a (1).txt", "new"), ("a.txt", "old")],
            true,
        ),
        (OnConflict::Resume, "old", vec![("a.txt", "old")], false),
        (OnConflict::Resume, "older", vec![("a.txt", "older")], false),
        (OnConflict::Resume, "new", vec![("a.txt", "new")], true),
    ] {
        let into = tempdir().unwrap();
        fs::write(into.path().join("a.txt"), there).unwrap();
        let source = FileSet::gather([&path]).unwrap();
        let (sent, received) = transfer_all(source, into.path(), policy).await;
        assert_eq!(
            sent.files[0].outcome, received.files[0].outcome,
            "{policy:?}"
        );
        let saved_as = received.files[0].saved_as.as_ref().map(ToString::to_string);
        let renamed = (policy == OnConflict::Rename).then(|| "a (1).txt".to_owned());
        assert_eq!(saved_as, renamed);
        assert_eq!(
            complete(sent.files[0].outcome),
            is_complete,
            "{policy:?}: {sent:?}"
        );
        let found: Vec<_> = names(into.path())
            .into_iter()
            .map(|name| {
                (
                    name.clone(),
                    fs::read_to_string(into.path().join(name)).unwrap(),
                )
            })
            .collect();
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .collect();
        assert_eq!(found, expected, "{policy:?}");
    }
}

#[tokio::test]
async fn ten_thousand_small_files_arrive() {
    let (from, into) = (tempdir().unwrap(), tempdir().unwrap());
    let folder = from.path().join("many");
    fs::create_dir(&folder).unwrap();
    for index in 0..10_000 {
        fs::write(folder.join(format!("{index}")), contents(100, index)).unwrap();
    }
    let source = FileSet::gather([&folder]).unwrap();
    let (sent, received) = transfer_all(source, into.path(), OnConflict::Refuse).await;
    assert!(sent.is_complete() && received.is_complete());
    assert_eq!(names(into.path()).len(), 10_001);
    for index in [0, 4_999, 9_999] {
        let arrived = fs::read(into.path().join(format!("many/{index}"))).unwrap();
        assert_eq!(arrived, contents(100, index));
    }
}

#[tokio::test]
async fn files_without_digests_arrive_only_where_that_is_allowed() {
    let (from, into) = (tempdir().unwrap(), tempdir().unwrap());
    let path = from.path().join("a");
    fs::write(&path, contents(5_000_000, 1)).unwrap();
    let source = || {
        FileSet::gather([&path])
            .unwrap()
            .integrity(Integrity::Unverified)
    };

    let (sent, received) = transfer(source(), into.path(), ReceiveConfig::default()).await;
    assert!(sent.is_err() && received.is_err());
    assert_eq!(names(into.path()), [""; 0]);

    let limits = Limits::default().integrity(Integrity::Unverified);
    let config = ReceiveConfig::default().limits(limits);
    let (sent, received) = transfer(source(), into.path(), config).await;
    assert_eq!(sent.unwrap().files, received.unwrap().files);
    assert_eq!(
        fs::read(into.path().join("a")).unwrap(),
        contents(5_000_000, 1)
    );
}

/// What happens to a file once its first bytes have moved.
async fn meanwhile(happens: impl Fn(&Path) + Send + Sync + 'static) -> (Summary, Summary) {
    let (from, into) = (tempdir().unwrap(), tempdir().unwrap());
    let path = from.path().join("film");
    fs::write(&path, contents(9 << 20, 4)).unwrap();
    let source = FileSet::gather([&path]).unwrap();
    let once = std::sync::Once::new();
    let config = SendConfig::default().on_progress(OnProgress::new(move |progress| {
        if matches!(progress, Progress::Moved { .. }) {
            once.call_once(|| happens(&path));
        }
    }));
    let (ours, theirs) = pair().await;
    let destination = Destination::open(into.path()).unwrap();
    let receiving = async {
        let incoming = receive(theirs, &ReceiveConfig::default()).await.unwrap();
        incoming.accept(&destination).await.unwrap()
    };
    let (sent, received) = tokio::join!(send(ours, source, &config), receiving);
    (sent.unwrap(), received)
}

#[cfg(unix)]
#[tokio::test]
async fn rights_names_and_links_may_change_while_a_file_is_sent() {
    use std::os::unix::fs::PermissionsExt;

    for happens in [
        |path: &Path| fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap(),
        |path: &Path| fs::rename(path, path.with_extension("moved")).unwrap(),
        |path: &Path| fs::hard_link(path, path.with_extension("linked")).unwrap(),
        |path: &Path| fs::remove_file(path).unwrap(),
        // As `touch` does, which changes no byte.
        |path: &Path| {
            let file = File::options().write(true).open(path).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        },
    ] {
        let (sent, received) = meanwhile(happens).await;
        assert!(sent.is_complete(), "{sent:?}");
        assert_eq!(sent.files, received.files);
    }
}

/// Its time is put back: only the bytes tell.
#[tokio::test]
async fn bytes_that_change_behind_an_old_time_are_found_out() {
    let (sent, received) = meanwhile(|path| {
        let time = fs::metadata(path).unwrap().modified().unwrap();
        let mut file = File::options().write(true).open(path).unwrap();
        file.write_all(b"other").unwrap();
        file.set_modified(time).unwrap();
    })
    .await;
    for summary in [sent, received] {
        let outcome = summary.files[0].outcome;
        assert_eq!(
            outcome,
            FileOutcome::Failed(FailReason::Changed),
            "{summary:?}"
        );
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_file_that_is_longer_than_it_says_is_no_success() {
    let into = tempdir().unwrap();
    let source = FileSet::gather(["/proc/self/status"]).unwrap();
    let (sent, _) = transfer_all(source, into.path(), OnConflict::Refuse).await;
    assert_eq!(
        sent.files[0].outcome,
        FileOutcome::Failed(FailReason::Changed)
    );
    assert_eq!(names(into.path()), Vec::<String>::new());
}
