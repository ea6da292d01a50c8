//! Decides what a receiver keeps, reports and fetches.

use std::{
    collections::VecDeque,
    ops::Range,
    time::{Duration, Instant},
};

use super::{Lack, Layout, ShardId};

/// The receiving half: which shards to keep, what to answer, what to fetch.
///
/// Nothing that arrives by multicast is believed before its block matches the
/// digest from the sender's own connection. A block that does not is received
/// again, and after the second time only over that connection.
///
/// Pure: time and random delays are passed in.
#[derive(Debug)]
pub struct GroupReceiver {
    layout: Layout,
    blocks: Vec<Block>,
    /// Blocks that are not verified.
    missing: u32,
    /// Blocks with enough shards, to be restored.
    ready: VecDeque<u32>,
    hears: bool,
    hears_by: Instant,
    /// Counter of the newest datagram. Any member can forge it.
    newest: u64,
    answer: Option<Answer>,
    is_over: bool,
    fetching: Option<u32>,
}

/// What to send to the sender.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Request {
    /// The answer to a poll.
    Report {
        /// That of the poll.
        round: u32,
        /// Blocks of which shards are lacking, in order.
        lacks: Vec<Lack>,
    },
    /// Ask for data shards of a block, over the own connection.
    Fetch {
        /// The block.
        block: u32,
        /// Which data shards, in order.
        ranges: Vec<Range<u16>>,
    },
}

/// The data of a block does not match its digest, although it came from the
/// sender's own connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("block {block} does not match its digest: a file changed at the sender")]
#[non_exhaustive]
pub struct BlockChanged {
    /// The block.
    pub block: u32,
}

#[derive(Debug, Default)]
struct Block {
    /// One bit for each shard; empty before the first one and after the last.
    bits: Vec<u64>,
    shards: u16,
    state: State,
    rejections: u8,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum State {
    #[default]
    Open,
    /// Being restored.
    Ready,
    Verified,
}

#[derive(Debug)]
struct Answer {
    round: u32,
    blocks: Range<u32>,
    /// The last datagram before the poll.
    newest: u64,
    /// Not before, so that members do not answer all at once.
    not_before: Instant,
    /// Without waiting for that datagram any longer.
    at_last: Instant,
    /// However many others come before it.
    at_most: Instant,
    /// Whether others came since that was set.
    heard: bool,
}

impl Answer {
    /// A member that is behind counts what is on its way before it answers.
    fn wait_for_others(&mut self, now: Instant) {
        if self.heard && now >= self.at_last {
            self.heard = false;
            self.at_last = (now + MAX_OVERTAKING).min(self.at_most);
        }
    }
}

impl GroupReceiver {
    /// Has nothing, and should hear the group from `now` on.
    pub fn new(layout: Layout, now: Instant) -> Self {
        let blocks = layout.blocks();
        Self {
            layout,
            blocks: (0..blocks).map(|_| Block::default()).collect(),
            missing: blocks,
            ready: VecDeque::new(),
            hears: false,
            hears_by: now + HEARS_WITHIN,
            newest: 0,
            answer: None,
            is_over: false,
            fetching: None,
        }
    }

    /// The group was heard, with or without a shard.
    pub fn on_heard(&mut self, counter: u64) {
        self.hears = true;
        self.newest = self.newest.max(counter);
        if let Some(answer) = &mut self.answer {
            answer.heard = true;
        }
    }

    /// Handles an authentic shard of the group. Returns whether to keep it.
    #[must_use]
    pub fn on_shard(&mut self, counter: u64, id: ShardId) -> bool {
        self.on_heard(counter);
        self.keep(id, MAX_REJECTIONS)
    }

    /// Handles a shard from the sender's own connection. Returns whether to
    /// keep it.
    #[must_use]
    pub fn on_fetched(&mut self, id: ShardId) -> bool {
        self.fetching == Some(id.block) && self.keep(id, u8::MAX)
    }

    fn keep(&mut self, id: ShardId, max_rejections: u8) -> bool {
        if !self.layout.contains(id) {
            return false;
        }
        let data = self.layout.data_shards(id.block);
        let shards = usize::from(data) + usize::from(self.layout.parity_shards(id.block));
        let Some(block) = self.blocks.get_mut(id.block as usize) else {
            return false;
        };
        if block.state != State::Open || block.rejections >= max_rejections {
            return false;
        }
        if !block.set(id.index, shards) {
            return false;
        }
        if block.shards == data {
            block.state = State::Ready;
            self.ready.push_back(id.block);
        }
        true
    }

    /// Returns a block to restore: it has as many shards as it has data shards.
    /// Answer with [`on_verified`](Self::on_verified) or
    /// [`on_rejected`](Self::on_rejected).
    pub fn next_ready(&mut self) -> Option<u32> {
        self.ready.pop_front()
    }

    /// Whether that shard of the block was kept.
    #[must_use]
    pub fn has(&self, id: ShardId) -> bool {
        self.blocks
            .get(id.block as usize)
            .is_some_and(|block| block.has(id.index))
    }

    /// Number of shards of the block that were kept so far.
    #[must_use]
    pub fn kept(&self, block: u32) -> u16 {
        self.blocks
            .get(block as usize)
            .map_or(0, |block| block.shards)
    }

    /// The block matches its digest. Also for blocks from an earlier attempt, if no
    /// shard was [kept](Self::kept) while the digest was computed: it was written over
    /// bytes that were looked at.
    pub fn on_verified(&mut self, block: u32) {
        if let Some(block) = self.blocks.get_mut(block as usize)
            && block.state != State::Verified
        {
            block.state = State::Verified;
            block.bits = Vec::new();
            self.missing -= 1;
        }
    }

    /// The block does not match its digest: some shard was forged.
    ///
    /// # Errors
    /// If all of it came from the sender's own connection.
    pub fn on_rejected(&mut self, block: u32) -> Result<(), BlockChanged> {
        let Some(state) = self.blocks.get_mut(block as usize) else {
            return Ok(());
        };
        if state.rejections >= MAX_REJECTIONS {
            return Err(BlockChanged { block });
        }
        *state = Block {
            rejections: state.rejections + 1,
            ..Block::default()
        };
        Ok(())
    }

    /// Whether the block is verified.
    #[must_use]
    pub fn is_verified(&self, block: u32) -> bool {
        self.blocks
            .get(block as usize)
            .is_some_and(|block| block.state == State::Verified)
    }

    /// Whether every block is verified.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.missing == 0
    }

    /// Handles a poll. The answer waits for the datagram with that counter, which
    /// the poll may have overtaken, and for `delay`, which should be random and
    /// a few milliseconds at most.
    pub fn on_poll(
        &mut self,
        now: Instant,
        round: u32,
        blocks: Range<u32>,
        newest: u64,
        delay: Duration,
    ) {
        // Forged, or it has overtaken the poll: then the next datagram shows that, or silence.
        if self.newest > newest {
            self.newest = 0;
        }
        self.answer = Some(Answer {
            round,
            blocks,
            newest,
            not_before: now + delay,
            at_last: now + delay + MAX_OVERTAKING,
            at_most: now + MAX_BEHIND,
            heard: false,
        });
    }

    /// Nothing more will be multicast.
    pub fn on_over(&mut self) {
        self.is_over = true;
    }

    /// Everything asked for with [`Request::Fetch`] has arrived.
    pub fn on_fetch_done(&mut self) {
        self.fetching = None;
    }

    /// Whether it has not heard the group within two seconds.
    #[must_use]
    pub fn is_deaf(&self, now: Instant) -> bool {
        !self.hears && now >= self.hears_by
    }

    /// Returns the next request to send, if any.
    pub fn poll_request(&mut self, now: Instant) -> Option<Request> {
        if let Some(answer) = &mut self.answer {
            answer.wait_for_others(now);
        }
        if let Some(answer) = self.answer.take_if(|answer| {
            now >= answer.at_last || now >= answer.not_before && self.newest >= answer.newest
        }) {
            return Some(Request::Report {
                round: answer.round,
                lacks: self.lacks(answer.blocks),
            });
        }
        if self.fetching.is_some() || !(self.is_over || self.is_deaf(now)) {
            return None;
        }
        let is_open = |&block: &u32| self.lacking(block) > 0;
        let block = (0..self.layout.blocks()).find(is_open)?;
        self.fetching = Some(block);
        Some(Request::Fetch {
            block,
            ranges: self.missing_ranges(block),
        })
    }

    /// When to call [`poll_request`](Self::poll_request) again, if nothing
    /// arrives before.
    pub fn deadline(&self) -> Option<Instant> {
        let answer = self
            .answer
            .as_ref()
            .map(|answer| match self.newest >= answer.newest {
                true => answer.not_before,
                false => answer.at_last,
            });
        let hears_by =
            (!self.hears && self.fetching.is_none() && !self.is_over).then_some(self.hears_by);
        answer.into_iter().chain(hears_by).min()
    }

    fn lacks(&self, blocks: Range<u32>) -> Vec<Lack> {
        let blocks = blocks.start..blocks.end.min(self.layout.blocks());
        blocks
            .map(|block| Lack {
                block,
                shards: self.lacking(block),
            })
            .filter(|lack| lack.shards > 0)
            .collect()
    }

    /// How many shards of a block are lacking.
    fn lacking(&self, block: u32) -> u16 {
        match self.blocks.get(block as usize) {
            Some(state) if state.state == State::Open => {
                self.layout.data_shards(block) - state.shards
            }
            _ => 0,
        }
    }

    /// As many data shards as are lacking, in a bounded number of ranges.
    fn missing_ranges(&self, block: u32) -> Vec<Range<u16>> {
        let mut ranges: Vec<Range<u16>> = Vec::new();
        let mut left = self.lacking(block);
        for index in 0..self.layout.data_shards(block) {
            if left == 0 {
                break;
            }
            if self.has(ShardId { block, index }) {
                continue;
            }
            let is_full = ranges.len() == MAX_RANGES;
            match ranges.last_mut() {
                Some(last) if last.end == index => last.end += 1,
                _ if is_full => break,
                _ => ranges.push(index..index + 1),
            }
            left -= 1;
        }
        ranges
    }
}

impl Block {
    /// Returns whether the shard is new.
    fn set(&mut self, index: u16, shards: usize) -> bool {
        if self.bits.is_empty() {
            self.bits = vec![0; shards.div_ceil(64)];
        }
        let (word, bit) = (usize::from(index) / 64, 1 << (index % 64));
        let Some(word) = self.bits.get_mut(word) else {
            return false;
        };
        let is_new = *word & bit == 0;
        *word |= bit;
        self.shards += u16::from(is_new);
        is_new
    }

    fn has(&self, index: u16) -> bool {
        let word = self.bits.get(usize::from(index) / 64);
        word.is_some_and(|word| word & (1 << (index % 64)) != 0)
    }
}

/// Longest list of ranges in one request.
pub(super) const MAX_RANGES: usize = 512;
/// A member that hears nothing for so long is served over its own connection.
const HEARS_WITHIN: Duration = Duration::from_secs(2);
/// A poll may arrive before datagrams that were sent earlier.
const MAX_OVERTAKING: Duration = Duration::from_millis(30);
/// The sender waits for 200 ms.
const MAX_BEHIND: Duration = Duration::from_millis(150);
/// From then on, only shards of the sender's own connection are kept.
const MAX_REJECTIONS: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_waits_for_what_was_sent_before_the_poll_within_limits() {
        let start = Instant::now();
        let layout = Layout::with(64 * 100, 64, 100, 4).unwrap();
        let after = |millis| start + Duration::from_millis(millis);
        // A datagram every 20 ms, up to the one of the poll.
        for (newest, answers_at) in [(3, 60), (100, 150)] {
            let mut receiver = GroupReceiver::new(layout, start);
            receiver.on_poll(start, 1, 0..1, newest, Duration::ZERO);
            let answered = (1..100).find(|millis| {
                if millis % 2 == 0 {
                    receiver.on_heard(millis / 2);
                }
                receiver.poll_request(after(millis * 10)).is_some()
            });
            assert_eq!(answered, Some(answers_at / 10), "{newest}");
        }
        // The poll's own datagram is lost, and no other comes.
        let mut receiver = GroupReceiver::new(layout, start);
        receiver.on_poll(start, 1, 0..1, 1, Duration::ZERO);
        assert_eq!(receiver.poll_request(after(29)), None);
        assert!(receiver.poll_request(after(30)).is_some());
    }

    #[test]
    fn a_forged_counter_does_not_hasten_later_reports() {
        let start = Instant::now();
        let layout = Layout::with(64 * 100, 64, 100, 4).unwrap();
        let mut receiver = GroupReceiver::new(layout, start);
        receiver.on_heard(1 << 40);
        receiver.on_poll(start, 1, 0..1, 8_000, Duration::ZERO);
        assert_eq!(receiver.poll_request(start), None);
        receiver.on_heard(8_000);
        assert!(receiver.poll_request(start).is_some());
    }

    #[test]
    fn what_comes_from_the_own_connection_and_does_not_match_is_an_error() {
        let layout = Layout::with(64 * (64 * 4 + 17), 64, 64, 32).unwrap();
        let mut receiver = GroupReceiver::new(layout, Instant::now());
        let fill = |receiver: &mut GroupReceiver, is_fetched: bool| {
            for index in 0..64 {
                let id = ShardId { block: 0, index };
                let kept = match is_fetched {
                    true => receiver.on_fetched(id),
                    false => receiver.on_shard(1, id),
                };
                if !kept {
                    return None;
                }
            }
            receiver.next_ready()
        };
        for _ in 0..2 {
            assert_eq!(fill(&mut receiver, false), Some(0));
            receiver.on_rejected(0).unwrap();
        }
        assert_eq!(fill(&mut receiver, false), None, "not by multicast");
        receiver.on_over();
        assert!(matches!(
            receiver.poll_request(Instant::now()),
            Some(Request::Fetch { block: 0, .. })
        ));
        assert_eq!(fill(&mut receiver, true), Some(0));
        receiver.on_rejected(0).unwrap_err();
    }

    #[test]
    fn a_fetch_asks_for_no_more_than_is_lacking() {
        let layout = Layout::with(64 * (64 * 4 + 17), 64, 64, 32).unwrap();
        let mut receiver = GroupReceiver::new(layout, Instant::now());
        for index in (0..64).step_by(2).chain(64..80) {
            assert!(receiver.on_shard(1, ShardId { block: 0, index }));
        }
        receiver.on_over();
        let Some(Request::Fetch { block: 0, ranges }) = receiver.poll_request(Instant::now())
        else {
            panic!("16 of the data are lacking");
        };
        assert_eq!(ranges.iter().map(ExactSizeIterator::len).sum::<usize>(), 16);
    }
}
