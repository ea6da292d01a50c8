//! Senders and receivers whose datagrams are sealed with keys that come over an
//! authenticated connection: TCP, at the port of the same number.

use std::{pin::pin, sync::Arc, time::Duration};

use sockkit_core::{tcp::End, udp::unspecified};
use sockkit_link::{
    Acceptor, Address, Connection, DialError, Host, Node, Scheme,
    channel::{Channel, ChannelError, DatagramConfig, SubscribeError, SubscriptionStream},
    pairing::AuthenticatedPeer,
};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    ConnectionState, Receiver, ReceiverConfig, Sender, SenderConfig,
    backoff::Backoff,
    receiver::{BUSY, NOT_TRUSTED, ReceiverTask, random},
    reports::{MAX_RECEIVERS, Reports},
    sender::{By, ViewerCount},
    session::{Pictures, Session, SessionEnd, Shared},
};
use crate::{
    encode::Encoder,
    latest::{Publisher, Subscriber},
    picture::Picture,
};

impl Sender {
    /// Listens for viewers at these `udp://` addresses: they connect over TCP to the same
    /// port number, are authenticated, and get a key of their own there; their pictures
    /// go to them as datagrams that are sealed with it.
    ///
    /// A viewer gets nothing more once its connection has ended, and within a second after
    /// it is no longer trusted. With a [group](SenderConfig::group) the pictures are
    /// multicast, to those whom that reaches. Its counterpart is [`Receiver::subscribe`].
    ///
    /// # Errors
    /// [`ChannelError`] if an address cannot be bound, or the config does not
    /// [authenticate](SenderConfig::authenticate), or has a key.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is sent then.
    pub async fn listen(
        at: &[Address],
        config: SenderConfig,
        pictures: Subscriber<Picture>,
    ) -> Result<Self, ChannelError> {
        let node = config.subscriptions();
        let mut acceptors = Vec::new();
        for at in at {
            check(at, config.authenticates(), config.is_sealed())?;
            acceptors.push(node.listen(&control_of(at)).await?);
        }
        let group = config.open_group()?;
        let by = group.clone().map_or(By::Datagrams, By::Group);
        let sender = Self::serve(acceptors, by, config, pictures)?;
        Ok(sender.in_group(group))
    }

    /// Sends to a viewer that listens at this `udp://` address: connects to it over TCP at
    /// the same port number, authenticates it, and hands over the key; reconnects when
    /// the connection has ended. Its counterpart is [`Receiver::listen`].
    ///
    /// # Errors
    /// [`ChannelError`] if the config does not
    /// [authenticate](SenderConfig::authenticate), or has a key or a group. An unreachable viewer is
    /// not an error.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn push(
        to: &Address,
        config: SenderConfig,
        pictures: Subscriber<Picture>,
    ) -> Result<Self, ChannelError> {
        check(to, config.authenticates(), config.is_sealed())?;
        config.check_no_group(to)?;
        let shared = Arc::new(Shared::new(Reports::new(
            Vec::new(),
            MAX_RECEIVERS.div_ceil(4),
        )));
        let link = Publisher::new();
        link.publish(ConnectionState::Dialling);
        let (states, stop) = (link.subscribe(), CancellationToken::new());
        let push = PushLoop {
            node: config.subscriptions(),
            to: control_of(to),
            config,
            link,
            shared: Arc::clone(&shared),
        };
        let run = {
            let stop = stop.clone();
            async move {
                stop.run_until_cancelled(push.run(pictures)).await;
            }
        };
        let sender = Self::start(to.clone(), vec![to.clone()], shared, stop, run);
        Ok(sender.linked(states))
    }

    /// Dials a viewer once, authenticates it, and disconnects, as
    /// [`Receiver::authenticate`] does.
    ///
    /// # Errors
    /// As [`Node::dial`].
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    ///
    /// # Cancel safety
    /// Cancel safe: an attempt under way is given up.
    pub async fn authenticate(
        to: &Address,
        config: &SenderConfig,
    ) -> Result<Option<AuthenticatedPeer>, DialError> {
        authenticate(config.subscriptions(), to).await
    }
}

/// Connects to a viewer, and reconnects.
struct PushLoop {
    node: Node,
    to: Address,
    config: SenderConfig,
    link: Publisher<ConnectionState>,
    shared: Arc<Shared>,
}

impl PushLoop {
    /// Runs until there are no more pictures.
    async fn run(self, pictures: Subscriber<Picture>) {
        let mut source = pictures.clone();
        let mut ended = pin!(async { while source.next().await.is_some() {} });
        let mut session = Session {
            shared: &self.shared,
            pictures: Pictures::Own(Encoder::new(pictures, self.config.compression)),
            parity: self.config.parity,
            viewer: None,
        };
        let mut backoff = Backoff::default();
        loop {
            let dialled = tokio::select! {
                dialled = self.node.dial(&self.to) => dialled,
                () = &mut ended => return,
            };
            let why = match dialled {
                Ok(connection) => match self.serve(&mut session, connection).await {
                    Ok(SessionEnd::Pictures) => return,
                    Ok(SessionEnd::Channel(why)) => {
                        backoff.reset();
                        why
                    }
                    Err(why) => why,
                },
                Err(error) => error.end(),
            };
            self.link.publish(ConnectionState::Down { why });
            let pause = sleep(backoff.pause(random().unwrap_or_default()));
            tokio::select! {
                () = pause => {}
                () = &mut ended => return,
            }
        }
    }

    /// Sends over one connection's keys, until it ends or its peer is no longer trusted.
    async fn serve(
        &self,
        session: &mut Session<'_>,
        connection: Connection,
    ) -> Result<SessionEnd, End> {
        let peer = connection.peer_addr();
        let standing = self.config.standing(&connection, true);
        let (config, limits) = (self.config.datagrams_of_each(), self.config.limits());
        let channel = Channel::serve(connection.into(), config, &limits).await;
        let channel = channel.map_err(|error| end_of_subscription(&error))?;
        let _present = ViewerCount::enter(&self.shared);
        session.viewer = channel.destinations().first().copied();
        self.link.publish(ConnectionState::Up { peer });
        tokio::select! {
            ended = session.run(channel, std::future::pending()) => {
                ended.map_err(|_violation| End::Failed(std::io::ErrorKind::InvalidData))
            }
            () = standing.revoked() => Err(NOT_TRUSTED),
        }
    }
}

impl Receiver {
    /// Receives from a sender that [listens](Sender::listen) at this `udp://` address:
    /// connects to it over TCP at the same port number, authenticates it, and gets the
    /// key of its datagrams there. It may be started later: the receiver reconnects.
    ///
    /// # Errors
    /// [`ChannelError`] if the config does not
    /// [authenticate](ReceiverConfig::authenticate), or has a key. An unreachable sender is not an error.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn subscribe(at: &Address, config: &ReceiverConfig) -> Result<Self, ChannelError> {
        check(at, config.authenticates(), config.is_sealed())?;
        Ok(Self::dial_by(
            at.clone(),
            control_of(at),
            config.subscription(),
            config,
            By::Datagrams,
        ))
    }

    /// Receives from a sender that [pushes](Sender::push) to this local `udp://` address: it
    /// connects over TCP to the same port number, is authenticated, and hands over the key
    /// of its datagrams. There is one at a time, and others are refused; one that was cut
    /// off is given up after 3 s.
    ///
    /// # Errors
    /// [`ChannelError`] if the address cannot be bound, or the config does not
    /// [authenticate](ReceiverConfig::authenticate), or has a key.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is received then.
    pub async fn listen(at: &Address, config: ReceiverConfig) -> Result<Self, ChannelError> {
        check(at, config.authenticates(), config.is_sealed())?;
        let acceptor = config.subscription().listen(&control_of(at)).await?;
        let address = datagrams_of(&acceptor.address());
        let listen_loop = ListenLoop {
            is_everywhere: *at.host() == Host::Unspecified,
            acceptor,
            config,
        };
        // That the port is taken is reported now, not to the first sender.
        let probe = listen_loop.datagrams(listen_loop.acceptor.local_addr());
        drop(Channel::datagrams(probe, &ReceiverConfig::limits())?);
        Ok(Self::start(address, None, |ingest, stop| {
            let task = ReceiverTask::new(ingest);
            async move {
                stop.run_until_cancelled(listen_loop.run(task)).await;
            }
        }))
    }
}

/// Accepts senders, one at a time.
struct ListenLoop {
    acceptor: Acceptor,
    is_everywhere: bool,
    config: ReceiverConfig,
}

impl ListenLoop {
    /// Where the datagrams of this peer are received.
    fn datagrams(&self, peer: std::net::SocketAddr) -> DatagramConfig {
        let mut at = self.acceptor.local_addr();
        if self.is_everywhere {
            at.set_ip(unspecified(peer).ip());
        }
        self.config.datagrams_at(at)
    }

    /// Runs until the listener fails.
    async fn run(mut self, mut task: ReceiverTask) {
        loop {
            match self.acceptor.accept().await {
                Ok(connection) => self.watch(connection, &mut task).await,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept senders any more");
                    return;
                }
            }
        }
    }

    /// Receives by one connection's keys, and refuses others meanwhile: from the
    /// beginning, so that a sender that does not hand them over keeps others waiting for
    /// a second at most.
    async fn watch(&mut self, connection: Connection, task: &mut ReceiverTask) {
        let peer = connection.peer_addr();
        let standing = self.config.standing(&connection, false);
        let (datagrams, limits) = (self.datagrams(peer), ReceiverConfig::limits());
        let watching = async {
            let subscribing = Channel::subscribe(connection.into(), datagrams, &limits);
            match timeout(GRANT_WITHIN, subscribing).await {
                Ok(Ok(mut channel)) => {
                    let end = task.receive(&mut channel).await;
                    tracing::info!(%peer, ?end, "subscription ended");
                }
                Ok(Err(error)) => tracing::debug!(%peer, %error, "no subscription"),
                Err(_elapsed) => tracing::debug!(%peer, "the sender handed over no key"),
            }
        };
        let refusing = async {
            // They end with the subscription; their peers learn it from that.
            let mut refusals = JoinSet::new();
            while let Ok(other) = self.acceptor.accept().await {
                while refusals.try_join_next().is_some() {}
                if refusals.len() < MAX_REFUSALS {
                    refusals.spawn(SubscriptionStream::from(other).refuse());
                }
            }
        };
        tokio::select! {
            () = watching => {}
            () = standing.revoked() => tracing::info!(%peer, "the sender is no longer trusted"),
            () = refusing => {}
        }
    }
}

pub(super) async fn authenticate(
    node: Node,
    at: &Address,
) -> Result<Option<AuthenticatedPeer>, DialError> {
    let connection = node.dial(&control_of(at)).await?;
    Ok(connection.peer().cloned())
}

/// The address of the datagrams whose keys come over the connection at `at`.
pub(super) fn datagrams_of(at: &Address) -> Address {
    Address::new(Scheme::Udp, at.host().clone(), at.port())
}

/// The address of the connection for the datagrams at `at`.
fn control_of(at: &Address) -> Address {
    Address::new(Scheme::Tcp, at.host().clone(), at.port())
}

fn check(at: &Address, authenticates: bool, is_sealed: bool) -> Result<(), ChannelError> {
    if is_sealed {
        let address = at.clone();
        return Err(ChannelError::KeyUnused { address });
    }
    match at.scheme() == Scheme::Udp && at.group().is_none() && authenticates {
        true => Ok(()),
        false => Err(ChannelError::NoSubscription {
            address: at.clone(),
        }),
    }
}

pub(super) fn end_of_subscription(error: &SubscribeError) -> End {
    match error {
        SubscribeError::Ended(error) => End::from_io(error),
        SubscribeError::TimedOut(_) => End::TimedOut(sockkit_core::tcp::Timeout::Read),
        SubscribeError::Busy => BUSY,
        _ => End::Failed(std::io::ErrorKind::InvalidData),
    }
}

/// Others that are told at the same time that there is a sender; further ones are cut off.
const MAX_REFUSALS: usize = 16;

/// How long a sender that has connected may take to hand over its key: one round trip.
const GRANT_WITHIN: Duration = Duration::from_secs(1);
