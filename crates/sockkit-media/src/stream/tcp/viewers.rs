//! All who watch one sender, each at its own pace.

use std::{
    io,
    net::SocketAddr,
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Buf;
use sockkit_codec::frame::{FrameConfig, FrameReadError, FrameReader};
use sockkit_core::server::{Handled, Peer, Stream};
use tokio::{
    io::{AsyncWriteExt, ReadHalf, WriteHalf, split},
    time::{sleep_until, timeout},
};

use super::{
    TcpSenderConfig, TcpSenderStats,
    flushed::Flushed,
    message::{Message, Outgoing, Unsendable, framed},
};
use crate::{
    encode::Encoder,
    latest::{self, Publisher, Subscriber},
    log_limit::LogLimit,
    picture::{MessageError, Picture, Timestamp},
    stream::{
        control::Control,
        inlet::{now, wall},
        pace::Pacer,
        patience::Patience,
        reports::Reports,
    },
};

/// What the connections share.
#[derive(Debug)]
pub(super) struct Viewers {
    config: TcpSenderConfig,
    newest: Publisher<Outgoing>,
    shared: Mutex<Shared>,
    log_limit: LogLimit,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) stats: TcpSenderStats,
    pub(super) reports: Reports,
}

impl Viewers {
    pub(super) fn new(config: TcpSenderConfig) -> Self {
        let shared = Shared {
            stats: TcpSenderStats::default(),
            reports: Reports::new(Vec::new(), config.per_host()),
        };
        Self {
            config,
            newest: Publisher::new(),
            shared: Mutex::new(shared),
            log_limit: LogLimit::default(),
        }
    }

    /// Turns each picture into bytes, once for all, until they end.
    ///
    /// What it missed itself counts as skipped at each viewer.
    pub(super) async fn prepare(&self, pictures: Subscriber<Picture>) {
        let mut pictures = Encoder::new(pictures, self.config.compression);
        let mut missed = 0;
        while let Some(encoded) = pictures.next().await {
            let prepared = encoded
                .map_err(Unsendable::from)
                .and_then(|frame| Outgoing::of(&frame));
            self.shared().stats.pictures += 1;
            match prepared {
                Ok(outgoing) => {
                    self.newest
                        .publish_after(pictures.missed() - missed, outgoing);
                    missed = pictures.missed();
                }
                Err(error) => self.refuse(&error),
            }
        }
    }

    /// Said aloud once: the next picture is probably no better.
    fn refuse(&self, error: &Unsendable) {
        let stats = &mut self.shared().stats;
        stats.failed += 1;
        match stats.failed {
            1 => tracing::warn!(%error, "picture not sent"),
            _ => tracing::debug!(%error, "picture not sent"),
        }
    }

    /// Serves one viewer until it leaves or the server drains.
    pub(super) async fn show(&self, stream: Stream, peer: Peer) -> Handled {
        let Some(from) = peer.address().socket_addr() else {
            return Ok(());
        };
        let _present = Present::enter(self);
        let (reader, writer) = split(Flushed(stream));
        let (asking, asked) = latest::channel();
        let mut listening = pin!(self.listen(reader, from, asking));
        let spoken = tokio::select! {
            heard = &mut listening => {
                if let Err(nonsense) = heard {
                    self.note(&nonsense, from);
                }
                return Ok(());
            }
            spoken = self.speak(writer, asked, &peer) => spoken,
        };
        // Closing with a report unread would reset the connection, and take
        // away what the viewer has not read yet.
        if spoken.is_ok() {
            let _ = timeout(CLOSE_WITHIN, listening).await;
        }
        // The server knows why a connection failed.
        Ok(())
    }

    /// Dropped alone, and a flood of them is no flood of lines.
    fn note(&self, nonsense: &Nonsense, peer: SocketAddr) {
        if let Some(untold) = self.log_limit.note(now(), "nonsense", peer.ip()) {
            tracing::warn!(%peer, %nonsense, untold, "viewer dropped");
        }
    }

    /// The newest picture whenever the one before has left; a clock's reply
    /// before it.
    async fn speak(
        &self,
        mut writer: WriteHalf<Flushed>,
        mut asked: Subscriber<Asked>,
        peer: &Peer,
    ) -> io::Result<()> {
        let mut pictures = self.newest.subscribe();
        let mut patience = self.config.patience();
        let mut missed = 0;
        loop {
            tokio::select! {
                biased;
                Some(asked) = asked.next() => {
                    patience.handle_reply(now());
                    send(&mut writer, &mut &asked.reply()[..], &mut patience).await?;
                }
                Some(picture) = pictures.next() => {
                    patience.handle_picture(now(), picture.wire_bytes());
                    send(&mut writer, &mut picture.buf(), &mut patience).await?;
                    self.count(&picture, pictures.missed() - missed);
                    missed = pictures.missed();
                }
                () = peer.draining() => break,
            }
        }
        writer.shutdown().await
    }

    fn count(&self, picture: &Outgoing, skipped: u64) {
        let stats = &mut self.shared().stats;
        stats.sent += 1;
        stats.skipped += skipped;
        stats.bytes += picture.wire_bytes() as u64;
    }

    /// Takes in what the viewer says, until it closes.
    async fn listen(
        &self,
        reader: ReadHalf<Flushed>,
        from: SocketAddr,
        asking: Publisher<Asked>,
    ) -> Result<(), Nonsense> {
        let short = FrameConfig::default().max_receive_bytes(MAX_CONTROL_BYTES);
        let mut reader = FrameReader::with_config(reader, short);
        let mut pacer = Pacer::new(MAX_CONTROL_BYTES_PER_SECOND, now());
        loop {
            let payload = match reader.recv().await {
                Ok(Some(payload)) => payload,
                // The server knows why a connection failed.
                Ok(None) | Err(FrameReadError::Io(_)) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let bytes = payload.len();
            match Message::read(payload)? {
                Message::Control(Control::ClockRequest { nonce }) => asking.publish(Asked {
                    nonce,
                    received: wall(),
                }),
                Message::Control(Control::Report(report)) => {
                    self.shared().reports.note(now(), from, report);
                }
                Message::Control(Control::ClockReply { .. }) | Message::Unknown => {}
                Message::Picture(_) => return Err(Nonsense::Picture),
            }
            // Whoever says too much is heard slowly, and then waits to speak.
            if let Some(until) = pacer.on_sent(now(), bytes) {
                sleep_until(until.into()).await;
            }
        }
    }

    pub(super) fn shared(&self) -> MutexGuard<'_, Shared> {
        // Counters hold no invariant that a panic could break.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends all of it, or fails when the viewer has taken too long over it.
async fn send(
    writer: &mut WriteHalf<Flushed>,
    bytes: &mut impl Buf,
    patience: &mut Patience,
) -> io::Result<()> {
    let sent = async {
        writer.write_all_buf(bytes).await?;
        writer.flush().await
    };
    timeout(patience.left(now()), sent).await??;
    patience.handle_taken(now())
}

/// Counts a viewer while it is there.
struct Present<'a>(&'a Viewers);

impl<'a> Present<'a> {
    fn enter(viewers: &'a Viewers) -> Self {
        let stats = &mut viewers.shared().stats;
        stats.dialled += 1;
        stats.viewers += 1;
        Self(viewers)
    }
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.0.shared().stats.viewers -= 1;
    }
}

/// A clock request that waits for its turn. A second one takes its place, as
/// the viewer heeds the last alone.
#[derive(Clone, Copy, Debug)]
struct Asked {
    nonce: u64,
    received: Timestamp,
}

impl Asked {
    /// The reply, stamped now: what it waited for here is not the way's time.
    fn reply(self) -> Vec<u8> {
        framed(Control::ClockReply {
            nonce: self.nonce,
            received: self.received,
            sent: wall(),
        })
    }
}

/// Why a viewer is dropped: all of them its own fault.
#[derive(Debug, thiserror::Error)]
enum Nonsense {
    #[error(transparent)]
    Frame(#[from] FrameReadError),
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error("a viewer sends pictures")]
    Picture,
}

/// Room for control messages of a later day.
const MAX_CONTROL_BYTES: usize = 1_024;

/// More than a viewer has to say, which is 72 bytes a second.
const MAX_CONTROL_BYTES_PER_SECOND: u64 = 8 << 10;

/// How long a viewer may take to read its last picture and close.
const CLOSE_WITHIN: Duration = Duration::from_millis(500);
