//! The graceful end, and the other one.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use sockkit::{
    server::{HandlerEnd, Peer, ServerConfig, Stream},
    tcp::End,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{PATIENCE, SOON, ask, connect, echo, is_closed, start};

const NEVER: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_handler_that_never_returns_is_dropped_at_the_drain_deadline() {
    let config = ServerConfig::default().drain_timeout(SOON);
    let (server, mut ends) = start(config, async |_stream, _peer| {
        tokio::time::sleep(NEVER).await;
        Ok(())
    })
    .await;
    let mut client = connect(&server).await;
    while server.metrics().active == 0 {
        tokio::task::yield_now().await;
    }
    let drained = timeout(PATIENCE, server.shutdown()).await.unwrap();
    assert_eq!((drained.aborted, drained.stuck), (1, 0));
    let ended = ends.next().await;
    assert_eq!(
        (ended.end, ended.handler),
        (End::Drained, HandlerEnd::Stopped)
    );
    assert!(is_closed(&mut client).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_blocks_its_thread_does_not_hold_the_shutdown_up() {
    let config = ServerConfig::default().drain_timeout(SOON);
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = Arc::new(std::sync::Mutex::new(blocked));
    let (server, _ends) = start(config, move |_stream, _peer| {
        let blocked = Arc::clone(&blocked);
        async move {
            let _ = blocked.lock().unwrap().recv();
            Ok(())
        }
    })
    .await;
    // A worker that blocks right after it waited for the network leaves nobody
    // who waits for it, or for a timer, until another worker is woken: tokio's
    // affair, and not what is tested.
    let runtime = tokio::runtime::Handle::current();
    let (over, pulse) = std::sync::mpsc::channel::<()>();
    let waker = std::thread::spawn(move || {
        let beat = Duration::from_millis(10);
        while pulse.recv_timeout(beat) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            runtime.spawn(async {});
        }
    });
    let _client = connect(&server).await;
    while server.metrics().active == 0 {
        tokio::task::yield_now().await;
    }
    let drained = timeout(PATIENCE, server.shutdown()).await.unwrap();
    assert_eq!((drained.aborted, drained.stuck), (1, 1));
    drop((release, over));
    waker.join().unwrap();
}

#[tokio::test]
async fn a_client_that_resets_during_the_drain_is_no_trouble() {
    let (server, mut ends) = start(ServerConfig::default(), async |mut stream, _peer| {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await?;
        Ok(())
    })
    .await;
    let client = connect(&server).await;
    while server.metrics().active == 0 {
        tokio::task::yield_now().await;
    }
    let shutdown = tokio::spawn(server.shutdown());
    client.set_zero_linger().unwrap();
    drop(client);
    assert_eq!(shutdown.await.unwrap().aborted, 0);
    assert_eq!(ends.next().await.end, End::Reset);
}

#[tokio::test]
async fn a_dropped_server_takes_its_connections_along() {
    let (server, mut ends) = start(ServerConfig::default(), echo).await;
    let mut client = connect(&server).await;
    ask(&mut client, b"hello").await.unwrap();
    let address = server.local_addr();
    drop(server);
    assert!(is_closed(&mut client).await);
    assert_eq!(ends.next().await.end, End::Drained);
    refused(address).await;
}

/// Waits until `address` refuses: the listener's task has been told to end.
async fn refused(address: SocketAddr) {
    timeout(PATIENCE, async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it still accepts");
}

/// `clients` clients, each always with a request in flight, and a shutdown in
/// the middle of it. Every request that a connected client sent is answered.
async fn drain_under_load(clients: usize) {
    let (server, _ends) = start(
        ServerConfig::default(),
        async |mut stream: Stream, peer: Peer| {
            let mut request = [0; 8];
            while peer.has_request(&stream).await? {
                match stream.read_exact(&mut request).await {
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                    read => drop(read?),
                }
                // Work that takes a moment, so that the shutdown finds it undone.
                tokio::time::sleep(Duration::from_millis(20)).await;
                stream.write_all(&request).await?;
            }
            stream.shutdown().await?;
            Ok(())
        },
    )
    .await;
    let address = server.local_addr();
    let answered = Arc::new(AtomicUsize::new(0));
    let in_flight = Arc::new(tokio::sync::Barrier::new(clients + 1));
    let tasks: Vec<_> = (0..clients as u64)
        .map(|number| {
            let (in_flight, answered) = (Arc::clone(&in_flight), Arc::clone(&answered));
            tokio::spawn(async move {
                let mut client = TcpStream::connect(address).await.unwrap();
                client.write_all(&number.to_be_bytes()).await.unwrap();
                in_flight.wait().await;
                let reply = timeout(PATIENCE, client.read_u64()).await.unwrap();
                assert_eq!(reply.unwrap(), number, "an accepted request was lost");
                answered.fetch_add(1, Ordering::Relaxed);
                // Then the server closes in order.
                assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
            })
        })
        .collect();
    in_flight.wait().await;
    let shutdown = tokio::spawn(server.shutdown());
    refused(address).await;
    let drained = timeout(PATIENCE, shutdown).await.unwrap().unwrap();
    assert_eq!((drained.aborted, drained.stuck), (0, 0));
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(answered.load(Ordering::Relaxed), clients);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_under_load_loses_no_accepted_request() {
    for _ in 0..3 {
        drain_under_load(200).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "soak"]
async fn thirty_drains_under_load_lose_no_accepted_request() {
    for _ in 0..30 {
        drain_under_load(200).await;
    }
}
