//! Both halves under a simulated network: lossy multicast, reliable connections.

use std::{
    collections::{BTreeSet, VecDeque},
    ops::Range,
    time::{Duration, Instant},
};

use sockkit_testing::sim::{Link, LinkConfig, LossModel};

use self::node::{AUTHENTIC, BEACON, Behaviour, Down, FORGED, Node, Packet, Wire};
use super::{GroupReceiver, GroupSender, Layout, MemberId, Request, ShardId, Step};

mod costs;
mod delays;
mod hostile;
mod node;
mod rates;
mod soak;

struct World {
    layout: Layout,
    began: Instant,
    now: Instant,
    sender: GroupSender,
    shards_per_tick: f64,
    /// Shards that the rate allows now.
    credit: f64,
    counter: u64,
    next_id: u64,
    nodes: Vec<Node>,
    rng: fastrand::Rng,
    /// Members with the key that multicast forged shards, each tick.
    forged_per_tick: u32,
    /// When something was multicast last.
    sent_at: Instant,
    /// Data and parity shards sent.
    sent: u64,
    beacons: u64,
    polls: u64,
    /// While data was sent.
    polls_in_pass: u64,
    reports: u64,
    reported_blocks: u64,
    invalid_reports: u64,
    over: bool,
}

impl World {
    fn new(layout: Layout, seed: u64) -> Self {
        let now = Instant::now();
        Self {
            layout,
            began: now,
            now,
            sender: GroupSender::new(layout),
            shards_per_tick: 10.0,
            credit: 0.0,
            counter: 0,
            next_id: 0,
            nodes: Vec::new(),
            rng: fastrand::Rng::with_seed(seed),
            forged_per_tick: 0,
            sent_at: now,
            sent: 0,
            beacons: 0,
            polls: 0,
            polls_in_pass: 0,
            reports: 0,
            reported_blocks: 0,
            invalid_reports: 0,
            over: false,
        }
    }

    fn add(&mut self, link: LinkConfig, behaviour: Behaviour) -> &mut Node {
        let id = self.new_id();
        let data = Link::new(link, self.rng.u64(..));
        self.nodes.push(Node {
            id,
            address: None,
            behaviour,
            receiver: None,
            joins: self.now,
            restarts: VecDeque::new(),
            pauses: None,
            data,
            in_group: true,
            down: Wire(VecDeque::new()),
            up: Wire(VecDeque::new()),
            polled: 0..0,
            poisoned: BTreeSet::new(),
            whole_at: None,
            fetched: 0,
        });
        self.nodes.last_mut().unwrap()
    }

    fn new_id(&mut self) -> MemberId {
        self.next_id += 1;
        MemberId(self.next_id)
    }

    /// Runs until every correct member is whole.
    fn run(&mut self) {
        for _ in 0..MAX_TICKS {
            self.start_nodes();
            self.send();
            for place in 0..self.nodes.len() {
                self.tick_node(place);
            }
            if self.over && self.nodes.iter().all(Node::is_done) {
                return;
            }
            self.now += TICK;
        }
        panic!("not finished after {:?}", self.now - self.began);
    }

    fn start_nodes(&mut self) {
        for place in 0..self.nodes.len() {
            let (now, layout) = (self.now, self.layout);
            let node = &mut self.nodes[place];
            let restarts = node.restarts.front().is_some_and(|at| *at <= now);
            if restarts {
                node.restarts.pop_front();
            }
            if restarts && node.receiver.is_some() {
                self.sender.leave(node.id);
                node.down.0.clear();
                node.up.0.clear();
                let old = node.receiver.take().unwrap();
                let mut new = GroupReceiver::new(layout, now);
                (0..layout.blocks())
                    .filter(|block| old.is_verified(*block))
                    .for_each(|block| new.on_verified(block));
                node.receiver = Some(new);
                node.poisoned.clear();
                let id = self.new_id();
                self.welcome(place, id);
            } else if node.receiver.is_none() && node.joins <= now {
                node.receiver = Some(GroupReceiver::new(layout, now));
                let id = node.id;
                self.welcome(place, id);
            }
        }
    }

    fn welcome(&mut self, place: usize, id: MemberId) {
        let node = &mut self.nodes[place];
        node.id = id;
        node.in_group = true;
        self.sender.join(id, node.address);
        if self.over {
            node.down.send(self.now, Down::Over);
        }
    }

    /// What the driver does.
    fn send(&mut self) {
        self.credit += self.shards_per_tick * self.sender.rate_share();
        while self.credit >= 1.0 && !self.over {
            match self.sender.next(self.now) {
                Step::Send(id) => {
                    self.credit -= 1.0;
                    self.sent += 1;
                    self.multicast(id, AUTHENTIC);
                }
                Step::Poll { round, blocks } => self.poll(round, &blocks),
                Step::Wait(_) => {
                    self.credit = 0.0;
                    break;
                }
                Step::Over => {
                    self.over = true;
                    for node in &mut self.nodes {
                        node.down.send(self.now, Down::Over);
                    }
                }
            }
        }
        if !self.over && self.now >= self.sent_at + Duration::from_millis(250) {
            self.beacons += 1;
            self.multicast(ShardId { block: 0, index: 0 }, BEACON);
        }
        for _ in 0..self.forged_per_tick {
            let block = self.rng.u32(0..self.layout.blocks() + 1);
            let index = self.rng.u16(..200);
            self.multicast(ShardId { block, index }, FORGED);
        }
    }

    fn poll(&mut self, round: u32, blocks: &Range<u32>) {
        self.polls += 1;
        self.polls_in_pass += u64::from(blocks.end < self.layout.blocks());
        let is_polled = |node: &&mut Node| node.receiver.is_some() && node.in_group;
        for node in self.nodes.iter_mut().filter(is_polled) {
            let poll = Down::Poll {
                round,
                blocks: blocks.clone(),
                newest: self.counter,
            };
            node.down.send(self.now, poll);
        }
    }

    /// Forged ones have numbers of their own.
    fn multicast(&mut self, id: ShardId, kind: u8) {
        let counter = match kind {
            FORGED => 1 << 40,
            _ => {
                self.sent_at = self.now;
                self.counter += 1;
                self.counter
            }
        };
        let mut packet = [0; 15];
        packet[..8].copy_from_slice(&counter.to_be_bytes());
        packet[8..12].copy_from_slice(&id.block.to_be_bytes());
        packet[12..14].copy_from_slice(&id.index.to_be_bytes());
        packet[14] = kind;
        for node in &mut self.nodes {
            node.data.send(self.now, packet);
        }
    }

    fn tick_node(&mut self, place: usize) {
        let now = self.now;
        let node = &mut self.nodes[place];
        if node
            .pauses
            .as_ref()
            .is_some_and(|pause| pause.contains(&now))
        {
            // What overflows the socket's buffer is lost.
            while node.data.poll(now).is_some() {}
            return;
        }
        node.hear(now);
        node.listen(now, self.rng.u64(0..3));
        node.restore(now);
        node.ask(now, &self.layout);
        self.answer(place);
    }

    fn answer(&mut self, place: usize) {
        while let Some(request) = self.nodes[place].up.poll(self.now) {
            let node = &mut self.nodes[place];
            match request {
                Request::Report { round, lacks } => {
                    self.reports += 1;
                    self.reported_blocks += lacks.len() as u64;
                    if self.sender.on_report(node.id, round, lacks).is_err() {
                        self.invalid_reports += 1;
                        self.sender.leave(node.id);
                        node.behaviour = Behaviour::Mute;
                    }
                }
                Request::Fetch { block, ranges } => {
                    let shards = ranges.iter().map(|range| range.len() as u64);
                    node.fetched += shards.sum::<u64>();
                    if !self.over && std::mem::take(&mut node.in_group) {
                        self.sender.leave(node.id);
                    }
                    node.down.send(self.now, Down::Shards(block, ranges));
                }
            }
        }
    }

    /// When the last correct member had everything.
    fn took(&self) -> Duration {
        let whole = self.nodes.iter().filter_map(|node| node.whole_at);
        whole.max().unwrap() - self.began
    }
}

fn small() -> Layout {
    Layout::with(64 * (64 * 4 + 17) - 5, 64, 64, 32).unwrap()
}

/// 20 blocks of 256 shards; five seconds at one shard a tick.
fn long() -> Layout {
    Layout::with(64 * 256 * 20, 64, 256, 64).unwrap()
}

fn lossy(loss: f64) -> LinkConfig {
    LinkConfig::default()
        .loss(LossModel::independent(loss))
        .delay(TICK)
}

const TICK: Duration = Duration::from_millis(1);
const MAX_TICKS: u32 = 60_000;
