//! Limits, panics, and what a handler may be.

use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
};

use sockkit::{
    server::{Handled, Handler, HandlerEnd, Peer, Server, ServerConfig, Stream},
    tcp::End,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{ask, connect, echo, is_closed, start};

#[tokio::test]
async fn one_too_many_is_refused_and_told_at_once() {
    let (server, mut ends) = start(ServerConfig::default().max_connections(2), echo).await;
    let mut clients = [connect(&server).await, connect(&server).await];
    for client in &mut clients {
        ask(client, b"in").await.unwrap();
    }
    assert!(is_closed(&mut connect(&server).await).await);
    let ended = ends.next().await;
    assert_eq!((ended.end, ended.handler), (End::Limit, HandlerEnd::NotRun));
    assert_eq!(server.metrics().refused, 1);
    // A place that is left can be taken.
    drop(clients);
    ends.next().await;
    ask(&mut connect(&server).await, b"in").await.unwrap();
}

#[tokio::test]
async fn one_address_cannot_take_all_places() {
    let config = ServerConfig::default().max_connections_per_address(1);
    let (server, mut ends) = start(config, echo).await;
    let mut first = connect(&server).await;
    ask(&mut first, b"in").await.unwrap();
    assert!(is_closed(&mut connect(&server).await).await);
    assert_eq!(ends.next().await.end, End::Limit);

    let other = tokio::net::TcpSocket::new_v4().unwrap();
    other.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = other.connect(server.local_addr()).await.unwrap();
    ask(&mut other, b"in").await.unwrap();
}

#[tokio::test]
async fn a_panic_ends_its_own_connection_only() {
    let (server, mut ends) = start(ServerConfig::default(), async |mut stream, peer| {
        assert_ne!(stream.read_u8().await?, b'!', "asked to panic");
        echo(stream, peer).await
    })
    .await;
    let mut calm = connect(&server).await;
    calm.write_all(b".").await.unwrap();
    ask(&mut calm, b"before").await.unwrap();

    let mut other = connect(&server).await;
    other.write_all(b"!").await.unwrap();
    assert!(is_closed(&mut other).await);
    let ended = ends.next().await;
    assert_eq!(
        (ended.end, ended.handler),
        (End::Closed, HandlerEnd::Panicked)
    );

    ask(&mut calm, b"after").await.unwrap();
    assert_eq!(server.metrics().panicked, 1);
}

/// What `socketserver` programs write: a type with state and `handle`.
struct Shout {
    served: AtomicUsize,
}

impl Handler for Shout {
    async fn handle(&self, mut stream: Stream, _peer: Peer) -> Handled {
        let mut line = String::new();
        stream.read_to_string(&mut line).await?;
        stream.write_all(line.to_uppercase().as_bytes()).await?;
        self.served.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[tokio::test]
async fn a_handler_type_serves() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let shout = Shout {
        served: AtomicUsize::new(0),
    };
    let server = Server::start_handler(listener, ServerConfig::default(), shout).unwrap();
    let mut client = connect(&server).await;
    client.write_all(b"louder").await.unwrap();
    client.shutdown().await.unwrap();
    let mut reply = String::new();
    client.read_to_string(&mut reply).await.unwrap();
    assert_eq!(reply, "LOUDER");
}

#[tokio::test]
async fn two_servers_cannot_have_one_port() {
    let (server, _ends) = start(ServerConfig::default(), echo).await;
    let second = TcpListener::bind(server.local_addr()).await;
    assert_eq!(second.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    ask(&mut connect(&server).await, b"the first stays")
        .await
        .unwrap();
}
