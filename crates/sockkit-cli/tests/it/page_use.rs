//! What a user does with the pages, and what the pages ask for.

use std::{
    fs,
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

use sockkit::{
    picture::Picture,
    source::pattern::read_stamp,
    testing::needs::{Need, met},
};

use crate::{
    browser::{Browser, Page},
    sockkit,
};

#[test]
fn a_picture_is_paused_saved_and_shared() {
    if !met("the page's buttons", &[Need::Program("chromium")]) {
        return;
    }
    let cam = sockkit(&["cam", "--source", "pattern", "--web", "127.0.0.1:0"]);
    let url = cam.line_after("watch     ");
    let folder = tempfile::tempdir().unwrap();
    let mut page = Page::open(&url);
    page.downloads_into(folder.path());
    page.until("String(!!document.querySelector('.live'))", |found| {
        found == "true"
    });

    let shown = "[...tiles.values()].some(tile => tile.shown) ? 'shown' : ''";
    page.until(shown, |found| found == "shown");
    press(&mut page, "pause");
    let badge = "document.querySelector('.badge').textContent";
    page.until(badge, |found| found == "PAUSED");
    // The only stream is paused, so nothing is sent.
    page.until("using", |found| found == "nothing");
    page.until(VIEWERS, |found| found == "0");
    press(&mut page, "save");
    let saved = saved_in(folder.path());
    let shown = Picture::from_jpeg(saved).unwrap();
    assert!(read_stamp(&shown).is_some(), "the picture as it came");
    press(&mut page, "pause");
    page.until(badge, |found| found == "LIVE");
    page.until(VIEWERS, |found| found == "1");

    page.evaluate("document.getElementById('sharing').click(), ''");
    let code = "String(document.querySelector('#share img').naturalWidth > 0)";
    page.until(code, |found| found == "true");
    let address = page.evaluate("document.querySelector('#share output').textContent");
    assert_eq!(address, url);
    let note = page.evaluate("document.querySelector('#share p').checkVisibility() ? 'told' : ''");
    assert_eq!(note, "told", "a loopback address is of no use elsewhere");
    page.evaluate("document.querySelector('#share button').click(), ''");
    page.until("String(document.querySelector('#share').open)", |found| {
        found == "false"
    });
}

#[test]
fn a_picture_that_is_not_shown_is_freed() {
    if !met("memory of the page", &[Need::Program("chromium")]) {
        return;
    }
    let cam = sockkit(&["cam", "--source", "pattern", "--web", "127.0.0.1:0"]);
    let mut page = Page::open(&cam.line_after("watch     "));
    let shown = "[...tiles.values()].some(tile => tile.shown) ? 'shown' : ''";
    page.until(shown, |found| found == "shown");
    press(&mut page, "pause");
    page.until("using", |found| found == "nothing");
    page.evaluate(
        "(() => { const make = createImageBitmap; createImageBitmap = async blob => \
         window.made = await make(blob); return ''; })()",
    );
    // As one that was on its way.
    page.evaluate(
        "(async () => { const [tile] = tiles.values(); \
         await tile.show(await tile.shown.arrayBuffer(), 0, () => {}); return ''; })()",
    );
    page.until("window.made ? String(made.width) : ''", |width| {
        width == "0"
    });
}

#[test]
fn only_a_server_that_answers_refuses_websockets() {
    if !met("the page after a restart", &[Need::Program("chromium")]) {
        return;
    }
    let cam = sockkit(&["cam", "--source", "pattern", "--web", "127.0.0.1:0"]);
    let mut page = Page::open(&cam.line_after("watch     "));
    page.until("using", |found| found == "stream");
    // No WebSocket opens; the page's tries are counted.
    page.evaluate(
        "(() => { window.tries = 0; WebSocket = function () { \
         tries++; this.close = () => {}; setTimeout(() => this.onclose()); }; return ''; })()",
    );
    page.evaluate("(window.ask = fetch, fetch = async () => { throw new TypeError(); }, '')");
    page.evaluate("(pace.pull(now()), turn(), '')");
    page.until("String(tries)", |tries| tries.parse::<u32>().unwrap() > 1);
    assert_eq!(page.evaluate("String(noPullUntil)"), "0");
    page.evaluate("(fetch = ask, '')");
    page.until("using", |found| found == "stream");
    assert_eq!(page.evaluate("String(noPullUntil > now())"), "true");
}

#[test]
fn a_way_that_the_page_ends_has_not_failed() {
    if !met("a page that turns twice", &[Need::Program("chromium")]) {
        return;
    }
    let cam = sockkit(&["cam", "--source", "pattern", "--web", "127.0.0.1:0"]);
    let mut page = Page::open(&cam.line_after("watch     "));
    page.until("using", |found| found == "stream");
    page.evaluate(
        "(() => { window.said = []; const tell = say; \
         say = (text, kind) => { said.push(text); tell(text, kind); }; return ''; })()",
    );
    // Back before the first has ended.
    page.evaluate("(pace.pull(now()), turn(), pace.stream(now()), turn(), '')");
    page.until("String(said.length)", |said| said != "0");
    assert_eq!(page.evaluate("said[0]"), "connected");
    // The same before a WebSocket has opened.
    page.evaluate("(said.length = 0, pace.pull(now()), turn(), '')");
    page.until("using", |found| found == "pull");
    page.evaluate("(pace.stream(now()), turn(), pace.pull(now()), turn(), '')");
    page.until("said.at(-1) ?? ''", |said| said.starts_with("connected"));
    assert_eq!(page.evaluate("String(noPullUntil)"), "0");
}

#[test]
fn what_can_be_used_has_a_name() {
    if !met("names of the pages' parts", &[Need::Program("chromium")]) {
        return;
    }
    let cam = sockkit(&["cam", "--source", "pattern", "--web", "127.0.0.1:0"]);
    let mut page = Page::open(&cam.line_after("watch     "));
    page.until("String(!!document.querySelector('.live'))", |found| {
        found == "true"
    });
    let nameless = page.nameless();
    assert!(nameless.is_empty(), "{nameless:?}");
    for files in pages_for_files() {
        page.go(&files.url);
        page.until(
            "String(!!document.querySelector(`button, .button`))",
            |found| found == "true",
        );
        let nameless = page.nameless();
        assert!(nameless.is_empty(), "{nameless:?}");
    }
}

#[test]
fn the_pages_ask_no_other_machine() {
    if !met("requests of the pages", &[Need::Program("chromium")]) {
        return;
    }
    let mut page = Page::blank();
    page.record_requests();
    let cam = sockkit(&["cam", "--source", "pattern", "--web", "127.0.0.1:0"]);
    let url = cam.line_after("watch     ");
    page.go(&url);
    page.until("String(!!document.querySelector('.live'))", |found| {
        found == "true"
    });
    page.evaluate("document.getElementById('sharing').click(), pace.pull(now()), turn(), ''");
    page.until("using", |found| found == "pull");
    page.until(
        "document.querySelector('#share img').naturalWidth > 0 ? 'shown' : ''",
        |found| found == "shown",
    );
    let asked = check_requests(&mut page, &[&url], 0);
    for path in ["streams", "state", "qr?", "pull"] {
        assert!(
            page.requests().iter().any(|url| url.contains(path)),
            "{path}"
        );
    }
    let mut seen = asked;
    // The page before may have asked once more.
    let mut before = url;
    for files in pages_for_files() {
        page.go(&files.url);
        page.until("document.readyState", |found| found == "complete");
        page.until(
            "String(!!document.querySelector(`button, .button`))",
            |found| found == "true",
        );
        seen = check_requests(&mut page, &[&files.url, &before], seen);
        before = files.url.clone();
    }
}

/// Those after the first `seen` go to the servers of `pages`; returns how many there are.
#[track_caller]
fn check_requests(page: &mut Page, pages: &[&str], seen: usize) -> usize {
    // Pictures and downloads that the page makes itself, too.
    let own = pages.iter().flat_map(|url| {
        let host = url.split('/').nth(2).unwrap();
        ["http://", "ws://", "blob:http://"].map(|scheme| format!("{scheme}{host}/"))
    });
    let own: Vec<_> = own.collect();
    let requests = page.requests();
    assert!(requests.len() > seen, "{requests:?}");
    for request in &requests[seen..] {
        let is_own = own.iter().any(|own| request.starts_with(own));
        assert!(is_own || request.starts_with("data:"), "{request}");
    }
    requests.len()
}

/// A page with a file to download, and one for uploads.
pub(crate) fn pages_for_files() -> [FilePage; 2] {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let paths = ["holiday.mp4", "notes.txt"].map(|name| folder.path().join(name));
    for (path, bytes) in paths.iter().zip([3_500_000, 1_200]) {
        fs::write(path, vec![7; bytes]).unwrap();
    }
    let [film, notes] = paths.each_ref().map(|path| path.to_str().unwrap());
    let into = folder.path().to_str().unwrap();
    let commands = [
        vec!["send", film, notes, "--web=127.0.0.1:0"],
        vec!["receive", "--into", into, "--yes", "--web=127.0.0.1:0"],
    ];
    commands.map(|arguments| {
        let program = sockkit(&arguments);
        FilePage {
            url: program.line_after("open").trim().to_owned(),
            _program: program,
            _folder: Arc::clone(&folder),
        }
    })
}

/// A page of a running command.
pub(crate) struct FilePage {
    pub(crate) url: String,
    _program: sockkit::testing::program::Program,
    _folder: Arc<tempfile::TempDir>,
}

fn press(page: &mut Page, button: &str) {
    page.evaluate(&format!(
        "document.querySelector('[data-of={button}]').click(), ''"
    ));
}

/// The only file there.
fn saved_in(folder: &std::path::Path) -> Vec<u8> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let found = fs::read_dir(folder).unwrap().next();
        if let Some(path) = found.map(|entry| entry.unwrap().path())
            && path.extension().is_some_and(|kind| kind == "jpg")
        {
            return fs::read(path).unwrap();
        }
        assert!(Instant::now() < deadline, "nothing is saved");
        sleep(Duration::from_millis(50));
    }
}

const VIEWERS: &str = "fetch('state').then(a => a.json()).then(s => String(s.streams[0].viewers))";
