//! The same server over TLS.

use std::{sync::Arc, time::Duration};

use sockkit::{
    server::{EncryptedOnly, HandlerEnd, Peer, Server, ServerConfig, Stream},
    tcp::{End, Timeout},
    tls::{
        Tls, TlsConnector, client,
        rustls::{
            self, RootCertStore,
            pki_types::{PrivateKeyDer, ServerName},
        },
        server::TlsStream,
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{Ends, PATIENCE, SOON, bind, connect, ends, is_closed};

/// A server that answers each line in capitals, with a fresh certificate for
/// `localhost`, and a client's trust in it.
async fn start(config: ServerConfig) -> (Server, Ends, TlsConnector) {
    start_within(config, SOON * 10).await
}

/// The same, with another limit for the handshake.
async fn start_within(config: ServerConfig, handshake: Duration) -> (Server, Ends, TlsConnector) {
    let (tls, trust) = certificates();
    let shout = async |mut stream: TlsStream<Stream>, _: Peer| {
        let mut buffer = [0; 1024];
        loop {
            let bytes = stream.read(&mut buffer).await?;
            if bytes == 0 {
                stream.shutdown().await?;
                return Ok(());
            }
            let answer = buffer[..bytes].to_ascii_uppercase();
            stream.write_all(&answer).await?;
        }
    };
    let (config, ends) = ends(config);
    let handler = Tls::new(Arc::new(tls), shout).handshake_timeout(handshake);
    let server = Server::start_handler(bind().await, config, handler).unwrap();
    (server, ends, TlsConnector::from(Arc::new(trust)))
}

/// A server's certificate for `localhost`, and a client's trust in it.
pub(crate) fn certificates() -> (rustls::ServerConfig, rustls::ClientConfig) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let tls = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let trust = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (tls, trust)
}

pub(super) async fn dial(
    server: &Server,
    trust: &TlsConnector,
    name: &'static str,
) -> std::io::Result<client::TlsStream<TcpStream>> {
    let tcp = connect(server).await;
    let name = ServerName::try_from(name).unwrap();
    timeout(PATIENCE, trust.connect(name, tcp)).await.unwrap()
}

#[tokio::test]
async fn a_request_is_answered_in_private() {
    let (server, mut ends, trust) = start(ServerConfig::default()).await;
    let mut client = dial(&server, &trust, "localhost").await.unwrap();
    client.write_all(b"louder").await.unwrap();
    let mut answer = [0; 6];
    timeout(PATIENCE, client.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&answer, b"LOUDER");
    client.shutdown().await.unwrap();
    assert_eq!(client.read(&mut answer).await.unwrap(), 0);
    drop(client);
    let ended = ends.next().await;
    assert_eq!(ended.handler, HandlerEnd::Returned);
    // The handshake is counted: these are the bytes on the wire.
    assert!(ended.sent_bytes > 100, "{ended:?}");
}

#[tokio::test]
async fn a_handshake_without_a_limit_succeeds() {
    let (server, _ends, trust) = start_within(ServerConfig::default(), Duration::MAX).await;
    dial(&server, &trust, "localhost").await.unwrap();
    assert_eq!(server.metrics().panicked, 0);
}

#[tokio::test]
async fn a_client_that_trusts_another_name_is_gone() {
    let (server, mut ends, trust) = start(ServerConfig::default()).await;
    let refused = dial(&server, &trust, "other.example").await;
    assert!(refused.unwrap_err().to_string().contains("certificate"));
    let ended = ends.next().await;
    assert_eq!(ended.handler, HandlerEnd::Failed, "{ended:?}");
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_given_up() {
    let (server, mut ends, trust) = start(ServerConfig::default()).await;
    let mut silent = connect(&server).await;
    let ended = ends.next().await;
    assert_eq!(ended.end, End::TimedOut(Timeout::Handshake));
    assert!(is_closed(&mut silent).await);
    assert_eq!(server.metrics().timed_out, 1);
    dial(&server, &trust, "localhost").await.unwrap();
}

#[tokio::test]
async fn what_is_no_tls_is_turned_away() {
    let (server, mut ends, _trust) = start(ServerConfig::default()).await;
    let mut client = connect(&server).await;
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(ends.next().await.handler, HandlerEnd::Failed);
}

#[tokio::test]
async fn http_in_the_clear_gets_no_response() {
    let (tls, trust) = certificates();
    let hello = async |mut stream: TlsStream<Stream>, _: Peer| {
        stream.write_all(b"hello").await?;
        Ok(stream.shutdown().await?)
    };
    let handler = EncryptedOnly::new(Tls::new(Arc::new(tls), hello));
    let (config, mut ends) = ends(ServerConfig::default());
    let server = Server::start_handler(bind().await, config, handler).unwrap();
    let mut asking = connect(&server).await;
    asking.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let ended = ends.next().await;
    assert_eq!(ended.handler, HandlerEnd::Returned);
    assert_eq!(ended.sent_bytes, 0);
    let trust = TlsConnector::from(Arc::new(trust));
    let mut client = dial(&server, &trust, "localhost").await.unwrap();
    let mut received = String::new();
    client.read_to_string(&mut received).await.unwrap();
    assert_eq!(received, "hello");
    // One that has sent nothing holds up no shutdown.
    let silent = connect(&server).await;
    timeout(PATIENCE, server.shutdown()).await.unwrap();
    drop(silent);
}

#[tokio::test]
async fn the_servers_timeouts_hold_under_tls() {
    let idle = Duration::from_secs(1);
    let (server, mut ends, trust) = start(ServerConfig::default().idle_timeout(idle)).await;
    let mut client = dial(&server, &trust, "localhost").await.unwrap();
    assert_eq!(ends.next().await.end, End::TimedOut(Timeout::Idle));
    // Not in order: TLS tells this from an end that was meant.
    let cut_off = timeout(PATIENCE, client.read(&mut [0; 16])).await.unwrap();
    assert!(cut_off.is_err(), "{cut_off:?}");
}
