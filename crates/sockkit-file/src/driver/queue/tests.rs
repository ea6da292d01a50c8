//! Peers in turn, over loopback.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    task::{JoinHandle, yield_now},
    time::timeout,
};

use super::{Arrival, Queue, Turn};
use crate::{
    FileSet, Offer, ReceiveConfig, SendConfig, SendError, Summary, send,
    session::{Abort, SessionError},
};

type Senders = Queue<Offer<TcpStream>>;
type Sending = JoinHandle<Result<Summary, SendError>>;

/// Fails the test instead of hanging it.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(30), future)
        .await
        .expect("in time")
}

async fn listen() -> (Senders, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (Queue::start(listener, ReceiveConfig::default()), address)
}

/// Offers this very folder's file of tests.
fn offer(name: &str, to: SocketAddr) -> Sending {
    let config = SendConfig::default().name(name);
    let source = FileSet::gather([concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")]).unwrap();
    tokio::spawn(async move {
        let stream = TcpStream::connect(to).await.unwrap();
        send(stream, source, &config).await
    })
}

async fn next(queue: &mut Senders) -> Turn<Offer<TcpStream>> {
    match soon(queue.next()).await.unwrap() {
        Arrival::Turn(turn) => turn,
        Arrival::Failed(failed) => panic!("{failed:?}"),
    }
}

/// Waits until so many peers wait, or have their turn.
async fn wait_for(queue: &Senders, waiting: usize) {
    use std::sync::atomic::Ordering::Relaxed;
    soon(async {
        while queue.shared.waiting.load(Relaxed) != waiting {
            yield_now().await;
        }
    })
    .await;
}

async fn is_told(sending: Sending) -> Abort {
    match soon(sending).await.unwrap().unwrap_err() {
        SendError::Session(SessionError::Aborted(reason)) => reason,
        error => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn peers_take_turns_and_a_silent_one_delays_none() {
    let (mut queue, address) = listen().await;
    let _silent = TcpStream::connect(address).await.unwrap();
    let one = offer("one", address);
    wait_for(&queue, 1).await;
    let two = offer("two", address);
    wait_for(&queue, 2).await;
    for (name, sending) in [("one", one), ("two", two)] {
        let turn = next(&mut queue).await;
        assert_eq!(turn.peer.peer(), name);
        assert_eq!(turn.address.ip(), Some(address.ip()));
        turn.peer.decline().await;
        assert_eq!(is_told(sending).await, Abort::Declined);
    }
}

#[tokio::test]
async fn who_leaves_before_the_turn_is_counted_and_not_called() {
    let (mut queue, address) = listen().await;
    let _first = offer("first", address);
    let first = next(&mut queue).await;
    let leaving = offer("leaves", address);
    wait_for(&queue, 2).await;
    let _stays = offer("stays", address);
    wait_for(&queue, 3).await;
    leaving.abort();
    wait_for(&queue, 2).await;
    drop(first);
    assert_eq!(next(&mut queue).await.peer.peer(), "stays");
    assert_eq!(queue.take_left(), 1);
    assert_eq!(queue.take_left(), 0);
}

#[tokio::test]
async fn a_queue_that_is_closed_tells_those_who_wait_why() {
    for closed_for in [Some(Abort::Busy), None] {
        let (mut queue, address) = listen().await;
        let _first = offer("first", address);
        let turn = next(&mut queue).await;
        assert!(!turn.place.others_wait());
        let waiting = offer("waits", address);
        wait_for(&queue, 2).await;
        assert!(turn.place.others_wait());
        let end = queue.end().expect("the first call");
        if let Some(reason) = closed_for {
            queue.close(reason);
        }
        drop(queue);
        let told = closed_for.unwrap_or(Abort::Cancelled);
        assert_eq!(is_told(waiting).await, told);
        soon(end).await.unwrap();
        drop(turn);
        assert!(TcpStream::connect(address).await.is_err(), "it listens");
    }
}

#[tokio::test]
async fn one_host_has_a_quarter_of_the_places_and_is_told_so() {
    let (queue, address) = listen().await;
    let mut crowd = Vec::new();
    for _ in 0..Senders::MAX_PEERS / 4 {
        crowd.push(TcpStream::connect(address).await.unwrap());
    }
    assert_eq!(is_told(offer("late", address)).await, Abort::Busy);
    drop((crowd, queue));
}

#[tokio::test]
async fn a_peer_that_breaks_the_protocol_is_told_of_and_delays_none() {
    let (mut queue, address) = listen().await;
    let mut stranger = TcpStream::connect(address).await.unwrap();
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    match soon(queue.next()).await.unwrap() {
        Arrival::Failed(failed) => assert_eq!(failed.address.ip(), Some(address.ip())),
        Arrival::Turn(turn) => panic!("{turn:?}"),
    }
    let _sending = offer("honest", address);
    assert_eq!(next(&mut queue).await.peer.peer(), "honest");
}
