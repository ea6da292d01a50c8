//! The UDP socket under an endpoint: ours to make, quinn's to use.

use std::{
    future::pending,
    io,
    net::{SocketAddr, UdpSocket as StdSocket},
    sync::Arc,
};

use quinn::{Endpoint, EndpointConfig, ServerConfig, TokioRuntime};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::{io::Interest, net::UdpSocket};

use crate::{
    options::{OptionError, SocketOptions},
    sys::datagram,
    udp::{PeerError, PeerErrorReason},
};

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

/// Hears what the network says about a dialler's datagrams.
///
/// quinn takes a refusal for one more lost packet. While the handshake runs the
/// kernel keeps them in the socket's error queue, where quinn does not look.
/// Linux alone does.
#[derive(Debug)]
pub(super) struct Refusals {
    /// A second descriptor of the dialler's socket; `None` where no queue is.
    socket: Option<UdpSocket>,
}

impl Refusals {
    /// Begins to listen beside `socket`.
    pub(super) fn of(socket: &StdSocket) -> io::Result<Self> {
        if !cfg!(target_os = "linux") {
            return Ok(Self { socket: None });
        }
        let socket = UdpSocket::from_std(socket.try_clone()?)?;
        keep(&socket, true);
        Ok(Self {
            socket: Some(socket),
        })
    }

    /// Waits for word about `peer`; for ever if there is none.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(super) async fn about(&self, peer: SocketAddr) -> PeerError {
        let Some(socket) = &self.socket else {
            return pending().await;
        };
        loop {
            let next = || datagram::next_error(socket)?.ok_or_else(would_block);
            let Ok(queued) = socket.async_io(Interest::ERROR, next).await else {
                return pending().await;
            };
            if let Some(error) = PeerError::from_queue(queued)
                && error.peer.is_none_or(|about| about == peer)
                && is_final(error.reason)
            {
                return error;
            }
        }
    }
}

impl Drop for Refusals {
    /// Nobody would empty the queue, and it shares the receive buffer.
    fn drop(&mut self) {
        if let Some(socket) = &self.socket {
            keep(socket, false);
        }
    }
}

/// Not fatal where it fails: then a refusal is a silence.
fn keep(socket: &UdpSocket, kept: bool) {
    let options = SocketOptions::new()
        .receive_errors_v4(kept)
        .receive_errors_v6(kept);
    if let Err(error) = options.apply(socket) {
        tracing::debug!(%error, "refusals will not be heard");
    }
}

/// Whether another try would hear the same; a packet that is too big is only a
/// probe that failed.
fn is_final(reason: PeerErrorReason) -> bool {
    matches!(
        reason,
        PeerErrorReason::PortClosed
            | PeerErrorReason::HostUnreachable
            | PeerErrorReason::NetworkUnreachable
            | PeerErrorReason::Prohibited
    )
}

fn would_block() -> io::Error {
    io::ErrorKind::WouldBlock.into()
}
