//! How fast it is sent.

use sockkit_testing::sim::{LinkConfig, LossModel};

use super::{Behaviour, Layout, Packet, World};

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
