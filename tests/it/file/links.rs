//! Symbolic links, sent as what they are.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use sockkit::file::{EntryKind, FileOutcome, FileSet, OnConflict, session::RefuseReason};
use tempfile::{TempDir, tempdir};

use super::transfer_all;

/// A folder with links that stay in it.
fn tree() -> (TempDir, PathBuf) {
    let from = tempdir().unwrap();
    let tree = from.path().join("tree");
    fs::create_dir_all(tree.join("d/e")).unwrap();
    fs::write(tree.join("d/file"), "contents").unwrap();
    for (link, target) in LINKS {
        symlink(target, tree.join(link)).unwrap();
    }
    (from, tree)
}

/// To a file, a folder, itself, nothing, each other, up, and with more than it needs.
const LINKS: [(&str, &str); 8] = [
    ("to-file", "d/file"),
    ("to-folder", "d"),
    ("itself", "itself"),
    ("nowhere", "not/there"),
    ("d/one", "other"),
    ("d/other", "one"),
    ("d/e/up", "../.././d//file"),
    ("d/here", "."),
];

fn target(path: PathBuf) -> String {
    fs::read_link(path).unwrap().to_str().unwrap().to_owned()
}

#[tokio::test]
async fn links_arrive_as_links() {
    let ((_from, tree), into) = (tree(), tempdir().unwrap());
    let source = FileSet::gather([&tree]).unwrap();
    assert_eq!(source.skipped(), []);
    let (sent, received) = transfer_all(source, into.path(), OnConflict::Refuse).await;
    assert!(sent.is_complete(), "{sent:?}");
    assert_eq!(sent.files, received.files);
    let links = sent.files.iter();
    let links = links.filter(|file| matches!(file.kind, EntryKind::Link { .. }));
    assert_eq!(links.count(), LINKS.len());
    for (link, to) in LINKS {
        assert_eq!(target(into.path().join("tree").join(link)), to);
    }
    let through = into.path().join("tree/d/e/up");
    assert_eq!(fs::read_to_string(through).unwrap(), "contents");
}

#[tokio::test]
async fn links_that_lead_out_are_left_out_by_name() {
    let (from, tree) = tree();
    fs::write(from.path().join("beside"), "").unwrap();
    let out = [
        ("absolute", "/etc/passwd"),
        ("beside", "../beside"),
        ("d/up", "../../tree"),
        ("d/twice", "e/../file"),
        ("parent", ".."),
    ];
    for (link, target) in out {
        symlink(target, tree.join(link)).unwrap();
    }
    let source = FileSet::gather([&tree]).unwrap();
    let mut skipped: Vec<_> = source
        .skipped()
        .iter()
        .map(|one| one.path.clone())
        .collect();
    skipped.sort();
    let real = fs::canonicalize(&tree).unwrap();
    let mut expected = out.map(|(link, _)| real.join(link));
    expected.sort();
    assert_eq!(skipped, expected);
    let count = u32::try_from(out.len()).unwrap();
    assert_eq!(source.manifest().left_out, count);
    let into = tempdir().unwrap();
    let (sent, received) = transfer_all(source, into.path(), OnConflict::Refuse).await;
    assert_eq!((sent.left_out, received.left_out), (count, count));
}

#[tokio::test]
async fn a_link_that_is_named_stands_for_its_file_under_its_own_name() {
    let ((_from, tree), into) = (tree(), tempdir().unwrap());
    let paths = ["to-file", "to-folder", "d/file"].map(|name| tree.join(name));
    let source = FileSet::gather(paths).unwrap();
    let (sent, _) = transfer_all(source, into.path(), OnConflict::Refuse).await;
    assert!(sent.is_complete(), "{sent:?}");
    for name in ["to-file", "to-folder/file", "file"] {
        let path = into.path().join(name);
        assert!(!path.is_symlink());
        assert_eq!(fs::read_to_string(path).unwrap(), "contents");
    }
    // Links in a folder that was named by a link stay within it.
    assert_eq!(target(into.path().join("to-folder/one")), "other");
}

/// Sends one link to where something is; how it ends, and what is there then.
async fn onto(put: impl FnOnce(&Path), policy: OnConflict) -> (FileOutcome, Vec<String>, String) {
    let (from, into) = (tempdir().unwrap(), tempdir().unwrap());
    fs::create_dir(from.path().join("d")).unwrap();
    symlink("new", from.path().join("d/l.txt")).unwrap();
    fs::create_dir(into.path().join("d")).unwrap();
    put(&into.path().join("d/l.txt"));
    let source = FileSet::gather([from.path().join("d")]).unwrap();
    let (sent, received) = transfer_all(source, into.path(), policy).await;
    assert_eq!(sent.files[0].outcome, received.files[0].outcome);
    let there = into.path().join("d/l.txt");
    let is = match fs::read_link(&there) {
        Ok(target) => target.to_str().unwrap().to_owned(),
        Err(_) => "no link".to_owned(),
    };
    (
        sent.files[0].outcome,
        super::names(&into.path().join("d")),
        is,
    )
}

#[tokio::test]
async fn what_is_there_is_treated_as_the_policy_says() {
    use OnConflict::{Overwrite, Refuse, Rename, Resume};
    use RefuseReason::{Differs, Exists, InTheWay};
    let old = |path: &Path| symlink("old", path).unwrap();
    let same = |path: &Path| symlink("new", path).unwrap();
    let complete = FileOutcome::Complete(None);
    let refused = FileOutcome::Refused;
    for (policy, outcome, names, is) in [
        (Refuse, refused(Exists), vec!["l.txt"], "old"),
        (Resume, refused(Differs), vec!["l.txt"], "old"),
        (Overwrite, complete, vec!["l.txt"], "new"),
        (Rename, complete, vec!["l (1).txt", "l.txt"], "old"),
    ] {
        let found = onto(old, policy).await;
        assert_eq!((found.0, &*found.2), (outcome, is), "{policy:?}");
        assert_eq!(found.1, names, "{policy:?}");
    }
    assert_eq!(onto(same, Resume).await.0, complete);
    for policy in [Refuse, Resume, Overwrite, Rename] {
        let file = |path: &Path| fs::write(path, "old").unwrap();
        let folder = |path: &Path| fs::create_dir(path).unwrap();
        for found in [onto(file, policy).await, onto(folder, policy).await] {
            assert_eq!(found.0, refused(InTheWay), "{policy:?}");
            assert_eq!((found.1, &*found.2), (vec!["l.txt".to_owned()], "no link"));
        }
    }
}
