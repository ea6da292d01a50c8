//! Limits of a connection, and congestion control.

use std::{sync::Arc, time::Duration};

use quinn::{
    AckFrequencyConfig, IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt,
    congestion::{CubicConfig, NewRenoConfig},
};
use sockkit_core::{options::SocketOptions, server::ConnectionLimiter};

use super::{PROTOCOL, bbr::BbrConfig};
#[cfg(feature = "pairing")]
use crate::identity::Identity;

/// Settings for listening and dialling.
#[derive(Clone, Debug)]
#[must_use = "a config does nothing until something listens or dials with it"]
pub struct QuicConfig {
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

/// Congestion control: how a sender determines the available bandwidth.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Congestion {
    /// Measures rate and round-trip time (after BBR): packet loss alone does not
    /// slow it down.
    #[default]
    Bbr,
    /// Reacts to loss, like TCP on Linux (CUBIC, RFC 9438).
    Cubic,
    /// Reacts to loss, like older TCP (NewReno, RFC 6582).
    NewReno,
}

impl QuicConfig {
    /// Options to set on the UDP socket before binding. Default: a receive
    /// buffer of 2 MiB, which Linux caps at `net.core.rmem_max`.
    pub fn options(mut self, options: SocketOptions) -> Self {
        self.options = options;
        self
    }

    /// Name of the protocol spoken over the stream (ALPN); both sides must use
    /// the same. Default: [`PROTOCOL`].
    pub fn protocol(mut self, name: impl Into<Vec<u8>>) -> Self {
        self.protocol = name.into();
        self
    }

    /// Timeout of the handshake; at the listener, until the dialler's first
    /// byte. Default: 10 s.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// Idle timeout. Keep-alives are sent every quarter of it. The smaller
    /// value of the two sides applies. Default: 20 s; values below 100 ms are
    /// raised to 100 ms.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout.max(MIN_IDLE_TIMEOUT);
        self
    }

    /// Maximum number of bytes in flight in each direction: buffered at the
    /// sender until they are acknowledged, and at the receiver until they are
    /// read. Default: 6 MiB, a gigabit link with 50 ms of delay; values below
    /// 64 KiB are raised to 64 KiB.
    ///
    /// Lost packets are in flight for longer, so a small window slows a lossy
    /// link. A larger one lets heavy loss end the connection: quinn keeps at
    /// most 1,024 separate pieces of a stream.
    pub fn window_bytes(mut self, bytes: u32) -> Self {
        self.window_bytes = bytes.max(MIN_WINDOW_BYTES);
        self
    }

    /// Maximum number of open connections of a listener, handshakes included,
    /// and of connections waiting to be accepted; further ones are refused.
    /// When a quarter is in use, or the host already has a connection, the
    /// dialler's address is validated with a Retry (RFC 9000, section 8.1).
    /// Default: 64.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// Maximum number of these for one host, which is an IPv4 address or an
    /// IPv6 /64 network. Default: a quarter of
    /// [`max_connections`](Self::max_connections), at least one.
    pub fn max_connections_per_address(mut self, connections: usize) -> Self {
        self.max_connections_per_address = Some(connections);
        self
    }

    /// Replaces the limits with those of a node.
    pub(crate) fn limits(mut self, connections: usize, per_address: Option<usize>) -> Self {
        self.max_connections = connections;
        self.max_connections_per_address = per_address;
        self
    }

    /// Maps the socket options.
    pub(crate) fn map_options(mut self, map: impl FnOnce(&SocketOptions) -> SocketOptions) -> Self {
        self.options = map(&self.options);
        self
    }

    /// The identity of the node: its certificate is presented, and the peer must
    /// present one.
    #[cfg(feature = "pairing")]
    pub(crate) fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Name of the protocol spoken over the stream.
    #[cfg(feature = "pairing")]
    pub(crate) fn service(&self) -> &[u8] {
        &self.protocol
    }

    /// Maximum number of message streams that the peer may have open.
    pub(crate) fn message_streams(mut self, streams: u32) -> Self {
        self.message_streams = streams;
        self
    }

    pub(super) fn limiter(&self) -> ConnectionLimiter {
        match self.max_connections_per_address {
            Some(per_address) => ConnectionLimiter::new(self.max_connections, per_address),
            None => ConnectionLimiter::shared(self.max_connections),
        }
    }

    /// Congestion control of this side as a sender. Default:
    /// [`Congestion::Bbr`].
    pub fn congestion(mut self, congestion: Congestion) -> Self {
        self.congestion = congestion;
        self
    }

    /// The corresponding quinn configuration. `streams` limits the peer's
    /// bidirectional streams.
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
            Congestion::Bbr => transport.congestion_controller_factory(Arc::new(BbrConfig)),
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

impl Default for QuicConfig {
    fn default() -> Self {
        Self {
            options: SocketOptions::new().receive_buffer_bytes(2 << 20),
            protocol: PROTOCOL.to_vec(),
            handshake_timeout: Duration::from_secs(10),
            max_connections: 64,
            max_connections_per_address: None,
            idle_timeout: Duration::from_secs(20),
            window_bytes: 6 << 20,
            congestion: Congestion::default(),
            message_streams: 0,
            #[cfg(feature = "pairing")]
            identity: None,
        }
    }
}

/// The wire format counts milliseconds in 62 bits; longer means none.
fn idle(timeout: Duration) -> IdleTimeout {
    timeout
        .try_into()
        .unwrap_or_else(|_| VarInt::from_u32(u32::MAX).into())
}

/// Zero would mean none on the wire.
const MIN_IDLE_TIMEOUT: Duration = Duration::from_millis(100);

/// Some tens of packets; a zero window would block everything.
const MIN_WINDOW_BYTES: u32 = 64 << 10;

/// Fits an Ethernet frame over IPv4; over IPv6 probing finds 20 bytes less.
const ETHERNET_PAYLOAD_BYTES: u16 = 1_472;

/// How long the peer may delay an acknowledgement. A packet lost at the end of
/// a burst is detected only after this time, which is long compared with a
/// LAN's round trip. With the standard's 25 ms, a link that loses 5 % carries a
/// third less; with 5 ms, one of two concurrent transfers may still starve.
const ACK_DELAY: Duration = Duration::from_millis(1);

/// Initial estimate of the round-trip time: the first retransmission of a lost
/// handshake packet follows after three times this. The standard's 333 ms is
/// meant for the Internet.
const LAN_RTT: Duration = Duration::from_millis(50);
