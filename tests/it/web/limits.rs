//! How many may watch, and how slowly.

#[cfg(target_os = "linux")]
use std::net::SocketAddr;
use std::time::Duration;

use sockkit::{options::SocketOptions, picture::Picture, tcp::Connector};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{WITHIN, Watcher, config, get, gray, noise, read_head, viewer, viewer_with};

/// Loopback has more than one address on Linux alone.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn one_host_with_a_hundred_and_forty_connections_leaves_room_for_others() {
    let (viewer, publisher) = viewer().await;
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
    let (viewer, _publisher) = viewer_with(config().max_viewers(1)).await;
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
    let (viewer, _publisher) = viewer_with(config().max_viewers(8).max_viewers_per_host(8)).await;
    let mut watchers = Vec::new();
    for _ in 0..8 {
        watchers.push(Watcher::open(viewer.local_addr(), "/stream").await);
    }
    assert_eq!(get(viewer.local_addr(), "/stream").await.status, 503);
}

#[tokio::test]
async fn a_client_that_reads_too_slowly_is_dropped_though_it_reads() {
    let (viewer, publisher) = viewer_with(config().write_timeout(Duration::from_secs(1))).await;
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
async fn a_timeout_of_for_ever_is_none() {
    let (viewer, publisher) = viewer_with(config().write_timeout(Duration::MAX)).await;
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
async fn a_full_house_is_said_and_a_place_is_given_back() {
    let (viewer, publisher) = viewer_with(config().max_viewers(1)).await;
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

#[cfg_attr(not(target_os = "linux"), ignore = "TCP_NOTSENT_LOWAT is Linux's")]
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
    let (viewer, publisher) = viewer().await;
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
