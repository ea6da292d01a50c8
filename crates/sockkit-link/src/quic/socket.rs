//! The UDP socket under an endpoint: ours to make, quinn's to use.

use std::{
    io,
    net::{SocketAddr, UdpSocket as StdSocket},
    sync::Arc,
};

use quinn::{Endpoint, EndpointConfig, ServerConfig, TokioRuntime};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use sockkit_core::{BindError, options::SocketOptions};

/// A socket at `address`, with options that are set before.
pub(super) fn bind(address: SocketAddr, options: &SocketOptions) -> Result<StdSocket, BindError> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    options.apply(&socket)?;
    socket
        .bind(&SockAddr::from(address))
        .map_err(|source| BindError::Address { address, source })?;
    socket.set_nonblocking(true)?;
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
