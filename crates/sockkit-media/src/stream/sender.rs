//! Sends pictures, to destinations or to connected viewers.

use std::{net::SocketAddr, sync::Arc};

use sockkit_core::server::{Handled, Peer, Server, Stream};
#[cfg(all(feature = "sealing", feature = "pairing"))]
use sockkit_link::channel::{Group, Reached};
use sockkit_link::{
    Acceptor, Address, Connection, Scheme,
    channel::{Channel, ChannelError},
};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    ConnectionState, Report, SenderConfig,
    config::in_time,
    ingest::now,
    message::Outgoing,
    reports::{MAX_RECEIVERS, Reports},
    session::{Pictures, Session, Shared, next_message},
};
#[cfg(all(feature = "sealing", feature = "pairing"))]
use super::{group::multicast, subscriptions::datagrams_of};
use crate::{
    encode::Encoder,
    latest::{Publisher, Subscriber},
    picture::Picture,
};

/// Sends the newest picture, until it is dropped.
///
/// Raw pictures are compressed as JPEG, once for all receivers, unless
/// configured otherwise; JPEG pictures are sent unchanged, without a copy.
/// While one picture is being sent only the newest of the following ones is
/// kept, and the others are skipped. Each connected viewer is served at its own
/// pace: a slow one sees fewer pictures, without affecting others.
///
/// To hosts and groups:
///
/// ```
/// # use sockkit_media as sockkit;
/// use sockkit::{
///     latest, picture::{Encoding, Picture, PixelFormat},
///     stream::{Receiver, ReceiverConfig, Sender, SenderConfig},
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let receiver = Receiver::open(&"udp://127.0.0.1:0".parse()?, ReceiverConfig::default()).await?;
/// let (camera, pictures) = latest::channel();
/// let to = [receiver.address().clone()];
/// let sender = Sender::open(&to, SenderConfig::default(), pictures).await?;
///
/// camera.publish(Picture::new(PixelFormat::Gray, 8, 8, vec![9; 64])?.numbered(7));
/// let arrived = receiver.pictures().next().await.expect("the receiver runs");
/// assert_eq!((arrived.number(), arrived.encoding()), (7, Encoding::Jpeg));
///
/// // The last picture is sent before the sender has finished.
/// drop(camera);
/// sender.finished().await;
/// assert_eq!(sender.stats().sent, 1);
/// # Ok(())
/// # }
/// ```
///
/// To viewers, which connect:
///
/// ```
/// # use sockkit_media as sockkit;
/// # use sockkit::{
/// #     latest, picture::{Picture, PixelFormat},
/// #     stream::{Receiver, ReceiverConfig, Sender, SenderConfig},
/// # };
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (camera, pictures) = latest::channel();
/// let at = ["tcp://127.0.0.1:0".parse()?];
/// let sender = Sender::open(&at, SenderConfig::default(), pictures).await?;
/// let receiver = Receiver::open(sender.address(), ReceiverConfig::default()).await?;
///
/// camera.publish(Picture::new(PixelFormat::Gray, 8, 8, vec![9; 64])?.numbered(7));
/// assert_eq!(receiver.pictures().next().await.expect("it runs").number(), 7);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a sender that is dropped sends nothing"]
pub struct Sender {
    address: Address,
    addresses: Vec<Address>,
    link: Option<Subscriber<ConnectionState>>,
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    group: Option<Group>,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
    finished: CancellationToken,
    stop: DropGuard,
}

impl Sender {
    /// Sends `pictures` over one channel: to the destinations of its datagrams,
    /// or to its connected peer.
    ///
    /// Ends when the publisher of `pictures` is gone and the last picture is
    /// sent, which [`finished`](Self::finished) waits for, or when a connection
    /// ends.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn new(channel: Channel, config: SenderConfig, pictures: Subscriber<Picture>) -> Self {
        let reports = Reports::new(channel.destinations().to_vec(), MAX_RECEIVERS.div_ceil(4));
        let shared = Arc::new(Shared::new(reports));
        let (address, stop) = (channel.address(), CancellationToken::new());
        let run = {
            let (shared, stop) = (Arc::clone(&shared), stop.clone());
            async move {
                let mut session = Session {
                    shared: &shared,
                    pictures: Pictures::Own(Encoder::new(pictures, config.compression)),
                    parity: config.parity,
                    viewer: None,
                };
                let run = session.run(channel, std::future::pending());
                if let Some(Err(violation)) = stop.run_until_cancelled(run).await {
                    tracing::warn!(%violation, "the peer is not a viewer");
                }
            }
        };
        Self::start(address.clone(), vec![address], shared, stop, run)
    }

    /// Sends to these addresses, or listens for viewers there: `udp://`
    /// addresses are those of receiving hosts and groups, all others are local.
    ///
    /// Several addresses of one kind share a socket, or the limits for viewers.
    ///
    /// # Errors
    /// [`ChannelError`] if the addresses cannot be combined, resolved or bound, or the config has a
    /// group.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is sent then.
    pub async fn open(
        to: &[Address],
        config: SenderConfig,
        pictures: Subscriber<Picture>,
    ) -> Result<Self, ChannelError> {
        let first = to.first().ok_or(ChannelError::NoDestination)?;
        #[cfg(all(feature = "sealing", feature = "pairing"))]
        config.check_no_group(first)?;
        let by_datagrams = |to: &Address| to.scheme() == Scheme::Udp;
        let is_other = |to: &&Address| by_datagrams(to) != by_datagrams(first);
        if let Some(other) = to.iter().find(is_other) {
            return Err(ChannelError::MixedTransports {
                first: first.clone(),
                other: other.clone(),
            });
        }
        if by_datagrams(first) {
            let mut destinations = Vec::new();
            for to in to {
                destinations.extend(in_time(to.resolve()).await?.first());
            }
            let channel = Channel::datagrams(config.datagrams_to(destinations), &config.limits())?;
            return Ok(Self::new(channel, config, pictures));
        }
        if config.is_sealed() {
            let address = first.clone();
            return Err(ChannelError::NotSealed { address });
        }
        let node = config.node();
        let mut acceptors = Vec::new();
        for at in to {
            acceptors.push(node.listen(at).await?);
        }
        Self::serve(acceptors, By::Connection, config, pictures)
    }

    /// Serves pictures to all viewers that connect to these addresses.
    pub(super) fn serve(
        acceptors: Vec<Acceptor>,
        by: By,
        config: SenderConfig,
        pictures: Subscriber<Picture>,
    ) -> Result<Self, ChannelError> {
        let addresses: Vec<_> = acceptors.iter().map(|at| by.address(at)).collect();
        let first = addresses.first().cloned();
        let address = first.ok_or(ChannelError::NoDestination)?;
        let shared = Arc::new(Shared::new(Reports::new(Vec::new(), config.per_host())));
        let viewers = Arc::new(Viewers {
            shared: Arc::clone(&shared),
            newest: Publisher::new(),
            by,
            config,
        });
        let server = Server::start(acceptors, viewers.config.server(), {
            let viewers = Arc::clone(&viewers);
            move |stream: Stream<Connection>, peer: Peer| {
                let viewers = Arc::clone(&viewers);
                async move { viewers.show(stream, peer).await }
            }
        })?;
        let stop = CancellationToken::new();
        let run = {
            let stop = stop.clone();
            async move {
                stop.run_until_cancelled(viewers.prepare(pictures)).await;
                server.shutdown().await;
            }
        };
        Ok(Self::start(address, addresses, shared, stop, run))
    }

    pub(super) fn start(
        address: Address,
        addresses: Vec<Address>,
        shared: Arc<Shared>,
        stop: CancellationToken,
        run: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        let finished = CancellationToken::new();
        let task = tokio::spawn({
            let finished = finished.clone().drop_guard();
            async move {
                run.await;
                drop(finished);
            }
        });
        Self {
            address,
            addresses,
            link: None,
            #[cfg(all(feature = "sealing", feature = "pairing"))]
            group: None,
            shared,
            task,
            finished,
            stop: stop.drop_guard(),
        }
    }

    /// The address that viewers connect to, with the port chosen by the system;
    /// for datagrams, the local address. The first one, if there are several.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Sets the state of the connection to a viewer that is dialled.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub(super) fn linked(mut self, link: Subscriber<ConnectionState>) -> Self {
        self.link = Some(link);
        self
    }

    /// Sends to the members of this group.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub(super) fn in_group(mut self, group: Option<Group>) -> Self {
        self.group = group;
        self
    }

    /// How the viewers of a [group](SenderConfig::group) are reached; `None` without one.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    pub fn reached(&self) -> Option<Reached> {
        self.group.as_ref().map(Group::reached)
    }

    /// Subscribes to the state of the connection; `None` if no viewer is dialled.
    pub fn connection_state(&self) -> Option<Subscriber<ConnectionState>> {
        self.link.clone()
    }

    /// All addresses.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// Counters so far. They are final when the sender has
    /// [`finished`](Self::finished); a picture may arrive before it is counted.
    pub fn stats(&self) -> SenderStats {
        self.shared.figures().stats.clone()
    }

    /// The latest reports of receivers, except those that have been silent for
    /// five seconds.
    ///
    /// Over datagrams without a key or a subscription any host can send a report. Reports
    /// of configured destinations are always kept, and those of up to 256 other
    /// receivers, of which a single host may have a quarter, or as many as it may
    /// have viewers.
    pub fn reports(&self) -> Vec<(SocketAddr, Report)> {
        self.shared.figures().reports.recent(now())
    }

    /// Waits until the publisher is gone and the last picture has been handed
    /// to the network, or could not be, as reported by [`stats`](Self::stats).
    /// Each connected viewer has received it then; a viewer that does not read
    /// is waited for at most a second. The port for viewers is free again.
    ///
    /// While the publisher, or the connection of a single channel, exists, this
    /// waits.
    ///
    /// # Cancel safety
    /// Cancel safe: it only waits.
    pub async fn finished(&self) {
        self.finished.cancelled().await;
    }

    /// Stops and frees the port. Connected viewers receive the rest of their
    /// picture, for which they have at most a second; a picture sent as
    /// datagrams is interrupted. To send the last picture first, drop the
    /// publisher and wait until the sender has [`finished`](Self::finished).
    ///
    /// # Cancel safety
    /// Cancel safe: the sender stops in any case.
    pub async fn shutdown(self) {
        drop(self.stop);
        // A panic in the task was already reported by the runtime.
        let _ = self.task.await;
    }
}

/// Counters of a sender.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct SenderStats {
    /// Number of connected viewers.
    pub viewers: u64,
    /// Number of connections of viewers so far; each reconnect counts.
    pub connected: u64,
    /// Pictures taken from the source.
    pub pictures: u64,
    /// Pictures sent: to all destinations of datagrams, or to one viewer each.
    /// Over QUIC a newer picture may have superseded some in flight.
    pub sent: u64,
    /// Pictures that were replaced by newer ones before they were sent, for all
    /// viewers together.
    pub skipped: u64,
    /// Pictures that could not be sent, or not to all destinations: too long,
    /// rejected by the system, not compressible, or in an encoding that
    /// messages cannot carry.
    pub failed: u64,
    /// Bytes sent to all receivers together, including parity and headers.
    pub bytes: u64,
}

/// All viewers connected to one sender.
#[derive(Debug)]
struct Viewers {
    shared: Arc<Shared>,
    newest: Publisher<Outgoing>,
    by: By,
    config: SenderConfig,
}

/// How pictures get to a viewer that connects.
#[derive(Clone, Debug)]
pub(super) enum By {
    /// Over its connection.
    Connection,
    /// As datagrams, sealed with a key that it gets over its connection.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    Datagrams,
    /// Likewise, and the same for all.
    #[cfg(all(feature = "sealing", feature = "pairing"))]
    Group(Group),
}

impl By {
    /// The address of the pictures.
    fn address(&self, acceptor: &Acceptor) -> Address {
        match self {
            Self::Connection => acceptor.address(),
            #[cfg(all(feature = "sealing", feature = "pairing"))]
            Self::Datagrams | Self::Group(_) => datagrams_of(&acceptor.address()),
        }
    }
}

impl Viewers {
    /// Encodes each picture as a message, once for all viewers.
    ///
    /// Pictures missed here count as skipped at each viewer.
    async fn prepare(&self, pictures: Subscriber<Picture>) {
        let mut pictures = Encoder::new(pictures, self.config.compression);
        let mut missed = 0;
        while let Some(next) = next_message(&mut pictures, &self.shared).await {
            let skipped = pictures.missed() - missed;
            match next {
                Ok(outgoing) => {
                    self.publish(skipped, outgoing).await;
                    missed += skipped;
                }
                Err(error) => self.shared.count_failed(None, &error),
            }
        }
    }

    /// Hands a picture to all viewers, or sends it to their group.
    #[cfg_attr(
        not(all(feature = "sealing", feature = "pairing")),
        expect(clippy::unused_async, reason = "groups alone wait")
    )]
    async fn publish(&self, skipped: u64, picture: Outgoing) {
        #[cfg(all(feature = "sealing", feature = "pairing"))]
        if let By::Group(group) = &self.by {
            self.shared.figures().stats.skipped += skipped;
            return multicast(group, &self.shared, self.config.parity, &picture).await;
        }
        self.newest.publish_after(skipped, picture);
    }

    /// Serves one viewer until it disconnects, is no longer trusted, or the server
    /// drains.
    async fn show(&self, stream: Stream<Connection>, peer: Peer) -> Handled {
        let Some(from) = peer.address().socket_addr() else {
            return Ok(());
        };
        let standing = self.config.standing(stream.get_ref(), false);
        let Some(channel) = self.channel(stream, from).await else {
            return Ok(());
        };
        // Gets no later key once that is dropped.
        #[cfg(all(feature = "sealing", feature = "pairing"))]
        let _membership = match &self.by {
            By::Group(group) => match group.admit(&channel).await {
                Ok(membership) => Some(membership),
                Err(error) => {
                    tracing::debug!(%from, %error, "the viewer cannot join the group");
                    return Ok(());
                }
            },
            _ => None,
        };
        let _present = ViewerCount::enter(&self.shared);
        let mut session = Session {
            shared: &self.shared,
            pictures: Pictures::Shared(self.newest.subscribe()),
            parity: self.config.parity,
            viewer: channel.destinations().first().copied(),
        };
        tokio::select! {
            ended = session.run(channel, peer.draining()) => {
                if let Err(violation) = ended {
                    self.shared.note_violation(&violation, from);
                }
            }
            () = standing.revoked() => tracing::info!(%from, "the viewer is no longer trusted"),
        }
        // The server records why a connection failed.
        Ok(())
    }

    #[cfg_attr(
        not(all(feature = "sealing", feature = "pairing")),
        expect(
            clippy::unused_async,
            unused_variables,
            reason = "subscriptions alone wait"
        )
    )]
    async fn channel(&self, stream: Stream<Connection>, from: SocketAddr) -> Option<Channel> {
        let limits = self.config.limits();
        match &self.by {
            By::Connection => Some(Channel::accepted(stream, &limits)),
            #[cfg(all(feature = "sealing", feature = "pairing"))]
            By::Datagrams | By::Group(_) => {
                let config = self.config.datagrams_of_each();
                let served = Channel::serve(stream.into(), config, &limits).await;
                served
                    .inspect_err(|error| tracing::debug!(%from, %error, "no subscription"))
                    .ok()
            }
        }
    }
}

/// Counts a viewer while it is connected.
pub(super) struct ViewerCount<'a>(&'a Shared);

impl<'a> ViewerCount<'a> {
    pub(super) fn enter(shared: &'a Shared) -> Self {
        let stats = &mut shared.figures().stats;
        stats.connected += 1;
        stats.viewers += 1;
        Self(shared)
    }
}

impl Drop for ViewerCount<'_> {
    fn drop(&mut self) {
        self.0.figures().stats.viewers -= 1;
    }
}
