//! When a stream's epoch ends, and which key the next one has. Pure.

use sockkit_codec::shard::seal::Position;

use super::{Key, Sealer, subscription::NextEpoch};

/// The epochs of a stream whose receivers are told each key.
///
/// The next one is told long before it begins, and begins between two messages:
/// all datagrams of a message have one key.
#[derive(Debug)]
pub(crate) struct Epochs {
    sender: [u8; 32],
    /// Told, but not begun.
    next: Option<(u64, Key)>,
    last_told: u64,
}

impl Epochs {
    /// Of a stream whose current epoch its receivers know. `sender` is the
    /// identity that is part of each key.
    pub(crate) fn new(sender: [u8; 32], current: u64) -> Self {
        Self {
            sender,
            next: None,
            last_told: current,
        }
    }

    /// Whether it is time to [tell](Self::tell) the next one.
    pub(crate) fn is_due(&self, sealer: &Sealer) -> bool {
        self.next.is_none() && used(sealer) >= Position::EPOCH_DATAGRAMS / 2
    }

    /// The next one, for all receivers.
    pub(crate) fn tell(&mut self, secret: [u8; 32]) -> NextEpoch {
        let (epoch, key) = self.draw(secret);
        self.next = Some((epoch, key));
        NextEpoch {
            epoch,
            secret,
            removed: false,
        }
    }

    /// Begins the next one, if the current one may not have enough positions for a
    /// whole message.
    pub(crate) fn before_message(&mut self, sealer: &mut Sealer) {
        let left = Position::EPOCH_DATAGRAMS - used(sealer);
        if left < MESSAGE_DATAGRAMS
            && let Some((epoch, key)) = self.next.take()
        {
            sealer.begin_epoch(epoch, key);
        }
    }

    fn draw(&mut self, secret: [u8; 32]) -> (u64, Key) {
        self.last_told += 1;
        (self.last_told, Key::new(&secret).of_sender(self.sender))
    }
}

/// How many positions of the current epoch are used.
fn used(sealer: &Sealer) -> u64 {
    sealer.position().0 % Position::EPOCH_DATAGRAMS
}

/// No message has more: a shard's index has 16 bits.
const MESSAGE_DATAGRAMS: u64 = 1 << 16;

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
        let (mut sealer, mut epochs) = (sealer(), Epochs::new([0; 32], 0));
        let half = Position::EPOCH_DATAGRAMS / 2;
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
            epochs.before_message(&mut sealer);
            assert_eq!(sealer.position().0, after, "{position}");
        }
        send(&mut sealer);
        assert_eq!(sealer.position().epoch(), 1);
    }
}
