//! The browser viewer over real sockets.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use sockkit::{
    BindError,
    latest::{self, Publisher},
    options::SocketOptions,
    picture::{Picture, PixelFormat, Timestamp, jpeg},
    sink::web::{WebServer, WebServerConfig, WebServerError, WebStream},
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
    let answer = get(viewer.local_addr(), "/snapshot").await;
    answer.check(200, "image/jpeg");
    assert_eq!(answer.header("x-number"), Some("2"));
    let shown = Picture::from_jpeg(answer.body).unwrap();
    assert_eq!((shown.width_px(), shown.height_px()), (64, 48));
}

#[tokio::test]
async fn a_picture_from_before_anybody_watched_is_shown_at_once() {
    let (viewer, publisher) = viewer("camera").await;
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
        let (viewer, publisher) = viewer("camera").await;
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
    let (viewer, publisher) = viewer("camera").await;
    publisher.publish(gray(1));
    let jpeg = get(viewer.local_addr(), "/snapshot").await.body;
    publisher.publish(Picture::from_jpeg(jpeg.clone()).unwrap().numbered(2));
    let answer = get(viewer.local_addr(), "/?action=snapshot").await;
    assert_eq!(answer.header("x-number"), Some("2"));
    assert_eq!(answer.body, jpeg);
}

#[tokio::test]
async fn the_state_holds_the_figures() {
    let (viewer, publisher) = viewer("camera").await;
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
    let (viewer, publisher) = viewer("camera").await;
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
    let (viewer, _publisher) = viewer("camera").await;
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
async fn foreign_hosts_and_origins_are_refused() {
    let (viewer, publisher) = viewer("camera").await;
    publisher.publish(gray(1));
    let address = viewer.local_addr();
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

/// An `<img>` of another site's page on a loopback address, in Chromium 156.
const FOREIGN_IMAGE: &str = "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n\
    Sec-Fetch-Dest: image\r\nReferer: http://octopi.local/\r\n";

#[tokio::test]
async fn a_page_from_elsewhere_shows_no_pictures_unless_it_may() {
    let (viewer, publisher) = viewer("camera").await;
    publisher.publish(gray(1));
    let address = viewer.local_addr();
    let image = format!("Host: {address}\r\n{FOREIGN_IMAGE}");
    for path in [
        "/",
        "/stream",
        "/?action=stream",
        "/streams",
        "/snapshot",
        "/state",
        "/nothing",
    ] {
        assert_eq!(request(address, path, &image).await.status, 403, "{path}");
    }
    let link = format!(
        "Host: {address}\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n\
         Sec-Fetch-Dest: document\r\nReferer: https://chat.example/\r\n"
    );
    assert_eq!(request(address, "/", &link).await.status, 200);
    assert_eq!(request(address, "/?action=stream", &link).await.status, 403);

    let (publisher, pictures) = latest::channel();
    let octopi = config().allow_embedding("http://octopi.local".parse().unwrap());
    let viewer = WebServer::bind(ANY_PORT, octopi, [WebStream::new("camera", pictures)])
        .await
        .unwrap();
    publisher.publish(gray(1));
    let image = format!("Host: {}\r\n{FOREIGN_IMAGE}", viewer.local_addr());
    for path in ["/stream", "/snapshot"] {
        let answer = request(viewer.local_addr(), path, &image).await;
        assert_eq!(answer.status, 200, "{path}");
        let policy = answer.header("cross-origin-resource-policy");
        assert_eq!(policy, Some("cross-origin"), "{path}");
    }
    let other = image.replace("octopi.local", "evil.example");
    assert_eq!(
        request(viewer.local_addr(), "/stream", &other).await.status,
        403
    );
}

#[tokio::test]
async fn every_answer_forbids_frames_and_other_sites() {
    let (viewer, publisher) = viewer("camera").await;
    publisher.publish(gray(1));
    let address = viewer.local_addr();
    for (path, host) in [
        ("/", address.to_string()),
        ("/stream", address.to_string()),
        ("/snapshot", address.to_string()),
        ("/state", address.to_string()),
        ("/metrics", address.to_string()),
        ("/nothing", address.to_string()),
        ("/", "evil.example".to_owned()),
    ] {
        let answer = request(address, path, &format!("Host: {host}\r\n")).await;
        for (header, value) in [
            ("x-frame-options", "DENY"),
            ("cross-origin-resource-policy", "same-origin"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(answer.header(header), Some(value), "{path} {host}");
        }
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
    }
}

#[tokio::test]
async fn a_client_that_closes_its_side_after_asking_is_answered_each_time() {
    let (viewer, publisher) = viewer("camera").await;
    publisher.publish(gray(1));
    let address = viewer.local_addr();
    let headers = format!("Host: {address}\r\n");
    for round in 0..100 {
        for path in ["/", "/snapshot", "/state"] {
            let mut stream = send(address, path, &headers).await;
            stream.shutdown().await.unwrap();
            let mut answer = Vec::new();
            let read = timeout(WITHIN, stream.read_to_end(&mut answer)).await;
            read.expect("an answer in time").unwrap();
            assert!(answer.starts_with(b"HTTP/1.0 200"), "{path}, {round}");
        }
        let mut stream = send(address, "/stream", &headers).await;
        stream.shutdown().await.unwrap();
        let mut watcher = Watcher::of(stream).await;
        assert_eq!(watcher.status, 200);
        // It also continues from picture to picture.
        for number in 2 * round + 2..2 * round + 4 {
            publisher.publish(gray(number));
            while watcher.number < number {
                watcher.part().await;
            }
        }
    }
}

/// What clients send, and whether they show the stream themselves.
const CLIENTS: [(&str, &str, bool); 10] = [
    (
        "curl 8",
        "User-Agent: curl/8.14.1\r\nAccept: */*\r\n",
        false,
    ),
    (
        "ffmpeg 7",
        "User-Agent: Lavf/61.7.100\r\nAccept: */*\r\nRange: bytes=0-\r\nIcy-MetaData: 1\r\n",
        false,
    ),
    (
        "python-requests",
        "User-Agent: python-requests/2.32\r\nAccept-Encoding: gzip, deflate\r\nAccept: */*\r\n",
        false,
    ),
    (
        "urllib",
        "Accept-Encoding: identity\r\nUser-Agent: Python-urllib/3.13\r\n",
        false,
    ),
    ("no headers", "", false),
    (
        "fetch() in Chromium",
        "Accept: */*\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n",
        false,
    ),
    (
        "<img> in Chromium",
        "Accept: image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n",
        true,
    ),
    (
        "<img> in Chromium, plain HTTP beyond loopback",
        "Accept: image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8\r\n",
        true,
    ),
    (
        "<img> in Firefox",
        "Accept: image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5\r\n",
        true,
    ),
    (
        "a tab in Chromium",
        "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8\r\nSec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n",
        true,
    ),
];

#[tokio::test]
async fn browsers_that_show_the_stream_get_the_next_head_at_once_and_no_other_client() {
    let (publisher, pictures) = latest::channel();
    // A place is free again when the next picture cannot be written.
    let roomy = config().max_viewers(200).max_viewers_per_host(200);
    let viewer = WebServer::bind(ANY_PORT, roomy, [WebStream::new("camera", pictures)])
        .await
        .unwrap();
    publisher.publish(gray(1));
    let jpeg = get(viewer.local_addr(), "/snapshot").await.body;
    let head = format!(
        "Content-Type: image/jpeg\r\nContent-Length: {}\r\n\
         X-Timestamp: 1700000000.000042\r\nX-Number: 1\r\nX-Stream: camera\r\n\r\n",
        jpeg.len()
    );
    let late = [
        b"--sockkit\r\n",
        head.as_bytes(),
        &jpeg,
        b"\r\n--sockkit\r\n",
    ]
    .concat();
    let opening = b"--sockkit\r\nContent-Type: image/jpeg\r\n\r\n";
    let early = [&opening[..], &jpeg, b"\r\n", opening].concat();
    for (client, headers, shows_itself) in CLIENTS {
        for path in ["/stream", "/?action=stream"] {
            let expected = if shows_itself { &early } else { &late };
            check_bytes(viewer.local_addr(), path, headers, expected, client).await;
        }
        check_bytes(
            viewer.local_addr(),
            "/stream?head=early",
            headers,
            &early,
            client,
        )
        .await;
        check_bytes(
            viewer.local_addr(),
            "/stream?head=late",
            headers,
            &late,
            client,
        )
        .await;
        check_bytes(viewer.local_addr(), "/streams", headers, &late, client).await;
    }
}

async fn check_bytes(
    address: SocketAddr,
    path: &str,
    headers: &str,
    expected: &[u8],
    client: &str,
) {
    let mut stream = send(address, path, &format!("Host: {address}\r\n{headers}")).await;
    let (status, _) = read_head(&mut stream).await;
    assert_eq!(status, 200, "{client}, {path}");
    let mut bytes = vec![0; expected.len()];
    timeout(WITHIN, stream.read_exact(&mut bytes))
        .await
        .expect("all of it at once")
        .unwrap();
    assert!(
        bytes == expected,
        "{client}, {path}: {}",
        bytes.escape_ascii()
    );
}

/// Loopback has more than one address on Linux alone.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn one_host_with_a_hundred_and_forty_connections_leaves_room_for_others() {
    let (viewer, publisher) = viewer("camera").await;
    publisher.publish(gray(1));
    let address = viewer.local_addr();
    let host = format!("Host: {address}\r\n");
    let mut deaf = Vec::new();
    for _ in 0..140 {
        let mut stream = connect_from([127, 0, 0, 2], address).await;
        let request = format!("GET /stream HTTP/1.0\r\n{host}\r\n");
        // Those beyond its share are refused.
        let _ = stream.write_all(request.as_bytes()).await;
        deaf.push(stream);
    }
    let mut watcher = Watcher::open(address, "/stream").await;
    for number in 2..5 {
        publisher.publish(gray(number));
        while watcher.number < number {
            watcher.part().await;
        }
    }
    get(address, "/snapshot").await.check(200, "image/jpeg");
    let text = get(address, "/state").await.text();
    assert!(text.contains("\"viewers\":33"), "{text}");
}

#[cfg(target_os = "linux")]
async fn connect_from(from: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

#[tokio::test]
async fn a_connection_too_many_is_told_so() {
    let (_publisher, pictures) = latest::channel();
    let config = config().max_viewers(1);
    let viewer = WebServer::bind(ANY_PORT, config, [WebStream::new("camera", pictures)])
        .await
        .unwrap();
    // One that watches, and a quarter of those to spare.
    let mut held = Vec::new();
    for _ in 0..17 {
        let mut client = TcpStream::connect(viewer.local_addr()).await.unwrap();
        // Of this version of HTTP, connections stay.
        let request = format!(
            "GET /state HTTP/1.1\r\nHost: {}\r\n\r\n",
            viewer.local_addr()
        );
        client.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(read_head(&mut client).await.0, 200);
        held.push(client);
    }
    let mut client = TcpStream::connect(viewer.local_addr()).await.unwrap();
    let mut refused = String::new();
    timeout(WITHIN, client.read_to_string(&mut refused))
        .await
        .unwrap()
        .unwrap();
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.ends_with("too many connections"), "{refused}");
}

#[tokio::test]
async fn the_share_of_one_host_can_be_all_places() {
    let (_publisher, pictures) = latest::channel();
    let config = config().max_viewers(8).max_viewers_per_host(8);
    let viewer = WebServer::bind(ANY_PORT, config, [WebStream::new("camera", pictures)])
        .await
        .unwrap();
    let mut watchers = Vec::new();
    for _ in 0..8 {
        watchers.push(Watcher::open(viewer.local_addr(), "/stream").await);
    }
    assert_eq!(get(viewer.local_addr(), "/stream").await.status, 503);
}

#[tokio::test]
async fn a_client_that_reads_too_slowly_is_dropped_though_it_reads() {
    let (publisher, pictures) = latest::channel();
    let config = config().write_deadline(Duration::from_secs(1));
    let viewer = WebServer::bind(ANY_PORT, config, [WebStream::new("camera", pictures)])
        .await
        .unwrap();
    let frugal = SocketOptions::new().receive_buffer_bytes(4_096);
    let connector = Connector::default().options(frugal);
    let connected = connector.connect(viewer.local_addr()).await.unwrap();
    let mut stream = connected.into_inner();
    let request = format!(
        "GET /stream HTTP/1.0\r\nHost: {}\r\n\r\n",
        viewer.local_addr()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let pictures = [(); 4].map({
        let mut number = 0;
        move |()| {
            number += 1;
            noise(number)
        }
    });
    let reading = async {
        // A picture in half a second; a tenth of a second is what it may take.
        let mut picture = vec![0; 30_000];
        while stream.read_exact(&mut picture).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        std::future::pending().await
    };
    let publishing = async {
        for picture in pictures.iter().cycle() {
            publisher.publish(picture.clone());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let watching = async {
        for viewers in ["\"viewers\":1", "\"viewers\":0"] {
            while !get(viewer.local_addr(), "/state")
                .await
                .text()
                .contains(viewers)
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };
    tokio::select! {
        dropped = timeout(WITHIN, watching) => dropped.expect("it is dropped"),
        () = reading => unreachable!(),
        () = publishing => unreachable!(),
    }
}

#[tokio::test]
async fn a_deadline_of_for_ever_is_none() {
    let (publisher, pictures) = latest::channel();
    let config = config().write_deadline(Duration::MAX);
    let viewer = WebServer::bind(ANY_PORT, config, [WebStream::new("camera", pictures)])
        .await
        .unwrap();
    let mut sleeper = Watcher::open(viewer.local_addr(), "/stream").await;
    let mut reader = Watcher::open(viewer.local_addr(), "/stream").await;
    // Far more than the kernel takes, so that a write has to wait.
    for number in 1..=100 {
        publisher.publish(noise(number));
        while reader.number < number {
            reader.part().await;
        }
    }
    while sleeper.number < 100 {
        sleeper.part().await;
    }
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
        assert_eq!(get(viewer.local_addr(), path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn silence_becomes_a_placeholder_and_pictures_come_back() {
    let (viewer, publisher) = viewer("camera").await;
    publisher.publish(gray(1));
    let mut watcher = Watcher::open(viewer.local_addr(), "/stream").await;
    watcher.part().await;
    let (_, placeholder) = watcher.part().await;
    let placeholder = Picture::from_jpeg(placeholder).unwrap();
    assert_eq!((placeholder.width_px(), watcher.number), (640, 0));
    get(viewer.local_addr(), "/snapshot")
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
        WebStream::new("left", left_pictures),
        WebStream::new("right", right_pictures),
    ];
    let viewer = WebServer::bind(ANY_PORT, config(), streams).await.unwrap();
    left.publish(gray(1));
    right.publish(gray(2));
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
async fn a_full_house_is_said_and_a_place_is_given_back() {
    let (publisher, pictures) = latest::channel();
    let config = config().max_viewers(1);
    let viewer = WebServer::bind(ANY_PORT, config, [WebStream::new("camera", pictures)])
        .await
        .unwrap();
    publisher.publish(gray(1));
    let mut watcher = Watcher::open(viewer.local_addr(), "/stream").await;
    watcher.part().await;
    assert_eq!(get(viewer.local_addr(), "/stream").await.status, 503);
    drop(watcher);
    let again = async {
        loop {
            publisher.publish(gray(2));
            let mut watcher = Watcher::try_open(viewer.local_addr(), "/stream").await;
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
async fn check_sleeper(picture: fn(u64) -> Picture, most: usize) {
    let (viewer, publisher) = viewer("camera").await;
    let mut reader = Watcher::open(viewer.local_addr(), "/stream").await;
    let frugal = SocketOptions::new().receive_buffer_bytes(4_096);
    let connector = Connector::default().options(frugal);
    let mut stream = connector
        .connect(viewer.local_addr())
        .await
        .unwrap()
        .into_inner();
    let request = format!(
        "GET /stream HTTP/1.0\r\nHost: {}\r\n\r\n",
        viewer.local_addr()
    );
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
    let (taken, _publisher) = viewer("camera").await;
    let (_other, pictures) = latest::channel();
    let config = WebServerConfig::default();
    let error = WebServer::bind(
        taken.local_addr(),
        config,
        [WebStream::new("camera", pictures)],
    )
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
        WebServer::bind(ANY_PORT, config(), names.iter().map(stream))
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

const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn config() -> WebServerConfig {
    WebServerConfig::default().name("camera.lan")
}

async fn viewer(name: &str) -> (WebServer, Publisher<Picture>) {
    let (publisher, pictures) = latest::channel();
    let viewer = WebServer::bind(ANY_PORT, config(), [WebStream::new(name, pictures)])
        .await
        .unwrap();
    (viewer, publisher)
}

/// A raw picture, 64 × 48.
fn gray(number: u64) -> Picture {
    Picture::new(PixelFormat::Gray, 64, 48, vec![128; 64 * 48])
        .unwrap()
        .captured_at(Timestamp::from_micros(1_700_000_000_000_042))
        .numbered(number)
}

/// A JPEG of some 30 KB, as cameras have them.
fn noise(number: u64) -> Picture {
    let mut random = fastrand::Rng::with_seed(number);
    let pixels: Vec<u8> = (0..240 * 180).map(|_| random.u8(..)).collect();
    let raw = Picture::new(PixelFormat::Gray, 240, 180, pixels).unwrap();
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
