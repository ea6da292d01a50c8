//! The UDP socket under an endpoint: ours to make, quinn's to use.

use std::{
    io,
    net::{SocketAddr, UdpSocket as StdSocket},
    sync::Arc,
};

use quinn::{Endpoint, EndpointConfig, ServerConfig, TokioRuntime};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use sockkit_core::options::{OptionError, SocketOptions};

/// Why there is no socket.
pub(super) enum SocketError {
    Options(OptionError),
    Bind(io::Error),
    Io(io::Error),
}

/// A socket at `address`, with options that are set before.
pub(super) fn bind(address: SocketAddr, options: &SocketOptions) -> Result<StdSocket, SocketError> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP)).map_err(SocketError::Io)?;
    options.apply(&socket).map_err(SocketError::Options)?;
    socket
        .bind(&SockAddr::from(address))
        .map_err(SocketError::Bind)?;
    socket.set_nonblocking(true).map_err(SocketError::Io)?;
    Ok(socket.into())
}

/// quinn's endpoint on it.
pub(super) fn endpoint(socket: StdSocket, server: Option<ServerConfig>) -> io::Result<Endpoint> {
    Endpoint::new(
        EndpointConfig::default(),
        server,
        socket,
        Arc::new(TokioRuntime),
    )
}
