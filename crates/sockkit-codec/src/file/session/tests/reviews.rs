//! What the rules say to entries beside each other.

use super::manifest;
use crate::file::{
    Entry, EntryKind, EntryPath, NameError, NameRules, RefuseReason,
    session::{Reviewed, review},
};

use super::{file, folder};

/// One word for each verdict.
fn verdicts(entries: Vec<Entry>, rules: NameRules) -> Vec<&'static str> {
    let reviewed = review(&manifest(entries), rules);
    let word = |reviewed: &Reviewed| match reviewed {
        Reviewed::Allowed(_) => "allowed",
        Reviewed::Twin(_) => "twin",
        Reviewed::BadName(_) => "name",
        Reviewed::BadTarget(_) => "target",
        Reviewed::UnknownKind => "kind",
        Reviewed::Collision => "collision",
        Reviewed::Unwanted => "unwanted",
    };
    reviewed.iter().map(word).collect()
}

#[track_caller]
fn check(entries: Vec<Entry>, expected: &[&str]) {
    assert_eq!(verdicts(entries.clone(), NameRules::Unix), expected);
    assert_eq!(verdicts(entries, NameRules::Windows), expected);
}

fn link(path: &str) -> Entry {
    Entry::link(path, "x")
}

#[test]
fn a_path_is_taken_once() {
    check(vec![file("a", 1), file("a", 2)], &["allowed", "collision"]);
    check(vec![file("a", 1), link("a")], &["allowed", "collision"]);
    check(vec![link("a"), link("a")], &["allowed", "collision"]);
    check(vec![link("a"), file("a", 1)], &["allowed", "collision"]);
    check(vec![folder("a"), link("a")], &["allowed", "collision"]);
    check(vec![folder("a"), file("a", 1)], &["allowed", "collision"]);
    check(vec![link("a"), folder("a")], &["allowed", "collision"]);
    check(vec![folder("a"), folder("a")], &["allowed", "allowed"]);
}

#[test]
fn a_file_or_a_link_is_no_folder_of_a_later_entry() {
    for leaf in [file("a", 1), link("a")] {
        check(
            vec![leaf.clone(), file("a/b", 1), link("a/c"), folder("a/d/e")],
            &["allowed", "collision", "collision", "collision"],
        );
        check(vec![file("a/b", 1), leaf], &["allowed", "collision"]);
    }
    // A name that begins like another one is another one.
    check(vec![file("a", 1), file("ab/c", 1)], &["allowed", "allowed"]);
    check(vec![link("a"), file("ab", 1)], &["allowed", "allowed"]);
}

#[test]
fn names_that_some_system_confuses_are_twins_and_so_is_what_is_in_them() {
    let is_simulated = NameRules::native() != NameRules::Windows;
    let check = |entries: Vec<Entry>, expected: &[&str]| {
        assert_eq!(verdicts(entries.clone(), NameRules::Unix), expected);
        // Another system's file system cannot be asked.
        let there = expected.iter().map(|verdict| match *verdict {
            "twin" if is_simulated => "collision",
            verdict => verdict,
        });
        let there: Vec<_> = there.collect();
        assert_eq!(verdicts(entries, NameRules::Windows), there);
    };
    check(vec![file("A", 1), file("a", 1)], &["allowed", "twin"]);
    check(vec![file("é", 1), link("e\u{301}")], &["allowed", "twin"]);
    check(
        vec![folder("a"), file("A/b", 1), folder("A/c"), file("a/b", 1)],
        &["allowed", "twin", "twin", "allowed"],
    );
    check(
        vec![file("b", 1), folder("B"), file("B/c", 1), file("b/c", 1)],
        &["allowed", "twin", "twin", "collision"],
    );
    assert_eq!(
        verdicts(vec![file("a", 1), file("a.", 1)], NameRules::Unix),
        ["allowed", "twin"]
    );
}

#[test]
fn one_bad_entry_leaves_the_others_alone() {
    let entries = || {
        let mut other = file("new", 0);
        other.kind = EntryKind::Other(9);
        vec![
            file("../a", 1),
            Entry::file(b"\xff", 1),
            file("nul", 1),
            Entry::link("l", "/etc"),
            Entry::link("d/l", "../../x"),
            Entry::link("d/m", "../nul"),
            Entry::link("d/n", "x/../y"),
            other,
            file("fine", 1),
        ]
    };
    let unix = [
        "name", "allowed", "allowed", "target", "target", "allowed", "target", "kind", "allowed",
    ];
    let windows = [
        "name", "name", "name", "target", "target", "target", "target", "kind", "allowed",
    ];
    assert_eq!(verdicts(entries(), NameRules::Unix), unix);
    assert_eq!(verdicts(entries(), NameRules::Windows), windows);
    // What is refused takes no place.
    check(
        vec![Entry::link("l", "/etc"), file("l", 1)],
        &["target", "allowed"],
    );
}

#[test]
fn each_verdict_has_its_reason() {
    let path = EntryPath::parse("a").unwrap();
    assert_eq!(Reviewed::Allowed(path.clone()).path(), Ok(&path));
    assert_eq!(Reviewed::Twin(path.clone()).path(), Ok(&path));
    for (reviewed, reason) in [
        (Reviewed::BadName(NameError::Dots), RefuseReason::Name),
        (Reviewed::BadTarget(NameError::Dots), RefuseReason::Target),
        (Reviewed::UnknownKind, RefuseReason::Kind),
        (Reviewed::Collision, RefuseReason::Collision),
        (Reviewed::Unwanted, RefuseReason::Unwanted),
    ] {
        assert_eq!(reviewed.path(), Err(reason));
    }
}
