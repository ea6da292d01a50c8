//! A channel of one: the newest value wins, and what was missed is counted.
//!
//! Live pictures are worth showing only while they are new. A queue between a
//! fast source and a slow reader turns into delay that never goes away, so
//! there is none here: each [`Subscriber`] takes the newest value when it is
//! ready for one and learns how many it skipped. A slow subscriber costs the
//! publisher and the other subscribers nothing, and the channel holds one
//! value however many there are.
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

/// The writing end. Dropping it ends the channel for every subscriber.
#[derive(Debug)]
pub struct Publisher<T> {
    sender: watch::Sender<Slot<T>>,
}

impl<T> Publisher<T> {
    /// Creates a channel that nobody subscribes to yet.
    pub fn new() -> Self {
        Self {
            sender: watch::Sender::new(Slot::empty()),
        }
    }

    /// Replaces the value and wakes every subscriber that waits. Never blocks.
    pub fn publish(&self, value: T) {
        self.publish_after(0, value);
    }

    /// Publishes, and counts `missed` values as published before: a stage
    /// between two channels passes on what it missed itself.
    pub(crate) fn publish_after(&self, missed: u64, value: T) {
        self.sender.send_modify(|slot| {
            slot.value = Some(value);
            slot.published += missed + 1;
        });
    }

    /// Forgets the value, so that later subscribers do not begin with it.
    pub fn clear(&self) {
        self.sender.send_if_modified(|slot| {
            slot.value = None;
            false
        });
    }

    /// Adds a subscriber. It begins with the current value, if there is one.
    pub fn subscribe(&self) -> Subscriber<T> {
        let mut receiver = self.sender.subscribe();
        let seen = {
            let slot = receiver.borrow_and_update();
            // The current value is news to the newcomer; the ones before are
            // no loss to it.
            slot.published - u64::from(slot.value.is_some())
        };
        Subscriber {
            receiver,
            seen,
            missed: 0,
        }
    }

    /// How many subscribers there are now.
    pub fn subscribers(&self) -> usize {
        self.sender.receiver_count()
    }

    /// Waits until there is no subscriber.
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

/// A reading end, as slow as it likes.
#[derive(Debug)]
pub struct Subscriber<T> {
    receiver: watch::Receiver<Slot<T>>,
    /// Values published up to the one last taken.
    seen: u64,
    missed: u64,
}

impl<T: Clone> Subscriber<T> {
    /// Waits for a value newer than the last one taken; `None` once the
    /// publisher is gone and its last value was taken.
    ///
    /// # Cancel safety
    /// Cancel safe: a value that was not returned is still the newest.
    pub async fn next(&mut self) -> Option<T> {
        loop {
            if let Some(value) = self.take_new() {
                return Some(value);
            }
            if self.receiver.changed().await.is_err() {
                // A value may have come between the look and the end.
                return self.take_new();
            }
        }
    }

    /// The values as a [`Stream`], until the publisher is gone: each the newest
    /// at the time that it is asked for.
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

    /// The newest value, whether or not it was taken before.
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
    /// Values that were replaced before this subscriber took them.
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

/// Another reader at the same place in the sequence; it counts anew.
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
    /// Values published so far.
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
