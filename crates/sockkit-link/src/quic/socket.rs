//! The UDP socket under an endpoint: ours to make, quinn's to use.

use std::{
    io,
    net::{SocketAddr, UdpSocket as StdSocket},
    sync::Arc,
};

use quinn::{Endpoint, EndpointConfig, ServerConfig, TokioRuntime};
use quinn_proto::RandomConnectionIdGenerator;
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
    Endpoint::new(config(), server, socket, Arc::new(TokioRuntime))
}

/// Every packet carries a connection ID: short ones leave more room.
pub(super) fn config() -> EndpointConfig {
    let mut config = EndpointConfig::default();
    config.cid_generator(|| Box::new(RandomConnectionIdGenerator::new(CONNECTION_ID_BYTES)));
    config
}

/// Some hundred of a listener's do not collide, and what collides is drawn again.
const CONNECTION_ID_BYTES: usize = 4;
