//! Subscriptions: datagrams whose keys come over an authenticated connection, for as
//! long as it lives.

mod keeper;
mod told;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use sockkit_codec::{
    frame::{FrameConfig, FrameReadError, FrameReader, FrameWriteError, FrameWriter},
    shard::{SplitConfig, Splitter, seal::Position},
};
use sockkit_core::server::Stream;
use tokio::{
    io::{ReadHalf, WriteHalf, split},
    time::timeout,
};

use self::told::Source;
pub(super) use self::{
    keeper::{Subscriber, Subscription},
    told::Told,
};
use super::{
    Channel, ChannelError, DatagramConfig, Limits, Receiving, Sending,
    datagrams::{Keys, random_stream},
    framed::Duplex,
    outbound::Outbound,
};
use crate::{
    Connection,
    sealing::{
        Direction, Key, Opener, Sealer, ToldStream,
        epochs::Epochs,
        random_secret,
        subscription::{Grant, MAX_BYTES, Request, SubscriptionMessage},
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
    };
    let keys = Keys {
        epochs: Some(Epochs::new(own, messages.position().epoch(), secret)),
        messages: Outbound::Sealed(Box::new(messages)),
        replies: Outbound::Sealed(Box::new(replies)),
        opener: Some(Opener::told(Direction::ToSender, [theirs])),
    };
    let (subscription, told) = keeper::keep(frames, None);
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
    let (subscription, told) = keeper::keep(frames, Some(source));
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

/// How long a connection is given to close in order.
const CLOSE_WITHIN: Duration = Duration::from_millis(500);
