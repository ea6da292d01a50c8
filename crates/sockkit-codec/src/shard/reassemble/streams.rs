//! Remembers finished messages: delivered numbers by stream, and dropped
//! messages.

use std::{collections::VecDeque, net::SocketAddr};

use super::{
    super::{Sequence, Step, StreamId, header::MessageHeader},
    share::{Holding, Sender, payer},
};

/// Remembers finished messages, so that none is delivered or started twice.
///
/// A stream is remembered from its first delivered message on: a forged shard
/// alone neither takes a place nor moves a stream's window.
#[derive(Debug)]
pub(super) struct Finished {
    streams: Vec<Stream>,
    max_streams: usize,
    /// The latest dropped messages, and those delivered under doubtful numbers,
    /// which have no place in a stream's window.
    given_up: VecDeque<MessageId>,
    max_given_up: usize,
    /// Counts deliveries, to order streams by use.
    clock: u64,
}

/// Identifies a message of a sender. Messages with the same number and
/// different headers are distinct: one of them is forged, and neither hides the
/// other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct MessageId {
    pub(super) from: SocketAddr,
    pub(super) header: MessageHeader,
}

impl MessageId {
    pub(super) fn new(from: SocketAddr, header: &MessageHeader) -> Self {
        Self {
            from,
            header: *header,
        }
    }

    /// Whether both belong to one stream, and this one has left its window
    /// since `newest` was delivered.
    pub(super) fn is_out_of_window(&self, newest: &Self) -> bool {
        self.is_older_in_stream(newest) && newest.header.number - self.header.number >= WINDOW
    }

    /// Whether both belong to one stream, and this one precedes `other`.
    pub(super) fn is_older_in_stream(&self, other: &Self) -> bool {
        (self.header.stream, self.from) == (other.header.stream, other.from)
            && self.header.number < other.header.number
    }
}

/// Whether a delivered number advances its stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    InOrder,
    /// It jumped: nothing is concluded from it.
    Jumped,
}

impl Finished {
    pub(super) fn new(max_streams: usize, max_given_up: usize) -> Self {
        Self {
            streams: Vec::new(),
            max_streams,
            given_up: VecDeque::new(),
            max_given_up,
            clock: 0,
        }
    }

    /// Whether the message is finished: delivered or dropped.
    pub(super) fn contains(&self, id: &MessageId) -> bool {
        let stream = self.streams.iter().find(|stream| stream.is_of(id));
        stream.is_some_and(|stream| stream.is_over(&id.header)) || self.given_up.contains(id)
    }

    /// Records a delivered message. Also returns by how much the number of lost
    /// messages changes.
    pub(super) fn deliver(
        &mut self,
        id: &MessageId,
        preferred: Option<SocketAddr>,
    ) -> (Standing, i128) {
        self.clock += 1;
        let clock = self.clock;
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.is_of(id)) {
            stream.used = clock;
            return match stream.deliver(&id.header) {
                Delivery::InOrder { lost } => (Standing::InOrder, lost),
                Delivery::Moved => (Standing::Jumped, 0),
                Delivery::Doubtful => {
                    self.give_up(*id);
                    (Standing::Jumped, 0)
                }
            };
        }
        let from = Sender::new(id.from);
        if self.streams.len() == self.max_streams {
            self.forget_one(from, preferred);
        }
        self.streams.push(Stream::new(from, &id.header, clock));
        (Standing::InOrder, 0)
    }

    /// Records a dropped message.
    pub(super) fn give_up(&mut self, id: MessageId) {
        if self.given_up.len() == self.max_given_up {
            self.given_up.pop_front();
        }
        self.given_up.push_back(id);
    }

    fn forget_one(&mut self, asker: Sender, preferred: Option<SocketAddr>) {
        let holding = |stream: &Stream| Holding {
            from: stream.from,
            weight: 1,
            since: stream.used,
        };
        let holdings: Vec<_> = self.streams.iter().map(holding).collect();
        if let Some(place) = payer(&holdings, asker, preferred, self.max_streams) {
            self.streams.swap_remove(place);
        }
    }
}

/// The delivered messages of one stream.
#[derive(Debug)]
struct Stream {
    from: Sender,
    id: StreamId,
    first: u64,
    numbers: Sequence,
    /// Bit `i` is set if number `newest - i` was delivered.
    delivered: u128,
    /// The checksums of those, by number modulo the window.
    checksums: [u32; SLOTS],
    used: u64,
}

/// The effect of a delivered number.
enum Delivery {
    InOrder { lost: i128 },
    Moved,
    Doubtful,
}

impl Stream {
    fn new(from: Sender, first: &MessageHeader, used: u64) -> Self {
        let mut stream = Self {
            from,
            id: first.stream,
            first: first.number,
            numbers: Sequence::new(first.number, WINDOW),
            delivered: 1,
            checksums: [0; SLOTS],
            used,
        };
        stream.note(first);
        stream
    }

    fn is_of(&self, id: &MessageId) -> bool {
        self.id == id.header.stream && self.from.address == id.from
    }

    fn is_over(&self, header: &MessageHeader) -> bool {
        let behind = self.numbers.behind(header.number);
        behind.is_some_and(|behind| self.has(behind))
            && self.checksums.get(slot(header.number)) == Some(&header.crc)
    }

    fn has(&self, behind: u64) -> bool {
        self.delivered >> behind & 1 != 0
    }

    fn note(&mut self, header: &MessageHeader) {
        if let Some(checksum) = self.checksums.get_mut(slot(header.number)) {
            *checksum = header.crc;
        }
    }

    /// Advances the window.
    fn deliver(&mut self, header: &MessageHeader) -> Delivery {
        let number = header.number;
        let delivery = match self.numbers.step(number) {
            Step::Next { skipped } => {
                self.delivered = if skipped + 1 < WINDOW {
                    self.delivered << (skipped + 1) | 1
                } else {
                    1
                };
                Delivery::InOrder {
                    lost: skipped.into(),
                }
            }
            Step::Behind { by } => Delivery::InOrder {
                lost: self.fill(number, by),
            },
            Step::Moved => {
                // The previous number was delivered when it was doubtful.
                self.delivered = 0b11;
                self.first = number - 1;
                Delivery::Moved
            }
            Step::Doubtful => return Delivery::Doubtful,
        };
        self.note(header);
        delivery
    }

    /// Records a number in the window. Returns the change in lost messages.
    fn fill(&mut self, number: u64, behind: u64) -> i128 {
        if self.has(behind) {
            return 0;
        }
        self.delivered |= 1 << behind;
        if number < self.first {
            // Those in between are missing now.
            let skipped = self.first - number - 1;
            self.first = number;
            return skipped.into();
        }
        -1
    }
}

fn slot(number: u64) -> usize {
    (number % WINDOW) as usize
}

/// How far behind the newest delivered message of its stream a message may
/// arrive.
const WINDOW: u64 = SLOTS as u64;

const SLOTS: usize = 128;

#[cfg(test)]
mod tests {
    use super::{super::super::MessageKind, *};

    fn id(from: u8, stream: u64, number: u64) -> MessageId {
        let header = MessageHeader {
            number,
            stream: StreamId(stream),
            crc: 9,
            message_bytes: 5,
            data: 1,
            parity: 0,
            kind: MessageKind(1),
        };
        MessageId::new(SocketAddr::from(([127, 0, 0, from], 1)), &header)
    }

    fn deliver(finished: &mut Finished, id: MessageId) -> (Standing, i128) {
        finished.deliver(&id, None)
    }

    #[test]
    fn lost_counts_gaps_and_forgives_late_comers() {
        let mut finished = Finished::new(4, 4);
        let changes =
            [10, 11, 14, 12, 8, 9].map(|number| deliver(&mut finished, id(1, 1, number)).1);
        assert_eq!(changes, [0, 0, 2, -1, 1, -1]);
    }

    #[test]
    fn the_window_ends_where_it_says() {
        let mut finished = Finished::new(4, 4);
        deliver(&mut finished, id(1, 1, 1_000));
        assert!(finished.contains(&id(1, 1, 1_000)));
        assert!(!finished.contains(&id(1, 1, 1_001)));
        assert!(!finished.contains(&id(1, 1, 999)));
        assert!(!finished.contains(&id(1, 1, 1_000 - WINDOW + 1)));
        // Behind it a number may be that of a sender which counts again.
        assert!(!finished.contains(&id(1, 1, 1_000 - WINDOW)));
        assert!(!finished.contains(&id(1, 2, 1_000)));
        assert!(!finished.contains(&id(2, 1, 1_000)));
        deliver(&mut finished, id(1, 1, 1_000 + WINDOW - 1));
        assert!(finished.contains(&id(1, 1, 1_000)));
        assert!(!finished.contains(&id(1, 1, 1_001)));
        // One ahead of the window empties it but for itself.
        let ahead = 1_000 + 2 * WINDOW - 1;
        deliver(&mut finished, id(1, 1, ahead));
        assert!(!finished.contains(&id(1, 1, 1_000 + WINDOW - 1)));
        assert!(finished.contains(&id(1, 1, ahead)));
    }

    #[test]
    fn a_late_comer_is_over_like_those_around_it() {
        let mut finished = Finished::new(4, 4);
        for number in [10, 14, 12] {
            deliver(&mut finished, id(1, 1, number));
        }
        let over: Vec<_> = (9..16)
            .filter(|&number| finished.contains(&id(1, 1, number)))
            .collect();
        assert_eq!(over, [10, 12, 14]);
    }

    #[test]
    fn a_message_is_older_by_its_number_and_hopeless_by_the_window() {
        let five = id(1, 1, 5);
        for (other, older, hopeless) in [
            (id(1, 1, 4), false, false),
            (id(1, 1, 5), false, false),
            (id(1, 1, 6), true, false),
            (id(1, 1, 4 + WINDOW), true, false),
            (id(1, 1, 5 + WINDOW), true, true),
            (id(1, 2, 5 + WINDOW), false, false),
            (id(2, 1, 5 + WINDOW), false, false),
        ] {
            let said = (
                five.is_older_in_stream(&other),
                five.is_out_of_window(&other),
            );
            assert_eq!(said, (older, hopeless), "{other:?}");
        }
    }

    #[test]
    fn a_jump_moves_the_window_at_the_second_number() {
        let mut finished = Finished::new(4, 4);
        deliver(&mut finished, id(1, 1, 5));
        let doubtful = deliver(&mut finished, id(1, 1, u64::MAX - 1));
        assert_eq!(doubtful, (Standing::Jumped, 0));
        assert!(finished.contains(&id(1, 1, 5)));
        assert!(finished.contains(&id(1, 1, u64::MAX - 1)));
        let moved = deliver(&mut finished, id(1, 1, u64::MAX));
        assert_eq!(moved, (Standing::Jumped, 0));
        assert!(finished.contains(&id(1, 1, u64::MAX)));
        assert!(!finished.contains(&id(1, 1, 5)));
        assert_eq!(deliver(&mut finished, id(1, 1, u64::MAX - 3)).1, 1);
        assert_eq!(deliver(&mut finished, id(1, 1, u64::MAX - 2)).1, -1);
    }

    #[test]
    fn a_peer_that_fills_the_table_forgets_its_own() {
        let mut finished = Finished::new(4, 4);
        deliver(&mut finished, id(1, 1, 5));
        for stream in 0..100 {
            deliver(&mut finished, id(2, stream, 5));
        }
        assert!(finished.contains(&id(1, 1, 5)));
        assert!(finished.contains(&id(2, 99, 5)));
        assert!(!finished.contains(&id(2, 1, 5)));
    }

    #[test]
    fn given_up_messages_are_remembered_up_to_the_limit() {
        let mut finished = Finished::new(4, 4);
        for number in 0..5 {
            finished.give_up(id(1, 1, number));
        }
        assert!(!finished.contains(&id(1, 1, 0)));
        assert!(finished.contains(&id(1, 1, 1)));
    }

    #[test]
    fn a_forged_message_does_not_hide_the_true_one_of_its_number() {
        let mut finished = Finished::new(4, 4);
        deliver(&mut finished, id(1, 1, 5));
        let mut forged = id(1, 1, 6);
        forged.header.crc = 1;
        deliver(&mut finished, forged);
        assert!(finished.contains(&forged) && !finished.contains(&id(1, 1, 6)));
        assert_eq!(deliver(&mut finished, id(1, 1, 6)), (Standing::InOrder, 0));
        assert!(finished.contains(&id(1, 1, 6)));
        forged.header.number = 7;
        finished.give_up(forged);
        assert!(!finished.contains(&id(1, 1, 7)));
    }

    #[test]
    fn a_delivered_message_is_over_until_its_number_leaves_the_window() {
        let mut finished = Finished::new(4, 4);
        for number in 0..3 * WINDOW {
            deliver(&mut finished, id(1, 1, number));
            for behind in 0..WINDOW.min(number) {
                assert!(finished.contains(&id(1, 1, number - behind)), "{behind}");
            }
        }
    }
}
