//! Repair by the parity code as its crate has it, and with our engine.
//!
//! ```text
//! cargo bench -p sockkit-codec --bench repair
//! ```
//!
//! The two take turns in one thread, on the same shards: 1,364 bytes each, 25 %
//! parity, every twentieth lost. Each line has the medians of the rounds, and of
//! the rounds' ratios the median and the quartiles.

use std::{hint::black_box, time::Instant};

use engine::SmallEngine;
use reed_solomon_simd::{
    engine::{DefaultEngine, Engine},
    rate::{DefaultRateDecoder, RateDecoder},
};

// The library's own file, because the type is private to it.
#[expect(dead_code, reason = "the helpers of its unit tests")]
#[path = "../src/shard/reassemble/engine.rs"]
mod engine;

fn main() {
    println!("data + parity, lost: as the crate, with our engine, ratio of the rounds");
    for (data, parity) in [
        (1, 4),
        (4, 8),
        (16, 8),
        (44, 11),
        (100, 25),
        (330, 83),
        (660, 165),
    ] {
        compare(&Received::new(data, parity));
    }
}

fn compare(received: &Received) {
    let mut theirs = received.decoder(DefaultEngine::new());
    let mut ours = received.decoder(SmallEngine::default());
    let mut rounds = Vec::new();
    for _ in 0..=ROUNDS {
        rounds.push((received.time(&mut theirs), received.time(&mut ours)));
    }
    // The first fills tables and caches.
    rounds.remove(0);
    let theirs = sorted(rounds.iter().map(|round| round.0));
    let ours = sorted(rounds.iter().map(|round| round.1));
    let ratios = sorted(rounds.iter().map(|round| round.0 / round.1));
    println!(
        "{} + {}, {}: {:.1} µs, {:.1} µs, {:.1} × ({:.1} to {:.1})",
        received.data,
        received.parity,
        received.lost,
        theirs[ROUNDS / 2],
        ours[ROUNDS / 2],
        ratios[ROUNDS / 2],
        ratios[ROUNDS / 4],
        ratios[ROUNDS * 3 / 4],
    );
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The shards of one message that came, as many as it has data shards.
struct Received {
    data: usize,
    parity: usize,
    /// Data shards lost.
    lost: usize,
    shards: Vec<(usize, Vec<u8>)>,
}

impl Received {
    fn new(data: usize, parity: usize) -> Self {
        let mut random = fastrand::Rng::with_seed(1);
        let mut shards: Vec<Vec<u8>> = (0..data)
            .map(|_| (0..SHARD_BYTES).map(|_| random.u8(..)).collect())
            .collect();
        shards.extend(reed_solomon_simd::encode(data, parity, &shards).expect("within the code"));
        // Of a short message the first, so that there is something to repair.
        let first = 7.min(data - 1);
        let come = |index: &usize| index % 20 != first;
        Self {
            data,
            parity,
            lost: (0..data).filter(|index| !come(index)).count(),
            shards: shards
                .into_iter()
                .enumerate()
                .filter(|(index, _)| come(index))
                .take(data)
                .collect(),
        }
    }

    fn decoder<E: Engine>(&self, engine: E) -> DefaultRateDecoder<E> {
        DefaultRateDecoder::new(self.data, self.parity, SHARD_BYTES, engine, None)
            .expect("within the code")
    }

    /// Microseconds that one repair takes.
    fn time<E: Engine>(&self, decoder: &mut DefaultRateDecoder<E>) -> f64 {
        let start = Instant::now();
        for _ in 0..REPAIRS {
            for (index, shard) in &self.shards {
                match index.checked_sub(self.data) {
                    None => decoder.add_original_shard(*index, shard),
                    Some(parity) => decoder.add_recovery_shard(parity, shard),
                }
                .expect("each comes once");
            }
            let decoded = decoder.decode().expect("enough come");
            assert_eq!(decoded.restored_original_iter().count(), self.lost);
            black_box(decoded.restored_original(0));
        }
        start.elapsed().as_secs_f64() * 1e6 / f64::from(REPAIRS)
    }
}

const SHARD_BYTES: usize = 1_364;
const REPAIRS: u32 = 20;
const ROUNDS: usize = 101;
