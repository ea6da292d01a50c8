//! The programs in `examples/`, run as their users run them, but for `main`.

use std::{
    collections::{HashMap, HashSet},
    fs,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use sockkit::{
    file::{Destination, FileOutcome, FileSet, RefuseReason, SendConfig, send},
    latest,
    picture::{Picture, PixelFormat},
    tcp::Listener,
    tls::{TlsConnector, rustls::pki_types::ServerName},
    udp::{Transmit, UdpEndpoint},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    sync::{mpsc, oneshot},
    task::yield_now,
    time::timeout,
};

use crate::server::tls::certificates;

/// Compiles an example as a module, without its `main`.
macro_rules! programs {
    ($($name:ident $path:literal),+ $(,)?) => {$(
        #[path = $path]
        #[allow(dead_code, reason = "its `main` is not called")]
        mod $name;
    )+};
}

programs! {
    chat "../../examples/chat.rs",
    file_drop "../../examples/file_drop.rs",
    hello_then_files "../../examples/hello_then_files.rs",
    telemetry "../../examples/telemetry.rs",
    unix_server "../../examples/unix_server.rs",
    viewer_app "../../examples/viewer_app.rs",
}

fn listener() -> Listener {
    Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap()
}

/// A line from a server, however long it may take.
async fn line(reader: &mut (impl tokio::io::AsyncBufRead + Unpin)) -> String {
    let mut line = String::new();
    let read = timeout(WITHIN, reader.read_line(&mut line)).await;
    read.expect("a line in time").unwrap();
    line.trim_end().to_owned()
}

#[tokio::test]
async fn in_the_chat_each_line_goes_to_all_others_and_all_are_told_goodbye() {
    let server = chat::serve(listener()).unwrap();
    let mut clients = Vec::new();
    for _ in 0..50 {
        let stream = TcpStream::connect(server.local_addr()).await.unwrap();
        let mut client = BufReader::new(stream);
        assert_eq!(line(&mut client).await, "welcome");
        clients.push(client);
    }
    let mut late = BufReader::new(TcpStream::connect(server.local_addr()).await.unwrap());
    assert_eq!(line(&mut late).await, "the room is full");

    for client in &mut clients {
        client.write_all(b"hi \x1b[2J\n").await.unwrap();
    }
    let names: HashSet<_> = clients
        .iter()
        .map(|client| client.get_ref().local_addr().unwrap())
        .collect();
    for client in &mut clients {
        let own = client.get_ref().local_addr().unwrap();
        let mut others = names.clone();
        others.remove(&own);
        while !others.is_empty() {
            let heard = line(client).await;
            let (name, said) = heard.split_once(": ").unwrap();
            assert!(others.remove(&name.parse().unwrap()), "{heard} to {own}");
            assert_eq!(said, "hi \\u{1b}[2J");
        }
    }
    let shutdown = tokio::spawn(server.shutdown());
    for client in &mut clients {
        assert_eq!(line(client).await, "bye");
        assert_eq!(line(client).await, "");
    }
    assert_eq!(shutdown.await.unwrap().aborted, 0);
}

#[tokio::test]
async fn telemetry_of_a_hundred_senders_has_the_kernels_time() {
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut collector = telemetry::Collector::bind(anywhere).unwrap();
    let to = collector.endpoint.local_addr().unwrap();
    timeout(WITHIN, until_stamped(&mut collector))
        .await
        .expect("the kernel stamps what arrives");
    let before = SystemTime::now();
    // All stay open: a port must not serve two of them.
    let mut senders = Vec::new();
    for number in 0..100 {
        let sender = UdpEndpoint::bind(anywhere).unwrap();
        for reading in [
            "20.5".to_owned(),
            "no number".to_owned(),
            number.to_string(),
        ] {
            let datagram = Transmit::new(to, reading.as_bytes());
            sender.send(datagram).await.unwrap();
        }
        senders.push((sender, f64::from(number)));
    }
    // All have been received: what is read later was not received later.
    let after = SystemTime::now();
    let all = async {
        while collector
            .sensors
            .values()
            .map(|sensor| sensor.readings)
            .sum::<u64>()
            < 200
        {
            collector.receive().await.unwrap();
        }
    };
    timeout(WITHIN, all).await.expect("all of them arrive");
    assert_eq!((collector.sensors.len(), collector.dropped), (100, 0));
    for (sender, number) in senders {
        let sensor = &collector.sensors[&sender.local_addr().unwrap()];
        assert_eq!((sensor.readings, sensor.newest), (2, number));
        if cfg!(target_os = "linux") {
            assert!((before..=after).contains(&sensor.received), "{sensor:?}");
        }
    }
}

/// Linux starts to stamp datagrams a moment after the first socket asks for that, from a
/// work queue; until then it tells the time of the reading.
async fn until_stamped(collector: &mut telemetry::Collector) {
    let to = collector.endpoint.local_addr().unwrap();
    let probe = UdpEndpoint::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let from = probe.local_addr().unwrap();
    loop {
        probe.send(Transmit::new(to, b"0")).await.unwrap();
        let arrived = SystemTime::now();
        collector.receive().await.unwrap();
        if collector.sensors[&from].received <= arrived || cfg!(not(target_os = "linux")) {
            collector.sensors.clear();
            return;
        }
        yield_now().await;
    }
}

#[tokio::test]
async fn the_file_drop_takes_and_refuses_each_file_by_itself() {
    let (tls, trust) = certificates();
    let (dropped, mut inboxes) = mpsc::channel(1);
    let server = file_drop::serve(listener(), tls, dropped).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let huge = fs::File::create(folder.path().join("huge.jpg")).unwrap();
    huge.set_len(9 << 20).unwrap();
    fs::write(folder.path().join("a.jpg"), "a picture").unwrap();
    fs::write(folder.path().join("b.sh"), "no picture").unwrap();
    fs::create_dir(folder.path().join("c")).unwrap();
    fs::write(folder.path().join("c/d.jpg"), vec![7; 3 << 20]).unwrap();
    let paths = ["a.jpg", "b.sh", "c", "huge.jpg"].map(|name| folder.path().join(name));

    let tcp = TcpStream::connect(server.local_addr()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(trust))
        .connect(name, tcp)
        .await
        .unwrap();
    let source = FileSet::gather(paths).unwrap();
    let sent = send(stream, source, &SendConfig::default()).await.unwrap();
    let outcomes: HashMap<_, _> = sent
        .files
        .iter()
        .map(|file| (file.path.to_string(), file.outcome))
        .collect();
    assert!(matches!(outcomes["a.jpg"], FileOutcome::Complete(Some(_))));
    assert!(matches!(
        outcomes["c/d.jpg"],
        FileOutcome::Complete(Some(_))
    ));
    assert_eq!(
        outcomes["b.sh"],
        FileOutcome::Refused(RefuseReason::Unwanted)
    );
    assert_eq!(
        outcomes["huge.jpg"],
        FileOutcome::Refused(RefuseReason::TooLarge)
    );

    let inbox = timeout(WITHIN, inboxes.recv()).await.unwrap().unwrap();
    assert_eq!(inbox.files.len(), 2);
    assert_eq!(inbox.files["a.jpg"], b"a picture");
    assert!(inbox.files["c/d.jpg"] == vec![7; 3 << 20]);
    server.shutdown().await;
}

#[tokio::test]
async fn the_app_has_its_own_page_and_the_cameras() {
    let (publisher, pictures) = latest::channel();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let using = async {
        publisher.publish(Picture::new(PixelFormat::Gray, 64, 48, vec![7; 64 * 48]).unwrap());
        let get = async |path: &str| {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let asked = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
            stream.write_all(asked.as_bytes()).await.unwrap();
            stream
        };
        let mut page = String::new();
        get("/").await.read_to_string(&mut page).await.unwrap();
        assert!(page.contains("<h1>The office, live</h1>"), "{page}");
        // As the page's own <img> asks for it.
        let mut stream = BufReader::new(get("/camera/stream").await);
        assert_eq!(line(&mut stream).await, "HTTP/1.0 200 OK");
        while line(&mut stream).await != "Content-Type: image/jpeg" {}
        stop.send(()).unwrap();
        // It ends, so that the server can.
        timeout(WITHIN, stream.read_to_end(&mut Vec::new()))
            .await
            .unwrap()
            .unwrap();
    };
    let serving = viewer_app::serve(listener, pictures, async {
        let _ = stopped.await;
    });
    let (served, ()) = tokio::join!(timeout(WITHIN, serving), using);
    served.expect("it drains").unwrap();
}

#[tokio::test]
async fn the_unix_server_answers_at_a_path_that_may_exist_from_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("numbers.sock");
    for _ in 0..2 {
        let server = unix_server::serve(&path).unwrap();
        for number in 1..3 {
            let stream = tokio::net::UnixStream::connect(&path).await.unwrap();
            let mut client = BufReader::new(stream);
            client.write_all(b"disk\n").await.unwrap();
            assert_eq!(line(&mut client).await, format!("disk: {number}"));
        }
        assert_eq!(server.shutdown().await.aborted, 0);
    }
}

#[tokio::test]
async fn files_follow_a_framed_hello_on_the_same_connection() {
    let (from, into) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(from.path().join("a.jpg"), vec![7; 3 << 20]).unwrap();
    let source = || FileSet::gather([from.path().join("a.jpg")]).unwrap();
    let boxes = [("photos".to_owned(), Destination::open(into.path()).unwrap())];
    let server = hello_then_files::serve(listener(), boxes.into()).unwrap();

    let refused = hello_then_files::bring(server.local_addr(), "letters", source()).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("no such mailbox"), "{refused}");
    for _ in 0..20 {
        let _ = fs::remove_file(into.path().join("a.jpg"));
        let sent = hello_then_files::bring(server.local_addr(), "photos", source()).await;
        assert!(sent.unwrap().is_complete());
        assert!(fs::read(into.path().join("a.jpg")).unwrap() == vec![7; 3 << 20]);
    }
}

const WITHIN: Duration = Duration::from_secs(20);
