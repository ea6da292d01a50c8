//! Peers that are not there, or not there any more, on a link that can be cut.

#![cfg(target_os = "linux")]

use std::time::Duration;

use sockkit::{
    options::{Keepalive, SocketOptions},
    tcp::{Connection, Connector, End, Listener, Timeout},
    testing::lab::Lab,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{PATIENCE, SOON};

/// Connects across a lab's cable, and cuts it.
fn cut_off(lab: &Lab, options: &SocketOptions) -> std::net::TcpStream {
    let (here, there) = (lab.host(0), lab.host(1));
    let address = (there.port(0).ipv4(), 0).into();
    let listener = there.block_on(async || {
        let listener = Listener::bind(address).unwrap().into_inner();
        listener.into_std().unwrap()
    });
    let to = listener.local_addr().unwrap();
    let connection = here.block_on(async || {
        let connector = Connector::default().options(options.clone());
        let connection = connector.connect(to).await.unwrap();
        connection.into_inner().into_std().unwrap()
    });
    there.port(0).cut();
    connection
}

fn resume(connection: std::net::TcpStream) -> Connection {
    Connection::new(tokio::net::TcpStream::from_std(connection).unwrap()).unwrap()
}

#[test]
fn keep_alive_notices_a_silent_death() {
    let Some(lab) = Lab::new("tcp: keep-alive notices a silent death", 2, 1) else {
        return;
    };
    let second = Duration::from_secs(1);
    let keepalive = Keepalive::new(second, second, 1);
    let connection = cut_off(&lab, &SocketOptions::new().keepalive(keepalive));
    lab.host(0).block_on(async || {
        let mut connection = resume(connection);
        let error = connection.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(End::from_io(&error), End::PeerVanished);
        assert_eq!(connection.end(), Some(End::PeerVanished));
    });
}

#[test]
fn the_user_timeout_notices_bytes_that_are_not_acknowledged() {
    let Some(lab) = Lab::new("tcp: the user timeout notices", 2, 1) else {
        return;
    };
    let patience = Some(Duration::from_millis(500));
    let connection = cut_off(&lab, &SocketOptions::new().user_timeout(patience));
    lab.host(0).block_on(async || {
        let mut connection = resume(connection);
        connection.write_all(b"anybody?").await.unwrap();
        let error = connection.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(End::from_io(&error), End::PeerVanished);
    });
}

#[test]
fn no_route_and_no_such_host_are_unreachable() {
    let Some(lab) = Lab::new("tcp: no route and no such host", 2, 1) else {
        return;
    };
    let here = lab.host(0);
    here.block_on(async || {
        // TEST-NET-3: the lab's hosts have no default route.
        let error = connector().connect("203.0.113.1:1").await.unwrap_err();
        assert_eq!(error.end(), End::Unreachable, "{error}");

        let [a, b, c, _] = here.port(0).ipv4().octets();
        let nobody = std::net::Ipv4Addr::new(a, b, c, 250);
        let error = connector().connect((nobody, 1)).await.unwrap_err();
        assert_eq!(error.end(), End::Unreachable, "{error}");
    });
}

#[test]
fn a_host_that_drops_everything_meets_the_deadline() {
    let Some(lab) = Lab::new("tcp: a host that drops everything", 2, 1) else {
        return;
    };
    let there = lab.host(1).port(0);
    let address = (there.ipv4(), 1);
    lab.host(0).block_on(async || {
        // Its answer makes the two neighbours; then nothing comes any more.
        let refused = connector().connect(address).await.unwrap_err();
        assert_eq!(refused.end(), End::Refused);
        there.cut();
        let error = connector()
            .timeout(SOON)
            .connect(address)
            .await
            .unwrap_err();
        assert_eq!(error.end(), End::TimedOut(Timeout::Connect));
    });
}

fn connector() -> Connector {
    Connector::default().timeout(PATIENCE)
}
