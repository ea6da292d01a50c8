//! Sends pictures: to addresses and groups, or to all who connect.

use std::{net::SocketAddr, sync::Arc};

use sockkit_core::server::{Handled, Peer, Server, Stream};
use sockkit_link::{
    Acceptor, Address, Connection, Scheme,
    channel::{Channel, ChannelError},
};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Report, SenderConfig,
    config::in_time,
    inlet::now,
    message::Outgoing,
    reports::{MAX_RECEIVERS, Reports},
    session::{Pictures, Session, Shared, next_message},
};
use crate::{
    encode::Encoder,
    latest::{Publisher, Subscriber},
    picture::Picture,
};

/// Sends the newest picture, until it is dropped.
///
/// Raw pictures are compressed as JPEG, once for all who get them, unless the
/// config says otherwise; JPEG pictures are sent as they are, without a copy.
/// While one picture is on its way the newest of those that come waits, and the
/// others are left out. A viewer that is connected has its own pace: a slow one
/// sees fewer pictures, and costs the others nothing.
///
/// To hosts and groups, which receive:
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
/// // The last picture goes out before the sender has finished.
/// drop(camera);
/// sender.finished().await;
/// assert_eq!(sender.stats().sent, 1);
/// # Ok(())
/// # }
/// ```
///
/// To viewers, which connect, and may come and go:
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
    shared: Arc<Shared>,
    task: JoinHandle<()>,
    finished: CancellationToken,
    stop: DropGuard,
}

impl Sender {
    /// Sends what `pictures` brings over one channel: to the destinations of its
    /// datagrams, or to the peer that it is connected to.
    ///
    /// It ends when the publisher of `pictures` is gone and the last picture is
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
                };
                let run = session.run(channel, std::future::pending());
                if let Some(Err(nonsense)) = stop.run_until_cancelled(run).await {
                    tracing::warn!(%nonsense, "the peer is no viewer");
                }
            }
        };
        Self::start(address.clone(), vec![address], shared, stop, run)
    }

    /// Sends to these addresses, or waits there for viewers: `udp://` addresses
    /// are those of hosts and groups that receive, all others are this machine's.
    ///
    /// Several of one kind share a socket, or the limits for viewers.
    ///
    /// # Errors
    /// [`ChannelError`] if the addresses do not fit together, are not known, or
    /// cannot be bound.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing has begun then.
    pub async fn open(
        to: &[Address],
        config: SenderConfig,
        pictures: Subscriber<Picture>,
    ) -> Result<Self, ChannelError> {
        let first = to.first().ok_or(ChannelError::NoDestination)?;
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
            let channel = Channel::datagrams(config.datagrams(destinations), &config.limits())?;
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
        Self::serve(acceptors, config, pictures)
    }

    /// Shows pictures to all who connect to these.
    fn serve(
        acceptors: Vec<Acceptor>,
        config: SenderConfig,
        pictures: Subscriber<Picture>,
    ) -> Result<Self, ChannelError> {
        let addresses: Vec<_> = acceptors.iter().map(Acceptor::address).collect();
        let first = addresses.first().cloned();
        let address = first.ok_or(ChannelError::NoDestination)?;
        let shared = Arc::new(Shared::new(Reports::new(Vec::new(), config.per_host())));
        let viewers = Arc::new(Viewers {
            shared: Arc::clone(&shared),
            newest: Publisher::new(),
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

    fn start(
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
            shared,
            task,
            finished,
            stop: stop.drop_guard(),
        }
    }

    /// What viewers connect to, with the port that the system chose if it was 0;
    /// over datagrams, the address bound. The first, if there are several.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// All of them.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// What was sent so far. All is counted once it has
    /// [`finished`](Self::finished); a picture may arrive before it is counted.
    pub fn stats(&self) -> SenderStats {
        self.shared.figures().stats.clone()
    }

    /// What receivers last reported; those that are silent for five seconds
    /// are left out.
    ///
    /// Reports prove nothing: over datagrams anyone can send one. Those of the
    /// destinations always have a place; of all other receivers 256 have, and of
    /// one host a quarter of that, or as many as it may have viewers.
    pub fn reports(&self) -> Vec<(SocketAddr, Report)> {
        self.shared.figures().answerer.reports(now())
    }

    /// Waits until the publisher is gone and the last picture has been handed to
    /// the network, or could not be, which [`stats`](Self::stats) tell. Each
    /// connected viewer has it then; one that does not take it is waited for one
    /// second at most. The port of a sender that viewers connect to is free.
    ///
    /// While the publisher lives, and the connection of a single channel, this
    /// waits for ever.
    ///
    /// # Cancel safety
    /// Cancel safe: it only waits.
    pub async fn finished(&self) {
        self.finished.cancelled().await;
    }

    /// Stops and frees the port. Connected viewers that read get the rest of
    /// their picture, and those that do not are waited for one second at most;
    /// datagrams stop in the middle of one. To send the last picture first, drop
    /// the publisher and wait until it has [`finished`](Self::finished).
    ///
    /// # Cancel safety
    /// Cancel safe: the sender stops either way.
    pub async fn shutdown(self) {
        drop(self.stop);
        // A panic in the task was reported by the runtime already.
        let _ = self.task.await;
    }
}

/// What a sender has done so far.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct SenderStats {
    /// Viewers that are connected now.
    pub viewers: u64,
    /// Viewers that have connected so far; one that connects again counts again.
    pub connected: u64,
    /// Pictures that the source brought.
    pub pictures: u64,
    /// Pictures sent: to all destinations of datagrams, or to one viewer each. Over
    /// QUIC a newer one may have replaced some on their way.
    pub sent: u64,
    /// Pictures that a newer one replaced before their turn came, of all viewers
    /// together.
    pub skipped: u64,
    /// Pictures that could not be sent, or not to all: too long, refused by the
    /// system, not compressible, or of an encoding that no message carries.
    pub failed: u64,
    /// Bytes sent, parity and headers included, to all receivers together.
    pub bytes: u64,
}

/// All who are connected to one sender, each at its own pace.
#[derive(Debug)]
struct Viewers {
    shared: Arc<Shared>,
    newest: Publisher<Outgoing>,
    config: SenderConfig,
}

impl Viewers {
    /// Turns each picture into a message, once for all, until they end.
    ///
    /// What it missed itself counts as skipped at each viewer.
    async fn prepare(&self, pictures: Subscriber<Picture>) {
        let mut pictures = Encoder::new(pictures, self.config.compression);
        let mut missed = 0;
        while let Some(next) = next_message(&mut pictures, &self.shared).await {
            match next {
                Ok(outgoing) => {
                    self.newest
                        .publish_after(pictures.missed() - missed, outgoing);
                    missed = pictures.missed();
                }
                Err(error) => self.shared.count_failed(None, &error),
            }
        }
    }

    /// Serves one viewer until it leaves or the server drains.
    async fn show(&self, stream: Stream<Connection>, peer: Peer) -> Handled {
        let Some(from) = peer.address().socket_addr() else {
            return Ok(());
        };
        let _present = Present::enter(&self.shared);
        let channel = Channel::accepted(stream, &self.config.limits());
        let mut session = Session {
            shared: &self.shared,
            pictures: Pictures::Shared(self.newest.subscribe()),
            parity: self.config.parity,
        };
        if let Err(nonsense) = session.run(channel, peer.draining()).await {
            self.shared.note_nonsense(&nonsense, from);
        }
        // The server knows why a connection failed.
        Ok(())
    }
}

/// Counts a viewer while it is there.
struct Present<'a>(&'a Shared);

impl<'a> Present<'a> {
    fn enter(shared: &'a Shared) -> Self {
        let stats = &mut shared.figures().stats;
        stats.connected += 1;
        stats.viewers += 1;
        Self(shared)
    }
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.0.figures().stats.viewers -= 1;
    }
}
