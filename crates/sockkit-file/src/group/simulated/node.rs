//! One simulated receiver, which may be dishonest.

use std::{
    collections::{BTreeSet, VecDeque},
    net::IpAddr,
    ops::Range,
    time::{Duration, Instant},
};

use sockkit_testing::sim::Link;

use super::{
    super::{GroupReceiver, Lack, Layout, MemberId, Request, ShardId},
    TICK,
};

/// Counter, block, index, what it is.
pub(super) type Packet = [u8; 15];

pub(super) const AUTHENTIC: u8 = 0;
pub(super) const FORGED: u8 = 1;
pub(super) const BEACON: u8 = 2;

pub(super) enum Down {
    Poll {
        round: u32,
        blocks: Range<u32>,
        newest: u64,
    },
    Over,
    Shards(u32, Vec<Range<u16>>),
}

pub(super) struct Wire<T>(pub(super) VecDeque<(Instant, T)>);

impl<T> Wire<T> {
    pub(super) fn send(&mut self, now: Instant, message: T) {
        self.0.push_back((now + 2 * TICK, message));
    }

    pub(super) fn poll(&mut self, now: Instant) -> Option<T> {
        let is_due = self.0.front().is_some_and(|(at, _)| *at <= now);
        is_due
            .then(|| self.0.pop_front())
            .flatten()
            .map(|(_, message)| message)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Behaviour {
    Correct,
    /// Always lacks so many shards of every block.
    Lies(u16),
    /// Always lacks all of every second block, which parity cannot repair, and so many
    /// shards of the others: it seems to lose half of what is sent for it.
    Outbids(u16),
    /// Never answers.
    Mute,
    /// Answers what no correct member answers.
    Invalid,
}

pub(super) struct Node {
    pub(super) id: MemberId,
    pub(super) address: Option<IpAddr>,
    pub(super) behaviour: Behaviour,
    pub(super) receiver: Option<GroupReceiver>,
    pub(super) joins: Instant,
    pub(super) restarts: VecDeque<Instant>,
    pub(super) pauses: Option<Range<Instant>>,
    pub(super) data: Link<Packet>,
    /// It has not begun to fetch before the end.
    pub(super) in_group: bool,
    pub(super) down: Wire<Down>,
    pub(super) up: Wire<Request>,
    /// Blocks that were asked for last.
    pub(super) polled: Range<u32>,
    /// Blocks of which a forged shard was kept.
    pub(super) poisoned: BTreeSet<u32>,
    pub(super) whole_at: Option<Instant>,
    pub(super) fetched: u64,
}

impl Node {
    /// Whether the end of the transfer waits for it.
    pub(super) fn is_done(&self) -> bool {
        self.whole_at.is_some() || self.behaviour != Behaviour::Correct
    }

    pub(super) fn hear(&mut self, now: Instant) {
        while let Some(packet) = self.data.poll(now) {
            let Some(receiver) = &mut self.receiver else {
                continue;
            };
            let counter = u64::from_be_bytes(packet[..8].try_into().unwrap());
            let block = u32::from_be_bytes(packet[8..12].try_into().unwrap());
            let index = u16::from_be_bytes(packet[12..14].try_into().unwrap());
            if packet[14] == BEACON {
                receiver.on_heard(counter);
                continue;
            }
            if receiver.on_shard(counter, ShardId { block, index }) && packet[14] == FORGED {
                self.poisoned.insert(block);
            }
        }
    }

    pub(super) fn listen(&mut self, now: Instant, delay: u64) {
        while let Some(message) = self.down.poll(now) {
            let Some(receiver) = &mut self.receiver else {
                continue;
            };
            match message {
                Down::Poll {
                    round,
                    blocks,
                    newest,
                } => {
                    let delay = Duration::from_millis(delay);
                    self.polled = blocks.clone();
                    receiver.on_poll(now, round, blocks, newest, delay);
                }
                Down::Over => receiver.on_over(),
                Down::Shards(block, ranges) => {
                    for index in ranges.into_iter().flatten() {
                        let _ = receiver.on_fetched(ShardId { block, index });
                    }
                    receiver.on_fetch_done();
                }
            }
        }
    }

    /// A block with a forged shard does not match its digest.
    pub(super) fn restore(&mut self, now: Instant) {
        let Some(receiver) = &mut self.receiver else {
            return;
        };
        while let Some(block) = receiver.next_ready() {
            match self.poisoned.remove(&block) {
                true => receiver.on_rejected(block).unwrap(),
                false => receiver.on_verified(block),
            }
        }
        if receiver.is_whole() {
            self.whole_at.get_or_insert(now);
        }
    }

    pub(super) fn ask(&mut self, now: Instant, layout: &Layout) {
        let Some(receiver) = &mut self.receiver else {
            return;
        };
        while let Some(mut request) = receiver.poll_request(now) {
            if let Request::Report { lacks, .. } = &mut request {
                let shards_of = |block| layout.data_shards(block);
                let lack = |block, shards: u16| Lack {
                    block,
                    shards: shards.min(shards_of(block)),
                };
                let polled = self.polled.clone();
                match self.behaviour {
                    Behaviour::Correct => {}
                    Behaviour::Mute => continue,
                    Behaviour::Lies(shards) => {
                        *lacks = polled.map(|block| lack(block, shards)).collect();
                    }
                    Behaviour::Outbids(shards) => {
                        let shards = |block| [u16::MAX, shards][block as usize % 2];
                        *lacks = polled.map(|block| lack(block, shards(block))).collect();
                    }
                    Behaviour::Invalid => {
                        *lacks = vec![
                            Lack {
                                block: u32::MAX,
                                shards: u16::MAX
                            };
                            3
                        ];
                    }
                }
            }
            self.up.send(now, request);
        }
    }
}
