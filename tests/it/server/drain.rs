//! The graceful end, and the other one.

use std::{
    io,
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

use super::{PATIENCE, SOON, ask, connect, echo, is_closed, refused, start};

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
    // If a worker blocks right after it polled the network, no thread polls it,
    // or timers, until another worker is woken: tokio's
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
    let config = ServerConfig::default().quiet_period(None);
    let (server, mut ends) = start(config, async |mut stream, _peer| {
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

/// `clients` clients, each always with a request in flight, and a shutdown in
/// the middle of it. Every request that a connected client sent is answered.
async fn drain_under_load(clients: usize) {
    let (server, _ends) = start(
        ServerConfig::default(),
        async |mut stream: Stream, _: Peer| {
            let mut request = [0; 8];
            loop {
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

#[tokio::test]
async fn reads_stay_open_without_a_quiet_period() {
    let config = ServerConfig::default()
        .quiet_period(None)
        .drain_timeout(SOON);
    let (server, mut ends) = start(config, echo).await;
    let mut client = connect(&server).await;
    ask(&mut client, b"hello").await.unwrap();
    assert_eq!(server.shutdown().await.aborted, 1);
    assert_eq!(ends.next().await.end, End::Drained);
}

#[tokio::test]
async fn a_stream_that_another_task_reads_ends_too() {
    let (server, mut ends) = start(ServerConfig::default(), async |stream, _peer| {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let reading = tokio::spawn(async move { reader.read_to_end(&mut Vec::new()).await });
        writer.write_all(b"!").await?;
        reading.await??;
        Ok(())
    })
    .await;
    let mut client = connect(&server).await;
    assert_eq!(client.read_u8().await.unwrap(), b'!');
    let drained = timeout(PATIENCE, server.shutdown()).await.unwrap();
    assert_eq!(drained.aborted, 0);
    let ended = ends.next().await;
    assert_eq!(
        (ended.end, ended.handler),
        (End::Closed, HandlerEnd::Returned)
    );
}

#[tokio::test]
async fn the_end_of_a_drained_stream_stays_its_end() {
    let (server, mut ends) = start(ServerConfig::default(), async |mut stream, peer| {
        assert_eq!(stream.read(&mut [0]).await?, 0);
        assert!(peer.is_draining());
        // What comes later is not read by accident.
        stream.write_all(b"!").await?;
        stream.get_ref().readable().await?;
        assert_eq!(stream.read(&mut [0]).await?, 0);
        Ok(())
    })
    .await;
    let mut client = connect(&server).await;
    while server.metrics().active == 0 {
        tokio::task::yield_now().await;
    }
    let shutdown = tokio::spawn(server.shutdown());
    assert_eq!(client.read_u8().await.unwrap(), b'!');
    client.write_all(b"too late").await.unwrap();
    assert_eq!(shutdown.await.unwrap().aborted, 0);
    assert_eq!(ends.next().await.handler, HandlerEnd::Returned);
}

/// Unix sockets, whose bytes arrive at once, under a clock that stands still:
/// when exactly reads end.
#[cfg(unix)]
mod paused {
    use sockkit::server::{Drained, Server};
    use tokio::{
        net::{UnixListener, UnixStream},
        time::{Instant, sleep},
    };

    use super::*;

    /// A server that answers each two bytes with the same two, a client of it,
    /// and the folder of their socket.
    async fn pair() -> (
        Server<sockkit::server::PeerAddress>,
        UnixStream,
        tempfile::TempDir,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("echo.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let handle = async |mut stream: Stream<UnixStream>, _: Peer| {
            let mut request = [0; 2];
            loop {
                match stream.read_exact(&mut request).await {
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                    read => drop(read?),
                }
                stream.write_all(&request).await?;
            }
        };
        let server = Server::start(listener, ServerConfig::default(), handle).unwrap();
        let client = UnixStream::connect(&path).await.unwrap();
        while server.metrics().active == 0 {
            tokio::task::yield_now().await;
        }
        (server, client, folder)
    }

    /// How long the shutdown takes by the clock; nothing may be cut off.
    async fn shutdown(server: Server<sockkit::server::PeerAddress>) -> u128 {
        let begun = Instant::now();
        let Drained { aborted, .. } = server.shutdown().await;
        assert_eq!(aborted, 0);
        begun.elapsed().as_millis()
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_never_said_anything_ends_at_once() {
        let (server, mut client, _folder) = pair().await;
        assert_eq!(shutdown(server).await, 0);
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_was_quiet_ends_at_once() {
        let (server, mut client, _folder) = pair().await;
        client.write_all(b"hi").await.unwrap();
        client.read_exact(&mut [0; 2]).await.unwrap();
        sleep(Duration::from_millis(250)).await;
        assert_eq!(shutdown(server).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_spoke_just_now_has_200_ms_to_go_on() {
        let (server, mut client, _folder) = pair().await;
        client.write_all(b"h").await.unwrap();
        let asking = async {
            sleep(Duration::from_millis(150)).await;
            client.write_all(b"i").await.unwrap();
            let mut answer = [0; 2];
            client.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"hi");
        };
        let (took, ()) = tokio::join!(shutdown(server), asking);
        // Counted from the last byte, with the timer's millisecond.
        assert!((350..=352).contains(&took), "{took} ms");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_never_pauses_is_served_for_half_of_the_drain() {
        let (server, mut client, _folder) = pair().await;
        let asking = async {
            let mut answers = 0;
            while client.write_all(b"hi").await.is_ok()
                && client.read_exact(&mut [0; 2]).await.is_ok()
            {
                answers += 1;
                sleep(Duration::from_millis(100)).await;
            }
            answers
        };
        let (took, answers) = tokio::join!(shutdown(server), asking);
        assert!((5_000..5_100).contains(&took), "{took} ms");
        assert!(answers >= 49, "{answers}");
    }
}

mod real_time {
    use std::time::Instant;

    use sockkit::{server::Server, tcp::Listener, testing::real_time::check};

    use super::{Duration, ServerConfig, TcpStream, echo};

    #[test]
    #[ignore = "real time"]
    fn a_server_with_an_idle_client_ends_within_100_ms() {
        check("a server with an idle client ends within 100 ms", || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let took = runtime.block_on(async {
                let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
                let server = Server::start(listener, ServerConfig::default(), echo).unwrap();
                let _idle = TcpStream::connect(server.local_addr()).await.unwrap();
                while server.metrics().active == 0 {
                    tokio::task::yield_now().await;
                }
                let begun = Instant::now();
                assert_eq!(server.shutdown().await.aborted, 0);
                begun.elapsed()
            });
            if took < Duration::from_millis(100) {
                Ok(())
            } else {
                Err(format!("took {took:?}"))
            }
        });
    }
}
