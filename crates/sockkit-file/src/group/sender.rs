//! Decides what the sender multicasts next.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::Range,
    time::{Duration, Instant},
};

use super::{Layout, ShardId, rate::Rate};

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
            rate: Rate::new(),
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
        if self.is_fresh && polled > 0 {
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
        if self.repairs <= MAX_REPAIRS {
            self.plan();
        }
        let was_for_all = self.polled == (0..self.layout.blocks());
        let has_more = !self.runs.is_empty() || !was_for_all;
        self.phase = match has_more && self.repairs <= MAX_REPAIRS {
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

    /// Plans repairs, and the rate, from the newest reports.
    fn plan(&mut self) {
        self.reports_due = false;
        if self.is_fresh {
            let answered = |member: &&Member| member.lacks.is_some();
            let losses = self.members.values().filter(answered);
            self.rate.follow(losses.map(|member| member.loss).collect());
        }
        let runs = self.runs();
        for run in &runs {
            let data = self.layout.data_shards(run.block);
            self.parity_sent[run.block as usize] = run.indexes.end - data;
        }
        self.runs = runs;
    }

    fn runs(&mut self) -> VecDeque<Run> {
        let is_pass = matches!(self.phase, Phase::Pass(_));
        let mut left_out = BTreeSet::new();
        let worst = loop {
            let worst = self.worst(&left_out);
            let Some(id) = self.spoiler(&worst) else {
                break worst;
            };
            left_out.insert(id);
            // After the pass it may still be that others lack nothing.
            if let Some(member) = self.members.get_mut(&id) {
                member.handed_over = !is_pass;
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
    fn worst(&self, left_out: &BTreeSet<MemberId>) -> BTreeMap<u32, Worst> {
        let mut worst: BTreeMap<u32, Worst> = BTreeMap::new();
        let in_group = self
            .members
            .iter()
            .filter(|(id, member)| !member.handed_over && !left_out.contains(id));
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
        let is_pass = matches!(self.phase, Phase::Pass(_));
        let lacks = |member: &Member| member.lacks.as_ref().is_some_and(|lacks| !lacks.is_empty());
        // While data is sent, all the others wait.
        let waits = |member: &&Member| !member.handed_over && (is_pass || lacks(member));
        if self.members.values().filter(waits).count() < 2 {
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
    let (lacking, loss) = (f64::from(lacking), loss.min(MAX_LOSS));
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

/// Members answer within a few milliseconds; one that is stopped delays the
/// others once by so much.
const MAX_ANSWER_TIME: Duration = Duration::from_millis(200);
/// While the data is sent, at the end of a block.
const POLL_EVERY: Duration = Duration::from_secs(1);
const MANY_MEMBERS: u32 = 32;
const MAX_REPAIRS: u32 = 12;
/// The share of all shards that may be sent for one member alone: 1/32.
const SOLO_DIVISOR: u64 = 32;
const MIN_SOLO_SHARDS: u64 = 32;
const MAX_LOSS: f64 = 0.5;
