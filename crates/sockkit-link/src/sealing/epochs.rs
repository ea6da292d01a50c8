//! When a stream's epoch ends, and which key the next one has. Pure.

use std::time::{Duration, Instant};

use sockkit_codec::shard::seal::Position;

use super::{Key, Sealer, subscription::NextEpoch};

/// The epochs of a stream whose receivers are told each key.
///
/// The next one is told long before it begins, and begins between two messages:
/// all datagrams of a message have one key.
#[derive(Debug)]
pub(crate) struct Epochs {
    sender: [u8; 32],
    /// Of the current epoch.
    secret: [u8; 32],
    /// Told in time: the next message begins it.
    due: Option<NextEpoch>,
    /// Told after that one, and not begun.
    next: Option<NextEpoch>,
    /// When that one begins at the latest, because a receiver was removed.
    begins: Option<Instant>,
    last_told: u64,
}

impl Epochs {
    /// Of a stream whose current epoch its receivers know. `sender` is the
    /// identity that is part of each key.
    pub(crate) fn new(sender: [u8; 32], current: u64, secret: [u8; 32]) -> Self {
        Self {
            sender,
            secret,
            due: None,
            next: None,
            begins: None,
            last_told: current,
        }
    }

    /// Whether it is time to [tell](Self::tell) the next one.
    pub(crate) fn is_due(&self, sealer: &Sealer) -> bool {
        self.due.is_none() && self.next.is_none() && used(sealer) >= Position::EPOCH_DATAGRAMS / 2
    }

    /// The secret of the current epoch, and the later ones that were told: for a
    /// receiver that comes now.
    pub(crate) fn known(&self) -> ([u8; 32], impl Iterator<Item = &NextEpoch>) {
        (self.secret, self.due.iter().chain(&self.next))
    }

    /// The next one, for all receivers.
    pub(crate) fn tell(&mut self, secret: [u8; 32]) -> NextEpoch {
        let next = self.draw(secret, false);
        self.next = Some(next.clone());
        next
    }

    /// The next one, of which a removed receiver is not told, for all others. It begins
    /// soon, and not at once: the secret must not come later than the datagrams. But it
    /// does not wait longer if the receiver was `removed` long ago, and one that is already
    /// due still begins: receivers that leave all the time do not put off the end of a key.
    pub(crate) fn remove(
        &mut self,
        (now, removed): (Instant, Instant),
        secret: [u8; 32],
    ) -> NextEpoch {
        self.note_due(now);
        let next = self.draw(secret, true);
        self.next = Some(next.clone());
        let latest = now.max(removed + REMOVED_WITHIN);
        let at = latest.min(now + TOLD_BEFORE);
        self.begins = Some(self.begins.map_or(at, |earlier| earlier.min(at)));
        next
    }

    /// Begins the next one, if it is time for it or the current one may not have enough
    /// positions for a whole message.
    pub(crate) fn before_message(&mut self, now: Instant, sealer: &mut Sealer) {
        self.note_due(now);
        if self.due.is_none() && Position::EPOCH_DATAGRAMS - used(sealer) < MESSAGE_DATAGRAMS {
            (self.due, self.begins) = (self.next.take(), None);
        }
        if let Some(due) = self.due.take() {
            let key = Key::new(&due.secret).of_sender(self.sender);
            sealer.begin_epoch(due.epoch, key);
            self.secret = due.secret;
        }
    }

    fn note_due(&mut self, now: Instant) {
        if self.begins.is_some_and(|at| now >= at) {
            (self.due, self.begins) = (self.next.take(), None);
        }
    }

    fn draw(&mut self, secret: [u8; 32], removed: bool) -> NextEpoch {
        self.last_told += 1;
        NextEpoch {
            epoch: self.last_told,
            secret,
            removed,
        }
    }
}

/// How many positions of the current epoch are used.
fn used(sealer: &Sealer) -> u64 {
    sealer.position().0 % Position::EPOCH_DATAGRAMS
}

/// No message has more: a shard's index has 16 bits.
const MESSAGE_DATAGRAMS: u64 = 1 << 16;

/// The time in which a secret comes to every receiver, even if one of its packets is lost.
const TOLD_BEFORE: Duration = Duration::from_millis(250);

/// How long a removed receiver may see what is sent.
const REMOVED_WITHIN: Duration = Duration::from_millis(650);

#[cfg(test)]
mod tests {
    use sockkit_codec::shard::{MessageKind, Parity, SplitConfig, Splitter, StreamId};

    use super::*;
    use crate::sealing::Direction;

    fn sealer() -> Sealer {
        let splitter = Splitter::new(SplitConfig::default(), StreamId(1));
        Sealer::new(Key::new(&[1; 32]), Direction::FromSender, splitter)
    }

    fn send(sealer: &mut Sealer) {
        let sent = sealer.split_parts(MessageKind(1), &[b"one"], Parity::NONE);
        sent.unwrap();
    }

    #[test]
    fn the_next_epoch_is_told_at_half_and_begins_before_the_last_message() {
        let (mut sealer, mut epochs) = (sealer(), Epochs::new([0; 32], 0, [1; 32]));
        let half = Position::EPOCH_DATAGRAMS / 2;
        let now = Instant::now();
        for (position, due) in [(0, false), (half - 1, false), (half, true)] {
            sealer.skip_to(Position(position));
            assert_eq!(epochs.is_due(&sealer), due, "{position}");
        }
        let told = epochs.tell([2; 32]);
        assert_eq!((told.epoch, told.removed), (1, false));
        assert!(!epochs.is_due(&sealer));
        let end = Position::EPOCH_DATAGRAMS;
        for (position, after) in [
            (half, half),
            (end - MESSAGE_DATAGRAMS, end - MESSAGE_DATAGRAMS),
            (end - MESSAGE_DATAGRAMS + 1, end),
        ] {
            sealer.skip_to(Position(position));
            epochs.before_message(now, &mut sealer);
            assert_eq!(sealer.position().0, after, "{position}");
        }
        send(&mut sealer);
        assert_eq!(sealer.position().epoch(), 1);
    }

    #[test]
    fn a_removal_begins_an_epoch_that_was_not_told_before() {
        let (mut sealer, mut epochs) = (sealer(), Epochs::new([0; 32], 0, [1; 32]));
        let now = Instant::now();
        assert_eq!(epochs.tell([2; 32]).epoch, 1);
        let after = epochs.remove((now, now), [3; 32]);
        assert_eq!((after.epoch, after.removed), (2, true));
        assert_eq!(known(&epochs), ([1; 32], vec![after]));
        let early = TOLD_BEFORE - Duration::from_nanos(1);
        for (wait, epoch) in [(early, 0), (TOLD_BEFORE, 2), (10 * TOLD_BEFORE, 2)] {
            epochs.before_message(now + wait, &mut sealer);
            assert_eq!(sealer.position().epoch(), epoch, "{wait:?}");
        }
        assert_eq!(known(&epochs), ([3; 32], vec![]));
        // Removed long ago.
        let now = now + Duration::from_secs(9);
        epochs.remove((now, now - REMOVED_WITHIN), [4; 32]);
        epochs.before_message(now, &mut sealer);
        assert_eq!(sealer.position().epoch(), 3);
    }

    #[test]
    fn a_removal_puts_off_no_epoch_that_is_due() {
        let (mut sealer, mut epochs) = (sealer(), Epochs::new([0; 32], 0, [1; 32]));
        let now = Instant::now();
        let first = epochs.remove((now, now), [2; 32]);
        let due = now + TOLD_BEFORE;
        let second = epochs.remove((due, due), [3; 32]);
        assert_eq!(known(&epochs), ([1; 32], vec![first, second.clone()]));
        epochs.before_message(due, &mut sealer);
        assert_eq!(sealer.position().epoch(), 1);
        assert_eq!(known(&epochs), ([2; 32], vec![second]));
        epochs.before_message(due + TOLD_BEFORE, &mut sealer);
        assert_eq!(sealer.position().epoch(), 2);

        // Nor one that is not: the other takes its place.
        let now = due + TOLD_BEFORE;
        let soon = now + TOLD_BEFORE / 2;
        epochs.remove((now, now), [4; 32]);
        epochs.remove((soon, soon), [5; 32]);
        epochs.before_message(now + TOLD_BEFORE, &mut sealer);
        assert_eq!(sealer.position().epoch(), 4);
        assert_eq!(known(&epochs), ([5; 32], vec![]));
    }

    fn known(epochs: &Epochs) -> ([u8; 32], Vec<NextEpoch>) {
        let (secret, later) = epochs.known();
        (secret, later.cloned().collect())
    }
}
