//! Files that come from memory and go into memory, by the drivers of the disk.

use std::{
    collections::BTreeMap,
    io::{self, Cursor, Read, Seek, SeekFrom},
    thread::{self, ThreadId},
};

use sockkit::file::{
    BLOCK_BYTES, Destination, Digest, Entry, EntryIndex, EntryKind, EntryPath, FailReason,
    FileOutcome, FileSet, FileSink, FileSource, Integrity, Manifest, ReceiveConfig, RefuseReason,
    SendConfig, SourceFile, Summary, receive, send, session::Limits,
};
use tempfile::tempdir;

use super::{contents, pair};

/// Files in memory; `None` is one that cannot be read.
struct Shelf {
    manifest: Manifest,
    files: Vec<Option<Vec<u8>>>,
}

impl Shelf {
    fn new(files: Vec<(&str, Option<Vec<u8>>)>) -> Self {
        let bytes = |file: &Option<Vec<u8>>| file.as_ref().map_or(9, Vec::len) as u64;
        let entries = files
            .iter()
            .map(|(path, file)| Entry::file(*path, bytes(file)));
        Self {
            manifest: Manifest::new(entries.collect()),
            files: files.into_iter().map(|(_path, file)| file).collect(),
        }
    }
}

impl FileSource for Shelf {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn open(&mut self, entry: EntryIndex) -> Result<Box<dyn SourceFile>, FailReason> {
        let file = self.files[entry.as_usize()].take();
        Ok(Box::new(Cursor::new(file.ok_or(FailReason::Unreadable)?)))
    }
}

/// Takes what it is told to, and remembers each call.
#[derive(Default)]
struct Basket {
    files: BTreeMap<EntryIndex, Vec<u8>>,
    told: Vec<String>,
    threads: Vec<ThreadId>,
}

impl Basket {
    fn tell(&mut self, what: String) {
        self.told.push(what);
        self.threads.push(thread::current().id());
    }
}

impl FileSink for Basket {
    fn accept(
        &mut self,
        entry: EntryIndex,
        path: &EntryPath,
        offered: &Entry,
    ) -> Result<(), RefuseReason> {
        self.tell(format!("accept {entry} {path} {}", offered.size_bytes));
        match offered.path.as_bytes().ends_with(b".no") {
            true => Err(RefuseReason::Unwanted),
            false => Ok(()),
        }
    }

    fn block(&mut self, entry: EntryIndex, bytes: &[u8]) -> Result<(), RefuseReason> {
        self.tell(format!("block {entry} {}", bytes.len()));
        if bytes.starts_with(b"poison") {
            return Err(RefuseReason::Io);
        }
        self.files.entry(entry).or_default().extend(bytes);
        Ok(())
    }

    fn end(&mut self, entry: EntryIndex, digest: Option<Digest>) -> Result<(), RefuseReason> {
        self.tell(format!("end {entry}"));
        let bytes = self.files.entry(entry).or_default();
        if let Some(digest) = digest {
            assert_eq!(digest.0, *blake3::hash(bytes).as_bytes());
        }
        match bytes.starts_with(b"late") {
            true => Err(RefuseReason::TooLarge),
            false => Ok(()),
        }
    }

    fn fail(&mut self, entry: EntryIndex, reason: FailReason) {
        self.tell(format!("fail {entry} {reason:?}"));
        self.files.remove(&entry);
    }
}

/// Both ends' summaries, and the basket.
async fn into_basket(source: impl FileSource, config: ReceiveConfig) -> (Summary, Summary, Basket) {
    let (ours, theirs) = pair().await;
    let sending = SendConfig::default();
    let receiving = async {
        let incoming = receive(theirs, &config).await.unwrap();
        incoming.accept_into(Basket::default()).await.unwrap()
    };
    let (sent, (received, basket)) = tokio::join!(send(ours, source, &sending), receiving);
    (sent.unwrap(), received, basket)
}

#[tokio::test]
async fn files_go_from_memory_into_memory_entry_by_entry() {
    let block = usize::try_from(BLOCK_BYTES).unwrap();
    let large = contents(2 * block + 5, 1);
    let shelf = Shelf::new(vec![
        ("empty", Some(vec![])),
        ("a/large", Some(large.clone())),
        ("small.no", Some(b"refused".to_vec())),
        ("gone", None),
        (
            "poisoned",
            Some([&b"poison"[..], &contents(block, 2)].concat()),
        ),
        ("late", Some(b"late".to_vec())),
        ("../up", Some(b"up".to_vec())),
        ("last", Some(b"last".to_vec())),
    ]);
    let (sent, received, basket) = into_basket(shelf, ReceiveConfig::default()).await;

    assert_eq!(sent.files, received.files);
    let outcomes: Vec<_> = sent.files.iter().map(|file| file.outcome).collect();
    let whole = |bytes: &[u8]| FileOutcome::Complete(Some(Digest(*blake3::hash(bytes).as_bytes())));
    let refused = FileOutcome::Refused;
    assert_eq!(
        outcomes,
        [
            whole(b""),
            whole(&large),
            refused(RefuseReason::Unwanted),
            FileOutcome::Failed(FailReason::Unreadable),
            refused(RefuseReason::Io),
            refused(RefuseReason::TooLarge),
            refused(RefuseReason::Name),
            whole(b"last"),
        ]
    );
    assert!(basket.files[&EntryIndex(1)] == large);
    assert_eq!(basket.files[&EntryIndex(7)], b"last");
    // A name that is none is not asked about, and after a refusal no more comes.
    let size = block + 6;
    assert_eq!(
        basket.told,
        [
            "accept 0 empty 0".to_owned(),
            format!("accept 1 a/large {}", large.len()),
            "accept 2 small.no 7".to_owned(),
            "accept 3 gone 9".to_owned(),
            format!("accept 4 poisoned {size}"),
            "accept 5 late 4".to_owned(),
            "accept 7 last 4".to_owned(),
            "end 0".to_owned(),
            format!("block 1 {block}"),
            format!("block 1 {block}"),
            "block 1 5".to_owned(),
            "end 1".to_owned(),
            "fail 3 Unreadable".to_owned(),
            format!("block 4 {block}"),
            "block 5 4".to_owned(),
            "end 5".to_owned(),
            "block 7 4".to_owned(),
            "end 7".to_owned(),
        ]
    );
    // All on one thread, and not on this one.
    assert!(basket.threads.iter().all(|id| *id == basket.threads[0]));
    assert_ne!(basket.threads[0], thread::current().id());
}

#[tokio::test]
async fn a_disk_and_memory_speak_with_each_other() {
    let (from, into) = (tempdir().unwrap(), tempdir().unwrap());
    let folder = from.path().join("folder");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("a"), "from a disk").unwrap();
    std::os::unix::fs::symlink("a", folder.join("link")).unwrap();
    let source = FileSet::gather([&folder]).unwrap();
    let (sent, received, basket) = into_basket(source, ReceiveConfig::default()).await;
    assert!(sent.is_complete() && received.is_complete());
    assert_eq!(basket.files.values().collect::<Vec<_>>(), [b"from a disk"]);
    let link = received.files.last().unwrap();
    assert!(matches!(link.kind, EntryKind::Link { .. }));

    let (ours, theirs) = pair().await;
    let shelf = Shelf::new(vec![("b/c", Some(b"from memory".to_vec()))]);
    let config = SendConfig::default();
    let destination = Destination::open(into.path()).unwrap();
    let receiving = async {
        let incoming = receive(theirs, &ReceiveConfig::default()).await.unwrap();
        incoming.accept(&destination).await.unwrap()
    };
    let (sent, received) = tokio::join!(send(ours, shelf, &config), receiving);
    assert_eq!(sent.unwrap().files, received.files);
    let arrived = std::fs::read(into.path().join("b/c")).unwrap();
    assert_eq!(arrived, b"from memory");
}

/// A file that is not what the manifest says, or changes under way.
struct Fickle(Cursor<Vec<u8>>);

impl Read for Fickle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Seek for Fickle {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

impl SourceFile for Fickle {
    fn is_unchanged(&self) -> bool {
        self.0.get_ref() != b"changes!!"
    }
}

/// Opens a fickle file.
struct FickleShelf(Shelf);

impl FileSource for FickleShelf {
    fn manifest(&self) -> &Manifest {
        &self.0.manifest
    }

    fn open(&mut self, entry: EntryIndex) -> Result<Box<dyn SourceFile>, FailReason> {
        let mut bytes = self.0.files[entry.as_usize()].take().unwrap();
        if bytes.starts_with(b"short") {
            bytes.truncate(5);
        }
        Ok(Box::new(Fickle(Cursor::new(bytes))))
    }
}

#[tokio::test]
async fn a_source_that_is_not_what_it_says_fails_alone() {
    let shelf = Shelf::new(vec![
        ("short", Some(b"short of it".to_vec())),
        ("changes", Some(b"changes!!".to_vec())),
        ("fine", Some(b"fine".to_vec())),
    ]);
    let (sent, received, basket) = into_basket(FickleShelf(shelf), ReceiveConfig::default()).await;
    assert_eq!(sent.files, received.files);
    let changed = FileOutcome::Failed(FailReason::Changed);
    let outcomes: Vec<_> = sent.files.iter().map(|file| file.outcome).collect();
    assert_eq!(outcomes[..2], [changed, changed]);
    assert_eq!(basket.files.into_values().collect::<Vec<_>>(), [b"fine"]);
}

#[tokio::test]
async fn without_digests_the_sink_is_told_none() {
    let mut shelf = Shelf::new(vec![("a", Some(b"bytes".to_vec()))]);
    shelf.manifest.integrity = Integrity::Unverified;
    let limits = Limits::default().integrity(Integrity::Unverified);
    let config = ReceiveConfig::default().limits(limits);
    let (sent, _, basket) = into_basket(shelf, config).await;
    assert_eq!(sent.files[0].outcome, FileOutcome::Complete(None));
    assert_eq!(basket.files[&EntryIndex(0)], b"bytes");
}
