//! The book as it is read in the repository: its links lead to files, and its code is
//! that of the programs.
//!
//! Each excerpt is compared with its source, and written by `SOCKKIT_WRITE_DOCS=1`.
//!
//! ````text
//! <!-- excerpt: crates/sockkit-examples/src/bin/tcp-echo-server.rs -->
//! ```rust
//! …
//! ```
//! ````
//!
//! A part of a file stands between `ANCHOR: name` and `ANCHOR_END: name` in it, and is
//! written `path:name`.

use std::{
    fs,
    path::{Path, PathBuf},
};

#[test]
fn the_code_in_the_book_is_that_of_the_programs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let writes = std::env::var_os("SOCKKIT_WRITE_DOCS").is_some();
    let mut excerpts = 0;
    for page in pages(&root.join("docs")) {
        let written = fs::read_to_string(&page).unwrap();
        excerpts += written.matches(MARK).count();
        let current = with_excerpts(&written, |named| excerpt(root, named));
        if writes && current != written {
            fs::write(&page, current).unwrap();
        } else {
            let page = page.display();
            assert!(
                current == written,
                "{page} is stale: SOCKKIT_WRITE_DOCS=1 cargo test -p sockkit --test it book"
            );
        }
    }
    assert!(excerpts > 50, "{excerpts} excerpts");
}

#[test]
fn an_excerpt_is_replaced_and_the_rest_stays() {
    let page = "a\n<!-- excerpt: x.rs:part -->\n```rust\nold\n```\nb\n```sh\nc\n```\n";
    let made = with_excerpts(page, |named| {
        assert_eq!(named, "x.rs:part");
        "/// ```\nnew\n".to_owned()
    });
    let new = "a\n<!-- excerpt: x.rs:part -->\n````rust\n/// ```\nnew\n````\nb\n```sh\nc\n```\n";
    assert_eq!(made, new);
    assert_eq!(
        with_excerpts(new, |_named| "/// ```\nnew\n".to_owned()),
        new
    );
}

#[test]
fn the_links_of_the_pages_lead_to_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut links = 0;
    let outside = [
        "README.md",
        "README.ko.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
    ];
    let outside = outside.map(|page| root.join(page));
    for page in pages(&root.join("docs")).into_iter().chain(outside) {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1) {
            let target = link.split([')', '#', ' ']).next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            links += 1;
            let leads_to = page.parent().unwrap().join(target);
            assert!(leads_to.exists(), "{}: {target}", page.display());
        }
    }
    assert!(links > 200, "{links} links");
}

/// The page with the code of each mark replaced.
fn with_excerpts(page: &str, source: impl Fn(&str) -> String) -> String {
    let mut made = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        made.push_str(line);
        made.push('\n');
        let Some(named) = line.strip_prefix(MARK) else {
            continue;
        };
        let named = named.strip_suffix(" -->").unwrap();
        let opening = lines.next().unwrap_or_default();
        let old_fence = &opening[..opening.len() - opening.trim_start_matches('`').len()];
        assert!(old_fence.len() >= 3, "no code behind the mark of {named}");
        lines
            .find(|line| *line == old_fence)
            .unwrap_or_else(|| panic!("the code of {named} does not end"));
        let code = source(named);
        let fence = if code.contains("```") { "````" } else { "```" };
        made.push_str(&format!("{fence}rust\n{code}{fence}\n"));
    }
    made
}

/// The named file, or the part of it between two anchors, without any anchors.
fn excerpt(root: &Path, named: &str) -> String {
    let (path, part) = match named.split_once(':') {
        Some((path, part)) => (path, Some(part)),
        None => (named, None),
    };
    let text =
        fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut inside = part.is_none();
    let mut code = String::new();
    for line in text.lines() {
        let comment = line.trim_start().trim_start_matches("// ");
        if let Some(name) = comment.strip_prefix("ANCHOR: ") {
            inside |= part == Some(name);
        } else if let Some(name) = comment.strip_prefix("ANCHOR_END: ") {
            inside &= part != Some(name);
        } else if inside {
            code.push_str(line);
            code.push('\n');
        }
    }
    assert!(!code.is_empty(), "{named} is empty");
    code
}

fn pages(folder: &Path) -> Vec<PathBuf> {
    let mut pages = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            pages.extend(self::pages(&path));
        } else if path.extension().is_some_and(|ext| ext == "md") {
            pages.push(path);
        }
    }
    pages
}

const MARK: &str = "<!-- excerpt: ";
