//! The viewer over TLS.

use std::{net::SocketAddr, sync::Arc};

use sockkit::{
    latest::{self, Publisher},
    picture::Picture,
    sink::web::{WebServer, WebServerConfig, WebStream},
    tcp::Connector,
    tls::{TlsConnector, client::TlsStream},
};
use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};

use super::{
    LOOPBACK, WITHIN, Watcher, answer, config, gray,
    pull::{Client, upgrade_on},
    send, send_on,
};
use crate::server::tls::certificates;

#[tokio::test]
async fn the_page_and_the_pictures_are_encrypted() {
    let (viewer, publisher, trust) = viewer().await;
    publisher.publish(gray(1));
    let address = viewer.local_addr();
    let own = format!("Host: {address}\r\n");
    let page = answer(send_on(dial(&trust, address).await, "/", &own).await).await;
    page.check(200, "text/html; charset=utf-8");
    let stream = send_on(dial(&trust, address).await, "/stream", &own).await;
    let mut watcher = Watcher::of(stream).await;
    watcher.part().await;
    assert_eq!(watcher.number, 1);
    let (status, stream) = upgrade_on(dial(&trust, address).await, "/pull", &own).await;
    assert_eq!(status, 101);
    let mut client = Client { stream };
    client.ask().await;
    assert_eq!(client.number().await, 1);
    timeout(WITHIN, viewer.shutdown())
        .await
        .expect("shutdown is bounded");
}

#[tokio::test]
async fn what_is_not_encrypted_gets_no_response() {
    let (viewer, publisher, _trust) = viewer().await;
    publisher.publish(gray(1));
    let address = viewer.local_addr();
    let mut stream = send(address, "/snapshot", &format!("Host: {address}\r\n")).await;
    let mut received = Vec::new();
    // A reset counts as well.
    let _ = timeout(WITHIN, stream.read_to_end(&mut received))
        .await
        .expect("the connection ends");
    assert_eq!(received, [0; 0]);
}

#[tokio::test]
async fn a_connection_too_many_gets_no_response_in_the_clear() {
    let (viewer, _publisher, trust) = viewer_with(config().max_viewers(1)).await;
    let address = viewer.local_addr();
    // One that watches, and a quarter of those to spare.
    let mut held = Vec::new();
    for _ in 0..17 {
        held.push(dial(&trust, address).await);
    }
    let mut refused = TcpStream::connect(address).await.unwrap();
    let mut received = Vec::new();
    let ended = timeout(WITHIN, refused.read_to_end(&mut received)).await;
    let ended = ended.expect("the connection ends").map_err(|it| it.kind());
    assert_eq!(ended, Err(std::io::ErrorKind::ConnectionReset));
    assert_eq!(received, [0; 0]);
}

#[tokio::test]
async fn a_page_in_the_clear_reads_no_encrypted_pictures() {
    let (viewer, publisher, trust) = viewer().await;
    publisher.publish(gray(1));
    let address = viewer.local_addr();
    for (scheme, status) in [("https", 101), ("http", 403)] {
        let headers = format!("Host: {address}\r\nOrigin: {scheme}://{address}\r\n");
        let (answered, _) = upgrade_on(dial(&trust, address).await, "/pull", &headers).await;
        assert_eq!(answered, status, "{scheme}");
    }
}

/// Of the pictures that were taken meanwhile, most are skipped.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_viewer_that_did_not_read_finds_a_few_old_pictures_at_most() {
    let (viewer, publisher, trust) = viewer().await;
    let address = viewer.local_addr();
    let own = format!("Host: {address}\r\n");
    let open = async |connector| {
        let stream = dial_by(connector, &trust, address).await;
        Watcher::of(send_on(stream, "/stream", &own).await).await
    };
    let mut reader = open(Connector::default()).await;
    let frugal = sockkit::options::SocketOptions::new().receive_buffer_bytes(4_096);
    let mut sleeper = open(Connector::default().options(frugal)).await;
    for number in 1..=100 {
        publisher.publish(super::noise(number));
        while reader.number < number {
            reader.part().await;
        }
    }
    let mut woken = Vec::new();
    while sleeper.number < 100 {
        sleeper.part().await;
        woken.push(sleeper.number);
    }
    woken.retain(|&number| number > 0);
    assert!(woken.len() <= 5, "{woken:?}");
}

/// A viewer of one stream, and a client's trust in its certificate.
async fn viewer() -> (WebServer, Publisher<Picture>, TlsConnector) {
    viewer_with(config()).await
}

async fn viewer_with(config: WebServerConfig) -> (WebServer, Publisher<Picture>, TlsConnector) {
    let (tls, trust) = certificates();
    let (publisher, pictures) = latest::channel();
    let streams = [WebStream::new("camera", pictures)];
    let viewer = WebServer::bind_tls(LOOPBACK, config, streams, Arc::new(tls));
    let trust = TlsConnector::from(Arc::new(trust));
    (viewer.await.unwrap(), publisher, trust)
}

async fn dial(trust: &TlsConnector, address: SocketAddr) -> TlsStream<TcpStream> {
    dial_by(Connector::default(), trust, address).await
}

async fn dial_by(
    connector: Connector,
    trust: &TlsConnector,
    address: SocketAddr,
) -> TlsStream<TcpStream> {
    let stream = connector.connect(address).await.unwrap().into_inner();
    let name = "localhost".try_into().unwrap();
    let dialled = timeout(WITHIN, trust.connect(name, stream)).await;
    dialled.expect("a handshake in time").unwrap()
}
