//! What a connection may take, and how it shares the link.

use std::{sync::Arc, time::Duration};

use quinn::{
    AckFrequencyConfig, IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt,
    congestion::{BbrConfig, CubicConfig, NewRenoConfig},
};
use sockkit_core::{options::SocketOptions, server::Slots};

use super::PROTOCOL;
#[cfg(feature = "pairing")]
use crate::identity::Identity;

/// How to listen and to dial.
#[derive(Clone, Debug)]
#[must_use = "a config does nothing until something listens or dials with it"]
pub struct Config {
    pub(super) options: SocketOptions,
    pub(super) protocol: Vec<u8>,
    pub(super) handshake_timeout: Duration,
    pub(super) max_connections: usize,
    max_connections_per_address: Option<usize>,
    idle_timeout: Duration,
    window_bytes: u32,
    congestion: Congestion,
    message_streams: u32,
    #[cfg(feature = "pairing")]
    pub(super) identity: Option<Identity>,
}

/// How a sender finds out how much the link carries.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Congestion {
    /// By its own measurement of rate and round trip (BBR, version 1, which
    /// quinn calls experimental): loss alone does not slow it down.
    #[default]
    Bbr,
    /// By loss, as TCP on Linux does (RFC 9438).
    Cubic,
    /// By loss, as TCP did of old (RFC 6582).
    NewReno,
}

impl Config {
    /// Options to set on the UDP socket before it is bound. Default: a receive
    /// buffer of 2 MiB, of which Linux gives no more than `net.core.rmem_max`.
    pub fn options(mut self, options: SocketOptions) -> Self {
        self.options = options;
        self
    }

    /// The name of what is spoken over the stream (ALPN); both sides must give
    /// the same. Default: [`PROTOCOL`].
    pub fn protocol(mut self, name: impl Into<Vec<u8>>) -> Self {
        self.protocol = name.into();
        self
    }

    /// How long the handshake may take; at the listener, the dialler's first
    /// byte included. Default: 10 s.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// How long nothing may be heard of the peer; four times in it a side that
    /// has nothing to say shows that it lives. The shorter of both sides' times
    /// counts. Default: 20 s; less than 100 ms is taken as that.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout.max(MIN_IDLE_TIMEOUT);
        self
    }

    /// How many bytes may be under way in each direction: what is in memory at
    /// the sender until it is acknowledged, and at the receiver until it is
    /// read. Default: 4 MiB, a gigabit link with 30 ms of delay; less than
    /// 64 KiB is taken as that.
    ///
    /// Lost packets are under way for longer, so too little slows a lossy link.
    pub fn window_bytes(mut self, bytes: u32) -> Self {
        self.window_bytes = bytes.max(MIN_WINDOW_BYTES);
        self
    }

    /// How many connections a listener has open at a time, handshakes included,
    /// and how many wait to be accepted; more are refused. From a quarter of it
    /// on, and from its second connection on, a dialler must first show that its
    /// address is its own (RFC 9000, section 8.1). Default: 64.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// How many of these one host has, that is an IPv4 address or the /64 of an
    /// IPv6 one. Default: a quarter of [`max_connections`](Self::max_connections),
    /// and one at least.
    pub fn max_connections_per_address(mut self, connections: usize) -> Self {
        self.max_connections_per_address = Some(connections);
        self
    }

    /// Limits of a node, in place of its own.
    pub(crate) fn limits(mut self, connections: usize, per_address: Option<usize>) -> Self {
        self.max_connections = connections;
        self.max_connections_per_address = per_address;
        self
    }

    /// Its socket's options, changed.
    pub(crate) fn map_options(mut self, map: impl FnOnce(&SocketOptions) -> SocketOptions) -> Self {
        self.options = map(&self.options);
        self
    }

    /// Of a node with one: its certificate is shown, and the peer must show one.
    #[cfg(feature = "pairing")]
    pub(crate) fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// What is spoken over the stream.
    #[cfg(feature = "pairing")]
    pub(crate) fn service(&self) -> &[u8] {
        &self.protocol
    }

    /// How many streams with messages the peer may have open at a time.
    pub(crate) fn message_streams(mut self, streams: u32) -> Self {
        self.message_streams = streams;
        self
    }

    pub(super) fn slots(&self) -> Slots {
        match self.max_connections_per_address {
            Some(per_address) => Slots::new(self.max_connections, per_address),
            None => Slots::shared(self.max_connections),
        }
    }

    /// How this side, as a sender, shares the link. Default: [`Congestion::Bbr`].
    pub fn congestion(mut self, congestion: Congestion) -> Self {
        self.congestion = congestion;
        self
    }

    /// The same in quinn's words. `streams` is how many bidirectional ones the peer
    /// may open.
    pub(super) fn transport(&self, streams: u32) -> Arc<TransportConfig> {
        let mut transport = TransportConfig::default();
        let mut mtu = MtuDiscoveryConfig::default();
        mtu.upper_bound(ETHERNET_PAYLOAD_BYTES);
        let mut acknowledgements = AckFrequencyConfig::default();
        acknowledgements.max_ack_delay(Some(ACK_DELAY));
        let window = VarInt::from_u32(self.window_bytes);
        transport
            .max_concurrent_bidi_streams(VarInt::from_u32(streams))
            .max_concurrent_uni_streams(VarInt::from_u32(self.message_streams))
            .datagram_receive_buffer_size(None)
            .max_idle_timeout(Some(idle(self.idle_timeout)))
            .keep_alive_interval(Some(self.idle_timeout / 4))
            .stream_receive_window(window)
            .receive_window(window)
            .send_window(self.window_bytes.into())
            .initial_rtt(LAN_RTT)
            .mtu_discovery_config(Some(mtu))
            .ack_frequency_config(Some(acknowledgements));
        match self.congestion {
            Congestion::Bbr => {
                transport.congestion_controller_factory(Arc::new(BbrConfig::default()))
            }
            Congestion::Cubic => {
                transport.congestion_controller_factory(Arc::new(CubicConfig::default()))
            }
            Congestion::NewReno => {
                transport.congestion_controller_factory(Arc::new(NewRenoConfig::default()))
            }
        };
        Arc::new(transport)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            options: SocketOptions::new().receive_buffer_bytes(2 << 20),
            protocol: PROTOCOL.to_vec(),
            handshake_timeout: Duration::from_secs(10),
            max_connections: 64,
            max_connections_per_address: None,
            idle_timeout: Duration::from_secs(20),
            window_bytes: 4 << 20,
            congestion: Congestion::default(),
            message_streams: 0,
            #[cfg(feature = "pairing")]
            identity: None,
        }
    }
}

/// The wire counts milliseconds in 62 bits; longer is for ever.
fn idle(timeout: Duration) -> IdleTimeout {
    timeout
        .try_into()
        .unwrap_or_else(|_| VarInt::from_u32(u32::MAX).into())
}

/// Zero would be for ever on the wire.
const MIN_IDLE_TIMEOUT: Duration = Duration::from_millis(100);

/// Some tens of packets; without a window nothing moves.
const MIN_WINDOW_BYTES: u32 = 64 << 10;

/// What fits an Ethernet frame over IPv4; over IPv6 the probes find 20 less.
const ETHERNET_PAYLOAD_BYTES: u16 = 1_472;

/// How long the peer may keep an acknowledgement back. A lost packet at the end
/// of a burst is taken for lost only after that time, which is long beside a
/// LAN's round trip: with the standard's 25 ms a link that loses 5 % carries a
/// third less, and with 5 ms one of two transfers at once may still starve.
const ACK_DELAY: Duration = Duration::from_millis(1);

/// Taken for the round trip until there is one to measure: the first
/// retransmission of a lost handshake comes after three of them. The standard's
/// 333 ms are for the Internet.
const LAN_RTT: Duration = Duration::from_millis(50);
