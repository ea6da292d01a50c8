//! `docs/reliability.md` names a test for each promise: each of them is there.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The cells of one row of the table.
struct Row<'a> {
    fault: &'a str,
    test: &'a str,
}

#[test]
fn every_fault_names_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/reliability.md")).unwrap();
    let rows = rows(&page);
    assert!(rows.len() > 10, "{} rows", rows.len());
    let tests = test_names(root);
    for Row { fault, test } in rows {
        assert!(
            tests.iter().any(|name| name == test),
            "{fault}: no test is called {test:?}"
        );
    }
}

/// Rows of four cells: fault, promise, test, figure. The test's name is in backquotes.
fn rows(page: &str) -> Vec<Row<'_>> {
    let is_row = |line: &&str| {
        line.starts_with("| ") && !line.starts_with("| fault ") && !line.starts_with("| --- ")
    };
    page.lines()
        .filter(is_row)
        .map(|line| {
            let cells: Vec<_> = line.trim_matches(['|', ' ']).split(" | ").collect();
            let [fault, _promise, test, _figure] = cells[..] else {
                panic!("four cells: {line}");
            };
            let test = test.trim_matches('`');
            Row { fault, test }
        })
        .collect()
}

/// The functions behind a `#[test]` or `#[tokio::test]`.
fn test_names(root: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for folder in ["tests", "crates"] {
        for path in rust_files(&root.join(folder)) {
            names.extend(tests_of(&fs::read_to_string(path).unwrap()));
        }
    }
    assert!(names.len() > 500, "found {} tests", names.len());
    names
}

fn tests_of(source: &str) -> Vec<String> {
    let (mut names, mut is_test) = (Vec::new(), false);
    for line in source.lines().map(str::trim_start) {
        is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        let Some((before, rest)) = line.split_once("fn ") else {
            continue;
        };
        if is_test && matches!(before, "" | "async " | "pub ") {
            names.extend(rest.split('(').next().map(str::to_owned));
            is_test = false;
        }
    }
    names
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

#[test]
fn a_helper_is_no_test() {
    let source = "fn help() {}\n#[test]\n#[ignore]\nfn one() {}\nfn other() {}\n\
                  #[tokio::test]\nasync fn two() {}\n";
    assert_eq!(tests_of(source), ["one", "two"]);
}

#[test]
fn a_row_with_another_test_is_found() {
    let page =
        "| fault | promise | test | figure |\n| --- | --- | --- | --- |\n| a | b | `c` | d |\n";
    let rows = rows(page);
    assert_eq!((rows.len(), rows[0].fault, rows[0].test), (1, "a", "c"));
}
