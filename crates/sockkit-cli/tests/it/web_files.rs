//! Files to and from a browser, driven as a user would.

use std::{
    fs,
    path::Path,
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use sockkit::testing::{
    needs::{Need, met},
    program::Program,
};

use crate::{
    browser::{Browser, Page},
    fails,
    firefox::Firefox,
    sockkit, sockkit_on_terminal, sockkit_under,
};

const MIB: usize = 1 << 20;
const SAID: &str = "document.getElementById('say').textContent";
/// It is sent when `resume` is called.
const HOLD_SECOND_SLICE: &str = "(() => { const { prototype } = XMLHttpRequest; const { send } = prototype; let sent = 0; \
     prototype.send = function(body) { if (sent++ !== 1) send.call(this, body); \
     else window.resume = () => send.call(this, body); }; return ''; })()";

#[test]
fn chromium_moves_64_mib_both_ways() {
    if met("files with Chromium", &[Need::Program("chromium")]) {
        upload(65 * MIB, Page::open);
        download(64 * MIB, chromium_saving_into);
    }
}

#[test]
fn firefox_moves_64_mib_both_ways() {
    if met("files with Firefox", &[Need::Program("firefox-esr")]) {
        upload(65 * MIB, |url| Firefox::open(url, Path::new("/nowhere")));
        download(64 * MIB, Firefox::open);
    }
}

pub(crate) fn chromium_saving_into(url: &str, folder: &Path) -> Page {
    let mut page = Page::blank();
    page.downloads_into(folder);
    page.go(url);
    page
}

/// Uploads a file; after its first slice the page is loaded again.
fn upload<B: Browser>(bytes: usize, open: impl FnOnce(&str) -> B) {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (film, empty) = (here.path().join("film"), here.path().join("빈 파일"));
    let contents = contents(bytes);
    fs::write(&film, &contents).unwrap();
    fs::write(&empty, "").unwrap();
    let into = there.path().to_str().unwrap();
    let receiver = sockkit(&["receive", "--into", into, "--yes", "--web=127.0.0.1:0"]);
    let mut page = open(&url(&receiver));
    ready(&mut page, "files");
    // All slices but the first are on their way for ever. Not every browser reads into a buffer
    // that it is given.
    page.evaluate(
        "(() => { ReadableStream.prototype.getReader = () => { throw new TypeError(); }; \
         const { prototype } = XMLHttpRequest; const { send } = prototype; let sent = 0; \
         prototype.send = function(body) { if (sent++ < 1) send.call(this, body); }; return ''; })()",
    );
    page.choose("#files", &[&film, &empty]);
    let first = "document.querySelector('.state')?.textContent ?? ''";
    let percent = format!("{} %", 100 * 4 * MIB / bytes);
    page.until(first, |state| state == percent);
    page.reload();
    ready(&mut page, "files");
    // Each look at the clock takes 20 seconds: it tells that it hashes what has arrived.
    page.evaluate("(() => { let now = 0; Date.now = () => now += 20000; return ''; })()");
    page.choose("#files", &[&film, &empty]);
    page.until("document.getElementById('say').textContent", |said| {
        said == "Done."
    });
    let told = "performance.getEntriesByType('resource').map(({ name }) => name).join(' ')";
    let asked = page.evaluate(told);
    assert!(asked.contains("?known=checking"), "{asked}");
    let end = receiver.end();
    assert!(end.status.success(), "{end:?}");
    // What had arrived before the reload was not sent again.
    let moved = format!("{}.00 MiB moved", bytes / MIB);
    assert!(end.errors.contains(&moved), "{end:?}");
    assert!(fs::read(there.path().join("film")).unwrap() == contents);
    assert_eq!(fs::read(there.path().join("빈 파일")).unwrap(), b"");
}

fn download<B: Browser>(bytes: usize, open: impl FnOnce(&str, &Path) -> B) {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (film, note) = (here.path().join("film"), here.path().join("쪽지 \"1\".txt"));
    let contents = contents(bytes);
    fs::write(&film, &contents).unwrap();
    fs::write(&note, "hello").unwrap();
    let paths = [&film, &note].map(|path| path.to_str().unwrap());
    let sender = sockkit(&["send", paths[0], paths[1], "--web=127.0.0.1:0"]);
    let mut page = open(&url(&sender), there.path());
    ready(&mut page, "list a");
    page.evaluate("document.querySelectorAll('#list button')[1].click(), ''");
    let digest = "document.querySelector('#list code')?.textContent ?? ''";
    // Of "hello".
    page.until(digest, |digest| digest.starts_with("2cf24dba5fb0a30e"));
    page.evaluate("document.querySelectorAll('#list a').forEach(link => link.click()), ''");
    // It ends once everything was downloaded.
    let end = sender.end();
    assert!(end.status.success(), "{end:?}");
    let names = || fs::read_dir(there.path()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let saved = || {
        let files = names().map(|entry| fs::read(entry.unwrap().path()).unwrap_or_default());
        let mut files: Vec<_> = files.collect();
        files.sort_by_key(Vec::len);
        files == [b"hello".to_vec(), contents.clone()]
    };
    while !saved() {
        assert!(
            Instant::now() < deadline,
            "{:?}",
            names().collect::<Vec<_>>()
        );
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_full_disk_is_told_on_both_screens() {
    if !met("a full disk behind a browser", &[Need::Program("chromium")]) {
        return;
    }
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let film = here.path().join("film");
    fs::write(&film, contents(9 * MIB)).unwrap();
    // Files of 6 MiB at most stand for it.
    let arguments = ["receive", "--yes", "--web=127.0.0.1:0"];
    let receiver = sockkit_under("ulimit -f 12288; trap '' XFSZ", there.path(), &arguments);
    let mut page = Page::open(&url(&receiver));
    ready(&mut page, "files");
    page.choose("#files", &[&film]);
    page.until(SAID, |said| said == "Done, but not everything was taken.");
    let why = "larger than the receiver's file system";
    let state = "document.querySelector('.state.bad')?.textContent ?? ''";
    page.until(state, |state| state.contains(why));
    let end = receiver.end();
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    assert!(end.errors.contains(why), "{end:?}");
}

#[test]
fn a_wrong_path_and_a_second_phone_are_told() {
    if !met("a second phone", &[Need::Program("chromium")]) {
        return;
    }
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let film = here.path().join("film");
    fs::write(&film, contents(9 * MIB)).unwrap();
    let into = there.path().to_str().unwrap();
    let receiver = sockkit(&["receive", "--into", into, "--yes", "--web=127.0.0.1:0"]);
    let address = url(&receiver);
    // One letter of the secret is wrong.
    let mut wrong = address.clone();
    let letter = wrong.pop().and_then(|_| wrong.pop());
    wrong += if letter == Some('a') { "b/" } else { "a/" };
    let mut first = Page::open(&wrong);
    let text = first.evaluate("document.body.textContent.trim()");
    assert_eq!(text, "not found");
    first.go(&address);
    ready(&mut first, "files");
    // Its second slice waits.
    first.evaluate(HOLD_SECOND_SLICE);
    first.choose("#files", &[&film]);
    first.until("String(window.resume !== undefined)", |waits| {
        waits == "true"
    });
    let mut second = Page::open(&address);
    ready(&mut second, "files");
    second.choose("#files", &[&film]);
    second.until(SAID, |said| {
        said == "Files from another browser come first. Yours wait."
    });
    first.evaluate("(window.resume(), '')");
    first.until(SAID, |said| said == "Done.");
    assert!(receiver.end().status.success());
    let ended = "The other side has ended. Ask for a new page.";
    second.until(SAID, |said| said == ended);
}

/// A slice is read for its digest, and again when it is sent.
#[test]
fn a_file_that_changes_while_it_is_sent_is_refused() {
    if met(
        "a file that changes, with Chromium",
        &[Need::Program("chromium")],
    ) {
        changes(Page::open);
    }
    if met(
        "a file that changes, with Firefox",
        &[Need::Program("firefox-esr")],
    ) {
        changes(|url| Firefox::open(url, Path::new("/nowhere")));
    }
}

fn changes<B: Browser>(open: impl FnOnce(&str) -> B) {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let film = here.path().join("film");
    fs::write(&film, contents(12 * MIB)).unwrap();
    let into = there.path().to_str().unwrap();
    let receiver = sockkit(&["receive", "--into", into, "--yes", "--web=127.0.0.1:0"]);
    let mut page = open(&url(&receiver));
    ready(&mut page, "files");
    // The second slice waits, when it has been read already.
    page.evaluate(HOLD_SECOND_SLICE);
    page.choose("#files", &[&film]);
    page.until("String(window.resume !== undefined)", |waits| {
        waits == "true"
    });
    let mut changed = contents(12 * MIB);
    changed.reverse();
    fs::write(&film, changed).unwrap();
    page.evaluate("(window.resume(), '')");
    let state = "document.querySelector('.state.bad')?.textContent ?? ''";
    page.until(state, |state| state.contains("read"));
    let end = receiver.end();
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    assert!(!there.path().join("film").exists());
}

#[test]
fn the_user_is_asked_before_a_browser_writes() {
    let there = tempfile::tempdir().unwrap();
    let into = there.path().to_str().unwrap();
    let mut receiver = sockkit_on_terminal(&["receive", "--into", into, "--web=127.0.0.1:0"]);
    let url = url(&receiver);
    let reply = post(
        &url,
        "offer",
        r#"{"files":[{"path":".bashrc","size":3,"modified":0}]}"#,
    );
    assert!(reply.contains("200 OK"), "{reply}");
    receiver.wait_for_error(".bashrc  (hidden)");
    receiver.wait_for_error("receive them?");
    receiver.type_line("n");
    let end = receiver.end();
    assert!(!end.status.success(), "{end:?}");
    assert_eq!(fs::read_dir(there.path()).unwrap().count(), 0);
}

#[test]
fn https_encrypts_with_a_certificate_of_this_machine() {
    if !met("a page over https", &[Need::Program("curl")]) {
        return;
    }
    let (here, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let note = here.path().join("note");
    fs::write(&note, "hello").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockkit"));
    command.env("XDG_STATE_HOME", state.path());
    command
        .arg("send")
        .arg(note)
        .args(["--https", "--web=127.0.0.1:0"]);
    let sender = Program::start(&mut command);
    let url = url(&sender);
    assert!(url.starts_with("https://"), "{url}");
    let curl = |arguments: &[&str]| Command::new("curl").args(arguments).output().unwrap();
    let plain = url.replace("https://", "http://");
    for _ in 0..2 {
        assert!(!curl(&["--silent", &plain]).status.success());
    }
    let file = curl(&["--silent", "--insecure", &format!("{url}file/0/note")]);
    assert_eq!(file.stdout, b"hello", "{file:?}");
    let end = sender.end();
    assert!(end.status.success(), "{end:?}");
    assert!(end.errors.contains("SHA-256 fingerprint"), "{end:?}");
    check_told_once(&end.errors, &plain);
    assert!(state.path().join("sockkit/web.pem").is_file());
}

#[test]
fn https_encrypts_pictures_in_the_same_way() {
    if !met("pictures over https", &[Need::Program("curl")]) {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let sockkit = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sockkit"));
        command.env("XDG_STATE_HOME", state.path());
        Program::start(command.args(arguments))
    };
    // Others can reach it, and that is no page in the clear.
    let page = ["--web", "0.0.0.0:0", "--https"];
    let cam = ["cam", "--source", "pattern"];
    let view = ["view", "udp://127.0.0.1:0", "--plain"];
    for (command, path) in [(&cam[..], "snapshot"), (&view[..], "state")] {
        let viewer = sockkit(&[command, &page].concat());
        let url = viewer.line_after("watch     ");
        assert!(url.starts_with("https://"), "{url}");
        viewer.wait_for_error("SHA-256 fingerprint");
        let curl = |arguments: &[&str]| Command::new("curl").args(arguments).output().unwrap();
        let plain = url.replace("https://", "http://");
        for _ in 0..2 {
            assert!(!curl(&["--silent", &plain]).status.success());
        }
        let got = curl(&["--silent", "--fail", "--insecure", &format!("{url}{path}")]);
        assert!(got.status.success(), "{path}: {got:?}");
        viewer.interrupt();
        let told = viewer.end().errors;
        assert!(
            told.contains("can watch") && !told.contains("page is not encrypted"),
            "{told}"
        );
        check_told_once(&told, &plain);
    }
    assert!(state.path().join("sockkit/web.pem").is_file());
    // It needs --web.
    fails(&["cam", "--https"], &["required arguments"]);
}

/// That a page at `https://` was asked for in the clear, and what to type.
fn check_told_once(errors: &str, plain: &str) {
    let rest = plain.strip_prefix("http://").unwrap();
    let (at, _path) = rest.split_once('/').unwrap();
    let told = format!("asked for http://{at}; the page is at https://{at}: type https:// ");
    assert_eq!(errors.matches(&told).count(), 1, "{told}: {errors}");
}

#[test]
fn what_a_browser_cannot_do_is_refused() {
    fails(
        &["send", "x", "--web", "--code", "new"],
        &["a browser has no code"],
    );
    fails(
        &["receive", "--yes", "--web", "--known"],
        &["a browser has no code"],
    );
    fails(&["send", "-", "--web"], &["standard input"]);
}

/// The page's address, as printed.
pub(crate) fn url(program: &Program) -> String {
    program.line_after("open").trim().to_owned()
}

/// Waits until the page has built what `id` names.
pub(crate) fn ready(page: &mut impl Browser, id: &str) {
    let script = format!("String(document.querySelector('#{id}') !== null)");
    page.until(&script, |there| there == "true");
}

fn post(url: &str, path: &str, body: &str) -> String {
    use std::io::{Read as _, Write as _};

    let (host, secret) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    write!(
        stream,
        "POST /{secret}{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply
}

fn contents(bytes: usize) -> Vec<u8> {
    let mut contents = vec![0; bytes];
    fastrand::Rng::with_seed(7).fill(&mut contents);
    contents
}
