//! What a server can serve: each kind of listener, and several at once.

use std::{io, net::Ipv4Addr};

use sockkit::{
    options::SocketOptions,
    server::{Handled, Peer, Server, ServerConfig, Stream, Transport},
    tcp::{End, ListenConfig, Listener, Timeout},
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{SOON, ends, is_closed};

/// Echoes over whatever the listener accepts.
async fn echo<T: Transport>(mut stream: Stream<T>, _: Peer) -> Handled {
    let mut buffer = [0; 1024];
    while let bytes @ 1.. = stream.read(&mut buffer).await? {
        stream.write_all(&buffer[..bytes]).await?;
    }
    Ok(())
}

async fn ask(client: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
    client.write_all(b"?").await?;
    tokio::time::timeout(super::PATIENCE, client.read_u8()).await??;
    Ok(())
}

fn loopback() -> Listener {
    Listener::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap()
}

#[tokio::test]
async fn the_read_timeout_of_a_listeners_options_ends_who_says_nothing() {
    let options = SocketOptions::new().read_timeout(Some(SOON));
    let listen = ListenConfig::default().options(options);
    let listener = Listener::bind_with((Ipv4Addr::LOCALHOST, 0).into(), &listen).unwrap();
    let (config, mut ends) = ends(ServerConfig::default());
    let server = Server::start(listener, config, echo).unwrap();
    let mut silent = super::connect(&server).await;
    assert_eq!(ends.next().await.end, End::TimedOut(Timeout::Read));
    assert!(is_closed(&mut silent).await);
}

#[tokio::test]
async fn several_listeners_share_one_limit() {
    let listeners = vec![loopback(), loopback()];
    let (config, mut ends) = ends(ServerConfig::default().max_connections(2));
    let server = Server::start(listeners, config, echo).unwrap();
    let addresses = server.local_addr();
    assert_eq!(addresses.len(), 2);
    let connect = tokio::net::TcpStream::connect::<std::net::SocketAddr>;
    let mut first = connect(addresses[0]).await.unwrap();
    let mut second = connect(addresses[1]).await.unwrap();
    ask(&mut first).await.unwrap();
    ask(&mut second).await.unwrap();
    for address in addresses {
        assert!(is_closed(&mut connect(address).await.unwrap()).await);
        assert_eq!(ends.next().await.end, End::Limit);
    }
    let metrics = server.metrics();
    assert_eq!((metrics.accepted, metrics.refused), (2, 2));
}

#[tokio::test]
async fn those_who_wait_at_any_listener_are_served_before_the_end() {
    let server =
        Server::start(vec![loopback(), loopback()], ServerConfig::default(), echo).unwrap();
    let mut clients = Vec::new();
    for address in server.local_addr() {
        for _ in 0..8 {
            let mut client = std::net::TcpStream::connect(address).unwrap();
            io::Write::write_all(&mut client, b"?").unwrap();
            clients.push(client);
        }
    }
    // The runtime has one thread, this one: nothing is accepted yet.
    assert_eq!(server.metrics().accepted, 0);
    assert_eq!(server.shutdown().await.aborted, 0);
    for mut client in clients {
        io::Read::read_exact(&mut client, &mut [0]).unwrap();
    }
}

#[tokio::test]
async fn a_server_of_no_listener_does_not_start() {
    let none: Vec<Listener> = Vec::new();
    let error = Server::start(none, ServerConfig::default(), echo).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[cfg(unix)]
mod unix {
    use std::time::Duration;

    use sockkit::server::PeerAddress;
    use tokio::net::{UnixListener, UnixStream};

    use super::{super::bind, *};

    #[tokio::test]
    async fn a_unix_socket_has_no_limit_for_each_host_and_ends_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("echo.sock");
        let (config, mut ends) = ends(
            ServerConfig::default()
                .max_connections(3)
                .max_connections_per_address(1),
        );
        let listener = UnixListener::bind(&path).unwrap();
        let server = Server::start(listener, config, echo).unwrap();
        assert_eq!(server.local_addr(), PeerAddress::Unix(Some(path.clone())));
        let mut clients = Vec::new();
        for _ in 0..3 {
            let mut client = UnixStream::connect(&path).await.unwrap();
            ask(&mut client).await.unwrap();
            clients.push(client);
        }
        let mut fourth = UnixStream::connect(&path).await.unwrap();
        assert!(matches!(fourth.read(&mut [0]).await, Ok(0) | Err(_)));
        let ended = ends.next().await;
        assert_eq!((ended.end, ended.peer.ip()), (End::Limit, None));

        drop(clients.pop());
        let ended = ends.next().await;
        assert_eq!((ended.end, ended.received_bytes), (End::Finished, 1));

        // Idle handlers return, and what was asked before is answered.
        clients[0].write_all(b"!").await.unwrap();
        assert_eq!(server.shutdown().await.aborted, 0);
        assert_eq!(clients[0].read_u8().await.unwrap(), b'!');
        assert_eq!(clients[1].read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_silent_unix_peer_is_timed_like_any_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("echo.sock");
        let (config, mut ends) = ends(ServerConfig::default().read_timeout(SOON));
        let listener = UnixListener::bind(&path).unwrap();
        let _server = Server::start(listener, config, echo).unwrap();
        let _silent = UnixStream::connect(&path).await.unwrap();
        assert_eq!(ends.next().await.end, End::TimedOut(Timeout::Read));
    }

    #[tokio::test]
    async fn tcp_and_a_unix_socket_are_one_server() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("echo.sock");
        let both = (bind().await, UnixListener::bind(&path).unwrap());
        let config = ServerConfig::default().drain_timeout(Duration::from_secs(60));
        let server = Server::start(both, config, echo).unwrap();
        let (address, _) = server.local_addr();
        let mut tcp = tokio::net::TcpStream::connect(address).await.unwrap();
        let mut unix = UnixStream::connect(&path).await.unwrap();
        ask(&mut tcp).await.unwrap();
        ask(&mut unix).await.unwrap();
        assert_eq!(server.metrics().active, 2);
        assert_eq!(server.shutdown().await.aborted, 0);
    }
}
