//! UDP endpoints over loopback.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use sockkit::{
    BindError,
    udp::{Datagram, Offload, PeerErrorReason, ReceiveBatch, Transmit, UdpEndpoint, UdpError},
};
use tokio::time::timeout;

use crate::wait::soon;

const V4: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const V6: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0);

fn endpoint(address: SocketAddr) -> UdpEndpoint {
    UdpEndpoint::bind(address).unwrap()
}

/// The address of a port that was closed.
fn closed(address: SocketAddr) -> SocketAddr {
    std::net::UdpSocket::bind(address)
        .unwrap()
        .local_addr()
        .unwrap()
}

/// Collects `count` datagrams by batches.
async fn collect<T>(
    endpoint: &UdpEndpoint,
    count: usize,
    mut keep: impl FnMut(Datagram<'_>) -> T,
) -> Vec<T> {
    let mut batch = ReceiveBatch::new();
    let mut kept = Vec::new();
    while kept.len() < count {
        soon(endpoint.recv_batch(&mut batch)).await.unwrap();
        kept.extend(batch.iter().map(&mut keep));
    }
    kept
}

/// Singly, and then in a batch.
async fn one_of_each(receiver: &UdpEndpoint, mut check: impl FnMut(Datagram<'_>)) {
    let sender = endpoint(match receiver.local_addr().unwrap() {
        SocketAddr::V4(_) => V4,
        SocketAddr::V6(_) => V6,
    });
    let to = receiver.local_addr().unwrap();
    for _ in 0..2 {
        sender.send(Transmit::new(to, b"hello")).await.unwrap();
    }
    let mut buffer = [0; 64];
    let single = soon(receiver.recv(&mut buffer)).await.unwrap();
    let mut batch = ReceiveBatch::new();
    assert_eq!(single.from, sender.local_addr().unwrap());
    check(single);
    soon(receiver.recv_batch(&mut batch)).await.unwrap();
    check(batch.iter().next().unwrap());
}

#[tokio::test]
async fn a_datagram_carries_its_sender_and_nothing_that_was_not_asked_for() {
    for address in [V4, V6] {
        one_of_each(&endpoint(address), |datagram| {
            assert_eq!(datagram.bytes, b"hello");
            assert!(!datagram.is_truncated());
            assert_eq!((datagram.to, datagram.interface_index), (None, None));
            assert_eq!((datagram.received, datagram.hops), (None, None));
            assert_eq!((datagram.traffic_class, datagram.drops), (None, 0));
        })
        .await;
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_datagram_carries_what_was_asked_for() {
    use std::time::SystemTime;

    use sockkit::options::{Dscp, SocketOptions, TrafficClass};

    let class = TrafficClass::from(Dscp::EXPEDITED);
    for address in [V4, V6] {
        let options = SocketOptions::new()
            .packet_info(true)
            .receive_hops(true)
            .receive_timestamp(true)
            .receive_traffic_class(true)
            .receive_drop_count(true);
        let receiver = UdpEndpoint::bind_with(address, &options).unwrap();
        let to = receiver.local_addr().unwrap();
        let before = SystemTime::now();
        one_of_each(&receiver, |datagram| {
            assert_eq!(datagram.to, Some(to.ip()));
            assert_eq!(datagram.interface_index, Some(1), "loopback is always 1");
            assert_eq!(datagram.hops, Some(64));
            // Not from a clock that could be another.
            let received = datagram.received.unwrap();
            assert!(before <= received && received <= SystemTime::now());
            assert_eq!(datagram.traffic_class, Some(TrafficClass::default()));
            assert_eq!(datagram.drops, 0);
        })
        .await;
        let marked = SocketOptions::new().traffic_class(class).hops(7);
        let sender = UdpEndpoint::bind_with(address, &marked).unwrap();
        sender.send(Transmit::new(to, b"marked")).await.unwrap();
        let mut buffer = [0; 64];
        let datagram = soon(receiver.recv(&mut buffer)).await.unwrap();
        assert_eq!(datagram.traffic_class, Some(class));
        assert_eq!(datagram.hops, Some(7));
    }
}

#[tokio::test]
async fn what_has_come_can_be_taken_without_waiting() {
    let (sender, receiver) = (endpoint(V4), endpoint(V4));
    let to = receiver.local_addr().unwrap();
    let (mut buffer, mut batch) = ([0; 64], ReceiveBatch::new());
    assert!(receiver.try_recv(&mut buffer).unwrap().is_none());
    for text in ["one", "two", "three"] {
        let transmit = Transmit::new(to, text.as_bytes());
        sender.send(transmit).await.unwrap();
    }
    soon(receiver.readable()).await.unwrap();
    let first = receiver.try_recv(&mut buffer).unwrap().unwrap();
    assert_eq!(
        (first.bytes, first.from),
        (&b"one"[..], sender.local_addr().unwrap())
    );
    // A batch takes few at first, until there were many.
    for expected in [&b"two"[..], b"three"] {
        receiver.try_recv_batch(&mut batch).unwrap();
        let taken: Vec<&[u8]> = batch.iter().map(|datagram| datagram.bytes).collect();
        assert_eq!(taken, [expected]);
    }
    receiver.try_recv_batch(&mut batch).unwrap();
    assert!(batch.is_empty());
}

#[tokio::test]
async fn a_connected_peer_that_is_gone_is_told_without_waiting() {
    let client = endpoint(V4);
    client.connect(closed(V4)).unwrap();
    client.send(Transmit::to_peer(b"anybody?")).await.unwrap();
    let mut buffer = [0; 64];
    let told = soon(async {
        loop {
            client.readable().await.unwrap();
            match client.try_recv(&mut buffer) {
                Ok(None) => tokio::task::yield_now().await,
                told => return told.map(drop),
            }
        }
    });
    let UdpError::Peer(error) = told.await.unwrap_err() else {
        panic!("not about the peer");
    };
    assert_eq!(error.reason, PeerErrorReason::PortClosed);
}

#[tokio::test]
async fn what_is_left_of_a_joined_run_is_readable() {
    let (sender, receiver) = (endpoint(V4), endpoint(V4));
    let to = receiver.local_addr().unwrap();
    // From the first batch on the kernel may join.
    receiver.try_recv_batch(&mut ReceiveBatch::new()).unwrap();
    sender.send_segments(Some(to), b"onetwo", 3).await.unwrap();
    let mut buffer = [0; 64];
    for expected in [&b"one"[..], b"two"] {
        soon(receiver.readable()).await.unwrap();
        let datagram = soon(receiver.recv(&mut buffer)).await.unwrap();
        assert_eq!(datagram.bytes, expected);
    }
    assert!(receiver.try_recv(&mut buffer).unwrap().is_none());
}

#[tokio::test]
async fn the_socket_can_be_taken_out() {
    let (sender, receiver) = (endpoint(V4), endpoint(V4));
    let to = receiver.local_addr().unwrap();
    let socket = receiver.into_std().unwrap();
    sender.send(Transmit::new(to, b"hi")).await.unwrap();
    socket.set_nonblocking(false).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut buffer = [0; 64];
    assert_eq!(socket.recv(&mut buffer).unwrap(), 2);
}

#[tokio::test]
async fn a_datagram_that_does_not_fit_says_so() {
    let (sender, receiver) = (endpoint(V4), endpoint(V4));
    let to = receiver.local_addr().unwrap();
    for payload in [b"12345678".as_slice(), b"123456789"] {
        sender.send(Transmit::new(to, payload)).await.unwrap();
    }
    let mut buffer = [0; 8];
    let fits = soon(receiver.recv(&mut buffer)).await.unwrap();
    assert!(!fits.is_truncated());
    let cut = soon(receiver.recv(&mut buffer)).await.unwrap();
    assert!(cut.is_truncated());
    assert_eq!((cut.bytes, cut.wire_bytes), (b"12345678".as_slice(), 9));
}

#[tokio::test]
async fn an_empty_datagram_arrives_alone_and_in_a_batch() {
    let (sender, receiver) = (endpoint(V4), endpoint(V4));
    let to = receiver.local_addr().unwrap();
    sender.send(Transmit::new(to, b"")).await.unwrap();
    assert_eq!(soon(receiver.recv(&mut [])).await.unwrap().wire_bytes, 0);

    let batch = [b"a".as_slice(), b"", b"b"].map(|bytes| Transmit::new(to, bytes));
    sender.send_batch(&batch).await.unwrap();
    let got = collect(&receiver, 3, |datagram| datagram.bytes.to_vec()).await;
    assert_eq!(got, [b"a".as_slice(), b"", b"b"]);
}

#[tokio::test]
async fn a_batch_arrives_whole_and_in_order() {
    for address in [V4, V6] {
        for offload in [Offload::Auto, Offload::Off] {
            let (sender, receiver) = (endpoint(address).offload(offload), endpoint(address));
            let to = receiver.local_addr().unwrap();
            // Runs, a short end of a run, and lengths that make no run.
            let payloads: Vec<Vec<u8>> = [7; 100]
                .into_iter()
                .chain([3, 900, 1, 900, 0, 8, 9, 10])
                .enumerate()
                .map(|(index, length)| vec![u8::try_from(index % 256).unwrap(); length])
                .collect();
            let batch: Vec<_> = payloads
                .iter()
                .map(|bytes| Transmit::new(to, bytes))
                .collect();
            sender.send_batch(&batch).await.unwrap();
            let got = collect(&receiver, payloads.len(), |datagram| {
                datagram.bytes.to_vec()
            })
            .await;
            assert_eq!(got, payloads, "{address} {offload:?}");
        }
    }
}

#[tokio::test]
async fn headers_arrive_in_front_of_their_payloads() {
    let payloads = [
        b"one".as_slice(),
        b"two",
        b"six",
        b"",
        b"longer than that",
        b"-",
    ];
    let headers = [b"1".as_slice(), b"2", b"", b"4", b"", b"more than one byte"];
    let expected = [
        b"1one".as_slice(),
        b"2two",
        b"six",
        b"4",
        b"longer than that",
        b"more than one byte-",
    ];
    for address in [V4, V6] {
        for offload in [Offload::Auto, Offload::Off] {
            let (sender, receiver) = (endpoint(address).offload(offload), endpoint(address));
            let to = receiver.local_addr().unwrap();
            let batch: Vec<_> = payloads
                .iter()
                .zip(headers)
                .map(|(payload, header)| Transmit::new(to, payload).header(header))
                .collect();
            sender.send_batch(&batch).await.unwrap();
            let got = collect(&receiver, 6, |datagram| datagram.bytes.to_vec()).await;
            assert_eq!(got, expected, "{address} {offload:?}");
        }
    }
}

#[tokio::test]
async fn a_batch_reaches_many_destinations() {
    let sender = endpoint(V4);
    let receivers: Vec<_> = (0..100).map(|_| endpoint(V4)).collect();
    let payloads: Vec<_> = (0..100_u8).map(|index| [index; 10]).collect();
    let batch: Vec<_> = receivers
        .iter()
        .zip(&payloads)
        .map(|(receiver, bytes)| Transmit::new(receiver.local_addr().unwrap(), bytes))
        .collect();
    sender.send_batch(&batch).await.unwrap();
    for (receiver, payload) in receivers.iter().zip(&payloads) {
        let mut buffer = [0; 16];
        assert_eq!(
            soon(receiver.recv(&mut buffer)).await.unwrap().bytes,
            payload
        );
    }
}

#[tokio::test]
async fn segments_arrive_as_datagrams() {
    let (sender, receiver) = (endpoint(V4), endpoint(V4));
    let to = receiver.local_addr().unwrap();
    let bytes: Vec<u8> = (0..100_000_u32)
        .map(|index| u8::try_from(index % 251).unwrap())
        .collect();
    for segment_bytes in [64, 1_400, 40_000, 65_507] {
        for offload in [Offload::Auto, Offload::Off] {
            let sender = endpoint(V4).offload(offload);
            let few = &bytes[..bytes.len().min(segment_bytes * 70)];
            let expected: Vec<_> = few.chunks(segment_bytes).map(<[u8]>::to_vec).collect();
            let sent = sender.send_segments(Some(to), few, segment_bytes);
            let got = collect(&receiver, expected.len(), |datagram| {
                datagram.bytes.to_vec()
            });
            let (sent, got) = tokio::join!(sent, got);
            sent.unwrap();
            assert_eq!(got, expected, "{segment_bytes} {offload:?}");
        }
    }
    sender.send_segments(Some(to), b"", 64).await.unwrap();
}

#[tokio::test]
async fn single_receives_after_a_batch_see_each_datagram() {
    let (sender, receiver) = (endpoint(V4), endpoint(V4));
    let to = receiver.local_addr().unwrap();
    sender.send(Transmit::new(to, b"first")).await.unwrap();
    assert_eq!(
        collect(&receiver, 1, |datagram| datagram.bytes.to_vec()).await,
        [b"first"]
    );

    // Joined by the kernel now, and taken one by one, then the rest at once.
    sender
        .send_segments(Some(to), b"aabbccdd", 2)
        .await
        .unwrap();
    let mut buffer = [0; 2];
    for expected in [b"aa", b"bb"] {
        assert_eq!(
            soon(receiver.recv(&mut buffer)).await.unwrap().bytes,
            expected
        );
    }
    let rest = collect(&receiver, 2, |datagram| datagram.bytes.to_vec()).await;
    assert_eq!(rest, [b"cc", b"dd"]);
}

#[tokio::test]
async fn too_long_a_datagram_is_refused_and_the_others_go() {
    let (sender, receiver) = (endpoint(V4), endpoint(V4));
    let to = receiver.local_addr().unwrap();
    let huge = vec![0; 65_508];
    let batch = [b"before".as_slice(), &huge, b"after"].map(|bytes| Transmit::new(to, bytes));
    let error = sender.send_batch(&batch).await.unwrap_err();
    assert!(
        matches!(
            error,
            UdpError::Send {
                datagrams: 3,
                refused: 1,
                first: 1,
                ..
            }
        ),
        "{error:?}"
    );
    let got = collect(&receiver, 2, |datagram| datagram.bytes.to_vec()).await;
    assert_eq!(got, [b"before".as_slice(), b"after"]);
}

#[tokio::test]
async fn a_closed_port_does_not_end_the_loop_and_is_named() {
    for address in [V4, V6] {
        let (server, client) = (endpoint(address), endpoint(address));
        let to_server = server.local_addr().unwrap();
        let gone = closed(address);
        server.send(Transmit::new(gone, b"anybody?")).await.unwrap();
        // Each of these would fail on a plain socket with errors reported.
        client
            .send(Transmit::new(to_server, b"ping"))
            .await
            .unwrap();
        let mut buffer = [0; 16];
        let from = soon(server.recv(&mut buffer)).await.unwrap().from;
        server.send(Transmit::new(from, b"pong")).await.unwrap();
        assert_eq!(soon(client.recv(&mut buffer)).await.unwrap().bytes, b"pong");

        if cfg!(target_os = "linux") {
            let error = server.take_peer_error().expect("the refusal");
            assert_eq!(error.peer, Some(gone));
            assert_eq!(error.reporter, Some(gone.ip()));
            assert_eq!(error.reason, PeerErrorReason::PortClosed);
        }
        assert_eq!(server.take_peer_error(), None);
    }
}

#[tokio::test]
async fn a_connected_endpoint_hears_of_a_refusal_while_it_waits() {
    let client = endpoint(V4);
    let gone = closed(V4);
    client.connect(gone).unwrap();
    assert_eq!(client.peer_addr().unwrap(), gone);
    client.send(Transmit::to_peer(b"hello?")).await.unwrap();
    let mut buffer = [0; 16];
    let error = soon(client.recv(&mut buffer)).await.unwrap_err();
    let UdpError::Peer(error) = error else {
        panic!("{error:?}")
    };
    assert_eq!(
        (error.peer, error.reason),
        (Some(gone), PeerErrorReason::PortClosed)
    );

    // The peer comes back, and the same endpoint reaches it.
    let peer = endpoint(gone);
    client.send(Transmit::to_peer(b"again")).await.unwrap();
    assert_eq!(soon(peer.recv(&mut buffer)).await.unwrap().bytes, b"again");
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn drops_are_counted() {
    let options = sockkit::options::SocketOptions::new().receive_drop_count(true);
    let receiver = UdpEndpoint::bind_with(V4, &options).unwrap();
    let sender = endpoint(V4).offload(Offload::Off);
    let to = receiver.local_addr().unwrap();
    let payload = [0; 1_000];
    // Far more than the buffer holds; then one for the count to ride on.
    for _ in 0..200 {
        sender
            .send_batch(&[Transmit::new(to, &payload); 100])
            .await
            .unwrap();
    }
    let mut buffer = [0; 1_000];
    let mut kept = 0_u32;
    while let Ok(datagram) = timeout(Duration::from_millis(1), receiver.recv(&mut buffer)).await {
        datagram.unwrap();
        kept += 1;
    }
    sender.send(Transmit::new(to, b"last")).await.unwrap();
    assert_eq!(
        soon(receiver.recv(&mut buffer)).await.unwrap().drops,
        20_000 - kept
    );
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn source_and_interface_can_be_chosen() {
    let sender = endpoint((Ipv4Addr::UNSPECIFIED, 0).into());
    let options = sockkit::options::SocketOptions::new().packet_info(true);
    let receiver = UdpEndpoint::bind_with((Ipv4Addr::UNSPECIFIED, 0).into(), &options).unwrap();
    let to = (
        Ipv4Addr::new(127, 0, 0, 5),
        receiver.local_addr().unwrap().port(),
    )
        .into();
    let source = IpAddr::from([127, 0, 0, 9]);
    let transmit = Transmit::new(to, b"hi").source(source).interface_index(1);
    sender.send(transmit).await.unwrap();
    let mut buffer = [0; 16];
    let datagram = soon(receiver.recv(&mut buffer)).await.unwrap();
    assert_eq!(datagram.from.ip(), source);
    assert_eq!(datagram.to, Some(to.ip()));
}

#[tokio::test]
async fn a_taken_address_is_an_error_that_names_it() {
    let first = endpoint(V4);
    let taken = first.local_addr().unwrap();
    let error = UdpEndpoint::bind(taken).unwrap_err();
    assert!(
        matches!(error, BindError::Address { address, .. } if address == taken),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_cancelled_receive_loses_nothing() {
    let (sender, receiver) = (endpoint(V4), endpoint(V4));
    let to = receiver.local_addr().unwrap();
    let mut batch = ReceiveBatch::new();
    for number in 0..20_u8 {
        let (waiting, ()) = tokio::join!(
            timeout(Duration::from_micros(50), receiver.recv_batch(&mut batch)),
            async {
                tokio::task::yield_now().await;
                sender.send(Transmit::new(to, &[number])).await.unwrap();
            },
        );
        if waiting.is_err() {
            soon(receiver.recv_batch(&mut batch)).await.unwrap();
        }
        let got: Vec<_> = batch.iter().map(|datagram| datagram.bytes[0]).collect();
        assert_eq!(got, [number]);
    }
}
