//! The browser viewer over real sockets.

mod clients;
mod encrypted;
mod limits;
mod mounted;
mod origins;
mod pages;
mod pull;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use sockkit::{
    latest::{self, Publisher},
    picture::{Picture, PixelFormat, Timestamp, jpeg},
    sink::web::{WebServer, WebServerConfig, WebStream},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// An `<img>` of another site's page on a loopback address, in Chromium 156.
const FOREIGN_IMAGE: &str = "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n\
    Sec-Fetch-Dest: image\r\nReferer: http://octopi.local/\r\n";

fn config() -> WebServerConfig {
    WebServerConfig::default().name("camera.lan")
}

/// A viewer of one stream, `camera`.
async fn viewer() -> (WebServer, Publisher<Picture>) {
    viewer_with(config()).await
}

async fn viewer_with(config: WebServerConfig) -> (WebServer, Publisher<Picture>) {
    let (publisher, pictures) = latest::channel();
    let streams = [WebStream::new("camera", pictures)];
    let viewer = WebServer::bind(LOOPBACK, config, streams).await.unwrap();
    (viewer, publisher)
}

/// A viewer of two streams, `left` with picture 1 and `right` with picture 2.
async fn left_and_right() -> (WebServer, [Publisher<Picture>; 2]) {
    let (left, left_pictures) = latest::channel();
    let (right, right_pictures) = latest::channel();
    let streams = [
        WebStream::new("left", left_pictures),
        WebStream::new("right", right_pictures),
    ];
    let viewer = WebServer::bind(LOOPBACK, config(), streams).await.unwrap();
    left.publish(gray(1));
    right.publish(gray(2));
    (viewer, [left, right])
}

const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

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
    answer(send(address, path, headers).await).await
}

async fn answer(mut stream: impl AsyncRead + Unpin) -> Answer {
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
    send_on(TcpStream::connect(address).await.unwrap(), path, headers).await
}

async fn send_on<S: AsyncWrite + Unpin>(mut stream: S, path: &str, headers: &str) -> S {
    let request = format!("GET {path} HTTP/1.0\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    stream
}

async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> (u16, String) {
    let head = read_until(stream, b"\r\n\r\n").await;
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head)
}

async fn read_until(stream: &mut (impl AsyncRead + Unpin), end: &[u8]) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end) {
        read.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(read).unwrap()
}

/// A client that reads a stream part by part.
struct Watcher<S = TcpStream> {
    stream: S,
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
}

impl<S: AsyncRead + Unpin> Watcher<S> {
    /// Reads the answer's beginning from a connection that has asked.
    async fn of(mut stream: S) -> Self {
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
