//! Receives pictures: where they are sent to, or from whom one connects to.

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
use tokio::{
    task::JoinHandle,
    time::{sleep, sleep_until, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Event, ReceiverConfig, StatsHandle,
    backoff::Backoff,
    config::in_time,
    control::Control,
    inlet::{Inlet, Moment, now},
    intake::Intake,
    message::CONTROL,
    stats::Unopened,
};
use crate::{
    latest::{Publisher, Subscriber},
    picture::Picture,
};

/// Receives pictures until it is dropped.
///
/// Over datagrams it shows one sender at a time, which
/// [`Stats::sender`](super::Stats::sender) names. When that one is silent for half
/// a second, the next sender on its host is shown, such as one that was restarted;
/// a sender on another host when it is silent for five seconds, or for as long as
/// it was shown, if that is less. Nothing proves who sends: see
/// [`ReceiverConfig::only_from`].
///
/// A connection that ends, stalls, or brings what is no picture is made again:
/// the first time after 20 to 40 ms, then ever more slowly up to half a second.
///
/// See [`Sender`](super::Sender) for an example.
#[derive(Debug)]
#[must_use = "a receiver that is dropped receives nothing"]
pub struct Receiver {
    address: Address,
    link: Option<Subscriber<Link>>,
    pictures: Subscriber<Picture>,
    stats: StatsHandle,
    task: JoinHandle<()>,
    finished: CancellationToken,
    stop: DropGuard,
}

/// How the connection to a sender stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Link {
    /// It is being made for the first time.
    Dialling,
    /// It is there.
    Up {
        /// The sender's address.
        peer: SocketAddr,
    },
    /// It failed or ended, and is made again.
    Down {
        /// Why.
        why: End,
    },
}

impl Receiver {
    /// Receives what one channel brings, until that ends.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn new(mut channel: Channel) -> Self {
        let address = channel.address();
        Self::start(address, None, |inlet, stop| async move {
            let mut reception = Reception::new(inlet);
            let receiving = reception.receive(&mut channel);
            let ended = stop.run_until_cancelled(receiving).await;
            tracing::info!(?ended, "the channel has ended");
        })
    }

    /// Receives at this address, or from it: a `udp://` address is this machine's,
    /// or that of a group to join; all others are a sender's, which may be
    /// started later, and are dialled again and again.
    ///
    /// Without a host, datagrams are received over IPv4.
    ///
    /// # Errors
    /// [`ChannelError`] if the address is taken or not this machine's, or the
    /// group cannot be joined. That a sender cannot be reached is no error.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing has begun then.
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
        let channel = Channel::datagrams(config.datagrams(bind), &ReceiverConfig::limits())?;
        let mut receiver = Self::new(channel);
        if at.group().is_some() {
            // What senders send to is the group, not the socket.
            let port = receiver.address.port();
            receiver.address = Address::new(Scheme::Udp, Host::from(bind), port);
        }
        Ok(receiver)
    }

    fn dial(to: Address, config: &ReceiverConfig) -> Self {
        let link = Publisher::new();
        link.publish(Link::Dialling);
        let (stands, node) = (link.subscribe(), config.node());
        Self::start(to.clone(), Some(stands), |inlet, stop| {
            let dialler = Dialler {
                node,
                to,
                link,
                reception: Reception::new(inlet),
                backoff: Backoff::default(),
            };
            dialler.run(stop)
        })
    }

    fn start<R: Future<Output = ()> + Send + 'static>(
        address: Address,
        link: Option<Subscriber<Link>>,
        run: impl FnOnce(Inlet, CancellationToken) -> R,
    ) -> Self {
        let (inlet, pictures, stats) = Inlet::new();
        let (stop, finished) = (CancellationToken::new(), CancellationToken::new());
        let run = run(inlet, stop.clone());
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

    /// What a sender sends to, with the port that the system chose if it was 0;
    /// or the sender's address, if it is dialled.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// A place in the sequence of pictures; take as many as needed.
    ///
    /// It begins with the newest picture and ends when the receiver does.
    pub fn pictures(&self) -> Subscriber<Picture> {
        self.pictures.clone()
    }

    /// A live handle to the statistics.
    ///
    /// TCP loses nothing, so [`lost`](crate::stream::Stats::lost) stays 0 and
    /// what the link has no room for is
    /// [`skipped`](crate::stream::Stats::skipped).
    pub fn stats(&self) -> StatsHandle {
        self.stats.clone()
    }

    /// How the connection stands, and each change of it; `None` if none is dialled.
    pub fn link(&self) -> Option<Subscriber<Link>> {
        self.link.clone()
    }

    /// Waits until the channel that it was given has ended. One that is bound, or
    /// dials, does not end by itself.
    ///
    /// # Cancel safety
    /// Cancel safe: it only waits.
    pub async fn finished(&self) {
        self.finished.cancelled().await;
    }

    /// Stops, and frees the port or closes the connection.
    ///
    /// # Cancel safety
    /// Cancel safe: the receiver stops either way.
    pub async fn shutdown(self) {
        drop(self.stop);
        // A panic in the task was reported by the runtime already.
        let _ = self.task.await;
    }
}

/// Dials a sender again and again.
struct Dialler {
    node: Node,
    to: Address,
    link: Publisher<Link>,
    reception: Reception,
    backoff: Backoff,
}

impl Dialler {
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
            self.link.publish(Link::Down { why });
            if self.reception.intake.has_pictures() {
                self.backoff.reset();
            }
            // It spreads many receivers; one alone may do without.
            let pause = sleep(self.backoff.pause(random().unwrap_or_default()));
            if stop.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
    }

    /// Receives from one connection, until it ends or this side stops.
    async fn watch(&mut self, connection: Connection, stop: &CancellationToken) -> Option<End> {
        let peer = connection.peer_addr();
        self.link.publish(Link::Up { peer });
        let mut channel = Channel::connection(connection, &ReceiverConfig::limits());
        let receiving = self.reception.receive(&mut channel);
        let ended = stop.run_until_cancelled(receiving).await;
        tracing::info!(%peer, ?ended, "connection ended");
        if matches!(ended, None | Some(End::Finished)) {
            // The sender hears that this viewer has left, and nothing waits for it.
            let _ = timeout(CLOSE_WITHIN, channel.close()).await;
        }
        ended
    }
}

/// What is known of senders, from one channel to the next.
struct Reception {
    intake: Intake,
    report_at: Instant,
    /// When a connection's next message must be complete.
    message_by: Option<Instant>,
}

impl Reception {
    fn new(inlet: Inlet) -> Self {
        Self {
            intake: Intake::new(inlet),
            report_at: now() + REPORT_EVERY,
            message_by: None,
        }
    }

    /// Receives until the channel ends, and says why it did.
    async fn receive(&mut self, channel: &mut Channel) -> End {
        let peer = channel.peer();
        if let Some(peer) = peer {
            tracing::info!(%peer, "connected");
            self.intake.on_connected(now(), peer);
        }
        self.report_at = now() + REPORT_EVERY;
        self.message_by = peer.map(|_| now() + MESSAGE_WITHIN);
        // Nothing waits on a line that was just opened.
        let mut quiet = peer.is_some();
        loop {
            if let Err(error) = self.speak(channel, quiet).await
                && error.is_final()
            {
                return end_of(&error);
            }
            let received = tokio::select! {
                // What came while this program was stopped counts before the
                // time that passed.
                biased;
                received = channel.recv() => Some(received),
                () = sleep_until(self.wake_at().into()) => None,
            };
            quiet = matches!(received, Some(Ok(_)));
            let taken = match received {
                Some(Ok(message)) => self.take(channel, message),
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
            // A peer that is connected speaks another protocol.
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

    /// Asks for the clock and reports, if it is time.
    ///
    /// On a connection the best time to ask is right after a whole message: the
    /// line is `quiet`, and the reply does not wait behind a picture.
    async fn speak(&mut self, channel: &mut Channel, quiet: bool) -> Result<(), SendError> {
        let now = now();
        if self.intake.request_is_due(now, quiet) {
            match random() {
                Ok(nonce) => {
                    let request = self.intake.poll_request(Moment::now(), nonce);
                    tell(channel, request).await?;
                }
                // Without a number that cannot be guessed, pictures have no age.
                Err(_) => sleep(RECEIVE_AGAIN_AFTER).await,
            }
        }
        if now >= self.report_at {
            self.report_at = now + REPORT_EVERY;
            channel.expire();
            tell(channel, self.intake.report(now)).await?;
        }
        Ok(())
    }
}

async fn tell(channel: &Channel, words: Option<(SocketAddr, Control)>) -> Result<(), SendError> {
    let Some((to, control)) = words else {
        return Ok(());
    };
    let told = channel.reply(to, CONTROL, || control.emit()).await;
    told.inspect_err(|error| tracing::debug!(%to, %error, "cannot tell the sender"))
}

fn end_of(error: &SendError) -> End {
    match error {
        SendError::Ended(error) => End::from_io(error),
        _ => End::Closed,
    }
}

/// A number that cannot be guessed, from the operating system.
fn random() -> io::Result<u64> {
    Ok(getrandom::u64()?)
}

/// What a sender that speaks another protocol ends with.
const NO_PICTURE: End = End::Failed(io::ErrorKind::InvalidData);

const REPORT_EVERY: Duration = Duration::from_secs(1);

const RECEIVE_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// How long a sender may take to hear of this side's end.
const CLOSE_WITHIN: Duration = Duration::from_millis(200);

/// The longest picture on a link of 50 Mbit/s. A peer that sends it byte by
/// byte does not hold the connection for longer.
const MESSAGE_WITHIN: Duration = Duration::from_secs(12);
