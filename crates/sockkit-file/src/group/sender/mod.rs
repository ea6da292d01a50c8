//! Decides what the sender multicasts next.

use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
    ops::Range,
    time::{Duration, Instant},
};

use super::{Layout, ShardId, rate::Rate};

mod plan;

/// A member of the group, as numbered by the sender.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MemberId(pub u64);

/// The sending half: which shards, which polls, and when it is over.
///
/// Data is sent once. It polls, and members answer how many shards of each block
/// they lack; it sends as much parity as the worst of them lacks: once for each
/// block while data is sent, and then until the parity is used up or nothing is
/// lacking. Members that would delay the
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
    /// Blocks before this one were asked for.
    asked: u32,
    /// Whether those that were asked for last had not been before.
    is_fresh: bool,
    /// The reports on them are yet to be used, while data is sent.
    reports_due: bool,
    /// Parity to send before anything else.
    runs: VecDeque<Run>,
    /// How often parity was planned since all data was sent.
    repairs: u32,
    /// Number of shards sent for each host alone. Those of one that has left count when
    /// it comes back.
    solo: BTreeMap<Host, u64>,
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

/// Where members are: however many one host has, it counts once. Not by network, as
/// elsewhere, since all members may be on one.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Host {
    At(IpAddr),
    /// Of this member alone.
    Unknown(MemberId),
}

#[derive(Debug)]
struct Member {
    host: Host,
    /// The first block that is sent whole since it joined.
    since: u32,
    /// What it lacked in the newest round; `None` if it has not answered.
    lacks: Option<Vec<Lack>>,
    /// It did not answer the poll before, and is not waited for.
    silent: bool,
    was_polled: bool,
    /// Fraction of the shards that it lost.
    loss: f64,
    /// Fetches the rest by itself.
    handed_over: bool,
}

#[derive(Debug)]
enum Phase {
    /// With the next data shard.
    Pass(ShardId),
    Poll,
    Wait {
        until: Instant,
    },
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
            phase: Phase::Pass(ShardId { block: 0, index: 0 }),
            parity_sent: vec![0; layout.blocks() as usize],
            round: 0,
            polled: 0..0,
            polled_at: None,
            asked: 0,
            is_fresh: false,
            reports_due: false,
            runs: VecDeque::new(),
            repairs: 0,
            solo: BTreeMap::new(),
            rate: Rate::new(),
        }
    }

    /// Adds a member that hears the group, at any time. Members at one address count as
    /// one where the others wait for them; one without an address is by itself.
    pub fn join(&mut self, id: MemberId, address: Option<IpAddr>) {
        let host = address.map_or(Host::Unknown(id), |ip| Host::At(ip.to_canonical()));
        let since = match self.phase {
            Phase::Pass(next) => next.block + u32::from(next.index > 0),
            _ => self.layout.blocks(),
        };
        self.members.entry(id).or_insert(Member {
            host,
            since,
            lacks: None,
            silent: false,
            was_polled: false,
            loss: 0.0,
            handed_over: false,
        });
    }

    /// Removes a member: it has left, is complete, or fetches everything.
    pub fn leave(&mut self, id: MemberId) {
        self.members.remove(&id);
        self.solo.remove(&Host::Unknown(id));
    }

    /// At which share of the chosen rate to send: less while most members lose what the
    /// network cannot carry.
    pub fn rate_share(&self) -> f64 {
        self.rate.share()
    }

    /// Returns the next step. Call it again at once after [`Step::Send`] and
    /// [`Step::Poll`].
    pub fn next(&mut self, now: Instant) -> Step {
        loop {
            if let Some(id) = self.next_parity() {
                return Step::Send(id);
            }
            match &mut self.phase {
                Phase::Pass(_) => {
                    if let Some(step) = self.next_in_pass(now) {
                        return step;
                    }
                }
                Phase::Poll => {
                    let until = now + MAX_ANSWER_TIME;
                    self.phase = Phase::Wait { until };
                    return self.poll_after_pass(now);
                }
                Phase::Wait { until } => {
                    let until = *until;
                    if now < until && self.is_awaited() {
                        return Step::Wait(until);
                    }
                    self.end_round();
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
        let was_not_asked = |lack: &&Lack| !self.polled.contains(&lack.block);
        if let Some(lack) = lacks.iter().find(was_not_asked) {
            return Err(InvalidReport(*lack));
        }
        let lost: u64 = lacks.iter().map(|lack| u64::from(lack.shards)).sum();
        // What was sent before it joined is not lost.
        if self.is_fresh && polled > 0 && member.since <= self.polled.start {
            member.loss = lost as f64 / polled as f64;
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

    /// The next parity shard to send, if any.
    fn next_parity(&mut self) -> Option<ShardId> {
        loop {
            let run = self.runs.front_mut()?;
            let block = run.block;
            if let Some(index) = run.indexes.next() {
                return Some(ShardId { block, index });
            }
            self.runs.pop_front();
        }
    }

    /// The next data shard, or a poll. `None` if parity comes first, and at the end.
    fn next_in_pass(&mut self, now: Instant) -> Option<Step> {
        if self.reports_due && (self.is_late(now) || !self.is_awaited()) {
            self.plan();
            return None;
        }
        let is_poll_due = self.is_poll_due(now);
        let Phase::Pass(next) = &mut self.phase else {
            return None;
        };
        if next.index == self.layout.data_shards(next.block) {
            *next = ShardId {
                block: next.block + 1,
                index: 0,
            };
            if is_poll_due && next.block < self.layout.blocks() {
                let blocks = self.asked..next.block;
                return Some(self.poll(now, blocks));
            }
        }
        if next.block >= self.layout.blocks() {
            self.phase = Phase::Poll;
            return None;
        }
        let id = *next;
        next.index += 1;
        Some(Step::Send(id))
    }

    /// Asks for the last blocks first, whose reports tell the loss; then for all.
    fn poll_after_pass(&mut self, now: Instant) -> Step {
        let blocks = self.layout.blocks();
        let fresh = self.asked..blocks;
        match fresh.is_empty() {
            true => self.poll(now, 0..blocks),
            false => self.poll(now, fresh),
        }
    }

    /// Plans what follows the reports of a round after the pass.
    fn end_round(&mut self) {
        self.repairs += 1;
        self.plan();
        let was_for_all = self.polled == (0..self.layout.blocks());
        let has_more = !self.runs.is_empty() || !was_for_all;
        self.phase = match has_more && self.repairs < MAX_REPAIRS {
            true => Phase::Poll,
            false => Phase::Over,
        };
    }

    fn is_late(&self, now: Instant) -> bool {
        self.polled_at
            .is_some_and(|polled_at| now >= polled_at + MAX_ANSWER_TIME)
    }

    /// Whether to ask again in the pass: the more members, the more rarely, since their
    /// answers take what is left of the network.
    fn is_poll_due(&mut self, now: Instant) -> bool {
        let members = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        let every = POLL_EVERY * (members / MANY_MEMBERS).max(1);
        now >= *self.polled_at.get_or_insert(now) + every
    }

    fn poll(&mut self, now: Instant, blocks: Range<u32>) -> Step {
        let had_time = self.is_late(now);
        for member in self.members.values_mut() {
            let answered = member.lacks.take().is_some();
            member.silent = !answered && (member.silent || had_time && member.was_polled);
            member.was_polled = true;
        }
        self.polled_at = Some(now);
        self.round += 1;
        self.is_fresh = blocks.start >= self.asked;
        self.reports_due = true;
        self.asked = self.asked.max(blocks.end);
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
}

/// Members answer within a few milliseconds; one that is stopped delays the
/// others once by so much.
const MAX_ANSWER_TIME: Duration = Duration::from_millis(200);
/// While the data is sent, at the end of a block.
const POLL_EVERY: Duration = Duration::from_secs(1);
const MANY_MEMBERS: u32 = 32;
const MAX_REPAIRS: u32 = 12;
