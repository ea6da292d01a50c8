//! The browser viewer over real sockets.

use std::{net::SocketAddr, time::Duration};

use sockkit::{
    latest::{self, Publisher},
    options::SocketOptions,
    picture::{PixelFormat, Timestamp, VideoFrame, jpeg},
    sink::web::{Viewer, ViewerConfig, ViewerError, ViewerStream},
    tcp::Connector,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

#[tokio::test]
async fn a_snapshot_is_the_newest_picture_as_jpeg() {
    let (viewer, publisher) = viewer("camera").await;
    publisher.publish(gray(1));
    publisher.publish(gray(2));
    let answer = get(viewer.address(), "/snapshot").await;
    answer.check(200, "image/jpeg");
    assert_eq!(answer.header("x-number"), Some("2"));
    let shown = VideoFrame::from_jpeg(answer.body).unwrap();
    assert_eq!((shown.width_px(), shown.height_px()), (64, 48));
}

#[tokio::test]
async fn a_picture_from_before_anybody_watched_is_shown_at_once() {
    let (viewer, publisher) = viewer("camera").await;
    publisher.publish(gray(1));
    get(viewer.address(), "/snapshot")
        .await
        .check(200, "image/jpeg");
    get(viewer.address(), "/snapshot")
        .await
        .check(200, "image/jpeg");
}

#[tokio::test]
async fn the_stream_is_multipart_with_lengths_and_stamps() {
    for path in [
        "/stream",
        "/?action=stream",
        "/stream?name=camera",
        "/streams",
    ] {
        let (viewer, publisher) = viewer("camera").await;
        let mut watcher = Watcher::open(viewer.address(), path).await;
        for number in 1..=3 {
            publisher.publish(gray(number));
            let (mut head, mut jpeg) = watcher.part().await;
            // Whoever opens before the first picture sees the placeholder.
            while watcher.number == 0 {
                (head, jpeg) = watcher.part().await;
            }
            assert!(head.contains("Content-Type: image/jpeg\r\n"), "{head}");
            assert!(
                head.contains("X-Timestamp: 1700000000.000042\r\n"),
                "{head}"
            );
            assert!(head.contains("X-Stream: camera\r\n"), "{head}");
            assert_eq!(watcher.number, number);
            VideoFrame::from_jpeg(jpeg).unwrap();
        }
    }
}

#[tokio::test]
async fn jpeg_passes_untouched() {
    let (viewer, publisher) = viewer("camera").await;
    publisher.publish(gray(1));
    let jpeg = get(viewer.address(), "/snapshot").await.body;
    publisher.publish(VideoFrame::from_jpeg(jpeg.clone()).unwrap().numbered(2));
    let answer = get(viewer.address(), "/?action=snapshot").await;
    assert_eq!(answer.header("x-number"), Some("2"));
    assert_eq!(answer.body, jpeg);
}

#[tokio::test]
async fn the_state_holds_the_figures() {
    let (viewer, publisher) = viewer("camera").await;
    let mut watcher = Watcher::open(viewer.address(), "/stream").await;
    for number in [1, 2, 5] {
        publisher.publish(gray(number));
        watcher.part().await;
    }
    let answer = get(viewer.address(), "/state").await;
    answer.check(200, "application/json");
    let text = answer.text();
    for figure in [
        "\"name\":\"camera\"",
        "\"signal\":true",
        "\"width_px\":64",
        "\"received\":3",
        "\"lost\":2",
        "\"viewers\":1",
        "\"p99\":",
    ] {
        assert!(text.contains(figure), "{figure} is not in {text}");
    }
}

#[tokio::test]
async fn prometheus_can_read_the_figures() {
    let (viewer, publisher) = viewer("camera").await;
    publisher.publish(gray(1));
    get(viewer.address(), "/snapshot").await;
    let answer = get(viewer.address(), "/metrics").await;
    answer.check(200, "text/plain; version=0.0.4");
    let text = answer.text();
    assert!(
        text.contains("# TYPE sockkit_pictures_received_total counter\n"),
        "{text}"
    );
    assert!(
        text.contains("sockkit_pictures_received_total{stream=\"camera\"} 1\n"),
        "{text}"
    );
    assert!(text.contains("sockkit_picture_age_seconds{stream=\"camera\",quantile=\"0.99\"}"));
}

#[tokio::test]
async fn the_page_stands_alone() {
    let (viewer, _publisher) = viewer("camera").await;
    let answer = get(viewer.address(), "/").await;
    answer.check(200, "text/html; charset=utf-8");
    let page = answer.text();
    assert!(page.starts_with("<!doctype html>"));
    for tag in [
        "<script src",
        "<link rel=\"stylesheet\"",
        "@import",
        "https://",
    ] {
        assert!(!page.contains(tag), "the page loads something: {tag}");
    }
}

#[tokio::test]
async fn foreign_hosts_and_origins_are_refused() {
    let (viewer, publisher) = viewer("camera").await;
    publisher.publish(gray(1));
    let address = viewer.address();
    for path in [
        "/",
        "/stream",
        "/snapshot",
        "/state",
        "/metrics",
        "/nothing",
    ] {
        let foreign = request(address, path, "Host: evil.example\r\n").await;
        assert_eq!(foreign.status, 403, "{path}");
        let own = format!("Host: {address}\r\nOrigin: http://evil.example\r\n");
        assert_eq!(request(address, path, &own).await.status, 403, "{path}");
    }
    let absolute = request(address, "http://evil.example/state", "Host: localhost\r\n").await;
    assert_eq!(absolute.status, 403);
    let own_page = format!("Host: {address}\r\nOrigin: http://{address}\r\n");
    assert_eq!(request(address, "/state", &own_page).await.status, 200);
    assert_eq!(
        request(address, "/state", "Host: camera.lan\r\n")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn what_there_is_not_is_said() {
    let (viewer, publisher) = viewer("camera").await;
    publisher.publish(gray(1));
    for path in [
        "/nothing",
        "/stream?name=other",
        "/?action=reboot",
        "/?action=stream_1",
    ] {
        assert_eq!(get(viewer.address(), path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn silence_becomes_a_placeholder_and_pictures_come_back() {
    let (viewer, publisher) = viewer("camera").await;
    publisher.publish(gray(1));
    let mut watcher = Watcher::open(viewer.address(), "/stream").await;
    watcher.part().await;
    let (_, placeholder) = watcher.part().await;
    let placeholder = VideoFrame::from_jpeg(placeholder).unwrap();
    assert_eq!((placeholder.width_px(), watcher.number), (640, 0));
    get(viewer.address(), "/snapshot")
        .await
        .check(503, "image/jpeg");

    publisher.publish(gray(2));
    while watcher.number != 2 {
        watcher.part().await;
    }
}

#[tokio::test]
async fn several_streams_share_a_page() {
    let (left, left_pictures) = latest::channel();
    let (right, right_pictures) = latest::channel();
    let streams = [
        ViewerStream::new("left", left_pictures),
        ViewerStream::new("right", right_pictures),
    ];
    let viewer = Viewer::bind(config(), streams).await.unwrap();
    left.publish(gray(1));
    right.publish(gray(2));
    for (path, number) in [
        ("/snapshot", "1"),
        ("/snapshot?name=left", "1"),
        ("/snapshot?name=right", "2"),
        ("/?action=snapshot_1", "2"),
    ] {
        let answer = get(viewer.address(), path).await;
        assert_eq!(answer.header("x-number"), Some(number), "{path}");
    }
    let mut watcher = Watcher::open(viewer.address(), "/streams").await;
    let mut seen = [watcher.part().await.0, watcher.part().await.0].concat();
    seen.retain(|character| character != '\r');
    assert!(
        seen.contains("X-Stream: left\n") && seen.contains("X-Stream: right\n"),
        "{seen}"
    );
}

#[tokio::test]
async fn a_full_house_is_said_and_a_place_is_given_back() {
    let (publisher, pictures) = latest::channel();
    let config = config().max_viewers(1);
    let viewer = Viewer::bind(config, [ViewerStream::new("camera", pictures)])
        .await
        .unwrap();
    publisher.publish(gray(1));
    let mut watcher = Watcher::open(viewer.address(), "/stream").await;
    watcher.part().await;
    assert_eq!(get(viewer.address(), "/stream").await.status, 503);
    drop(watcher);
    let again = async {
        loop {
            publisher.publish(gray(2));
            let mut watcher = Watcher::try_open(viewer.address(), "/stream").await;
            if watcher.status == 200 {
                return watcher.part().await;
            }
        }
    };
    timeout(WITHIN, again)
        .await
        .expect("the place is free again");
}

#[tokio::test]
async fn a_client_that_did_not_read_finds_two_old_pictures_at_most() {
    check_sleeper(noise, 3).await;
}

/// Left to themselves, this side and the kernel take a dozen of them.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn small_pictures_do_not_queue_for_a_client_that_did_not_read() {
    check_sleeper(gray, 8).await;
}

/// Wakes a client after a hundred pictures: it sees so many until the newest.
async fn check_sleeper(picture: fn(u64) -> VideoFrame, most: usize) {
    let (viewer, publisher) = viewer("camera").await;
    let mut reader = Watcher::open(viewer.address(), "/stream").await;
    let frugal = SocketOptions::new().receive_buffer_bytes(4_096);
    let connector = Connector::default().options(frugal);
    let mut stream = connector
        .connect(viewer.address())
        .await
        .unwrap()
        .into_inner();
    let request = format!("GET /stream HTTP/1.0\r\nHost: {}\r\n\r\n", viewer.address());
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut sleeper = Watcher::of(stream).await;
    for number in 1..=100 {
        publisher.publish(picture(number));
        while reader.number < number {
            reader.part().await;
        }
    }
    let mut woken = Vec::new();
    while sleeper.number < 100 {
        sleeper.part().await;
        woken.push(sleeper.number);
    }
    // The placeholder may have been there before.
    woken.retain(|&number| number > 0);
    assert!(woken.len() <= most, "{woken:?}");
}

#[tokio::test]
async fn shutdown_ends_streams_and_frees_the_port() {
    let (viewer, publisher) = viewer("camera").await;
    let address = viewer.address();
    publisher.publish(gray(1));
    let mut watcher = Watcher::open(address, "/stream").await;
    watcher.part().await;
    timeout(WITHIN, viewer.shutdown())
        .await
        .expect("shutdown is bounded");
    watcher.end().await;
    tokio::net::TcpListener::bind(address).await.unwrap();
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let (taken, _publisher) = viewer("camera").await;
    let (_other, pictures) = latest::channel();
    let config = ViewerConfig::default().address(taken.address());
    let error = Viewer::bind(config, [ViewerStream::new("camera", pictures)])
        .await
        .unwrap_err();
    assert!(
        matches!(error, ViewerError::AddressInUse { address } if address == taken.address()),
        "{error}"
    );
}

#[tokio::test]
async fn names_must_tell_streams_apart() {
    let bind = async |names: &[&str]| {
        let stream = |name: &&str| ViewerStream::new(*name, latest::channel().1);
        Viewer::bind(config(), names.iter().map(stream))
            .await
            .map(drop)
    };
    assert!(matches!(bind(&[]).await, Err(ViewerError::NoStreams)));
    assert!(matches!(
        bind(&["a", "b", "a"]).await,
        Err(ViewerError::SameName {
            first: 0,
            second: 2
        })
    ));
    for name in ["", "a b", "a\"b", "ä", "a\r\nb", &"a".repeat(65)] {
        assert!(matches!(
            bind(&["ok", name]).await,
            Err(ViewerError::BadName { index: 1 })
        ));
    }
    bind(&["A-z_0.9", &"a".repeat(64)]).await.unwrap();
}

fn config() -> ViewerConfig {
    ViewerConfig::default()
        .address("127.0.0.1:0".parse().unwrap())
        .name("camera.lan")
}

async fn viewer(name: &str) -> (Viewer, Publisher<VideoFrame>) {
    let (publisher, pictures) = latest::channel();
    let viewer = Viewer::bind(config(), [ViewerStream::new(name, pictures)])
        .await
        .unwrap();
    (viewer, publisher)
}

/// A raw picture, 64 × 48.
fn gray(number: u64) -> VideoFrame {
    VideoFrame::new(PixelFormat::Gray, 64, 48, vec![128; 64 * 48])
        .unwrap()
        .captured_at(Timestamp::from_micros(1_700_000_000_000_042))
        .numbered(number)
}

/// A JPEG of some 30 KB, as cameras have them.
fn noise(number: u64) -> VideoFrame {
    let mut random = fastrand::Rng::with_seed(number);
    let pixels: Vec<u8> = (0..240 * 180).map(|_| random.u8(..)).collect();
    let raw = VideoFrame::new(PixelFormat::Gray, 240, 180, pixels).unwrap();
    jpeg::encode(&raw, 80).unwrap().numbered(number)
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    #[track_caller]
    fn check(&self, status: u16, content_type: &str) {
        assert_eq!(
            (self.status, self.header("content-type")),
            (status, Some(content_type))
        );
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value))
    }

    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

async fn get(address: SocketAddr, path: &str) -> Answer {
    request(address, path, &format!("Host: {address}\r\n")).await
}

/// Asks in HTTP/1.0, so that a stream's body is not cut into chunks, and reads
/// to the end; of a stream's answer, the head alone.
async fn request(address: SocketAddr, path: &str, headers: &str) -> Answer {
    let mut stream = send(address, path, headers).await;
    timeout(WITHIN, async {
        let (status, head) = read_head(&mut stream).await;
        let mut body = Vec::new();
        if !head.contains("multipart") {
            stream.read_to_end(&mut body).await.unwrap();
        }
        Answer { status, head, body }
    })
    .await
    .expect("an answer in time")
}

async fn send(address: SocketAddr, path: &str, headers: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.0\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn read_head(stream: &mut TcpStream) -> (u16, String) {
    let head = read_until(stream, b"\r\n\r\n").await;
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head)
}

async fn read_until(stream: &mut TcpStream, end: &[u8]) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end) {
        read.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(read).unwrap()
}

/// A client that reads a stream part by part.
struct Watcher {
    stream: TcpStream,
    status: u16,
    number: u64,
}

impl Watcher {
    async fn open(address: SocketAddr, path: &str) -> Self {
        let watcher = Self::try_open(address, path).await;
        assert_eq!(watcher.status, 200, "{path}");
        watcher
    }

    async fn try_open(address: SocketAddr, path: &str) -> Self {
        let stream = send(address, path, &format!("Host: {address}\r\n")).await;
        Self::of(stream).await
    }

    /// Reads the answer's beginning from a connection that has asked.
    async fn of(mut stream: TcpStream) -> Self {
        let (status, head) = read_head(&mut stream).await;
        if status == 200 {
            assert!(
                head.contains("multipart/x-mixed-replace;boundary=sockkit"),
                "{head}"
            );
            assert_eq!(read_until(&mut stream, b"\r\n").await, "--sockkit\r\n");
        }
        Self {
            stream,
            status,
            number: 0,
        }
    }

    async fn part(&mut self) -> (String, Vec<u8>) {
        timeout(WITHIN, async {
            let head = read_until(&mut self.stream, b"\r\n\r\n").await;
            let number = |name| {
                let (_, rest) = head.split_once(name).unwrap();
                rest.split_once("\r\n").unwrap().0.parse::<u64>().unwrap()
            };
            self.number = number("X-Number: ");
            let mut jpeg = vec![0; usize::try_from(number("Content-Length: ")).unwrap()];
            self.stream.read_exact(&mut jpeg).await.unwrap();
            assert_eq!(
                read_until(&mut self.stream, b"--sockkit\r\n").await,
                "\r\n--sockkit\r\n"
            );
            (head, jpeg)
        })
        .await
        .expect("a part in time")
    }

    async fn end(mut self) {
        let mut rest = Vec::new();
        timeout(WITHIN, self.stream.read_to_end(&mut rest))
            .await
            .expect("the stream ends")
            .unwrap();
    }
}

const WITHIN: Duration = Duration::from_secs(10);
