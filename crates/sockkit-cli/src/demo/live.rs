//! Sends the source over UDP to the browser viewer, sealed with a key that is thrown away.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context;
use sockkit::{
    latest::{self, Publisher, Subscriber},
    link::sealing::{Key, random_secret},
    picture::Picture,
    sink::web::{WebServer, WebServerConfig, WebStream},
    source::Source,
    stream::{Receiver, ReceiverConfig, Sender, SenderConfig, SenderStats, Stats},
};
use tokio::time::{Instant, sleep_until, timeout};

use super::one_line;

/// A running pipeline: sender, receiver and viewer.
pub(super) struct Live {
    camera: Publisher<Picture>,
    sender: Sender,
    receiver: Receiver,
    viewer: WebServer,
}

/// Statistics of both ends.
pub(super) struct Figures {
    pub(super) sender: SenderStats,
    pub(super) stats: Stats,
}

impl Live {
    pub(super) async fn start(web: SocketAddr) -> anyhow::Result<Self> {
        let at = "udp://127.0.0.1:0".parse()?;
        let key = Key::new(&random_secret().context("cannot make a key")?);
        let config = ReceiverConfig::default().sealed(key.clone());
        let receiver = Receiver::open(&at, config).await?;
        let (camera, pictures) = latest::channel();
        let to = [receiver.address().clone()];
        let sender = Sender::open(&to, SenderConfig::default().sealed(key), pictures).await?;
        let shown = WebStream::new("demo", receiver.pictures()).stats(receiver.stats());
        let viewer = WebServer::bind(web, WebServerConfig::default(), [shown])
            .await
            .context("cannot serve the browser; choose another address with --web")?;
        Ok(Self {
            camera,
            sender,
            receiver,
            viewer,
        })
    }

    /// Address of the page.
    pub(super) fn web(&self) -> SocketAddr {
        self.viewer.local_addr()
    }

    /// The received pictures.
    pub(super) fn pictures(&self) -> Subscriber<Picture> {
        self.receiver.pictures()
    }

    /// Sends the pictures of `source` until `limit` or Ctrl-C.
    pub(super) async fn run(&self, source: &mut Source, limit: Duration) -> anyhow::Result<()> {
        let progress = crate::progress::spinner();
        let stats = self.receiver.stats();
        let mut arrived = self.receiver.pictures();
        let end = Instant::now() + limit;
        let pressed = crate::interrupt::pressed();
        tokio::pin!(pressed);
        let ran = loop {
            tokio::select! {
                frame = source.next() => {
                    match frame {
                        Ok(frame) => self.camera.publish(frame),
                        Err(error) => break Err(error.into()),
                    }
                }
                Some(_) = arrived.next() => {
                    progress.set_message(one_line(&stats.snapshot(), progress.elapsed()));
                    progress.tick();
                }
                () = sleep_until(end) => break Ok(()),
                pressed = &mut pressed => break pressed.context("cannot wait for Ctrl-C"),
            }
        };
        progress.finish_and_clear();
        ran
    }

    /// Waits for pictures in flight, and stops.
    pub(super) async fn end(self) -> Figures {
        let mut arrived = self.receiver.pictures();
        drop(self.camera);
        let _ = timeout(LAST_PICTURE, self.sender.finished()).await;
        let stats = self.receiver.stats();
        let sent = self.sender.stats();
        while stats.snapshot().received < sent.sent
            && let Ok(Some(_)) = timeout(LAST_PICTURE, arrived.next()).await
        {}
        let figures = Figures {
            sender: sent,
            stats: stats.snapshot(),
        };
        self.sender.shutdown().await;
        self.viewer.shutdown().await;
        self.receiver.shutdown().await;
        figures
    }
}

/// How long to wait for the last picture.
const LAST_PICTURE: Duration = Duration::from_millis(500);
