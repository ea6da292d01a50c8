//! What is sent, and what comes back.

use sockkit_testing::sim::{LinkConfig, LossModel};

use super::{Behaviour, Layout, World};

/// Bytes on the Ethernet, divided by those of the file.
#[derive(Clone, Copy, Debug)]
struct Costs {
    sent: f64,
    back: f64,
}

/// Those of 64 MiB at 100 Mbit/s.
fn costs(receivers: usize, loss: LossModel, seed: u64) -> Costs {
    let mut world = World::new(Layout::new(FILE_BYTES).unwrap(), seed);
    world.shards_per_tick = 100_000.0 / (8.0 * SHARD_PACKET as f64);
    for _ in 0..receivers {
        world.add(LinkConfig::default().loss(loss), Behaviour::Correct);
    }
    world.run();
    let fetched: u64 = world.nodes.iter().map(|node| node.fetched).sum();
    assert_eq!(fetched, 0, "all by multicast");
    let polls = world.polls * receivers as u64;
    let sent = world.sent * SHARD_PACKET
        + world.beacons * BEACON_PACKET
        + polls * (MESSAGE_PACKET + POLL_BYTES)
        + world.reports * ACKNOWLEDGEMENT;
    let back = world.reports * (MESSAGE_PACKET + REPORT_BYTES)
        + world.reported_blocks * LACK_BYTES
        + polls * ACKNOWLEDGEMENT;
    let ratio = |bytes: u64| bytes as f64 / FILE_BYTES as f64;
    Costs {
        sent: ratio(sent),
        back: ratio(back),
    }
}

#[track_caller]
fn check(receivers: usize, loss: LossModel, seeds: u64, most: f64) {
    for seed in 0..seeds {
        let costs = costs(receivers, loss, seed);
        println!("{receivers} receivers, {loss:?}: {costs:.4?}");
        assert!(costs.sent <= most && costs.back <= 0.002, "{costs:?}");
    }
}

#[test]
fn repairs_for_eight_cost_what_the_worst_lacks() {
    check(8, LossModel::none(), 1, 1.055);
    check(8, LossModel::independent(0.05), 1, 1.125);
    check(8, LossModel::bursts(0.05, 4.0), 1, 1.14);
}

#[test]
#[ignore = "soak"]
fn repairs_for_thirty_cost_hardly_more() {
    check(8, LossModel::independent(0.01), 10, 1.075);
    check(8, LossModel::independent(0.05), 10, 1.125);
    check(8, LossModel::bursts(0.05, 4.0), 10, 1.14);
    check(30, LossModel::independent(0.05), 10, 1.14);
    check(30, LossModel::bursts(0.05, 4.0), 10, 1.17);
}

const FILE_BYTES: u64 = 64 << 20;
/// With the headers of Ethernet, IPv4 and UDP, and the seal.
const SHARD_PACKET: u64 = 42 + 28 + 1_444;
const BEACON_PACKET: u64 = 42 + 28;
/// Ethernet, IPv4, TCP with timestamps.
const ACKNOWLEDGEMENT: u64 = 14 + 20 + 32;
/// With TLS's record, and the length and kind of the message.
const MESSAGE_PACKET: u64 = ACKNOWLEDGEMENT + 22 + 5;
const POLL_BYTES: u64 = 20;
const REPORT_BYTES: u64 = 4;
const LACK_BYTES: u64 = 6;
