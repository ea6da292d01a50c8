//! Both halves under a simulated network: lossy multicast, reliable connections.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::Range,
    time::{Duration, Instant},
};

use sockkit_testing::sim::{Link, LinkConfig, LossModel};

use super::{GroupReceiver, GroupSender, Lack, Layout, MemberId, Request, ShardId, Step};

/// Counter, block, index, whether it is forged.
type Packet = [u8; 15];

enum Down {
    Poll {
        round: u32,
        blocks: Range<u32>,
        newest: u64,
    },
    Over,
    Shards(u32, Vec<Range<u16>>),
}

struct Wire<T>(VecDeque<(Instant, T)>);

impl<T> Wire<T> {
    fn send(&mut self, now: Instant, message: T) {
        self.0.push_back((now + 2 * TICK, message));
    }

    fn poll(&mut self, now: Instant) -> Option<T> {
        let is_due = self.0.front().is_some_and(|(at, _)| *at <= now);
        is_due
            .then(|| self.0.pop_front())
            .flatten()
            .map(|(_, message)| message)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Behaviour {
    Correct,
    /// Always lacks so many shards of every block.
    Lies(u16),
    /// Never answers.
    Mute,
    /// Answers what no correct member answers.
    Invalid,
}

struct Node {
    id: MemberId,
    behaviour: Behaviour,
    receiver: Option<GroupReceiver>,
    joins: Instant,
    restarts: Option<Instant>,
    pauses: Option<Range<Instant>>,
    data: Link<Packet>,
    down: Wire<Down>,
    up: Wire<Request>,
    /// Blocks that were asked for last.
    polled: Range<u32>,
    /// Blocks of which a forged shard was kept.
    poisoned: BTreeSet<u32>,
    whole_at: Option<Instant>,
    fetched: u64,
}

struct World {
    layout: Layout,
    began: Instant,
    now: Instant,
    sender: GroupSender,
    shards_per_tick: u32,
    /// Shards that the rate allows now.
    credit: f64,
    counter: u64,
    next_id: u64,
    nodes: Vec<Node>,
    rng: fastrand::Rng,
    /// Members with the key that multicast forged shards, each tick.
    forged_per_tick: u32,
    /// Data and parity shards sent.
    sent: u64,
    polls: u64,
    reports: u64,
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
            shards_per_tick: 10,
            credit: 0.0,
            counter: 0,
            next_id: 0,
            nodes: Vec::new(),
            rng: fastrand::Rng::with_seed(seed),
            forged_per_tick: 0,
            sent: 0,
            polls: 0,
            reports: 0,
            invalid_reports: 0,
            over: false,
        }
    }

    fn add(&mut self, link: LinkConfig, behaviour: Behaviour) -> &mut Node {
        let id = self.new_id();
        let data = Link::new(link, self.rng.u64(..));
        self.nodes.push(Node {
            id,
            behaviour,
            receiver: None,
            joins: self.now,
            restarts: None,
            pauses: None,
            data,
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
            let is_done = |node: &Node| {
                node.whole_at.is_some()
                    || matches!(node.behaviour, Behaviour::Mute | Behaviour::Lies(_))
                    || node.behaviour == Behaviour::Invalid
            };
            if self.over && self.nodes.iter().all(is_done) {
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
            let restarts = node.restarts.take_if(|at| *at <= now).is_some();
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
        self.sender.join(id);
        if self.over {
            node.down.send(self.now, Down::Over);
        }
    }

    fn send(&mut self) {
        self.credit += f64::from(self.shards_per_tick) * self.sender.rate_share();
        while self.credit >= 1.0 && !self.over {
            match self.sender.next(self.now) {
                Step::Send(id) => {
                    self.credit -= 1.0;
                    self.sent += 1;
                    self.multicast(id, false);
                }
                Step::Poll { round, blocks } => {
                    self.polls += 1;
                    for node in &mut self.nodes {
                        let (blocks, newest) = (blocks.clone(), self.counter);
                        node.down.send(
                            self.now,
                            Down::Poll {
                                round,
                                blocks,
                                newest,
                            },
                        );
                    }
                }
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
        for _ in 0..self.forged_per_tick {
            let block = self.rng.u32(0..self.layout.blocks() + 1);
            let index = self.rng.u16(..200);
            self.multicast(ShardId { block, index }, true);
        }
    }

    fn multicast(&mut self, id: ShardId, is_forged: bool) {
        self.counter += 1;
        let mut packet = [0; 15];
        packet[..8].copy_from_slice(&self.counter.to_be_bytes());
        packet[8..12].copy_from_slice(&id.block.to_be_bytes());
        packet[12..14].copy_from_slice(&id.index.to_be_bytes());
        packet[14] = u8::from(is_forged);
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
                    if self.sender.on_report(node.id, round, lacks).is_err() {
                        self.invalid_reports += 1;
                        self.sender.leave(node.id);
                        node.behaviour = Behaviour::Mute;
                    }
                }
                Request::Fetch { block, ranges } => {
                    let shards = ranges.iter().map(|range| range.len() as u64);
                    node.fetched += shards.sum::<u64>();
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

impl Node {
    fn hear(&mut self, now: Instant) {
        while let Some(packet) = self.data.poll(now) {
            let Some(receiver) = &mut self.receiver else {
                continue;
            };
            let counter = u64::from_be_bytes(packet[..8].try_into().unwrap());
            let block = u32::from_be_bytes(packet[8..12].try_into().unwrap());
            let index = u16::from_be_bytes(packet[12..14].try_into().unwrap());
            if receiver.on_shard(counter, ShardId { block, index }) && packet[14] == 1 {
                self.poisoned.insert(block);
            }
        }
    }

    fn listen(&mut self, now: Instant, delay: u64) {
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
    fn restore(&mut self, now: Instant) {
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

    fn ask(&mut self, now: Instant, layout: &Layout) {
        let Some(receiver) = &mut self.receiver else {
            return;
        };
        while let Some(mut request) = receiver.poll_request(now) {
            if let Request::Report { lacks, .. } = &mut request {
                let shards_of = |block| layout.data_shards(block);
                match self.behaviour {
                    Behaviour::Correct => {}
                    Behaviour::Mute => continue,
                    Behaviour::Lies(shards) => {
                        let lack = |block| Lack {
                            block,
                            shards: shards.min(shards_of(block)),
                        };
                        *lacks = self.polled.clone().map(lack).collect();
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

/// Any link that delivers at least half.
fn any_link(rng: &mut fastrand::Rng) -> LinkConfig {
    let loss = match rng.u8(..10) {
        0 => 0.5 * rng.f64(),
        1..4 => 0.1 * rng.f64(),
        4..6 => 0.0,
        _ => 0.05,
    };
    let loss = match rng.u8(..3) {
        0 => LossModel::bursts(loss, 2.0 + 4.0 * rng.f64()),
        _ => LossModel::independent(loss),
    };
    LinkConfig::default()
        .loss(loss)
        .duplicate(0.02)
        .reorder(0.02, 4 * TICK)
        .delay(TICK)
        .jitter(2 * TICK)
}

fn check_seed(seed: u64) {
    let layout = small();
    let mut world = World::new(layout, seed);
    let mut rng = fastrand::Rng::with_seed(seed);
    for _ in 0..100 {
        let node = world.add(any_link(&mut rng), Behaviour::Correct);
        let at = node.joins + TICK * rng.u32(1..60);
        match rng.u8(..20) {
            0 => node.joins = at,
            1 => node.restarts = Some(at),
            2 => node.pauses = Some(at..at + TICK * rng.u32(1..400)),
            _ => {}
        }
    }
    world.run();
    let data: u64 = (0..layout.blocks())
        .map(|b| u64::from(layout.data_shards(b)))
        .sum();
    let parity: u64 = (0..layout.blocks())
        .map(|b| u64::from(layout.parity_shards(b)))
        .sum();
    assert!(world.sent <= data + parity, "seed {seed}");
    assert!(world.polls <= 13, "seed {seed}: {} polls", world.polls);
    assert!(world.reports <= 100 * world.polls, "seed {seed}");
    let fetched = world.nodes.iter().map(|node| node.fetched).max();
    assert!(fetched <= Some(data), "seed {seed}: {fetched:?}");
}

#[test]
fn every_receiver_that_hears_half_ends_whole() {
    (0..100).for_each(check_seed);
}

#[test]
#[ignore = "soak"]
fn ten_thousand_networks_of_a_hundred_receivers() {
    (0..10_000).for_each(check_seed);
}

/// Shards sent to `count` receivers, divided by those of the data.
fn cost(count: usize, loss: LossModel) -> f64 {
    let layout = Layout::new(64 << 20).unwrap();
    let mut world = World::new(layout, 1);
    world.shards_per_tick = 100;
    for _ in 0..count {
        world.add(LinkConfig::default().loss(loss), Behaviour::Correct);
    }
    world.run();
    let fetched: u64 = world.nodes.iter().map(|node| node.fetched).sum();
    assert_eq!(fetched, 0, "all by multicast");
    (world.sent * 1_444) as f64 / (64 << 20) as f64
}

#[test]
fn repairs_cost_what_the_worst_receiver_lacks() {
    assert!(cost(8, LossModel::none()) < 1.001);
    assert!(cost(8, LossModel::independent(0.05)) < 1.073);
    assert!(cost(8, LossModel::bursts(0.05, 4.0)) < 1.11);
}

#[test]
#[ignore = "soak"]
fn repairs_for_a_hundred_cost_hardly_more_than_for_eight() {
    assert!(cost(30, LossModel::independent(0.05)) < 1.08);
    assert!(cost(100, LossModel::independent(0.05)) < 1.085);
    assert!(cost(100, LossModel::independent(0.01)) < 1.03);
}

/// How long eight receivers took, of which seven are as usual.
fn took(loss: f64, change: impl FnOnce(&mut World)) -> Duration {
    let mut world = World::new(long(), 3);
    world.shards_per_tick = 1;
    for _ in 0..7 {
        world.add(lossy(loss), Behaviour::Correct);
    }
    change(&mut world);
    world.run();
    let usual = world.nodes.iter().take(7).filter_map(|node| node.whole_at);
    usual.max().unwrap() - world.began
}

#[track_caller]
fn check_delay(change: impl Fn(&mut World)) {
    for loss in [0.03, 0.0] {
        check_delay_at(loss, &change);
    }
}

#[track_caller]
fn check_delay_at(loss: f64, change: impl FnOnce(&mut World)) {
    let alone = took(loss, |_| {});
    let delayed = took(loss, change);
    assert!(
        delayed.as_secs_f64() <= 1.05 * alone.as_secs_f64(),
        "{delayed:?} instead of {alone:?}, {loss} lost"
    );
}

#[test]
fn a_receiver_that_lies_in_its_counts_delays_the_others_little() {
    for shards in [10, 40, 64, 256] {
        check_delay(|world| {
            world.add(lossy(0.0), Behaviour::Lies(shards));
        });
    }
}

#[test]
fn a_receiver_that_never_answers_delays_the_others_little() {
    check_delay(|world| {
        world.add(lossy(0.03), Behaviour::Mute);
    });
}

#[test]
fn a_paused_receiver_delays_the_others_little_and_ends_whole() {
    check_delay(|world| {
        let node = world.add(lossy(0.03), Behaviour::Correct);
        node.pauses = Some(node.joins + TICK * 2_000..node.joins + TICK * 32_000);
    });
}

#[test]
fn a_restarted_receiver_delays_the_others_little_and_ends_whole() {
    check_delay(|world| {
        let node = world.add(lossy(0.03), Behaviour::Correct);
        node.restarts = Some(node.joins + TICK * 3_000);
    });
}

#[test]
fn one_that_joins_in_the_middle_delays_the_others_little_and_ends_whole() {
    check_delay(|world| {
        let node = world.add(lossy(0.03), Behaviour::Correct);
        node.joins += TICK * 2_500;
    });
}

#[test]
fn one_that_hears_nothing_is_served_before_the_end() {
    let mut world = World::new(long(), 3);
    world.shards_per_tick = 1;
    world.add(lossy(0.0), Behaviour::Correct);
    world.add(lossy(1.0), Behaviour::Correct);
    world.run();
    let deaf = world.nodes[1].whole_at.unwrap() - world.began;
    assert!(
        deaf >= Duration::from_secs(2) && deaf < world.took() + TICK,
        "{deaf:?}"
    );
    assert_eq!(world.nodes[1].fetched, 20 * 256);
}

/// 400 blocks, ten seconds at ten shards a tick, over links of their own that carry so
/// many and lose some. Returns what was fetched, and the last rate.
fn feedback(carries: u64, loss: f64) -> (u64, f64) {
    let layout = Layout::with(64 * 256 * 400, 64, 256, 64).unwrap();
    let mut world = World::new(layout, 3);
    let packet = size_of::<Packet>();
    let link = LinkConfig::default()
        .loss(LossModel::independent(loss))
        .rate(carries * 1_000 * packet as u64)
        .queue_bytes(50 * packet);
    for _ in 0..3 {
        world.add(link.clone(), Behaviour::Correct);
    }
    // One that is far worse than the others does not count.
    let bad = LinkConfig::default().loss(LossModel::independent(0.45));
    world.add(bad, Behaviour::Correct);
    world.run();
    let fetched: u64 = world.nodes.iter().take(3).map(|node| node.fetched).sum();
    (fetched / 3, world.sender.rate_share())
}

#[test]
fn what_the_network_cannot_carry_is_sent_more_slowly() {
    let (fetched, share) = feedback(4, 0.01);
    assert!((0.3..0.6).contains(&share), "{share}");
    // Most of it in the first second, before anything is known.
    assert!(fetched < 102_400 / 5, "{fetched}");
}

#[test]
fn loss_that_does_not_depend_on_the_rate_does_not_lower_it() {
    let (fetched, share) = feedback(20, 0.18);
    assert!(share > 0.99, "{share}");
    assert!(fetched < 102_400 / 50, "{fetched}");
}

#[test]
fn reports_that_make_no_sense_have_no_effect() {
    check_delay(|world| {
        world.add(lossy(0.0), Behaviour::Invalid);
    });
    let mut world = World::new(small(), 4);
    world.add(lossy(0.05), Behaviour::Correct);
    world.add(lossy(0.0), Behaviour::Invalid);
    world.run();
    assert_eq!(world.invalid_reports, 1);
}

#[test]
fn a_member_that_floods_with_forged_shards_is_never_believed() {
    let mut world = World::new(small(), 5);
    world.forged_per_tick = 20;
    for _ in 0..4 {
        world.add(lossy(0.05), Behaviour::Correct);
    }
    world.run();
    let data = 64 * 4 + 17;
    for node in &world.nodes {
        // What is rejected twice is fetched once, over the own connection.
        assert!(node.fetched <= data, "{}", node.fetched);
    }
}

#[test]
fn liars_cannot_have_more_parity_sent_than_there_is() {
    let mut world = World::new(small(), 6);
    for _ in 0..50 {
        world.add(lossy(0.0), Behaviour::Lies(17));
    }
    world.add(lossy(0.05), Behaviour::Correct);
    world.run();
    let layout = small();
    let mut shards = BTreeMap::new();
    for block in 0..layout.blocks() {
        shards.insert(
            block,
            layout.data_shards(block) + layout.parity_shards(block),
        );
    }
    let most: u64 = shards.values().map(|shards| u64::from(*shards)).sum();
    assert!(world.sent <= most, "{}", world.sent);
    assert!(world.polls <= 13);
}

#[test]
fn what_comes_from_the_own_connection_and_does_not_match_is_an_error() {
    let layout = small();
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
    let layout = small();
    let mut receiver = GroupReceiver::new(layout, Instant::now());
    for index in (0..64).step_by(2).chain(64..80) {
        assert!(receiver.on_shard(1, ShardId { block: 0, index }));
    }
    receiver.on_over();
    let Some(Request::Fetch { block: 0, ranges }) = receiver.poll_request(Instant::now()) else {
        panic!("16 of the data are lacking");
    };
    assert_eq!(ranges.iter().map(ExactSizeIterator::len).sum::<usize>(), 16);
}

const TICK: Duration = Duration::from_millis(1);
const MAX_TICKS: u32 = 60_000;
