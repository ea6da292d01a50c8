//! ICMP errors of a socket that another library reads.

use std::{
    future::pending,
    io,
    net::{SocketAddr, UdpSocket as StdSocket},
};

use tokio::{io::Interest, net::UdpSocket};

use super::{PeerError, PeerErrorReason};
use crate::{options::SocketOptions, sys::datagram};

/// Receives the ICMP errors of a UDP socket that another library reads, such as
/// a QUIC endpoint during its handshake.
///
/// Such a library treats a refusal as a lost packet. While this listener
/// exists, the kernel keeps ICMP errors in the socket's error queue, which the
/// library does not read. Linux only; on other platforms it reports nothing.
#[derive(Debug)]
pub struct IcmpListener {
    /// A second descriptor of the socket; `None` where there is no error queue.
    socket: Option<UdpSocket>,
}

impl IcmpListener {
    /// Listens on a duplicate of `socket`.
    ///
    /// # Errors
    /// If the descriptor cannot be duplicated.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn of(socket: &StdSocket) -> io::Result<Self> {
        if !cfg!(target_os = "linux") {
            return Ok(Self { socket: None });
        }
        let socket = UdpSocket::from_std(socket.try_clone()?)?;
        keep(&socket, true);
        Ok(Self {
            socket: Some(socket),
        })
    }

    /// Waits for an ICMP error about `peer` that a retry would meet as well;
    /// stays pending if there is none.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn about(&self, peer: SocketAddr) -> PeerError {
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

impl Drop for IcmpListener {
    /// An error queue that is not read fills the receive buffer.
    fn drop(&mut self) {
        if let Some(socket) = &self.socket {
            keep(socket, false);
        }
    }
}

/// Not fatal if it fails: a refusal then looks like a timeout.
fn keep(socket: &UdpSocket, kept: bool) {
    let options = SocketOptions::new()
        .receive_errors_v4(kept)
        .receive_errors_v6(kept);
    if let Err(error) = options.apply(socket) {
        tracing::debug!(%error, "ICMP errors will not be received");
    }
}

/// Whether a retry would meet the same error. "Too big" only means that a probe
/// failed.
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
