//! In the steady state no datagram costs an allocation.

use std::{net::SocketAddr, time::Instant};

use sockkit_codec::shard::{
    MessageKind, Parity, Reassembler, ReassemblyConfig, SplitConfig, Splitter, StreamId,
};

/// Sends 1,000 messages after 50 for warming up; returns the allocations.
fn allocations(message_bytes: usize, parity: Parity, lost: usize) -> u64 {
    let message = vec![1; message_bytes];
    let mut splitter = Splitter::new(SplitConfig::default(), StreamId(1));
    let mut reassembler = Reassembler::new(ReassemblyConfig::default());
    let mut run = |messages| {
        let mut held = None;
        for _ in 0..messages {
            let shards = splitter.split(MessageKind(1), &message, parity).unwrap();
            for datagram in shards.datagrams().skip(lost) {
                let taken = reassembler.handle_datagram(Instant::now(), FROM, datagram);
                // The reader keeps each message until the next one comes.
                held = taken.unwrap().or(held);
            }
        }
        held.expect("messages arrive");
    };
    run(50);
    allocation_counter::measure(|| run(1_000)).count_total
}

#[test]
fn long_messages_cost_one_small_allocation_each() {
    // The count of readers of a message; its 44 datagrams cost none.
    assert_eq!(allocations(60_000, Parity::NONE, 0), 1_000);
    assert_eq!(allocations(60_000, Parity::percent(20), 0), 1_000);
}

#[test]
fn repairing_a_message_costs_no_more() {
    assert_eq!(allocations(60_000, Parity::percent(20), 9), 1_000);
}

#[test]
fn short_messages_share_blocks() {
    assert!(allocations(200, Parity::NONE, 0) <= 50);
    assert!(allocations(1_364, Parity::percent(100), 0) <= 200);
}

const FROM: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5_006);
