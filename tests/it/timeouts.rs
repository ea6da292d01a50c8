//! Every timeout of the library, set to the longest there is: never.

use std::{io, time::Duration};

use sockkit::{
    file::{Destination, FileSet, ReceiveConfig, SendConfig, receive, send},
    options::SocketOptions,
    quic,
    server::{Peer, Request, Server, ServerConfig, Stream, UdpServer, UdpServerConfig},
    tcp::{Connector, End, ListenConfig, Listener},
    udp::{Transmit, UdpEndpoint},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::wait::soon;

const NEVER: Duration = Duration::MAX;

async fn start(config: ServerConfig) -> io::Result<Server> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    Server::start(listener, config, async |mut stream: Stream, _: Peer| {
        let byte = stream.read_u8().await?;
        stream.write_all(&[byte]).await?;
        Ok(())
    })
}

/// Asks once, and shuts the server down.
async fn serves(name: &str, config: ServerConfig) {
    let server = start(config).await.unwrap();
    let mut client = TcpStream::connect(server.local_addr()).await.unwrap();
    client.write_all(b"?").await.unwrap();
    let answer = soon(client.read_u8()).await;
    assert!(matches!(answer, Ok(b'?')), "{name}: {answer:?}");
    let panicked = server.metrics().panicked;
    let drained = soon(server.shutdown()).await;
    assert_eq!((panicked, drained.aborted), (0, 0), "{name}");
}

type Setter<T> = (&'static str, fn(T, Duration) -> T);

const SERVER: [Setter<ServerConfig>; 4] = [
    ("idle_timeout", |config, timeout| {
        config.idle_timeout(timeout)
    }),
    ("read_timeout", ServerConfig::read_timeout),
    ("write_timeout", ServerConfig::write_timeout),
    ("lifetime", ServerConfig::lifetime),
];

#[tokio::test]
async fn a_server_without_limits_serves() {
    for (name, set) in SERVER {
        serves(name, set(ServerConfig::default(), NEVER)).await;
    }
    serves(
        "drain_timeout",
        ServerConfig::default().drain_timeout(NEVER),
    )
    .await;
    serves(
        "no idle_timeout",
        ServerConfig::default().idle_timeout(None),
    )
    .await;
    let all = SERVER
        .iter()
        .fold(ServerConfig::default(), |config, (_, set)| {
            set(config, NEVER)
        });
    serves("all", all.drain_timeout(NEVER)).await;
}

#[tokio::test]
async fn a_server_that_could_serve_nothing_does_not_start() {
    for (name, set) in SERVER {
        let refused = start(set(ServerConfig::default(), Duration::ZERO)).await;
        let error = refused.expect_err(name);
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name}");
        assert!(error.to_string().contains(name), "{error}");
    }
    // Not to wait for handlers is sound.
    let server = start(ServerConfig::default().drain_timeout(Duration::ZERO)).await;
    soon(server.unwrap().shutdown()).await;
}

fn start_udp(config: UdpServerConfig) -> io::Result<UdpServer> {
    let endpoint = UdpEndpoint::bind(([127, 0, 0, 1], 0).into()).unwrap();
    UdpServer::start(endpoint, config, async |request: Request| {
        Ok(Some(request.bytes))
    })
}

#[tokio::test]
async fn a_udp_server_without_limits_serves() {
    let setters: [Setter<UdpServerConfig>; 2] = [
        ("reply_timeout", UdpServerConfig::reply_timeout),
        ("drain_timeout", UdpServerConfig::drain_timeout),
    ];
    for (name, set) in setters {
        let server = start_udp(set(UdpServerConfig::default(), NEVER)).unwrap();
        let options = SocketOptions::new()
            .read_timeout(Some(NEVER))
            .write_timeout(Some(NEVER));
        let client = UdpEndpoint::bind_with(([127, 0, 0, 1], 0).into(), &options).unwrap();
        client
            .send(Transmit::new(server.local_addr(), b"?"))
            .await
            .unwrap();
        let mut buffer = [0; 16];
        let answer = soon(client.recv(&mut buffer)).await.unwrap();
        assert_eq!(answer.bytes, b"?", "{name}");
        assert_eq!(server.metrics().panicked, 0, "{name}");
        assert_eq!(soon(server.shutdown()).await.aborted, 0, "{name}");
    }
    let refused = start_udp(UdpServerConfig::default().reply_timeout(Duration::ZERO));
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_connection_without_limits_speaks_and_closes() {
    let options = SocketOptions::new()
        .read_timeout(Some(NEVER))
        .write_timeout(Some(NEVER));
    let config = ListenConfig::default().options(options.clone());
    let listener = Listener::bind_with(([127, 0, 0, 1], 0).into(), &config).unwrap();
    let connector = Connector::default()
        .options(options)
        .timeout(NEVER)
        .attempt_delay(NEVER);
    let (dialled, accepted) = soon(async {
        tokio::join!(
            connector.connect(listener.local_addr().unwrap()),
            listener.accept()
        )
    })
    .await;
    let (mut ours, mut theirs) = (dialled.unwrap(), accepted.unwrap().0);
    for connection in [&mut ours, &mut theirs] {
        connection.set_read_timeout(Some(NEVER));
        connection.set_write_timeout(Some(NEVER));
    }
    // The first read has to wait.
    let (read, written) =
        soon(async { tokio::join!(theirs.read_u8(), ours.write_all(b"?")) }).await;
    assert!(matches!((read, written), (Ok(b'?'), Ok(()))));
    let (ours, theirs) = soon(async { tokio::join!(ours.close(NEVER), theirs.close(NEVER)) }).await;
    assert_eq!((ours, theirs), (End::Finished, End::Finished));
}

#[tokio::test]
async fn a_quic_connection_without_limits_speaks() {
    let config = quic::QuicConfig::default()
        .handshake_timeout(NEVER)
        .idle_timeout(NEVER);
    let listener = quic::Listener::bind_with(([127, 0, 0, 1], 0).into(), &config).unwrap();
    let to = listener.local_addr().unwrap();
    let mut dialled = soon(quic::connect_with(to, &config)).await.unwrap();
    dialled.write_all(b"?").await.unwrap();
    let (mut accepted, _) = soon(listener.accept()).await.unwrap();
    assert_eq!(soon(accepted.read_u8()).await.unwrap(), b'?');
}

#[tokio::test]
async fn files_without_limits_arrive() {
    let folder = tempfile::tempdir().unwrap();
    let (from, into) = (folder.path().join("film"), folder.path().join("into"));
    std::fs::write(&from, b"frames").unwrap();
    std::fs::create_dir(&into).unwrap();
    let destination = Destination::open(&into).unwrap();
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let send_config = SendConfig::default()
        .idle_timeout(NEVER)
        .answer_timeout(NEVER);
    let receive_config = ReceiveConfig::default()
        .idle_timeout(NEVER)
        .stall_timeout(NEVER);
    let receiving = async {
        let offer = receive(theirs, &receive_config).await?;
        offer.accept(&destination).await
    };
    let sending = send(ours, FileSet::gather([&from]).unwrap(), &send_config);
    let (sent, received) = soon(async { tokio::join!(sending, receiving) }).await;
    assert!(sent.unwrap().is_complete() && received.unwrap().is_complete());
    assert_eq!(std::fs::read(into.join("film")).unwrap(), b"frames");
}
