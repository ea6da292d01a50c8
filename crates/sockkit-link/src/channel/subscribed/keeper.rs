//! Keeps a subscription alive: a task for each, and what the two halves of its channel
//! hold of it.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};

use super::{
    super::{TokenBucket, now},
    CLOSE_WITHIN, Frames, broken,
    told::{Source, Told},
    unsent,
};
use crate::sealing::subscription::{NextEpoch, SubscriptionMessage};

/// Keeps the subscription alive in a task of its own, until it ends or both halves
/// of its channel are dropped.
pub(super) fn keep(frames: Frames, source: Option<Source>) -> (Subscription, Told) {
    let (orders, from_channel) = mpsc::channel(MAX_WAITING);
    let (to_channel, events) = mpsc::channel(MAX_WAITING);
    let hears = Arc::new(AtomicU8::new(UNKNOWN));
    let (ending, ended) = watch::channel(None);
    let (closing, ended) = (Arc::new(Notify::new()), Ended(ended));
    let keeper = Keeper {
        frames,
        orders: from_channel,
        closing: Arc::clone(&closing),
        events: source.is_some().then_some(to_channel),
        hears: Arc::clone(&hears),
    };
    tokio::spawn(async move {
        let end = keeper.run().await;
        ending.send_replace(Some(end.map_err(|error| error.kind())));
    });
    let subscription = Subscription {
        orders: orders.clone(),
        closing,
        ended: ended.clone(),
        hears,
    };
    let told = Told::new(events, ended, source, orders);
    (subscription, told)
}

/// Why a subscription has ended; `Ok` if the peer closed it.
pub(super) type SubscriptionEnd = Result<(), io::ErrorKind>;

/// The end, once there is one.
#[derive(Clone, Debug)]
pub(super) struct Ended(watch::Receiver<Option<SubscriptionEnd>>);

impl Ended {
    pub(super) fn end(&self) -> Option<SubscriptionEnd> {
        // A task that was stopped, or has panicked, says nothing. It is asked first: one
        // that ends says why before it is gone.
        let is_gone = self.0.has_changed().is_err();
        let end = *self.0.borrow();
        end.or_else(|| is_gone.then_some(Err(io::ErrorKind::ConnectionAborted)))
    }

    /// Waits for it. Cancel safe.
    pub(super) async fn wait(&mut self) {
        let _ = self.0.wait_for(Option::is_some).await;
    }
}

/// What the sending half holds.
#[derive(Debug)]
pub(in crate::channel) struct Subscription {
    orders: mpsc::Sender<Bytes>,
    closing: Arc<Notify>,
    ended: Ended,
    hears: Arc<AtomicU8>,
}

/// A subscriber, to those who do not keep its subscription alive.
#[derive(Clone, Debug)]
pub(in crate::channel) struct Subscriber {
    orders: mpsc::WeakSender<Bytes>,
    hears: Arc<AtomicU8>,
}

impl Subscriber {
    /// Tells it, unless its subscription has ended or it does not read.
    pub(in crate::channel) fn tell(&self, message: &SubscriptionMessage) {
        if let Some(orders) = self.orders.upgrade() {
            let _ = orders.try_send(message.emit());
        }
    }

    /// Whether its group reaches it, if it has said so.
    pub(in crate::channel) fn hears(&self) -> Option<bool> {
        match self.hears.load(Ordering::Relaxed) {
            UNKNOWN => None,
            hears => Some(hears == 1),
        }
    }
}

impl Subscription {
    /// # Errors
    /// If it has ended.
    pub(in crate::channel) fn check(&self) -> io::Result<()> {
        match self.ended.end() {
            None => Ok(()),
            Some(end) => Err(end.err().unwrap_or(io::ErrorKind::UnexpectedEof).into()),
        }
    }

    /// Ends it, and waits until its connection is closed. Cancel safe.
    pub(in crate::channel) async fn close(&self) {
        self.closing.notify_one();
        self.ended.clone().wait().await;
    }

    /// Hands a secret to the receiver.
    pub(in crate::channel) fn tell(&self, next: NextEpoch) -> io::Result<()> {
        self.say(&SubscriptionMessage::Epoch(next))
    }

    pub(in crate::channel) fn say(&self, message: &SubscriptionMessage) -> io::Result<()> {
        let said = self.orders.try_send(message.emit());
        said.map_err(|_| io::ErrorKind::NotConnected.into())
    }

    pub(in crate::channel) fn subscriber(&self) -> Subscriber {
        Subscriber {
            orders: self.orders.downgrade(),
            hears: Arc::clone(&self.hears),
        }
    }
}

/// Runs the connection of a subscription.
struct Keeper {
    frames: Frames,
    orders: mpsc::Receiver<Bytes>,
    closing: Arc<Notify>,
    /// Of a receiver; a sender is told of no keys.
    events: Option<mpsc::Sender<SubscriptionMessage>>,
    /// What the receiver has said, at a sender.
    hears: Arc<AtomicU8>,
}

impl Keeper {
    async fn run(mut self) -> io::Result<()> {
        let mut beats = interval(ALIVE_EVERY);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard_by = Instant::now() + SILENT_FOR;
        let mut allowance = TokenBucket::new(MESSAGE_COST * MESSAGE_BURST, now());
        loop {
            tokio::select! {
                // The peer's messages come last: however many it sends, the channel's end
                // and the beats have their turn.
                biased;
                order = self.orders.recv() => match order {
                    Some(message) => self.say(message).await?,
                    None => break,
                },
                () = self.closing.notified() => break,
                _ = beats.tick() => self.say(SubscriptionMessage::Alive.emit()).await?,
                () = sleep_until(heard_by) => return Err(io::ErrorKind::TimedOut.into()),
                frame = self.frames.reader.recv() => {
                    let Some(frame) = frame.map_err(broken)? else {
                        return Ok(());
                    };
                    if !allowance.try_spend(now(), MESSAGE_COST) {
                        return Err(io::ErrorKind::InvalidData.into());
                    }
                    heard_by = Instant::now() + SILENT_FOR;
                    self.handle(&frame)?;
                }
            }
        }
        self.close().await;
        Ok(())
    }

    fn handle(&self, frame: &[u8]) -> io::Result<()> {
        use SubscriptionMessage::{Alive, Busy, Epoch, Group, GroupEpoch, Hears, Unknown};

        match (SubscriptionMessage::parse(frame), &self.events) {
            (Some(told @ (Epoch(_) | Group(_) | GroupEpoch(_))), Some(events)) => {
                // A sender has no reason for more than the channel holds.
                let told = events.try_send(told);
                told.map_err(|_| io::ErrorKind::InvalidData.into())
            }
            (Some(Hears(hears)), None) => {
                self.hears.store(hears.into(), Ordering::Relaxed);
                Ok(())
            }
            (Some(Busy), _) => Err(io::ErrorKind::ConnectionAborted.into()),
            (Some(Alive | Unknown), _) => Ok(()),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    async fn say(&mut self, message: Bytes) -> io::Result<()> {
        let saying = timeout(SILENT_FOR, self.frames.writer.send(message));
        saying.await?.map_err(unsent)
    }

    /// The channel is closed, or both its halves are gone.
    async fn close(mut self) {
        let Frames { reader, writer } = &mut self.frames;
        let closing = async {
            if writer.shutdown().await.is_ok() {
                // Closing with an unread message would reset the connection.
                while let Ok(Some(_)) = reader.recv().await {}
            }
        };
        let _ = timeout(CLOSE_WITHIN, closing).await;
    }
}

const ALIVE_EVERY: Duration = Duration::from_millis(500);

/// Ten messages a second, where a peer sends two.
const MESSAGE_COST: Duration = Duration::from_millis(100);

/// What waits when this program was stopped for a while is no flood.
const MESSAGE_BURST: u32 = 64;

/// A peer that says nothing for so long is gone.
const SILENT_FOR: Duration = Duration::from_secs(3);

/// A receiver has not said whether the group reaches it; 0 and 1 are no and yes.
const UNKNOWN: u8 = 2;

/// Keys of epochs that wait to be sent or used; there are three a second at most.
const MAX_WAITING: usize = 64;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};

    use super::{super::SubscriptionStream, *};

    /// One end of a subscription, and what its peer's has in its place.
    fn kept() -> (Subscription, Told, DuplexStream) {
        let (here, there) = duplex(1 << 10);
        let stream = SubscriptionStream {
            stream: Box::new(here),
            peer: (Ipv4Addr::LOCALHOST, 1).into(),
            local: None,
            identities: None,
        };
        let (subscription, told) = keep(Frames::new(stream), None);
        (subscription, told, there)
    }

    #[tokio::test]
    async fn a_peer_that_floods_is_given_up() {
        let (subscription, mut told, there) = kept();
        let (mut reader, mut writer) = split(there);
        let flooding = async {
            // Messages of a later version.
            while writer.write_all(&[0, 0, 0, 2, 9, 0]).await.is_ok() {}
        };
        let mut beats = Vec::new();
        let reading = reader.read_to_end(&mut beats);
        let ended = async {
            let _ = tokio::join!(flooding, reading, told.changed());
        };
        timeout(Duration::from_secs(60), ended).await.unwrap();
        let end = subscription.check().unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn unknown_messages_are_ignored_and_malformed_ones_end_it() {
        let (subscription, mut told, mut there) = kept();
        let unknown = [0, 0, 0, 3, 9, 0, 1];
        let alive_without_its_end = [0, 0, 0, 1, 4];
        for bytes in [&unknown[..], &alive_without_its_end] {
            subscription.check().unwrap();
            there.write_all(bytes).await.unwrap();
        }
        let ended = timeout(Duration::from_secs(60), told.changed());
        ended.await.expect("it ends");
        let end = subscription.check().unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn one_that_is_closed_ends_at_once() {
        let (subscription, _told, mut there) = kept();
        let read = async move { there.read_to_end(&mut Vec::new()).await };
        let closing = async { tokio::join!(subscription.close(), read) };
        let ((), read) = timeout(Duration::from_secs(60), closing).await.unwrap();
        read.expect("an orderly end");
        let end = subscription.check().unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
    }

    /// Its end is not known to be orderly.
    #[test]
    fn one_whose_task_is_gone_has_ended() {
        let (ending, ended) = watch::channel(None);
        let ended = Ended(ended);
        assert_eq!(ended.end(), None);
        drop(ending);
        assert!(ended.end().is_some_and(|end| end.is_err()));
    }
}
