//! Subscriptions: datagrams whose keys come over an authenticated connection, for as
//! long as it lives.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use sockkit_codec::{
    frame::{FrameConfig, FrameReadError, FrameReader, FrameWriteError, FrameWriter},
    shard::{SplitConfig, Splitter, StreamId, seal::Position},
};
use sockkit_core::server::Stream;
use tokio::{
    io::{ReadHalf, WriteHalf, split},
    sync::{Notify, mpsc, watch},
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};

use super::{
    Channel, ChannelError, DatagramConfig, Limits, Receiving, RecvError, Sending, TokenBucket,
    datagrams::{Keys, random_stream},
    framed::Duplex,
    group::GroupReceiver,
    inbound::Inbound,
    now,
    outbound::Outbound,
};
use crate::{
    Connection,
    sealing::{
        Direction, Key, Opener, Sealer, ToldStream,
        epochs::Epochs,
        random_secret,
        sign::Verifier,
        subscription::{Grant, GroupGrant, MAX_BYTES, NextEpoch, Request, SubscriptionMessage},
    },
};

/// The authenticated connection of a [subscription](Channel::subscribe), accepted or
/// dialled.
#[derive(Debug)]
pub struct SubscriptionStream {
    stream: Box<dyn Duplex>,
    peer: SocketAddr,
    local: Option<IpAddr>,
    /// The keys of the peer and of this side.
    identities: Option<([u8; 32], [u8; 32])>,
}

/// Error from starting a subscription.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// Keys go only to a peer whose own key is known.
    #[error("the connection is not authenticated")]
    NotAuthenticated,
    /// The peer did not do its part in time.
    #[error("the peer did not answer within {0:?}")]
    TimedOut(Duration),
    /// The peer sent something else: perhaps both sides send, or both receive.
    #[error("the peer is not the other side of a subscription")]
    Unexpected,
    /// The peer receives from another sender.
    #[error("the peer receives from another sender")]
    Busy,
    /// The connection ended.
    #[error("connection ended")]
    Ended(#[from] io::Error),
    /// The socket for datagrams cannot be opened.
    #[error(transparent)]
    Channel(#[from] ChannelError),
}

impl From<Connection> for SubscriptionStream {
    fn from(connection: Connection) -> Self {
        Self {
            peer: connection.peer_addr(),
            local: connection.local_ip(),
            identities: identities(&connection),
            stream: Box::new(connection),
        }
    }
}

impl From<Stream<Connection>> for SubscriptionStream {
    fn from(stream: Stream<Connection>) -> Self {
        let connection = stream.get_ref();
        Self {
            peer: connection.peer_addr(),
            local: connection.local_ip(),
            identities: identities(connection),
            stream: Box::new(stream),
        }
    }
}

impl SubscriptionStream {
    /// Tells a sender that this side receives from another one, and closes.
    ///
    /// # Cancel safety
    /// Cancel safe: the connection is dropped.
    pub async fn refuse(self) {
        let mut frames = Frames::new(self);
        let refusing = async {
            frames.write(&SubscriptionMessage::Busy).await?;
            frames.writer.shutdown().await
        };
        // It learns that from the end of the connection otherwise.
        let _ = timeout(CLOSE_WITHIN, refusing).await;
    }
}

fn identities(connection: &Connection) -> Option<([u8; 32], [u8; 32])> {
    let (peer, own) = (connection.peer()?, connection.own_key()?);
    Some((*peer.fingerprint.as_bytes(), *own.as_bytes()))
}

impl Channel {
    /// Sends datagrams to the peer of an authenticated connection, sealed with keys that
    /// only it gets, over that connection. The peer calls [`subscribe`](Self::subscribe);
    /// either may have dialled.
    ///
    /// The subscription lives as long as the connection, and as the channel: if the peer
    /// leaves or is silent for 3 s, the channel ends; once it is dropped, the
    /// peer gets nothing more. `config` sets neither destinations nor a key.
    ///
    /// # Errors
    /// [`SubscribeError`].
    ///
    /// # Cancel safety
    /// Cancel safe: the connection is dropped.
    pub async fn serve(
        stream: SubscriptionStream,
        config: DatagramConfig,
        limits: &Limits,
    ) -> Result<Self, SubscribeError> {
        in_time(serve(stream, config, limits)).await
    }

    /// Receives the datagrams that the peer of an authenticated connection
    /// [serves](Self::serve), with the keys that it hands over.
    ///
    /// Without an address to [bind](DatagramConfig::bind), at a free port of the
    /// connection's own address. The channel ends with the connection.
    ///
    /// # Errors
    /// [`SubscribeError`].
    ///
    /// # Cancel safety
    /// Cancel safe: the connection is dropped.
    pub async fn subscribe(
        stream: SubscriptionStream,
        config: DatagramConfig,
        limits: &Limits,
    ) -> Result<Self, SubscribeError> {
        in_time(subscribe(stream, config, limits)).await
    }
}

async fn in_time(
    starting: impl Future<Output = Result<Channel, SubscribeError>>,
) -> Result<Channel, SubscribeError> {
    let started = timeout(START_WITHIN, starting).await;
    started.unwrap_or(Err(SubscribeError::TimedOut(START_WITHIN)))
}

async fn serve(
    stream: SubscriptionStream,
    config: DatagramConfig,
    limits: &Limits,
) -> Result<Channel, SubscribeError> {
    let (_, own) = stream.identities.ok_or(SubscribeError::NotAuthenticated)?;
    let (peer, local) = (stream.peer, stream.local);
    let mut frames = Frames::new(stream);
    let SubscriptionMessage::Request(request) = frames.read().await? else {
        return Err(SubscribeError::Unexpected);
    };
    if request.port == 0 {
        return Err(SubscribeError::Unexpected);
    }
    let to = at_port(peer, request.port);
    let config = config.destinations([to]).bind_by_default(local, peer);
    let socket = config.socket()?;
    let (own_secret, secret) = (random_secret()?, random_secret()?);
    let key = |secret| Key::new(&secret).of_sender(own);
    let outbound = |secret, config| {
        let splitter = Splitter::new(config, random_stream()?);
        io::Result::Ok(Sealer::new(key(secret), Direction::FromSender, splitter))
    };
    let messages = outbound(secret, config.split_config(limits))?;
    let replies = outbound(own_secret, SplitConfig::default())?;
    let grant = Grant {
        port: socket
            .endpoint()
            .local_addr()
            .map_err(ChannelError::from)?
            .port(),
        own_secret,
        replies: replies.stream(),
        stream: messages.stream(),
        next: messages.position(),
        secret,
    };
    frames.write(&SubscriptionMessage::Grant(grant)).await?;
    let theirs = ToldStream {
        id: request.replies,
        next: Position(0),
        key: key(own_secret),
        epochs_are_told: false,
        from: to,
        is_shared: false,
    };
    let keys = Keys {
        epochs: Some(Epochs::new(own, messages.position().epoch(), secret)),
        messages: Outbound::Sealed(Box::new(messages)),
        replies: Outbound::Sealed(Box::new(replies)),
        opener: Some(Opener::told(Direction::ToSender, [theirs])),
    };
    let (subscription, told) = frames.keep(None);
    let (sender, receiver, _) = config.open_with(socket, keys, limits);
    Ok(Channel::new(
        Sending::Udp(sender.subscribed(subscription)),
        Receiving::Udp(receiver.subscribed(told)),
    ))
}

async fn subscribe(
    stream: SubscriptionStream,
    config: DatagramConfig,
    limits: &Limits,
) -> Result<Channel, SubscribeError> {
    let (theirs, _) = stream.identities.ok_or(SubscribeError::NotAuthenticated)?;
    let (peer, local) = (stream.peer, stream.local);
    let mut frames = Frames::new(stream);
    let config = config.bind_by_default(local, peer);
    let socket = config.socket()?;
    let replies = random_stream()?;
    let request = Request {
        port: socket
            .endpoint()
            .local_addr()
            .map_err(ChannelError::from)?
            .port(),
        replies,
    };
    frames.write(&SubscriptionMessage::Request(request)).await?;
    let SubscriptionMessage::Grant(grant) = frames.read().await? else {
        return Err(SubscribeError::Unexpected);
    };
    let key = |secret| Key::new(&secret).of_sender(theirs);
    let from = at_port(peer, grant.port);
    let told = |id, next, secret, epochs_are_told| ToldStream {
        id,
        next,
        key: key(secret),
        epochs_are_told,
        from,
        is_shared: false,
    };
    let streams = [
        told(grant.stream, grant.next, grant.secret, true),
        told(grant.replies, Position(0), grant.own_secret, false),
    ];
    let outbound = |stream| {
        let splitter = Splitter::new(SplitConfig::default(), stream);
        let sealer = Sealer::new(key(grant.own_secret), Direction::ToSender, splitter);
        Outbound::Sealed(Box::new(sealer))
    };
    let keys = Keys {
        // It has no destinations.
        messages: outbound(random_stream()?),
        replies: outbound(replies),
        opener: Some(Opener::told(Direction::FromSender, streams)),
        epochs: None,
    };
    let source = Source {
        stream: grant.stream,
        identity: theirs,
        address: from,
        local,
        group: None,
    };
    let (subscription, told) = frames.keep(Some(source));
    let (sender, receiver, _) = config.open_with(socket, keys, limits);
    Ok(Channel::new(
        Sending::Udp(sender.subscribed(subscription)),
        Receiving::Udp(receiver.subscribed(told)),
    ))
}

fn at_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

/// The connection, as messages.
struct Frames {
    reader: FrameReader<ReadHalf<Box<dyn Duplex>>>,
    writer: FrameWriter<WriteHalf<Box<dyn Duplex>>>,
}

impl Frames {
    fn new(stream: SubscriptionStream) -> Self {
        let config = FrameConfig::default()
            .max_send_bytes(MAX_BYTES)
            .max_receive_bytes(MAX_BYTES);
        let (reader, writer) = split(stream.stream);
        Self {
            reader: FrameReader::with_config(reader, config),
            writer: FrameWriter::with_config(writer, config),
        }
    }

    async fn read(&mut self) -> Result<SubscriptionMessage, SubscribeError> {
        let frame = self.reader.recv().await.map_err(broken)?;
        let frame = frame.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        match SubscriptionMessage::parse(&frame) {
            Some(SubscriptionMessage::Busy) => Err(SubscribeError::Busy),
            Some(message) => Ok(message),
            None => Err(SubscribeError::Unexpected),
        }
    }

    async fn write(&mut self, message: &SubscriptionMessage) -> io::Result<()> {
        self.writer.send(message.emit()).await.map_err(unsent)
    }

    /// Keeps the subscription alive in a task of its own, until it ends or both halves
    /// of its channel are dropped.
    fn keep(self, source: Option<Source>) -> (Subscription, Told) {
        let (orders, from_channel) = mpsc::channel(MAX_WAITING);
        let (to_channel, events) = mpsc::channel(MAX_WAITING);
        let hears = Arc::new(AtomicU8::new(UNKNOWN));
        let (ending, ended) = watch::channel(None);
        let (closing, ended) = (Arc::new(Notify::new()), Ended(ended));
        let keeper = Keeper {
            frames: self,
            orders: from_channel,
            closing: Arc::clone(&closing),
            events: source.is_some().then_some(to_channel),
            hears: Arc::clone(&hears),
        };
        tokio::spawn(async move {
            let end = keeper.run().await;
            ending.send_replace(Some(end.map_err(|error| error.kind())));
        });
        let subscription = Subscription {
            orders: orders.clone(),
            closing,
            ended: ended.clone(),
            hears,
        };
        let told = Told {
            events,
            ended,
            late_until: None,
            next: None,
            source,
            orders,
        };
        (subscription, told)
    }
}

/// The stream that a receiver has subscribed to.
#[derive(Clone, Copy, Debug)]
struct Source {
    stream: StreamId,
    identity: [u8; 32],
    address: SocketAddr,
    /// This side's own address.
    local: Option<IpAddr>,
    /// The stream of the group that it was admitted to.
    group: Option<StreamId>,
}

/// Why a subscription has ended; `Ok` if the peer closed it.
type SubscriptionEnd = Result<(), io::ErrorKind>;

/// The end, once there is one.
#[derive(Clone, Debug)]
struct Ended(watch::Receiver<Option<SubscriptionEnd>>);

impl Ended {
    fn end(&self) -> Option<SubscriptionEnd> {
        // A task that was stopped, or has panicked, says nothing. It is asked first: one
        // that ends says why before it is gone.
        let is_gone = self.0.has_changed().is_err();
        let end = *self.0.borrow();
        end.or_else(|| is_gone.then_some(Err(io::ErrorKind::ConnectionAborted)))
    }

    /// Waits for it. Cancel safe.
    async fn wait(&mut self) {
        let _ = self.0.wait_for(Option::is_some).await;
    }
}

/// What the sending half holds.
#[derive(Debug)]
pub(super) struct Subscription {
    orders: mpsc::Sender<Bytes>,
    closing: Arc<Notify>,
    ended: Ended,
    hears: Arc<AtomicU8>,
}

/// A subscriber, to those who do not keep its subscription alive.
#[derive(Clone, Debug)]
pub(super) struct Subscriber {
    orders: mpsc::WeakSender<Bytes>,
    hears: Arc<AtomicU8>,
}

impl Subscriber {
    /// Tells it, unless its subscription has ended or it does not read.
    pub(super) fn tell(&self, message: &SubscriptionMessage) {
        if let Some(orders) = self.orders.upgrade() {
            let _ = orders.try_send(message.emit());
        }
    }

    /// Whether its group reaches it, if it has said so.
    pub(super) fn hears(&self) -> Option<bool> {
        match self.hears.load(Ordering::Relaxed) {
            UNKNOWN => None,
            hears => Some(hears == 1),
        }
    }
}

impl Subscription {
    /// # Errors
    /// If it has ended.
    pub(super) fn check(&self) -> io::Result<()> {
        match self.ended.end() {
            None => Ok(()),
            Some(end) => Err(end.err().unwrap_or(io::ErrorKind::UnexpectedEof).into()),
        }
    }

    /// Ends it, and waits until its connection is closed. Cancel safe.
    pub(super) async fn close(&self) {
        self.closing.notify_one();
        self.ended.clone().wait().await;
    }

    /// Hands a secret to the receiver.
    pub(super) fn tell(&self, next: NextEpoch) -> io::Result<()> {
        self.say(&SubscriptionMessage::Epoch(next))
    }

    pub(super) fn say(&self, message: &SubscriptionMessage) -> io::Result<()> {
        let said = self.orders.try_send(message.emit());
        said.map_err(|_| io::ErrorKind::NotConnected.into())
    }

    pub(super) fn subscriber(&self) -> Subscriber {
        Subscriber {
            orders: self.orders.downgrade(),
            hears: Arc::clone(&self.hears),
        }
    }
}

/// What the receiving half holds.
#[derive(Debug)]
pub(super) struct Told {
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
    /// The sender's address, for a receiver.
    pub(super) fn source(&self) -> Option<SocketAddr> {
        self.source.map(|source| source.address)
    }

    /// Waits until there is something to [take](Self::take).
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(super) async fn changed(&mut self) {
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
    /// its last datagrams.
    pub(super) fn take(
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
    pub(super) fn say_hears(&self, hears: Option<bool>) {
        if let Some(hears) = hears {
            let _ = (self.orders).try_send(SubscriptionMessage::Hears(hears).emit());
        }
    }
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
            is_shared: true,
        }
    }
}

/// Runs the connection of a subscription.
struct Keeper {
    frames: Frames,
    orders: mpsc::Receiver<Bytes>,
    closing: Arc<Notify>,
    /// Of a receiver; a sender is told of no keys.
    events: Option<mpsc::Sender<SubscriptionMessage>>,
    /// What the receiver has said, at a sender.
    hears: Arc<AtomicU8>,
}

impl Keeper {
    async fn run(mut self) -> io::Result<()> {
        let mut beats = interval(ALIVE_EVERY);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard_by = Instant::now() + SILENT_FOR;
        let mut allowance = TokenBucket::new(MESSAGE_COST * MESSAGE_BURST, now());
        loop {
            tokio::select! {
                // The peer's messages come last: however many it sends, the channel's end
                // and the beats have their turn.
                biased;
                order = self.orders.recv() => match order {
                    Some(message) => self.say(message).await?,
                    None => break,
                },
                () = self.closing.notified() => break,
                _ = beats.tick() => self.say(SubscriptionMessage::Alive.emit()).await?,
                () = sleep_until(heard_by) => return Err(io::ErrorKind::TimedOut.into()),
                frame = self.frames.reader.recv() => {
                    let Some(frame) = frame.map_err(broken)? else {
                        return Ok(());
                    };
                    if !allowance.try_spend(now(), MESSAGE_COST) {
                        return Err(io::ErrorKind::InvalidData.into());
                    }
                    heard_by = Instant::now() + SILENT_FOR;
                    self.handle(&frame)?;
                }
            }
        }
        self.close().await;
        Ok(())
    }

    fn handle(&self, frame: &[u8]) -> io::Result<()> {
        use SubscriptionMessage::{Alive, Busy, Epoch, Group, GroupEpoch, Hears, Unknown};

        match (SubscriptionMessage::parse(frame), &self.events) {
            (Some(told @ (Epoch(_) | Group(_) | GroupEpoch(_))), Some(events)) => {
                // A sender has no reason for more than the channel holds.
                let told = events.try_send(told);
                told.map_err(|_| io::ErrorKind::InvalidData.into())
            }
            (Some(Hears(hears)), None) => {
                self.hears.store(hears.into(), Ordering::Relaxed);
                Ok(())
            }
            (Some(Busy), _) => Err(io::ErrorKind::ConnectionAborted.into()),
            (Some(Alive | Unknown), _) => Ok(()),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    async fn say(&mut self, message: Bytes) -> io::Result<()> {
        let saying = timeout(SILENT_FOR, self.frames.writer.send(message));
        saying.await?.map_err(unsent)
    }

    /// The channel is closed, or both its halves are gone.
    async fn close(mut self) {
        let Frames { reader, writer } = &mut self.frames;
        let closing = async {
            if writer.shutdown().await.is_ok() {
                // Closing with an unread message would reset the connection.
                while let Ok(Some(_)) = reader.recv().await {}
            }
        };
        let _ = timeout(CLOSE_WITHIN, closing).await;
    }
}

fn broken(error: FrameReadError) -> io::Error {
    match error {
        FrameReadError::Io(error) => error,
        _ => io::ErrorKind::InvalidData.into(),
    }
}

fn unsent(error: FrameWriteError) -> io::Error {
    match error {
        FrameWriteError::Io(error) => error,
        error => io::Error::other(error),
    }
}

const START_WITHIN: Duration = Duration::from_secs(5);

const ALIVE_EVERY: Duration = Duration::from_millis(500);

/// Ten messages a second, where a peer sends two.
const MESSAGE_COST: Duration = Duration::from_millis(100);

/// What waits when this program was stopped for a while is no flood.
const MESSAGE_BURST: u32 = 64;

/// A peer that says nothing for so long is gone.
const SILENT_FOR: Duration = Duration::from_secs(3);

const CLOSE_WITHIN: Duration = Duration::from_millis(500);

/// Datagrams may come after the end of the connection, though sent before.
const LATE_FOR: Duration = Duration::from_millis(50);

/// A receiver has not said whether the group reaches it; 0 and 1 are no and yes.
const UNKNOWN: u8 = 2;

/// Keys of epochs that wait to be sent or used; there are three a second at most.
const MAX_WAITING: usize = 64;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    /// One end of a subscription, and what its peer's has in its place.
    fn kept() -> (Subscription, Told, DuplexStream) {
        let (here, there) = duplex(1 << 10);
        let stream = SubscriptionStream {
            stream: Box::new(here),
            peer: (Ipv4Addr::LOCALHOST, 1).into(),
            local: None,
            identities: None,
        };
        let (subscription, told) = Frames::new(stream).keep(None);
        (subscription, told, there)
    }

    #[tokio::test]
    async fn a_peer_that_floods_is_given_up() {
        let (subscription, mut told, there) = kept();
        let (mut reader, mut writer) = split(there);
        let flooding = async {
            // Messages of a later version.
            while writer.write_all(&[0, 0, 0, 2, 9, 0]).await.is_ok() {}
        };
        let mut beats = Vec::new();
        let reading = reader.read_to_end(&mut beats);
        let ended = async {
            let _ = tokio::join!(flooding, reading, told.changed());
        };
        timeout(Duration::from_secs(60), ended).await.unwrap();
        let end = subscription.check().unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn unknown_messages_are_ignored_and_malformed_ones_end_it() {
        let (subscription, mut told, mut there) = kept();
        let unknown = [0, 0, 0, 3, 9, 0, 1];
        let alive_without_its_end = [0, 0, 0, 1, 4];
        for bytes in [&unknown[..], &alive_without_its_end] {
            subscription.check().unwrap();
            there.write_all(bytes).await.unwrap();
        }
        let ended = timeout(Duration::from_secs(60), told.changed());
        ended.await.expect("it ends");
        let end = subscription.check().unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn one_that_is_closed_ends_at_once() {
        let (subscription, _told, mut there) = kept();
        let read = async move { there.read_to_end(&mut Vec::new()).await };
        let closing = async { tokio::join!(subscription.close(), read) };
        let ((), read) = timeout(Duration::from_secs(60), closing).await.unwrap();
        read.expect("an orderly end");
        let end = subscription.check().unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
    }

    /// Its end is not known to be orderly.
    #[test]
    fn one_whose_task_is_gone_has_ended() {
        let (ending, ended) = watch::channel(None);
        let ended = Ended(ended);
        assert_eq!(ended.end(), None);
        drop(ending);
        assert!(ended.end().is_some_and(|end| end.is_err()));
    }
}
