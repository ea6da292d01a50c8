//! The receiving half.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use sockkit_codec::shard::ShardCounts;
use sockkit_core::udp::ReceiveBatch;
use tokio::time::sleep_until;

use super::super::{Message, RecvError, inbound::Inbound, now, socket::Socket};
#[cfg(all(feature = "sealing", feature = "pairing"))]
use super::super::{group::GroupReceiver, subscribed::Told};
#[cfg(feature = "sealing")]
use crate::sealing::Opener;

/// Receives from every sender that passes the filter.
#[derive(Debug)]
pub(in crate::channel) struct DatagramReceiver {
    socket: Arc<Socket>,
    batch: ReceiveBatch,
    inbound: Inbound,
    /// Whether senders can be asked for what is missing. In a group each receiver
    /// lacks other shards, and all would get them.
    asks: bool,
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    told: Option<Told>,
    /// The group that it was admitted to.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    group: Option<Box<GroupReceiver>>,
}

impl DatagramReceiver {
    pub(super) fn new(
        socket: Arc<Socket>,
        batch: ReceiveBatch,
        inbound: Inbound,
        asks: bool,
    ) -> Self {
        Self {
            asks,
            socket,
            batch,
            inbound,
            #[cfg(all(feature = "sealing", feature = "pairing"))]
            told: None,
            #[cfg(all(feature = "sealing", feature = "pairing"))]
            group: None,
        }
    }

    #[cfg(feature = "sealing")]
    pub(super) fn sealed(mut self, opener: Option<Opener>) -> Self {
        if let Some(opener) = opener {
            self.inbound = self.inbound.sealed(opener);
        }
        self
    }

    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub(in crate::channel) fn subscribed(mut self, told: Told) -> Self {
        self.told = Some(told);
        self
    }

    /// The sender that it has subscribed to.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub(in crate::channel) fn source(&self) -> Option<SocketAddr> {
        self.told.as_ref().and_then(Told::source)
    }

    pub(in crate::channel) async fn recv(&mut self) -> Result<Message, RecvError> {
        loop {
            #[cfg(all(feature = "sealing", feature = "pairing"))]
            if let Some(message) = self.take_told()? {
                return Ok(message);
            }
            while let Some(datagram) = self.batch.pop() {
                // A single timestamp for the whole batch would make later
                // datagrams look too young.
                let taken = self.inbound.handle_datagram(now(), &datagram.into());
                if let Some(message) = taken? {
                    return Ok(message);
                }
            }
            self.wait().await?;
        }
    }

    /// Waits for datagrams, or until something is to be asked for.
    async fn wait(&mut self) -> Result<(), RecvError> {
        let missing_at = self.inbound.next_missing().filter(|_| self.asks);
        let missing = async {
            match missing_at {
                Some(at) => sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        #[cfg(all(feature = "sealing", feature = "pairing"))]
        let told = async {
            match &mut self.told {
                Some(told) => told.changed().await,
                None => std::future::pending().await,
            }
        };
        #[cfg(all(feature = "sealing", feature = "pairing"))]
        let in_group = async {
            match &mut self.group {
                Some(group) => group.wait().await,
                None => std::future::pending().await,
            }
        };
        #[cfg(not(all(feature = "sealing", feature = "pairing")))]
        let (told, in_group) = (std::future::pending::<()>(), std::future::pending());
        let udp = self.socket.endpoint();
        let received = async {
            // At random: neither starves the other.
            tokio::select! {
                received = udp.recv_batch(&mut self.batch) => Ok(received?),
                received = in_group => received,
            }
        };
        tokio::select! {
            biased;
            // What it is, is taken before the next datagram.
            () = told => Ok(()),
            received = received => received,
            () = missing => match self.inbound.missing(now()) {
                Some((from, missing)) => Err(RecvError::Incomplete { from, missing }),
                None => Ok(()),
            },
        }
    }

    /// Takes the keys that the sender tells, and the next message that has come by the group.
    ///
    /// # Errors
    /// As [`recv`](Self::recv), and once the subscription has ended.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    fn take_told(&mut self) -> Result<Option<Message>, RecvError> {
        let Some(told) = &mut self.told else {
            return Ok(None);
        };
        if let Some(joined) = told.take(&mut self.inbound)? {
            self.group = Some(Box::new(joined));
        }
        let Some(group) = &mut self.group else {
            return Ok(None);
        };
        while let Some(datagram) = group.pop() {
            let from = datagram.from;
            let taken = self.inbound.handle_datagram(now(), &datagram.into())?;
            if self.inbound.is_group_sender(from) {
                told.say_hears(group.on_datagram());
            }
            if taken.is_some() {
                return Ok(taken);
            }
        }
        told.say_hears(group.on_timeout());
        Ok(None)
    }

    pub(in crate::channel) fn prefer(&mut self, sender: SocketAddr) {
        self.inbound.prefer(sender);
    }

    pub(in crate::channel) fn reception(&self) -> ShardCounts {
        self.inbound.reception()
    }

    pub(in crate::channel) fn expire(&mut self, now: Instant) {
        self.inbound.expire(now);
    }
}
