//! TCP, whose handshake the kernel performs.

use std::{io, net::SocketAddr, sync::Arc};

use sockkit_core::{
    server::{Accept, Accepted, ConnectionLimiter, Permit, Transport},
    tcp,
};
use tokio::net::TcpStream;

use crate::Connection;

/// A listener and its permits.
#[derive(Debug)]
pub(crate) struct TcpAcceptor {
    listener: tcp::Listener,
    limiter: Arc<ConnectionLimiter>,
}

impl TcpAcceptor {
    pub(crate) fn new(listener: tcp::Listener, limiter: ConnectionLimiter) -> Self {
        Self {
            listener,
            limiter: Arc::new(limiter),
        }
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    pub(super) async fn accept(&mut self) -> io::Result<Accepted<Connection>> {
        loop {
            let accepted = Accept::accept(&mut self.listener).await?;
            if let Some(accepted) = self.admit(accepted) {
                return Ok(accepted);
            }
        }
    }

    pub(super) fn accept_waiting(&mut self) -> Option<Accepted<Connection>> {
        loop {
            let accepted = Accept::accept_waiting(&mut self.listener)?;
            if let Some(accepted) = self.admit(accepted) {
                return Some(accepted);
            }
        }
    }

    /// Returns nothing if there is no permit, or if the peer has already
    /// disconnected: no peer may end the listener.
    fn admit(&self, accepted: Accepted<TcpStream>) -> Option<Accepted<Connection>> {
        let Some(permit) = place(&self.limiter, &accepted) else {
            accepted.transport.abort();
            return None;
        };
        plain(accepted, permit)
            .inspect_err(|error| tracing::debug!(%error, "disconnected at once"))
            .ok()
    }
}

/// Takes a permit for a connection, if one is available.
pub(super) fn place<T>(limiter: &Arc<ConnectionLimiter>, accepted: &Accepted<T>) -> Option<Permit> {
    let permit = limiter.take(accepted.peer.ip());
    if permit.is_none() {
        tracing::debug!(peer = %accepted.peer, "refused: no permit");
    }
    permit
}

fn plain(accepted: Accepted<TcpStream>, permit: Permit) -> io::Result<Accepted<Connection>> {
    let (tcp, accepted) = accepted.replace(());
    let connection = Connection::tcp(tcp::Connection::new(tcp)?)?;
    let peer = connection.peer_addr();
    let ((), mut accepted) = accepted.replace(connection.holding(permit));
    // The connection's form of the address: an IPv4 address is not mapped into
    // IPv6.
    accepted.peer = peer.into();
    Ok(accepted)
}
