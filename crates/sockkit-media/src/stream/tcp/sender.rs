//! Pictures to all who dial.

use std::{net::SocketAddr, sync::Arc};

use sockkit_core::server::{Peer, Server, Stream};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{TcpSenderConfig, viewers::Viewers};
use crate::{
    latest::Subscriber,
    picture::Picture,
    stream::{Report, StreamError, inlet::now},
};

/// Shows the newest picture to everybody who dials, until it is dropped.
///
/// Raw pictures are compressed as JPEG, once for all, unless the config says
/// otherwise; JPEG pictures are sent as they are, without a copy. A viewer gets
/// the next picture when the one before has left this machine,
/// and then the newest: a slow one sees fewer, and costs the others nothing.
///
/// ```
/// use sockkit_media::{
///     latest, picture::{Encoding, Picture, PixelFormat},
///     stream::{TcpReceiver, TcpReceiverConfig, TcpSender, TcpSenderConfig},
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (camera, pictures) = latest::channel();
/// let sender = TcpSender::bind(TcpSenderConfig::at("127.0.0.1:0".parse()?), pictures)?;
/// let address = sender.local_addr().to_string();
/// let receiver = TcpReceiver::dial(TcpReceiverConfig::to(address));
///
/// camera.publish(Picture::new(PixelFormat::Gray, 8, 8, vec![9; 64])?.numbered(7));
/// let arrived = receiver.pictures().next().await.expect("the receiver runs");
/// assert_eq!((arrived.number(), arrived.encoding()), (7, Encoding::Jpeg));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a sender that is dropped shows nothing"]
pub struct TcpSender {
    local_addr: SocketAddr,
    viewers: Arc<Viewers>,
    task: JoinHandle<()>,
    finished: CancellationToken,
    stop: DropGuard,
}

impl TcpSender {
    /// Listens, and begins to show what `pictures` brings.
    ///
    /// It ends when the publisher of `pictures` is gone and viewers have the last
    /// picture, which [`finished`](Self::finished) waits for.
    ///
    /// # Errors
    /// [`StreamError::Bind`] if the address is taken or not this machine's,
    /// [`StreamError::Io`] if there is no socket to be had.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub fn bind(
        config: TcpSenderConfig,
        pictures: Subscriber<Picture>,
    ) -> Result<Self, StreamError> {
        let listener = config.listen()?;
        let limits = config.limits();
        let viewers = Arc::new(Viewers::new(config));
        let server = Server::start(listener, limits, {
            let viewers = Arc::clone(&viewers);
            move |stream: Stream, peer: Peer| {
                let viewers = Arc::clone(&viewers);
                async move { viewers.show(stream, peer).await }
            }
        })?;
        let local_addr = server.local_addr();
        let (stop, finished) = (CancellationToken::new(), CancellationToken::new());
        let run = run(server, Arc::clone(&viewers), pictures, stop.clone());
        let task = tokio::spawn({
            let finished = finished.clone().drop_guard();
            async move {
                run.await;
                drop(finished);
            }
        });
        Ok(Self {
            local_addr,
            viewers,
            task,
            finished,
            stop: stop.drop_guard(),
        })
    }

    /// The address that viewers dial, with the port the system chose if it was 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What was shown so far.
    pub fn stats(&self) -> TcpSenderStats {
        self.viewers.shared().stats.clone()
    }

    /// What viewers last reported; those that are silent for five seconds are
    /// left out, and so are those beyond 256, or beyond what one host may have.
    pub fn reports(&self) -> Vec<(SocketAddr, Report)> {
        self.viewers.shared().reports.recent(now())
    }

    /// Waits until the publisher is gone and each viewer has the last picture; for
    /// one that does not take it, one second at most. The port is free then.
    ///
    /// While the publisher lives this waits for ever.
    ///
    /// # Cancel safety
    /// Cancel safe: it only waits.
    pub async fn finished(&self) {
        self.finished.cancelled().await;
    }

    /// Stops and frees the port. Whoever reads gets the rest of its picture; a
    /// viewer that does not is waited for one second at most.
    ///
    /// # Cancel safety
    /// Cancel safe: the sender stops either way.
    pub async fn shutdown(self) {
        drop(self.stop);
        // A panic in the task was reported by the runtime already.
        let _ = self.task.await;
    }
}

/// What a sender has shown so far.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct TcpSenderStats {
    /// Viewers that are connected now.
    pub viewers: u64,
    /// Viewers that came so far; one that dials again counts again.
    pub dialled: u64,
    /// Pictures that the source brought.
    pub pictures: u64,
    /// Pictures sent, to all viewers together.
    pub sent: u64,
    /// Pictures that a newer one replaced before a viewer's turn came, of all
    /// viewers together.
    pub skipped: u64,
    /// Pictures too long for any receiver, not compressible, or of an encoding
    /// that no message carries.
    pub failed: u64,
    /// Bytes of the pictures sent, headers included.
    pub bytes: u64,
}

async fn run(
    server: Server,
    viewers: Arc<Viewers>,
    pictures: Subscriber<Picture>,
    stop: CancellationToken,
) {
    stop.run_until_cancelled(viewers.prepare(pictures)).await;
    server.shutdown().await;
}
