//! One channel of a sender: sends pictures, receives requests and reports.

use std::{
    error::Error,
    net::SocketAddr,
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sockkit_codec::shard::{Missing, Parity};
use sockkit_core::tcp::End;
use sockkit_link::channel::{
    Channel, ChannelReceiver, ChannelSender, Pacer, RecvError, SendError, Sent,
};
use tokio::time::{sleep, sleep_until, timeout};

use super::{
    SenderStats,
    control::ControlMessage,
    ingest::{now, wall},
    loss,
    message::{CONTROL, MAX_CONTROL_BYTES, NotSent, Outgoing, PICTURE, Received},
    reports::Reports,
    responder::ControlResponder,
};
use crate::{
    encode::Encoder,
    latest::{self, Publisher, Subscriber},
    log_limit::LogLimit,
    picture::{MessageError, Timestamp},
};

/// State shared by the channels of a sender.
#[derive(Debug)]
pub(super) struct Shared {
    figures: Mutex<Figures>,
    log_limit: LogLimit,
}

#[derive(Debug)]
pub(super) struct Figures {
    pub(super) stats: SenderStats,
    pub(super) reports: Reports,
}

impl Shared {
    pub(super) fn new(reports: Reports) -> Self {
        Self {
            figures: Mutex::new(Figures {
                stats: SenderStats::default(),
                reports,
            }),
            log_limit: LogLimit::default(),
        }
    }

    pub(super) fn figures(&self) -> MutexGuard<'_, Figures> {
        // A panic cannot leave the counters inconsistent.
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends shards once more to a receiver that lacks them.
    async fn repair(&self, sender: &ChannelSender, to: SocketAddr, missing: Missing) {
        match sender.repair(to, missing).await {
            Ok(bytes) => self.figures().stats.bytes += bytes,
            Err(error) => tracing::debug!(%error, %to, "cannot repair"),
        }
    }

    pub(super) fn count(&self, sent: Sent) {
        let stats = &mut self.figures().stats;
        stats.sent += 1;
        stats.bytes += sent.bytes;
    }

    /// Logged as a warning once, because the following pictures probably fail,
    /// too.
    pub(super) fn count_failed(&self, number: Option<u64>, error: &NotSent) {
        let stats = &mut self.figures().stats;
        stats.failed += 1;
        let error = error as &dyn Error;
        match stats.failed {
            1 => tracing::warn!(number, error, "picture not sent"),
            _ => tracing::debug!(number, error, "picture not sent"),
        }
    }

    /// Drops the viewer; repeated violations are logged rarely.
    pub(super) fn note_violation(&self, violation: &ProtocolViolation, peer: SocketAddr) {
        if let Some(untold) = self.log_limit.note(now(), "violation", peer.ip()) {
            tracing::warn!(%peer, %violation, untold, "viewer dropped");
        }
    }
}

/// The newest picture, as a message.
#[derive(Debug)]
pub(super) enum Pictures {
    /// Encoded here, for this channel only.
    Own(Encoder),
    /// Encoded once for several channels.
    Shared(Subscriber<Outgoing>),
}

impl Pictures {
    /// Cancel safe.
    async fn next(&mut self, shared: &Shared) -> Option<Result<Outgoing, NotSent>> {
        match self {
            Self::Own(encoder) => next_message(encoder, shared).await,
            Self::Shared(messages) => messages.next().await.map(Ok),
        }
    }

    fn missed(&self) -> u64 {
        match self {
            Self::Own(encoder) => encoder.missed(),
            Self::Shared(messages) => messages.missed(),
        }
    }
}

/// Waits for the next picture, compressed and encoded as a message. Cancel
/// safe.
pub(super) async fn next_message(
    encoder: &mut Encoder,
    shared: &Shared,
) -> Option<Result<Outgoing, NotSent>> {
    let encoded = encoder.next().await?;
    shared.figures().stats.pictures += 1;
    Some(match encoded {
        Ok(picture) => Outgoing::of(&picture),
        Err(error) => Err(error.into()),
    })
}

/// One channel and what is sent over it.
pub(super) struct Session<'a> {
    pub(super) shared: &'a Shared,
    pub(super) pictures: Pictures,
    /// That of every picture; `None` follows what receivers report.
    pub(super) parity: Option<Parity>,
    /// The only receiver of the datagrams, if there is only one: the others' reports
    /// say nothing about its link.
    pub(super) viewer: Option<SocketAddr>,
}

/// Why a session has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum SessionEnd {
    /// There are no more pictures.
    Pictures,
    /// The channel has ended, for this reason.
    Channel(End),
}

impl Session<'_> {
    /// Runs until there are no more pictures, `draining` completes, or the
    /// connection ends.
    pub(super) async fn run(
        &mut self,
        channel: Channel,
        draining: impl Future<Output = ()>,
    ) -> Result<SessionEnd, ProtocolViolation> {
        let shared = self.shared;
        let (sender, mut receiver) = channel.split();
        let (asking, mut asked) = latest::channel();
        let mut listening = pin!(listen(shared, &mut receiver, &sender, &asking));
        let shown = tokio::select! {
            heard = &mut listening => return heard.map(SessionEnd::Channel),
            error = answer(&sender, &mut asked) => return Ok(SessionEnd::Channel(end_of(&error))),
            shown = self.show(&sender, draining) => shown,
        };
        if let Err(ended) = shown {
            return Ok(SessionEnd::Channel(end_of(&ended)));
        }
        let closed = timeout(CLOSE_WITHIN, sender.close()).await;
        if let (Ok(Ok(())), Some(_)) = (closed, sender.peer()) {
            // Closing with an unread report would reset the connection, and discard
            // data that the viewer has not read yet.
            let _ = timeout(CLOSE_WITHIN, listening).await;
        }
        Ok(SessionEnd::Pictures)
    }

    /// What those receivers need that reported, or the only one.
    fn parity_by_reports(&self) -> Parity {
        let figures = self.shared.figures();
        loss::parity(figures.reports.losses(now(), self.viewer))
    }

    /// Sends the newest picture whenever the previous one has left.
    async fn show(
        &mut self,
        sender: &ChannelSender,
        draining: impl Future<Output = ()>,
    ) -> Result<(), SendError> {
        let mut draining = pin!(draining);
        let mut missed = 0;
        loop {
            let next = tokio::select! {
                biased;
                next = self.pictures.next(self.shared) => next,
                () = &mut draining => None,
            };
            let Some(next) = next else { return Ok(()) };
            let number = next.as_ref().ok().map(|next| next.number);
            let sent = match next {
                Ok(next) => {
                    let parity = self.parity.unwrap_or_else(|| self.parity_by_reports());
                    let sent = sender.send(PICTURE, &next.parts, parity).await;
                    sent.map_err(NotSent::from)
                }
                Err(error) => Err(error),
            };
            self.shared.figures().stats.skipped += self.pictures.missed() - missed;
            missed = self.pictures.missed();
            match sent {
                Ok(sent) => self.shared.count(sent),
                // The server records why a connection failed.
                Err(NotSent::Channel(error)) if error.is_final() => return Err(error),
                Err(error) => self.shared.count_failed(number, &error),
            }
        }
    }
}

/// Replies to a connected viewer's clock requests, between two pictures.
/// Returns why the connection has ended.
async fn answer(sender: &ChannelSender, asked: &mut Subscriber<PendingClockRequest>) -> SendError {
    while let Some(asked) = asked.next().await {
        let reply = || asked.reply().emit();
        if let Err(error) = sender.reply(asked.from, CONTROL, reply).await {
            return error;
        }
    }
    // No more requests; pictures may continue.
    std::future::pending().await
}

/// Receives reports, clock requests and repair requests, and returns why the channel
/// has ended; over datagrams without a subscription it does not end. A request does
/// not subscribe its sender: it gets one short reply, and shards of a picture only at a
/// configured destination, which gets them anyway.
async fn listen(
    shared: &Shared,
    receiver: &mut ChannelReceiver,
    sender: &ChannelSender,
    asking: &Publisher<PendingClockRequest>,
) -> Result<End, ProtocolViolation> {
    let is_connected = sender.peer().is_some();
    let mut pacer = Pacer::new(MAX_CONTROL_BYTES_PER_SECOND, now());
    let mut responder = ControlResponder::new(now());
    loop {
        let message = match receiver.recv().await {
            Ok(message) => message,
            Err(error) if is_connected && error.is_peers_fault() => return Err(error.into()),
            Err(error) => {
                if let Some(end) = error.end() {
                    return Ok(end);
                }
                if let RecvError::Udp(error) = error {
                    tracing::debug!(%error, "cannot hear receivers");
                    sleep(LISTEN_AGAIN_AFTER).await;
                }
                continue;
            }
        };
        let (from, bytes) = (message.from, message.bytes.len());
        match Received::read(message) {
            Ok(Received::Control(ControlMessage::ClockRequest { nonce })) if is_connected => {
                let received = wall();
                asking.publish(PendingClockRequest {
                    from,
                    nonce,
                    received,
                });
            }
            Ok(Received::Control(ControlMessage::Repair(missing))) => {
                shared.repair(sender, from, missing).await;
            }
            Ok(Received::Control(control)) => {
                let reply = {
                    let mut figures = shared.figures();
                    let reports = &mut figures.reports;
                    responder.handle_control(now(), wall(), (from, control), reports)
                };
                reply_at_once(sender, from, reply).await;
            }
            Ok(Received::Picture(_)) if is_connected => return Err(ProtocolViolation::Picture),
            Err(error) if is_connected => return Err(error.into()),
            Ok(Received::Unknown | Received::Picture(_)) | Err(_) => {}
        }
        // Messages of a receiver that sends too many are read slowly, so that
        // it has to wait.
        if let Some(until) = pacer.on_sent(now(), bytes)
            && is_connected
        {
            sleep_until(until.into()).await;
        }
    }
}

/// Why a channel that can send no more has ended.
pub(super) fn end_of(error: &SendError) -> End {
    match error {
        SendError::Ended(error) => End::from_io(error),
        _ => End::Closed,
    }
}

async fn reply_at_once(sender: &ChannelSender, to: SocketAddr, reply: Option<ControlMessage>) {
    if let Some(reply) = reply
        && let Err(error) = sender.reply(to, CONTROL, || reply.emit()).await
    {
        tracing::debug!(%error, %to, "cannot reply");
    }
}

/// A clock request that waits for its turn. A second one replaces it, because
/// the viewer only uses the last.
#[derive(Clone, Copy, Debug)]
struct PendingClockRequest {
    from: SocketAddr,
    nonce: u64,
    received: Timestamp,
}

impl PendingClockRequest {
    /// The reply, with the current time: waiting here is not part of the
    /// transit time.
    fn reply(self) -> ControlMessage {
        ControlMessage::ClockReply {
            nonce: self.nonce,
            received: self.received,
            sent: wall(),
        }
    }
}

/// Why a viewer is dropped; always its own mistake.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProtocolViolation {
    #[error(transparent)]
    Channel(#[from] RecvError),
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error("a viewer sent a picture")]
    Picture,
}

/// More than a viewer sends, which is 88 bytes a second.
const MAX_CONTROL_BYTES_PER_SECOND: u64 = 8 * MAX_CONTROL_BYTES as u64;

/// How long a viewer may take to read its last picture, and to close.
const CLOSE_WITHIN: Duration = Duration::from_millis(500);

const LISTEN_AGAIN_AFTER: Duration = Duration::from_millis(100);
