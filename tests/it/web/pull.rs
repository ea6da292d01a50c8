//! Pictures over a WebSocket, one for each request.
//!
//! The client is written by hand (RFC 6455), so that it can also break the rules.

use std::{net::SocketAddr, time::Duration};

use sockkit::{
    options::SocketOptions,
    picture::{Picture, PixelFormat, jpeg},
    tcp::Connector,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{WITHIN, Watcher, config, get, gray, left_and_right, read_head, viewer, viewer_with};

#[tokio::test]
async fn each_request_gets_the_newest_picture() {
    let (viewer, publisher) = viewer().await;
    publisher.publish(gray(1));
    let mut client = Client::open(viewer.local_addr()).await;
    client.ask().await;
    let (description, jpeg) = client.picture().await;
    let bytes = jpeg.len();
    assert_eq!(
        description,
        format!(
            r#"{{"stream":"camera","number":1,"timestamp":1700000000.000042,"bytes":{bytes}}}"#
        )
    );
    Picture::from_jpeg(jpeg).unwrap();
    for number in 2..6 {
        publisher.publish(gray(number));
    }
    // What was published is compressed meanwhile, for this client.
    let mut newest = 1;
    while newest < 5 {
        client.ask().await;
        let number = client.number().await;
        assert!(number > newest, "{number} after {newest}");
        newest = number;
    }
    assert_eq!(viewers(viewer.local_addr()).await, 1);
}

#[tokio::test]
async fn nothing_comes_without_a_request() {
    let (viewer, publisher) = viewer().await;
    publisher.publish(gray(1));
    let mut client = Client::open(viewer.local_addr()).await;
    client.ask().await;
    assert_eq!(client.number().await, 1);
    let mut watcher = Watcher::open(viewer.local_addr(), "/stream").await;
    for number in 2..20 {
        publisher.publish(gray(number));
        while watcher.number < number {
            watcher.part().await;
        }
    }
    // Whatever had been sent before the answer to this would come first.
    client.send(PING, b"are you there?").await;
    assert_eq!(client.message().await, (PONG, b"are you there?".to_vec()));
    client.ask().await;
    assert_eq!(client.number().await, 19);
}

#[tokio::test]
async fn several_streams_take_turns() {
    let (viewer, _publishers) = left_and_right().await;
    let mut client = Client::open(viewer.local_addr()).await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        client.ask().await;
        seen.push(client.picture().await.0);
    }
    for name in [r#""stream":"left""#, r#""stream":"right""#] {
        assert!(seen.iter().any(|text| text.contains(name)), "{seen:?}");
    }
}

#[tokio::test]
async fn other_pages_and_other_requests_are_refused() {
    let (viewer, publisher) = viewer().await;
    publisher.publish(gray(1));
    let address = viewer.local_addr();
    let own = format!("Host: {address}\r\n");
    for (headers, status) in [
        (format!("{own}Origin: http://{address}\r\n"), 101),
        (format!("{own}Origin: http://evil.example\r\n"), 403),
        (format!("{own}Origin: null\r\n"), 403),
        ("Host: evil.example\r\n".to_owned(), 403),
        (format!("{own}Sec-Fetch-Site: cross-site\r\n"), 403),
    ] {
        let (answered, _) = upgrade(address, &headers).await;
        assert_eq!(answered, status, "{headers}");
    }
    assert_eq!(get(address, "/pull").await.status, 400);
}

#[tokio::test]
async fn a_client_has_a_place_until_it_leaves() {
    let (viewer, publisher) = viewer_with(config().max_viewers(1).max_viewers_per_host(1)).await;
    publisher.publish(gray(1));
    let address = viewer.local_addr();
    for _ in 0..3 {
        let mut client = Client::open(address).await;
        client.ask().await;
        client.picture().await;
        let own = format!("Host: {address}\r\n");
        assert_eq!(upgrade(address, &own).await.0, 503);
        assert_eq!(get(address, "/stream").await.status, 503);
        client.send(CLOSE, b"").await;
        client.end().await;
        // The place is free once the task has ended.
        let freed = async {
            while viewers(address).await > 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(WITHIN, freed).await.expect("the place is free");
    }
}

#[tokio::test]
async fn a_client_that_breaks_the_rules_is_dropped() {
    let (viewer, publisher) = viewer().await;
    publisher.publish(gray(1));
    let long = [b'n'; 129];
    for (what, frames) in [
        ("another request", vec![frame(TEXT, b"more")]),
        ("binary", vec![frame(BINARY, b"next")]),
        ("a message too long", vec![frame(TEXT, &long)]),
        // Announced, and never sent.
        (
            "a frame too long",
            vec![b"\x81\xff\x7f\0\0\0\0\0\0\0mask".to_vec()],
        ),
        ("a frame without a mask", vec![b"\x81\x04next".to_vec()]),
        ("reserved bits", vec![b"\xf1\x84\0\0\0\0next".to_vec()]),
        (
            "three requests at once",
            vec![
                frame(TEXT, b"next"),
                frame(TEXT, b"next"),
                frame(TEXT, b"next"),
            ],
        ),
    ] {
        let mut client = Client::open(viewer.local_addr()).await;
        client.stream.write_all(&frames.concat()).await.unwrap();
        let mut rest = Vec::new();
        // A reset counts as well: the client may have sent more.
        let ended = timeout(WITHIN, client.stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "{what}");
    }
}

#[tokio::test]
async fn a_client_that_asks_for_nothing_is_dropped() {
    let limit = Duration::from_millis(200);
    let (viewer, publisher) = viewer_with(config().write_timeout(limit)).await;
    publisher.publish(gray(1));
    let silent = Client::open(viewer.local_addr()).await;
    silent.end().await;
}

#[tokio::test]
async fn a_client_that_asks_once_and_pings_is_dropped() {
    // Long enough to ask in time on a busy machine.
    let limit = Duration::from_secs(2);
    let (viewer, publisher) = viewer_with(config().write_timeout(limit)).await;
    publisher.publish(gray(1));
    let mut client = Client::open(viewer.local_addr()).await;
    client.ask().await;
    client.picture().await;
    // Signs of life are not requests.
    let pings = async {
        loop {
            client.send(PING, b"").await;
            if client.stream.read_u8().await.is_err() {
                return;
            }
        }
    };
    timeout(WITHIN, pings).await.expect("it is dropped");
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_dropped() {
    let limit = Duration::from_secs(1);
    let (viewer, publisher) = viewer_with(config().write_timeout(limit)).await;
    publisher.publish(larger_than_the_buffers());
    let address = viewer.local_addr();
    // It has its place once the upgrade is answered.
    let (status, mut stream) = upgrade_by(frugal(), address).await;
    assert_eq!(status, 101);
    stream.write_all(&frame(TEXT, b"next")).await.unwrap();
    let dropped = async {
        while viewers(address).await > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(WITHIN, dropped).await.expect("it is dropped");
}

/// Both ends of a connection hold less of it.
fn larger_than_the_buffers() -> Picture {
    let mut random = fastrand::Rng::with_seed(3);
    let pixels: Vec<u8> = (0..1_600 * 1_200).map(|_| random.u8(..)).collect();
    let raw = Picture::new(PixelFormat::Gray, 1_600, 1_200, pixels).unwrap();
    jpeg::encode(&raw, 95).unwrap()
}

fn frugal() -> Connector {
    let options = SocketOptions::new().receive_buffer_bytes(4_096);
    Connector::default().options(options)
}

#[tokio::test]
async fn shutdown_ends_it() {
    let (viewer, publisher) = viewer().await;
    publisher.publish(gray(1));
    let mut client = Client::open(viewer.local_addr()).await;
    client.ask().await;
    client.picture().await;
    timeout(WITHIN, viewer.shutdown())
        .await
        .expect("shutdown is bounded");
    client.end().await;
}

/// From the statistics.
async fn viewers(address: SocketAddr) -> u32 {
    let text = get(address, "/state").await.text();
    let (_, rest) = text.split_once("\"viewers\":").unwrap();
    rest.trim_end_matches(['}', ']']).parse().unwrap()
}

pub(super) struct Client<S = TcpStream> {
    pub(super) stream: S,
}

impl Client {
    async fn open(address: SocketAddr) -> Self {
        Self::open_at(address, "/pull").await
    }

    pub(super) async fn open_at(address: SocketAddr, path: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let host = format!("Host: {address}\r\n");
        let (status, stream) = upgrade_on(stream, path, &host).await;
        assert_eq!(status, 101, "{path}");
        Self { stream }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(super) async fn ask(&mut self) {
        self.send(TEXT, b"next").await;
    }

    async fn send(&mut self, kind: u8, payload: &[u8]) {
        // It may be dropped already.
        let _ = self.stream.write_all(&frame(kind, payload)).await;
    }

    /// What describes a picture, and the picture.
    async fn picture(&mut self) -> (String, Vec<u8>) {
        let (kind, description) = self.message().await;
        assert_eq!(kind, TEXT);
        let (kind, jpeg) = self.message().await;
        assert_eq!(kind, BINARY);
        (String::from_utf8(description).unwrap(), jpeg)
    }

    pub(super) async fn number(&mut self) -> u64 {
        let (description, _) = self.picture().await;
        let (_, rest) = description.split_once("\"number\":").unwrap();
        rest.split(',').next().unwrap().parse().unwrap()
    }

    async fn message(&mut self) -> (u8, Vec<u8>) {
        let read = async {
            let kind = self.stream.read_u8().await.unwrap();
            assert_eq!(kind & 0xf0, 0x80, "a whole message");
            let bytes = match self.stream.read_u8().await.unwrap() {
                126 => self.stream.read_u16().await.unwrap().into(),
                127 => self.stream.read_u64().await.unwrap(),
                bytes => bytes.into(),
            };
            let mut payload = vec![0; usize::try_from(bytes).unwrap()];
            self.stream.read_exact(&mut payload).await.unwrap();
            (kind & 0x0f, payload)
        };
        timeout(WITHIN, read).await.expect("a message in time")
    }

    async fn end(mut self) {
        let mut rest = Vec::new();
        let ended = timeout(WITHIN, self.stream.read_to_end(&mut rest)).await;
        ended.expect("the connection ends").unwrap();
    }
}

async fn upgrade(address: SocketAddr, headers: &str) -> (u16, TcpStream) {
    let stream = TcpStream::connect(address).await.unwrap();
    upgrade_on(stream, "/pull", headers).await
}

async fn upgrade_by(connector: Connector, address: SocketAddr) -> (u16, TcpStream) {
    let stream = connector.connect(address).await.unwrap().into_inner();
    upgrade_on(stream, "/pull", &format!("Host: {address}\r\n")).await
}

pub(super) async fn upgrade_on<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    path: &str,
    headers: &str,
) -> (u16, S) {
    let request = format!(
        "GET {path} HTTP/1.1\r\n{headers}Connection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let (status, head) = read_head(&mut stream).await;
    // The example of RFC 6455, section 1.3.
    let accepted = head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_eq!(accepted, status == 101, "{head}");
    (status, stream)
}

/// A masked frame.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [1, 2, 3, 4];
    let mut frame = vec![0x80 | kind];
    match u8::try_from(payload.len()) {
        Ok(bytes) if bytes < 126 => frame.push(0x80 | bytes),
        _ => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(
        payload
            .iter()
            .zip(MASK.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    frame
}

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
