//! One connection attempt to one address.

use std::{io, net::SocketAddr};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
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
    socket.connect(address).await.map_err(Failure::Io)
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
