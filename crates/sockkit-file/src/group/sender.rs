//! Decides what the sender multicasts next.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
    time::{Duration, Instant},
};

use super::{Layout, ShardId};

/// A member of the group, as numbered by the sender.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MemberId(pub u64);

/// The sending half: which shards, which polls, and when it is over.
///
/// Data is sent once. Then it polls; members answer how many shards of each
/// block they lack, and it sends as much parity as the worst of them lacks, until
/// the parity is used up or nothing is lacking. Members that would delay the
/// others fetch the rest over their own connections, after the
/// [end](Step::Over).
///
/// Pure: time is passed in.
#[derive(Debug)]
pub struct GroupSender {
    layout: Layout,
    members: BTreeMap<MemberId, Member>,
    phase: Phase,
    /// Number of parity shards of each block sent so far.
    parity_sent: Vec<u16>,
    round: u32,
    polled: Range<u32>,
    polled_at: Option<Instant>,
    repairs: u32,
    rate: Rate,
}

/// What to do next.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Step {
    /// Multicast this shard.
    Send(ShardId),
    /// Ask each member what it lacks of these blocks.
    Poll {
        /// To be repeated in the answer.
        round: u32,
        /// Which blocks.
        blocks: Range<u32>,
    },
    /// Nothing until then, unless a report arrives.
    Wait(Instant),
    /// Nothing more will be multicast: members fetch what they lack.
    Over,
}

/// Number of shards that a member lacks of a block.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lack {
    /// The block.
    pub block: u32,
    /// At least 1, at most as many as the block has data shards.
    pub shards: u16,
}

/// A report that no correct member sends.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("member lacks {} shards of block {}, out of order or out of range", .0.shards, .0.block)]
pub struct InvalidReport(pub Lack);

#[derive(Debug, Default)]
struct Member {
    /// What it lacked in the newest round; `None` if it has not answered.
    lacks: Option<Vec<Lack>>,
    /// It did not answer the poll before, and is not waited for.
    silent: bool,
    was_polled: bool,
    /// Fraction of the shards that it lost.
    loss: f64,
    /// Number of shards sent for it alone.
    solo: u64,
    /// Fetches the rest by itself.
    handed_over: bool,
}

#[derive(Debug)]
enum Phase {
    Pass {
        next: ShardId,
        since_poll: u32,
        polled: u32,
    },
    Poll,
    Wait {
        until: Instant,
    },
    Repair(VecDeque<Run>),
    Over,
}

/// Parity shards of one block to send.
#[derive(Debug)]
struct Run {
    block: u32,
    indexes: Range<u16>,
}

impl GroupSender {
    /// Starts with the first data shard.
    pub fn new(layout: Layout) -> Self {
        Self {
            layout,
            members: BTreeMap::new(),
            phase: Phase::Pass {
                next: ShardId { block: 0, index: 0 },
                since_poll: 0,
                polled: 0,
            },
            parity_sent: vec![0; layout.blocks() as usize],
            round: 0,
            polled: 0..0,
            polled_at: None,
            repairs: 0,
            rate: Rate::default(),
        }
    }

    /// Adds a member that hears the group, at any time.
    pub fn join(&mut self, id: MemberId) {
        self.members.entry(id).or_default();
    }

    /// Removes a member: it has left, is complete, or fetches everything.
    pub fn leave(&mut self, id: MemberId) {
        self.members.remove(&id);
    }

    /// Percentage of the chosen rate at which to send: less while most members
    /// lose much.
    pub fn rate_percent(&self) -> u32 {
        self.rate.percent
    }

    /// Returns the next step. Call it again at once after [`Step::Send`] and
    /// [`Step::Poll`].
    pub fn next(&mut self, now: Instant) -> Step {
        loop {
            match &mut self.phase {
                Phase::Pass { .. } => {
                    if let Some(step) = self.next_in_pass(now) {
                        return step;
                    }
                }
                Phase::Poll => {
                    let until = now + MAX_ANSWER_TIME;
                    self.phase = Phase::Wait { until };
                    return self.poll(now, 0..self.layout.blocks());
                }
                Phase::Wait { until } => {
                    let until = *until;
                    if now < until && self.is_awaited() {
                        return Step::Wait(until);
                    }
                    self.plan();
                }
                Phase::Repair(runs) => {
                    let Some(run) = runs.front_mut() else {
                        self.phase = Phase::Poll;
                        continue;
                    };
                    let block = run.block;
                    match run.indexes.next() {
                        Some(index) => return Step::Send(ShardId { block, index }),
                        None => runs.pop_front(),
                    };
                }
                Phase::Over => return Step::Over,
            }
        }
    }

    /// Handles a member's answer to a poll. Those to earlier polls are ignored.
    ///
    /// # Errors
    /// If no correct member sends it. It is then without effect.
    pub fn on_report(
        &mut self,
        id: MemberId,
        round: u32,
        lacks: Vec<Lack>,
    ) -> Result<(), InvalidReport> {
        self.check(&lacks)?;
        let polled = self.polled_shards();
        let Some(member) = self.members.get_mut(&id) else {
            return Ok(());
        };
        member.silent = false;
        if round != self.round || member.lacks.is_some() {
            return Ok(());
        }
        let lost: u64 = lacks.iter().map(|lack| u64::from(lack.shards)).sum();
        if self.repairs == 0 && polled > 0 {
            member.loss = (lost as f64 / polled as f64).min(MAX_LOSS);
        }
        member.lacks = Some(lacks);
        Ok(())
    }

    fn check(&self, lacks: &[Lack]) -> Result<(), InvalidReport> {
        let mut next = 0;
        for lack in lacks {
            let is_valid = lack.block >= next
                && lack.shards > 0
                && lack.shards <= self.layout.data_shards(lack.block);
            if !is_valid {
                return Err(InvalidReport(*lack));
            }
            next = lack.block + 1;
        }
        Ok(())
    }

    /// The next data shard, or a poll after so many of them. `None` at the end.
    fn next_in_pass(&mut self, now: Instant) -> Option<Step> {
        let Phase::Pass {
            next,
            since_poll,
            polled,
        } = &mut self.phase
        else {
            return None;
        };
        if next.index == self.layout.data_shards(next.block) {
            *next = ShardId {
                block: next.block + 1,
                index: 0,
            };
            if *since_poll >= POLL_AFTER_SHARDS && next.block < self.layout.blocks() {
                let blocks = *polled..next.block;
                (*since_poll, *polled) = (0, next.block);
                self.rate.follow(self.members.values());
                return Some(self.poll(now, blocks));
            }
        }
        if next.block >= self.layout.blocks() {
            self.phase = Phase::Poll;
            return None;
        }
        let id = *next;
        next.index += 1;
        *since_poll += 1;
        Some(Step::Send(id))
    }

    fn poll(&mut self, now: Instant, blocks: Range<u32>) -> Step {
        let had_time = self
            .polled_at
            .is_some_and(|polled_at| now >= polled_at + MAX_ANSWER_TIME);
        for member in self.members.values_mut() {
            let answered = member.lacks.take().is_some();
            member.silent = !answered && (member.silent || had_time && member.was_polled);
            member.was_polled = true;
        }
        self.polled_at = Some(now);
        self.round += 1;
        self.polled = blocks.clone();
        Step::Poll {
            round: self.round,
            blocks,
        }
    }

    fn polled_shards(&self) -> u64 {
        let shards = |block| u64::from(self.layout.data_shards(block));
        match (self.polled.start, self.polled.end.checked_sub(1)) {
            (start, Some(last)) if start <= last => {
                u64::from(last - start) * u64::from(self.layout.block_shards()) + shards(last)
            }
            _ => 0,
        }
    }

    /// Whether a member has yet to answer.
    fn is_awaited(&self) -> bool {
        self.members
            .values()
            .any(|member| member.lacks.is_none() && !member.silent && !member.handed_over)
    }

    /// Plans the next repairs from the newest reports.
    fn plan(&mut self) {
        self.repairs += 1;
        let runs = match self.repairs {
            repair if repair > MAX_REPAIRS => VecDeque::new(),
            _ => self.runs(),
        };
        for run in &runs {
            let block = run.block as usize;
            let data = self.layout.data_shards(run.block);
            self.parity_sent[block] = run.indexes.end - data;
        }
        self.phase = match runs.is_empty() {
            true => Phase::Over,
            false => Phase::Repair(runs),
        };
    }

    fn runs(&mut self) -> VecDeque<Run> {
        let worst = loop {
            let worst = self.worst();
            match self.spoiler(&worst) {
                Some(id) => {
                    if let Some(member) = self.members.get_mut(&id) {
                        member.handed_over = true;
                    }
                }
                None => break worst,
            }
        };
        self.charge(&worst);
        let run = |(&block, worst): (&u32, &Worst)| {
            let member = self.members.get(&worst.member)?;
            let first = self.layout.data_shards(block) + self.parity_sent[block as usize];
            let shards = parity_for(worst.shards, member.loss).min(self.parity_left(block));
            Some(Run {
                block,
                indexes: first..first + shards,
            })
        };
        worst.iter().filter_map(run).collect()
    }

    fn parity_left(&self, block: u32) -> u16 {
        self.layout.parity_shards(block) - self.parity_sent[block as usize]
    }

    /// The two largest lacks of each block that parity can still repair.
    fn worst(&self) -> BTreeMap<u32, Worst> {
        let mut worst: BTreeMap<u32, Worst> = BTreeMap::new();
        let in_group = self
            .members
            .iter()
            .filter(|(_, member)| !member.handed_over);
        for (&id, member) in in_group {
            for lack in member.lacks.iter().flatten() {
                if lack.shards > self.parity_left(lack.block) {
                    continue;
                }
                let entry = worst.entry(lack.block).or_insert(Worst {
                    member: id,
                    shards: 0,
                    second: 0,
                });
                if lack.shards > entry.shards {
                    *entry = Worst {
                        member: id,
                        shards: lack.shards,
                        second: entry.shards,
                    };
                } else {
                    entry.second = entry.second.max(lack.shards);
                }
            }
        }
        worst
    }

    /// The member that would receive more than its share of the time of others.
    fn spoiler(&self, worst: &BTreeMap<u32, Worst>) -> Option<MemberId> {
        let lacking = |member: &&Member| {
            !member.handed_over && member.lacks.as_ref().is_some_and(|lacks| !lacks.is_empty())
        };
        if self.members.values().filter(lacking).count() < 2 {
            return None;
        }
        let limit = (self.shards() / SOLO_DIVISOR).max(MIN_SOLO_SHARDS);
        let mut solo: BTreeMap<MemberId, u64> = BTreeMap::new();
        for worst in worst.values() {
            *solo.entry(worst.member).or_default() += worst.solo();
        }
        let spent = |id: &MemberId| self.members.get(id).map_or(0, |member| member.solo);
        solo.into_iter()
            .find(|(id, shards)| shards + spent(id) > limit)
            .map(|(id, _)| id)
    }

    fn charge(&mut self, worst: &BTreeMap<u32, Worst>) {
        for worst in worst.values() {
            if let Some(member) = self.members.get_mut(&worst.member) {
                member.solo += worst.solo();
            }
        }
    }

    fn shards(&self) -> u64 {
        self.layout.total_bytes() / self.layout.shard_bytes() as u64
    }
}

/// The member that lacks most of a block.
#[derive(Clone, Copy, Debug)]
struct Worst {
    member: MemberId,
    shards: u16,
    /// As many lacks the next one.
    second: u16,
}

impl Worst {
    fn solo(&self) -> u64 {
        u64::from(self.shards - self.second)
    }
}

/// How much parity to send to a member that lacks so many shards and loses that
/// fraction: the mean, and one and a half standard deviations more, so that a
/// further round is rare.
fn parity_for(lacking: u16, loss: f64) -> u16 {
    let lacking = f64::from(lacking);
    let shards = (lacking + 1.5 * (lacking * loss).sqrt()) / (1.0 - loss);
    // At most four times a block's shards, and positive: the cast is exact.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bounded as said above"
    )]
    let shards = shards.ceil() as u32;
    u16::try_from(shards).unwrap_or(u16::MAX)
}

/// Follows what most members lose.
#[derive(Debug)]
struct Rate {
    percent: u32,
}

impl Default for Rate {
    fn default() -> Self {
        Self { percent: 100 }
    }
}

impl Rate {
    /// The median counts, so that no single member decides.
    fn follow<'a>(&mut self, members: impl Iterator<Item = &'a Member>) {
        let mut losses: Vec<f64> = members
            .filter(|member| member.lacks.is_some())
            .map(|member| member.loss)
            .collect();
        if losses.is_empty() {
            return;
        }
        losses.sort_by(f64::total_cmp);
        let median = losses[(losses.len() - 1) / 2];
        if median > SLOWER_ABOVE_LOSS {
            self.percent = (self.percent * 3 / 4).max(MIN_RATE_PERCENT);
        } else if median < FASTER_BELOW_LOSS {
            self.percent = (self.percent + 10).min(100);
        }
    }
}

/// Members answer within a few milliseconds; one that is stopped delays the
/// others once by so much.
const MAX_ANSWER_TIME: Duration = Duration::from_millis(200);
/// About once a second at 100 Mbit/s.
const POLL_AFTER_SHARDS: u32 = 8_192;
const MAX_REPAIRS: u32 = 12;
/// The share of all shards that may be sent for one member alone: 1/32.
const SOLO_DIVISOR: u64 = 32;
const MIN_SOLO_SHARDS: u64 = 32;
const MAX_LOSS: f64 = 0.5;
const SLOWER_ABOVE_LOSS: f64 = 0.15;
const FASTER_BELOW_LOSS: f64 = 0.08;
const MIN_RATE_PERCENT: u32 = 5;
