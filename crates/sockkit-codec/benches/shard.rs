//! Splitting and reassembling messages, with and without parity and loss.
//!
//! ```text
//! cargo bench -p sockkit-codec --bench shard
//! ```
//!
//! Throughput is in bytes of messages, on one core.

use std::{hint::black_box, net::SocketAddr, time::Instant};

use criterion::{BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use sockkit_codec::shard::{
    MessageKind, Parity, Reassembler, ReassemblyConfig, SplitConfig, Splitter, StreamId,
};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for message_bytes in [60_000, 921_600] {
        let mut group = criterion.benchmark_group(format!("{message_bytes} bytes"));
        group.throughput(Throughput::Bytes(message_bytes as u64));
        for percent in [0, 20, 50] {
            split(&mut group, message_bytes, percent);
        }
        reassemble(&mut group, "reassemble", message_bytes, 0, Fate::AllCome);
        reassemble(&mut group, "reassemble", message_bytes, 20, Fate::AllCome);
        reassemble(
            &mut group,
            "repair 5 % of",
            message_bytes,
            20,
            Fate::OneInTwentyLost,
        );
        reassemble(&mut group, "reverse", message_bytes, 0, Fate::Reversed);
        group.finish();
    }
    criterion.final_summary();
}

fn split(group: &mut BenchmarkGroup<'_, WallTime>, message_bytes: usize, percent: u8) {
    let message = message(message_bytes);
    let mut splitter = Splitter::new(SplitConfig::default(), StreamId(1));
    group.bench_function(format!("split, {percent} % parity"), |bencher| {
        bencher.iter(|| {
            let shards = splitter.split(
                MessageKind(1),
                black_box(&message),
                Parity::percent(percent),
            );
            black_box(shards.expect("short enough").as_bytes());
        });
    });
}

/// What becomes of the datagrams on the way.
#[derive(Clone, Copy)]
enum Fate {
    AllCome,
    OneInTwentyLost,
    Reversed,
}

fn reassemble(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    message_bytes: usize,
    percent: u8,
    fate: Fate,
) {
    let mut splitter = Splitter::new(SplitConfig::default(), StreamId(1));
    let message = message(message_bytes);
    let parity = Parity::percent(percent);
    let shards = splitter
        .split(MessageKind(1), &message, parity)
        .expect("short enough");
    let mut datagrams: Vec<_> = shards.datagrams().map(<[u8]>::to_vec).collect();
    match fate {
        Fate::AllCome => {}
        Fate::OneInTwentyLost => {
            let mut index = 0;
            datagrams.retain(|_| {
                index += 1;
                index % 20 != 7
            });
        }
        Fate::Reversed => datagrams.reverse(),
    }
    let mut reassembler = Reassembler::new(ReassemblyConfig::default());
    let (now, from) = (Instant::now(), SocketAddr::from(([127, 0, 0, 1], 5_006)));
    let mut number = 0_u64;
    group.bench_function(format!("{name}, {percent} % parity"), |bencher| {
        bencher.iter(|| {
            let mut arrived = None;
            for datagram in &mut datagrams {
                // The next message of the stream, made without splitting it.
                datagram[NUMBER].copy_from_slice(&number.to_be_bytes());
                let taken = reassembler.handle_datagram(now, from, datagram);
                arrived = taken.expect("good datagrams").or(arrived);
            }
            number += 1;
            assert_eq!(arrived.expect("enough come").bytes.len(), message_bytes);
        });
    });
}

fn message(message_bytes: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(1);
    (0..message_bytes).map(|_| random.u8(..)).collect()
}

/// Where a header holds the message's number.
const NUMBER: std::ops::Range<usize> = 12..20;
