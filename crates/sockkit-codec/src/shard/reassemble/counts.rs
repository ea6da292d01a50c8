//! How many of a sender's shards have arrived, unneeded parity included.

use super::super::{StreamId, header::MessageHeader};

/// Shards of the preferred sender: of the messages that are over, of which at least one shard
/// came. A message of a single shard is not among them: one that is lost is not seen at all.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ShardCounts {
    /// Those that were sent, as the headers say.
    pub sent: u64,
    /// Those of them that came.
    pub arrived: u64,
}

/// Counts them. Pure.
///
/// Two messages are open at a time, so that shards which overtake each other are counted; what
/// comes later still is taken for lost.
#[derive(Debug, Default)]
pub(super) struct Counting {
    total: ShardCounts,
    newest: Open,
    older: Open,
}

#[derive(Clone, Copy, Debug, Default)]
struct Open {
    message: Option<(StreamId, u64)>,
    sent: u64,
    arrived: u64,
}

impl Counting {
    /// Takes note of one shard that is not a copy of another, as far as is known.
    pub(super) fn handle_shard(&mut self, header: &MessageHeader) {
        let sent = u64::from(header.data) + u64::from(header.parity);
        if sent == 1 {
            return;
        }
        let message = Some((header.stream, header.number));
        if self.newest.message != message && self.older.message != message {
            self.total.add(self.older);
            self.older = std::mem::replace(
                &mut self.newest,
                Open {
                    message,
                    sent,
                    arrived: 0,
                },
            );
        }
        let open = if self.newest.message == message {
            &mut self.newest
        } else {
            &mut self.older
        };
        // Of a message that is over copies are not told.
        open.arrived = open.arrived.saturating_add(1).min(open.sent);
    }

    pub(super) fn total(&self) -> ShardCounts {
        self.total
    }
}

impl ShardCounts {
    /// A sender names these numbers, and may name any.
    fn add(&mut self, message: Open) {
        self.sent = self.sent.saturating_add(message.sent);
        self.arrived = self.arrived.saturating_add(message.arrived);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{MessageKind, Parity, SplitConfig, Splitter};
    use super::*;

    /// The headers of so many messages of 60 KB, a list each.
    fn messages(count: usize) -> Vec<Vec<MessageHeader>> {
        let mut splitter = Splitter::new(SplitConfig::default(), StreamId(1));
        (0..count)
            .map(|_| {
                let shards = splitter.split(MessageKind(1), &[7; 60_000], Parity::percent(25));
                let shards = shards.unwrap();
                let headers = shards.datagrams().map(MessageHeader::parse);
                headers.map(|parsed| parsed.unwrap().0).collect()
            })
            .collect()
    }

    #[track_caller]
    fn check(shards: impl IntoIterator<Item = MessageHeader>, sent: u64, arrived: u64) {
        let mut counting = Counting::default();
        for header in shards {
            counting.handle_shard(&header);
        }
        assert_eq!(counting.total(), ShardCounts { sent, arrived });
    }

    #[test]
    fn what_is_missing_is_counted_when_two_newer_messages_have_begun() {
        let messages = messages(4);
        let lossy = messages.iter().flat_map(|message| message.iter().skip(3));
        check(lossy.copied(), 2 * 55, 2 * 52);
    }

    #[test]
    fn shards_that_overtake_each_other_are_not_missing() {
        let mut messages = messages(4);
        let late = messages[0].split_off(50);
        messages[1].extend(late);
        check(messages.concat(), 2 * 55, 2 * 55);
    }

    #[test]
    fn a_shard_that_comes_again_and_again_is_no_more_than_what_was_sent() {
        let messages = messages(3);
        let again = std::iter::repeat_n(messages[0][0], 1_000);
        check(again.chain(messages.concat()), 55, 55);
    }

    #[test]
    fn messages_of_one_shard_tell_nothing() {
        let mut single = messages(1)[0][0];
        (single.data, single.parity) = (1, 0);
        let numbers = (0..9).map(|number| MessageHeader { number, ..single });
        check(numbers, 0, 0);
    }
}
