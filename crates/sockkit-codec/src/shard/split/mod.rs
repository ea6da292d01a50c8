//! The sending side: splits a message into datagrams of equal length.

use std::{fmt, slice::ChunksExact};

use reed_solomon_simd::ReedSolomonEncoder;

use super::{
    MessageKind, Parity, SplitError, StreamId,
    header::{DATA_SHARDS_MAX, MessageHeader},
    seal::{Envelope, Suite, Unsealed},
};

mod config;
mod write;

pub use config::SplitConfig;

use write::Plan;

/// Splits messages of one stream into datagrams.
///
/// Pure: it does no I/O. Each [`split`](Self::split) numbers the message and
/// returns its datagrams in a buffer that the next call reuses.
pub struct Splitter {
    config: SplitConfig,
    stream: StreamId,
    next_number: u64,
    datagrams: Vec<u8>,
    /// What of them is the last message.
    last: Option<Plan>,
    /// Created by the first message that needs it.
    encoder: Option<ReedSolomonEncoder>,
}

impl Splitter {
    /// Creates a splitter whose first message has the number 0.
    ///
    /// Choose `stream` at random at each start, see [`StreamId`].
    pub fn new(config: SplitConfig, stream: StreamId) -> Self {
        Self {
            config,
            stream,
            next_number: 0,
            datagrams: Vec::new(),
            last: None,
            encoder: None,
        }
    }

    /// The stream id.
    #[must_use]
    pub fn stream(&self) -> StreamId {
        self.stream
    }

    /// The number of the next message.
    #[must_use]
    pub fn next_number(&self) -> u64 {
        self.next_number
    }

    /// Splits one message.
    ///
    /// # Errors
    /// [`SplitError`] if the message exceeds the configured length, or needs
    /// more shards than a message may have. It then consumes no number.
    pub fn split(
        &mut self,
        kind: MessageKind,
        message: &[u8],
        parity: Parity,
    ) -> Result<Shards<'_>, SplitError> {
        self.split_parts(kind, &[message], parity)
    }

    /// Splits a message given in parts, such as a header and a picture, without
    /// joining them first.
    ///
    /// # Errors
    /// As [`split`](Self::split).
    pub fn split_parts(
        &mut self,
        kind: MessageKind,
        parts: &[&[u8]],
        parity: Parity,
    ) -> Result<Shards<'_>, SplitError> {
        let plan = self.write(kind, parts, parity, Envelope::Plain)?;
        Ok(self.lend(&plan))
    }

    /// As [`split_parts`](Self::split_parts), with room for a seal. Calls
    /// `seal` for each datagram, in sending order.
    ///
    /// # Errors
    /// As [`split`](Self::split).
    pub fn split_sealed(
        &mut self,
        kind: MessageKind,
        parts: &[&[u8]],
        parity: Parity,
        suite: Suite,
        seal: impl FnMut(Unsealed<'_>),
    ) -> Result<Shards<'_>, SplitError> {
        let plan = self.write(kind, parts, parity, Envelope::Sealed(suite))?;
        self.written(&plan)
            .chunks_exact_mut(plan.segment_bytes())
            .map(Unsealed::new)
            .for_each(seal);
        Ok(self.lend(&plan))
    }

    /// Writes and numbers the datagrams of one message.
    fn write(
        &mut self,
        kind: MessageKind,
        parts: &[&[u8]],
        parity: Parity,
        envelope: Envelope,
    ) -> Result<Plan, SplitError> {
        let plan = Plan {
            header: self.header(kind, parts, parity, envelope)?,
            envelope,
        };
        let total_bytes = plan.total_bytes();
        if self.datagrams.len() < total_bytes {
            self.datagrams.resize(total_bytes, 0);
        }
        let (datagrams, _) = self.datagrams.split_at_mut(total_bytes);
        let data_bytes = usize::from(plan.header.data) * plan.segment_bytes();
        let (systematic, redundant) = datagrams.split_at_mut(data_bytes);
        plan.fill(systematic, parts);
        if plan.header.parity > 0 {
            plan.protect(&mut self.encoder, systematic, redundant);
        }
        self.next_number += 1;
        self.last = Some(plan);
        Ok(plan)
    }

    /// Returns the datagrams of the last message again; `None` before the first.
    #[must_use]
    pub fn last(&self) -> Option<Shards<'_>> {
        Some(self.lend(&self.last?))
    }

    fn written(&mut self, plan: &Plan) -> &mut [u8] {
        self.datagrams.split_at_mut(plan.total_bytes()).0
    }

    fn lend(&self, plan: &Plan) -> Shards<'_> {
        Shards {
            number: plan.header.number,
            data: usize::from(plan.header.data),
            segment_bytes: plan.segment_bytes(),
            bytes: self.datagrams.split_at(plan.total_bytes()).0,
        }
    }

    /// The header of the next message.
    fn header(
        &self,
        kind: MessageKind,
        parts: &[&[u8]],
        parity: Parity,
        envelope: Envelope,
    ) -> Result<MessageHeader, SplitError> {
        let message_bytes = parts.iter().map(|part| part.len()).sum();
        let limit = self.config.max_message_bytes;
        let announced = u32::try_from(message_bytes).ok();
        let Some(announced) = announced.filter(|_| message_bytes <= limit) else {
            return Err(SplitError::MessageTooLong {
                got: message_bytes,
                limit,
            });
        };
        let around = envelope.before_shard() + envelope.after_shard();
        let room = self.config.max_datagram_bytes.saturating_sub(around);
        // Even, so that rounding up a shard's length to an even number does not
        // exceed it.
        let most_bytes = room.max(SHARD_ROOM_LEAST) & !1;
        let data = message_bytes.div_ceil(most_bytes).max(1);
        if data > DATA_SHARDS_MAX {
            return Err(SplitError::TooManyShards {
                needed: data,
                limit: DATA_SHARDS_MAX,
            });
        }
        let whole = parts.iter();
        Ok(MessageHeader {
            number: self.next_number,
            stream: self.stream,
            crc: whole.fold(0, |crc, part| crc32c::crc32c_append(crc, part)),
            message_bytes: announced,
            data: u16::try_from(data).expect("below DATA_SHARDS_MAX"),
            parity: u16::try_from(parity.shards(data)).expect("a little above DATA_SHARDS_MAX"),
            kind,
        })
    }
}

/// Minimum space for a shard; sealed datagrams have it as well.
const SHARD_ROOM_LEAST: usize = 28;

impl fmt::Debug for Splitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Splitter")
            .field("config", &self.config)
            .field("stream", &self.stream)
            .field("next_number", &self.next_number)
            .finish_non_exhaustive()
    }
}

/// The datagrams of one message: data shards first, then parity.
#[derive(Clone, Copy, Debug)]
pub struct Shards<'a> {
    number: u64,
    data: usize,
    segment_bytes: usize,
    bytes: &'a [u8],
}

impl<'a> Shards<'a> {
    /// The number of the message.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// All datagrams in one buffer, for a call that splits them itself (UDP
    /// segmentation offload).
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Length of each datagram.
    #[must_use]
    pub fn segment_bytes(&self) -> usize {
        self.segment_bytes
    }

    /// The datagrams, in the order in which to send them.
    pub fn datagrams(&self) -> ChunksExact<'a, u8> {
        self.bytes.chunks_exact(self.segment_bytes)
    }

    /// Number of data datagrams.
    #[must_use]
    pub fn data_shards(&self) -> usize {
        self.data
    }

    /// Number of parity datagrams.
    #[must_use]
    pub fn parity_shards(&self) -> usize {
        self.bytes.len() / self.segment_bytes - self.data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn splitter(max_datagram_bytes: usize) -> Splitter {
        let config = SplitConfig::default().max_datagram_bytes(max_datagram_bytes);
        Splitter::new(config, StreamId(1))
    }

    /// Splits so many bytes; returns (data, parity, datagram length).
    #[track_caller]
    fn check(message_bytes: usize, parity: Parity) -> (usize, usize, usize) {
        let mut splitter = splitter(1_400);
        let message: Vec<_> = (0..=250).cycle().take(message_bytes).collect();
        let shards = splitter.split(MessageKind(3), &message, parity).unwrap();
        assert!(shards.segment_bytes() <= 1_400);
        let mut joined = Vec::new();
        for (index, datagram) in shards.datagrams().enumerate() {
            let (header, found, shard) = MessageHeader::parse(datagram).unwrap();
            assert_eq!(usize::from(found), index);
            assert_eq!(usize::from(header.data), shards.data_shards());
            assert_eq!(usize::from(header.parity), shards.parity_shards());
            if index < shards.data_shards() {
                joined.extend_from_slice(shard);
            }
        }
        assert_eq!(joined[..message_bytes], message);
        assert!(joined[message_bytes..].iter().all(|&byte| byte == 0));
        (
            shards.data_shards(),
            shards.parity_shards(),
            shards.segment_bytes(),
        )
    }

    #[test]
    fn shards_are_equal_even_and_no_longer_than_needed() {
        assert_eq!(check(0, Parity::NONE), (1, 0, 38));
        assert_eq!(check(1, Parity::NONE), (1, 0, 38));
        assert_eq!(check(1_364, Parity::NONE), (1, 0, 1_400));
        assert_eq!(check(1_365, Parity::NONE), (2, 0, 720));
        assert_eq!(check(60_000, Parity::percent(20)), (44, 9, 1_400));
        assert_eq!(check(1_000_001, Parity::percent(100)), (734, 734, 1_400));
    }

    #[test]
    fn one_data_shard_is_repeated_as_the_code_would() {
        let mut encoder = ReedSolomonEncoder::new(1, 3, 8).unwrap();
        encoder.add_original_shard(b"abcdefgh").unwrap();
        for parity in encoder.encode().unwrap().recovery_iter() {
            assert_eq!(parity, b"abcdefgh");
        }
        assert_eq!(check(8, Parity::percent(100)), (1, 1, 44));
    }

    #[test]
    fn parts_make_the_same_datagrams_as_the_whole() {
        let message: Vec<_> = (0..=250).cycle().take(5_000).collect();
        let whole = splitter(1_400)
            .split(MessageKind(0), &message, Parity::percent(50))
            .unwrap()
            .as_bytes()
            .to_vec();
        for cut in [0, 1, 1_250, 1_364, 4_999, 5_000] {
            let (head, body) = message.split_at(cut);
            let mut splitter = splitter(1_400);
            let shards = splitter
                .split_parts(MessageKind(0), &[head, &[], body], Parity::percent(50))
                .unwrap();
            assert_eq!(shards.as_bytes(), whole, "cut at byte {cut}");
        }
    }

    #[test]
    fn a_shorter_message_leaves_nothing_of_the_longer_one() {
        let mut used = splitter(1_400);
        used.split(MessageKind(0), &[0xee; 9_000], Parity::percent(100))
            .unwrap();
        let mut fresh = splitter(1_400);
        fresh.split(MessageKind(0), &[], Parity::NONE).unwrap();
        assert_eq!(
            used.split(MessageKind(0), &[5; 3_001], Parity::percent(30))
                .unwrap()
                .as_bytes(),
            fresh
                .split(MessageKind(0), &[5; 3_001], Parity::percent(30))
                .unwrap()
                .as_bytes()
        );
    }

    #[test]
    fn messages_are_numbered_and_refused_ones_are_not() {
        let config = SplitConfig::default().max_message_bytes(10);
        let mut splitter = Splitter::new(config, StreamId(1));
        let first = splitter
            .split(MessageKind(0), &[0; 10], Parity::NONE)
            .unwrap();
        assert_eq!(first.number(), 0);
        let refused = splitter.split(MessageKind(0), &[0; 11], Parity::NONE);
        assert_eq!(
            refused.unwrap_err(),
            SplitError::MessageTooLong { got: 11, limit: 10 }
        );
        assert_eq!(splitter.next_number(), 1);
        let second = splitter
            .split(MessageKind(0), &[0; 10], Parity::NONE)
            .unwrap();
        assert_eq!(second.number(), 1);
        assert_eq!(splitter.next_number(), 2);
        let shown = format!("{splitter:?}");
        assert!(shown.contains("next_number: 2"), "{shown}");
    }

    #[test]
    fn the_datagrams_lie_one_after_the_other() {
        let mut splitter = splitter(64);
        let shards = splitter
            .split(MessageKind(0), &[7; 60], Parity::percent(40))
            .unwrap();
        let one_by_one: Vec<_> = shards.datagrams().collect();
        assert_eq!((shards.segment_bytes(), one_by_one.len()), (56, 5));
        assert_eq!(shards.as_bytes(), one_by_one.concat());
    }

    #[test]
    fn the_code_has_a_last_place() {
        let mut splitter = splitter(64);
        let longest = vec![1; DATA_SHARDS_MAX * 28];
        let shards = splitter
            .split(MessageKind(0), &longest, Parity::percent(100))
            .unwrap();
        assert_eq!(shards.parity_shards(), DATA_SHARDS_MAX);
        assert_eq!(
            splitter
                .split(MessageKind(0), &[&longest[..], &[1]].concat(), Parity::NONE)
                .unwrap_err(),
            SplitError::TooManyShards {
                needed: DATA_SHARDS_MAX + 1,
                limit: DATA_SHARDS_MAX
            }
        );
    }
}
