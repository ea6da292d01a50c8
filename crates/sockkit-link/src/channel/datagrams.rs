//! Messages as datagrams, to hosts and groups.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex as StdMutex, PoisonError},
    time::Instant,
};

use bytes::Bytes;
use sockkit_codec::shard::{
    MessageKind, Missing, Older, Parity, ShardCounts, SplitConfig, Splitter, StreamId,
};
use sockkit_core::{
    interfaces::InterfaceSelector,
    options::SocketOptions,
    udp::{ReceiveBatch, unspecified},
};
use tokio::{sync::Mutex, time::sleep_until};

use super::{
    ChannelError, Limits, Message, RecvError, SendError, Sent,
    inbound::{Filter, Inbound},
    now,
    outbound::Outbound,
    pace::{GIGABIT, Pacer},
    repairs::RepairBudget,
    socket::Socket,
};
#[cfg(all(feature = "sealing", feature = "pairing"))]
use super::{
    group::{GroupReceiver, Member, Place},
    subscribed::{Subscription, Told},
};
#[cfg(feature = "sealing")]
use crate::sealing::{Direction, Key, Opener, Sealer};
#[cfg(all(feature = "sealing", feature = "pairing"))]
use crate::sealing::{epochs::Epochs, random_secret};

/// Settings of a datagram channel: addresses, rates and filters.
#[derive(Clone, Debug)]
#[must_use = "a config does nothing until a channel is opened with it"]
pub struct DatagramConfig {
    destinations: Vec<SocketAddr>,
    /// The address to receive at, possibly a group, or the address to send
    /// from.
    bind: Option<SocketAddr>,
    interface: Option<InterfaceSelector>,
    multicast_hops: u8,
    max_datagram_bytes: usize,
    max_bytes_per_second: u64,
    only_from: Option<IpAddr>,
    unicast: Option<MessageKind>,
    receive_buffer_bytes: usize,
    #[cfg(feature = "sealing")]
    key: Option<Key>,
}

/// With neither destinations nor an address to receive at, for callers that set
/// them themselves, such as `stream::Sender`.
impl Default for DatagramConfig {
    fn default() -> Self {
        Self {
            destinations: Vec::new(),
            bind: None,
            interface: None,
            multicast_hops: 1,
            max_datagram_bytes: 1_400,
            max_bytes_per_second: GIGABIT,
            only_from: None,
            unicast: None,
            receive_buffer_bytes: 4 << 20,
            #[cfg(feature = "sealing")]
            key: None,
        }
    }
}

impl DatagramConfig {
    /// Sends to these addresses, machines' or groups'. All have one IP version.
    pub fn to(destinations: impl Into<Vec<SocketAddr>>) -> Self {
        Self::default().destinations(destinations)
    }

    /// Receives at a local address, or receives what is sent to a group.
    pub fn at(address: SocketAddr) -> Self {
        Self::default().bind(address)
    }

    /// Replaces the destinations.
    pub fn destinations(mut self, destinations: impl Into<Vec<SocketAddr>>) -> Self {
        self.destinations = destinations.into();
        self
    }

    /// The local address to receive at or to send from. Default: any address, any
    /// port.
    pub fn bind(mut self, address: SocketAddr) -> Self {
        self.bind = Some(address);
        self
    }

    /// The interface for groups. Default: chosen by the routing table.
    pub fn interface(mut self, interface: InterfaceSelector) -> Self {
        self.interface = Some(interface);
        self
    }

    /// Hop limit for groups. Default: 1, the local network only.
    pub fn multicast_hops(mut self, hops: u8) -> Self {
        self.multicast_hops = hops;
        self
    }

    /// Maximum datagram size, in bytes. Default: 1,400, which fits an Ethernet
    /// frame.
    ///
    /// Larger datagrams are cheaper on paths that support them, such as
    /// loopback.
    pub fn max_datagram_bytes(mut self, bytes: usize) -> Self {
        self.max_datagram_bytes = bytes;
        self
    }

    /// Maximum send rate after the first 128 KiB of a message. Default: 125 MB
    /// a second, the rate of gigabit Ethernet.
    ///
    /// All destinations share it. A lower rate spares receivers and switches
    /// with small buffers, and increases the latency of large messages.
    pub fn max_bytes_per_second(mut self, bytes: u64) -> Self {
        self.max_bytes_per_second = bytes;
        self
    }

    /// Receives from this host only. Default: any host.
    ///
    /// Keeps out other hosts, but not one that forges this host's address: only
    /// sealed datagrams are authenticated.
    pub fn only_from(mut self, host: IpAddr) -> Self {
        self.only_from = Some(host);
        self
    }

    /// The kind of message that a receiver of a group also accepts by unicast,
    /// from the sender that it [prefers](super::Channel::prefer). Default:
    /// none.
    pub fn unicast_kind(mut self, kind: MessageKind) -> Self {
        self.unicast = Some(kind);
        self
    }

    /// Size of the receive buffer. Default: 4 MiB; Linux caps it at
    /// `net.core.rmem_max`. For receivers only.
    pub fn receive_buffer_bytes(mut self, bytes: usize) -> Self {
        self.receive_buffer_bytes = bytes;
        self
    }

    /// Seals every datagram that is sent, including replies, and accepts only
    /// datagrams sealed with this key. Default: unsealed.
    ///
    /// The side with destinations is the sender of the key's streams. A sealed
    /// datagram carries 28 bytes less.
    #[cfg(feature = "sealing")]
    pub fn sealed(mut self, key: Key) -> Self {
        self.key = Some(key);
        self
    }

    /// Whether it has a key.
    #[cfg(feature = "sealing")]
    pub fn is_sealed(&self) -> bool {
        self.key.is_some()
    }

    /// Opens the socket. Also returns whether it has joined a group.
    pub(super) fn open(
        self,
        limits: &Limits,
    ) -> Result<(DatagramSender, DatagramReceiver, bool), ChannelError> {
        let socket = self.socket()?;
        let keys = Keys {
            messages: self.outbound(self.split_config(limits))?,
            replies: self.outbound(SplitConfig::default())?,
            #[cfg(feature = "sealing")]
            opener: self.opener(),
            #[cfg(all(feature = "sealing", feature = "pairing"))]
            epochs: None,
        };
        Ok(self.open_with(socket, keys, limits))
    }

    /// The same with a socket and keys.
    pub(super) fn open_with(
        self,
        socket: Socket,
        keys: Keys,
        limits: &Limits,
    ) -> (DatagramSender, DatagramReceiver, bool) {
        let socket = Arc::new(socket);
        let is_group = matches!(*socket, Socket::InGroup { .. });
        let receiver = self.receiver(Arc::clone(&socket), limits);
        #[cfg(feature = "sealing")]
        let receiver = receiver.sealed(keys.opener);
        let sender = DatagramSender {
            socket,
            messages: Mutex::new(Messages {
                outbound: keys.messages,
                pacer: self.pacer(),
                repairs: RepairBudget::default(),
                #[cfg(all(feature = "sealing", feature = "pairing"))]
                epochs: keys.epochs,
            }),
            replies: StdMutex::new(keys.replies),
            destinations: self.destinations,
            #[cfg(all(feature = "sealing", feature = "pairing"))]
            subscription: None,
            #[cfg(all(feature = "sealing", feature = "pairing"))]
            place: StdMutex::default(),
        };
        (sender, receiver, is_group)
    }

    /// The only destination, if that is a group.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub(super) fn group(&self) -> Option<SocketAddr> {
        match self.destinations[..] {
            [only] if only.ip().is_multicast() => Some(only),
            _ => None,
        }
    }

    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub(super) fn has_interface(&self) -> bool {
        self.interface.is_some()
    }

    pub(super) fn pacer(&self) -> Pacer {
        Pacer::new(self.max_bytes_per_second, now())
    }

    /// Without an address to bind, that of a connection, so that datagrams take the
    /// same way.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub(super) fn bind_by_default(mut self, local: Option<IpAddr>, peer: SocketAddr) -> Self {
        // A link-local address needs its interface, which the peer's has.
        let own = local.filter(|local| match local {
            IpAddr::V4(_) => true,
            IpAddr::V6(local) => !local.is_unicast_link_local(),
        });
        let own = own.unwrap_or_else(|| unspecified(peer).ip());
        self.bind.get_or_insert_with(|| SocketAddr::new(own, 0));
        self
    }

    pub(super) fn socket(&self) -> Result<Socket, ChannelError> {
        let interface = self.interface.as_ref();
        let Some(&first) = self.destinations.first() else {
            let at = self.bind.ok_or(ChannelError::NoDestination)?;
            let options = SocketOptions::new().receive_buffer_bytes(self.receive_buffer_bytes);
            return Socket::receiving(at, interface, &options);
        };
        let other = |to: &&SocketAddr| to.is_ipv4() != first.is_ipv4();
        if let Some(&other) = self.destinations.iter().find(other) {
            return Err(ChannelError::MixedVersions { first, other });
        }
        let options = SocketOptions::new()
            .send_buffer_bytes(SEND_BUFFER_BYTES)
            .multicast_hops(self.multicast_hops);
        let bind = self.bind.unwrap_or_else(|| unspecified(first));
        Socket::sending(bind, &self.destinations, interface, &options)
    }

    fn receiver(&self, socket: Arc<Socket>, limits: &Limits) -> DatagramReceiver {
        let is_sender = !self.destinations.is_empty();
        let filter = Filter {
            group: self
                .bind
                .map(|at| at.ip())
                .filter(|at| !is_sender && at.is_multicast()),
            unicast: self.unicast,
            host: self.only_from,
        };
        let (batch, older) = match is_sender {
            true => (ReceiveBatch::with_slots(4), Older::Keep),
            false => (ReceiveBatch::new(), Older::GiveUp),
        };
        DatagramReceiver {
            asks: !is_sender && !matches!(*socket, Socket::InGroup { .. }),
            socket,
            batch,
            inbound: Inbound::new(filter, limits, older),
            #[cfg(all(feature = "sealing", feature = "pairing"))]
            told: None,
            #[cfg(all(feature = "sealing", feature = "pairing"))]
            group: None,
        }
    }

    pub(super) fn split_config(&self, limits: &Limits) -> SplitConfig {
        SplitConfig::default()
            .max_datagram_bytes(self.max_datagram_bytes)
            .max_message_bytes(limits.max_send_bytes)
    }

    /// Replies have their own stream, sealed if there is a key.
    fn outbound(&self, config: SplitConfig) -> io::Result<Outbound> {
        let splitter = Splitter::new(config, random_stream()?);
        #[cfg(feature = "sealing")]
        if let Some(key) = self.key.clone() {
            let sealer = Sealer::new(key, self.direction(), splitter);
            return Ok(Outbound::Sealed(Box::new(sealer)));
        }
        Ok(Outbound::Plain(splitter))
    }

    #[cfg(feature = "sealing")]
    fn opener(&self) -> Option<Opener> {
        let key = self.key.clone()?;
        Some(Opener::new(key, self.direction().back()))
    }

    /// Of what is sent here.
    #[cfg(feature = "sealing")]
    fn direction(&self) -> Direction {
        match self.destinations.is_empty() {
            true => Direction::ToSender,
            false => Direction::FromSender,
        }
    }
}

/// What a channel seals and opens with.
pub(super) struct Keys {
    pub(super) messages: Outbound,
    pub(super) replies: Outbound,
    #[cfg(feature = "sealing")]
    pub(super) opener: Option<Opener>,
    /// Of the messages, if their receivers are told each epoch's key.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub(super) epochs: Option<Epochs>,
}

/// Sends to all destinations, and replies to single peers.
#[derive(Debug)]
pub(super) struct DatagramSender {
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
    pub(super) async fn send(
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
        let run_bytes = (RUN_BYTES / segment_bytes).max(1) * segment_bytes;
        let mut refused = None;
        for run in shards.as_bytes().chunks(run_bytes) {
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
    pub(super) fn subscribed(mut self, subscription: Subscription) -> Self {
        self.subscription = Some(subscription);
        self
    }

    /// Ends the subscription, if there is one. Cancel safe.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub(super) async fn close(&self) {
        if let Some(subscription) = &self.subscription {
            subscription.close().await;
        }
    }

    /// The subscription to it, and what it is as a member of a group.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub(super) fn subscriber(&self) -> Option<(&Subscription, Member)> {
        let (subscription, to) = (self.subscription.as_ref()?, self.destinations.first()?);
        Some((subscription, Member::new(subscription, &self.socket, *to)))
    }

    /// Its receiver is a member of a group from now on.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub(super) fn joined(&self, place: Place) {
        *self.place() = Some(place);
    }

    #[cfg(all(feature = "sealing", feature = "pairing"))]
    fn place(&self) -> std::sync::MutexGuard<'_, Option<Place>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends to one address at once, without waiting for a message in progress.
    pub(super) async fn reply(
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
    pub(super) async fn repair(&self, to: SocketAddr, missing: Missing) -> Result<u64, SendError> {
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

    pub(super) fn local_addr(&self) -> Option<SocketAddr> {
        self.socket.endpoint().local_addr().ok()
    }

    pub(super) fn destinations(&self) -> &[SocketAddr] {
        &self.destinations
    }
}

/// Receives from every sender that passes the filter.
#[derive(Debug)]
pub(super) struct DatagramReceiver {
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
    #[cfg(feature = "sealing")]
    fn sealed(mut self, opener: Option<Opener>) -> Self {
        if let Some(opener) = opener {
            self.inbound = self.inbound.sealed(opener);
        }
        self
    }

    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub(super) fn subscribed(mut self, told: Told) -> Self {
        self.told = Some(told);
        self
    }

    /// The sender that it has subscribed to.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub(super) fn source(&self) -> Option<SocketAddr> {
        self.told.as_ref().and_then(Told::source)
    }

    pub(super) async fn recv(&mut self) -> Result<Message, RecvError> {
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

    pub(super) fn prefer(&mut self, sender: SocketAddr) {
        self.inbound.prefer(sender);
    }

    pub(super) fn reception(&self) -> ShardCounts {
        self.inbound.reception()
    }

    pub(super) fn expire(&mut self, now: Instant) {
        self.inbound.expire(now);
    }
}

/// An unpredictable stream id from the operating system.
pub(super) fn random_stream() -> io::Result<StreamId> {
    Ok(StreamId(getrandom::u64()?))
}

/// Bytes sent to one destination before the next has its turn: one pass through
/// the network stack.
pub(super) const RUN_BYTES: usize = 64 << 10;

/// Holds a run for each of a few destinations.
const SEND_BUFFER_BYTES: usize = 1 << 20;
