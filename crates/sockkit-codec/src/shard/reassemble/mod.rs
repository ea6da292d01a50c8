//! The receiving side: reassembles messages from datagrams.

use std::{fmt, net::SocketAddr, time::Instant};

use bytes::Bytes;

use super::{MessageKind, ShardError, StreamId, header::MessageHeader};

mod assembly;
mod config;
mod counts;
mod engine;
mod limits;
mod missing;
mod pool;
mod repair;
mod share;
mod stats;
mod streams;

pub use config::{Older, ReassemblyConfig};
pub use counts::ShardCounts;
pub use missing::Missing;
pub use stats::ReassemblyStats;

use assembly::Assembly;
use counts::Counting;
use pool::Pool;
use repair::{Repaired, Repairer};
use streams::{Finished, MessageId, Standing};

/// Reassembles messages from the datagrams of any number of senders.
///
/// Pure: the caller passes time and datagrams in. Pass each datagram to
/// [`handle_datagram`](Self::handle_datagram). Memory of incomplete messages is
/// released as later datagrams arrive; if they may stop, also call
/// [`expire`](Self::expire) at [`deadline`](Self::deadline).
///
/// Its memory is bounded by [`ReassemblyConfig`]: `max_buffered_bytes`, one
/// further message while its shards are put in order, the decoder's memory (at
/// most four times `max_message_bytes`), and bookkeeping: two bytes per
/// received shard and one bit per index, at most 72 KiB a message. When a limit
/// is reached, the oldest message is dropped: one of the sending host's own if
/// it holds a quarter or more, otherwise one of a host that holds more than a
/// quarter, if there is any. A host is an IPv4 address or an IPv6 /64 network,
/// whatever its ports; see [`prefer`](Self::prefer) for an exception.
pub struct Reassembler {
    config: ReassemblyConfig,
    in_flight: Vec<Assembly>,
    /// Where the last shard went; the next one usually belongs there, too.
    last: usize,
    /// Not later than the first deadline in `in_flight`.
    deadline: Option<Instant>,
    preferred: Option<SocketAddr>,
    /// Of the preferred sender.
    reception: Counting,
    finished: Finished,
    pool: Pool,
    repairer: Repairer,
    stats: ReassemblyStats,
}

impl Reassembler {
    /// Creates an empty reassembler.
    pub fn new(config: ReassemblyConfig) -> Self {
        Self {
            in_flight: Vec::new(),
            last: 0,
            deadline: None,
            preferred: None,
            reception: Counting::default(),
            finished: Finished::new(config.max_streams, config.max_messages),
            pool: Pool::default(),
            repairer: Repairer::default(),
            stats: ReassemblyStats::default(),
            config,
        }
    }

    /// Processes one datagram. Returns the message that it completes, if any.
    ///
    /// # Errors
    /// [`ShardError`] if the datagram is not a shard that this receiver
    /// accepts, or completes a message whose checksum is wrong. Errors are
    /// counted and not fatal: the next datagram may come from another sender.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &[u8],
    ) -> Result<Option<ReassembledMessage>, ShardError> {
        self.stats.datagrams += 1;
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.expire(now);
        }
        let (header, index, shard) = self
            .parse(datagram)
            .inspect_err(|_| self.stats.malformed += 1)?;
        let place = match self.find(from, &header) {
            Some(place) => place,
            // After `find`: a message in flight is the common case, and one in
            // flight is never finished as well.
            None if self.finished.contains(&MessageId::new(from, &header)) => {
                self.stats.late += 1;
                self.count_reception(from, &header);
                return Ok(None);
            }
            None if header.data == 1 => {
                self.count_reception(from, &header);
                return self.finish_single(from, &header, shard).map(Some);
            }
            None => self.begin(now, from, header),
        };
        let Some(assembly) = self.in_flight.get(place) else {
            return Ok(None);
        };
        if assembly.has(index) {
            self.stats.duplicates += 1;
            return Ok(None);
        }
        self.count_reception(from, &header);
        // Making room may drop messages, and `swap_remove` moves the last one
        // into a gap. So the index is taken from here on, and no `&Assembly` is
        // held across the call. `None`: this message itself was dropped.
        let Some(place) = self.make_room(place) else {
            return Ok(None);
        };
        // Shards of one message usually arrive in a row: `find` looks here
        // first. It is a hint only; a stale index is compared, never trusted.
        self.last = place;
        let Some(assembly) = self.in_flight.get_mut(place) else {
            return Ok(None);
        };
        assembly.asking.handle_shard(now);
        assembly.push(index, shard);
        if !assembly.is_complete() {
            return Ok(None);
        }
        // Removed before it is checked: a message with a wrong checksum is over,
        // too, and its buffers return to the pool.
        let assembly = self.in_flight.swap_remove(place);
        self.finish(assembly).map(Some)
    }

    /// Spares the messages of this sender when a limit is reached, as long as
    /// there are others. Its host may hold half of the memory instead of a
    /// quarter.
    pub fn prefer(&mut self, sender: Option<SocketAddr>) {
        if self.preferred != sender {
            self.reception = Counting::default();
        }
        self.preferred = sender;
    }

    /// How much of what the preferred sender sent has come, since it was preferred.
    #[must_use]
    pub fn reception(&self) -> ShardCounts {
        self.reception.total()
    }

    fn count_reception(&mut self, from: SocketAddr, header: &MessageHeader) {
        if self.preferred == Some(from) {
            self.reception.handle_shard(header);
        }
    }

    /// The earliest time at which [`expire`](Self::expire) has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Counters since the reassembler was created.
    #[must_use]
    pub fn stats(&self) -> ReassemblyStats {
        self.stats
    }

    /// Memory of incomplete messages and spare buffers, in bytes.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        let in_flight = self.in_flight.iter();
        let in_flight: usize = in_flight.map(Assembly::capacity_bytes).sum();
        in_flight + self.pool.capacity_bytes()
    }

    fn parse<'a>(&self, datagram: &'a [u8]) -> Result<(MessageHeader, u16, &'a [u8]), ShardError> {
        let (header, index, shard) = MessageHeader::parse(datagram)?;
        if header.message_bytes as usize > self.config.max_message_bytes {
            return Err(ShardError::MessageTooLong {
                announced: header.message_bytes,
                limit: self.config.max_message_bytes,
            });
        }
        Ok((header, index, shard))
    }

    /// The place of the message in flight with exactly this header.
    fn find(&self, from: SocketAddr, header: &MessageHeader) -> Option<usize> {
        let is_it = |one: &Assembly| one.header == *header && one.from.address == from;
        if self.in_flight.get(self.last).is_some_and(is_it) {
            return Some(self.last);
        }
        self.in_flight.iter().position(is_it)
    }

    /// Handles a message of one data shard: each of its shards is the message.
    fn finish_single(
        &mut self,
        from: SocketAddr,
        header: &MessageHeader,
        shard: &[u8],
    ) -> Result<ReassembledMessage, ShardError> {
        let message_bytes = header.message_bytes as usize;
        let message = shard.get(..message_bytes).unwrap_or(shard);
        self.check(header, message)?;
        let bytes = self.pool.copy_small(message);
        Ok(self.deliver(from, header, bytes))
    }

    fn finish(&mut self, assembly: Assembly) -> Result<ReassembledMessage, ShardError> {
        let Assembly {
            from,
            header,
            mut storage,
            ..
        } = assembly;
        let from = from.address;
        let mut message = if storage.in_order {
            std::mem::take(&mut storage.shards)
        } else {
            let whole = header.shard_bytes() * usize::from(header.data);
            let mut target = self.pool.take_buffer(whole);
            target.reserve(whole);
            if self.repairer.restore(&header, &storage, &mut target) == Repaired::Yes {
                self.stats.repaired += 1;
            }
            target
        };
        self.pool.put(storage);
        message.truncate(header.message_bytes as usize);
        if let Err(error) = self.check(&header, &message) {
            self.finished.give_up(MessageId::new(from, &header));
            return Err(error);
        }
        let bytes = self.pool.lend(message);
        self.trim_pool();
        Ok(self.deliver(from, &header, bytes))
    }

    fn check(&mut self, header: &MessageHeader, message: &[u8]) -> Result<(), ShardError> {
        let computed = crc32c::crc32c(message);
        if computed == header.crc {
            return Ok(());
        }
        self.stats.corrupt += 1;
        Err(ShardError::Corrupt {
            stream: header.stream,
            number: header.number,
            announced: header.crc,
            computed,
        })
    }

    /// Records the message as delivered, and drops those that can no longer be.
    fn deliver(
        &mut self,
        from: SocketAddr,
        header: &MessageHeader,
        bytes: Bytes,
    ) -> ReassembledMessage {
        let id = MessageId::new(from, header);
        let (standing, change) = self.finished.deliver(&id, self.preferred);
        let lost = i128::from(self.stats.lost) + change;
        self.stats.lost = u64::try_from(lost.max(0)).unwrap_or(u64::MAX);
        self.stats.delivered += 1;
        let (kind, older) = (header.kind, self.config.older);
        self.give_up_if(|one| {
            let other = MessageId::new(one.from.address, &one.header);
            let outdated =
                older == Older::GiveUp && one.header.kind == kind && other.is_older_in_stream(&id);
            // A number that may be forged must not drop other messages.
            standing == Standing::InOrder && (outdated || other.is_out_of_window(&id))
        });
        ReassembledMessage {
            from,
            stream: header.stream,
            number: header.number,
            kind,
            bytes,
        }
    }
}

impl fmt::Debug for Reassembler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reassembler")
            .field("config", &self.config)
            .field("in_flight", &self.in_flight.len())
            .field("buffered_bytes", &self.buffered_bytes())
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

/// A complete message.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ReassembledMessage {
    /// The sender's address.
    pub from: SocketAddr,
    /// The stream it came in.
    pub stream: StreamId,
    /// Its number in the stream.
    pub number: u64,
    /// What it holds.
    pub kind: MessageKind,
    /// The payload, in a buffer that is reused after it is dropped.
    pub bytes: Bytes,
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::{
        super::{Parity, SplitConfig, Splitter, header::HEADER_BYTES},
        *,
    };

    /// Whole messages under these numbers, from one sender; returns the
    /// numbers of those delivered.
    fn deliver(reassembler: &mut Reassembler, numbers: &[u64]) -> Vec<u64> {
        let now = start();
        let one = datagrams(&mut splitter(1), b"x", Parity::NONE).remove(0);
        let deliver = |number: &u64| {
            let mut datagram = one.clone();
            datagram[12..20].copy_from_slice(&number.to_be_bytes());
            let taken = reassembler.handle_datagram(now, peer(1), &datagram);
            taken.unwrap().map(|message| message.number)
        };
        numbers.iter().filter_map(deliver).collect()
    }

    /// One moment for every test: how long a busy machine takes must not matter.
    pub(super) fn start() -> Instant {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        *START
    }

    pub(super) fn peer(host: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], 5006))
    }

    pub(super) fn bytes(length: usize) -> Vec<u8> {
        (0..=250).cycle().take(length).collect()
    }

    pub(super) fn splitter(stream: u64) -> Splitter {
        Splitter::new(SplitConfig::default(), StreamId(stream))
    }

    /// The datagrams of the splitter's next message.
    pub(super) fn datagrams(
        splitter: &mut Splitter,
        message: &[u8],
        parity: Parity,
    ) -> Vec<Vec<u8>> {
        let shards = splitter.split(MessageKind(1), message, parity).unwrap();
        shards.datagrams().map(<[u8]>::to_vec).collect()
    }

    pub(super) fn reassembler() -> Reassembler {
        Reassembler::new(ReassemblyConfig::default())
    }

    /// Gives all datagrams; returns the messages.
    pub(super) fn take<'a>(
        reassembler: &mut Reassembler,
        datagrams: impl IntoIterator<Item = &'a Vec<u8>>,
    ) -> Vec<ReassembledMessage> {
        let now = start();
        let taken = datagrams.into_iter().filter_map(|datagram| {
            reassembler
                .handle_datagram(now, peer(1), datagram)
                .expect("good datagrams")
        });
        taken.collect()
    }

    /// The message arrives once when `order` picks its datagrams.
    #[track_caller]
    fn check(length: usize, parity: Parity, order: impl Fn(&mut Vec<Vec<u8>>)) -> ReassemblyStats {
        let mut reassembler = reassembler();
        let message = bytes(length);
        let mut datagrams = datagrams(&mut splitter(1), &message, parity);
        order(&mut datagrams);
        let messages = take(&mut reassembler, &datagrams);
        assert_eq!(messages.len(), 1, "{length} bytes");
        assert_eq!(messages[0].bytes, message, "{length} bytes");
        assert_eq!((messages[0].kind, messages[0].number), (MessageKind(1), 0));
        assert_eq!(reassembler.in_flight.len(), 0);
        reassembler.stats()
    }

    #[test]
    fn every_length_arrives() {
        for length in (0..40)
            .chain(1_360..1_370)
            .chain([2_728, 2_729, 60_000, 1 << 20])
        {
            check(length, Parity::NONE, |_| ());
            check(length, Parity::percent(30), |datagrams| datagrams.reverse());
        }
    }

    #[test]
    fn any_shard_may_be_lost_or_come_twice() {
        for lost in 0..7 {
            let stats = check(5 * 1_364, Parity::percent(40), |datagrams| {
                datagrams.remove(lost);
                datagrams.rotate_left(lost);
                let first = datagrams[0].clone();
                datagrams.insert(1, first);
            });
            assert_eq!(stats.duplicates, 1);
            assert_eq!(stats.late, 1);
        }
    }

    #[test]
    fn in_order_nothing_is_computed() {
        let stats = check(60_000, Parity::percent(20), |_| ());
        assert_eq!((stats.repaired, stats.late), (0, 9));
        let stats = check(60_000, Parity::percent(20), |datagrams| {
            datagrams.swap(3, 40)
        });
        assert_eq!((stats.repaired, stats.late), (0, 9));
        let stats = check(60_000, Parity::percent(20), |datagrams| {
            datagrams.drain(..9);
        });
        assert_eq!((stats.repaired, stats.late), (1, 0));
    }

    #[test]
    fn mixed_streams_and_senders_do_not_meet() {
        let mut reassembler = reassembler();
        let message = [bytes(9_000), bytes(9_001), bytes(9_002)];
        // Two streams with the same numbers, and one of them from two addresses.
        let sets = [
            (
                peer(1),
                datagrams(&mut splitter(1), &message[0], Parity::NONE),
            ),
            (
                peer(1),
                datagrams(&mut splitter(2), &message[1], Parity::NONE),
            ),
            (
                peer(2),
                datagrams(&mut splitter(1), &message[2], Parity::NONE),
            ),
        ];
        let mut arrived = 0;
        for shard in 0..7 {
            for (sender, (from, set)) in sets.iter().enumerate() {
                let taken = reassembler.handle_datagram(start(), *from, &set[shard]);
                if let Some(taken) = taken.unwrap() {
                    assert_eq!(
                        (taken.from, &taken.bytes[..]),
                        (*from, &message[sender][..])
                    );
                    arrived += 1;
                }
            }
        }
        assert_eq!(arrived, 3);
    }

    #[test]
    fn a_message_is_delivered_once() {
        let mut reassembler = reassembler();
        for length in [10, 9_000] {
            let set = datagrams(
                &mut splitter(length as u64),
                &bytes(length),
                Parity::percent(100),
            );
            let twice = set.iter().chain(&set).chain(&set);
            assert_eq!(take(&mut reassembler, twice).len(), 1, "{length} bytes");
        }
    }

    #[test]
    fn a_forged_shard_does_not_become_part_of_a_picture() {
        let mut reassembler = reassembler();
        let mut set = datagrams(&mut splitter(1), &bytes(9_000), Parity::NONE);
        set[3][HEADER_BYTES + 7] ^= 1;
        let now = start();
        let last = set.pop().unwrap();
        assert_eq!(take(&mut reassembler, &set).len(), 0);
        let error = reassembler
            .handle_datagram(now, peer(1), &last)
            .unwrap_err();
        assert!(matches!(error, ShardError::Corrupt { number: 0, .. }));
        assert_eq!(reassembler.stats().corrupt, 1);
        assert_eq!(reassembler.in_flight.len(), 0);
    }

    #[test]
    fn a_forged_header_does_not_spoil_the_message_beside_it() {
        // Each byte of the header that names the message, changed in a first shard.
        for offset in (3..28).chain(30..34) {
            let mut reassembler = reassembler();
            let set = datagrams(&mut splitter(1), &bytes(9_000), Parity::percent(20));
            let mut forged = set[0].clone();
            forged[offset] ^= 1;
            // May be refused, or begin a rival that never completes.
            let _ = reassembler.handle_datagram(start(), peer(1), &forged);
            let messages = take(&mut reassembler, &set);
            assert_eq!(messages.len(), 1, "header byte {offset}");
            assert_eq!(messages[0].bytes, bytes(9_000));
        }
    }

    #[test]
    fn a_restarted_sender_is_another_stream() {
        let mut reassembler = reassembler();
        let before = datagrams(&mut splitter(1), &bytes(9_000), Parity::NONE);
        let after = datagrams(&mut splitter(2), &vec![9; 9_000], Parity::NONE);
        assert_eq!(take(&mut reassembler, &before[..4]).len(), 0);
        let messages = take(&mut reassembler, &after);
        assert_eq!(messages[0].bytes, vec![9; 9_000]);
    }

    #[test]
    fn a_restarted_sender_with_the_same_stream_id_yields_no_false_picture() {
        let mut reassembler = reassembler();
        let before = datagrams(&mut splitter(1), &bytes(9_000), Parity::NONE);
        let after = datagrams(&mut splitter(1), &vec![9; 9_000], Parity::NONE);
        assert_eq!(take(&mut reassembler, &before[..4]).len(), 0);
        let messages = take(&mut reassembler, &after);
        assert_eq!(messages[0].bytes, vec![9; 9_000]);
    }

    /// The example of `docs/wire/shard.md`.
    #[test]
    fn the_described_example_arrives_from_any_three() {
        let shards = [
            b"0123",
            b"4567",
            b"89\0\0",
            b"\xce\xca\x39\x38",
            b"\xf2\xf7\x3d\x3c",
        ];
        let example: Vec<Vec<u8>> = (0..)
            .zip(shards)
            .map(|(index, shard)| {
                let head =
                    b"SK\x01\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x0a\x28\x0c\x06\x9e";
                [head, &[0, index, 0, 3, 0, 2, 0, 0][..], shard].concat()
            })
            .collect();
        for lost in 0..5 {
            for also in 0..lost {
                let come = (0..5).filter(|index| ![lost, also].contains(index));
                let mut reassembler = reassembler();
                let messages = take(&mut reassembler, come.map(|index| &example[index]));
                assert_eq!(messages[0].bytes, "0123456789", "without {also} and {lost}");
            }
        }
    }

    #[test]
    fn messages_never_delivered_are_lost() {
        let mut reassembler = reassembler();
        let mut sender = splitter(1);
        let sets: Vec<_> = (0..8)
            .map(|_| datagrams(&mut sender, &bytes(3_000), Parity::NONE))
            .collect();
        for number in [0, 3, 2, 4, 7] {
            assert_eq!(take(&mut reassembler, &sets[number]).len(), 1);
        }
        let stats = reassembler.stats();
        assert_eq!((stats.delivered, stats.lost), (5, 3));
    }

    #[test]
    fn a_message_is_put_in_order_in_a_buffer_of_its_size() {
        let mut reassembler = reassembler();
        let mut set = datagrams(&mut splitter(1), &bytes(9_000), Parity::NONE);
        set.reverse();
        assert_eq!(take(&mut reassembler, &set).len(), 1);
        // Seven shards of 1,286 bytes, as they came and in order.
        assert_eq!(reassembler.buffered_bytes(), 2 * 7 * 1_286);
        let shown = format!("{reassembler:?}");
        assert!(shown.contains("buffered_bytes: 18004"), "{shown}");
    }

    #[test]
    fn a_forged_number_silences_nothing() {
        for forged in [0, 3_000, 700, u64::MAX - 1, u64::MAX] {
            let mut reassembler = reassembler();
            assert_eq!(deliver(&mut reassembler, &[500, 501, forged]).len(), 3);
            let honest: Vec<_> = (502..520).collect();
            assert_eq!(deliver(&mut reassembler, &honest), honest, "{forged}");
            // Lost are those skipped, and never more than a believable gap.
            assert!(reassembler.stats().lost < 1_000, "{forged}");
        }
    }

    #[test]
    fn a_forged_number_makes_nothing_in_flight_hopeless() {
        let older = ReassemblyConfig::default().older(Older::GiveUp);
        let mut reassembler = Reassembler::new(older);
        deliver(&mut reassembler, &[500]);
        let mut set = datagrams(&mut splitter(1), &bytes(9_000), Parity::NONE);
        for datagram in &mut set {
            datagram[12..20].copy_from_slice(&501_u64.to_be_bytes());
        }
        assert_eq!(take(&mut reassembler, &set[..6]).len(), 0);
        deliver(&mut reassembler, &[u64::MAX, 90_000]);
        assert_eq!(take(&mut reassembler, &set[6..]).len(), 1);
    }

    #[test]
    fn a_message_under_a_doubtful_number_is_delivered_once() {
        let mut reassembler = reassembler();
        let numbers = [500, 9_000, 9_000, 9_001, 9_001, 9_000];
        assert_eq!(deliver(&mut reassembler, &numbers), [500, 9_000, 9_001]);
        assert_eq!(reassembler.stats().late, 3);
    }

    #[test]
    fn the_next_numbers_forged_all_at_once_silence_nothing() {
        let mut reassembler = reassembler();
        deliver(&mut reassembler, &[500]);
        // From the same address and stream, and whole, but not what was sent.
        let mut forged = splitter(1);
        let forged = datagrams(&mut forged, b"forged", Parity::NONE).remove(0);
        for number in 501_u64..600 {
            let mut forged = forged.clone();
            forged[12..20].copy_from_slice(&number.to_be_bytes());
            assert_eq!(take(&mut reassembler, [&forged]).len(), 1);
        }
        let honest: Vec<_> = (501..600).collect();
        assert_eq!(deliver(&mut reassembler, &honest), honest);
        assert_eq!(deliver(&mut reassembler, &honest), []);
    }
}
