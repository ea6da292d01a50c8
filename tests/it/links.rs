//! Every relative link in the project's Markdown leads somewhere.
//!
//! The book's links into the API documentation lead to files that are built:
//! `scripts/book` follows those.

use std::{
    fs,
    path::{Path, PathBuf},
};

#[test]
fn relative_links_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = markdown_files(root);
    assert!(
        pages.iter().any(|page| page.ends_with("README.md")),
        "found nothing to check"
    );
    let dead: Vec<_> = pages.iter().flat_map(|page| dead_links(page)).collect();
    assert!(dead.is_empty(), "dead links:\n{}", dead.join("\n"));
}

/// `page: link` for each relative link of `page` that names no file.
fn dead_links(page: &Path) -> Vec<String> {
    let text = fs::read_to_string(page).expect("Markdown is UTF-8");
    let folder = page.parent().expect("a page is in a folder");
    link_targets(&text)
        .filter(|target| !folder.join(target).exists())
        .map(|target| format!("{}: {target}", page.display()))
        .collect()
}

/// The targets of `[text](target)` outside code, without their fragments.
///
/// Left out are other sites, places in the same page, and built pages.
fn link_targets(text: &str) -> impl Iterator<Item = &str> {
    prose_lines(text).flat_map(|line| {
        line.match_indices("](").filter_map(move |(at, _)| {
            let target = line[at + 2..].split([')', ' ']).next()?;
            let target = target.trim_matches(['<', '>']).split('#').next()?;
            let elsewhere = target.is_empty()
                || target.contains("://")
                || target.starts_with("mailto:")
                || target.ends_with(".html");
            (!elsewhere).then_some(target)
        })
    })
}

fn prose_lines(text: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !fence && !in_code
    })
}

/// Hidden folders and build output are not documentation.
fn markdown_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("folder exists").flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if path.is_dir() && !name.starts_with('.') && name != "target" && name != "out" {
            files.extend(markdown_files(&path));
        } else if name.ends_with(".md") {
            files.push(path);
        }
    }
    files
}
