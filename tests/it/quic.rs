//! The reliable stream over UDP, on loopback and through a relay that can be cut.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use sockkit::{
    BindError,
    quic::{ConnectError, Connection, Listener, QuicConfig, connect, connect_with},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UdpSocket,
    time::timeout,
};

use crate::wait::soon;

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Two ends, of which the first dialled; both have said a byte.
async fn pair(
    listener: &Listener,
    to: SocketAddr,
    config: &QuicConfig,
) -> (Connection, Connection) {
    let mut dialled = soon(connect_with(to, config)).await.unwrap();
    dialled.write_all(b"d").await.unwrap();
    let (mut accepted, _) = soon(listener.accept()).await.unwrap();
    accepted.write_all(b"a").await.unwrap();
    assert_eq!(soon(dialled.read_u8()).await.unwrap(), b'a');
    assert_eq!(soon(accepted.read_u8()).await.unwrap(), b'd');
    (dialled, accepted)
}

async fn direct() -> (Connection, Connection) {
    let listener = Listener::bind(LOOPBACK).unwrap();
    let to = listener.local_addr().unwrap();
    pair(&listener, to, &QuicConfig::default()).await
}

#[tokio::test]
async fn many_bytes_cross_in_both_directions_at_once() {
    let (dialled, accepted) = direct().await;
    let there: Vec<u8> = (0..=250).collect::<Vec<u8>>().repeat(80_000);
    let back: Vec<u8> = there.iter().map(|byte| !byte).collect();
    let both = [
        (dialled, there.clone(), back.clone()),
        (accepted, back, there),
    ];
    let both = both.map(|(connection, says, hears)| {
        tokio::spawn(async move {
            let (mut reader, mut writer) = tokio::io::split(connection);
            let write = async {
                writer.write_all(&says).await?;
                writer.shutdown().await
            };
            let mut heard = Vec::new();
            let (read, written) = tokio::join!(reader.read_to_end(&mut heard), write);
            read.unwrap();
            written.unwrap();
            assert!(heard == hears);
        })
    });
    for end in both {
        soon(end).await.unwrap();
    }
}

#[tokio::test]
async fn both_sides_see_one_fingerprint_and_every_listener_has_its_own() {
    let (dialled, accepted) = direct().await;
    assert_eq!(dialled.fingerprint(), accepted.fingerprint());
    let shown = dialled.fingerprint().to_string();
    let groups: Vec<_> = shown.split('-').collect();
    assert_eq!(groups.len(), 16, "{shown}");
    for group in groups {
        assert!(group.len() == 4 && group.chars().all(|digit| digit.is_ascii_hexdigit()));
    }
    let (other, _) = direct().await;
    assert_ne!(dialled.fingerprint(), other.fingerprint());
}

/// Carries datagrams between one client and `to` while it is open.
async fn relay(to: SocketAddr) -> (SocketAddr, Arc<AtomicBool>) {
    let front = UdpSocket::bind(LOOPBACK).await.unwrap();
    let back = UdpSocket::bind(LOOPBACK).await.unwrap();
    back.connect(to).await.unwrap();
    let address = front.local_addr().unwrap();
    let open = Arc::new(AtomicBool::new(true));
    let is_open = Arc::clone(&open);
    tokio::spawn(async move {
        let (mut out, mut home) = (vec![0; 65_536], vec![0; 65_536]);
        let mut client = address;
        loop {
            tokio::select! {
                Ok((length, from)) = front.recv_from(&mut out) => {
                    client = from;
                    if is_open.load(Relaxed) {
                        let _ = back.send(&out[..length]).await;
                    }
                }
                Ok(length) = back.recv(&mut home) => {
                    if is_open.load(Relaxed) {
                        let _ = front.send_to(&home[..length], client).await;
                    }
                }
            }
        }
    });
    (address, open)
}

#[tokio::test]
async fn shutdown_returns_when_the_peer_has_everything_and_not_before() {
    let listener = Listener::bind(LOOPBACK).unwrap();
    let (address, open) = relay(listener.local_addr().unwrap()).await;
    let (mut dialled, mut accepted) = pair(&listener, address, &QuicConfig::default()).await;
    open.store(false, Relaxed);
    dialled.write_all(b"the last words").await.unwrap();
    let early = timeout(Duration::from_millis(300), dialled.shutdown()).await;
    assert!(early.is_err(), "nothing has arrived yet: {early:?}");
    open.store(true, Relaxed);
    soon(dialled.shutdown()).await.unwrap();
    let stats = dialled.handle().stats();
    assert!(
        0 < stats.lost_packets && stats.lost_packets < stats.sent_packets,
        "{stats:?}"
    );
    assert!(
        stats.datagram_bytes >= 1_200 && stats.window_bytes > 0,
        "{stats:?}"
    );
    assert!(stats.rtt < Duration::from_secs(1), "{stats:?}");
    drop(dialled);
    let mut heard = String::new();
    soon(accepted.read_to_string(&mut heard)).await.unwrap();
    assert_eq!(heard, "the last words");
}

#[tokio::test]
async fn a_peer_that_is_through_may_leave_before_its_last_acknowledgement() {
    for _ in 0..20 {
        let (mut dialled, mut accepted) = direct().await;
        let answering = async {
            let mut request = Vec::new();
            accepted.read_to_end(&mut request).await?;
            accepted.write_all(b"report").await?;
            accepted.shutdown().await
        };
        let asking = async move {
            dialled.shutdown().await.unwrap();
            let mut report = Vec::new();
            dialled.read_to_end(&mut report).await.unwrap();
            assert_eq!(report, b"report");
            // Dropped at once: the listener's shutdown must not call this a loss.
            drop(dialled);
        };
        let (answered, ()) = soon(async { tokio::join!(answering, asking) }).await;
        answered.unwrap();
    }
}

#[tokio::test]
async fn a_peer_that_drops_the_connection_is_an_error_and_not_an_end() {
    let (mut dialled, accepted) = direct().await;
    drop(accepted);
    let read = soon(dialled.read(&mut [0; 16])).await.unwrap_err();
    assert_eq!(read.kind(), ErrorKind::ConnectionAborted);
    assert!(read.to_string().contains("before it was done"), "{read}");
    let write = soon(dialled.write_all(b"?")).await.unwrap_err();
    assert_eq!(write.kind(), ErrorKind::ConnectionAborted);
    let shutdown = soon(dialled.shutdown()).await.unwrap_err();
    assert_eq!(shutdown.kind(), ErrorKind::ConnectionAborted);
}

#[tokio::test]
async fn a_peer_that_vanishes_is_noticed_within_the_idle_timeout() {
    let config = QuicConfig::default().idle_timeout(Duration::from_secs(1));
    let listener = Listener::bind(LOOPBACK).unwrap();
    let (address, open) = relay(listener.local_addr().unwrap()).await;
    let (mut dialled, mut accepted) = pair(&listener, address, &config).await;
    open.store(false, Relaxed);
    for end in [&mut dialled, &mut accepted] {
        let read = timeout(Duration::from_secs(10), end.read(&mut [0; 16])).await;
        assert_eq!(
            read.expect("noticed").unwrap_err().kind(),
            ErrorKind::TimedOut
        );
    }
}

#[tokio::test]
async fn a_quiet_connection_stays() {
    let config = QuicConfig::default().idle_timeout(Duration::from_millis(400));
    let listener = Listener::bind(LOOPBACK).unwrap();
    let to = listener.local_addr().unwrap();
    let (mut dialled, mut accepted) = pair(&listener, to, &config).await;
    let quiet = timeout(Duration::from_secs(2), dialled.read(&mut [0; 16])).await;
    assert!(quiet.is_err(), "it ended: {quiet:?}");
    accepted.write_all(b"!").await.unwrap();
    assert_eq!(soon(dialled.read_u8()).await.unwrap(), b'!');
}

#[tokio::test]
#[cfg_attr(not(target_os = "linux"), ignore = "only Linux tells of a refusal")]
async fn where_nobody_listens_the_refusal_is_heard() {
    let closed = UdpSocket::bind(LOOPBACK)
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let error = soon(connect(closed)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Refused { .. }), "{error:?}");
    assert_eq!(error.to_string(), format!("{closed}: port closed"));
}

#[tokio::test]
async fn whoever_does_not_answer_is_given_up() {
    let mute = UdpSocket::bind(LOOPBACK).await.unwrap();
    let to = mute.local_addr().unwrap();
    let config = QuicConfig::default().handshake_timeout(Duration::from_millis(300));
    let error = soon(connect_with(to, &config)).await.unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut { .. }), "{error:?}");
}

#[tokio::test]
async fn of_several_addresses_the_one_that_answers_is_taken() {
    let listener = Listener::bind(LOOPBACK).unwrap();
    let to = listener.local_addr().unwrap();
    let closed = UdpSocket::bind(LOOPBACK)
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    soon(connect(&[closed, to][..])).await.unwrap();
}

#[tokio::test]
async fn another_protocol_is_a_clear_error() {
    let listener = Listener::bind(LOOPBACK).unwrap();
    let to = listener.local_addr().unwrap();
    let other = QuicConfig::default().protocol("chess/1");
    let error = soon(connect_with(to, &other)).await.unwrap_err();
    assert!(
        matches!(error, ConnectError::OtherProtocol { .. }),
        "{error:?}"
    );
    pair(&listener, to, &QuicConfig::default()).await;
}

#[tokio::test]
async fn another_version_of_quic_is_a_clear_error() {
    let server = UdpSocket::bind(LOOPBACK).await.unwrap();
    let to = server.local_addr().unwrap();
    tokio::spawn(async move {
        let mut packet = [0; 2_048];
        let (_, from) = server.recv_from(&mut packet).await.unwrap();
        // RFC 9000, section 17.2.1: the peer's ids, swapped, and our versions.
        let id = |at: usize| &packet[at..=at + usize::from(packet[at])];
        let (theirs, ours) = (id(5), id(5 + id(5).len()));
        let answer = [&[0x80, 0, 0, 0, 0], ours, theirs, &[0xfa, 0xce, 0xb0, 0x0c]].concat();
        server.send_to(&answer, from).await.unwrap();
    });
    let error = soon(connect(to)).await.unwrap_err();
    assert!(
        matches!(error, ConnectError::OtherProtocol { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_flood_of_garbage_keeps_nobody_out() {
    let listener = Listener::bind(LOOPBACK).unwrap();
    let to = listener.local_addr().unwrap();
    let ended = Arc::new(AtomicBool::new(false));
    let has_ended = Arc::clone(&ended);
    let flood = std::thread::spawn(move || {
        let socket = std::net::UdpSocket::bind(LOOPBACK).unwrap();
        let mut random = fastrand::Rng::with_seed(1);
        let mut sent = 0_u32;
        while !has_ended.load(Relaxed) || sent < 10_000 {
            let mut datagram = vec![0; random.usize(..1_500)];
            random.fill(&mut datagram);
            if sent.is_multiple_of(2) && datagram.len() > 8 {
                // What begins as a first packet of version 1 does.
                datagram[..6].copy_from_slice(&[0xc3, 0, 0, 0, 1, 8]);
            }
            let _ = socket.send_to(&datagram, to);
            sent += 1;
        }
        sent
    });
    for _ in 0..3 {
        let (mut dialled, mut accepted) = pair(&listener, to, &QuicConfig::default()).await;
        dialled.write_all(&[7; 100_000]).await.unwrap();
        soon(accepted.read_exact(&mut [0; 100_000])).await.unwrap();
    }
    ended.store(true, Relaxed);
    println!("{} datagrams of garbage", flood.join().unwrap());
    pair(&listener, to, &QuicConfig::default()).await;
}

#[tokio::test]
async fn whoever_says_nothing_keeps_nobody_out() {
    let listener = Listener::bind(LOOPBACK).unwrap();
    let to = listener.local_addr().unwrap();
    let _mute = soon(connect(to)).await.unwrap();
    pair(&listener, to, &QuicConfig::default()).await;
}

#[tokio::test]
async fn more_connections_than_allowed_are_told_so() {
    let config = QuicConfig::default()
        .max_connections(2)
        .max_connections_per_address(2);
    let listener = Listener::bind_with(LOOPBACK, &config).unwrap();
    let to = listener.local_addr().unwrap();
    let first = pair(&listener, to, &config).await;
    let second = pair(&listener, to, &config).await;
    let error = soon(connect(to)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Busy { .. }), "{error:?}");
    // A connection that is closed takes a place for a moment yet.
    let handle = first.0.handle();
    drop(first);
    assert!(handle.closed(Duration::from_secs(10)).await);
    soon(async { while matches!(connect(to).await, Err(ConnectError::Busy { .. })) {} }).await;
    drop(second);
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let taken = UdpSocket::bind(LOOPBACK).await.unwrap();
    let address = taken.local_addr().unwrap();
    let error = Listener::bind(address).unwrap_err();
    assert!(matches!(error, BindError::Address { .. }), "{error:?}");
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[tokio::test]
async fn connections_outlive_the_listener_and_nobody_new_comes() {
    let listener = Listener::bind(LOOPBACK).unwrap();
    let to = listener.local_addr().unwrap();
    let (mut dialled, mut accepted) = pair(&listener, to, &QuicConfig::default()).await;
    drop(listener);
    dialled.write_all(b"still").await.unwrap();
    soon(accepted.read_exact(&mut [0; 5])).await.unwrap();
    let config = QuicConfig::default().handshake_timeout(Duration::from_secs(2));
    let error = soon(connect_with(to, &config)).await.unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut { .. }), "{error:?}");
}
