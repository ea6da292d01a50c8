//! Sends pictures to a host or a group.

use std::{net::SocketAddr, sync::Arc};

use sockkit_codec::rtp::sdp::Description;
use sockkit_core::interfaces;
use sockkit_link::{Address, channel::ChannelError};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    RtpConfig, RtpStats,
    datagrams::Datagrams,
    feed::{Prepared, RtpBroadcaster, Shared, prepare},
    packets::Packets,
};
use crate::{latest::Subscriber, picture::Picture, stream::in_time};

/// Sends the newest picture to a host or a multicast group, until it is dropped.
///
/// Players need its [description](Self::description), by a file or an URL.
///
/// ```
/// # use sockkit_media as sockkit;
/// use sockkit::{latest, sink::rtp::{RtpConfig, RtpSender}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (camera, pictures) = latest::channel();
/// let to = "rtp://127.0.0.1:5004".parse()?;
/// let sender = RtpSender::open(&to, RtpConfig::default(), pictures).await?;
/// let sdp = sender.description().to_string();
/// assert!(sdp.contains("\r\nm=video 5004 RTP/AVP 26\r\n"));
/// # drop(camera);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a sender that is dropped sends nothing"]
pub struct RtpSender {
    to: SocketAddr,
    description: Description,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
    finished: CancellationToken,
    stop: DropGuard,
}

impl RtpSender {
    /// Sends `pictures` to this address and port; reports go to the port after it.
    ///
    /// Ends when the publisher of `pictures` is gone and the last picture is sent; players
    /// are told by RTCP.
    ///
    /// # Errors
    /// [`ChannelError`] if the address cannot be resolved, or no route leads there.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    ///
    /// # Cancel safety
    /// Cancel safe: nothing is sent then.
    pub async fn open(
        to: &Address,
        config: RtpConfig,
        pictures: Subscriber<Picture>,
    ) -> Result<Self, ChannelError> {
        let found = in_time(to.resolve()).await?;
        let to = *found.first().ok_or(ChannelError::NoDestination)?;
        let mut datagrams = Datagrams::to(to, config.interface.as_ref())?;
        let random = getrandom::u64().map_err(std::io::Error::from)?;
        let origin = interfaces::source_for(to.ip()).unwrap_or_else(|_| to.ip());
        let description = Description::new(&config.name, origin)
            .sent_to(to.ip(), to.port())
            .session_id(random >> 1);
        let shared = Arc::new(Shared::default());
        let (stop, finished) = (CancellationToken::new(), CancellationToken::new());
        let task = tokio::spawn({
            let (shared, stop, finished) = (Arc::clone(&shared), stop.clone(), finished.clone());
            async move {
                let _finished = finished.drop_guard();
                let mut packets = Packets::new(random);
                let to = (&mut datagrams, &mut packets);
                let send = send(pictures, config.jpeg_quality, &shared, to);
                stop.run_until_cancelled(send).await;
                datagrams.end(&packets).await;
            }
        });
        Ok(Self {
            to,
            description,
            shared,
            task,
            finished,
            stop: stop.drop_guard(),
        })
    }

    /// Where it sends.
    pub fn destination(&self) -> SocketAddr {
        self.to
    }

    /// What a player needs to receive the stream.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Counters so far. They are final when the sender has finished.
    pub fn stats(&self) -> RtpStats {
        self.shared.stats().clone()
    }

    /// Waits until the publisher is gone and the last picture is sent.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn finished(&self) {
        self.finished.cancelled().await;
    }

    /// Stops it, and waits until it has.
    ///
    /// # Cancel safety
    /// Cancel safe: the sender stops in any case.
    pub async fn shutdown(self) {
        drop(self.stop);
        // A panic has been reported where it happened.
        let _ = self.task.await;
    }
}

/// Sends until there are no more pictures.
async fn send(
    pictures: Subscriber<Picture>,
    jpeg_quality: u8,
    shared: &Shared,
    (datagrams, packets): (&mut Datagrams, &mut Packets),
) {
    let broadcaster = RtpBroadcaster::default();
    let mut prepared = broadcaster.subscribe();
    let sending = async {
        while let Some(picture) = prepared.next().await {
            let sent = datagrams.send(packets, &picture).await;
            count(shared, &prepared, sent);
        }
    };
    let preparing = async {
        prepare(pictures, jpeg_quality, shared, &broadcaster).await;
        drop(broadcaster);
    };
    tokio::join!(preparing, sending);
}

fn count(
    shared: &Shared,
    prepared: &Subscriber<Prepared>,
    sent: Result<u64, sockkit_core::udp::UdpError>,
) {
    shared.stats().skipped = prepared.missed();
    match sent {
        Ok(bytes) => {
            let mut stats = shared.stats();
            stats.sent += 1;
            stats.bytes += bytes;
        }
        Err(error) => shared.count_failed(&error),
    }
}
