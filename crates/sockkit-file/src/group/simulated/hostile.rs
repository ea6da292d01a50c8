//! Members that do not keep to the protocol.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use super::{Behaviour, TICK, World, delays::check_delay, long, lossy, small};

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
    assert!(world.polls <= 12);
}

/// Shards sent to seven usual receivers and others.
fn sent(change: impl FnOnce(&mut World)) -> u64 {
    let mut world = World::new(long(), 3);
    world.shards_per_tick = 1.0;
    for _ in 0..7 {
        world.add(lossy(0.05), Behaviour::Correct);
    }
    change(&mut world);
    world.run();
    world.sent
}

/// A 32nd of all shards is sent for one host alone, and little more by chance.
#[track_caller]
fn check_sent(change: impl FnOnce(&mut World)) {
    let (usual, more) = (sent(|_| {}), sent(change));
    let most = usual + 20 * 256 / 32 + 20;
    assert!(more <= most, "{more} instead of {usual}");
}

#[test]
fn one_that_outbids_the_others_pays_for_all_that_is_sent() {
    for shards in [18, 22, 26] {
        check_sent(|world| {
            world.add(lossy(0.0), Behaviour::Outbids(shards));
        });
    }
}

const LIAR: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9));

#[test]
fn members_at_one_address_have_no_more_sent_than_one() {
    check_sent(|world| {
        for _ in 0..5 {
            world.add(lossy(0.0), Behaviour::Lies(40)).address = Some(LIAR);
        }
    });
}

#[test]
fn one_that_comes_back_has_no_more_sent() {
    check_sent(|world| {
        let node = world.add(lossy(0.0), Behaviour::Lies(40));
        node.address = Some(LIAR);
        // After each poll.
        let seconds = (1..10).map(Duration::from_secs);
        let restarts = seconds.map(|after| node.joins + after + TICK * 500);
        node.restarts = restarts.collect();
    });
}
