//! Messages between machines, over any transport.
//!
//! | over | a message is | lost, when | take it when |
//! | --- | --- | --- | --- |
//! | datagrams, to hosts and groups | shards and parity, `docs/wire/shard.md` | too many of its datagrams are | the receivers are known, or there is a group |
//! | a TCP or other reliable stream | a frame, `docs/wire/frame.md` | never; it may be late | peers come and go |
//! | QUIC | a unidirectional stream, `docs/wire/video.md` | a newer one takes its place | the same, on a link that loses packets |
//! | zenoh's routers | shards in one sample, `docs/wire/routed.md` | a queue on its way is full | there are several networks, or hundreds of receivers |

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use bytes::Bytes;
use sockkit_codec::shard::{MessageKind, Missing, Parity, ShardCounts, StreamId};
use sockkit_core::server::Stream;
use tokio::io::{AsyncRead, AsyncWrite};

#[cfg(feature = "quic")]
use crate::quic;
use crate::{Address, Connection, Handle, Host, Node, Scheme};

mod datagrams;
mod error;
mod flushed;
mod framed;
#[cfg(all(feature = "sealing", feature = "pairing"))]
mod group;
mod inbound;
mod lag;
mod outbound;
mod pace;
mod repairs;
#[cfg(feature = "zenoh")]
mod routed;
mod socket;
#[cfg(feature = "quic")]
mod streams;
#[cfg(all(feature = "sealing", feature = "pairing"))]
mod subscribed;

pub use self::{
    datagrams::DatagramConfig,
    error::{ChannelError, OpenError, RecvError, SendError},
    flushed::Flushed,
    inbound::{Filter, Inbound, IncomingDatagram},
    lag::LagLimit,
    pace::{GIGABIT, Pacer, TokenBucket},
    repairs::RepairBudget,
};
#[cfg(all(feature = "sealing", feature = "pairing"))]
pub use self::{
    group::{Group, Membership, Reached},
    subscribed::{SubscribeError, SubscriptionStream},
};

use self::{
    datagrams::{DatagramReceiver, DatagramSender},
    framed::{Duplex, FrameReceiver, FrameSender, framed},
};

/// Sends and receives whole messages: over datagrams, a framed stream or QUIC.
///
/// ```
/// # mod sockkit { pub use ::sockkit_codec::*; pub use ::sockkit_link as link; }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use sockkit::shard::{MessageKind, Parity};
/// use sockkit::link::channel::{Channel, DatagramConfig, Limits};
///
/// let limits = Limits::default();
/// let mut there = Channel::datagrams(DatagramConfig::at("127.0.0.1:0".parse()?), &limits)?;
/// let to = there.local_addr().expect("it is bound");
/// let here = Channel::datagrams(DatagramConfig::to([to]), &limits)?;
///
/// here.send(MessageKind(1), &["hello, ".into(), "you".into()], Parity::percent(20)).await?;
/// assert_eq!(there.recv().await?.bytes, "hello, you");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Channel {
    sender: ChannelSender,
    receiver: ChannelReceiver,
}

/// The sending half of a [`Channel`].
#[derive(Debug)]
pub struct ChannelSender(Sending);

#[derive(Debug)]
enum Sending {
    Udp(DatagramSender),
    Multicast(DatagramSender),
    Framed(FrameSender, SocketAddr),
    #[cfg(feature = "quic")]
    Quic(streams::StreamSender),
    #[cfg(feature = "zenoh")]
    Zenoh(Box<routed::RoutedSender>),
}

/// The receiving half of a [`Channel`].
#[derive(Debug)]
pub struct ChannelReceiver(Receiving);

#[derive(Debug)]
enum Receiving {
    Udp(DatagramReceiver),
    Multicast(DatagramReceiver),
    Framed(FrameReceiver),
    #[cfg(feature = "quic")]
    Quic(streams::StreamReceiver),
    #[cfg(feature = "zenoh")]
    Zenoh(Box<routed::RoutedReceiver>),
}

/// Limits of message length, and of how slowly a connected peer may take
/// messages.
#[derive(Clone, Copy, Debug)]
#[must_use = "limits do nothing until a channel is opened with them"]
pub struct Limits {
    max_send_bytes: usize,
    max_receive_bytes: usize,
    max_lag: Duration,
}

/// A received message.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Message {
    /// The payload.
    pub bytes: Bytes,
    /// The sender's address.
    pub from: SocketAddr,
    /// The destination address, if the system reports it.
    pub to: Option<IpAddr>,
    /// The kind of message, if the transport has a field for it; otherwise the
    /// payload tells.
    pub kind: Option<MessageKind>,
    /// Its stream and its number there, if messages can be lost or reordered.
    pub place: Option<(StreamId, u64)>,
}

/// Result of sending a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Sent {
    /// Bytes handed to the network for all destinations together, including
    /// headers and parity.
    pub bytes: u64,
}

impl Message {
    /// A message without metadata other than its sender.
    pub fn new(bytes: Bytes, from: SocketAddr) -> Self {
        Self {
            bytes,
            from,
            to: None,
            kind: None,
            place: None,
        }
    }

    /// Sets the kind.
    #[must_use]
    pub fn of_kind(mut self, kind: Option<MessageKind>) -> Self {
        self.kind = kind;
        self
    }
}

impl Limits {
    /// Maximum length of a message to send. Default: 64 MiB.
    pub fn max_send_bytes(mut self, bytes: usize) -> Self {
        self.max_send_bytes = bytes;
        self
    }

    /// Maximum length of a message to receive. Default: 64 MiB.
    ///
    /// Incomplete messages use at most twice this much memory; so does one
    /// frame.
    pub fn max_receive_bytes(mut self, bytes: usize) -> Self {
        self.max_receive_bytes = bytes;
        self
    }

    /// How far a connected peer may fall behind before the channel ends.
    /// Default: 10 s; [`Duration::MAX`] means never.
    ///
    /// See [`LagLimit`]. Does not apply to datagrams.
    pub fn max_lag(mut self, lag: Duration) -> Self {
        self.max_lag = lag;
        self
    }

    fn max_buffered_bytes(&self) -> usize {
        self.max_receive_bytes.saturating_mul(2).max(MIN_BUFFERED)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_send_bytes: 64 << 20,
            max_receive_bytes: 64 << 20,
            max_lag: Duration::from_secs(10),
        }
    }
}

impl Channel {
    /// Opens a UDP socket for messages to or from hosts or groups.
    ///
    /// # Errors
    /// [`ChannelError`] if the destinations cannot be combined, the address
    /// cannot be bound, or the group cannot be joined.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn datagrams(config: DatagramConfig, limits: &Limits) -> Result<Self, ChannelError> {
        let (sender, receiver, is_group) = config.open(limits)?;
        Ok(match is_group {
            true => Self::new(Sending::Multicast(sender), Receiving::Multicast(receiver)),
            false => Self::new(Sending::Udp(sender), Receiving::Udp(receiver)),
        })
    }

    /// Sends messages as frames over any reliable stream. `peer` is the address
    /// of its other end.
    ///
    /// A message counts as sent when the stream has been flushed.
    pub fn framed(
        stream: impl AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static,
        peer: SocketAddr,
        limits: &Limits,
    ) -> Self {
        Self::boxed(Box::new(stream), peer, None, limits)
    }

    /// Sends messages over a dialled connection: as frames, or over QUIC each
    /// in a stream of its own.
    ///
    /// Over QUIC both nodes must be [configured for messages](Node::messages).
    pub fn connection(connection: Connection, limits: &Limits) -> Self {
        let (handle, peer) = (connection.handle(), connection.peer_addr());
        let local = connection.local_ip();
        Self::over(Box::new(connection), &handle, peer, local, limits)
    }

    /// The same over a connection accepted by a
    /// [`Server`](sockkit_core::server::Server), whose timeouts apply. A
    /// message counts as sent when it has left this machine.
    pub fn accepted(stream: Stream<Connection>, limits: &Limits) -> Self {
        let connection = stream.get_ref();
        let (handle, peer) = (connection.handle(), connection.peer_addr());
        let local = connection.local_ip();
        Self::over(Box::new(Flushed(stream)), &handle, peer, local, limits)
    }

    #[cfg_attr(
        not(feature = "quic"),
        expect(unused_variables, reason = "QUIC alone needs more than a stream")
    )]
    fn over(
        stream: Box<dyn Duplex>,
        handle: &Handle,
        peer: SocketAddr,
        local: Option<IpAddr>,
        limits: &Limits,
    ) -> Self {
        #[cfg(feature = "quic")]
        if let Some(handle) = handle.quic() {
            let (sender, receiver) = streams::streams(stream, handle, limits);
            return Self::new(Sending::Quic(sender), Receiving::Quic(receiver));
        }
        Self::boxed(stream, peer, local, limits)
    }

    fn boxed(
        stream: Box<dyn Duplex>,
        peer: SocketAddr,
        local: Option<IpAddr>,
        limits: &Limits,
    ) -> Self {
        let (sender, receiver) = framed(stream, peer, local, limits);
        Self::new(Sending::Framed(sender, peer), Receiving::Framed(receiver))
    }

    fn new(sender: Sending, receiver: Receiving) -> Self {
        Self {
            sender: ChannelSender(sender),
            receiver: ChannelReceiver(receiver),
        }
    }

    /// The local address of a datagram channel; for a group, that of the
    /// socket.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.sender.0 {
            Sending::Udp(sender) | Sending::Multicast(sender) => sender.local_addr(),
            _ => None,
        }
    }

    /// The peer of a connection.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.sender.peer()
    }

    /// The sender that this channel is [subscribed](Self::subscribe) to.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub fn source(&self) -> Option<SocketAddr> {
        match &self.receiver.0 {
            Receiving::Udp(receiver) => receiver.source(),
            _ => None,
        }
    }

    /// The destinations of a datagram channel.
    pub fn destinations(&self) -> &[SocketAddr] {
        match &self.sender.0 {
            Sending::Udp(sender) | Sending::Multicast(sender) => sender.destinations(),
            _ => &[],
        }
    }

    /// The local or the peer's address, with its scheme.
    pub fn address(&self) -> Address {
        let scheme = match &self.sender.0 {
            Sending::Udp(_) | Sending::Multicast(_) => Scheme::Udp,
            Sending::Framed(..) => Scheme::Tcp,
            #[cfg(feature = "quic")]
            Sending::Quic(_) => Scheme::Quic,
            #[cfg(feature = "zenoh")]
            Sending::Zenoh(sender) => return sender.address().clone(),
        };
        match self.local_addr().or_else(|| self.peer()) {
            Some(address) => Address::new(scheme, address.into(), address.port()),
            None => Address::new(scheme, Host::Unspecified, 0),
        }
    }

    /// As [`ChannelSender::send`].
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// As there.
    pub async fn send(
        &self,
        kind: MessageKind,
        parts: &[Bytes],
        parity: Parity,
    ) -> Result<Sent, SendError> {
        self.sender.send(kind, parts, parity).await
    }

    /// As [`ChannelSender::reply`].
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// As there.
    pub async fn reply(
        &self,
        to: SocketAddr,
        kind: MessageKind,
        message: impl FnOnce() -> Vec<u8> + Send,
    ) -> Result<(), SendError> {
        self.sender.reply(to, kind, message).await
    }

    /// As [`ChannelReceiver::recv`].
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn recv(&mut self) -> Result<Message, RecvError> {
        self.receiver.recv().await
    }

    /// Keeps this sender's messages when memory is short. A receiver of a group
    /// also accepts [that kind](DatagramConfig::unicast_kind) of unicast
    /// message from it. A connection has one sender.
    pub fn prefer(&mut self, sender: SocketAddr) {
        if let Receiving::Udp(receiver) | Receiving::Multicast(receiver) = &mut self.receiver.0 {
            receiver.prefer(sender);
        }
    }

    /// How many of the shards that the [preferred](Self::prefer) sender sent have
    /// come. A connection has none.
    #[must_use]
    pub fn reception(&self) -> ShardCounts {
        match &self.receiver.0 {
            Receiving::Udp(receiver) | Receiving::Multicast(receiver) => receiver.reception(),
            _ => ShardCounts::default(),
        }
    }

    /// Discards incomplete messages whose time has passed. Call it from time to
    /// time, because datagrams may stop arriving.
    pub fn expire(&mut self) {
        if let Receiving::Udp(receiver) | Receiving::Multicast(receiver) = &mut self.receiver.0 {
            receiver.expire(now());
        }
    }

    /// As [`ChannelSender::close`].
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// As there.
    pub async fn close(&self) -> Result<(), SendError> {
        self.sender.close().await
    }

    /// Splits it into halves for two tasks.
    pub fn split(self) -> (ChannelSender, ChannelReceiver) {
        (self.sender, self.receiver)
    }
}

impl ChannelSender {
    /// Sends a message, given in parts, to all destinations or to the peer.
    ///
    /// Returns when the next message should be chosen: datagrams have been
    /// handed to the network at the configured rate, a frame has been written
    /// and flushed, or a QUIC message is acknowledged or takes longer than
    /// usual, in which case the next one supersedes it. `kind` and `parity`
    /// apply to datagrams only.
    ///
    /// # Errors
    /// [`SendError::TooLong`] and [`SendError::Udp`], after which the channel
    /// remains usable; [`SendError::Ended`] if the connection has ended or its
    /// peer is [too slow](Limits::max_lag).
    ///
    /// # Cancel safety
    /// Not cancel safe: the rest of the message is not sent, and a framed
    /// stream becomes unusable.
    pub async fn send(
        &self,
        kind: MessageKind,
        parts: &[Bytes],
        parity: Parity,
    ) -> Result<Sent, SendError> {
        match &self.0 {
            Sending::Udp(sender) | Sending::Multicast(sender) => {
                sender.send(kind, parts, parity).await
            }
            Sending::Framed(sender, _) => sender.send(parts).await,
            #[cfg(feature = "quic")]
            Sending::Quic(sender) => sender.send(parts).await,
            #[cfg(feature = "zenoh")]
            Sending::Zenoh(sender) => sender.send(kind, parts).await,
        }
    }

    /// Sends a short message, to `to` over datagrams, otherwise to the peer. It
    /// waits for a frame in progress only. `message` is called in its turn, so
    /// that it may contain a timestamp.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    /// As [`send`](Self::send).
    pub async fn reply(
        &self,
        to: SocketAddr,
        kind: MessageKind,
        message: impl FnOnce() -> Vec<u8> + Send,
    ) -> Result<(), SendError> {
        match &self.0 {
            Sending::Udp(sender) | Sending::Multicast(sender) => {
                sender.reply(to, kind, &message()).await
            }
            Sending::Framed(sender, _) => sender.reply(message).await,
            #[cfg(feature = "quic")]
            Sending::Quic(sender) => sender.reply(message).await,
            #[cfg(feature = "zenoh")]
            Sending::Zenoh(sender) => sender.reply(to, kind, &message()).await,
        }
    }

    /// Sends shards of the last message once more to one of the destinations, which
    /// has asked for them ([`RecvError::Incomplete`]); says how many bytes those are. None go
    /// to others, of an older message, beyond half of the message's data for each
    /// destination, faster than the channel's rate, or by a connection, which repairs itself.
    ///
    /// # Errors
    /// [`SendError::Udp`], after which the channel is as good as before.
    ///
    /// # Cancel safety
    /// Cancel safe: some may have been sent.
    pub async fn repair(&self, to: SocketAddr, missing: Missing) -> Result<u64, SendError> {
        match &self.0 {
            Sending::Udp(sender) | Sending::Multicast(sender) => sender.repair(to, missing).await,
            _ => Ok(0),
        }
    }

    /// Closes the sending side, after the peer has taken what was sent, or ends a
    /// subscription. Waits for as long as that takes: add a timeout.
    ///
    /// # Errors
    /// [`SendError::Ended`] if the connection has ended already.
    ///
    /// # Cancel safety
    /// Cancel safe: it can be called again.
    pub async fn close(&self) -> Result<(), SendError> {
        match &self.0 {
            #[cfg(all(feature = "sealing", feature = "pairing"))]
            Sending::Udp(sender) => {
                sender.close().await;
                Ok(())
            }
            #[cfg(not(all(feature = "sealing", feature = "pairing")))]
            Sending::Udp(_) => Ok(()),
            Sending::Multicast(_) => Ok(()),
            Sending::Framed(sender, _) => Ok(sender.close().await?),
            #[cfg(feature = "quic")]
            Sending::Quic(sender) => sender.close().await,
            #[cfg(feature = "zenoh")]
            Sending::Zenoh(_) => Ok(()),
        }
    }

    /// The peer, of a connection.
    pub fn peer(&self) -> Option<SocketAddr> {
        match &self.0 {
            Sending::Udp(_) | Sending::Multicast(_) => None,
            Sending::Framed(_, peer) => Some(*peer),
            #[cfg(feature = "quic")]
            Sending::Quic(sender) => Some(sender.peer()),
            #[cfg(feature = "zenoh")]
            Sending::Zenoh(_) => None,
        }
    }
}

impl ChannelReceiver {
    /// Waits for the next complete message.
    ///
    /// # Errors
    /// [`RecvError`], whose [`end`](RecvError::end) tells whether the channel
    /// has ended: an invalid datagram does not end it.
    ///
    /// # Cancel safety
    /// Cancel safe: partly received messages are kept.
    pub async fn recv(&mut self) -> Result<Message, RecvError> {
        match &mut self.0 {
            Receiving::Udp(receiver) | Receiving::Multicast(receiver) => receiver.recv().await,
            Receiving::Framed(receiver) => receiver.recv().await,
            #[cfg(feature = "quic")]
            Receiving::Quic(receiver) => receiver.recv().await,
            #[cfg(feature = "zenoh")]
            Receiving::Zenoh(receiver) => receiver.recv().await,
        }
    }
}

impl Node {
    /// Configures the node for [`Channel`]s: over QUIC both sides must use the
    /// same `protocol` (ALPN), and a peer that is silent for `idle_timeout`
    /// counts as gone.
    #[cfg_attr(
        not(feature = "quic"),
        expect(unused_variables, reason = "QUIC alone needs it")
    )]
    pub fn messages(self, protocol: &[u8], idle_timeout: Duration) -> Self {
        #[cfg(feature = "quic")]
        return self.quic(
            quic::QuicConfig::default()
                .protocol(protocol)
                .idle_timeout(idle_timeout)
                .message_streams(streams::MAX_UNDER_WAY),
        );
        #[cfg(not(feature = "quic"))]
        self
    }
}

impl fmt::Debug for dyn Duplex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Duplex")
    }
}

/// The runtime's clock, so that a paused test clock is obeyed.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// For short messages of many senders.
const MIN_BUFFERED: usize = 64 << 10;
