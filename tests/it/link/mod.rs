//! A node that dials and listens: the same over TCP, TLS and QUIC.

#[cfg(target_os = "linux")]
mod hosts;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, LazyLock},
    time::Duration,
};

use sockkit::{
    link::{Acceptor, Address, Connection, DialError, ListenError, Node, Scheme, SchemeError},
    server::{Handled, Peer, Server, ServerConfig, Stream},
    tls::rustls::{self, RootCertStore, pki_types::PrivateKeyDer},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream, UdpSocket},
    time::timeout,
};

/// All that carry streams.
const SCHEMES: [Scheme; 3] = [Scheme::Tcp, Scheme::Tls, Scheme::Quic];

/// A certificate for the addresses that tests have.
static KEYS: LazyLock<(Arc<rustls::ClientConfig>, Arc<rustls::ServerConfig>)> =
    LazyLock::new(|| {
        let names = ["localhost", "127.0.0.1", "::1", "10.77.0.1", "fd77::1"];
        let made = rcgen::generate_simple_self_signed(names.map(str::to_owned)).unwrap();
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let server = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let client = rustls::ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        (client.into(), server.into())
    });

/// One that trusts itself.
pub(crate) fn node() -> Node {
    let (client, server) = &*KEYS;
    Node::default()
        .tls_client(Arc::clone(client))
        .tls_server(Arc::clone(server))
}

fn address(scheme: Scheme, host_and_port: &str) -> Address {
    let text = format!("{}://{host_and_port}", scheme.as_str());
    text.parse().unwrap()
}

pub(crate) async fn listen(node: &Node, scheme: Scheme) -> Acceptor {
    let listening = node.listen(&address(scheme, "127.0.0.1:0")).await;
    listening.unwrap()
}

/// Fails the test instead of hanging it.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(30), future)
        .await
        .expect("in time")
}

/// Answers the first byte of each connection, and keeps it open.
async fn greet_all(mut acceptor: Acceptor) {
    let mut kept = Vec::new();
    loop {
        let mut connection = acceptor.accept().await.unwrap();
        kept.push(tokio::spawn(async move {
            let byte = connection.read_u8().await?;
            connection.write_u8(byte).await?;
            // Until the peer leaves.
            connection.read_u8().await
        }));
    }
}

/// A connection whose first byte was answered.
async fn greeted(node: &Node, to: &Address) -> Result<Connection, String> {
    let greeting = async {
        let mut connection = node.dial(to).await.map_err(|error| error.to_string())?;
        let said = async {
            connection.write_u8(7).await?;
            connection.read_u8().await
        };
        said.await.map_err(|error| error.to_string())?;
        Ok(connection)
    };
    soon(greeting).await
}

#[tokio::test]
async fn bytes_cross_and_both_ends_know_what_carries_them() {
    for scheme in SCHEMES {
        let node = node();
        let mut acceptor = listen(&node, scheme).await;
        assert_eq!(acceptor.scheme(), scheme);
        let mut dialled = soon(node.dial(&acceptor.address())).await.unwrap();
        dialled.write_all(b"hello").await.unwrap();
        let mut accepted = soon(acceptor.accept()).await.unwrap();
        let mut heard = [0; 5];
        soon(accepted.read_exact(&mut heard)).await.unwrap();
        assert_eq!(&heard, b"hello");
        for end in [&dialled, &accepted] {
            assert_eq!(end.scheme(), scheme);
            assert_eq!(end.is_encrypted(), scheme != Scheme::Tcp);
        }
        assert_eq!(dialled.peer_addr(), acceptor.local_addr());
        assert_eq!(dialled.fingerprint(), accepted.fingerprint());
        assert_eq!(dialled.fingerprint(), acceptor.fingerprint());
        assert_eq!(dialled.counters().sent_bytes, 5);
        assert_eq!(accepted.counters().received_bytes, 5);
        let keys = [&dialled, &accepted].map(|end| {
            end.export_keying_material::<32>("EXPORTER-sockkit test")
                .ok()
        });
        assert_eq!(keys[0], keys[1]);
        assert_eq!(keys[0].is_some(), scheme != Scheme::Tcp);
    }
}

#[tokio::test]
async fn an_address_without_a_host_hears_both_versions_of_ip() {
    for scheme in SCHEMES {
        let node = node();
        let acceptor = node.listen(&address(scheme, ":0")).await.unwrap();
        let port = acceptor.local_addr().port();
        let has_v6 = std::net::UdpSocket::bind("[::1]:0").is_ok();
        assert_eq!(acceptor.local_addr().is_ipv6(), has_v6);
        let greeting = tokio::spawn(greet_all(acceptor));
        let mut hosts = vec!["127.0.0.1", "localhost"];
        if has_v6 {
            hosts.push("[::1]");
        }
        for host in hosts {
            let to = address(scheme, &format!("{host}:{port}"));
            greeted(&node, &to).await.unwrap();
        }
        greeting.abort();
    }
}

#[tokio::test]
async fn peers_over_ipv4_are_told_by_their_ipv4_address() {
    for scheme in SCHEMES {
        let node = node();
        let mut acceptor = node.listen(&address(scheme, ":0")).await.unwrap();
        let port = acceptor.local_addr().port();
        let to = address(scheme, &format!("127.0.0.1:{port}"));
        let mut dialled = soon(node.dial(&to)).await.unwrap();
        dialled.write_u8(1).await.unwrap();
        let accepted = soon(acceptor.accept()).await.unwrap();
        assert!(accepted.peer_addr().is_ipv4(), "{:?}", accepted.peer_addr());
    }
}

#[tokio::test]
async fn what_carries_no_stream_says_what_does() {
    let udp = address(Scheme::Udp, "127.0.0.1:0");
    let tls = address(Scheme::Tls, "127.0.0.1:0");
    let node = Node::default();
    for (address, said) in [(udp, "quic://"), (tls, "keys")] {
        let dialled = node.dial(&address).await.unwrap_err();
        let listened = node.listen(&address).await.unwrap_err();
        assert!(matches!(dialled, DialError::Scheme(_)), "{dialled:?}");
        assert!(matches!(listened, ListenError::Scheme(_)), "{listened:?}");
        for error in [dialled.to_string(), listened.to_string()] {
            assert!(error.contains(said), "{error}");
        }
    }
    let no_keys = node.dial(&address(Scheme::Tls, "[::1]:1")).await;
    assert!(matches!(
        no_keys,
        Err(DialError::Scheme(SchemeError::NoKeys { .. }))
    ));
}

#[tokio::test]
async fn a_silence_ends_at_the_deadline() {
    let node = node().timeout(Duration::from_millis(500));
    // It answers nothing, though the kernel completes TCP's handshake for it.
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for (scheme, at) in [
        (Scheme::Tls, tcp.local_addr().unwrap()),
        (Scheme::Quic, udp.local_addr().unwrap()),
    ] {
        let error = soon(node.dial(&address(scheme, &at.to_string()))).await;
        let error = error.unwrap_err();
        assert!(matches!(error, DialError::TimedOut { .. }), "{error:?}");
        assert!(error.to_string().contains("did not answer"), "{error}");
    }
}

#[tokio::test]
async fn a_refusal_is_told_from_a_silence() {
    // Bound, so that no other program takes the port, and not listening.
    let closed = TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let tcp = closed.local_addr().unwrap();
    let udp = std::net::UdpSocket::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .unwrap();
    let mut ports = vec![(Scheme::Tcp, tcp), (Scheme::Tls, tcp)];
    if cfg!(target_os = "linux") {
        ports.push((Scheme::Quic, udp));
    }
    for (scheme, at) in ports {
        let error = soon(node().dial(&address(scheme, &at.to_string()))).await;
        let error = error.unwrap_err();
        assert!(matches!(error, DialError::Refused(_)), "{error:?}");
    }
}

#[tokio::test]
async fn another_protocol_and_a_wrong_certificate_are_told() {
    let (client, _) = &*KEYS;
    let node = node();
    let acceptor = listen(&node, Scheme::Tls).await;
    let stranger = Node::default().tls_client(Arc::new(
        rustls::ClientConfig::builder()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth(),
    ));
    let error = soon(stranger.dial(&acceptor.address())).await.unwrap_err();
    assert!(matches!(error, DialError::Failed(_)), "{error:?}");
    let plain = listen(&node, Scheme::Tcp).await;
    let to = address(Scheme::Tls, &plain.local_addr().to_string());
    tokio::spawn(async move {
        let mut plain = plain;
        let mut connection = plain.accept().await?;
        connection.write_all(b"220 smtp ready\r\n").await?;
        connection.read_u8().await
    });
    let dialler = Node::default().tls_client(Arc::clone(client));
    let error = soon(dialler.dial(&to)).await.unwrap_err();
    assert!(matches!(error, DialError::Failed(_)), "{error:?}");
}

#[tokio::test]
async fn who_begins_a_handshake_and_stops_delays_no_other_and_loses_the_place() {
    // Both connections of the host are used by silent clients.
    let node = node().max_connections(8).timeout(Duration::from_secs(1));
    let acceptor = listen(&node, Scheme::Tls).await;
    let (to, at) = (acceptor.address(), acceptor.local_addr());
    let greeting = tokio::spawn(greet_all(acceptor));
    let silent = TcpStream::connect(at).await.unwrap();
    greeted(&node, &to).await.unwrap();
    let other = TcpStream::connect(at).await.unwrap();
    soon(async { while greeted(&node, &to).await.is_err() {} }).await;
    for mut mute in [silent, other] {
        let read = soon(mute.read(&mut [0])).await;
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
    greeting.abort();
}

#[tokio::test]
async fn a_connection_gives_its_place_back() {
    for scheme in SCHEMES {
        let node = node().max_connections(1);
        let acceptor = listen(&node, scheme).await;
        let to = acceptor.address();
        let greeting = tokio::spawn(greet_all(acceptor));
        let first = greeted(&node, &to).await.unwrap();
        assert!(greeted(&node, &to).await.is_err(), "{scheme:?}");
        drop(first);
        soon(async { while greeted(&node, &to).await.is_err() {} }).await;
        greeting.abort();
    }
}

#[tokio::test]
async fn an_accept_that_is_dropped_loses_nothing() {
    for scheme in SCHEMES {
        let node = node();
        let mut acceptor = listen(&node, scheme).await;
        let to = acceptor.address();
        let dialling = tokio::spawn(async move {
            let mut connection = node.dial(&to).await.unwrap();
            connection.write_u8(9).await.unwrap();
            connection.read_u8().await
        });
        let mut accepted = soon(async {
            loop {
                // Polled once, and dropped.
                if let Some(accepted) = futures::FutureExt::now_or_never(acceptor.accept()) {
                    break accepted.unwrap();
                }
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(soon(accepted.read_u8()).await.unwrap(), 9);
        accepted.write_u8(9).await.unwrap();
        assert_eq!(soon(dialling).await.unwrap().unwrap(), 9);
    }
}

/// A peer address that can no longer be read is not an error of the listener.
#[tokio::test]
async fn peers_that_reset_before_they_are_accepted_end_no_listener() {
    for scheme in [Scheme::Tcp, Scheme::Tls] {
        let node = node();
        let mut acceptor = listen(&node, scheme).await;
        let to = acceptor.address();
        for _ in 0..20 {
            let rude = TcpStream::connect(acceptor.local_addr()).await.unwrap();
            rude.set_zero_linger().unwrap();
        }
        let accepting = async {
            loop {
                let mut accepted = acceptor.accept().await.unwrap();
                if accepted.read_u8().await.is_ok() {
                    break accepted.peer_addr();
                }
            }
        };
        let dialling = async {
            let mut dialled = node.dial(&to).await.unwrap();
            dialled.write_u8(1).await.unwrap();
            dialled
        };
        let (accepted, _dialled) = soon(async { tokio::join!(accepting, dialling) }).await;
        assert!(accepted.ip().is_loopback());
    }
}

/// Echoes requests of four bytes, as long as the server is not draining.
async fn echo(mut stream: Stream<Connection>, _peer: Peer) -> Handled {
    let mut request = [0; 4];
    loop {
        match stream.read_exact(&mut request).await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            read => read?,
        };
        stream.write_all(&request).await?;
    }
    stream.shutdown().await?;
    Ok(())
}

#[tokio::test]
async fn a_server_serves_an_acceptor_of_every_kind() {
    for scheme in SCHEMES {
        let node = node();
        let acceptor = listen(&node, scheme).await;
        let to = acceptor.address();
        let server = Server::start(acceptor, ServerConfig::default(), echo).unwrap();
        let local: SocketAddr = server.local_addr();
        assert_eq!(local.port(), to.port());
        let mut client = soon(node.dial(&to)).await.unwrap();
        for request in [*b"one!", *b"two!", *b"last"] {
            client.write_all(&request).await.unwrap();
            let mut answer = [0; 4];
            soon(client.read_exact(&mut answer)).await.unwrap();
            assert_eq!(answer, request);
        }
        // It waits for a request, and is told that there will be none.
        let (drained, end) = tokio::join!(soon(server.shutdown()), async {
            let read = soon(client.read(&mut [0])).await;
            drop(client);
            read
        });
        assert_eq!(drained.aborted, 0, "{scheme:?}");
        assert_eq!(end.unwrap(), 0, "{scheme:?}");
    }
}

#[tokio::test]
async fn a_servers_refusal_is_heard_over_every_transport() {
    for scheme in SCHEMES {
        let node = node();
        let acceptor = listen(&node, scheme).await;
        let to = acceptor.address();
        let config = ServerConfig::default().max_connections(1).refusal("full\n");
        let server = Server::start(acceptor, config, echo).unwrap();
        let mut first = soon(node.dial(&to)).await.unwrap();
        first.write_all(b"here").await.unwrap();
        soon(first.read_exact(&mut [0; 4])).await.unwrap();
        let mut second = soon(node.dial(&to)).await.unwrap();
        if scheme == Scheme::Quic {
            // The listener learns of it by its first byte.
            second.write_all(b"?").await.unwrap();
        }
        let mut told = [0; 5];
        soon(second.read_exact(&mut told)).await.unwrap();
        assert_eq!(&told, b"full\n", "{scheme:?}");
        drop((first, second, server));
    }
}
