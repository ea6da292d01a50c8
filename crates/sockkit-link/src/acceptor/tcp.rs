//! TCP, whose handshake is the kernel's.

use std::{io, net::SocketAddr, sync::Arc};

use sockkit_core::{
    server::{Accept, Accepted, Slot, Slots, Transport},
    tcp,
};
use tokio::net::TcpStream;

use crate::Connection;

/// A listener, and its places.
#[derive(Debug)]
pub(crate) struct TcpDoor {
    listener: tcp::Listener,
    slots: Arc<Slots>,
}

impl TcpDoor {
    pub(crate) fn new(listener: tcp::Listener, slots: Slots) -> Self {
        Self {
            listener,
            slots: Arc::new(slots),
        }
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    pub(super) async fn accept(&mut self) -> io::Result<Accepted<Connection>> {
        loop {
            let accepted = Accept::accept(&mut self.listener).await?;
            if let Some(slot) = place(&self.slots, &accepted) {
                return plain(accepted, slot);
            }
            accepted.transport.abort();
        }
    }

    pub(super) fn accept_waiting(&mut self) -> Option<Accepted<Connection>> {
        loop {
            let accepted = Accept::accept_waiting(&mut self.listener)?;
            match place(&self.slots, &accepted) {
                // One that is gone already is not worth an error.
                Some(slot) => match plain(accepted, slot) {
                    Ok(accepted) => return Some(accepted),
                    Err(error) => tracing::debug!(%error, "left at once"),
                },
                None => accepted.transport.abort(),
            }
        }
    }
}

/// A place for a connection, if there is one.
pub(super) fn place<T>(slots: &Arc<Slots>, accepted: &Accepted<T>) -> Option<Slot> {
    let slot = slots.take(accepted.peer.ip());
    if slot.is_none() {
        tracing::debug!(peer = %accepted.peer, "refused: no room");
    }
    slot
}

fn plain(accepted: Accepted<TcpStream>, slot: Slot) -> io::Result<Accepted<Connection>> {
    let (tcp, accepted) = accepted.replace(());
    let connection = Connection::tcp(tcp::Connection::new(tcp)?)?;
    let ((), accepted) = accepted.replace(connection.holding(slot));
    Ok(accepted)
}
