//! Pictures from whom one dials.

use std::net::SocketAddr;

use sockkit_core::tcp::{Connection, End};
use tokio::{task::JoinHandle, time::sleep};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{TcpReceiverConfig, backoff::Backoff, conversation::Conversation};
use crate::{
    latest::{Publisher, Subscriber},
    picture::Picture,
    stream::{Event, StatsHandle, endpoint::random, inlet::Inlet},
};

/// Dials a sender and receives its pictures, again and again, until it is dropped.
///
/// A connection that ends, stalls, or brings what is no picture is dialled
/// again: the first time after 20 to 40 ms, then ever more slowly up to half a
/// second.
///
/// See [`TcpSender`](super::TcpSender) for an example.
#[derive(Debug)]
#[must_use = "a receiver that is dropped receives nothing"]
pub struct TcpReceiver {
    link: Subscriber<Link>,
    pictures: Subscriber<Picture>,
    stats: StatsHandle,
    task: JoinHandle<()>,
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

impl TcpReceiver {
    /// Begins to dial, and returns at once: a sender may be started later.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn dial(config: TcpReceiverConfig) -> Self {
        let (inlet, pictures, stats) = Inlet::new();
        let link = Publisher::new();
        link.publish(Link::Dialling);
        let stop = CancellationToken::new();
        Self {
            link: link.subscribe(),
            pictures,
            stats,
            task: tokio::spawn({
                let run = Dialler::new(config, inlet, link).run();
                let stop = stop.clone();
                async move { stop.run_until_cancelled(run).await.unwrap_or(()) }
            }),
            stop: stop.drop_guard(),
        }
    }

    /// A place in the sequence of pictures; take as many as needed.
    ///
    /// It begins with the newest picture and ends when the receiver does.
    pub fn pictures(&self) -> Subscriber<Picture> {
        self.pictures.clone()
    }

    /// The figures, which go on being kept after the handle was taken.
    ///
    /// TCP loses nothing, so [`lost`](crate::stream::Stats::lost) stays 0 and
    /// what the link has no room for is
    /// [`skipped`](crate::stream::Stats::skipped).
    pub fn stats(&self) -> StatsHandle {
        self.stats.clone()
    }

    /// How the connection stands, and each change of it.
    pub fn link(&self) -> Subscriber<Link> {
        self.link.clone()
    }

    /// Stops and closes the connection.
    ///
    /// # Cancel safety
    /// Cancel safe: the receiver stops either way.
    pub async fn shutdown(self) {
        drop(self.stop);
        // A panic in the task was reported by the runtime already.
        let _ = self.task.await;
    }
}

/// The task's state.
struct Dialler {
    config: TcpReceiverConfig,
    inlet: Inlet,
    link: Publisher<Link>,
    backoff: Backoff,
    /// Whether an earlier connection brought pictures.
    had_pictures: bool,
}

impl Dialler {
    fn new(config: TcpReceiverConfig, inlet: Inlet, link: Publisher<Link>) -> Self {
        Self {
            config,
            inlet,
            link,
            backoff: Backoff::default(),
            had_pictures: false,
        }
    }

    async fn run(mut self) {
        let connector = self.config.connector();
        loop {
            let why = match connector.connect(self.config.sender.as_str()).await {
                Ok(connection) => self.watch(connection).await,
                Err(error) => {
                    tracing::debug!(%error, "cannot connect");
                    error.end()
                }
            };
            self.link.publish(Link::Down { why });
            // It spreads many receivers; one alone may do without.
            sleep(self.backoff.pause(random().unwrap_or_default())).await;
        }
    }

    /// Receives from one connection until it ends.
    async fn watch(&mut self, connection: Connection) -> End {
        let (peer, local) = match (connection.peer_addr(), connection.local_addr()) {
            (Ok(peer), Ok(local)) => (peer, local),
            (Err(error), _) | (_, Err(error)) => return End::from_io(&error),
        };
        tracing::info!(%peer, "connected");
        self.link.publish(Link::Up { peer });
        let is_here = peer.ip().is_loopback() || peer.ip() == local.ip();
        let mut conversation = Conversation::new(connection, is_here);
        let why = conversation
            .run(&mut self.inlet, |inlet| {
                self.backoff.reset();
                if std::mem::replace(&mut self.had_pictures, true) {
                    inlet.count(Event::Restart);
                }
                inlet.on_new_sender(peer);
            })
            .await;
        tracing::info!(%peer, %why, "connection ended");
        why
    }
}
