//! One stream to the members of a multicast group, whose key each gets over its own
//! subscription, and whose messages are signed.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use bytes::Bytes;
use sockkit_codec::shard::{MessageKind, Missing, Parity, Splitter};
use tokio::{sync::Mutex, time::sleep_until};

use self::members::Members;
use super::{
    Channel, ChannelError, DatagramConfig, Limits, RepairBudget, SendError, Sending, Sent,
    datagrams::{random_stream, run_bytes},
    now,
    pace::Pacer,
    socket::Socket,
    subscribed::Subscription,
};
use crate::sealing::{
    Direction, Key, Sealer,
    epochs::Epochs,
    random_secret,
    sign::{SignedPlace, Signer},
    subscription::{GroupGrant, SubscriptionMessage},
};

mod hearing;
mod members;
mod receiver;
#[cfg(test)]
mod tests;

pub(super) use self::{members::Member, receiver::GroupReceiver};

/// Sends messages to a multicast group, sealed with a key that its members have, and
/// signed so that no member can send as the sender does.
///
/// A member is a subscriber that was [admitted](Self::admit). As long as it does not say that
/// the group's datagrams reach it, it gets the same ones over its subscription.
#[derive(Clone, Debug)]
pub struct Group(Arc<Shared>);

/// A member of a group. Once it is dropped, the group's messages soon have another key, which
/// this member does not get.
#[derive(Debug)]
#[must_use = "a member that is dropped is removed"]
pub struct Membership {
    number: u64,
    group: Arc<Shared>,
}

/// How the members of a group are reached.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Reached {
    /// Number of members that the group's datagrams reach.
    pub multicast: usize,
    /// The others: where each gets them.
    pub unicast: Vec<SocketAddr>,
}

struct Shared {
    socket: Socket,
    /// Whether its interface was chosen.
    is_facing: bool,
    address: SocketAddr,
    stream: Mutex<GroupStream>,
    members: StdMutex<Members>,
}

/// What is sent to the group.
struct GroupStream {
    sealer: Sealer,
    signer: Signer,
    pacer: Pacer,
    repairs: RepairBudget,
}

impl Group {
    /// Sends to the only destination in `config`, a multicast group. `sender` is the
    /// fingerprint of this machine's key.
    ///
    /// # Errors
    /// [`ChannelError`] if that is no group, or the socket cannot be opened.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn new(
        config: &DatagramConfig,
        sender: [u8; 32],
        limits: &Limits,
    ) -> Result<Self, ChannelError> {
        let address = config.group().ok_or(ChannelError::NoDestination)?;
        let socket = config.socket()?;
        let (secret, stream) = (random_secret()?, random_stream()?);
        let key = Key::new(&secret).of_sender(sender);
        let splitter = Splitter::new(config.split_config(limits), stream);
        let stream = GroupStream {
            sealer: Sealer::new(key, Direction::FromSender, splitter),
            signer: Signer::new(stream)?,
            pacer: config.pacer(),
            repairs: RepairBudget::default(),
        };
        let epochs = Epochs::new(sender, stream.sealer.position().epoch(), secret);
        Ok(Self(Arc::new(Shared {
            socket,
            is_facing: config.has_interface(),
            address,
            stream: Mutex::new(stream),
            members: StdMutex::new(Members::new(epochs)),
        })))
    }

    /// Hands the group's key to a [subscriber](super::Channel::serve), which joins the group.
    ///
    /// If the [interface](DatagramConfig::interface) was not chosen, the group is sent to the
    /// network of the first member, and as long as it reaches none, to that of the last one; a
    /// member on this machine does not count. From then on,
    /// [`ChannelSender::repair`](super::ChannelSender::repair) of this subscriber sends shards of
    /// the group's last message once more, too.
    ///
    /// # Errors
    /// [`SendError::Ended`] if it is none, was admitted to a group before, or its subscription
    /// has ended.
    ///
    /// # Cancel safety
    /// Cancel safe: it is a member once this has returned.
    pub async fn admit(&self, subscriber: &Channel) -> Result<Membership, SendError> {
        let Sending::Udp(sender) = &subscriber.sender.0 else {
            return Err(no_subscriber());
        };
        let (subscription, member) = sender.subscriber().ok_or_else(no_subscriber)?;
        let stream = self.0.stream.lock().await;
        if sender.has_joined() {
            return Err(admitted_before());
        }
        let number = {
            let mut members = self.0.members();
            if members.reached(now()).multicast == 0 {
                self.0.face(&member);
            }
            self.0.grant(&stream, &members, subscription)?;
            members.add(member)
        };
        let membership = Membership {
            number,
            group: Arc::clone(&self.0),
        };
        sender.joined(membership.place());
        Ok(membership)
    }

    /// Sends a message, given in parts, to all members; nothing if there are none.
    ///
    /// # Errors
    /// [`SendError::TooLong`], and [`SendError::Udp`] if it was not sent to any: the group is as
    /// good as before.
    ///
    /// # Cancel safety
    /// Not cancel safe: the rest of the message is not sent.
    pub async fn send(
        &self,
        kind: MessageKind,
        parts: &[Bytes],
        parity: Parity,
    ) -> Result<Sent, SendError> {
        let mut stream = self.0.stream.lock().await;
        let (all, unicast) = {
            let mut members = self.0.members();
            let now = now();
            members.before_message(now, &mut stream.sealer)?;
            (members.len(), members.unicast(now))
        };
        if all == 0 {
            return Ok(Sent { bytes: 0 });
        }
        stream
            .send(&self.0, (all, &unicast), (kind, parts, parity))
            .await
    }

    /// Sends to the member at this address by unicast for so long, whether it hears the group
    /// or not: it loses too much of that.
    pub fn hand_over(&self, member: SocketAddr, duration: Duration) {
        self.0.members().hand_over(now(), member, duration);
    }

    /// How the members are reached.
    pub fn reached(&self) -> Reached {
        self.0.members().reached(now())
    }
}

/// The place of a subscriber in its group.
#[derive(Clone, Debug)]
pub(super) struct Place {
    number: u64,
    group: Weak<Shared>,
}

impl Membership {
    fn place(&self) -> Place {
        Place {
            number: self.number,
            group: Arc::downgrade(&self.group),
        }
    }
}

impl Place {
    /// Sends shards of the group's last message once more to this member, as
    /// [`ChannelSender::repair`](super::ChannelSender::repair) does; `None` if they are of
    /// another stream.
    pub(super) async fn repair(&self, missing: Missing) -> Result<Option<u64>, SendError> {
        let Some(group) = self.group.upgrade() else {
            return Ok(None);
        };
        // A newer message is on its way: the older one is of no use any more.
        let Ok(mut stream) = group.stream.try_lock() else {
            return Ok(Some(0));
        };
        if stream.sealer.stream() != missing.stream {
            return Ok(None);
        }
        let member = group.members().place(self.number);
        match member {
            Some((place, member)) => stream.repair((place, &member), missing).await.map(Some),
            None => Ok(None),
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.group.members().remove(now(), self.number);
    }
}

impl Shared {
    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends from now on where this member is, unless the user has chosen an interface.
    fn face(&self, member: &Member) {
        if !self.is_facing
            && let Some(local) = member.outward_ip()
            && let Err(error) = self.socket.set_outgoing(local)
        {
            tracing::debug!(%error, %local, "no multicast from there");
        }
    }

    /// Tells a subscriber of the stream as it is now.
    fn grant(
        &self,
        stream: &GroupStream,
        members: &Members,
        subscriber: &Subscription,
    ) -> io::Result<()> {
        let (secret, later) = members.secrets();
        let grant = GroupGrant {
            address: self.address,
            stream: stream.sealer.stream(),
            next: stream.sealer.position(),
            number: stream.sealer.next_number(),
            secret,
            verifying_key: stream.signer.verifying_key(),
        };
        subscriber.say(&SubscriptionMessage::Group(grant))?;
        for next in later {
            subscriber.say(&SubscriptionMessage::GroupEpoch(next.clone()))?;
        }
        Ok(())
    }
}

impl GroupStream {
    /// Signs and seals a message, and sends it to the group and to these members.
    async fn send(
        &mut self,
        to: &Shared,
        (members, unicast): (usize, &[Member]),
        (kind, parts, parity): (MessageKind, &[Bytes], Parity),
    ) -> Result<Sent, SendError> {
        let mut parts: Vec<&[u8]> = parts.iter().map(|part| &part[..]).collect();
        let place = SignedPlace {
            epoch: self.sealer.position().epoch(),
            number: self.sealer.next_number(),
            kind,
        };
        let trailer = self.signer.trailer(place, &parts);
        parts.push(&trailer);
        let shards = self.sealer.split_parts(kind, &parts, parity)?;
        self.repairs.refill(shards, members);
        let segment_bytes = shards.segment_bytes();
        let mut refused = None;
        for run in shards.as_bytes().chunks(run_bytes(segment_bytes)) {
            let endpoint = to.socket.endpoint();
            let sent = endpoint.send_segments(Some(to.address), run, segment_bytes);
            refused = sent.await.err().or(refused);
            pause(&mut self.pacer, run.len()).await;
            for member in unicast {
                // One that cannot be reached is about to be dropped.
                let _ = member.send(run, segment_bytes).await;
                pause(&mut self.pacer, run.len()).await;
            }
        }
        match refused {
            Some(error) if unicast.is_empty() => Err(error.into()),
            _ => Ok(Sent {
                bytes: (shards.as_bytes().len() * (1 + unicast.len())) as u64,
            }),
        }
    }

    async fn repair(
        &mut self,
        (place, member): (usize, &Member),
        missing: Missing,
    ) -> Result<u64, SendError> {
        let last = self.sealer.last(missing.stream);
        let Some(last) = last.filter(|_| !self.pacer.is_ahead(now())) else {
            return Ok(0);
        };
        let again = self.repairs.take(place, last, missing).concat();
        if !again.is_empty() {
            member.send(&again, last.segment_bytes()).await?;
            self.pacer.on_sent(now(), again.len());
        }
        Ok(again.len() as u64)
    }
}

fn no_subscriber() -> SendError {
    let why = "only a channel from Channel::serve can be admitted to a group";
    io::Error::new(io::ErrorKind::Unsupported, why).into()
}

fn admitted_before() -> SendError {
    let why = "a subscriber is admitted to one group, once: let it subscribe again";
    io::Error::new(io::ErrorKind::AlreadyExists, why).into()
}

/// Waits for as long as the rate demands after that many bytes.
async fn pause(pacer: &mut Pacer, bytes: usize) {
    if let Some(until) = pacer.on_sent(now(), bytes) {
        sleep_until(until.into()).await;
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("address", &self.address)
            .field("members", &self.members())
            .finish_non_exhaustive()
    }
}
