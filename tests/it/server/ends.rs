//! Why each connection ended.

use std::time::{Duration, Instant};

use sockkit::{
    server::{HandlerEnd, ServerConfig},
    tcp::{End, Timeout},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{PATIENCE, SOON, ask, connect, echo, is_closed, start};

#[tokio::test]
async fn a_peer_that_closes_has_finished() {
    let (server, mut ends) = start(ServerConfig::default(), echo).await;
    let mut client = connect(&server).await;
    ask(&mut client, b"hello").await.unwrap();
    drop(client);
    let ended = ends.next().await;
    assert_eq!(
        (ended.end, ended.handler),
        (End::Finished, HandlerEnd::Returned)
    );
    assert_eq!((ended.received_bytes, ended.sent_bytes), (5, 5));
}

#[tokio::test]
async fn a_half_closed_peer_still_gets_its_answer() {
    let (server, mut ends) = start(ServerConfig::default(), async |mut stream, _peer| {
        let mut request = Vec::new();
        stream.read_to_end(&mut request).await?;
        stream.write_all(&request).await?;
        Ok(())
    })
    .await;
    let mut client = connect(&server).await;
    client.write_all(b"all of it").await.unwrap();
    client.shutdown().await.unwrap();
    let mut reply = Vec::new();
    client.read_to_end(&mut reply).await.unwrap();
    assert_eq!(reply, b"all of it");
    assert_eq!(ends.next().await.end, End::Finished);
}

#[tokio::test]
async fn a_peer_that_resets_is_a_reset() {
    let (server, mut ends) = start(ServerConfig::default(), echo).await;
    let mut client = connect(&server).await;
    ask(&mut client, b"hello").await.unwrap();
    client.set_zero_linger().unwrap();
    drop(client);
    let ended = ends.next().await;
    assert_eq!((ended.end, ended.handler), (End::Reset, HandlerEnd::Failed));
}

#[tokio::test]
async fn a_silent_peer_is_idle() {
    let (server, mut ends) = start(ServerConfig::default().idle_timeout(SOON), echo).await;
    let mut client = connect(&server).await;
    let ended = ends.next().await;
    assert_eq!(ended.end, End::TimedOut(Timeout::Idle));
    assert_eq!(ended.handler, HandlerEnd::Stopped);
    assert!(ended.lasted >= SOON, "{:?}", ended.lasted);
    assert!(is_closed(&mut client).await);
    assert_eq!(server.metrics().timed_out, 1);
}

#[tokio::test]
async fn a_talking_peer_is_not_idle() {
    // Longer than a busy machine keeps this task waiting.
    let idle = Duration::from_secs(3);
    let (server, mut ends) = start(ServerConfig::default().idle_timeout(idle), echo).await;
    let mut client = connect(&server).await;
    let start = Instant::now();
    let mut last = start;
    while start.elapsed() < idle + idle / 3 {
        last = Instant::now();
        ask(&mut client, b"still here").await.unwrap();
        tokio::time::sleep(idle / 20).await;
    }
    assert_eq!(ends.next().await.end, End::TimedOut(Timeout::Idle));
    assert!(last.elapsed() >= idle);
}

#[tokio::test]
async fn a_request_that_does_not_come_passes_the_read_timeout() {
    let (server, mut ends) = start(ServerConfig::default().read_timeout(SOON), echo).await;
    let _client = connect(&server).await;
    assert_eq!(ends.next().await.end, End::TimedOut(Timeout::Read));
}

#[tokio::test]
async fn waiting_to_be_readable_has_the_read_timeout_too() {
    let config = ServerConfig::default().read_timeout(SOON);
    let (server, mut ends) =
        start(config, async |stream, _peer| Ok(stream.readable().await?)).await;
    let _client = connect(&server).await;
    assert_eq!(ends.next().await.end, End::TimedOut(Timeout::Read));
}

#[tokio::test]
async fn a_peer_that_takes_nothing_passes_the_write_timeout() {
    let (server, mut ends) = start(
        ServerConfig::default().write_timeout(SOON),
        async |mut stream, _peer| loop {
            stream.write_all(&[0; 65536]).await?;
        },
    )
    .await;
    let _client = connect(&server).await;
    let ended = ends.next().await;
    assert_eq!(ended.end, End::TimedOut(Timeout::Write));
    assert!(ended.sent_bytes > 0);
}

#[tokio::test]
async fn a_slow_loris_lives_no_longer_than_its_lifetime() {
    let lifetime = Duration::from_millis(300);
    let config = ServerConfig::default()
        .lifetime(lifetime)
        .idle_timeout(SOON * 4);
    let (server, mut ends) = start(config, echo).await;
    let mut client = connect(&server).await;
    let drip = tokio::spawn(async move {
        while client.write_all(b".").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let ended = ends.next().await;
    assert_eq!(ended.end, End::TimedOut(Timeout::Lifetime));
    assert!(ended.lasted < lifetime * 10, "{:?}", ended.lasted);
    tokio::time::timeout(PATIENCE, drip).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_handler_that_returns_has_closed() {
    let (server, mut ends) = start(ServerConfig::default(), async |_stream, _peer| Ok(())).await;
    let mut client = connect(&server).await;
    assert!(is_closed(&mut client).await);
    assert_eq!(ends.next().await.end, End::Closed);
}

#[tokio::test]
async fn the_timeouts_obey_a_paused_clock() {
    tokio::time::pause();
    let start_time = tokio::time::Instant::now();
    let (server, mut ends) = start(ServerConfig::default(), echo).await;
    let _client = connect(&server).await;
    let ended = ends.next_unhurried().await;
    assert_eq!(ended.end, End::TimedOut(Timeout::Idle));
    assert!(start_time.elapsed() >= Duration::from_secs(300));
}
