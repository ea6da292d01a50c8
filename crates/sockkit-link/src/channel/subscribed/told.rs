//! What the receiving half of a subscription's channel holds: the keys that come to it.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use bytes::Bytes;
use sockkit_codec::shard::StreamId;
use tokio::{
    sync::mpsc,
    time::{Duration, Instant, sleep_until},
};

use super::{
    super::{RecvError, group::GroupReceiver, inbound::Inbound},
    keeper::Ended,
};
use crate::sealing::{
    Key, ToldStream,
    sign::Verifier,
    subscription::{GroupGrant, NextEpoch, SubscriptionMessage},
};

/// The stream that a receiver has subscribed to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    pub(super) stream: StreamId,
    pub(super) identity: [u8; 32],
    pub(super) address: SocketAddr,
    /// This side's own address.
    pub(super) local: Option<IpAddr>,
    /// The stream of the group that it was admitted to.
    pub(super) group: Option<StreamId>,
}

impl Source {
    fn key(&self, secret: &[u8; 32]) -> Key {
        Key::new(secret).of_sender(self.identity)
    }

    fn tell(&self, stream: StreamId, next: &NextEpoch, inbound: &mut Inbound) {
        inbound.tell(stream, next.epoch, self.key(&next.secret), next.removed);
    }

    fn stream_of(&self, grant: &GroupGrant) -> ToldStream {
        ToldStream {
            id: grant.stream,
            next: grant.next,
            key: self.key(&grant.secret),
            epochs_are_told: true,
            from: self.address,
        }
    }
}

/// What the receiving half holds.
#[derive(Debug)]
pub(in crate::channel) struct Told {
    events: mpsc::Receiver<SubscriptionMessage>,
    ended: Ended,
    /// When what was sent before an orderly end has had time to arrive.
    late_until: Option<Instant>,
    /// Received, and not yet taken.
    next: Option<SubscriptionMessage>,
    source: Option<Source>,
    orders: mpsc::Sender<Bytes>,
}

impl Told {
    pub(super) fn new(
        events: mpsc::Receiver<SubscriptionMessage>,
        ended: Ended,
        source: Option<Source>,
        orders: mpsc::Sender<Bytes>,
    ) -> Self {
        Self {
            events,
            ended,
            late_until: None,
            next: None,
            source,
            orders,
        }
    }

    /// The sender's address, for a receiver.
    pub(in crate::channel) fn source(&self) -> Option<SocketAddr> {
        self.source.map(|source| source.address)
    }

    /// Waits until there is something to [take](Self::take).
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(in crate::channel) async fn changed(&mut self) {
        if let Some(until) = self.late_until {
            return sleep_until(until).await;
        }
        tokio::select! {
            () = self.ended.wait() => {}
            Some(next) = self.events.recv() => self.next = Some(next),
        }
    }

    /// Gives the keys that came to the opener. Returns a group that was joined.
    ///
    /// # Errors
    /// [`RecvError`] once the subscription has ended: when the sender has left, after
    /// its last datagrams; and if the sender admits to a second group.
    pub(in crate::channel) fn take(
        &mut self,
        inbound: &mut Inbound,
    ) -> Result<Option<GroupReceiver>, RecvError> {
        match self.ended.end() {
            Some(Ok(())) => {
                let now = Instant::now();
                if now >= *self.late_until.get_or_insert(now + LATE_FOR) {
                    return Err(RecvError::Finished);
                }
            }
            Some(Err(kind)) => return Err(RecvError::Failed(kind.into())),
            None => {}
        }
        let mut joined = None;
        while let Some(next) = self.next.take().or_else(|| self.events.try_recv().ok()) {
            let Some(source) = &mut self.source else {
                continue;
            };
            match next {
                SubscriptionMessage::Epoch(next) => source.tell(source.stream, &next, inbound),
                SubscriptionMessage::GroupEpoch(next) => {
                    if let Some(group) = source.group {
                        source.tell(group, &next, inbound);
                    }
                }
                // Another one would leave the messages of the first unverified.
                SubscriptionMessage::Group(_) if source.group.is_some() => {
                    return Err(RecvError::Failed(io::ErrorKind::InvalidData.into()));
                }
                SubscriptionMessage::Group(grant) => {
                    inbound.join(source.stream_of(&grant), Verifier::of(&grant));
                    source.group = Some(grant.stream);
                    joined = self.join(&grant);
                }
                _ => {}
            }
        }
        Ok(joined)
    }

    /// Without the group, its datagrams come over the subscription.
    fn join(&self, grant: &GroupGrant) -> Option<GroupReceiver> {
        let local = self.source.and_then(|source| source.local);
        let joined = GroupReceiver::join(grant, local);
        joined
            .inspect_err(|error| {
                tracing::warn!(%error, group = %grant.address, "cannot join");
                self.say_hears(Some(false));
            })
            .ok()
    }

    /// Tells the sender whether the group is heard, if there is something to tell. If that is
    /// not possible, the subscription is about to end.
    pub(in crate::channel) fn say_hears(&self, hears: Option<bool>) {
        if let Some(hears) = hears {
            let _ = (self.orders).try_send(SubscriptionMessage::Hears(hears).emit());
        }
    }
}

/// Datagrams may come after the end of the connection, though sent before.
const LATE_FOR: Duration = Duration::from_millis(50);
