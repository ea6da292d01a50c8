//! Parts that others left, own, or wait for; and a disk that fails.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    time::{Duration, UNIX_EPOCH},
};

use sockkit_testing::needs::{Need, met};
use tempfile::{TempDir, tempdir};

use super::*;
use crate::{BLOCK_BYTES, BlockHasher, BlockIndex};

fn entry(path: &str, size_bytes: u64) -> Entry {
    Entry::file(path, size_bytes)
}

fn path(path: &str) -> EntryPath {
    EntryPath::parse(path).unwrap()
}

fn writer(folder: &TempDir) -> Writer {
    Writer::new(&Destination::open(folder).unwrap(), OnConflict::Refuse)
}

/// What the folder holds, hidden names included.
fn names(folder: &TempDir) -> Vec<String> {
    let found = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = found
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A file of one byte arrives; how it ended.
fn arrive(writer: &mut Writer, name: &str) -> io::Result<()> {
    let (path, entry) = (path(name), entry(name, 1));
    assert!(matches!(
        writer.prepare(EntryIndex(0), &path, &entry),
        Answer::Send
    ));
    let mut part = writer.open(EntryIndex(0), &path, &entry)?;
    part.begin_block(BlockIndex(0))?;
    part.write(b"x")?;
    writer.complete(EntryIndex(0), part, &path, &entry)?;
    let (_, kept) = writer.flush()?.pop().unwrap();
    kept.map(|_path| ())
}

/// The first block of a film of two is here and recorded.
fn begin_film(writer: &mut Writer) -> Part {
    let mut part = writer.open(EntryIndex(0), &path("film"), &film()).unwrap();
    let block = vec![7; usize::try_from(BLOCK_BYTES).unwrap()];
    let mut hasher = BlockHasher::new(BlockIndex(0), film().size_bytes);
    hasher.update(&block);
    part.begin_block(BlockIndex(0)).unwrap();
    part.write(&block).unwrap();
    part.keep_block(hasher.finish()).unwrap();
    part
}

fn film() -> Entry {
    entry("film", 2 * BLOCK_BYTES)
}

/// Whether the next attempt would resume the film.
fn is_resumed(folder: &TempDir) -> bool {
    let answer = writer(folder).prepare(EntryIndex(0), &path("film"), &film());
    matches!(answer, Answer::Resume(_))
}

#[test]
fn a_part_without_a_sound_block_is_not_left() {
    for damage in [0, 40] {
        let folder = tempdir().unwrap();
        drop(begin_film(&mut writer(&folder)));
        let record = folder.path().join(PartNames::of("film").record);
        let mut bytes = fs::read(&record).unwrap();
        bytes[damage] ^= 1;
        fs::write(&record, bytes).unwrap();
        assert!(!is_resumed(&folder));
        assert!(names(&folder).is_empty(), "{damage}");
    }
}

#[test]
fn without_digests_nothing_is_resumed_or_compared() {
    let folder = tempdir().unwrap();
    drop(begin_film(&mut writer(&folder)));
    fs::write(folder.path().join("a"), "x").unwrap();
    let destination = Destination::open(&folder).unwrap();
    let writer =
        |on_conflict| Writer::new(&destination, on_conflict).integrity(Integrity::Unverified);
    let prepare = |on_conflict, name: &str, entry: Entry| {
        writer(on_conflict).prepare(EntryIndex(0), &path(name), &entry)
    };
    for (on_conflict, name, entry) in [
        (OnConflict::Refuse, "film", film()),
        (OnConflict::Update, "film", film()),
        (OnConflict::Update, "a", entry("a", 1)),
    ] {
        let answer = prepare(on_conflict, name, entry);
        assert!(matches!(answer, Answer::Send), "{answer:?}");
    }
    let refused = prepare(OnConflict::Resume, "a", entry("a", 1));
    assert!(matches!(refused, Answer::Refuse(RefuseReason::Exists)));
    let planner = |on_conflict| {
        let planner = crate::store::Planner::new(&destination, on_conflict);
        planner
            .integrity(Integrity::Unverified)
            .plan(&path("a"), &entry("a", 1))
    };
    use crate::store::Planned;
    assert_eq!(
        planner(OnConflict::Resume),
        Planned::Refuse(RefuseReason::Exists)
    );
    assert_eq!(planner(OnConflict::Update), Planned::Replace(path("a")));
}

#[test]
fn blocks_of_a_file_whose_length_changed_are_not_offered() {
    let folder = tempdir().unwrap();
    let there = folder.path().join("a");
    fs::write(&there, "four").unwrap();
    for (size_bytes, is_sound) in [(3, false), (4, true), (5, false)] {
        let tree = tree_of(File::open(&there).unwrap(), size_bytes).unwrap();
        assert_eq!(tree.is_some(), is_sound, "{size_bytes}");
    }
}

#[test]
fn a_part_is_for_its_owner_alone() {
    let folder = tempdir().unwrap();
    let part = begin_film(&mut writer(&folder));
    let PartNames { part: name, record } = PartNames::of("film");
    for name in [name, record] {
        let mode = fs::metadata(folder.path().join(name)).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    drop(part);
    assert!(is_resumed(&folder));

    // Until it gets its name.
    let mut writer = writer(&folder);
    let (path, entry) = (path("a"), entry("a", 0));
    let part = writer.open(EntryIndex(0), &path, &entry).unwrap();
    writer.complete(EntryIndex(0), part, &path, &entry).unwrap();
    let mode = |name: &str| fs::metadata(folder.path().join(name)).unwrap().mode() & 0o777;
    assert_eq!(mode(&PartNames::of("a").part), 0o600);
    writer.flush().unwrap();
    fs::write(folder.path().join("b"), "").unwrap();
    assert_eq!(mode("a"), mode("b"));
}

#[test]
fn what_another_user_put_in_the_way_is_neither_used_nor_removed() {
    if !met("parts of another user", &[Need::Root]) {
        return;
    }
    let folder = tempdir().unwrap();
    let foreign = folder.path().join(PartNames::of("a").part);
    fs::write(&foreign, "theirs").unwrap();
    std::os::unix::fs::chown(&foreign, Some(1235), Some(1235)).unwrap();
    // For as long as they like.
    let lock = File::open(&foreign).unwrap();
    lock.lock().unwrap();

    arrive(&mut writer(&folder), "a").unwrap();

    assert_eq!(fs::read(&foreign).unwrap(), b"theirs");
    let arrived = folder.path().join("a");
    assert_eq!(fs::read(&arrived).unwrap(), b"x");
    assert_eq!(arrived.metadata().unwrap().uid(), 0);
    assert_eq!(names(&folder).len(), 2);
}

#[test]
fn a_record_of_another_user_is_not_believed() {
    if !met("records of another user", &[Need::Root]) {
        return;
    }
    let folder = tempdir().unwrap();
    drop(begin_film(&mut writer(&folder)));
    assert!(is_resumed(&folder));
    let record = folder.path().join(PartNames::of("film").record);
    std::os::unix::fs::chown(&record, Some(1235), Some(1235)).unwrap();
    assert!(!is_resumed(&folder));
    let part = begin_film(&mut writer(&folder));
    assert!(record.metadata().is_ok_and(|there| there.uid() == 1235));
    drop(part);
    assert_eq!(names(&folder), [PartNames::of("film").record]);
}

/// Puts something where the part of `a` goes; what then becomes of it.
fn in_the_way(put: impl FnOnce(&Path)) -> Vec<String> {
    let folder = tempdir().unwrap();
    let part = PartNames::of("a").part;
    put(&folder.path().join(&part));
    arrive(&mut writer(&folder), "a").unwrap();
    let arrived = folder.path().join("a").symlink_metadata().unwrap();
    assert!(arrived.is_file());
    assert_eq!((arrived.nlink(), arrived.len()), (1, 1));
    let mut names = names(&folder);
    names.retain(|name| *name != "a");
    names
}

#[test]
fn what_is_no_file_of_ours_alone_is_not_written_to() {
    let elsewhere = tempdir().unwrap();
    let precious = elsewhere.path().join("precious");
    fs::write(&precious, "precious").unwrap();

    assert!(in_the_way(|part| symlink(&precious, part).unwrap()).is_empty());
    assert!(in_the_way(|part| fs::hard_link(&precious, part).unwrap()).is_empty());
    assert!(in_the_way(|part| symlink("nowhere", part).unwrap()).is_empty());
    let mode = Mode::RUSR;
    let pipe = |part: &Path| {
        rustix::fs::mknodat(rustix::fs::CWD, part, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    };
    assert!(in_the_way(pipe).is_empty());
    // A folder may have something in it.
    assert_eq!(in_the_way(|part| fs::create_dir(part).unwrap()).len(), 1);

    assert_eq!(fs::read(&precious).unwrap(), b"precious");
    assert_eq!(precious.metadata().unwrap().nlink(), 1);
}

#[test]
fn a_part_that_others_could_write_to_is_begun_again() {
    let folder = tempdir().unwrap();
    let part = folder.path().join(PartNames::of("film").part);
    for (mode, resumed) in [(0o644, true), (0o600, true), (0o664, false)] {
        drop(begin_film(&mut writer(&folder)));
        fs::set_permissions(&part, Permissions::from_mode(mode)).unwrap();
        assert_eq!(is_resumed(&folder), resumed, "{mode:o}");
    }
}

#[test]
fn a_part_that_was_replaced_gets_no_name() {
    let folder = tempdir().unwrap();
    let mut writer = writer(&folder);
    let (path, entry) = (path("a"), entry("a", 1));
    let mut part = writer.open(EntryIndex(0), &path, &entry).unwrap();
    part.begin_block(BlockIndex(0)).unwrap();
    part.write(b"x").unwrap();
    writer.complete(EntryIndex(0), part, &path, &entry).unwrap();
    let name = folder.path().join(PartNames::of("a").part);
    fs::remove_file(&name).unwrap();
    fs::write(&name, "forged").unwrap();
    writer.flush().unwrap().pop().unwrap().1.unwrap_err();
    assert!(!folder.path().join("a").exists());
}

#[test]
fn a_replaced_file_is_never_wider_than_the_old_one() {
    for (old, new) in [(0o600, 0o600), (0o444, 0o444), (0o777, 0o644)] {
        let folder = tempdir().unwrap();
        let there = folder.path().join("a");
        fs::write(&there, "old").unwrap();
        fs::set_permissions(&there, Permissions::from_mode(old)).unwrap();
        let destination = Destination::open(&folder).unwrap();
        let mut writer = Writer::new(&destination, OnConflict::Overwrite);
        writer.file_mode = Some(Mode::from_raw_mode(0o644));
        arrive(&mut writer, "a").unwrap();
        assert_eq!(there.metadata().unwrap().mode() & 0o777, new);
    }
}

#[test]
fn after_a_failed_sync_nothing_is_believed() {
    let folder = tempdir().unwrap();
    let mut first = writer(&folder);
    let mut part = begin_film(&mut first);
    let block = vec![7; usize::try_from(BLOCK_BYTES).unwrap()];
    part.begin_block(BlockIndex(1)).unwrap();
    part.write(&block).unwrap();
    first
        .complete(EntryIndex(0), part, &path("film"), &film())
        .unwrap();
    first.sync = |_files| Err(io::Error::from_raw_os_error(5));
    first.flush().unwrap_err();
    assert!(names(&folder).is_empty());

    // Nor what an earlier attempt had left, which this one was to resume.
    drop(begin_film(&mut writer(&folder)));
    let mut second = writer(&folder);
    let answer = second.prepare(EntryIndex(0), &path("film"), &film());
    assert!(matches!(answer, Answer::Resume(_)));
    let other = second
        .open(EntryIndex(1), &path("a"), &entry("a", 0))
        .unwrap();
    second
        .complete(EntryIndex(1), other, &path("a"), &entry("a", 0))
        .unwrap();
    second.sync = |_files| Err(io::Error::from_raw_os_error(5));
    second.flush().unwrap_err();
    assert!(names(&folder).is_empty());
}

#[test]
fn each_file_system_of_a_batch_is_synced() {
    let folder = tempdir().unwrap();
    let mut writer = writer(&folder);
    for index in (0..20).map(EntryIndex) {
        let name = index.to_string();
        let (path, entry) = (path(&name), entry(&name, 0));
        let part = writer.open(index, &path, &entry).unwrap();
        writer.complete(index, part, &path, &entry).unwrap();
    }
    for (index, file) in &mut writer.completed {
        file.stat.st_dev = u64::from(index.0 % 3);
    }
    let groups = by_file_system(&writer.completed);
    let sizes: Vec<_> = groups.values().map(Vec::len).collect();
    assert_eq!(sizes, [7, 7, 6]);
    for (device, files) in groups {
        assert!(files.iter().all(|file| file.stat.st_dev == device));
    }
}

#[test]
fn nothing_is_made_before_a_file_begins() {
    let folder = tempdir().unwrap();
    let mut writer = writer(&folder);
    let mut listed = Entry::folder("a");
    listed.is_private = true;
    assert!(matches!(
        writer.prepare(EntryIndex(0), &path("a"), &listed),
        Answer::Send
    ));
    for name in ["a/b/c/1", "a/b/c/2", "a/d/3"] {
        let answer = writer.prepare(EntryIndex(1), &path(name), &entry(name, 1));
        assert!(matches!(answer, Answer::Send));
    }
    assert!(names(&folder).is_empty());
    assert_eq!(writer.missing_folders(), 4);

    drop(
        writer
            .open(EntryIndex(1), &path("a/d/3"), &entry("a/d/3", 1))
            .unwrap(),
    );
    let mode = |name| fs::metadata(folder.path().join(name)).unwrap().mode() & 0o777;
    assert_eq!(mode("a"), 0o700);
    assert_ne!(mode("a/d"), 0o700, "the umask alone decides");
    assert!(!folder.path().join("a/b").exists());
}

#[test]
fn old_parts_go_and_those_in_use_stay() {
    let folder = tempdir().unwrap();
    let root = Folder::open(folder.path()).unwrap();
    let now = SystemTime::now();
    let in_days = |days: u64| now + Duration::from_secs(days * 24 * 60 * 60);

    let part = begin_film(&mut writer(&folder));
    assert_eq!(
        stale::remove_stale(&root, in_days(99)).unwrap(),
        0,
        "in use"
    );
    drop(part);
    assert_eq!(stale::remove_stale(&root, in_days(6)).unwrap(), 0, "young");
    assert!(is_resumed(&folder));
    assert_eq!(stale::remove_stale(&root, in_days(8)).unwrap(), 1);
    assert!(names(&folder).is_empty());
}

#[test]
fn of_the_parts_that_wait_the_newest_stay() {
    let folder = tempdir().unwrap();
    for number in 0..200_u64 {
        for kind in ["part", "blocks"] {
            let path = folder.path().join(format!(".sockkit-{number}.{kind}"));
            let file = File::create(path).unwrap();
            file.set_modified(UNIX_EPOCH + Duration::from_secs(1_000 + number))
                .unwrap();
        }
    }
    let root = Folder::open(folder.path()).unwrap();
    let now = UNIX_EPOCH + Duration::from_secs(2_000);
    assert_eq!(stale::remove_stale(&root, now).unwrap(), 72);
    let names = names(&folder);
    assert_eq!(names.len(), 256);
    assert!(!names.contains(&".sockkit-71.part".to_owned()));
    assert!(names.contains(&".sockkit-72.part".to_owned()));
}

#[test]
fn what_no_attempt_could_use_goes_at_once_and_what_is_others_stays() {
    let folder = tempdir().unwrap();
    let write = |name: &str| fs::write(folder.path().join(name), "?").unwrap();
    write(".sockkit-a.part");
    write(".sockkit-b.blocks");
    write(".sockkit-c.note");
    write("d.part");
    symlink("d.part", folder.path().join(".sockkit-e.part")).unwrap();
    let root = Folder::open(folder.path()).unwrap();
    assert_eq!(stale::remove_stale(&root, SystemTime::now()).unwrap(), 2);
    assert_eq!(
        names(&folder),
        [".sockkit-c.note", ".sockkit-e.part", "d.part"]
    );
}

#[test]
fn a_part_that_could_not_be_resumed_leaves_nothing() {
    let folder = tempdir().unwrap();
    let mut part = writer(&folder)
        .open(EntryIndex(0), &path("a"), &entry("a", 1))
        .unwrap();
    part.begin_block(BlockIndex(0)).unwrap();
    part.write(b"x").unwrap();
    drop(part);
    assert!(names(&folder).is_empty());
}

#[test]
fn nothing_is_wider_than_at_the_sender_or_than_the_umask_leaves() {
    for (told, private, umasked, file, folder) in [
        (0o644, false, 0o644, 0o644, 0o744),
        (0o666, false, 0o644, 0o644, 0o766),
        (0o664, false, 0o664, 0o664, 0o764),
        (0o600, true, 0o644, 0o600, 0o700),
        (0o640, true, 0o664, 0o600, 0o700),
        (0o444, false, 0o644, 0o444, 0o744),
        (0o755, false, 0o644, 0o755, 0o755),
        (0o755, false, 0o600, 0o700, 0o755),
        (0o744, false, 0o644, 0o744, 0o744),
        (0o711, true, 0o644, 0o700, 0o700),
        (0o555, false, 0o644, 0o555, 0o755),
        // Nothing was told, or what no owner could read.
        (0, false, 0o644, 0o644, 0o777),
        (0, true, 0o644, 0o600, 0o700),
        (0o111, true, 0o644, 0o500, 0o700),
    ] {
        let mut offered = entry("a", 0);
        offered.mode = told;
        offered.is_private = private;
        let umasked = Mode::from_raw_mode(umasked);
        let made = folder::mode_of(&offered, umasked).as_raw_mode();
        assert_eq!(made, file, "{told:o}: {made:o}");
        let made = folder::folder_mode(&offered).as_raw_mode();
        assert_eq!(made, folder, "{told:o}: {made:o}");
    }
}

#[test]
fn a_folder_is_made_with_the_mode_it_had() {
    let folder = tempdir().unwrap();
    let mut writer = writer(&folder);
    for (name, mode) in [("a", 0o700), ("b", 0o755), ("c", 0o555)] {
        let mut listed = Entry::folder(name);
        listed.mode = mode;
        listed.is_private = mode == 0o700;
        writer.prepare(EntryIndex(0), &path(name), &listed);
        writer.make_folder(&path(name)).unwrap();
        let made = fs::metadata(folder.path().join(name)).unwrap().mode() & 0o777;
        // The umask may take more.
        assert_eq!(made & !(u32::from(mode) | 0o700), 0, "{name}: {made:o}");
        assert_eq!(made & 0o700, 0o700, "{name}: {made:o}");
    }
}

#[test]
fn a_number_stands_before_the_extension() {
    for (name, expected) in [
        (&b"a.txt"[..], &b"a (1).txt"[..]),
        (b"a.tar.gz", b"a.tar (1).gz"),
        (b"a", b"a (1)"),
        (b".bashrc", b".bashrc (1)"),
        (b"a.", b"a (1)."),
        (b"d.d/\xff.\xfe", b"d.d/\xff (1).\xfe"),
    ] {
        let numbered = numbered(&EntryPath::parse(name).unwrap(), 1).unwrap();
        assert_eq!(numbered.as_bytes(), expected);
    }
    assert!(numbered(&path(&"a".repeat(765)), 1).is_err());
}

/// What a writer says of a folder's names, and then a planner.
fn confuses(folder: &Path) -> [bool; 2] {
    let destination = Destination::open(folder).unwrap();
    let mut writer = Writer::new(&destination, OnConflict::Overwrite);
    let mut planner = crate::store::Planner::new(&destination, OnConflict::Overwrite);
    let confuses = [writer.confuses_names(), planner.confuses_names()];
    assert_eq!(
        fs::read_dir(folder).unwrap().count(),
        0,
        "it leaves nothing"
    );
    confuses
}

#[test]
fn no_file_of_a_transfer_replaces_another_of_it() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("a"), "old").unwrap();
    let destination = Destination::open(&folder).unwrap();
    let mut writer = Writer::new(&destination, OnConflict::Overwrite);
    arrive(&mut writer, "a").unwrap();
    // As where `A` is the same file.
    let error = arrive(&mut writer, "a").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read(folder.path().join("a")).unwrap(), b"x");
    let mut next = Writer::new(&destination, OnConflict::Overwrite);
    arrive(&mut next, "a").unwrap();
}

#[test]
fn a_file_system_that_confuses_names_is_found_out() {
    let folder = tempdir().unwrap();
    assert_eq!(confuses(folder.path()), [false; 2]);
    // One that cannot be asked may do anything.
    let gone = folder.path().join("gone");
    fs::create_dir(&gone).unwrap();
    let destination = Destination::open(&gone).unwrap();
    fs::remove_dir(&gone).unwrap();
    assert!(Writer::new(&destination, OnConflict::Refuse).confuses_names());
}
