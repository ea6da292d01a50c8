//! Networks of every kind.

use sockkit_testing::sim::{LinkConfig, LossModel};

use super::{Behaviour, Layout, TICK, World, small};

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

/// Returns how often the sender polled while it sent data.
fn check_seed(seed: u64) -> u64 {
    let layout = small();
    let mut world = World::new(layout, seed);
    let mut rng = fastrand::Rng::with_seed(seed);
    let data = total(&layout, Layout::data_shards);
    // All within 27 ms, or so slowly that what is sent is repaired meanwhile.
    world.shards_per_tick = [10.0, 0.1, 0.05][rng.usize(..3)];
    let pass_ticks = data as f64 / world.shards_per_tick;
    for _ in 0..rng.u8(10..=100) {
        let node = world.add(any_link(&mut rng), Behaviour::Correct);
        let at = node.joins + TICK.mul_f64(2.0 * pass_ticks * rng.f64());
        match rng.u8(..20) {
            0 => node.joins = at,
            1 => node.restarts.push_back(at),
            2 => node.pauses = Some(at..at + TICK * rng.u32(1..400)),
            _ => {}
        }
    }
    world.run();
    let parity = total(&layout, Layout::parity_shards);
    let after_pass = world.polls - world.polls_in_pass;
    assert!(world.sent <= data + parity, "seed {seed}");
    assert!(after_pass <= 12, "seed {seed}: {after_pass} polls");
    let members = world.nodes.len() as u64;
    assert!(world.reports <= members * world.polls, "seed {seed}");
    let fetched = world.nodes.iter().map(|node| node.fetched).max();
    assert!(fetched <= Some(data), "seed {seed}: {fetched:?}");
    world.polls_in_pass
}

fn total(layout: &Layout, of_block: impl Fn(&Layout, u32) -> u16) -> u64 {
    let blocks = 0..layout.blocks();
    blocks.map(|block| u64::from(of_block(layout, block))).sum()
}

#[test]
fn every_receiver_that_hears_half_ends_whole() {
    let polls: u64 = (0..100).map(check_seed).sum();
    assert!(polls > 50, "{polls} while data was sent");
}

#[test]
#[ignore = "soak"]
fn ten_thousand_networks_of_a_hundred_receivers() {
    for seed in 0..10_000 {
        check_seed(seed);
    }
}
