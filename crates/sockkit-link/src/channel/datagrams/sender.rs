//! The sending half.

#[cfg(all(feature = "sealing", feature = "pairing"))]
use std::io;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex as StdMutex, PoisonError},
};

use bytes::Bytes;
use sockkit_codec::shard::{MessageKind, Missing, Parity};
use tokio::{sync::Mutex, time::sleep_until};

#[cfg(all(feature = "sealing", feature = "pairing"))]
use super::super::{
    group::{Member, Place},
    subscribed::Subscription,
};
use super::{
    super::{
        SendError, Sent, now, outbound::Outbound, pace::Pacer, repairs::RepairBudget,
        socket::Socket,
    },
    run_bytes,
};
#[cfg(all(feature = "sealing", feature = "pairing"))]
use crate::sealing::{epochs::Epochs, random_secret};

/// Sends to all destinations, and replies to single peers.
#[derive(Debug)]
pub(in crate::channel) struct DatagramSender {
    socket: Arc<Socket>,
    destinations: Vec<SocketAddr>,
    messages: Mutex<Messages>,
    /// Numbered separately, so that a reply leaves no gap between messages.
    replies: StdMutex<Outbound>,
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    subscription: Option<Subscription>,
    /// That of its receiver in a group.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    place: StdMutex<Option<Place>>,
}

#[derive(Debug)]
struct Messages {
    outbound: Outbound,
    pacer: Pacer,
    repairs: RepairBudget,
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    epochs: Option<Epochs>,
}

impl DatagramSender {
    pub(super) fn new(
        socket: Arc<Socket>,
        destinations: Vec<SocketAddr>,
        pacer: Pacer,
        messages: Outbound,
        replies: Outbound,
    ) -> Self {
        Self {
            socket,
            messages: Mutex::new(Messages {
                outbound: messages,
                pacer,
                repairs: RepairBudget::default(),
                #[cfg(all(feature = "sealing", feature = "pairing"))]
                epochs: None,
            }),
            replies: StdMutex::new(replies),
            destinations,
            #[cfg(all(feature = "sealing", feature = "pairing"))]
            subscription: None,
            #[cfg(all(feature = "sealing", feature = "pairing"))]
            place: StdMutex::default(),
        }
    }

    /// The messages' receivers are told each epoch's key.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub(super) fn in_epochs(mut self, epochs: Option<Epochs>) -> Self {
        self.messages.get_mut().epochs = epochs;
        self
    }

    pub(in crate::channel) async fn send(
        &self,
        kind: MessageKind,
        parts: &[Bytes],
        parity: Parity,
    ) -> Result<Sent, SendError> {
        let mut messages = self.messages.lock().await;
        #[cfg(all(feature = "sealing", feature = "pairing"))]
        self.prepare(&mut messages)?;
        let Messages {
            outbound,
            pacer,
            repairs,
            ..
        } = &mut *messages;
        let parts: Vec<&[u8]> = parts.iter().map(|part| &part[..]).collect();
        let shards = outbound.split(kind, &parts, parity)?;
        repairs.refill(shards, self.destinations.len());
        let segment_bytes = shards.segment_bytes();
        let mut refused = None;
        for run in shards.as_bytes().chunks(run_bytes(segment_bytes)) {
            for &to in &self.destinations {
                let sent = self
                    .socket
                    .endpoint()
                    .send_segments(Some(to), run, segment_bytes);
                // An unreachable destination does not affect the others.
                if let Err(error) = sent.await {
                    refused = Some(error);
                }
                if let Some(until) = pacer.on_sent(now(), run.len()) {
                    sleep_until(until.into()).await;
                }
            }
        }
        match refused {
            Some(error) => Err(error.into()),
            None => Ok(Sent {
                bytes: (shards.as_bytes().len() * self.destinations.len()) as u64,
            }),
        }
    }

    /// Checks that the subscription lives, and begins an epoch if it is time for one.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    fn prepare(&self, messages: &mut Messages) -> io::Result<()> {
        if let Some(subscription) = &self.subscription {
            subscription.check()?;
            if let (Outbound::Sealed(sealer), Some(epochs)) =
                (&mut messages.outbound, &mut messages.epochs)
            {
                if epochs.is_due(sealer) {
                    subscription.tell(epochs.tell(random_secret()?))?;
                }
                epochs.before_message(now(), sealer);
            }
        }
        Ok(())
    }

    /// Checks that the subscription lives.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    fn check(&self) -> io::Result<()> {
        self.subscription
            .as_ref()
            .map_or(Ok(()), Subscription::check)
    }

    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub(in crate::channel) fn subscribed(mut self, subscription: Subscription) -> Self {
        self.subscription = Some(subscription);
        self
    }

    /// Ends the subscription, if there is one. Cancel safe.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub(in crate::channel) async fn close(&self) {
        if let Some(subscription) = &self.subscription {
            subscription.close().await;
        }
    }

    /// The subscription to it, and what it is as a member of a group.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub(in crate::channel) fn subscriber(&self) -> Option<(&Subscription, Member)> {
        let (subscription, to) = (self.subscription.as_ref()?, self.destinations.first()?);
        Some((subscription, Member::new(subscription, &self.socket, *to)))
    }

    /// Its receiver is a member of a group from now on.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub(in crate::channel) fn joined(&self, place: Place) {
        *self.place() = Some(place);
    }

    /// Whether its receiver was admitted to a group, which may be no more.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub(in crate::channel) fn has_joined(&self) -> bool {
        self.place().is_some()
    }

    #[cfg(all(feature = "sealing", feature = "pairing"))]
    fn place(&self) -> std::sync::MutexGuard<'_, Option<Place>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends to one address at once, without waiting for a message in progress.
    pub(in crate::channel) async fn reply(
        &self,
        to: SocketAddr,
        kind: MessageKind,
        message: &[u8],
    ) -> Result<(), SendError> {
        #[cfg(all(feature = "sealing", feature = "pairing"))]
        self.check()?;
        let (bytes, segment_bytes) = {
            let mut replies = self.replies.lock().unwrap_or_else(PoisonError::into_inner);
            let shards = replies.split(kind, &[message], Parity::NONE)?;
            (shards.as_bytes().to_vec(), shards.segment_bytes())
        };
        let socket = self.socket.endpoint();
        Ok(socket
            .send_segments(Some(to), &bytes, segment_bytes)
            .await?)
    }

    /// Sends shards of the last message once more to one of the destinations, and
    /// says how many bytes those are. What is asked for by others, too late or too
    /// often, is not sent: half of a message's data for each destination is the most, and
    /// nothing while more has been sent than the rate allows.
    pub(in crate::channel) async fn repair(
        &self,
        to: SocketAddr,
        missing: Missing,
    ) -> Result<u64, SendError> {
        #[cfg(all(feature = "sealing", feature = "pairing"))]
        {
            let place = self.place().clone();
            if let Some(place) = place
                && let Some(sent) = place.repair(missing).await?
            {
                return Ok(sent);
            }
        }
        let mut known = self.destinations.iter().enumerate();
        let is_it = |known: &SocketAddr| (known.ip(), known.port()) == (to.ip(), to.port());
        let Some((place, &to)) = known.find(|(_, known)| is_it(known)) else {
            return Ok(0);
        };
        #[cfg(all(feature = "sealing", feature = "pairing"))]
        self.check()?;
        // A newer message is on its way: the older one is of no use any more.
        let Ok(mut messages) = self.messages.try_lock() else {
            return Ok(0);
        };
        let Messages {
            outbound,
            pacer,
            repairs,
            ..
        } = &mut *messages;
        let last = outbound.last(missing.stream);
        let Some(last) = last.filter(|_| !pacer.is_ahead(now())) else {
            return Ok(0);
        };
        let again = repairs.take(place, last, missing).concat();
        if again.is_empty() {
            return Ok(0);
        }
        let sent = self
            .socket
            .endpoint()
            .send_segments(Some(to), &again, last.segment_bytes());
        sent.await?;
        pacer.on_sent(now(), again.len());
        Ok(again.len() as u64)
    }

    pub(in crate::channel) fn local_addr(&self) -> Option<SocketAddr> {
        self.socket.endpoint().local_addr().ok()
    }

    pub(in crate::channel) fn destinations(&self) -> &[SocketAddr] {
        &self.destinations
    }
}
