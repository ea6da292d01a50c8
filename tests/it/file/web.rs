//! Files to and from a browser, as requests over HTTP: what a page may do, and what a
//! hostile one may not.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use axum::{Router, routing::get};
use sha2::{Digest as _, Sha256};
use sockkit::{
    file::{
        BLOCK_BYTES, Destination, FileOutcome, FileSet, OnConflict, ReceiveConfig, ReceiveError,
        SendConfig, Summary,
        session::Limits,
        web::{DownloadPage, UploadOffer, UploadPage, WebHandler, WebServer},
    },
    server::Stream,
    tls::Tls,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinHandle,
    time::timeout,
};

use super::contents;
use crate::server::tls::certificates;

const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const WITHIN: Duration = Duration::from_secs(60);
const BLOCK: usize = 4 << 20;

/// A response.
#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    #[track_caller]
    fn has(&self, status: u16, text: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.text().contains(text), "{text} in {}", self.text());
    }
}

/// A request with further header lines, each ended by CR LF.
async fn ask(at: SocketAddr, what: &str, headers: &str, body: &[u8]) -> Reply {
    ask_from("127.0.0.1", at, what, headers, body).await
}

/// The same from one of this machine's addresses.
async fn ask_from(from: &str, at: SocketAddr, what: &str, headers: &str, body: &[u8]) -> Reply {
    let asking = async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
        let mut stream = socket.connect(at).await.unwrap();
        let head = format!(
            "{what} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // The response may come before all of the body was read.
        let _ = stream.write_all(body).await;
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply).await;
        reply
    };
    let reply = timeout(WITHIN, asking).await.expect("an answer");
    let end = reply.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("{what}: {}", String::from_utf8_lossy(&reply)));
    let head = String::from_utf8_lossy(&reply[..end]).to_ascii_lowercase();
    Reply {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head,
        body: reply[end + 4..].to_vec(),
    }
}

fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A page that gives two files, of 100,000 and of no bytes.
struct Giving {
    folder: TempDir,
    page: DownloadPage,
    server: WebServer,
}

impl Giving {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("film.mkv"), contents(100_000, 1)).unwrap();
        fs::write(folder.path().join("빈 파일"), "").unwrap();
        let paths = ["film.mkv", "빈 파일"].map(|name| folder.path().join(name));
        let files = FileSet::gather(paths).unwrap();
        let page = DownloadPage::new(files, &SendConfig::default().name("desk")).unwrap();
        let server = WebServer::bind(ANY, WebHandler::new(page.router())).unwrap();
        Self {
            folder,
            page,
            server,
        }
    }

    async fn get(&self, path: &str, headers: &str) -> Reply {
        let what = format!("GET {}{path}", self.page.path());
        ask(self.server.local_addr(), &what, headers, b"").await
    }
}

/// A page that takes files into a folder of its own.
struct Taking {
    folder: TempDir,
    page: UploadPage,
    server: WebServer,
}

impl Taking {
    fn start(config: ReceiveConfig) -> Self {
        Self::into(tempfile::tempdir().unwrap(), config)
    }

    fn into(folder: TempDir, config: ReceiveConfig) -> Self {
        let page = UploadPage::new(config).unwrap();
        let server = WebServer::bind(ANY, WebHandler::new(page.router())).unwrap();
        Self {
            folder,
            page,
            server,
        }
    }

    async fn ask(&self, what: &str, path: &str, body: &[u8]) -> Reply {
        let what = format!("{what} {}{path}", self.page.path());
        let json = "Content-Type: application/json\r\n";
        ask(self.server.local_addr(), &what, json, body).await
    }

    /// Offers files of these sizes, and returns the offer's path.
    async fn offer(&self, files: &[(&str, usize)]) -> String {
        let reply = self
            .ask("POST", "offer", offered(files, "null").as_bytes())
            .await;
        format!("offer/{}", id_of(&reply))
    }

    /// Offers files, which are accepted.
    async fn accepted(&mut self, files: &[(&str, usize)]) -> (String, Accepted) {
        let path = self.offer(files).await;
        let accepted = accept(self.page.next().await, self.folder.path());
        self.ask("GET", &format!("{path}?known=waiting"), b"").await;
        (path, accepted)
    }

    /// Sends `slice` of a file that is `before` and the slice up to there.
    async fn slice(&self, file: &str, before: &[u8], slice: &[u8]) -> Reply {
        let digest = sha256(&[before, slice].concat());
        let path = format!("{file}?offset={}&sha256={digest}", before.len());
        self.ask("PUT", &path, slice).await
    }

    fn names(&self) -> Vec<String> {
        names(self.folder.path())
    }
}

type Accepted = JoinHandle<Result<Summary, ReceiveError>>;

fn accept(offer: UploadOffer, into: &Path) -> Accepted {
    let destination = Destination::open(into).unwrap();
    tokio::spawn(async move { offer.accept(&destination).await })
}

fn offered(files: &[(&str, usize)], again: &str) -> String {
    let file = |(path, size): &(&str, usize)| {
        format!(r#"{{"path":"{path}","size":{size},"modified":1700000000123}}"#)
    };
    let files: Vec<_> = files.iter().map(file).collect();
    format!(r#"{{"files":[{}],"again":{again}}}"#, files.join(","))
}

#[track_caller]
fn id_of(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.text().split('"').nth(3).unwrap().to_owned()
}

/// What is in a folder, without the store's own files.
fn names(folder: &Path) -> Vec<String> {
    let found = fs::read_dir(folder).unwrap();
    let names = found.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names
        .filter(|name| !name.starts_with(".sockkit-"))
        .collect();
    names.sort();
    names
}

/// The page asks for the result, then the transfer ends.
async fn ended(taking: &Taking, path: &str, accepted: Accepted) -> Result<Summary, ReceiveError> {
    taking.ask("GET", path, b"").await;
    timeout(WITHIN, accepted).await.expect("it ends").unwrap()
}

#[tokio::test]
async fn a_file_is_downloaded_in_parts_and_verified() {
    let giving = Giving::start();
    giving.get("", "").await.has(200, "<title>sockkit</title>");
    giving
        .get("files", "")
        .await
        .has(200, r#""path":"film.mkv","size":100000"#);
    let film = contents(100_000, 1);
    let last = giving
        .get("file/0/film.mkv", "Range: bytes=60000-\r\n")
        .await;
    assert_eq!((last.status, &last.body[..]), (206, &film[60_000..]));
    assert!(
        last.head
            .contains("content-range: bytes 60000-99999/100000"),
        "{}",
        last.head
    );
    let tag = last
        .head
        .split("etag: ")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap();
    let range = format!("Range: bytes=0-59999\r\nIf-Range: {tag}\r\n");
    let first = giving.get("file/0/film.mkv", &range).await;
    assert_eq!((first.status, &first.body[..]), (206, &film[..60_000]));
    let of_another = "Range: bytes=0-59999\r\nIf-Range: \"other\"\r\n";
    assert_eq!(giving.get("file/0/x", of_another).await.body, film);
    let beyond = giving.get("file/0/x", "Range: bytes=100000-\r\n").await;
    assert_eq!(beyond.status, 416);
    giving.get("digest/0", "").await.has(200, &sha256(&film));

    let empty = giving.get("file/1/x", "").await;
    assert!(
        empty.head.contains("filename*=utf-8''%eb%b9%88%20"),
        "{}",
        empty.head
    );
    let summary = timeout(WITHIN, giving.page.finished()).await.unwrap();
    let digest = blake3::hash(&film);
    assert!(summary.is_complete(), "{summary:?}");
    assert_eq!(
        summary.files[0].outcome,
        FileOutcome::Complete(Some(sockkit::file::Digest(*digest.as_bytes())))
    );
}

#[tokio::test]
async fn a_file_that_changed_is_not_given() {
    let giving = Giving::start();
    giving.get("file/1/x", "").await.has(200, "");
    fs::write(giving.folder.path().join("film.mkv"), "other").unwrap();
    giving.get("file/0/x", "").await.has(410, "changed");
    let summary = timeout(WITHIN, giving.page.finished()).await.unwrap();
    assert!(!summary.is_complete());
}

#[tokio::test]
async fn without_the_secret_there_is_nothing() {
    let (giving, taking) = (Giving::start(), Taking::start(ReceiveConfig::default()));
    let pages = [
        (giving.server.local_addr(), giving.page.path().to_string()),
        (taking.server.local_addr(), taking.page.path().to_string()),
    ];
    for (at, path) in pages {
        let mut wrong = path.clone();
        let last = wrong.remove(26);
        wrong.insert(26, if last == 'a' { 'b' } else { 'a' });
        for (what, path) in [
            ("GET", "/".to_owned()),
            ("GET", wrong.clone()),
            ("GET", format!("{wrong}files")),
            ("GET", format!("/x{path}")),
            ("GET", format!("/%2e%2e{path}")),
            ("GET", path[..14].to_owned()),
            ("POST", format!("{wrong}offer")),
            ("PUT", format!("{wrong}offer/a/0")),
            ("OPTIONS", wrong),
        ] {
            let reply = ask(at, &format!("{what} {path}"), "", b"").await;
            reply.has(404, "not found\n");
        }
        let known = ask(at, &format!("GET {path}"), "", b"").await;
        assert_eq!(known.status, 200);
    }
}

#[tokio::test]
async fn other_pages_can_neither_read_nor_upload_nor_show() {
    let (giving, taking) = (Giving::start(), Taking::start(ReceiveConfig::default()));
    for headers in [
        "Origin: http://evil.example\r\n",
        "Origin: null\r\n",
        "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n",
        "Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n",
    ] {
        assert_eq!(giving.get("", headers).await.status, 403, "{headers}");
        assert_eq!(giving.get("file/0/x", headers).await.status, 403);
        let what = format!("POST {}offer", taking.page.path());
        let offer = offered(&[("a", 1)], "null");
        let headers = format!("{headers}Content-Type: application/json\r\n");
        let reply = ask(
            taking.server.local_addr(),
            &what,
            &headers,
            offer.as_bytes(),
        )
        .await;
        assert_eq!(reply.status, 403, "{headers}");
    }
    let page = giving.get("", "").await;
    for header in [
        "x-frame-options: deny",
        "referrer-policy: no-referrer",
        "cross-origin-resource-policy: same-origin",
        "frame-ancestors 'none'",
        "cache-control: no-store",
    ] {
        assert!(page.head.contains(header), "{header}: {}", page.head);
    }
    assert!(!page.head.contains("access-control-allow"), "{}", page.head);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_stranger_cannot_take_the_places() {
    let giving = Giving::start();
    let mut held = Vec::new();
    for _ in 0..300 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let connected = socket.connect(giving.server.local_addr()).await;
        held.push(connected.unwrap());
    }
    giving.get("file/1/x", "").await.has(200, "");
    drop(held);
}

#[tokio::test]
async fn a_connection_too_many_is_told_so_unless_encrypted() {
    let page = || WebHandler::new(Router::new());
    let tls = Arc::new(certificates().0);
    let encrypted = WebServer::bind_tls(ANY, Tls::new::<Stream>(tls, page())).unwrap();
    let in_the_clear = WebServer::bind(ANY, page()).unwrap();
    for (server, begins) in [(&in_the_clear, "HTTP/1.1 503 "), (&encrypted, "")] {
        let mut held = Vec::new();
        for _ in 0..32 {
            held.push(TcpStream::connect(server.local_addr()).await.unwrap());
        }
        let mut refused = TcpStream::connect(server.local_addr()).await.unwrap();
        let mut received = String::new();
        let ended = timeout(WITHIN, refused.read_to_string(&mut received)).await;
        assert_eq!(ended.expect("it ends").is_ok(), !begins.is_empty());
        assert!(received.starts_with(begins), "{received}");
        assert_eq!(received.is_empty(), begins.is_empty(), "{received}");
    }
}

#[tokio::test]
async fn the_page_is_mounted_beside_other_routes() {
    let giving = Giving::start();
    let app = Router::new()
        .route("/", get(async || "home"))
        .nest("/share", giving.page.router());
    let server = WebServer::bind(ANY, WebHandler::new(app)).unwrap();
    let at = server.local_addr();
    ask(at, "GET /", "", b"").await.has(200, "home");
    let path = format!("GET /share{}file/1/x", giving.page.path());
    ask(at, &path, "", b"").await.has(200, "");
    ask(at, "GET /share/x/file/1/x", "", b"")
        .await
        .has(404, "not found");
}

#[tokio::test]
async fn an_upload_continues_where_it_stopped() {
    let film = contents(BLOCK + 1_000, 2);
    let (first, last) = film.split_at(BLOCK);
    let config = || ReceiveConfig::default().on_conflict(OnConflict::Resume);
    let mut taking = Taking::start(config());
    let (path, accepted) = taking.accepted(&[("film.mkv", film.len())]).await;
    let file = format!("{path}/0");
    taking
        .slice(&file, b"", first)
        .await
        .has(200, r#"{"at":4194304}"#);
    // A cut connection: the page repeats what has arrived.
    taking
        .slice(&file, b"", first)
        .await
        .has(409, r#""at":4194304"#);
    // A reload: the same files are the same offer.
    let id = format!("\"{}\"", path.trim_start_matches("offer/"));
    let again = offered(&[("film.mkv", film.len())], &id);
    let again = taking.ask("POST", "offer", again.as_bytes()).await;
    assert_eq!(format!("offer/{}", id_of(&again)), path);
    assert_eq!(taking.names(), [""; 0]);
    // The program ends and starts again.
    accepted.abort();
    let _ = accepted.await;
    let Taking { folder, server, .. } = taking;
    server.shutdown().await;
    let mut taking = Taking::into(folder, config());
    let (path, accepted) = taking.accepted(&[("film.mkv", film.len())]).await;
    let known = taking.ask("GET", &path, b"").await;
    known.has(200, r#"{"at":4194304}"#);
    let done = taking.slice(&format!("{path}/0"), first, last).await;
    done.has(200, &sha256(&film));
    taking
        .ask("GET", &path, b"")
        .await
        .has(200, r#""status":"ended""#);
    let summary = ended(&taking, &path, accepted).await.unwrap();
    assert_eq!((summary.is_complete(), summary.moved_bytes), (true, 1_000));
    assert_eq!(
        fs::read(taking.folder.path().join("film.mkv")).unwrap(),
        film
    );
}

#[tokio::test]
async fn what_an_earlier_attempt_left_of_another_file_starts_again() {
    let (old, new) = (contents(BLOCK + 9, 3), contents(BLOCK + 9, 4));
    let mut taking = Taking::start(ReceiveConfig::default());
    let (path, accepted) = taking.accepted(&[("film.mkv", old.len())]).await;
    taking
        .slice(&format!("{path}/0"), b"", &old[..BLOCK])
        .await
        .has(200, "at");
    accepted.abort();
    let _ = accepted.await;
    let (path, accepted) = taking.accepted(&[("film.mkv", new.len())]).await;
    let file = format!("{path}/0");
    let (first, last) = new.split_at(BLOCK);
    taking.slice(&file, first, last).await.has(409, r#""at":0"#);
    taking.slice(&file, b"", first).await.has(200, "at");
    taking.slice(&file, first, last).await.has(200, "complete");
    assert!(ended(&taking, &path, accepted).await.unwrap().is_complete());
    assert_eq!(
        fs::read(taking.folder.path().join("film.mkv")).unwrap(),
        new
    );
}

#[tokio::test]
async fn names_that_lead_out_or_are_reserved_are_refused() {
    let hostile = [
        "../evil",
        "/tmp/evil",
        "a/../../evil",
        "a//b",
        ".",
        "..",
        "",
        ".sockkit-0123.part",
        "nul\\u0000byte",
    ];
    let mut files: Vec<_> = hostile.iter().map(|name| (*name, 3)).collect();
    files.push(("good", 3));
    let folder = tempfile::tempdir().unwrap();
    let inner = TempDir::new_in(folder.path()).unwrap();
    let inner_name = names(folder.path());
    let mut taking = Taking::into(inner, ReceiveConfig::default());
    let (path, accepted) = taking.accepted(&files).await;
    for index in 0..hostile.len() {
        let reply = taking.slice(&format!("{path}/{index}"), b"", b"abc").await;
        reply.has(200, r#"{"refused":["Name""#);
    }
    taking
        .slice(&format!("{path}/9"), b"", b"abc")
        .await
        .has(200, "complete");
    taking
        .slice(&format!("{path}/10"), b"", b"abc")
        .await
        .has(400, "no such file");
    let summary = ended(&taking, &path, accepted).await.unwrap();
    assert!(!summary.is_complete());
    assert_eq!(taking.names(), ["good"]);
    assert_eq!(names(folder.path()), inner_name);
}

#[tokio::test]
async fn slices_out_of_order_of_other_lengths_or_with_lying_digests_are_refused() {
    let film = contents(2 * BLOCK + 5, 5);
    let mut taking = Taking::start(ReceiveConfig::default());
    let (path, accepted) = taking.accepted(&[("film.mkv", film.len())]).await;
    let file = format!("{path}/0");
    let (first, second) = (&film[..BLOCK], &film[BLOCK..2 * BLOCK]);
    taking
        .slice(&file, first, second)
        .await
        .has(409, r#""at":0"#);
    taking
        .slice(&file, b"", &first[1..])
        .await
        .has(400, "should have");
    taking.slice(&file, b"", b"").await.has(400, "should have");
    let too_long = [first, &b"x"[..]].concat();
    assert_ne!(taking.slice(&file, b"", &too_long).await.status, 200);
    let lie = format!("{file}?offset=0&sha256={}", sha256(b"lie"));
    taking.ask("PUT", &lie, first).await.has(422, "digest");
    let bad = format!("{file}?offset=0&sha256=xyz");
    taking.ask("PUT", &bad, first).await.has(400, "digest");
    taking.slice(&file, b"", first).await.has(200, "at");
    // Overlapping what is there, and beyond the end.
    taking
        .slice(&file, &film[..BLOCK / 2], first)
        .await
        .has(409, r#""at":4194304"#);
    let beyond = format!("{file}?offset={}&sha256={}", u64::MAX, sha256(b""));
    taking
        .ask("PUT", &beyond, b"")
        .await
        .has(409, r#""at":4194304"#);
    assert_eq!(taking.names(), [""; 0]);
    taking.slice(&file, first, second).await.has(200, "at");
    taking
        .slice(&file, &film[..2 * BLOCK], &film[2 * BLOCK..])
        .await
        .has(200, "complete");
    // Once more: it has ended, and stays.
    taking.slice(&file, b"", first).await.has(200, "complete");
    assert!(ended(&taking, &path, accepted).await.unwrap().is_complete());
    assert_eq!(
        fs::read(taking.folder.path().join("film.mkv")).unwrap(),
        film
    );
}

#[tokio::test]
async fn offers_beyond_the_limits_and_other_texts_are_refused() {
    let config = ReceiveConfig::default().limits(Limits::default().max_total_bytes(1_000));
    let taking = Taking::start(config);
    let offer = |size: &str| format!(r#"{{"files":[{{"path":"a","size":{size},"modified":0}}]}}"#);
    for size in ["1001", "18446744073709551615"] {
        taking
            .ask("POST", "offer", offer(size).as_bytes())
            .await
            .has(413, "limit");
    }
    for text in [
        "",
        "[]",
        "{}",
        r#"{"files":[]}"#,
        &offer("-1"),
        &offer("1.5"),
        &offer("\"1\""),
    ] {
        let reply = taking.ask("POST", "offer", text.as_bytes()).await;
        assert!((400..500).contains(&reply.status), "{text}: {reply:?}");
    }
    for path in ["offer/x", &format!("offer/{}", "x".repeat(9_999))] {
        let reply = taking.ask("GET", path, b"").await;
        assert!([404, 410].contains(&reply.status), "{reply:?}");
    }
}

#[tokio::test]
async fn nothing_is_taken_before_it_is_accepted_or_after_it_is_declined() {
    let mut taking = Taking::start(ReceiveConfig::default());
    let path = taking.offer(&[("a", 3)]).await;
    let offer = taking.page.next().await;
    assert_eq!(offer.manifest().total_bytes(), 3);
    taking
        .slice(&format!("{path}/0"), b"", b"abc")
        .await
        .has(410, "no slices");
    offer.decline();
    taking
        .ask("GET", &path, b"")
        .await
        .has(200, r#""status":"declined""#);
    taking
        .slice(&format!("{path}/0"), b"", b"abc")
        .await
        .has(410, "no slices");
    assert_eq!(taking.names(), [""; 0]);
}

/// Starts to send a slice, and returns when the server waits for the rest of it.
async fn begun_slice(taking: &Taking, file: &str) -> TcpStream {
    let at = taking.server.local_addr();
    let head = format!(
        "PUT {}{file}?offset=0&sha256={} HTTP/1.1\r\nHost: {at}\r\nContent-Length: 3\r\n\
         Expect: 100-continue\r\n\r\n",
        taking.page.path(),
        sha256(b"abc")
    );
    begin(at, &head).await
}

/// Sends a request's head, and returns when the server waits for its body or refuses it.
async fn begin(at: SocketAddr, head: &str) -> TcpStream {
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut begun = [0; 12];
    let read = timeout(WITHIN, stream.read_exact(&mut begun)).await;
    read.expect("an answer").unwrap();
    stream
}

#[tokio::test]
async fn an_offer_cannot_hold_up_the_slices_of_another() {
    let mut taking = Taking::start(ReceiveConfig::default());
    let waiting = taking.offer(&[("b", 3)]).await;
    let shown = taking.page.next().await;
    let (slow, slow_accepted) = taking.accepted(&[("c", 3)]).await;
    let (path, accepted) = taking.accepted(&[("a", 3)]).await;
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(begun_slice(&taking, &format!("{waiting}/0")).await);
    }
    for _ in 0..2 {
        held.push(begun_slice(&taking, &format!("{slow}/0")).await);
    }
    let file = format!("{path}/0");
    taking.slice(&file, b"", b"abc").await.has(200, "complete");
    assert!(ended(&taking, &path, accepted).await.unwrap().is_complete());
    slow_accepted.abort();
    drop((held, shown));
}

#[tokio::test]
async fn unfinished_files_have_an_end() {
    let mut taking = Taking::start(ReceiveConfig::default());
    let names: Vec<_> = (0..70).map(|number| number.to_string()).collect();
    let files: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), BLOCK + 1))
        .collect();
    let (path, accepted) = taking.accepted(&files).await;
    let first = contents(BLOCK, 6);
    let slice = format!("offset=0&sha256={}", sha256(&first));
    let begin = async |index| {
        let file = format!("{path}/{index}?{slice}");
        taking.ask("PUT", &file, &first).await
    };
    let give_up = async |index| {
        let reply = taking.ask("DELETE", &format!("{path}/{index}"), b"").await;
        reply.has(200, "Unreadable");
    };
    for index in 0..64 {
        begin(index).await.has(200, "at");
    }
    // Those that were never begun make no room.
    give_up(68).await;
    give_up(69).await;
    begin(64).await.has(429, "unfinished");
    give_up(0).await;
    begin(64).await.has(200, "at");
    accepted.abort();
}

#[tokio::test]
async fn a_host_cannot_fill_the_queue_of_offers() {
    let taking = Taking::start(ReceiveConfig::default());
    assert_eq!(refused_of(&taking, "127.0.0.1", 6).await, 2);
}

#[tokio::test]
async fn a_host_sends_two_offers_at_once() {
    let taking = Taking::start(ReceiveConfig::default());
    let at = taking.server.local_addr();
    let head = format!(
        "POST {}offer HTTP/1.1\r\nHost: {at}\r\nContent-Type: application/json\r\n\
         Content-Length: 9\r\nExpect: 100-continue\r\n\r\n",
        taking.page.path()
    );
    let mut begun = Vec::new();
    for _ in 0..2 {
        begun.push(begin(at, &head).await);
    }
    let offer = offered(&[("a", 1)], "null");
    let third = taking.ask("POST", "offer", offer.as_bytes()).await;
    third.has(503, "others");
    drop(begun);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_queue_of_offers_has_an_end() {
    let taking = Taking::start(ReceiveConfig::default());
    for last in 1..=4 {
        let from = format!("127.0.0.{last}");
        assert_eq!(refused_of(&taking, &from, 5).await, 1, "{from}");
    }
    assert_eq!(refused_of(&taking, "127.0.0.5", 2).await, 2);
}

/// Makes `offers` of them from that address, and returns how many are refused.
async fn refused_of(taking: &Taking, from: &str, offers: usize) -> u32 {
    let what = format!("POST {}offer", taking.page.path());
    let json = "Content-Type: application/json\r\n";
    let mut refused = 0;
    for number in 0..offers {
        let offer = offered(&[(&format!("{number}"), 1)], "null");
        let at = taking.server.local_addr();
        let reply = ask_from(from, at, &what, json, offer.as_bytes()).await;
        refused += u32::from(reply.status == 503);
    }
    refused
}

/// What happens to a file `a` that is there with "old", when "new" or "old" is offered.
async fn conflict(on_conflict: OnConflict, offered: &[u8]) -> (String, String, Vec<String>) {
    let mut taking = Taking::start(ReceiveConfig::default().on_conflict(on_conflict));
    fs::write(taking.folder.path().join("a"), "old").unwrap();
    let (path, accepted) = taking.accepted(&[("a", 3)]).await;
    let state = taking.ask("GET", &path, b"").await.text().to_owned();
    let file = format!("{path}/0");
    if state.contains("compare") {
        taking.slice(&file, offered, b"").await.has(200, "");
    }
    if state.contains("open") {
        taking.slice(&file, b"", offered).await.has(200, "");
    }
    let last = taking.ask("GET", &path, b"").await.text().to_owned();
    let _ = ended(&taking, &path, accepted).await.unwrap();
    let a = fs::read_to_string(taking.folder.path().join("a")).unwrap();
    (last, a, taking.names())
}

#[tokio::test]
async fn existing_files_are_treated_as_by_receive() {
    let refused = |reason: &str| format!(r#"{{"refused":["{reason}""#);
    for (policy, offered, told, kept, names) in [
        (
            OnConflict::Refuse,
            "new",
            refused("Exists"),
            "old",
            &["a"][..],
        ),
        (OnConflict::Resume, "new", refused("Differs"), "old", &["a"]),
        (
            OnConflict::Resume,
            "old",
            "complete".to_owned(),
            "old",
            &["a"],
        ),
        (
            OnConflict::Update,
            "new",
            "complete".to_owned(),
            "new",
            &["a"],
        ),
        (
            OnConflict::Update,
            "old",
            "complete".to_owned(),
            "old",
            &["a"],
        ),
        (
            OnConflict::Overwrite,
            "new",
            "complete".to_owned(),
            "new",
            &["a"],
        ),
        (
            OnConflict::Rename,
            "new",
            "a (1)".to_owned(),
            "old",
            &["a", "a (1)"],
        ),
    ] {
        let (last, a, found) = conflict(policy, offered.as_bytes()).await;
        let found: Vec<_> = found.iter().map(String::as_str).collect();
        assert!(last.contains(&told), "{policy:?} {offered}: {last}");
        assert_eq!((a.as_str(), &found[..]), (kept, names), "{policy:?}");
    }
}

#[test]
fn a_slice_is_a_block() {
    assert_eq!(BLOCK as u64, BLOCK_BYTES);
}
