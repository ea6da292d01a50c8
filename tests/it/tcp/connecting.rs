//! Listening and connecting, and what keeps them from it.

use std::{net::SocketAddr, time::Duration};

use sockkit::{
    BindError,
    options::{Live, SocketOptions},
    tcp::{ConnectError, Connector, End, ListenConfig, Listener, Timeout, connect},
};
use tokio::{io::AsyncWriteExt, net::TcpSocket, time::Instant};

use super::{PATIENCE, SOON};

fn loopback() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// A port that is bound but does not listen.
fn closed_port() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(loopback()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

#[cfg_attr(not(target_os = "linux"), ignore = "TCP_QUICKACK is Linux's")]
#[tokio::test]
async fn options_are_set_before_listening_and_inherited() {
    let config = ListenConfig::default()
        .options(
            SocketOptions::new()
                .receive_buffer_bytes(100_000)
                .no_delay(true),
        )
        .backlog(4);
    let listener = Listener::bind_with(loopback(), &config).unwrap();
    let options = SocketOptions::new().no_delay(true).quick_ack(true);
    let client = Connector::default()
        .options(options)
        .connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (server, peer) = listener.accept().await.unwrap();
    assert_eq!(client.local_addr().unwrap(), peer);
    assert!(client.options().unwrap().no_delay().unwrap());
    assert!(server.options().unwrap().no_delay().unwrap());
    let listens = Live::of(listener.get_ref()).unwrap();
    let accepted = server.options().unwrap();
    assert_eq!(
        accepted.receive_buffer_bytes().unwrap(),
        listens.receive_buffer_bytes().unwrap()
    );
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let first = Listener::bind(loopback()).unwrap();
    let address = first.local_addr().unwrap();
    let error = Listener::bind(address).unwrap_err();
    assert!(matches!(error, BindError::Address { address: named, .. } if named == address));
    assert!(error.to_string().contains(&address.to_string()));
}

#[tokio::test]
async fn a_name_is_resolved_and_every_address_of_it_tried() {
    // `localhost` is ::1 as well on most machines, where the port is closed.
    let listener = Listener::bind(loopback()).unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = connect(("localhost", port)).await.unwrap();
    assert_eq!(client.peer_addr().unwrap(), listener.local_addr().unwrap());
}

#[tokio::test]
async fn a_closed_port_refuses_and_the_error_names_it() {
    let (_taken, address) = closed_port();
    let error = connect(address).await.unwrap_err();
    assert_eq!(error.end(), End::Refused);
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    let ConnectError::Failed(attempts) = error else {
        panic!("{error}");
    };
    assert_eq!(attempts.len(), 1);
}

#[tokio::test]
async fn nobody_by_that_name_is_not_tried_for_ever() {
    let begun = Instant::now();
    let error = Connector::default()
        .timeout(PATIENCE)
        .connect("no-such-host.invalid:1")
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            ConnectError::Resolve(_) | ConnectError::TimedOut { .. }
        ),
        "{error:?}"
    );
    // Not for ever; how soon after its deadline is a matter of how busy the machine is.
    assert!(begun.elapsed() <= PATIENCE * 4);
}

#[tokio::test]
async fn a_full_backlog_meets_the_deadline() {
    // Nothing accepts, and the backlog of one is full.
    let config = ListenConfig::default().backlog(0);
    let listener = Listener::bind_with(loopback(), &config).unwrap();
    let address = listener.local_addr().unwrap();
    let impatient = Connector::default().timeout(SOON * 3);
    let mut waiting = Vec::new();
    let error = loop {
        match impatient.connect(address).await {
            Ok(connection) => waiting.push(connection),
            Err(error) => break error,
        }
        assert!(waiting.len() < 4, "a backlog of 0 holds no more than a few");
    };
    assert_eq!(error.end(), End::TimedOut(Timeout::Connect));
}

#[tokio::test]
async fn retries_wait_for_a_server_that_starts_late() {
    let (taken, address) = closed_port();
    let connecting = tokio::spawn(async move {
        Connector::default()
            .timeout(PATIENCE)
            .retries(20)
            .connect(address)
            .await
    });
    // It has been refused at least once when its first pause begins, or is
    // about to be: either way it comes back.
    tokio::task::yield_now().await;
    let listener = taken.listen(8).unwrap();
    let mut client = connecting.await.unwrap().unwrap();
    client.write_all(b"at last").await.unwrap();
    let (_server, peer) = listener.accept().await.unwrap();
    assert_eq!(peer, client.local_addr().unwrap());
}

#[tokio::test]
async fn retries_end_after_so_many() {
    let (_taken, address) = closed_port();
    let begun = Instant::now();
    let error = Connector::default()
        .retries(2)
        .connect(address)
        .await
        .unwrap_err();
    assert_eq!(error.end(), End::Refused);
    // 100 ms and 200 ms at least.
    assert!(begun.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn the_local_address_is_bound_and_decides_the_family() {
    let listener = Listener::bind(loopback()).unwrap();
    let address = listener.local_addr().unwrap();
    let from: SocketAddr = ([127, 0, 0, 2], 0).into();
    let client = Connector::default()
        .local_address(from)
        .connect(address)
        .await
        .unwrap();
    assert_eq!(client.local_addr().unwrap().ip(), from.ip());

    let error = Connector::default()
        .local_address("[::1]:0".parse().unwrap())
        .connect(address)
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectError::NoAddress { .. }), "{error:?}");
}

#[tokio::test]
async fn an_option_that_cannot_be_set_is_named_and_not_tried_again() {
    let begun = Instant::now();
    let error = Connector::default()
        .options(SocketOptions::new().congestion("no-such-algorithm"))
        .retries(100)
        .connect(loopback())
        .await
        .unwrap_err();
    let ConnectError::Options(option) = &error else {
        panic!("{error:?}");
    };
    assert!(option.to_string().contains("TCP_CONGESTION"), "{option}");
    assert!(begun.elapsed() < PATIENCE);
}
