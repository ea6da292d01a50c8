//! What was finished before: delivered numbers by stream, and messages given up.

use std::{collections::VecDeque, net::SocketAddr};

use super::super::{StreamId, header::MessageHeader};

/// Remembers finished messages, so that none is delivered or begun twice.
///
/// A stream is remembered from its first delivered message: a forged shard
/// alone neither takes a place nor moves a stream's window.
#[derive(Debug)]
pub(super) struct Finished {
    streams: Vec<Stream>,
    max_streams: usize,
    /// The messages last given up; numbers above a stream's newest have no
    /// place in its window.
    given_up: VecDeque<MessageId>,
    max_given_up: usize,
    /// Counts deliveries; orders streams by use.
    clock: u64,
}

/// A message of a sender.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct MessageId {
    pub(super) number: u64,
    pub(super) stream: StreamId,
    pub(super) from: SocketAddr,
}

impl MessageId {
    pub(super) fn new(from: SocketAddr, header: &MessageHeader) -> Self {
        Self {
            number: header.number,
            stream: header.stream,
            from,
        }
    }

    /// Whether both are of one stream, and this one has left its window when
    /// `newest` was delivered.
    pub(super) fn is_out_of_window(&self, newest: &Self) -> bool {
        self.stream == newest.stream
            && self.from == newest.from
            && newest.number.saturating_sub(self.number) >= WINDOW
    }
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

    /// Whether the message is over: delivered, given up, or too far behind.
    pub(super) fn contains(&self, id: &MessageId) -> bool {
        let stream = self.streams.iter().find(|stream| stream.is_of(id));
        stream.is_some_and(|stream| stream.is_over(id.number)) || self.given_up.contains(id)
    }

    /// Notes a delivered message; returns by how much the count of lost ones changes.
    pub(super) fn deliver(&mut self, id: &MessageId) -> i128 {
        self.clock += 1;
        let clock = self.clock;
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.is_of(id)) {
            stream.used = clock;
            return stream.deliver(id.number);
        }
        if self.streams.len() == self.max_streams {
            self.forget_one(id.from);
        }
        self.streams.push(Stream {
            from: id.from,
            id: id.stream,
            first: id.number,
            newest: id.number,
            delivered: 1,
            used: clock,
        });
        0
    }

    /// Notes a message that was given up.
    pub(super) fn give_up(&mut self, id: MessageId) {
        if self.given_up.len() == self.max_given_up {
            self.given_up.pop_front();
        }
        self.given_up.push_back(id);
    }

    /// Makes room: a peer with half of the places pays itself.
    fn forget_one(&mut self, from: SocketAddr) {
        let own = self.streams.iter().filter(|stream| stream.from == from);
        let crowded = own.count() * 2 >= self.max_streams;
        let oldest = self
            .streams
            .iter()
            .enumerate()
            .filter(|(_, stream)| !crowded || stream.from == from)
            .min_by_key(|(_, stream)| stream.used);
        if let Some((place, _)) = oldest {
            self.streams.swap_remove(place);
        }
    }
}

/// The delivered messages of one stream.
#[derive(Debug)]
struct Stream {
    from: SocketAddr,
    id: StreamId,
    first: u64,
    newest: u64,
    /// Bit `i` is set if number `newest - i` was delivered.
    delivered: u128,
    used: u64,
}

impl Stream {
    fn is_of(&self, id: &MessageId) -> bool {
        self.id == id.stream && self.from == id.from
    }

    fn is_over(&self, number: u64) -> bool {
        match self.newest.checked_sub(number) {
            None => false,
            Some(behind) => behind >= WINDOW || self.delivered >> behind & 1 != 0,
        }
    }

    /// Moves the window; returns the change in messages lost.
    fn deliver(&mut self, number: u64) -> i128 {
        if number > self.newest {
            let ahead = number - self.newest;
            self.delivered = if ahead < WINDOW {
                self.delivered << ahead | 1
            } else {
                1
            };
            self.newest = number;
            return i128::from(ahead) - 1;
        }
        self.delivered |= 1 << (self.newest - number);
        if number < self.first {
            let skipped = self.first - number - 1;
            self.first = number;
            return i128::from(skipped);
        }
        -1
    }
}

/// How far behind the newest delivered message of its stream one may come.
const WINDOW: u64 = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn id(from: u8, stream: u64, number: u64) -> MessageId {
        MessageId {
            number,
            stream: StreamId(stream),
            from: SocketAddr::from(([127, 0, 0, from], 1)),
        }
    }

    #[test]
    fn lost_counts_gaps_and_forgives_late_comers() {
        let mut finished = Finished::new(4, 4);
        let changes = [10, 11, 14, 12, 8, 9].map(|number| finished.deliver(&id(1, 1, number)));
        assert_eq!(changes, [0, 0, 2, -1, 1, -1]);
    }

    #[test]
    fn the_window_ends_where_it_says() {
        let mut finished = Finished::new(4, 4);
        finished.deliver(&id(1, 1, 1_000));
        assert!(finished.contains(&id(1, 1, 1_000)));
        assert!(!finished.contains(&id(1, 1, 1_001)));
        assert!(!finished.contains(&id(1, 1, 999)));
        assert!(!finished.contains(&id(1, 1, 1_000 - WINDOW + 1)));
        assert!(finished.contains(&id(1, 1, 1_000 - WINDOW)));
        assert!(!finished.contains(&id(1, 2, 1_000)));
        assert!(!finished.contains(&id(2, 1, 1_000)));
        finished.deliver(&id(1, 1, 1_000 + WINDOW - 1));
        assert!(finished.contains(&id(1, 1, 1_000)));
        assert!(!finished.contains(&id(1, 1, 1_001)));
        finished.deliver(&id(1, 1, u64::MAX));
        assert!(finished.contains(&id(1, 1, 1_001)));
    }

    #[test]
    fn a_peer_that_fills_the_table_forgets_its_own() {
        let mut finished = Finished::new(4, 4);
        finished.deliver(&id(1, 1, 5));
        for stream in 0..100 {
            finished.deliver(&id(2, stream, 5));
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
}
