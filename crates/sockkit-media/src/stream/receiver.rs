//! Receives pictures, as datagrams or from a connected sender.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use sockkit_core::tcp::{End, Timeout};
use sockkit_link::{
    Address, Connection, Host, Node, Scheme,
    channel::{Channel, ChannelError, Message, RecvError, SendError},
};
#[cfg(feature = "pairing")]
use sockkit_link::{DialError, pairing::AuthenticatedPeer};
use tokio::{
    task::JoinHandle,
    time::{sleep, sleep_until, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

#[cfg(all(feature = "sealing", feature = "pairing"))]
use super::subscriptions::{authenticate, end_of_subscription};
use super::{
    Event, ReceiverConfig, StatsHandle,
    backoff::Backoff,
    config::in_time,
    control::ControlMessage,
    ingest::{Ingest, Moment, now},
    intake::Intake,
    message::CONTROL,
    sender::By,
    session::end_of,
    stats::Unopened,
};
use crate::{
    latest::{Publisher, Subscriber},
    picture::Picture,
};

/// Receives pictures until it is dropped.
///
/// Over datagrams it selects one sender at a time, which
/// [`Stats::sender`](super::Stats::sender) names. After half a second of
/// silence it selects the next sender on the same host, such as a restarted
/// one. A sender on another host is selected after five seconds of silence, or
/// after as long as the old one was shown, if that is less. Such senders are not
/// authenticated, unlike those of [`subscribe`](Self::subscribe) and
/// [`listen`](Self::listen): see [`DatagramConfig::only_from`](sockkit_link::channel::DatagramConfig::only_from).
///
/// A connection that ends, stalls, or delivers invalid messages is
/// re-established: the first time after 20 to 40 ms, then with increasing
/// pauses of up to half a second.
///
/// See [`Sender`](super::Sender) for an example.
#[derive(Debug)]
#[must_use = "a receiver that is dropped receives nothing"]
pub struct Receiver {
    address: Address,
    link: Option<Subscriber<ConnectionState>>,
    pictures: Subscriber<Picture>,
    stats: StatsHandle,
    task: JoinHandle<()>,
    finished: CancellationToken,
    stop: DropGuard,
}

/// State of the connection to a sender.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ConnectionState {
    /// Connecting for the first time.
    Dialling,
    /// Connected.
    Up {
        /// The sender's address.
        peer: SocketAddr,
    },
    /// Failed or ended; reconnecting.
    Down {
        /// The reason.
        why: End,
    },
}

impl ConnectionState {
    /// Whether the receiver that was dialled is connected to another sender.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Down { why: BUSY })
    }
}

impl Receiver {
    /// Receives from one channel until it ends.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn new(mut channel: Channel) -> Self {
        let address = channel.address();
        Self::start(address, None, |ingest, stop| async move {
            let mut task = ReceiverTask::new(ingest);
            let receiving = task.receive(&mut channel);
            let ended = stop.run_until_cancelled(receiving).await;
            tracing::info!(?ended, "the channel has ended");
        })
    }

    /// Receives at an address, or from it. A `udp://` address is local, or that
    /// of a group to join. All others are those of a sender, which may be
    /// started later: the receiver reconnects until it succeeds.
    ///
    /// Without a host, datagrams are received over IPv4.
    ///
    /// # Errors
    /// [`ChannelError`] if the address cannot be bound, or the group cannot be
    /// joined. An unreachable sender is not an error.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is received then.
    pub async fn open(at: &Address, config: ReceiverConfig) -> Result<Self, ChannelError> {
        if at.scheme() != Scheme::Udp {
            if config.is_sealed() {
                let address = at.clone();
                return Err(ChannelError::NotSealed { address });
            }
            return Ok(Self::dial(at.clone(), &config));
        }
        let bind = in_time(at.to_bind()).await?;
        let bind = *bind.first().ok_or(ChannelError::NoDestination)?;
        let channel = Channel::datagrams(config.datagrams_at(bind), &ReceiverConfig::limits())?;
        let mut receiver = Self::new(channel);
        if at.group().is_some() {
            // Senders send to the group, not to the socket.
            let port = receiver.address.port();
            receiver.address = Address::new(Scheme::Udp, Host::from(bind), port);
        }
        Ok(receiver)
    }

    /// Dials a sender once, authenticates it, and disconnects: for programs that exit
    /// if that fails, where [`open`](Self::open) would retry. A pairing code is used by
    /// it, and no longer needed after.
    ///
    /// # Errors
    /// As [`Node::dial`].
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    ///
    /// # Cancel safety
    /// Cancel safe: an attempt under way is given up.
    #[cfg(feature = "pairing")]
    pub async fn authenticate(
        at: &Address,
        config: &ReceiverConfig,
    ) -> Result<Option<AuthenticatedPeer>, DialError> {
        #[cfg(feature = "sealing")]
        if at.scheme() == Scheme::Udp {
            return authenticate(config.subscription(), at).await;
        }
        let connection = config.node().dial(at).await?;
        Ok(connection.peer().cloned())
    }

    fn dial(to: Address, config: &ReceiverConfig) -> Self {
        Self::dial_by(to.clone(), to, config.node(), config, By::Connection)
    }

    /// Dials `to` for the pictures of `address`.
    pub(super) fn dial_by(
        address: Address,
        to: Address,
        node: Node,
        config: &ReceiverConfig,
        by: By,
    ) -> Self {
        let link = Publisher::new();
        link.publish(ConnectionState::Dialling);
        let (states, config) = (link.subscribe(), config.clone());
        Self::start(address, Some(states), |ingest, stop| {
            let dial_loop = DialLoop {
                node,
                to,
                config,
                by,
                link,
                task: ReceiverTask::new(ingest),
                backoff: Backoff::default(),
            };
            dial_loop.run(stop)
        })
    }

    pub(super) fn start<R: Future<Output = ()> + Send + 'static>(
        address: Address,
        link: Option<Subscriber<ConnectionState>>,
        run: impl FnOnce(Ingest, CancellationToken) -> R,
    ) -> Self {
        let (ingest, pictures, stats) = Ingest::new();
        let (stop, finished) = (CancellationToken::new(), CancellationToken::new());
        let run = run(ingest, stop.clone());
        let task = tokio::spawn({
            let finished = finished.clone().drop_guard();
            async move {
                run.await;
                drop(finished);
            }
        });
        Self {
            address,
            link,
            pictures,
            stats,
            task,
            finished,
            stop: stop.drop_guard(),
        }
    }

    /// The address that senders send to, with the port chosen by the system, or
    /// the sender's address if it is dialled.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Subscribes to the pictures; may be called any number of times.
    ///
    /// The subscriber starts with the newest picture and ends with the
    /// receiver.
    pub fn pictures(&self) -> Subscriber<Picture> {
        self.pictures.clone()
    }

    /// A live handle to the statistics.
    ///
    /// TCP loses nothing, so [`lost`](crate::stream::Stats::lost) stays 0, and
    /// pictures that exceed the bandwidth are
    /// [`skipped`](crate::stream::Stats::skipped).
    pub fn stats(&self) -> StatsHandle {
        self.stats.clone()
    }

    /// Subscribes to the state of the connection; `None` if no sender is
    /// dialled.
    pub fn connection_state(&self) -> Option<Subscriber<ConnectionState>> {
        self.link.clone()
    }

    /// Waits until the channel passed to [`new`](Self::new) has ended. A
    /// receiver that binds or dials does not end by itself.
    ///
    /// # Cancel safety
    /// Cancel safe: it only waits.
    pub async fn finished(&self) {
        self.finished.cancelled().await;
    }

    /// Stops, and frees the port or closes the connection.
    ///
    /// # Cancel safety
    /// Cancel safe: the receiver stops in any case.
    pub async fn shutdown(self) {
        drop(self.stop);
        // A panic in the task was already reported by the runtime.
        let _ = self.task.await;
    }
}

/// Connects to a sender, and reconnects.
struct DialLoop {
    node: Node,
    to: Address,
    config: ReceiverConfig,
    by: By,
    link: Publisher<ConnectionState>,
    task: ReceiverTask,
    backoff: Backoff,
}

impl DialLoop {
    async fn run(mut self, stop: CancellationToken) {
        loop {
            let dialling = self.node.dial(&self.to);
            let Some(dialled) = stop.run_until_cancelled(dialling).await else {
                return;
            };
            let why = match dialled {
                Ok(connection) => match self.watch(connection, &stop).await {
                    Some(why) => why,
                    None => return,
                },
                Err(error) => {
                    tracing::debug!(%error, "cannot connect");
                    error.end()
                }
            };
            self.link.publish(ConnectionState::Down { why });
            if self.task.intake.has_pictures() {
                self.backoff.reset();
            }
            // Spreads the reconnects of many receivers; a single one does not
            // need it.
            let pause = sleep(self.backoff.pause(random().unwrap_or_default()));
            if stop.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
    }

    /// Receives from one connection, until it ends, its peer is no longer trusted, or
    /// this side stops.
    async fn watch(&mut self, connection: Connection, stop: &CancellationToken) -> Option<End> {
        let peer = connection.peer_addr();
        let standing = self.config.standing(&connection, true);
        let opened = stop.run_until_cancelled(self.channel(connection)).await?;
        let mut channel = match opened {
            Ok(channel) => channel,
            Err(why) => return Some(why),
        };
        self.link.publish(ConnectionState::Up { peer });
        let receiving = async {
            tokio::select! {
                end = self.task.receive(&mut channel) => end,
                () = standing.revoked() => NOT_TRUSTED,
            }
        };
        let ended = stop.run_until_cancelled(receiving).await;
        tracing::info!(%peer, ?ended, "connection ended");
        if matches!(ended, None | Some(End::Finished)) {
            // Tells the sender that this viewer has left; nothing depends on
            // it.
            let _ = timeout(CLOSE_WITHIN, channel.close()).await;
        }
        ended
    }

    #[cfg_attr(
        not(all(feature = "sealing", feature = "pairing")),
        expect(clippy::unused_async, reason = "subscriptions alone wait")
    )]
    async fn channel(&self, connection: Connection) -> Result<Channel, End> {
        let limits = ReceiverConfig::limits();
        match &self.by {
            By::Connection => Ok(Channel::connection(connection, &limits)),
            #[cfg(all(feature = "sealing", feature = "pairing"))]
            By::Datagrams | By::Group(_) => {
                let config = self.config.datagrams_subscribed();
                let subscribed = Channel::subscribe(connection.into(), config, &limits).await;
                subscribed.map_err(|error| end_of_subscription(&error))
            }
        }
    }
}

/// State of the senders, kept from one channel to the next.
pub(super) struct ReceiverTask {
    intake: Intake,
    report_at: Instant,
    /// Deadline of a connection's next message.
    message_by: Option<Instant>,
}

impl ReceiverTask {
    pub(super) fn new(ingest: Ingest) -> Self {
        Self {
            intake: Intake::new(ingest),
            report_at: now() + REPORT_EVERY,
            message_by: None,
        }
    }

    /// Receives until the channel ends, and returns the reason.
    pub(super) async fn receive(&mut self, channel: &mut Channel) -> End {
        let peer = channel.peer();
        if let Some(peer) = peer {
            tracing::info!(%peer, "connected");
            self.intake.on_peer(now(), peer, true);
        }
        #[cfg(all(feature = "sealing", feature = "pairing"))]
        if let Some(sender) = channel.source() {
            tracing::info!(%sender, "subscribed");
            self.intake.on_peer(now(), sender, false);
        }
        self.report_at = now() + REPORT_EVERY;
        self.message_by = peer.map(|_| now() + MESSAGE_WITHIN);
        // Nothing is in flight on a new connection.
        let mut quiet = peer.is_some();
        loop {
            if let Err(error) = self.speak(channel, quiet).await
                && error.is_final()
            {
                return end_of(&error);
            }
            let received = tokio::select! {
                // Input that arrived while this program was stopped takes
                // precedence over timers.
                biased;
                received = channel.recv() => Some(received),
                () = sleep_until(self.wake_at().into()) => None,
            };
            quiet = matches!(received, Some(Ok(_)));
            let taken = match received {
                Some(Ok(message)) => self.take(channel, message),
                Some(Err(RecvError::Incomplete { from, missing })) => {
                    // Not told, the picture is lost: no reason to end.
                    let _ = tell(channel, Some((from, ControlMessage::Repair(missing)))).await;
                    Ok(())
                }
                Some(Err(error)) => self.handle_failure(error).await,
                None if self.message_by.is_some_and(|by| now() >= by) => {
                    Err(End::TimedOut(Timeout::Read))
                }
                None => Ok(()),
            };
            if let Err(end) = taken {
                return end;
            }
        }
    }

    fn wake_at(&self) -> Instant {
        [self.intake.next_request(), self.message_by]
            .into_iter()
            .flatten()
            .fold(self.report_at, Instant::min)
    }

    fn take(&mut self, channel: &mut Channel, message: Message) -> Result<(), End> {
        if let Some(by) = &mut self.message_by {
            *by = now() + MESSAGE_WITHIN;
        }
        let taken = self.intake.handle_message(Moment::now(), message);
        match taken {
            Ok(Some(sender)) => channel.prefer(sender),
            Ok(None) => {}
            // A connected peer that uses another protocol.
            Err(_) if channel.peer().is_some() => return Err(NO_PICTURE),
            Err(_) => {}
        }
        Ok(())
    }

    async fn handle_failure(&self, error: RecvError) -> Result<(), End> {
        if error.is_peers_fault() {
            self.intake.count(Event::Refused);
        }
        if let Some(why) = Unopened::of(&error) {
            self.intake.count(Event::Unopened(why));
        }
        match &error {
            RecvError::Filtered { .. } => self.intake.count(Event::Filtered),
            RecvError::Udp(error) => {
                tracing::warn!(%error, "cannot receive");
                sleep(RECEIVE_AGAIN_AFTER).await;
            }
            _ => tracing::debug!(error = &error as &dyn std::error::Error, "no message"),
        }
        error.end().map_or(Ok(()), Err)
    }

    /// Sends clock requests and reports when they are due.
    ///
    /// On a connection the best time for a request is after a complete message:
    /// the line is `quiet`, and the reply does not wait behind a picture.
    async fn speak(&mut self, channel: &mut Channel, quiet: bool) -> Result<(), SendError> {
        let now = now();
        if self.intake.request_is_due(now, quiet) {
            match random() {
                Ok(nonce) => {
                    let request = self.intake.poll_request(Moment::now(), nonce);
                    tell(channel, request).await?;
                }
                // Without an unpredictable number, pictures have no age.
                Err(_) => sleep(RECEIVE_AGAIN_AFTER).await,
            }
        }
        if now >= self.report_at {
            self.report_at = now + REPORT_EVERY;
            channel.expire();
            tell(channel, self.intake.report(now, channel.reception())).await?;
        }
        Ok(())
    }
}

async fn tell(
    channel: &Channel,
    words: Option<(SocketAddr, ControlMessage)>,
) -> Result<(), SendError> {
    let Some((to, control)) = words else {
        return Ok(());
    };
    let told = channel.reply(to, CONTROL, || control.emit()).await;
    told.inspect_err(|error| tracing::debug!(%to, %error, "cannot tell the sender"))
}

/// An unpredictable number from the operating system.
pub(super) fn random() -> io::Result<u64> {
    Ok(getrandom::u64()?)
}

/// A peer that was removed from those that are trusted.
pub(super) const NOT_TRUSTED: End = End::Failed(io::ErrorKind::PermissionDenied);

/// A receiver that listens has one sender at a time.
pub(super) const BUSY: End = End::Failed(io::ErrorKind::ResourceBusy);

/// The end of a sender that uses another protocol.
const NO_PICTURE: End = End::Failed(io::ErrorKind::InvalidData);

const REPORT_EVERY: Duration = Duration::from_secs(1);

const RECEIVE_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// How long the end may take to reach the sender.
const CLOSE_WITHIN: Duration = Duration::from_millis(200);

/// The largest picture on a link of 50 Mbit/s. A peer that trickles bytes holds
/// the connection no longer than this.
const MESSAGE_WITHIN: Duration = Duration::from_secs(12);
