//! One attempt to connect to one address.

use std::{io, net::SocketAddr};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::{TcpSocket, TcpStream};

use crate::options::{OptionError, SocketOptions};

/// Why one attempt failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// It would fail for every address.
    Options(OptionError),
    Io(io::Error),
}

/// One address, with the options set before.
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
