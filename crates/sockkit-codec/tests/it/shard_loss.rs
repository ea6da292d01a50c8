//! How many messages survive a link that loses, repeats and reorders.

use std::time::Duration;

use sockkit_codec::shard::Parity;
use sockkit_testing::sim::{LinkConfig, LossModel};

use crate::shard_link::Run;

#[test]
fn four_thousand_messages_at_five_percent_loss() {
    check_loss(4_000);
}

#[test]
#[ignore = "soak"]
fn a_million_messages_at_five_percent_loss() {
    check_loss(1_000_000);
}

/// 60 KB messages at 5 % independent loss, at the two overheads promised.
fn check_loss(messages: u64) {
    for (parity, overhead, share_lost) in [
        (Parity::for_loss(LOSS, 1e-4), 0.28, 1e-3),
        (Parity::for_loss(LOSS, 1e-6), 0.35, 1e-5),
    ] {
        let run = Run::new(independent(LOSS), 60_000, parity, messages);
        println!("{messages} messages of 60 KB at {LOSS}: {run:?}");
        assert!(run.overhead <= overhead, "{run:?}");
        assert!(run.lost() as f64 <= messages as f64 * share_lost, "{run:?}");
        assert_eq!(run.stats.corrupt, 0);
    }
}

#[test]
fn short_messages_meet_the_target_of_long_ones() {
    check_short(1e-2, 2_000);
}

#[test]
#[ignore = "soak"]
fn short_messages_meet_a_strict_target() {
    check_short(1e-4, 1_000_000);
}

/// One target, for messages of one datagram and of many.
fn check_short(share_lost: f64, messages: u64) {
    for message_bytes in [1, 200, 1_364, 1_365, 5_000, 20_000] {
        let parity = Parity::for_loss(LOSS, share_lost);
        let run = Run::new(independent(LOSS), message_bytes, parity, messages);
        println!("{messages} messages of {message_bytes} bytes: {run:?}");
        // Chance alone does not make twice the mean of at least twenty.
        let most = 2.0 * messages as f64 * share_lost;
        assert!(run.lost() as f64 <= most, "{message_bytes} bytes: {run:?}");
    }
}

#[test]
fn every_message_survives_repetition_and_reorder() {
    let config = LinkConfig::default()
        .duplicate(0.3)
        .reorder(0.3, Duration::from_micros(1));
    let run = Run::new(config, 60_000, Parity::percent(20), 500);
    assert_eq!(run.lost(), 0, "{run:?}");
    assert!(run.stats.duplicates > 0 && run.stats.late > 0);
}

fn independent(share: f64) -> LinkConfig {
    LinkConfig::default().loss(LossModel::independent(share))
}

const LOSS: f64 = 0.05;
