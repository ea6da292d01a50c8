//! One connection attempt to one address.

use std::{io, net::SocketAddr, time::Duration};

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use tokio::net::{TcpSocket, TcpStream};

use crate::options::{OptionError, SocketOptions};

/// Error of one attempt.
#[derive(Debug)]
pub(super) enum Failure {
    /// Every address would fail with it.
    Options(OptionError),
    Io(io::Error),
}

/// Connects to one address, with options set before.
pub(super) async fn attempt(
    address: SocketAddr,
    local: Option<SocketAddr>,
    options: &SocketOptions,
) -> Result<TcpStream, Failure> {
    let socket = open(address, local, options)?;
    let stream = socket.connect(address).await.map_err(Failure::Io)?;
    if is_itself(&stream) {
        return Err(Failure::Io(refuse_itself(&stream)));
    }
    Ok(stream)
}

/// On one's own machine, the port that the kernel chose for the attempt may be the one that is
/// dialled. If nothing listens there, TCP then connects the socket to itself (RFC 9293,
/// section 3.5, both at once), and keeps the port from the server that is to come back.
fn is_itself(stream: &TcpStream) -> bool {
    // A peer that has already reset the connection has no address any more.
    let ends = (stream.local_addr(), stream.peer_addr());
    matches!(ends, (Ok(local), Ok(peer)) if local == peer)
}

fn refuse_itself(stream: &TcpStream) -> io::Error {
    // The port is free at once; if that fails, a little later.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
    io::Error::new(
        io::ErrorKind::ConnectionRefused,
        "nothing listens there: the socket was connected to itself",
    )
}

fn open(
    address: SocketAddr,
    local: Option<SocketAddr>,
    options: &SocketOptions,
) -> Result<TcpSocket, Failure> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP)).map_err(Failure::Io)?;
    options.apply(&socket).map_err(Failure::Options)?;
    let bound = local.map_or(Ok(()), |local| socket.bind(&SockAddr::from(local)));
    bound
        .and_then(|()| socket.set_nonblocking(true))
        .map_err(Failure::Io)?;
    Ok(TcpSocket::from_std_stream(socket.into()))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[tokio::test]
    async fn a_socket_is_not_connected_to_itself() {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let free = std::net::TcpListener::bind(any).unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let attempt = attempt(address, Some(address), &SocketOptions::new()).await;
        let Err(Failure::Io(error)) = attempt else {
            panic!("{attempt:?}");
        };
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        // Nor is the port taken.
        std::net::TcpListener::bind(address).unwrap();
    }
}
