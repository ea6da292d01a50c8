//! What each URL answers.

use sockkit::{
    BindError, latest,
    picture::{Picture, PixelFormat},
    sink::web::{WebServer, WebServerError, WebStream},
    testing::needs::{Need, met},
};
use tokio::time::timeout;

use super::{LOOPBACK, WITHIN, Watcher, config, get, gray, left_and_right, viewer};

#[tokio::test]
async fn a_snapshot_is_the_newest_picture_as_jpeg() {
    let (viewer, publisher) = viewer().await;
    publisher.publish(gray(1));
    publisher.publish(gray(2));
    let answer = get(viewer.local_addr(), "/snapshot").await;
    answer.check(200, "image/jpeg");
    assert_eq!(answer.header("x-number"), Some("2"));
    let shown = Picture::from_jpeg(answer.body).unwrap();
    assert_eq!((shown.width_px(), shown.height_px()), (64, 48));
}

#[tokio::test]
async fn a_snapshot_is_not_the_picture_before_the_newest() {
    let (viewer, publisher) = viewer().await;
    publisher.publish(gray(1));
    let mut watcher = Watcher::open(viewer.local_addr(), "/stream").await;
    while watcher.number < 1 {
        watcher.part().await;
    }
    for number in [2, 3] {
        publisher.publish(slow_to_compress(number));
        let answer = get(viewer.local_addr(), "/snapshot").await;
        assert_eq!(answer.header("x-number"), Some(&*number.to_string()));
        let mut late = Watcher::open(viewer.local_addr(), "/stream").await;
        late.part().await;
        assert_eq!(late.number, number);
    }
}

/// Compressing it takes far longer than asking for it.
fn slow_to_compress(number: u64) -> Picture {
    let pixels = vec![0; 4_000 * 3_000];
    let large = Picture::new(PixelFormat::Gray, 4_000, 3_000, pixels).unwrap();
    large.numbered(number)
}

#[tokio::test]
async fn a_qr_code_has_the_address() {
    let (viewer, _publisher) = viewer().await;
    let address = "http://192.168.100.200:65535/cam/";
    let query = "http%3A%2F%2F192.168.100.200%3A65535%2Fcam%2F";
    let answer = get(viewer.local_addr(), &format!("/qr?text={query}")).await;
    answer.check(200, "image/svg+xml");
    for bad in [format!("text={}", "x".repeat(513)), String::new()] {
        let answer = get(viewer.local_addr(), &format!("/qr?{bad}")).await;
        assert_eq!(answer.status, 400, "{bad}");
    }
    if !met("a QR code is read", &[Need::PythonModule("cv2")]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("code.pgm");
    std::fs::write(&file, pixels_of(&answer.text())).unwrap();
    let read = std::process::Command::new("python3")
        .args(["-c", READ_CODE])
        .arg(file)
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&read.stdout).trim(),
        address,
        "{read:?}"
    );
}

/// The SVG's modules, each 8 pixels wide, as PGM.
fn pixels_of(svg: &str) -> Vec<u8> {
    let (_, rest) = svg.split_once("viewBox=\"0 0 ").unwrap();
    let side: usize = rest.split(' ').next().unwrap().parse().unwrap();
    let width = side * 8;
    let mut pixels = vec![255; width * width];
    let (_, path) = svg.rsplit_once("d=\"").unwrap();
    for module in path.split('z').filter(|module| module.starts_with('M')) {
        let (x, rest) = module[1..].split_once(' ').unwrap();
        let y = rest.split('h').next().unwrap();
        let [x, y] = [x, y].map(|at| at.parse::<usize>().unwrap() * 8);
        for row in y..y + 8 {
            pixels[row * width + x..][..8].fill(0);
        }
    }
    [format!("P5 {width} {width} 255\n").into_bytes(), pixels].concat()
}

const READ_CODE: &str = "
import cv2, sys
print(cv2.QRCodeDetector().detectAndDecode(cv2.imread(sys.argv[1]))[0])";

#[tokio::test]
async fn a_picture_from_before_anybody_watched_is_shown_at_once() {
    let (viewer, publisher) = viewer().await;
    publisher.publish(gray(1));
    get(viewer.local_addr(), "/snapshot")
        .await
        .check(200, "image/jpeg");
    get(viewer.local_addr(), "/snapshot")
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
        let (viewer, publisher) = viewer().await;
        let mut watcher = Watcher::open(viewer.local_addr(), path).await;
        for number in 1..=3 {
            publisher.publish(gray(number));
            let (mut head, mut jpeg) = watcher.part().await;
            // A client that connects before the first picture sees the placeholder.
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
            Picture::from_jpeg(jpeg).unwrap();
        }
    }
}

#[tokio::test]
async fn jpeg_passes_untouched() {
    let (viewer, publisher) = viewer().await;
    publisher.publish(gray(1));
    let jpeg = get(viewer.local_addr(), "/snapshot").await.body;
    publisher.publish(Picture::from_jpeg(jpeg.clone()).unwrap().numbered(2));
    let answer = get(viewer.local_addr(), "/?action=snapshot").await;
    assert_eq!(answer.header("x-number"), Some("2"));
    assert_eq!(answer.body, jpeg);
}

#[tokio::test]
async fn the_state_holds_the_figures() {
    let (viewer, publisher) = viewer().await;
    let mut watcher = Watcher::open(viewer.local_addr(), "/stream").await;
    for number in [1, 2, 5] {
        publisher.publish(gray(number));
        watcher.part().await;
    }
    let answer = get(viewer.local_addr(), "/state").await;
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
    let (viewer, publisher) = viewer().await;
    publisher.publish(gray(1));
    get(viewer.local_addr(), "/snapshot").await;
    let answer = get(viewer.local_addr(), "/metrics").await;
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
    let (viewer, _publisher) = viewer().await;
    let answer = get(viewer.local_addr(), "/").await;
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
async fn what_there_is_not_is_said() {
    let (viewer, publisher) = viewer().await;
    publisher.publish(gray(1));
    for path in [
        "/nothing",
        "/stream?name=other",
        "/?action=reboot",
        "/?action=stream_1",
    ] {
        assert_eq!(get(viewer.local_addr(), path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn silence_becomes_a_placeholder_and_pictures_come_back() {
    let (viewer, publisher) = viewer().await;
    publisher.publish(gray(1));
    let mut watcher = Watcher::open(viewer.local_addr(), "/stream").await;
    watcher.part().await;
    let (_, placeholder) = watcher.part().await;
    let placeholder = Picture::from_jpeg(placeholder).unwrap();
    assert_eq!((placeholder.width_px(), watcher.number), (640, 0));
    get(viewer.local_addr(), "/snapshot")
        .await
        .check(503, "image/jpeg");

    // While it is compressed, it is waited for.
    publisher.publish(slow_to_compress(2));
    let snapshot = get(viewer.local_addr(), "/snapshot").await;
    snapshot.check(200, "image/jpeg");
    assert_eq!(snapshot.header("x-number"), Some("2"));
    while watcher.number != 2 {
        watcher.part().await;
    }
}

#[tokio::test]
async fn several_streams_share_a_page() {
    let (viewer, _publishers) = left_and_right().await;
    for (path, number) in [
        ("/snapshot", "1"),
        ("/snapshot?name=left", "1"),
        ("/snapshot?name=right", "2"),
        ("/?action=snapshot_1", "2"),
    ] {
        let answer = get(viewer.local_addr(), path).await;
        assert_eq!(answer.header("x-number"), Some(number), "{path}");
    }
    let mut watcher = Watcher::open(viewer.local_addr(), "/streams").await;
    let mut seen = [watcher.part().await.0, watcher.part().await.0].concat();
    seen.retain(|character| character != '\r');
    assert!(
        seen.contains("X-Stream: left\n") && seen.contains("X-Stream: right\n"),
        "{seen}"
    );
}

#[tokio::test]
async fn shutdown_ends_streams_and_frees_the_port() {
    let (viewer, publisher) = viewer().await;
    let address = viewer.local_addr();
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
    let (taken, _publisher) = viewer().await;
    let streams = [WebStream::new("camera", latest::channel().1)];
    let error = WebServer::bind(taken.local_addr(), config(), streams)
        .await
        .unwrap_err();
    assert!(
        matches!(error, WebServerError::Bind(BindError::Address { address, .. }) if address == taken.local_addr()),
        "{error}"
    );
}

#[tokio::test]
async fn names_must_tell_streams_apart() {
    let bind = async |names: &[&str]| {
        let stream = |name: &&str| WebStream::new(*name, latest::channel().1);
        WebServer::bind(LOOPBACK, config(), names.iter().map(stream))
            .await
            .map(drop)
    };
    assert!(matches!(bind(&[]).await, Err(WebServerError::NoStreams)));
    assert!(matches!(
        bind(&["a", "b", "a"]).await,
        Err(WebServerError::SameName {
            first: 0,
            second: 2
        })
    ));
    for name in ["", "a b", "a\"b", "ä", "a\r\nb", &"a".repeat(65)] {
        assert!(matches!(
            bind(&["ok", name]).await,
            Err(WebServerError::BadName { index: 1 })
        ));
    }
    bind(&["A-z_0.9", &"a".repeat(64)]).await.unwrap();
}
