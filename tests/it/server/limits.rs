//! Limits, panics, and what a handler may be.

use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
};

use sockkit::{
    server::{Handled, Handler, HandlerEnd, Peer, Server, ServerConfig, Stream},
    tcp::{End, Timeout},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{SOON, ask, bind, connect, echo, is_closed, start};

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

/// Panics where the library, not the handler, is running.
struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("dropped");
        }
    }
}

#[tokio::test]
async fn a_panic_outside_the_handler_is_counted_and_told() {
    let config = ServerConfig::default().idle_timeout(SOON);
    let (server, mut ends) = start(config, async |stream: Stream, _: Peer| {
        let _panics = PanicsWhenDropped;
        stream.readable().await?;
        Ok(())
    })
    .await;
    // The server stops the handler, and drops what it holds.
    let mut client = connect(&server).await;
    let ended = ends.next().await;
    assert_eq!(ended.handler, HandlerEnd::Panicked);
    assert!(is_closed(&mut client).await);
    let metrics = server.metrics();
    assert_eq!((metrics.panicked, metrics.active), (1, 0));
}

#[tokio::test]
async fn a_panic_in_on_end_does_not_stop_the_server() {
    let config = ServerConfig::default()
        .max_connections(1)
        .on_end(|_| panic!("asked to panic"));
    let server = Server::start(bind().await, config, echo).unwrap();
    let mut first = connect(&server).await;
    ask(&mut first, b"in").await.unwrap();
    // The accept loop itself tells of the one it refuses.
    assert!(is_closed(&mut connect(&server).await).await);
    ask(&mut first, b"still").await.unwrap();
    let served_by = server.local_addr();
    assert!(tokio::net::TcpStream::connect(served_by).await.is_ok());
    while server.metrics().panicked < 2 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_stream_in_another_task_is_timed_without_an_idle_timeout() {
    let config = ServerConfig::default()
        .idle_timeout(None)
        .read_timeout(SOON);
    let (server, mut ends) = start(config, async |mut stream: Stream, _: Peer| {
        let reading = tokio::spawn(async move { stream.read_u8().await });
        reading.await??;
        Ok(())
    })
    .await;
    let _silent = connect(&server).await;
    let ended = ends.next().await;
    assert_eq!(ended.end, End::TimedOut(Timeout::Read));
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
