//! Which parity to send, by the newest reports, and for whom not.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{GroupSender, Host, Member, Phase, Run};

impl GroupSender {
    /// Plans repairs, and the rate, from the newest reports.
    pub(super) fn plan(&mut self) {
        self.reports_due = false;
        if self.is_fresh {
            self.rate.follow(self.losses());
        }
        let runs = self.runs();
        for run in &runs {
            let data = self.layout.data_shards(run.block);
            self.parity_sent[run.block as usize] = run.indexes.end - data;
        }
        self.runs = runs;
    }

    /// The fraction that each host lost: what reaches one of its members reaches it.
    fn losses(&self) -> Vec<f64> {
        let mut losses: BTreeMap<Host, f64> = BTreeMap::new();
        let answered =
            |member: &&Member| member.lacks.is_some() && member.since <= self.polled.start;
        for member in self.members.values().filter(answered) {
            let loss = losses.entry(member.host).or_insert(member.loss);
            *loss = loss.min(member.loss);
        }
        losses.into_values().collect()
    }

    fn runs(&mut self) -> VecDeque<Run> {
        let is_pass = matches!(self.phase, Phase::Pass(_));
        let mut left_out = BTreeSet::new();
        let needs = loop {
            let needs = self.needs(&left_out);
            let Some(host) = self.spoiler(&needs) else {
                break needs;
            };
            left_out.insert(host);
            // After the pass it may still be that others lack nothing.
            let of_host = |member: &&mut Member| member.host == host;
            (self.members.values_mut())
                .filter(of_host)
                .for_each(|member| member.handed_over = !is_pass);
        };
        for need in needs.values() {
            *self.solo.entry(need.host).or_default() += need.solo();
        }
        let run = |(&block, need): (&u32, &Need)| {
            let first = self.layout.data_shards(block) + self.parity_sent[block as usize];
            Run {
                block,
                indexes: first..first + need.parity,
            }
        };
        needs.iter().map(run).collect()
    }

    fn parity_left(&self, block: u32) -> u16 {
        self.layout.parity_shards(block) - self.parity_sent[block as usize]
    }

    /// The parity of each block that can still be repaired.
    fn needs(&self, left_out: &BTreeSet<Host>) -> BTreeMap<u32, Need> {
        let mut needs: BTreeMap<u32, Need> = BTreeMap::new();
        let in_group = |member: &&Member| !member.handed_over && !left_out.contains(&member.host);
        for member in self.members.values().filter(in_group) {
            for lack in member.lacks.iter().flatten() {
                let left = self.parity_left(lack.block);
                if lack.shards <= left {
                    let parity = parity_for(lack.shards, member.loss).min(left);
                    let need = needs.entry(lack.block);
                    let none = Need {
                        host: member.host,
                        parity: 0,
                        second: 0,
                    };
                    need.or_insert(none).add(member.host, parity);
                }
            }
        }
        needs
    }

    /// The host that would receive more than its share of the time of others.
    fn spoiler(&self, needs: &BTreeMap<u32, Need>) -> Option<Host> {
        let is_pass = matches!(self.phase, Phase::Pass(_));
        let lacks = |member: &Member| member.lacks.as_ref().is_some_and(|lacks| !lacks.is_empty());
        // While data is sent, all the others wait.
        let waits = |member: &&Member| !member.handed_over && (is_pass || lacks(member));
        let waiting = self.members.values().filter(waits);
        let waiting: BTreeSet<_> = waiting.map(|member| member.host).collect();
        if waiting.len() < 2 {
            return None;
        }
        let limit = (self.shards() / SOLO_DIVISOR).max(MIN_SOLO_SHARDS);
        let mut solo: BTreeMap<Host, u64> = BTreeMap::new();
        for need in needs.values() {
            *solo.entry(need.host).or_default() += need.solo();
        }
        let spent = |host: &Host| self.solo.get(host).copied().unwrap_or_default();
        solo.into_iter()
            .find(|(host, shards)| shards + spent(host) > limit)
            .map(|(host, _)| host)
    }

    fn shards(&self) -> u64 {
        self.layout.total_bytes() / self.layout.shard_bytes() as u64
    }
}

/// How much parity of a block to send.
#[derive(Clone, Copy, Debug)]
struct Need {
    /// For this host.
    host: Host,
    parity: u16,
    /// As much for any other.
    second: u16,
}

impl Need {
    fn add(&mut self, host: Host, parity: u16) {
        if host == self.host {
            self.parity = self.parity.max(parity);
        } else if parity > self.parity {
            *self = Self {
                host,
                parity,
                second: self.parity,
            };
        } else {
            self.second = self.second.max(parity);
        }
    }

    /// What is sent for that host alone.
    fn solo(&self) -> u64 {
        u64::from(self.parity - self.second)
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

/// The share of all shards that may be sent for one host alone: 1/32.
const SOLO_DIVISOR: u64 = 32;
const MIN_SOLO_SHARDS: u64 = 32;
const MAX_LOSS: f64 = 0.5;
