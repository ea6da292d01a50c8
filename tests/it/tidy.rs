//! Architecture rules that a compiler does not check.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The modules that say what bytes mean: no socket, no clock, no task, no randomness.
const PURE: [&str; 2] = [
    "crates/sockkit-codec/src",
    "crates/sockkit-media/src/picture",
];

/// `fs::` and `env::` are std's or tokio's, however they were imported.
const BANNED: [&str; 13] = [
    "Instant::now",
    "RandomState",
    "SystemTime::now",
    "TcpStream",
    "UdpSocket",
    "env::",
    "fastrand",
    "fs::",
    "getrandom",
    "rustix::",
    "sleep(",
    "thread::",
    "tokio::spawn",
];

#[test]
fn pure_code_has_no_socket_clock_or_task() {
    let files: Vec<_> = PURE
        .iter()
        .flat_map(|folder| rust_files(&root().join(folder)))
        .collect();
    assert!(files.len() >= PURE.len(), "found nothing to check");
    for path in files {
        refuse(&path, &BANNED, "pure code must not use it; pass it in");
    }
}

/// Beside the code that waits, files say of themselves that they do not.
#[test]
fn files_that_call_themselves_pure_are() {
    let is_pure = |path: &PathBuf| {
        let source = fs::read_to_string(path).expect("source is UTF-8");
        source
            .lines()
            .any(|line| line.starts_with("//!") && line.contains("Pure"))
    };
    // The simulated link uses a seed that its caller passes.
    let link = root().join("crates/sockkit-testing/src/sim");
    let mut files = rust_files(&root().join("crates"));
    files.retain(|path| !path.starts_with(&link) && is_pure(path));
    assert!(files.len() > 10, "found {files:?} alone");
    for path in files {
        refuse(&path, &BANNED, "it says that it is pure; pass it in");
    }
}

#[test]
fn unsafe_code_stays_in_core_sys() {
    let home = root().join("crates/sockkit-core/src/sys");
    let files = rust_files(&root().join("crates"));
    assert!(!files.is_empty(), "found nothing to check");
    for path in files.iter().filter(|path| !path.starts_with(&home)) {
        refuse(
            path,
            &["unsafe {", "unsafe fn", "unsafe impl"],
            "unsafe lives in core::sys",
        );
    }
}

#[test]
fn a_poisoned_lock_is_taken_as_it_is() {
    for path in rust_files(&root().join("crates")) {
        let of_tests = ["tests", "tests.rs"].map(AsRef::<std::ffi::OsStr>::as_ref);
        if !path
            .components()
            .any(|part| of_tests.contains(&part.as_os_str()))
        {
            let words = [".lock().expect(", ".lock().unwrap()"];
            refuse(&path, &words, "PoisonError::into_inner");
        }
    }
}

/// As in tokio: how long is a timeout, and until when is a deadline.
#[test]
fn a_timeout_is_a_duration_and_a_deadline_an_instant() {
    let is_wrong = |(name, kind): (&str, &str)| match kind {
        "Duration" | "Option<Duration>" => {
            let words = ["patience", "silence", "within"];
            name.ends_with("deadline") || words.contains(&name)
        }
        "Instant" | "Option<Instant>" => name.ends_with("timeout"),
        _ => false,
    };
    for path in rust_files(&root().join("crates")) {
        let source = fs::read_to_string(&path).expect("source is UTF-8");
        for (number, line) in code_lines(&source) {
            // Fields and parameters, several on a line or one.
            let mut named = line
                .split(['(', ')', ',', '{'])
                .filter_map(|part| part.split_once(": "))
                .map(|(name, kind)| (name.trim(), kind.trim()));
            assert!(!named.any(is_wrong), "{}:{number}: {line}", path.display());
        }
    }
}

/// What may get another field or variant, in the crates that users match on.
const OPEN: [&str; 33] = [
    "Answer",
    "CameraFormat",
    "CameraSignal",
    "Entry",
    "EntryKind",
    "Existing",
    "FileOutcome",
    "FileSummary",
    "FileTime",
    "Hello",
    "Integrity",
    "Job",
    "Keepalive",
    "LengthOrder",
    "Linger",
    "Manifest",
    "Message",
    "Offload",
    "Older",
    "OnConflict",
    "PictureHeader",
    "Plan",
    "Progress",
    "QueuePermit",
    "ReassembledMessage",
    "ReceiverEvent",
    "Reviewed",
    "Role",
    "SenderEvent",
    "SkipReason",
    "Skipped",
    "Summary",
    "TrafficClass",
];

#[test]
fn types_that_may_grow_are_open() {
    let mut found = Vec::new();
    for path in rust_files(&root().join("crates")) {
        let source = fs::read_to_string(&path).expect("source is UTF-8");
        let lines: Vec<_> = source.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            let declared = ["pub struct ", "pub enum "].map(|kind| line.strip_prefix(kind));
            let rest = declared.into_iter().flatten().next().unwrap_or_default();
            let name = rest.split(|c: char| !c.is_alphanumeric()).next();
            let Some(name) = OPEN.into_iter().find(|open| name == Some(open)) else {
                continue;
            };
            let above = lines[..index].iter().rev();
            let mut attributes = above.take_while(|line| line.starts_with("#["));
            assert!(
                attributes.any(|line| *line == "#[non_exhaustive]"),
                "{}:{}: {name} is closed",
                path.display(),
                index + 1,
            );
            found.push(name);
        }
    }
    found.sort_unstable();
    found.dedup();
    assert_eq!(found, OPEN);
}

/// Which crate may use which, as ARCHITECTURE.md draws it; a package that is not here is
/// a fault as well.
const ARROWS: [(&str, &[&str]); 10] = [
    ("sockkit-core", &[]),
    ("sockkit-testing", &["sockkit-core"]),
    ("sockkit-codec", &[]),
    ("sockkit-link", &["sockkit-codec", "sockkit-core"]),
    ("sockkit-file", &["sockkit-codec", "sockkit-core"]),
    (
        "sockkit-media",
        &["sockkit-codec", "sockkit-core", "sockkit-link"],
    ),
    (
        "sockkit-course",
        &[
            "sockkit-codec",
            "sockkit-core",
            "sockkit-file",
            "sockkit-link",
            "sockkit-media",
        ],
    ),
    (
        "sockkit",
        &[
            "sockkit-codec",
            "sockkit-core",
            "sockkit-course",
            "sockkit-file",
            "sockkit-link",
            "sockkit-media",
            "sockkit-testing",
        ],
    ),
    ("sockkit-cli", &["sockkit"]),
    ("sockkit-examples", &["sockkit"]),
];

#[test]
fn no_arrow_between_crates_but_those_drawn() {
    let mut folders = vec![root()];
    let crates = fs::read_dir(root().join("crates")).expect("folder exists");
    folders.extend(crates.flatten().map(|entry| entry.path()));
    assert_eq!(folders.len(), ARROWS.len(), "{folders:?}");
    for folder in folders {
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).expect("manifest is UTF-8");
        let package = package_name(&manifest);
        let (_, allowed) = ARROWS
            .iter()
            .find(|(name, _)| *name == package)
            .unwrap_or_else(|| panic!("{package} is not drawn"));
        let mut arrows: Vec<_> = dependencies(&manifest)
            .into_iter()
            .map(|(name, _)| name)
            .filter(|name| name.starts_with("sockkit"))
            .collect();
        arrows.sort_unstable();
        arrows.dedup();
        assert_eq!(arrows, *allowed, "what {package} uses");
    }
}

/// Nothing that it could be built from knows a socket, a disk, a thread or a
/// timer; of tokio it has the traits of streams alone.
#[test]
fn codec_is_built_from_pure_crates() {
    let manifest = root().join("crates/sockkit-codec/Cargo.toml");
    let manifest = fs::read_to_string(manifest).expect("manifest is UTF-8");
    let workspace = fs::read_to_string(root().join("Cargo.toml")).expect("manifest is UTF-8");
    let shared = section(&workspace, "[workspace.dependencies]");
    for (name, line) in dependencies(&manifest) {
        let features = match name {
            "tokio" => "[\"io-util\"]",
            "tokio-util" => "[\"codec\", \"io\"]",
            "blake3"
            | "bytes"
            | "crc32c"
            | "futures-core"
            | "futures-sink"
            | "reed-solomon-simd"
            | "thiserror"
            | "unicode-normalization" => "",
            _ => panic!("{line}: is it pure?"),
        };
        let found = line
            .split_once("features = ")
            .map_or("", |(_, features)| features);
        assert_eq!(found.trim_end_matches([' ', '}']), features, "{name}");
        if !features.is_empty() {
            let line = shared
                .iter()
                .find(|line| line.starts_with(&format!("{name} =")));
            let line = line.expect("it is a dependency of the workspace");
            assert!(
                line.contains("default-features = false") && !line.contains(", features"),
                "{line}: codec would inherit its features"
            );
        }
    }
}

/// A multicast transfer, and any other, uses the same store.
#[test]
fn the_store_knows_no_session() {
    for path in rust_files(&root().join("crates/sockkit-file/src/store")) {
        let words = ["session", "driver", "tokio"];
        refuse(&path, &words, "the disk speaks no protocol");
    }
}

/// Which transport carries what is the library's business: an address says it.
/// `bench` measures transports, and `doctor` looks for what a firewall does to each.
#[test]
fn the_command_names_no_transport() {
    let source = root().join("crates/sockkit-cli/src");
    let about_them = ["bench", "doctor/reach.rs"].map(|path| source.join(path));
    let words = [
        "tcp::", "tls::", "quic::", "udp::", "Tcp", "Tls", "Udp", "Quic",
    ];
    let by_scheme = ["Scheme::Tcp", "Scheme::Tls", "Scheme::Quic", "Scheme::Udp"];
    for path in rust_files(&source) {
        if about_them.iter().any(|about| path.starts_with(about)) {
            continue;
        }
        let mut source = fs::read_to_string(&path).expect("source is UTF-8");
        for scheme in by_scheme {
            source = source.replace(scheme, "");
        }
        if let Some((number, word)) = find(&source, &words) {
            panic!(
                "{}:{number}: {word}: dial and listen by an `Address` and a `Node`",
                path.display()
            );
        }
    }
}

#[test]
fn programs_hold_no_accept_loop_and_no_address_parser() {
    let about_them = [
        // One server in four ways: the loops are its subject.
        "crates/sockkit-examples/src/bin/multiplex.rs",
        // The class that the course builds by hand.
        "crates/sockkit-examples/src/bin/my-tcp-server-ex01.rs",
        // Members join one transfer, which takes their connections: there is nothing to serve.
        "crates/sockkit-cli/src/many.rs",
    ];
    let exempt = about_them.map(|path| root().join(path));
    let programs = [
        "crates/sockkit-cli/src",
        "crates/sockkit-examples/src",
        "examples",
    ];
    for path in programs
        .iter()
        .flat_map(|path| rust_files(&root().join(path)))
    {
        if exempt.contains(&path) {
            continue;
        }
        let parsers = ["split_once(\"://\")", "split_once(':')", "lookup_host(&"];
        refuse(&path, &parsers, "`link::AddressDefaults` reads addresses");
        let source = fs::read_to_string(&path).expect("source is UTF-8");
        if let Some(number) = accept_loop(&source) {
            panic!(
                "{}:{number}: an accept loop: `server::Server` has one, with limits",
                path.display()
            );
        }
    }
}

/// The first line that accepts again and again, by what it is indented below.
fn accept_loop(source: &str) -> Option<usize> {
    let lines: Vec<_> = code_lines(source).collect();
    let accepts = |(_, line): &(usize, &str)| line.contains(".accept()");
    let at = |index: usize| {
        let mut indent = usize::MAX;
        let above = lines[..=index].iter().rev().map(|(_, line)| *line);
        let mut outer = above.filter(|line| {
            let code = line.trim_start();
            let is_outer = !code.is_empty() && line.len() - code.len() < indent;
            if is_outer {
                indent = line.len() - code.len();
            }
            is_outer
        });
        outer.any(|line| {
            let code = line.trim_start();
            code.starts_with("loop {") || code.starts_with("while ") || code.starts_with("for ")
        })
    };
    let mut accepting = lines.iter().enumerate().filter(|(_, line)| accepts(line));
    accepting
        .find(|(index, _)| at(*index))
        .map(|(_, (number, _))| *number)
}

#[test]
fn an_accept_in_a_loop_is_told_from_one_that_is_not() {
    let once = "fn a() {\n    loop {\n        b();\n    }\n    let c = d.accept();\n}\n";
    assert_eq!(accept_loop(once), None);
    for looping in [
        "fn a() {\n    loop {\n        let c = d.accept();\n    }\n}\n",
        "fn a() {\n    while let Ok(c) = d.accept().await {\n        b(c);\n    }\n}\n",
        "fn a() {\n    loop {\n        select! {\n            c = d.accept() => b(c),\n        }\n    }\n}\n",
    ] {
        assert!(accept_loop(looping).is_some(), "{looping}");
    }
}

/// The first program of the course shows how little a server takes.
#[test]
fn the_echo_server_is_thirty_lines_of_code() {
    let path = root().join("crates/sockkit-examples/src/bin/tcp-echo-server.rs");
    let source = fs::read_to_string(path).expect("source is UTF-8");
    let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
    let lines = source.lines().filter(is_code).count();
    assert!(lines <= 30, "{lines} lines");
}

/// They show what the library saves.
#[test]
fn the_programs_on_the_library_fit_on_a_page() {
    let programs = rust_files(&root().join("examples"));
    let readme = fs::read_to_string(root().join("examples/README.md")).expect("it is UTF-8");
    assert!(programs.len() >= 6, "{programs:?}");
    for path in programs {
        let source = fs::read_to_string(&path).expect("source is UTF-8");
        let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
        let lines = source.lines().filter(is_code).count();
        assert!(lines <= 80, "{}: {lines} lines", path.display());
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        assert!(
            readme.contains(&format!("({name})")),
            "{name} is not listed"
        );
    }
}

fn package_name(manifest: &str) -> &str {
    let package = section(manifest, "[package]");
    let name = package.iter().find_map(|line| line.strip_prefix("name = "));
    name.expect("a package has a name").trim_matches('"')
}

/// Name and line of each dependency that is built into the crate: those of its
/// tests are left out.
fn dependencies(manifest: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut counts = false;
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            assert!(
                !line.contains("dependencies."),
                "{line}: write it as a line"
            );
            counts = line.ends_with("dependencies]")
                && !line.ends_with("dev-dependencies]")
                && line != "[workspace.dependencies]";
        } else if counts && !line.is_empty() && !line.starts_with('#') {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            let renamed = line.split_once("package = \"");
            let name = renamed.map_or(name, |(_, rest)| rest.split('"').next().unwrap_or_default());
            found.push((name, line));
        }
    }
    assert!(!found.is_empty(), "found nothing to check");
    found
}

/// The lines of one section.
fn section<'a>(manifest: &'a str, heading: &str) -> Vec<&'a str> {
    let lines = manifest.lines().skip_while(|line| *line != heading);
    lines
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .collect()
}

/// Fails at the first line of code, tests apart, that holds one of `words`.
#[track_caller]
fn refuse(path: &Path, words: &[&str], reason: &str) {
    if path.ends_with("tests.rs") {
        return;
    }
    let source = fs::read_to_string(path).expect("source is UTF-8");
    if let Some((number, word)) = find(&source, words) {
        panic!("{}:{number}: {word}: {reason}", path.display());
    }
}

/// The first line of code that holds one of `words`, and which.
fn find<'a>(source: &str, words: &[&'a str]) -> Option<(usize, &'a str)> {
    code_lines(source)
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .find_map(|(number, line)| {
            let word = words.iter().find(|word| line.contains(**word))?;
            Some((number, *word))
        })
}

/// Numbered lines without the items that only tests compile, which may do what
/// they like. rustfmt indents an item's last line as far as its first.
fn code_lines(source: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut lines = (1..).zip(source.lines());
    std::iter::from_fn(move || {
        loop {
            let (number, line) = lines.next()?;
            let code = line.trim_start();
            if !code.starts_with("#[cfg(test)]") && !code.starts_with("#[cfg(all(test,") {
                return Some((number, line));
            }
            let indent = line.len() - code.len();
            lines.find(|(_, line)| ends_item(line, indent))?;
        }
    })
}

fn ends_item(line: &str, indent: usize) -> bool {
    let code = line.trim_start();
    line.len() - code.len() == indent
        && !code.starts_with('#')
        && (code.ends_with(';') || code.ends_with('}') || code.ends_with(','))
}

#[test]
fn code_behind_an_item_for_tests_is_code() {
    let banned = "std::fs::read();";
    for gated in [
        "#[cfg(test)]\nmod tests;\n",
        "#[cfg(test)]\nmod tests {\n    fn a() {\n        std::fs::read();\n    }\n}\n",
        "#[cfg(test)]\n#[must_use]\nfn a(\n    b: u8,\n) -> u8 {\n    std::fs::read();\n}\n",
        "#[cfg(all(test, unix))]\nuse a::{\n    std::fs::b,\n};\n",
        "    #[cfg(test)]\n    std::fs::field: u8,\n",
    ] {
        assert_eq!(find(gated, &["fs::"]), None, "{gated}");
        let behind = format!("{gated}{banned}\n");
        let line = behind.lines().count();
        assert_eq!(find(&behind, &["fs::"]), Some((line, "fs::")), "{gated}");
    }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("folder exists").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
