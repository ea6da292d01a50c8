//! What home automation does with the pictures and figures, with the libraries that it uses.
//!
//! The scripts do what the clients' own code does, in other words.

use std::{
    net::SocketAddr,
    process::{Command, Output},
};

use sockkit::{
    picture::Picture,
    source::pattern::{Stamp, read_stamp},
    testing::needs::{Need, met},
};

use crate::viewer::{demo, first_snapshot};

/// Its `mjpeg` camera: the first JPEG of a stream is the still picture, and the stream's
/// bytes are passed on to browsers.
#[test]
fn home_assistant_gets_stills_and_streams() {
    if !met("Home Assistant", &[Need::PythonModule("aiohttp")]) {
        return;
    }
    let (_demo, _folder, address) = demo();
    first_snapshot(address);
    let before = stamp(&python(HOME_ASSISTANT, address, "snapshot"));
    for stream in ["stream", "stream?head=early", "?action=stream"] {
        let still = stamp(&python(HOME_ASSISTANT, address, stream));
        assert!(still.number >= before.number, "{stream}: an old picture");
    }
    let output = run(HOME_ASSISTANT_PROXY, address, "stream?head=early");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "5 whole pictures\n"
    );
}

/// `GET` until the end of a JPEG has come; a stream has no end of its own.
const HOME_ASSISTANT: &str = "
import aiohttp, asyncio, sys
async def still():
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        async with session.get(sys.argv[1]) as answer:
            answer.raise_for_status()
            seen = b''
            async for piece in answer.content.iter_chunked(1024):
                seen += piece
                begin, end = seen.find(b'\\xff\\xd8'), seen.find(b'\\xff\\xd9')
                if begin >= 0 and end >= 0:
                    return seen[begin:end + 2]
sys.stdout.buffer.write(asyncio.run(still()))";

/// What it passes on: every picture is there to its end, with the next part's head, before
/// the next one comes, as browsers need it.
const HOME_ASSISTANT_PROXY: &str = "
import aiohttp, asyncio, sys
async def proxy():
    async with aiohttp.ClientSession() as session:
        async with session.get(sys.argv[1]) as answer:
            kind = answer.headers['Content-Type']
            assert kind.startswith('multipart/x-mixed-replace'), kind
            boundary = b'--' + kind.split('boundary=')[1].encode()
            seen, pictures = b'', 0
            async for piece in answer.content.iter_any():
                seen += piece
                *parts, seen = seen.split(boundary + b'\\r\\nContent-Type: image/jpeg\\r\\n\\r\\n')
                for part in filter(None, parts):
                    assert part.startswith(b'\\xff\\xd8') and part.endswith(b'\\xff\\xd9\\r\\n')
                    pictures += 1
                    if pictures == 5:
                        return pictures
print(asyncio.run(proxy()), 'whole pictures')";

/// Its reader of multipart bodies, which needs each part's length or boundary.
#[test]
fn aiohttp_reads_the_parts() {
    if !met("aiohttp reads a stream", &[Need::PythonModule("aiohttp")]) {
        return;
    }
    let (_demo, _folder, address) = demo();
    first_snapshot(address);
    let output = run(AIOHTTP_PARTS, address, "stream");
    let numbers = String::from_utf8(output.stdout).unwrap();
    let numbers: Vec<u64> = numbers
        .split_whitespace()
        .map(|n| n.parse().unwrap())
        .collect();
    assert_eq!(numbers.len(), 5);
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
}

const AIOHTTP_PARTS: &str = "
import aiohttp, asyncio, sys
async def read():
    async with aiohttp.ClientSession() as session:
        async with session.get(sys.argv[1]) as answer:
            reader = aiohttp.MultipartReader.from_response(answer)
            for _ in range(5):
                part = await reader.next()
                picture = await part.read()
                assert picture[:2] == b'\\xff\\xd8' and picture[-2:] == b'\\xff\\xd9'
                print(part.headers['X-Number'])
asyncio.run(read())";

/// Its settings page: the stream with a number against caches behind it, in an `<img>` of
/// its own page, and a snapshot with the length that it tells.
#[test]
fn octoprint_shows_the_stream_and_takes_snapshots() {
    if !met("OctoPrint", &[Need::PythonModule("requests")]) {
        return;
    }
    let (_demo, _folder, address) = demo();
    first_snapshot(address);
    let before = stamp(&python(OCTOPRINT, address, "snapshot"));
    for snapshot in ["?action=snapshot", "snapshot?1700000000000"] {
        let next = stamp(&python(OCTOPRINT, address, snapshot));
        assert!(next.number >= before.number, "{snapshot}: an old picture");
    }
    for stream in ["stream?1700000000000", "?action=stream&1700000000000"] {
        let still = stamp(&python(OCTOPRINT_STREAM, address, stream));
        assert!(still.number >= before.number, "{stream}: an old picture");
    }
}

const OCTOPRINT: &str = "
import requests, sys
answer = requests.get(sys.argv[1], timeout=30, stream=True)
answer.raise_for_status()
assert answer.headers['Content-Type'].startswith('image/'), answer.headers
picture = b''.join(answer.iter_content(1024))
assert len(picture) == int(answer.headers['Content-Length'])
sys.stdout.buffer.write(picture)";

const OCTOPRINT_STREAM: &str = "
import requests, sys
answer = requests.get(sys.argv[1], timeout=30, stream=True)
answer.raise_for_status()
assert answer.headers['Content-Type'].startswith('multipart/x-mixed-replace')
seen = b''
for piece in answer.iter_content(1024):
    seen += piece
    begin, end = seen.find(b'\\xff\\xd8'), seen.find(b'\\xff\\xd9')
    if begin >= 0 and end >= 0:
        sys.stdout.buffer.write(seen[begin:end + 2])
        break";

/// Its preset for Motion JPEG over HTTP, and the one for a JPEG that changes.
#[test]
fn frigate_reads_by_ffmpeg() {
    if !met("Frigate's presets", &[Need::Program("ffmpeg")]) {
        return;
    }
    let (_demo, _folder, address) = demo();
    first_snapshot(address);
    let live = "-avoid_negative_ts make_zero -fflags nobuffer -flags low_delay -strict \
        experimental -fflags +genpts+discardcorrupt -use_wallclock_as_timestamps 1";
    for (options, path) in [
        (live.to_owned(), "stream"),
        (live.to_owned(), "stream?head=early"),
        (format!("-r 5 -stream_loop -1 -f image2 {live}"), "snapshot"),
    ] {
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-v", "error", "-nostdin"]);
        ffmpeg.args(options.split_whitespace());
        ffmpeg.args(["-i", &format!("http://{address}/{path}"), "-frames:v", "5"]);
        // What it detects in: raw pictures through a pipe.
        let raw = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-"];
        let output = ffmpeg.args(raw).output().unwrap();
        assert!(output.status.success(), "{path}: {output:?}");
        assert_eq!(output.stdout.len(), 5 * 640 * 480 * 3 / 2, "{path}");
    }
}

#[test]
fn prometheus_parses_the_figures() {
    if !met("Prometheus", &[Need::PythonModule("prometheus_client")]) {
        return;
    }
    let (_demo, _folder, address) = demo();
    first_snapshot(address);
    let output = run(PROMETHEUS, address, "metrics");
    let text = String::from_utf8(output.stdout).unwrap();
    for sample in [
        "counter sockkit_pictures_received_total demo",
        "counter sockkit_picture_bytes_total demo",
        "gauge sockkit_pictures_per_second demo",
        "gauge sockkit_signal demo",
        "gauge sockkit_viewers demo",
    ] {
        assert!(text.lines().any(|line| line == sample), "{sample}: {text}");
    }
}

/// With what a scraper accepts.
const PROMETHEUS: &str = "
import sys, urllib.request
from prometheus_client.parser import text_string_to_metric_families
request = urllib.request.Request(sys.argv[1], headers={
    'Accept': 'application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1'})
answer = urllib.request.urlopen(request, timeout=30)
assert answer.headers['Content-Type'].split(';')[0] == 'text/plain'
seen = set()
for family in text_string_to_metric_families(answer.read().decode()):
    assert family.documentation and family.type in ('counter', 'gauge'), family
    assert family.samples or family.name == 'sockkit_picture_age_seconds', family
    for sample in family.samples:
        key = sample.name, tuple(sorted(sample.labels.items()))
        assert key not in seen and sample.value >= 0, sample
        seen.add(key)
        print(family.type, sample.name, sample.labels['stream'])";

/// What a script prints of `path`, which must be a JPEG.
#[track_caller]
fn python(script: &str, address: SocketAddr, path: &str) -> Vec<u8> {
    run(script, address, path).stdout
}

#[track_caller]
fn run(script: &str, address: SocketAddr, path: &str) -> Output {
    let url = format!("http://{address}/{path}");
    let output = Command::new("python3").args(["-c", script, &url]).output();
    let output = output.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{path}: {errors}");
    output
}

#[track_caller]
fn stamp(jpeg: &[u8]) -> Stamp {
    let picture = Picture::from_jpeg(jpeg.to_vec()).unwrap();
    read_stamp(&picture).expect("a stamp in the picture")
}
