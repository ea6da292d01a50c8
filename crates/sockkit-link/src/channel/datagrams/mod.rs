//! Messages as datagrams, to hosts and groups.

mod receiver;
mod sender;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use sockkit_codec::shard::{MessageKind, Older, SplitConfig, Splitter, StreamId};
use sockkit_core::{
    interfaces::InterfaceSelector,
    options::SocketOptions,
    udp::{ReceiveBatch, unspecified},
};

pub(super) use self::{receiver::DatagramReceiver, sender::DatagramSender};
use super::{
    ChannelError, Limits,
    inbound::{Filter, Inbound},
    now,
    outbound::Outbound,
    pace::{GIGABIT, Pacer},
    socket::Socket,
};
#[cfg(all(feature = "sealing", feature = "pairing"))]
use crate::sealing::epochs::Epochs;
#[cfg(feature = "sealing")]
use crate::sealing::{Direction, Key, Opener, Sealer};

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
        let pacer = self.pacer();
        let sender = DatagramSender::new(
            socket,
            self.destinations,
            pacer,
            keys.messages,
            keys.replies,
        );
        #[cfg(all(feature = "sealing", feature = "pairing"))]
        let sender = sender.in_epochs(keys.epochs);
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
        let asks = !is_sender && !matches!(*socket, Socket::InGroup { .. });
        let inbound = Inbound::new(filter, limits, older);
        DatagramReceiver::new(socket, batch, inbound, asks)
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

/// An unpredictable stream id from the operating system.
pub(super) fn random_stream() -> io::Result<StreamId> {
    Ok(StreamId(getrandom::u64()?))
}

/// Bytes sent to one destination before the next has its turn: one pass through
/// the network stack, of whole datagrams.
pub(super) fn run_bytes(segment_bytes: usize) -> usize {
    (RUN_BYTES / segment_bytes).max(1) * segment_bytes
}

const RUN_BYTES: usize = 64 << 10;

/// Holds a run for each of a few destinations.
const SEND_BUFFER_BYTES: usize = 1 << 20;
