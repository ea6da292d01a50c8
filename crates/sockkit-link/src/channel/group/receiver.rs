//! A group as one of its members receives it.

use std::net::IpAddr;

use sockkit_core::{
    interfaces::InterfaceSelector,
    options::SocketOptions,
    udp::{Datagram, ReceiveBatch},
};
use tokio::time::sleep_until;

use super::hearing::Hearing;
use crate::{
    channel::{ChannelError, RecvError, now, socket::Socket},
    sealing::subscription::GroupGrant,
};

/// The datagrams that come by the group. Those of the subscription are the same.
#[derive(Debug)]
pub(crate) struct GroupReceiver {
    socket: Socket,
    batch: ReceiveBatch,
    hearing: Hearing,
}

impl GroupReceiver {
    /// Joins the group on the interface with the address `local`.
    pub(crate) fn join(grant: &GroupGrant, local: Option<IpAddr>) -> Result<Self, ChannelError> {
        let interface = local.map(InterfaceSelector::Address);
        let options = SocketOptions::new().receive_buffer_bytes(RECEIVE_BUFFER_BYTES);
        Ok(Self {
            socket: Socket::receiving(grant.address, interface.as_ref(), &options)?,
            batch: ReceiveBatch::new(),
            hearing: Hearing::new(now()),
        })
    }

    /// Waits for datagrams, or until none have come for too long. Cancel safe.
    pub(crate) async fn wait(&mut self) -> Result<(), RecvError> {
        let silent_at = self.hearing.deadline();
        let silent = async {
            match silent_at {
                Some(at) => sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            received = self.socket.endpoint().recv_batch(&mut self.batch) => Ok(received?),
            () = silent => Ok(()),
        }
    }

    /// The next of the datagrams that have come.
    pub(crate) fn pop(&mut self) -> Option<Datagram<'_>> {
        self.batch.pop()
    }

    /// One of them is the sender's. Returns what the sender is to be told.
    pub(crate) fn on_datagram(&mut self) -> Option<bool> {
        self.hearing.on_datagram(now())
    }

    /// The same when no datagrams are left.
    pub(crate) fn on_timeout(&mut self) -> Option<bool> {
        self.hearing.on_timeout(now())
    }
}

const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
