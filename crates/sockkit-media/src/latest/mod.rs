//! A channel that keeps only the newest value, and counts missed ones.
//!
//! Live pictures are only useful while they are new. A queue between a fast
//! source and a slow reader turns into permanent latency, so this channel has
//! none: each [`Subscriber`] takes the newest value when it is ready, and
//! learns how many it missed. A slow subscriber affects neither the publisher
//! nor other subscribers, and the channel holds one value for any number of
//! them.
//!
//! ```
//! # use sockkit_media as sockkit;
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let (publisher, mut subscriber) = sockkit::latest::channel();
//! publisher.publish("first");
//! publisher.publish("second");
//! assert_eq!(subscriber.next().await, Some("second"));
//! assert_eq!(subscriber.missed(), 1);
//! # });
//! ```

use futures::{Stream, stream::unfold};
use tokio::sync::watch;

/// Creates a channel that holds only its newest value.
pub fn channel<T>() -> (Publisher<T>, Subscriber<T>) {
    let (sender, receiver) = watch::channel(Slot::empty());
    let subscriber = Subscriber {
        receiver,
        seen: 0,
        missed: 0,
    };
    (Publisher { sender }, subscriber)
}

/// The sending half. Dropping it ends the channel for every subscriber.
#[derive(Debug)]
pub struct Publisher<T> {
    sender: watch::Sender<Slot<T>>,
}

impl<T> Publisher<T> {
    /// Creates a channel without subscribers.
    pub fn new() -> Self {
        Self {
            sender: watch::Sender::new(Slot::empty()),
        }
    }

    /// Replaces the value and wakes all waiting subscribers. Never blocks.
    pub fn publish(&self, value: T) {
        self.publish_after(0, value);
    }

    /// Publishes a value, and counts `missed` earlier values as published: a
    /// stage between two channels passes on what it has missed itself.
    pub(crate) fn publish_after(&self, missed: u64, value: T) {
        self.sender.send_modify(|slot| {
            slot.value = Some(value);
            slot.published += missed + 1;
        });
    }

    /// Removes the value, so that later subscribers do not start with it.
    pub fn clear(&self) {
        self.sender.send_if_modified(|slot| {
            slot.value = None;
            false
        });
    }

    /// Adds a subscriber. It starts with the current value, if there is one.
    pub fn subscribe(&self) -> Subscriber<T> {
        let mut receiver = self.sender.subscribe();
        let seen = {
            let slot = receiver.borrow_and_update();
            // The current value is new to this subscriber; earlier ones do not
            // count as missed.
            slot.published - u64::from(slot.value.is_some())
        };
        Subscriber {
            receiver,
            seen,
            missed: 0,
        }
    }

    /// Current number of subscribers.
    pub fn subscribers(&self) -> usize {
        self.sender.receiver_count()
    }

    /// Waits until there are no subscribers.
    ///
    /// # Cancel safety
    /// Cancel safe: it only waits.
    pub async fn unsubscribed(&self) {
        self.sender.closed().await;
    }
}

impl<T> Default for Publisher<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// A receiving half, which may be arbitrarily slow.
#[derive(Debug)]
pub struct Subscriber<T> {
    receiver: watch::Receiver<Slot<T>>,
    /// Number of values published up to the last one taken.
    seen: u64,
    missed: u64,
}

impl<T: Clone> Subscriber<T> {
    /// Waits for a value newer than the last one taken. Returns `None` when the
    /// publisher is gone and its last value has been taken.
    ///
    /// # Cancel safety
    /// Cancel safe: a value that was not returned is not lost.
    pub async fn next(&mut self) -> Option<T> {
        loop {
            if let Some(value) = self.take_new() {
                return Some(value);
            }
            if self.receiver.changed().await.is_err() {
                // A value may have been published between the check and the
                // end.
                return self.take_new();
            }
        }
    }

    /// Converts it into a [`Stream`], which ends with the publisher. Each item
    /// is the newest value at the time of the poll.
    ///
    /// ```
    /// # use sockkit_media as sockkit;
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use futures::StreamExt;
    ///
    /// let (publisher, subscriber) = sockkit::latest::channel();
    /// publisher.publish(1);
    /// publisher.publish(2);
    /// drop(publisher);
    /// let values: Vec<i32> = subscriber.into_stream().collect().await;
    /// assert_eq!(values, [2]);
    /// # });
    /// ```
    pub fn into_stream(self) -> impl Stream<Item = T> {
        unfold(self, async |mut subscriber| {
            let value = subscriber.next().await?;
            Some((value, subscriber))
        })
    }

    /// Returns the newest value, taken or not.
    pub fn latest(&self) -> Option<T> {
        self.receiver.borrow().value.clone()
    }

    fn take_new(&mut self) -> Option<T> {
        let slot = self.receiver.borrow_and_update();
        let skipped = slot.published.checked_sub(self.seen + 1)?;
        let value = slot.value.clone()?;
        self.seen = slot.published;
        self.missed += skipped;
        Some(value)
    }
}

impl<T> Subscriber<T> {
    /// Number of values that were replaced before this subscriber took them.
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

/// For a stage that must know whether what it passes on is the newest.
#[cfg(feature = "web")]
impl<T> Subscriber<T> {
    /// Number of values published so far.
    pub(crate) fn published(&self) -> u64 {
        self.receiver.borrow().published
    }

    /// Number of values published up to the last one taken.
    pub(crate) fn taken(&self) -> u64 {
        self.seen
    }

    /// Takes the current value without returning it, if it is not the one to wait for.
    pub(crate) fn skip_if(&mut self, outdated: impl FnOnce(&T) -> bool) {
        let slot = self.receiver.borrow_and_update();
        if slot.value.as_ref().is_some_and(outdated) {
            self.seen = slot.published;
        }
    }
}

/// A second reader at the same position, whose counter starts at zero.
impl<T> Clone for Subscriber<T> {
    fn clone(&self) -> Self {
        Self {
            receiver: self.receiver.clone(),
            seen: self.seen,
            missed: 0,
        }
    }
}

#[derive(Debug)]
struct Slot<T> {
    value: Option<T>,
    /// Number of values published so far.
    published: u64,
}

impl<T> Slot<T> {
    fn empty() -> Self {
        Self {
            value: None,
            published: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn the_newest_wins_and_the_rest_is_counted() {
        let (publisher, mut subscriber) = channel();
        for value in 1..=5 {
            publisher.publish(value);
        }
        assert_eq!(subscriber.next().await, Some(5));
        assert_eq!(subscriber.missed(), 4);

        publisher.publish(6);
        assert_eq!(subscriber.next().await, Some(6));
        assert_eq!(subscriber.missed(), 4);
    }

    #[tokio::test]
    async fn a_slow_subscriber_takes_nothing_from_a_fast_one() {
        let (publisher, mut slow) = channel();
        let mut fast = publisher.subscribe();
        for value in 0..100 {
            publisher.publish(value);
            assert_eq!(fast.next().await, Some(value));
        }
        assert_eq!(fast.missed(), 0);
        assert_eq!(slow.next().await, Some(99));
        assert_eq!(slow.missed(), 99);
    }

    #[tokio::test]
    async fn a_newcomer_begins_with_the_current_value_and_missed_none() {
        let publisher = Publisher::new();
        publisher.publish(1);
        publisher.publish(2);
        let mut newcomer = publisher.subscribe();
        assert_eq!(newcomer.next().await, Some(2));
        assert_eq!(newcomer.missed(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_cleared_channel_has_nothing_for_a_newcomer() {
        let publisher = Publisher::new();
        publisher.publish(1);
        publisher.clear();
        let mut newcomer = publisher.subscribe();
        assert_eq!(newcomer.latest(), None);
        tokio::time::timeout(Duration::from_secs(1), newcomer.next())
            .await
            .expect_err("there is nothing to take");

        publisher.publish(2);
        assert_eq!(newcomer.next().await, Some(2));
        assert_eq!(newcomer.missed(), 0);
    }

    #[tokio::test]
    async fn the_last_value_is_delivered_after_the_publisher_is_gone() {
        let (publisher, mut subscriber) = channel();
        publisher.publish("last");
        drop(publisher);
        assert_eq!(subscriber.next().await, Some("last"));
        assert_eq!(subscriber.next().await, None);
    }

    #[tokio::test]
    async fn the_publisher_learns_when_nobody_is_left() {
        let (publisher, subscriber) = channel::<u8>();
        assert_eq!(publisher.subscribers(), 1);
        drop(subscriber);
        publisher.unsubscribed().await;
        assert_eq!(publisher.subscribers(), 0);
    }
}
