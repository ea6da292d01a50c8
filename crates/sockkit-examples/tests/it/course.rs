//! The book's table of everything in the notes: current, without an empty row,
//! and every program of it there.
//!
//! `docs/course.tsv` is its source, a line a row: what the notes have, where it
//! is here, and a remark in English and in Korean; `#` begins a section. Links
//! into the API are followed by `scripts/book`.

use std::{fs, path::PathBuf};

use crate::run::program;

#[test]
fn the_pages_are_current() {
    for (language, head) in [(English, HEAD_EN), (Korean, HEAD_KO)] {
        let path = docs(&format!("{}/course.md", language.folder()));
        let page = page(language, head);
        if std::env::var_os("SOCKKIT_WRITE_DOCS").is_some() {
            fs::write(&path, &page).unwrap();
        }
        assert!(
            fs::read_to_string(&path).unwrap() == page,
            "stale: SOCKKIT_WRITE_DOCS=1 cargo test -p sockkit-examples --test it course"
        );
    }
}

#[test]
fn every_row_has_a_home_and_every_program_runs() {
    let source = fs::read_to_string(docs("course.tsv")).unwrap();
    let rows: Vec<_> = rows(&source).filter(|row| row[0] != "#").collect();
    assert!(rows.len() >= 60, "{}", rows.len());
    let programs = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin")).unwrap();
    for file in programs {
        let file = file.unwrap().path();
        let name = file.file_stem().unwrap().to_str().unwrap();
        let told = rows.iter().any(|row| row[1].contains(&format!("`{name}`")));
        assert!(told, "{name} is in no row");
    }
    for row in rows {
        assert!(!row[0].is_empty() && !row[1].is_empty(), "{row:?}");
        for name in binaries(row[1]) {
            let end = program(binary(name).to_str().unwrap(), &["--help"]).end();
            assert!(end.status.success(), "{name}: {end:?}");
        }
    }
}

/// Words in backticks that look like a program of ours: lower case, with a hyphen
/// or one of the few without.
fn binaries(home: &str) -> impl Iterator<Item = &str> {
    let words = home.split('`').skip(1).step_by(2);
    words.filter(|word| {
        let is_name = word
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        is_name
            && (word.contains('-')
                || ["sockopts", "multiplex", "backpressure", "interfaces"].contains(word))
    })
}

fn binary(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_time-server")).with_file_name(name)
}

#[derive(Clone, Copy)]
enum Language {
    English,
    Korean,
}
use Language::{English, Korean};

impl Language {
    fn folder(self) -> &'static str {
        match self {
            English => "en",
            Korean => "ko",
        }
    }

    /// Of `English|한국어` the half that is meant; other texts serve both.
    fn half(self, text: &str) -> &str {
        match (text.split_once('|'), self) {
            (None, _) => text,
            (Some((english, _)), English) => english,
            (Some((_, korean)), Korean) => korean,
        }
    }
}

fn rows(source: &str) -> impl Iterator<Item = Vec<&str>> {
    source.lines().map(|line| line.split('\t').collect())
}

fn page(language: Language, head: &str) -> String {
    let source = fs::read_to_string(docs("course.tsv")).unwrap();
    let mut page = head.to_owned();
    for row in rows(&source) {
        let (english, korean) = match row[..] {
            ["#", english, korean] => {
                let title = match language {
                    English => english,
                    Korean => korean,
                };
                let columns = match language {
                    English => "in the notes | here | remark",
                    Korean => "노트 | 여기서는 | 비고",
                };
                page += &format!("\n## {title}\n\n| {columns} |\n| --- | --- | --- |\n");
                continue;
            }
            [_, _, english, korean] => (english, korean),
            _ => panic!("{row:?}"),
        };
        let remark = match language {
            English => english,
            Korean => korean,
        };
        page += &format!(
            "| {} | {} | {remark} |\n",
            language.half(row[0]),
            language.half(row[1])
        );
    }
    page
}

fn docs(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs")
        .join(name)
}

const HEAD_EN: &str = "\
# Everything in the notes, and where it is here

*[한국어](../ko/course.md)*

Names with a hyphen are programs: `cargo run -q -p sockkit-examples --bin NAME -- --help`.
";

const HEAD_KO: &str = "\
# 노트의 모든 것과 여기서의 자리

*[English](../en/course.md)*

하이픈이 있는 이름은 프로그램이다: `cargo run -q -p sockkit-examples --bin 이름 -- --help`.
";
