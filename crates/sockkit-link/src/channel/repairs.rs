//! Which shards of the last message are sent once more. Pure.

use sockkit_codec::shard::{Missing, Shards};

/// How much of the last message each destination may still get once more.
///
/// Used inside [`Channel`](super::Channel); public for simulations and tests.
#[derive(Debug, Default)]
pub struct RepairBudget {
    /// In shards, by destination: what one asks for, or is said to ask for, is not
    /// taken from another.
    left: Vec<usize>,
}

impl RepairBudget {
    /// A new message: half of its data more for each destination, and no more than all.
    ///
    /// So a burst that takes most of a message can be made good, and a link that loses half
    /// of what it is given gets half as much more.
    pub fn refill(&mut self, message: Shards<'_>, destinations: usize) {
        let data = message.data_shards();
        for left in &mut self.left {
            *left = data.min(*left + data.div_ceil(2));
        }
        self.left.resize(destinations, data);
    }

    /// The datagrams to send once more to a destination, as far as its budget reaches;
    /// none if the message is not the one that lacks them.
    pub fn take<'a>(
        &mut self,
        destination: usize,
        message: Shards<'a>,
        missing: Missing,
    ) -> Vec<&'a [u8]> {
        let Some(left) = self.left.get_mut(destination) else {
            return Vec::new();
        };
        if message.number() != missing.number {
            return Vec::new();
        }
        let wanted = missing.indexes();
        let wanted = wanted.filter_map(|index| message.datagrams().nth(index));
        let taken: Vec<_> = wanted.take(*left).collect();
        *left -= taken.len();
        taken
    }
}

#[cfg(test)]
mod tests {
    use sockkit_codec::shard::{MessageKind, Parity, SplitConfig, Splitter, StreamId};

    use super::*;

    #[test]
    fn each_destination_has_a_message_at_once_and_half_in_the_long_run() {
        let mut splitter = Splitter::new(SplitConfig::default(), StreamId(1));
        let mut budget = RepairBudget::default();
        for (number, expected) in [(0, 10), (1, 5), (2, 5)] {
            let message = splitter.split(MessageKind(1), &[7; 10 * 1_364], Parity::NONE);
            let message = message.unwrap();
            budget.refill(message, 2);
            let all = Missing::new(StreamId(1), number, 0, u128::MAX);
            let mut taken = |to| budget.take(to, message, all).len();
            assert_eq!(
                [taken(0), taken(0), taken(1), taken(1)],
                [expected, 0, expected, 0]
            );
            assert_eq!(taken(2), 0);
        }
        for number in 3..6 {
            let message = splitter.split(MessageKind(1), &[7; 10 * 1_364], Parity::NONE);
            budget.refill(message.unwrap(), 2);
            assert_eq!(budget.left, [if number == 3 { 5 } else { 10 }; 2]);
        }
    }

    #[test]
    fn an_older_message_is_not_sent_again() {
        let mut splitter = Splitter::new(SplitConfig::default(), StreamId(1));
        let mut budget = RepairBudget::default();
        splitter
            .split(MessageKind(1), b"older", Parity::NONE)
            .unwrap();
        let message = splitter.split(MessageKind(1), b"newer", Parity::NONE);
        let message = message.unwrap();
        budget.refill(message, 1);
        let mut taken = |number| {
            let missing = Missing::new(StreamId(1), number, 0, 1);
            budget.take(0, message, missing).len()
        };
        assert_eq!([taken(0), taken(1)], [0, 1]);
    }
}
