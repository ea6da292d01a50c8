//! What sealing costs: each figure beside that of plain datagrams, in one run.
//!
//! ```text
//! cargo bench -p sockkit-media --features sealing --bench seal
//! ```
//!
//! Throughput is in bytes of pictures, on one core. "send" is from a picture's message to
//! its datagrams, "receive" from those to the message, "show" from those to pixels.

#![allow(clippy::unwrap_used, reason = "a bench may panic")]

use std::{
    hint::black_box,
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use sockkit_codec::shard::{
    MessageKind, Older, Parity, SplitConfig, Splitter, StreamId, seal::Suite,
};
use sockkit_link::{
    channel::{Filter, Inbound, IncomingDatagram, Limits},
    sealing::{Direction, Key, Opener, Sealer},
};
use sockkit_media::{
    picture::{Picture, jpeg},
    source::clip::bundled,
};

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .sample_size(60)
        .configure_from_args();
    let camera = camera_picture();
    for (width, height) in [(640, 480), (1_280, 720)] {
        let picture = jpeg::encode(&camera.resize(width, height).unwrap(), 80).unwrap();
        let message = picture.to_message().unwrap();
        let mut group = criterion.benchmark_group(format!("{width}x{height}"));
        group.throughput(Throughput::Bytes(message.len() as u64));
        for seal in [
            Seal::None,
            Seal::With(Suite::Aes128Gcm),
            Seal::With(Suite::ChaCha20Poly1305),
        ] {
            send(&mut group, &message, seal);
            receive(&mut group, &message, seal, "receive", |_| ());
            receive(&mut group, &message, seal, "show", |message| {
                let picture = Picture::from_message(message).unwrap();
                black_box(jpeg::decode(&picture).unwrap());
            });
        }
        group.finish();
    }
    criterion.final_summary();
}

#[derive(Clone, Copy)]
enum Seal {
    None,
    With(Suite),
}

impl Seal {
    fn name(self) -> String {
        match self {
            Self::None => "plain".to_owned(),
            Self::With(suite) => format!("{suite:?}"),
        }
    }

    fn outbound(self) -> Outbound {
        let splitter = Splitter::new(SplitConfig::default(), StreamId(1));
        let (key, direction) = (Key::new(&[7; 32]), Direction::FromSender);
        match self {
            Self::None => Outbound::Plain(splitter),
            Self::With(suite) => Outbound::Sealed(Box::new(Sealer::with_suite(
                key, direction, splitter, suite,
            ))),
        }
    }

    fn inbound(self) -> Inbound {
        let inbound = Inbound::new(Filter::default(), &Limits::default(), Older::GiveUp);
        match self {
            Self::None => inbound,
            Self::With(_) => inbound.sealed(Opener::new(Key::new(&[7; 32]), Direction::FromSender)),
        }
    }
}

enum Outbound {
    Plain(Splitter),
    Sealed(Box<Sealer>),
}

impl Outbound {
    fn split<R>(&mut self, message: &[u8], take: impl FnOnce(&[u8], usize) -> R) -> R {
        let shards = match self {
            Self::Plain(splitter) => splitter.split_parts(MessageKind(1), &[message], Parity::NONE),
            Self::Sealed(sealer) => sealer.split_parts(MessageKind(1), &[message], Parity::NONE),
        };
        let shards = shards.unwrap();
        take(shards.as_bytes(), shards.segment_bytes())
    }
}

fn send(group: &mut BenchmarkGroup<'_, WallTime>, message: &[u8], seal: Seal) {
    let mut outbound = seal.outbound();
    group.bench_function(format!("send, {}", seal.name()), |bencher| {
        bencher.iter(|| {
            outbound.split(black_box(message), |bytes, _| {
                black_box(bytes);
            });
        });
    });
}

fn receive(
    group: &mut BenchmarkGroup<'_, WallTime>,
    message: &[u8],
    seal: Seal,
    name: &str,
    take: impl Fn(Bytes),
) {
    let (mut outbound, mut inbound) = (seal.outbound(), seal.inbound());
    let (now, from) = (Instant::now(), SocketAddr::from(([127, 0, 0, 1], 5_006)));
    group.bench_function(format!("{name}, {}", seal.name()), |bencher| {
        bencher.iter_batched(
            || outbound.split(message, |bytes, length| (bytes.to_vec(), length)),
            |(bytes, length)| {
                for datagram in bytes.chunks(length) {
                    let datagram = IncomingDatagram {
                        bytes: datagram,
                        from,
                        to: None,
                    };
                    if let Some(whole) = inbound.handle_datagram(now, &datagram).unwrap() {
                        take(whole.bytes);
                    }
                }
                bytes
            },
            BatchSize::SmallInput,
        );
    });
}

/// The clip's first picture, as RGB.
fn camera_picture() -> Picture {
    let mut splitter = jpeg::Splitter::new(1 << 20);
    splitter.push(bundled());
    let first = splitter.take().unwrap();
    Picture::from_jpeg(first).unwrap().to_rgb().unwrap()
}
