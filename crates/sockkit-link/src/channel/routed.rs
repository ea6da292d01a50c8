//! Messages through the routers of zenoh: the datagrams of a message, in one sample.

use std::{
    io,
    net::{Ipv6Addr, SocketAddr},
    sync::{Mutex as StdMutex, PoisonError},
};

use ::zenoh::{
    handlers::{RingChannel, RingChannelHandler},
    liveliness::LivelinessToken,
    pubsub::{Publisher, Subscriber as Subscription},
    qos::{CongestionControl, Priority},
    sample::Sample,
};
use bytes::Bytes;
use ring::digest;
use sockkit_codec::shard::{MessageKind, Older, Parity, ShardError, Shards, SplitConfig, Splitter};
use tokio::{sync::Mutex, task::coop::consume_budget};

use super::{
    Channel, IncomingDatagram, Limits, Message, Receiving, RecvError, SendError, Sending, Sent,
    datagrams::random_stream,
    inbound::{Filter, Inbound},
    now,
    outbound::Outbound,
};
use crate::{
    Address,
    sealing::{Direction, Key, Opener, Sealer},
    zenoh::{Keys, Session, SessionError, Subscriber, failed},
};

impl Channel {
    /// Publishes messages under the name in `at`, to any number of subscribers, and receives
    /// what they reply. With a key everything is sealed.
    ///
    /// # Errors
    /// [`SessionError`] if there is no name, or the session is closed.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is published then.
    pub async fn publisher(
        session: &Session,
        at: &Address,
        key: Option<Key>,
        limits: &Limits,
    ) -> Result<Self, SessionError> {
        let keys = keys(at)?;
        let engine = session.engine();
        let token = engine.liveliness().declare_token(keys.token());
        let publisher = engine
            .declare_publisher(keys.messages())
            .congestion_control(CongestionControl::Drop);
        let short = engine.declare_subscriber(keys.all_to_publisher());
        let receiver = RoutedReceiver {
            newest: None,
            short: short
                .with(RingChannel::new(MAX_SHORT))
                .await
                .map_err(failed)?,
            inbound: inbound(at, key.as_ref(), Direction::ToSender, limits),
            limit: limits.max_receive_bytes,
        };
        let side = Side::Publisher {
            publisher: publisher.await.map_err(failed)?,
            _token: token.await.map_err(failed)?,
        };
        let sender = RoutedSender::new(session, at, keys, side, key.as_ref(), limits)?;
        Ok(Self::routed(sender, receiver))
    }

    /// Receives the messages that are published under the name in `at`, of which the newest
    /// is kept, and may reply. With a key only sealed ones are accepted.
    ///
    /// # Errors
    /// As [`publisher`](Self::publisher).
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is received then.
    pub async fn subscriber(
        session: &Session,
        at: &Address,
        key: Option<Key>,
        limits: &Limits,
    ) -> Result<Self, SessionError> {
        let keys = keys(at)?;
        let mut drawn = [0; 16];
        getrandom::fill(&mut drawn).map_err(failed)?;
        let own = Subscriber::new(u128::from_be_bytes(drawn));
        let engine = session.engine();
        let newest = engine.declare_subscriber(keys.messages());
        let short = engine.declare_subscriber(keys.to_subscriber(own));
        let receiver = RoutedReceiver {
            newest: Some(newest.with(RingChannel::new(1)).await.map_err(failed)?),
            short: short
                .with(RingChannel::new(MAX_SHORT))
                .await
                .map_err(failed)?,
            inbound: inbound(at, key.as_ref(), Direction::FromSender, limits),
            limit: limits.max_receive_bytes,
        };
        let side = Side::Subscriber(own);
        let sender = RoutedSender::new(session, at, keys, side, key.as_ref(), limits)?;
        Ok(Self::routed(sender, receiver))
    }

    fn routed(sender: RoutedSender, receiver: RoutedReceiver) -> Self {
        Self::new(
            Sending::Zenoh(Box::new(sender)),
            Receiving::Zenoh(Box::new(receiver)),
        )
    }
}

fn keys(at: &Address) -> Result<Keys, SessionError> {
    Keys::of(at.path()).ok_or_else(|| SessionError::NotAName(at.clone()))
}

/// Sends messages to all subscribers, and short ones to single peers.
#[derive(Debug)]
pub(super) struct RoutedSender {
    address: Address,
    session: ::zenoh::Session,
    keys: Keys,
    side: Side,
    messages: Mutex<Outbound>,
    /// Numbered separately, so that a reply leaves no gap between messages.
    replies: StdMutex<Outbound>,
}

#[derive(Debug)]
enum Side {
    Publisher {
        publisher: Publisher<'static>,
        /// Others see the name for as long as it lives.
        _token: LivelinessToken,
    },
    Subscriber(Subscriber),
}

impl RoutedSender {
    fn new(
        session: &Session,
        at: &Address,
        keys: Keys,
        side: Side,
        key: Option<&Key>,
        limits: &Limits,
    ) -> Result<Self, SessionError> {
        let direction = match side {
            Side::Publisher { .. } => Direction::FromSender,
            Side::Subscriber(_) => Direction::ToSender,
        };
        let outbound = || outbound(at, key, direction, limits).map_err(failed);
        Ok(Self {
            address: at.clone(),
            session: session.engine().clone(),
            keys,
            side,
            messages: Mutex::new(outbound()?),
            replies: StdMutex::new(outbound()?),
        })
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// Returns when the engine has taken the message, or dropped it.
    pub(super) async fn send(&self, kind: MessageKind, parts: &[Bytes]) -> Result<Sent, SendError> {
        let mut messages = self.messages.lock().await;
        let parts: Vec<&[u8]> = parts.iter().map(|part| &part[..]).collect();
        let sample = sample(messages.split(kind, &parts, Parity::NONE)?);
        let bytes = sample.len() as u64;
        match &self.side {
            Side::Publisher { publisher, .. } => publisher.put(sample).await.map_err(ended)?,
            Side::Subscriber(own) => self.put(self.keys.to_publisher(*own), sample).await?,
        }
        Ok(Sent { bytes })
    }

    pub(super) async fn reply(
        &self,
        to: SocketAddr,
        kind: MessageKind,
        message: &[u8],
    ) -> Result<(), SendError> {
        let key = match self.side {
            Side::Publisher { .. } => {
                let subscriber = Subscriber::of_address(to).ok_or_else(not_a_subscriber)?;
                self.keys.to_subscriber(subscriber)
            }
            Side::Subscriber(own) => self.keys.to_publisher(own),
        };
        let sample = {
            let mut replies = self.replies.lock().unwrap_or_else(PoisonError::into_inner);
            sample(replies.split(kind, &[message], Parity::NONE)?)
        };
        self.put(key, sample).await
    }

    /// Ahead of the messages on each link: replies measure clocks.
    async fn put(&self, key: String, sample: Vec<u8>) -> Result<(), SendError> {
        let put = self
            .session
            .put(key, sample)
            .congestion_control(CongestionControl::Drop)
            .priority(Priority::InteractiveHigh)
            .express(true);
        put.await.map_err(ended)
    }
}

/// Receives the newest message, and short ones in order.
#[derive(Debug)]
pub(super) struct RoutedReceiver {
    /// At the publisher there are short ones only.
    newest: Option<Subscription<RingChannelHandler<Sample>>>,
    short: Subscription<RingChannelHandler<Sample>>,
    inbound: Inbound,
    limit: usize,
}

impl RoutedReceiver {
    pub(super) async fn recv(&mut self) -> Result<Message, RecvError> {
        loop {
            // A flood must not keep other parts of the task from running.
            consume_budget().await;
            let sample = self.next().await?;
            if let Some(message) = self.take(&sample)? {
                return Ok(message);
            }
        }
    }

    async fn next(&self) -> Result<Sample, RecvError> {
        let newest = async {
            match &self.newest {
                Some(newest) => newest.recv_async().await,
                None => std::future::pending().await,
            }
        };
        let next = tokio::select! {
            short = self.short.recv_async() => short,
            next = newest => next,
        };
        next.map_err(|error| RecvError::Failed(io::Error::other(error.to_string())))
    }

    fn take(&mut self, sample: &Sample) -> Result<Option<Message>, RecvError> {
        let subscriber = match self.newest {
            None => Subscriber::of_key(sample.key_expr().as_str()),
            Some(_) => None,
        };
        let from = subscriber.map_or(PUBLISHER, Subscriber::address);
        let limit = self.limit;
        // Headers and seals are a small part of it.
        let most = limit.saturating_add(limit / 8).saturating_add(MAX_DATAGRAM);
        if sample.payload().len() > most {
            return Err(RecvError::TooLong { from, limit });
        }
        open(&mut self.inbound, from, &sample.payload().to_bytes())
    }
}

/// Opens the datagrams of a sample, up to the first that is refused.
fn open(
    inbound: &mut Inbound,
    from: SocketAddr,
    sample: &[u8],
) -> Result<Option<Message>, RecvError> {
    for bytes in datagrams(sample).map_err(|source| RecvError::Refused { from, source })? {
        let datagram = IncomingDatagram {
            bytes,
            from,
            to: None,
        };
        if let Some(message) = inbound.handle_datagram(now(), &datagram)? {
            return Ok(Some(message));
        }
    }
    Ok(None)
}

/// The length of the datagrams, and the datagrams.
fn sample(shards: Shards<'_>) -> Vec<u8> {
    let length =
        u16::try_from(shards.segment_bytes()).expect("a datagram has at most 65,507 bytes");
    [&length.to_be_bytes(), shards.as_bytes()].concat()
}

fn datagrams(sample: &[u8]) -> Result<std::slice::Chunks<'_, u8>, ShardError> {
    let too_short = ShardError::TooShort {
        got: sample.len(),
        needed: 3,
    };
    match sample.split_first_chunk() {
        Some((length, datagrams)) => match u16::from_be_bytes(*length) {
            0 => Err(too_short),
            length => Ok(datagrams.chunks(length.into())),
        },
        None => Err(too_short),
    }
}

fn outbound(
    at: &Address,
    key: Option<&Key>,
    direction: Direction,
    limits: &Limits,
) -> io::Result<Outbound> {
    let config = SplitConfig::default()
        .max_datagram_bytes(MAX_DATAGRAM)
        .max_message_bytes(limits.max_send_bytes);
    let splitter = Splitter::new(config, random_stream()?);
    Ok(match key {
        Some(key) => {
            let key = of_name(key, at);
            Outbound::Sealed(Box::new(Sealer::new(key, direction, splitter)))
        }
        None => Outbound::Plain(splitter),
    })
}

fn inbound(at: &Address, key: Option<&Key>, direction: Direction, limits: &Limits) -> Inbound {
    let inbound = Inbound::new(Filter::default(), limits, Older::GiveUp);
    match key {
        Some(key) => inbound.sealed(Opener::new(of_name(key, at), direction)),
        None => inbound,
    }
}

/// The key of one name, so that a router cannot pass one camera off as another.
fn of_name(key: &Key, at: &Address) -> Key {
    let name = digest::digest(&digest::SHA256, at.path().as_str().as_bytes());
    let identity = name.as_ref().try_into().expect("a digest of 32 bytes");
    key.clone().of_sender(identity)
}

fn ended(error: ::zenoh::Error) -> SendError {
    SendError::Ended(io::Error::other(error.to_string()))
}

fn not_a_subscriber() -> SendError {
    SendError::Ended(io::ErrorKind::AddrNotAvailable.into())
}

/// Publishers have no address.
const PUBLISHER: SocketAddr = SocketAddr::new(std::net::IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);

/// There is no path to fit: fewer headers and seals.
const MAX_DATAGRAM: usize = 65_507;

/// Two of each subscriber's in a second are much; more are dropped.
const MAX_SHORT: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::OpenError;

    const PORCH: &str = "zenoh://hub:7447/porch";
    const HALL: &str = "zenoh://hub:7447/hall";

    /// What is published at one address and received at another, each with its key.
    fn carry(
        from: (&str, Option<&Key>),
        to: (&str, Option<&Key>),
        message: &[u8],
    ) -> Result<Option<Message>, RecvError> {
        let limits = Limits::default();
        let (there, here) = (from.0.parse().unwrap(), to.0.parse().unwrap());
        let mut outbound = outbound(&there, from.1, Direction::FromSender, &limits).unwrap();
        let shards = outbound.split(MessageKind(1), &[message], Parity::NONE);
        let sample = sample(shards.unwrap());
        let mut inbound = inbound(&here, to.1, Direction::FromSender, &limits);
        open(&mut inbound, PUBLISHER, &sample)
    }

    #[test]
    fn a_message_of_any_length_is_one_sample() {
        let key = Key::new(&[7; 32]);
        for length in [0, 1, 70_000, 1_000_000] {
            let message = vec![9; length];
            for key in [None, Some(&key)] {
                let carried = carry((PORCH, key), (PORCH, key), &message).unwrap();
                let carried = carried.expect("it is whole");
                assert_eq!(carried.bytes, message);
                assert_eq!(carried.kind, Some(MessageKind(1)));
            }
        }
    }

    #[test]
    fn what_is_published_under_another_name_or_key_is_not_opened() {
        let (key, other) = (Key::new(&[7; 32]), Key::new(&[8; 32]));
        let sealed = (PORCH, Some(&key));
        for (from, why) in [
            ((HALL, Some(&key)), OpenError::OtherKey),
            ((PORCH, Some(&other)), OpenError::OtherKey),
            ((PORCH, None), OpenError::NotSealed),
        ] {
            let error = carry(from, sealed, b"picture").unwrap_err();
            let is_why = matches!(&error, RecvError::NotOpened { source, .. } if *source == why);
            assert!(is_why, "{error:?}");
        }
        let error = carry(sealed, (PORCH, None), b"picture").unwrap_err();
        assert!(matches!(error, RecvError::Refused { .. }), "{error:?}");
    }

    #[test]
    fn what_is_no_sample_is_refused() {
        let at = PORCH.parse().unwrap();
        for key in [None, Some(&Key::new(&[7; 32]))] {
            let mut inbound = inbound(&at, key, Direction::FromSender, &Limits::default());
            for sample in [&[][..], &[1], &[0, 0], &[0, 0, 1], &[0, 1, 1, 1], &[255; 9]] {
                let error = open(&mut inbound, PUBLISHER, sample).unwrap_err();
                assert_eq!(error.end().map(|_| ()), None, "{sample:?}: {error}");
            }
            assert!(open(&mut inbound, PUBLISHER, &[0, 9]).unwrap().is_none());
        }
    }
}
