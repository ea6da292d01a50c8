//! The browser viewer of a running command, over plain HTTP and in a browser.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Command, Output},
    time::{Duration, Instant},
};

use sockkit::{
    picture::{Picture, PixelFormat, Timestamp},
    source::pattern::{Stamp, read_stamp},
    testing::{
        needs::{Need, met},
        program::Program,
    },
};
use tempfile::TempDir;

use crate::{
    browser::{Browser, Page},
    fails,
    firefox::Firefox,
    sockkit, sockkit_in,
};

#[test]
fn chromium_shows_a_moving_picture() {
    if !met("viewer in Chromium", &[Need::Program("chromium")]) {
        return;
    }
    let (_demo, _folder, address) = demo();
    let mut page = Page::open(&format!("http://{address}/"));
    let first = shown(&mut page, |_| true);
    // Half a second and more of pictures, in the order they were taken.
    let second = shown(&mut page, |stamp| stamp.number >= first.number + 12);
    assert!(second.clock > first.clock, "{first:?}, then {second:?}");

    let wait = "new Promise(done => { const look = () => { \
        const text = document.querySelector('[data-of=rate]')?.textContent ?? ''; \
        if (parseFloat(text) > 1 && document.querySelector('.live')) done(text); \
        else setTimeout(look, 50); }; look(); })";
    let rate: f64 = page.evaluate(wait).parse().unwrap();
    assert!((1.0..40.0).contains(&rate), "{rate} frames per second");
    let state = page.evaluate("fetch('state').then(a => a.json()).then(s => s.streams[0].name)");
    assert_eq!(state, "demo");
}

#[test]
fn firefox_shows_a_moving_picture() {
    if !met("viewer in Firefox", &[Need::Program("firefox-esr")]) {
        return;
    }
    let (_demo, _folder, address) = demo();
    let mut page = Firefox::open(&format!("http://{address}/"), Path::new("/nowhere"));
    let first = shown(&mut page, |_| true);
    shown(&mut page, |stamp| stamp.number >= first.number + 12);
    // By a WebSocket, too.
    page.evaluate("(pace.pull(now()), turn(), '')");
    page.until("using", |way| way == "pull");
    let first = shown(&mut page, |_| true);
    shown(&mut page, |stamp| stamp.number >= first.number + 3);
}

/// Ages of what Chromium shows, by the clock in the pixels: an `<img>` whose
/// parts' heads come late and early, and our own page.
#[test]
#[ignore = "measurement"]
fn an_img_shows_each_picture_when_it_comes() {
    if !met("pictures in Chromium", &[Need::Program("chromium")]) {
        return;
    }
    let (_demo, _folder, address) = demo();
    let mut page = Page::open(&format!("http://{address}/"));
    shown(&mut page, |_| true);
    let own = ages(&mut page, "document.querySelector('canvas')");
    let [late, early] = ["late", "early"].map(|head| {
        page.evaluate(&format!(
            "document.querySelector('img')?.remove(); const img{head} = new Image(); \
             img{head}.src = '/stream?head={head}'; document.body.prepend(img{head}); ''"
        ));
        ages(&mut page, "document.querySelector('img')")
    });
    for (what, ages) in [
        ("own page", own),
        ("<img>, late", late),
        ("<img>, early", early),
    ] {
        println!(
            "{what:12} p10 {:.1} p50 {:.1} p90 {:.1} ms",
            ages[0], ages[1], ages[2]
        );
    }
    assert!(
        early[1] <= 0.3 * late[1] && early[1] <= 12.0,
        "{early:?} {late:?}"
    );
}

/// Percentiles 10, 50 and 90 over 250 pictures of the element, in milliseconds.
pub(crate) fn ages(page: &mut impl Browser, element: &str) -> [f64; 3] {
    let ages = sorted_ages(page, element);
    [10, 50, 90].map(|percent| ages[ages.len() * percent / 100])
}

/// The ages of 250 pictures of the element, in milliseconds.
pub(crate) fn sorted_ages(page: &mut impl Browser, element: &str) -> Vec<f64> {
    // The clock is in rows 2 and 3 of the stamp, 32 blocks of 8x8 px each.
    let read = format!(
        "new Promise(done => {{ const canvas = document.createElement('canvas'); \
         canvas.width = 256; canvas.height = 40; const ages = []; let last = 0; \
         const context = canvas.getContext('2d', {{ willReadFrequently: true }}); \
         const look = () => {{ try {{ \
         context.drawImage({element}, 0, 0, 256, 40, 0, 0, 256, 40); \
         const now = performance.timeOrigin + performance.now(); \
         const pixels = context.getImageData(0, 0, 256, 40).data; \
         const row = at => {{ let word = 0; for (let bit = 0; bit < 32; bit++) \
         word = 2 * word + (pixels[((8 * at + 4) * 256 + 8 * bit + 4) * 4 + 1] > 127 ? 1 : 0); \
         return word; }}; const clock = row(3) * 4294967296 + row(2); \
         if (clock !== last) {{ last = clock; const age = now - clock / 1000; \
         if (Math.abs(age) < 5000) ages.push(age); }} }} catch {{}} \
         if (ages.length < 260) setTimeout(look, 0); \
         else done(ages.slice(10).map(age => age.toFixed(2)).join(' ')); }}; look(); }})"
    );
    let text = page.evaluate(&read);
    let mut ages: Vec<f64> = text.split(' ').map(|age| age.parse().unwrap()).collect();
    ages.sort_unstable_by(f64::total_cmp);
    ages
}

#[test]
fn a_snapshot_is_a_jpeg_of_now() {
    let (_demo, _folder, address) = demo();
    let first = snapshot(address);
    let asked = Timestamp::from(std::time::SystemTime::now());
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut second = snapshot(address);
    // The next picture may be under way still.
    while second.clock < asked {
        assert!(Instant::now() < deadline, "{second:?}, asked at {asked:?}");
        second = snapshot(address);
    }
    assert!(second.number > first.number, "{first:?}, then {second:?}");
}

fn snapshot(address: SocketAddr) -> Stamp {
    let answer = first_snapshot(address);
    assert!(
        answer.head.contains("content-type: image/jpeg"),
        "{}",
        answer.head
    );
    let jpeg = Picture::from_jpeg(answer.body).unwrap();
    read_stamp(&jpeg).expect("a stamp in the picture")
}

#[test]
fn the_state_is_json_with_the_figures() {
    let (_demo, _folder, address) = demo();
    let answer = get(address, "/state", &address.to_string());
    assert!(
        answer.head.contains("content-type: application/json"),
        "{}",
        answer.head
    );
    let text = String::from_utf8(answer.body).unwrap();
    for figure in [
        "name",
        "signal",
        "frames_per_second",
        "received",
        "lost",
        "age_ms",
    ] {
        assert!(text.contains(&format!("\"{figure}\":")), "{figure}: {text}");
    }
}

#[test]
fn the_stream_goes_on_from_picture_to_picture() {
    let (_demo, _folder, address) = demo();
    for path in ["/stream", "/?action=stream"] {
        let mut reader = BufReader::new(request(address, path, &address.to_string()));
        let head = read_head(&mut reader);
        assert!(head.contains("multipart/x-mixed-replace"), "{head}");
        let mut numbers = Vec::new();
        while numbers.len() < 5 {
            if let Some(stamp) = read_part(&mut reader) {
                numbers.push(stamp.number);
            }
        }
        assert!(numbers.is_sorted_by(|a, b| a < b), "{path}: {numbers:?}");
    }
}

/// The programs that others watch a stream with, themselves: each part's length
/// comes before its picture, as they need it.
#[test]
fn ffmpeg_opencv_curl_and_python_read_the_stream() {
    let needs = ["ffmpeg", "curl", "python3"].map(Need::Program);
    let needs = [&needs[..], &[Need::PythonModule("cv2")]].concat();
    if !met("other programs read the stream", &needs) {
        return;
    }
    let (_demo, _folder, address) = demo();
    first_snapshot(address);
    let url = format!("http://{address}/stream");
    let ffmpeg = ["-v", "error", "-f", "mpjpeg", "-i", &url, "-frames:v", "5"];
    let end = output("ffmpeg", &[&ffmpeg[..], &["-f", "null", "-"]].concat());
    assert!(end.status.success(), "{end:?}");
    let opencv = output("python3", &["-c", OPENCV, &url]);
    assert_eq!(opencv.stdout, b"5 (480, 640, 3)\n", "{opencv:?}");
    let python = output("python3", &["-c", PARTS_BY_LENGTH, &url]);
    assert_eq!(python.stdout, b"5\n", "{python:?}");
    // It reads until it is stopped.
    let curl = output("curl", &["--silent", "--max-time", "2", &url]);
    assert_eq!(curl.status.code(), Some(28), "timed out: {:?}", curl.stderr);
    let heads = curl
        .stdout
        .windows(16)
        .filter(|at| at.eq_ignore_ascii_case(b"content-length: "));
    assert!(heads.count() >= 5);
}

const OPENCV: &str = "
import cv2, sys
stream, shapes = cv2.VideoCapture(sys.argv[1]), []
while len(shapes) < 5:
    got, picture = stream.read()
    assert got
    shapes.append(picture.shape)
print(len(shapes), shapes[0])";

/// As scripts read it: a part's head, then as many bytes as it says.
const PARTS_BY_LENGTH: &str = "
import sys, urllib.request
stream, pictures = urllib.request.urlopen(sys.argv[1], timeout=30), 0
while pictures < 5:
    line = stream.readline()
    if line.lower().startswith(b'content-length:'):
        length = int(line.split(b':')[1])
        while stream.readline().strip():
            pass
        picture = stream.read(length)
        assert picture[:2] == b'\\xff\\xd8' and picture[-2:] == b'\\xff\\xd9'
        pictures += 1
print(pictures)";

fn output(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap()
}

#[test]
fn the_page_is_served_under_the_machines_names_and_those_given() {
    let arguments = ["--web", "127.0.0.1:0", "--web-name", "porch.lan"];
    let cam = sockkit(&[&["cam", "--source", "pattern"][..], &arguments].concat());
    let address = page_of(&cam);
    let own = sockkit::interfaces::host().unwrap().name;
    let local = format!("{}.local", own.split('.').next().unwrap());
    for (host, status) in [
        (own.as_str(), " 200 "),
        (&local, " 200 "),
        ("porch.lan", " 200 "),
        ("porch.lan:8088", " 200 "),
        ("localhost.", " 200 "),
        (&format!("{local}.:8088"), " 200 "),
        ("elsewhere.example", " 403 "),
    ] {
        let answer = get(address, "/", host);
        assert!(answer.head.contains(status), "{host}: {}", answer.head);
    }
}

#[test]
fn several_sources_share_a_page_under_their_names() {
    let listen = [
        "cam",
        "--source",
        "pattern",
        "--plain",
        "--listen",
        "127.0.0.1:0",
    ];
    let cams = [sockkit(&listen), sockkit(&listen)];
    let [porch, yard] = cams
        .each_ref()
        .map(|cam| format!("tcp://{}", cam.listening()));
    let porch = format!("porch={porch}");
    let view = ["view", &porch, &yard, "--plain", "--web", "127.0.0.1:0"];
    let view = sockkit(&view);
    let address = page_of(&view);
    for name in ["porch", "view-2"] {
        let path = format!("/snapshot?name={name}");
        let deadline = Instant::now() + Duration::from_secs(60);
        // Until the first picture it is a placeholder, after three seconds.
        while !get(address, &path, "127.0.0.1").head.contains(" 200 ") {
            assert!(Instant::now() < deadline, "no picture of {name}");
        }
    }
}

#[test]
fn each_of_several_sources_has_its_lines() {
    let cam = sockkit(&[
        "cam",
        "--source",
        "pattern",
        "--plain",
        "--listen",
        "127.0.0.1:0",
    ]);
    let there = format!("porch=tcp://{}", cam.listening());
    let absent = format!("yard=tcp://{}", closed_port());
    let view = ["view", &there, &absent, "--plain", "--web", "127.0.0.1:0"];
    let seen = sockkit(&view);
    seen.line_after("porch: connected ");
    seen.wait_for_error("yard: not connected: ");
    seen.interrupt();
    let end = seen.end();
    let received = |name| {
        let begin = format!("received  {name}: ");
        end.lines.iter().any(|line| line.starts_with(&begin))
    };
    assert!(received("porch") && received("yard"), "{end:?}");
    // Of all of them.
    assert_eq!(
        end.errors.matches("traffic is not encrypted").count(),
        1,
        "{end:?}"
    );
    for alone in [&["--record", "none.mp4"][..], &["--window"]] {
        let said = [alone[0], "takes one source, and there are 2"];
        fails(&[&view[..], alone].concat(), &said);
    }
    let twice = there.replace("porch=", "yard=");
    let typed = [
        "view",
        &twice,
        &absent,
        "--plain",
        "--web",
        "127.0.0.1:0",
        "--seconds",
        "5",
    ];
    let end = sockkit(&typed).end();
    assert!(end.errors.contains("give sources other names"), "{end:?}");
}

#[test]
fn a_program_of_http_1_0_names_no_host() {
    let cam = sockkit(&["cam", "--source", "pattern", "--web", "127.0.0.1:0"]);
    let mut stream = TcpStream::connect(page_of(&cam)).unwrap();
    stream.write_all(b"GET /state HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(" 200 OK"), "{answer}");
}

/// The page names its sources in the order of the command line, and says which is away.
#[test]
fn a_source_that_is_away_has_a_tile_that_says_so() {
    if !met("tiles in Chromium", &[Need::Program("chromium")]) {
        return;
    }
    let cam = sockkit(&[
        "cam",
        "--plain",
        "--source",
        "pattern",
        "--listen",
        "tcp://127.0.0.1:0",
    ]);
    let ape = format!("ape={}", cam.line_after("listening on "));
    let zebra = format!("zebra=tcp://{}", closed_port());
    let view = sockkit(&["view", "--plain", &zebra, &ape, "--web", "127.0.0.1:0"]);
    let mut page = Page::open(&format!("http://{}/", page_of(&view)));
    let of = |selector: &str| {
        format!(
            "[...document.querySelectorAll('article {selector}')].map(it => it.textContent).join()"
        )
    };
    page.until(&of(".badge"), |badges| badges == "NOT CONNECTED,LIVE");
    page.until(&of("[data-of=sender]"), |told| {
        told.starts_with("not connected: refused: the port is closed; retrying,from 127.0.0.1:")
    });
    // As if its first picture had come before the figures.
    page.evaluate("(main.prepend(tiles.get('ape').root), '')");
    page.until(&of("h2"), |names| names == "zebra,ape");
}

/// An address of this machine where nothing listens.
pub(crate) fn closed_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Where the page of a command is.
pub(crate) fn page_of(program: &Program) -> SocketAddr {
    let page = program.line_after("watch     http://");
    page.trim_end_matches('/').parse().unwrap()
}

#[test]
fn a_page_from_elsewhere_gets_nothing() {
    let (_demo, _folder, address) = demo();
    for path in ["/", "/stream", "/snapshot", "/state", "/metrics"] {
        let answer = get(address, path, "rebound.example");
        assert!(
            answer.head.starts_with("http/1.0 403"),
            "{path}: {}",
            answer.head
        );
    }
}

/// A demo of the pattern, the folder of its recording, and where it is watched.
pub(crate) fn demo() -> (Program, TempDir, SocketAddr) {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["demo", "--source", "pattern", "--web", "127.0.0.1:0"];
    let demo = sockkit_in(folder.path(), &arguments);
    let line = loop {
        let line = demo.line();
        if line.contains("http://") {
            break line;
        }
    };
    let (_, rest) = line.split_once("http://").unwrap();
    let address = rest.trim_end_matches('/').parse().unwrap();
    (demo, folder, address)
}

/// Reads the stamp from the pixels that the page shows, until it is `enough`.
fn shown(page: &mut impl Browser, enough: impl Fn(&Stamp) -> bool) -> Stamp {
    let pixels = "(() => { const canvas = document.querySelector('canvas'); if (!canvas) return ''; \
        const { data } = canvas.getContext('2d').getImageData(0, 0, 256, 40); let green = ''; \
        for (let at = 1; at < data.length; at += 4) green += data[at] > 127 ? '1' : '0'; \
        return green; })()";
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let bits = page.evaluate(pixels);
        let gray: Vec<u8> = bits
            .bytes()
            .map(|bit| if bit == b'1' { 255 } else { 0 })
            .collect();
        let stamp = Picture::new(PixelFormat::Gray, 256, 40, gray)
            .ok()
            .and_then(|frame| read_stamp(&frame));
        match stamp {
            Some(stamp) if enough(&stamp) => return stamp,
            _ => assert!(Instant::now() < deadline, "the page shows {stamp:?}"),
        }
    }
}

/// Asks until there is a picture: the command has just begun.
pub(crate) fn first_snapshot(address: SocketAddr) -> Answer {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = get(address, "/snapshot", &address.to_string());
        if answer.head.starts_with("http/1.0 200") {
            return answer;
        }
        assert!(Instant::now() < deadline, "{}", answer.head);
    }
}

pub(crate) struct Answer {
    head: String,
    pub(crate) body: Vec<u8>,
}

pub(crate) fn get(address: SocketAddr, path: &str, host: &str) -> Answer {
    let mut reader = BufReader::new(request(address, path, host));
    let head = read_head(&mut reader);
    let mut body = Vec::new();
    reader.read_to_end(&mut body).unwrap();
    Answer { head, body }
}

pub(crate) fn request(address: SocketAddr, path: &str, host: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    // 1.0, so that the answer comes without chunks.
    write!(
        stream,
        "GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    stream
}

fn read_head(reader: &mut impl BufRead) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).unwrap(), 0, "{head}");
    }
    head.to_ascii_lowercase()
}

/// The stamp of the stream's next picture; `None` for the one that says that
/// there is none yet.
fn read_part(reader: &mut impl BufRead) -> Option<Stamp> {
    let mut length = None;
    loop {
        let mut line = String::new();
        assert_ne!(reader.read_line(&mut line).unwrap(), 0, "the stream ended");
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = Some(value.trim().parse().unwrap());
        }
        if let (true, Some(length)) = (line.is_empty(), length) {
            let mut jpeg = vec![0; length];
            reader.read_exact(&mut jpeg).unwrap();
            return read_stamp(&Picture::from_jpeg(jpeg).unwrap());
        }
    }
}
