//! What each kind of client gets.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::{WITHIN, Watcher, config, get, gray, read_head, send, viewer, viewer_with};

#[tokio::test]
async fn a_client_that_closes_its_side_after_asking_is_answered_each_time() {
    let (viewer, publisher) = viewer().await;
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

#[cfg_attr(not(target_os = "linux"), ignore = "TCP_NOTSENT_LOWAT is Linux's")]
#[tokio::test]
async fn browsers_that_show_the_stream_get_the_next_head_at_once_and_no_other_client() {
    // A place is free again when the next picture cannot be written.
    let (viewer, publisher) =
        viewer_with(config().max_viewers(200).max_viewers_per_host(200)).await;
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
