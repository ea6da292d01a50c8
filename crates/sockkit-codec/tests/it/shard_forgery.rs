//! Restarted senders and forged shards: nothing false is ever delivered.

use std::time::Instant;

use sockkit_codec::shard::{
    HEADER_BYTES, MessageKind, Parity, ReassembledMessage, Reassembler, ReassemblyConfig,
    SplitConfig, Splitter, StreamId,
};

use crate::shard_link::{SENDER, Source};

#[test]
fn no_false_message_arrives() {
    check_forgery(3_000);
}

#[test]
#[ignore = "soak"]
fn no_false_message_arrives_of_a_million() {
    check_forgery(1_000_000);
}

/// No message that arrives differs from one sent, whatever is mixed in: the
/// sender restarts within a message, now and then with the same stream id; on
/// the way some shards are altered and some headers forged.
fn check_forgery(messages: u64) {
    let mut rng = fastrand::Rng::with_seed(3);
    let mut reassembler = Reassembler::new(ReassemblyConfig::default().max_messages(8));
    let source = Source::new(20_000);
    let mut splitter = Splitter::new(SplitConfig::default(), StreamId(0));
    let (mut intact, mut forged) = (0, 0);
    let now = Instant::now();
    for sent in 0..messages {
        if rng.u8(..) < 8 {
            // One in eight draws the number it had.
            let stream = splitter.stream().0 + u64::from(rng.u8(..8) > 0);
            splitter = Splitter::new(SplitConfig::default(), StreamId(stream));
        }
        let cut_short = rng.u8(..) < 8;
        let message = source.message(sent);
        let shards = splitter
            .split(MessageKind(1), message, Parity::percent(20))
            .unwrap();
        for (index, datagram) in shards.datagrams().enumerate() {
            if cut_short && index > 5 {
                break;
            }
            let mut datagram = datagram.to_vec();
            if rng.u16(..) < 400 {
                forged += 1;
                // The header as often as the shard.
                let end = rng.choice([HEADER_BYTES, datagram.len()]).unwrap();
                let place = rng.usize(..end);
                datagram[place] ^= 1 << rng.u8(..8);
            }
            let taken = reassembler.handle_datagram(now, SENDER, &datagram);
            if let Ok(Some(ReassembledMessage { bytes, .. })) = taken {
                // The content says which one it is.
                let number = u64::from_be_bytes(bytes[..8].try_into().unwrap());
                assert_eq!(bytes, source.message(number), "message {number}");
                intact += 1;
            }
        }
    }
    let stats = reassembler.stats();
    println!("{intact} of {messages} intact, {forged} shards forged: {stats:?}");
    assert!(intact > messages * 8 / 10, "{stats:?}");
    assert!(stats.corrupt > 0 && stats.malformed > 0, "{stats:?}");
}
