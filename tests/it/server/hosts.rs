//! Twelve hosts, and one host with twelve addresses, against every limit by
//! host.

#![cfg(target_os = "linux")]

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    process::Command,
};

use sockkit::{
    latest,
    server::{Request, Server, ServerConfig, UdpServer, UdpServerConfig},
    sink::web::{WebServer, WebServerConfig, WebStream},
    testing::lab::Lab,
    udp::{Transmit, UdpEndpoint},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpSocket, TcpStream},
    time::timeout,
};

use super::{PATIENCE, ask, echo};

const ALL: u16 = 12;

/// Twelve hosts have an IPv4 address each.
fn hosts() -> Vec<IpAddr> {
    let host = |last| Ipv4Addr::new(127, 0, 0, last).into();
    (1..).take(ALL.into()).map(host).collect()
}

/// One host has a whole IPv6 network.
fn addresses_of_one() -> Vec<IpAddr> {
    let address = |last| Ipv6Addr::new(0xfd99, 0, 0, 0, 0, 0, 0, last).into();
    (1..=ALL).map(address).collect()
}

/// Runs in a namespace in which all those addresses are this machine's.
fn in_a_lab(test: &str, work: impl AsyncFnOnce() + Send) {
    let Some(lab) = Lab::new(test, 1, 0) else {
        return;
    };
    lab.host(0).block_on(async || {
        for address in addresses_of_one() {
            let mut ip = Command::new("ip");
            let add = format!("-6 addr add {address}/64 dev lo nodad");
            assert!(ip.args(add.split(' ')).status().unwrap().success());
        }
        work().await;
    });
}

const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);

/// The server at `port`, as `from` reaches it.
fn at_this_host(from: IpAddr, port: u16) -> SocketAddr {
    match from {
        IpAddr::V4(_) => (Ipv4Addr::LOCALHOST, port).into(),
        IpAddr::V6(_) => (Ipv6Addr::LOCALHOST, port).into(),
    }
}

async fn connect(from: IpAddr, port: u16) -> TcpStream {
    let socket = match from {
        IpAddr::V4(_) => TcpSocket::new_v4(),
        IpAddr::V6(_) => TcpSocket::new_v6(),
    };
    let socket = socket.unwrap();
    socket.bind((from, 0).into()).unwrap();
    socket.connect(at_this_host(from, port)).await.unwrap()
}

#[test]
fn connections_are_limited_by_host_and_not_by_address() {
    in_a_lab("connections by host", async || {
        for (from, served) in [(hosts(), 12), (addresses_of_one(), 1)] {
            let config = ServerConfig::default().max_connections_per_address(1);
            let listener = TcpListener::bind(ANYWHERE).await.unwrap();
            let server = Server::start(listener, config, echo).unwrap();
            let mut clients = Vec::new();
            for from in from {
                let mut client = connect(from, server.local_addr().port()).await;
                if ask(&mut client, b"in").await.is_ok() {
                    clients.push(client);
                }
            }
            assert_eq!(clients.len(), served);
            assert_eq!(server.metrics().refused, 12 - served as u64);
        }
    });
}

#[test]
fn requests_are_limited_by_host_and_not_by_address() {
    in_a_lab("requests by host", async || {
        for (from, taken) in [(hosts(), 12), (addresses_of_one(), 1)] {
            let config = UdpServerConfig::default().max_in_flight_per_address(1);
            let endpoint = UdpEndpoint::bind(ANYWHERE).unwrap();
            // No request is done before the last is counted.
            let server = UdpServer::start(endpoint, config, async |_: Request| {
                std::future::pending().await
            });
            let server = server.unwrap();
            for from in from {
                let client = UdpEndpoint::bind((from, 0).into()).unwrap();
                let to = at_this_host(from, server.local_addr().port());
                client.send(Transmit::new(to, b"?")).await.unwrap();
            }
            let counted = timeout(PATIENCE, async {
                loop {
                    let metrics = server.metrics();
                    if metrics.requests + metrics.dropped == 12 {
                        break metrics;
                    }
                    tokio::task::yield_now().await;
                }
            });
            assert_eq!(counted.await.unwrap().requests, taken);
        }
    });
}

#[test]
fn viewers_are_limited_by_host_and_not_by_address() {
    in_a_lab("viewers by host", async || {
        for (from, watching) in [(hosts(), 12), (addresses_of_one(), 1)] {
            let (_publisher, pictures) = latest::channel();
            let config = WebServerConfig::default().max_viewers_per_host(1);
            let viewer = WebServer::bind(ANYWHERE, config, [WebStream::new("camera", pictures)]);
            let viewer = viewer.await.unwrap();
            let mut watchers = Vec::new();
            for from in from {
                let client = connect(from, viewer.local_addr().port()).await;
                let mut client = BufReader::new(client);
                let request = b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n";
                client.write_all(request).await.unwrap();
                let mut status = String::new();
                let answered = client.read_line(&mut status);
                timeout(PATIENCE, answered).await.unwrap().unwrap();
                if status.starts_with("HTTP/1.1 200 ") {
                    watchers.push(client);
                } else {
                    assert!(status.starts_with("HTTP/1.1 503 "), "{status}");
                }
            }
            assert_eq!(watchers.len(), watching);
        }
    });
}
