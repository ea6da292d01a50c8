//! How long some members delay the others.

use std::time::Duration;

use super::{Behaviour, Layout, TICK, World, long, lossy};

/// How long eight receivers took, of which seven are as usual.
pub(super) fn took(loss: f64, change: impl FnOnce(&mut World)) -> Duration {
    let mut world = World::new(long(), 3);
    world.shards_per_tick = 1.0;
    for _ in 0..7 {
        world.add(lossy(loss), Behaviour::Correct);
    }
    change(&mut world);
    world.run();
    let usual = world.nodes.iter().take(7).filter_map(|node| node.whole_at);
    usual.max().unwrap() - world.began
}

#[track_caller]
pub(super) fn check_delay(change: impl Fn(&mut World)) {
    for loss in [0.03, 0.0] {
        check_delay_at(loss, &change);
    }
}

#[track_caller]
pub(super) fn check_delay_at(loss: f64, change: impl FnOnce(&mut World)) {
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
        node.restarts.push_back(node.joins + TICK * 3_000);
    });
}

#[test]
fn one_that_joins_in_the_middle_delays_the_others_little_and_ends_whole() {
    check_delay(|world| {
        let node = world.add(lossy(0.03), Behaviour::Correct);
        node.joins += TICK * 2_500;
    });
}

/// What was sent before they joined is not taken for loss, of which the median would be high.
#[test]
fn more_late_members_than_others_do_not_slow_the_sender_down() {
    let long_block = Layout::with(32 << 20, 1_444, 3_072, 1_024).unwrap();
    let took = |late: &[u32]| {
        let mut world = World::new(long_block, 3);
        world.shards_per_tick = 2.0;
        world.add(lossy(0.01), Behaviour::Correct);
        for joins in late {
            world.add(lossy(0.01), Behaviour::Correct).joins += TICK * *joins;
        }
        world.run();
        (world.nodes[0].whole_at.unwrap() - world.began).as_secs_f64()
    };
    let (alone, delayed) = (took(&[0, 0, 0]), took(&[400, 600, 700]));
    assert!(delayed <= 1.05 * alone, "{delayed} instead of {alone}");
}

#[test]
fn one_that_hears_nothing_is_served_before_the_end() {
    let mut world = World::new(long(), 3);
    world.shards_per_tick = 1.0;
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
