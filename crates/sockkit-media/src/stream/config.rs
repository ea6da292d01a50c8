//! Settings for sending and receiving pictures.

use std::{net::SocketAddr, time::Duration};

use sockkit_codec::shard::Parity;
use sockkit_core::{options::SocketOptions, server::ServerConfig};
#[cfg(feature = "sealing")]
use sockkit_link::sealing::Key;
#[cfg(all(feature = "sealing", feature = "pairing"))]
use sockkit_link::{Address, channel::Group};
use sockkit_link::{
    Connection, Node, ResolveError,
    channel::{ChannelError, DatagramConfig, Limits},
};
#[cfg(feature = "pairing")]
use sockkit_link::{identity::Identity, trust::Trust};
use tokio::time::timeout;

#[cfg(all(feature = "sealing", feature = "pairing"))]
use super::message::SUBSCRIPTIONS;
use super::{
    message::{CONTROL, MAX_CONTROL_BYTES, MAX_PICTURE_BYTES, PROTOCOL},
    standing::Standing,
};
use crate::encode::Compression;

/// Settings for sending pictures, to destinations or to connected viewers.
#[derive(Clone, Debug)]
#[must_use = "a config does nothing until a sender is given it"]
pub struct SenderConfig {
    pub(super) compression: Compression,
    pub(super) parity: Option<Parity>,
    datagrams: DatagramConfig,
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    group: Option<SocketAddr>,
    max_viewers: usize,
    max_viewers_per_host: Option<usize>,
    write_timeout: Duration,
    #[cfg(feature = "sealing")]
    key: Option<Key>,
    #[cfg(feature = "pairing")]
    party: Option<(Identity, Trust)>,
}

impl SenderConfig {
    /// JPEG quality of raw pictures, 1 to 100. Default: 80.
    ///
    /// JPEG pictures are sent unchanged.
    pub fn jpeg_quality(mut self, quality: u8) -> Self {
        self.compression = Compression::Jpeg { quality };
        self
    }

    /// Sends raw pictures uncompressed. Default: as JPEG.
    ///
    /// This avoids the latency and loss of compression, at the cost of about
    /// ten times the traffic.
    pub fn raw(mut self) -> Self {
        self.compression = Compression::None;
        self
    }

    /// How much parity to add to each picture over datagrams. Default: none.
    ///
    /// 25 % recover nearly every picture at a loss of 5 %, and add as much
    /// traffic.
    pub fn parity(mut self, parity: Parity) -> Self {
        self.parity = Some(parity);
        self
    }

    /// As much parity as receivers need for the loss that they report, the worst
    /// of them: one picture in a million is lost while single datagrams are, and more
    /// parity goes out for a while when pictures are lost all the same. Not more
    /// than half of the data, for reports prove nothing. Before the first
    /// one it is that of a link that loses 1 %.
    pub fn parity_by_reports(mut self) -> Self {
        self.parity = None;
        self
    }

    /// Options for datagrams: interface and hop limit for groups, maximum size, send
    /// rate. The sender sets the destinations.
    pub fn datagrams(mut self, config: DatagramConfig) -> Self {
        self.datagrams = config;
        self
    }

    /// Multicasts pictures once, to this group, for all viewers that
    /// [`Sender::listen`](super::Sender::listen) serves. Default: each of them gets its own
    /// datagrams.
    ///
    /// They are sealed with a key that each viewer gets over its connection, and signed, so that
    /// no viewer can send any to others. Those that do not say within a second that the group
    /// reaches them, or that lose a quarter of it, get the same datagrams by unicast; [parity by
    /// reports](Self::parity_by_reports) follows the worst of the rest. A group costs the
    /// sender as much as one viewer.
    ///
    /// [`Sender::open`](super::Sender::open) and [`Sender::push`](super::Sender::push) admit no
    /// viewers to a group, and refuse a config with one.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub fn group(mut self, group: SocketAddr) -> Self {
        self.group = Some(group);
        self
    }

    /// Maximum number of connected viewers; further ones are reset. Default:
    /// 128.
    ///
    /// They share the data of a picture. Over TCP each costs a task, a
    /// descriptor, and less than 600 KiB of kernel memory.
    pub fn max_viewers(mut self, viewers: usize) -> Self {
        self.max_viewers = viewers;
        self
    }

    /// Maximum number of connected viewers of one host; further ones are reset.
    /// Default: a quarter of all.
    ///
    /// A host is one IPv4 address or one IPv6 /64 network. Behind address
    /// translation or a relay, many viewers are one host.
    pub fn max_viewers_per_host(mut self, viewers: usize) -> Self {
        self.max_viewers_per_host = Some(viewers);
        self
    }

    /// How long a connected viewer may be behind, not read, or be silent while
    /// there is nothing to show, before it is dropped. Default: 10 s;
    /// [`Duration::MAX`] means never.
    ///
    /// A picture may take a tenth of that, plus a second for each megabyte. A
    /// viewer that needs longer falls behind, even if it reads continuously: by
    /// default one that needs two seconds for each picture is dropped after
    /// twenty. A live viewer reconnects, and gets the newest picture.
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.write_timeout = timeout;
        self
    }

    /// Seals all datagrams, and accepts only sealed reports and clock requests.
    /// Default: unsealed.
    ///
    /// Viewers that connect are then not served: QUIC encrypts by itself.
    #[cfg(feature = "sealing")]
    pub fn sealed(mut self, key: Key) -> Self {
        self.key = Some(key);
        self
    }

    /// Encrypts connections and authenticates both ends, as [`Node::authenticate`]
    /// describes. Default: neither. Of datagrams, only those of subscriptions are affected.
    #[cfg(feature = "pairing")]
    pub fn authenticate(mut self, identity: Identity, trust: Trust) -> Self {
        self.party = Some((identity, trust));
        self
    }

    pub(super) fn datagrams_to(&self, destinations: Vec<SocketAddr>) -> DatagramConfig {
        let config = self.datagrams.clone().destinations(destinations);
        #[cfg(feature = "sealing")]
        let config = sealed(config, self.key.as_ref());
        config
    }

    #[cfg_attr(
        not(feature = "sealing"),
        expect(clippy::unused_self, reason = "without the feature there is no key")
    )]
    pub(super) fn is_sealed(&self) -> bool {
        #[cfg(feature = "sealing")]
        return self.key.is_some() || self.datagrams.is_sealed();
        #[cfg(not(feature = "sealing"))]
        false
    }

    pub(super) fn limits(&self) -> Limits {
        Limits::default()
            .max_send_bytes(MAX_PICTURE_BYTES)
            .max_receive_bytes(MAX_CONTROL_BYTES)
            .max_lag(self.write_timeout)
    }

    pub(super) fn per_host(&self) -> usize {
        self.max_viewers_per_host
            .unwrap_or_else(|| self.max_viewers.div_ceil(4))
    }

    /// The node that listens for viewers.
    pub(super) fn node(&self) -> Node {
        self.node_for(PROTOCOL)
    }

    /// The node for subscriptions, whose pictures go as datagrams.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub(super) fn subscriptions(&self) -> Node {
        self.node_for(SUBSCRIPTIONS).timeout(CONNECT_WITHIN)
    }

    /// Options of the datagrams to one subscriber.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub(super) fn datagrams_of_each(&self) -> DatagramConfig {
        self.datagrams.clone()
    }

    /// The group that viewers are admitted to.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub(super) fn open_group(&self) -> Result<Option<Group>, ChannelError> {
        let (Some(group), Some((identity, _))) = (self.group, &self.party) else {
            return Ok(None);
        };
        let config = self.datagrams.clone().destinations([group]);
        let sender = *identity.fingerprint().as_bytes();
        Group::new(&config, sender, &self.limits()).map(Some)
    }

    /// Rejects a group where no viewers are admitted to it.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub(super) fn check_no_group(&self, address: &Address) -> Result<(), ChannelError> {
        self.group.map_or(Ok(()), |_group| {
            let address = address.clone();
            Err(ChannelError::GroupUnused { address })
        })
    }

    /// Whether peers are authenticated.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub(super) fn authenticates(&self) -> bool {
        self.party.is_some()
    }

    /// Why the peer of a connection is trusted.
    #[cfg(feature = "pairing")]
    pub(super) fn standing(&self, connection: &Connection, is_dialled: bool) -> Standing {
        Standing::of(connection, self.party.as_ref(), is_dialled)
    }

    /// No peer is authenticated.
    #[cfg(not(feature = "pairing"))]
    pub(super) fn standing(&self, _connection: &Connection, _is_dialled: bool) -> Standing {
        Standing::default()
    }

    fn node_for(&self, protocol: &[u8]) -> Node {
        let options = SocketOptions::new()
            .no_delay(true)
            .send_buffer_bytes(SEND_BUFFER_BYTES)
            .receive_buffer_bytes(CONTROL_BUFFER_BYTES);
        // The next picture is chosen when less than half of this is unsent; and
        // data for a vanished viewer is not kept for long.
        #[cfg(target_os = "linux")]
        let options = options
            .not_sent_low_water_bytes(NOT_SENT_BYTES)
            .user_timeout(Some(self.write_timeout.min(LONGEST_USER_TIMEOUT)));
        let node = Node::default()
            .tcp_options(options)
            .max_connections(self.max_viewers)
            .max_connections_per_address(self.per_host())
            .messages(protocol, self.write_timeout);
        #[cfg(feature = "pairing")]
        if let Some((identity, trust)) = self.party.clone() {
            return node.authenticate(identity, trust);
        }
        node
    }

    pub(super) fn server(&self) -> ServerConfig {
        ServerConfig::default()
            .max_connections(self.max_viewers)
            .max_connections_per_address(self.per_host())
            .write_timeout(self.write_timeout)
            .idle_timeout(self.write_timeout)
            // Reads run alongside the pictures, and must not see EOF before
            // them.
            .quiet_period(None)
            .drain_timeout(DRAIN_WITHIN)
    }
}

impl Default for SenderConfig {
    fn default() -> Self {
        Self {
            compression: Compression::default(),
            parity: Some(Parity::NONE),
            datagrams: DatagramConfig::default(),
            #[cfg(all(feature = "sealing", feature = "pairing"))]
            group: None,
            max_viewers: 128,
            max_viewers_per_host: None,
            write_timeout: Duration::from_secs(10),
            #[cfg(feature = "sealing")]
            key: None,
            #[cfg(feature = "pairing")]
            party: None,
        }
    }
}

/// Settings for receiving pictures.
#[derive(Clone, Debug)]
#[must_use = "a config does nothing until a receiver is given it"]
pub struct ReceiverConfig {
    datagrams: DatagramConfig,
    receive_buffer_bytes: usize,
    idle_timeout: Duration,
    #[cfg(feature = "sealing")]
    key: Option<Key>,
    #[cfg(feature = "pairing")]
    party: Option<(Identity, Trust)>,
}

impl ReceiverConfig {
    /// Options for datagrams: the interface on which to join a group, a filter by
    /// host, the size of the receive buffer. The receiver sets the address.
    pub fn datagrams(mut self, config: DatagramConfig) -> Self {
        self.datagrams = config;
        self
    }

    /// Size of the receive buffer of a TCP connection. Default: 256 KiB.
    ///
    /// Data that waited there is stale and is dropped. Longer paths need more:
    /// the rate times the round trip.
    pub fn receive_buffer_bytes(mut self, bytes: usize) -> Self {
        self.receive_buffer_bytes = bytes;
        self
    }

    /// How long a connected sender may send nothing before the receiver
    /// reconnects. Default: 3 s.
    ///
    /// A sender replies every second, even without pictures.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Accepts only datagrams sealed with this key. Default: unsealed ones.
    ///
    /// Datagrams that cannot be opened are counted, with the reason, as
    /// [`unopened`](super::Stats::unopened). Senders are not dialled with a key: QUIC
    /// encrypts by itself.
    #[cfg(feature = "sealing")]
    pub fn sealed(mut self, key: Key) -> Self {
        self.key = Some(key);
        self
    }

    /// Encrypts connections and authenticates both ends, as [`Node::authenticate`]
    /// describes. Default: neither. Of datagrams, only those of subscriptions are affected.
    #[cfg(feature = "pairing")]
    pub fn authenticate(mut self, identity: Identity, trust: Trust) -> Self {
        self.party = Some((identity, trust));
        self
    }

    pub(super) fn datagrams_at(&self, address: SocketAddr) -> DatagramConfig {
        let config = self.datagrams.clone().bind(address).unicast_kind(CONTROL);
        #[cfg(feature = "sealing")]
        let config = sealed(config, self.key.as_ref());
        config
    }

    #[cfg_attr(
        not(feature = "sealing"),
        expect(clippy::unused_self, reason = "without the feature there is no key")
    )]
    pub(super) fn is_sealed(&self) -> bool {
        #[cfg(feature = "sealing")]
        return self.key.is_some() || self.datagrams.is_sealed();
        #[cfg(not(feature = "sealing"))]
        false
    }

    /// The node that dials the sender.
    pub(super) fn node(&self) -> Node {
        self.node_for(PROTOCOL)
    }

    /// The node for a subscription, whose pictures come as datagrams.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub(super) fn subscription(&self) -> Node {
        self.node_for(SUBSCRIPTIONS)
    }

    /// Options of the datagrams of a subscription.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub(super) fn datagrams_subscribed(&self) -> DatagramConfig {
        self.datagrams.clone()
    }

    /// Whether the peer is authenticated.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub(super) fn authenticates(&self) -> bool {
        self.party.is_some()
    }

    /// Why the peer of a connection is trusted.
    #[cfg(feature = "pairing")]
    pub(super) fn standing(&self, connection: &Connection, is_dialled: bool) -> Standing {
        Standing::of(connection, self.party.as_ref(), is_dialled)
    }

    /// No peer is authenticated.
    #[cfg(not(feature = "pairing"))]
    pub(super) fn standing(&self, _connection: &Connection, _is_dialled: bool) -> Standing {
        Standing::default()
    }

    fn node_for(&self, protocol: &[u8]) -> Node {
        let options = SocketOptions::new()
            .no_delay(true)
            .receive_buffer_bytes(self.receive_buffer_bytes)
            .read_timeout(Some(self.idle_timeout))
            .write_timeout(Some(self.idle_timeout));
        let node = Node::default()
            .tcp_options(options)
            .timeout(CONNECT_WITHIN)
            .messages(protocol, self.idle_timeout);
        #[cfg(feature = "pairing")]
        if let Some((identity, trust)) = self.party.clone() {
            return node.authenticate(identity, trust);
        }
        node
    }

    pub(super) fn limits() -> Limits {
        Limits::default()
            .max_send_bytes(MAX_CONTROL_BYTES)
            .max_receive_bytes(MAX_PICTURE_BYTES)
            // The connection's own timeout ends a write that takes too long.
            .max_lag(Duration::MAX)
    }
}

impl Default for ReceiverConfig {
    fn default() -> Self {
        Self {
            datagrams: DatagramConfig::default(),
            receive_buffer_bytes: 256 << 10,
            idle_timeout: Duration::from_secs(3),
            #[cfg(feature = "sealing")]
            key: None,
            #[cfg(feature = "pairing")]
            party: None,
        }
    }
}

#[cfg(feature = "sealing")]
fn sealed(config: DatagramConfig, key: Option<&Key>) -> DatagramConfig {
    match key {
        Some(key) => config.sealed(key.clone()),
        None => config,
    }
}

/// The system's resolver has no suitable timeout of its own.
pub(crate) async fn in_time<T>(
    resolving: impl Future<Output = Result<T, ResolveError>>,
) -> Result<T, ChannelError> {
    let resolved = timeout(RESOLVE_WITHIN, resolving).await;
    Ok(resolved.map_err(std::io::Error::from)??)
}

const RESOLVE_WITHIN: Duration = Duration::from_secs(10);

/// Bounds the data in flight to one viewer: a few pictures.
const SEND_BUFFER_BYTES: usize = 256 << 10;

/// Reports and clock requests have about sixty bytes each.
const CONTROL_BUFFER_BYTES: usize = 16 << 10;

#[cfg(target_os = "linux")]
const NOT_SENT_BYTES: u32 = 8 << 10;

/// The kernel counts milliseconds in 31 bits.
#[cfg(target_os = "linux")]
const LONGEST_USER_TIMEOUT: Duration = Duration::from_secs(24 * 3_600);

/// Timeout of a dial: a host that was off may be back by then, and the kernel's
/// own retries become rare.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// How long a viewer that does not read can delay a shutdown.
const DRAIN_WITHIN: Duration = Duration::from_secs(1);
