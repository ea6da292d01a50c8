//! Arithmetic of the parity code, with a cost proportional to the message.
//!
//! Before a decoder computes a lost shard it needs, for every shard's position
//! x, the product of (x - y) over all lost positions y. In logarithms this is a
//! convolution of the lost positions with the table of logarithms, and since
//! subtraction is exclusive or here, Walsh-Hadamard transforms compute it. The
//! crate transforms all 65,536 positions of the code each time, which takes most
//! of the repair of a message of 44 shards. This engine transforms only the
//! positions that the message uses. The result, and so the wire format, is the
//! same.

use std::{iter::zip, sync::OnceLock};

use reed_solomon_simd::engine::{
    DefaultEngine, Engine, GF_BITS, GF_ORDER, GfElement, ShardsRefMut, tables,
};

/// [`DefaultEngine`], except for the products of lost positions.
#[derive(Default)]
pub(super) struct SmallEngine(DefaultEngine);

impl Engine for SmallEngine {
    fn fft(
        &self,
        data: &mut ShardsRefMut<'_>,
        pos: usize,
        size: usize,
        truncated_size: usize,
        skew_delta: usize,
    ) {
        self.0.fft(data, pos, size, truncated_size, skew_delta);
    }

    fn ifft(
        &self,
        data: &mut ShardsRefMut<'_>,
        pos: usize,
        size: usize,
        truncated_size: usize,
        skew_delta: usize,
    ) {
        self.0.ifft(data, pos, size, truncated_size, skew_delta);
    }

    fn mul(&self, x: &mut [[u8; 64]], log_m: GfElement) {
        self.0.mul(x, log_m);
    }

    /// Fills in the positions in use, which are all that a decoder reads; those
    /// behind keep their marks.
    fn eval_poly(erasures: &mut [GfElement; GF_ORDER], truncated_size: usize) {
        let behind_is_lost = truncated_size == GF_ORDER;
        let in_use = if behind_is_lost {
            GF_ORDER - marked_at_end(erasures)
        } else {
            truncated_size
        };
        let size = in_use.next_power_of_two();
        let (Some(marks), Some(weights)) = (erasures.get_mut(..size), weights(size)) else {
            return DefaultEngine::eval_poly(erasures, truncated_size);
        };
        if behind_is_lost {
            // All differences together multiply to 1, so one mark less at every
            // position changes nothing, and leaves none behind those in use.
            for mark in &mut *marks {
                *mark = sub(*mark, 1);
            }
        }
        transform(marks);
        for (value, weight) in zip(&mut *marks, weights) {
            *value = mul(*value, *weight);
        }
        transform(marks);
    }
}

/// Number of positions at the end that are all marked as lost, in whole
/// [`CHUNK`]s.
fn marked_at_end(erasures: &[GfElement; GF_ORDER]) -> usize {
    let chunks = erasures.rchunks_exact(CHUNK);
    chunks.take_while(|chunk| !chunk.contains(&0)).count() * CHUNK
}

/// The transform of the first `size` logarithms, divided by `size`; `None` for
/// the whole code, for which the crate has a table.
fn weights(size: usize) -> Option<&'static [GfElement]> {
    static TABLES: [OnceLock<Vec<GfElement>>; GF_BITS] = [const { OnceLock::new() }; GF_BITS];
    let size_bits = size.trailing_zeros();
    let table = TABLES.get(size_bits as usize)?;
    Some(table.get_or_init(|| {
        let mut logarithms: Vec<_> = tables::get_exp_log()
            .log
            .iter()
            .copied()
            .take(size)
            .collect();
        // The difference of a position to itself is not a factor.
        if let Some(first) = logarithms.first_mut() {
            *first = 0;
        }
        transform(&mut logarithms);
        // Two transforms multiply by `size`, which is 2 to the `size_bits`.
        // Modulo 2^16 - 1 a rotation multiplies by a power of two, and a full
        // turn by 1.
        for value in &mut logarithms {
            *value = value.rotate_right(size_bits);
        }
        logarithms
    }))
}

/// The Walsh-Hadamard transform, in place, modulo 65,535.
fn transform(values: &mut [GfElement]) {
    let mut half = 1;
    while half < values.len() {
        for block in values.chunks_exact_mut(half * 2) {
            let (low, high) = block.split_at_mut(half);
            for (a, b) in zip(low, high) {
                (*a, *b) = (add(*a, *b), sub(*a, *b));
            }
        }
        half *= 2;
    }
}

/// The sum modulo 65,535, where 65,535 also represents zero.
fn add(a: GfElement, b: GfElement) -> GfElement {
    let (sum, carry) = a.overflowing_add(b);
    sum + GfElement::from(carry)
}

/// The difference modulo 65,535.
fn sub(a: GfElement, b: GfElement) -> GfElement {
    let (difference, borrow) = a.overflowing_sub(b);
    difference - GfElement::from(borrow)
}

/// The product modulo 65,535.
fn mul(a: GfElement, b: GfElement) -> GfElement {
    let [low0, low1, high0, high1] = (u32::from(a) * u32::from(b)).to_le_bytes();
    add(
        GfElement::from_le_bytes([low0, low1]),
        GfElement::from_le_bytes([high0, high1]),
    )
}

/// Positions processed together: a loop over this many needs no inner branch.
const CHUNK: usize = 64;

#[cfg(test)]
mod tests {
    use reed_solomon_simd::{
        ReedSolomonDecoder,
        engine::GF_MODULUS,
        rate::{DefaultRateDecoder, RateDecoder},
    };

    use super::*;

    /// The marks of a decoder: high rate has parity first, low rate data first
    /// and everything behind its shards lost.
    struct Marks {
        erasures: Box<[GfElement; GF_ORDER]>,
        truncated_size: usize,
        /// Positions that the decoder reads.
        read: usize,
    }

    fn marks(random: &mut fastrand::Rng, data: usize, parity: usize, high: bool) -> Marks {
        let (first, second) = if high { (parity, data) } else { (data, parity) };
        let start = first.next_power_of_two();
        let end = start + second;
        let mut erasures = Box::new([0; GF_ORDER]);
        let mut lost: Vec<usize> = (0..first).chain(start..end).collect();
        random.shuffle(&mut lost);
        for &position in &lost[..random.usize(..=parity)] {
            erasures[position] = 1;
        }
        let last = erasures[..end].iter().rposition(|&mark| mark == 0);
        if high {
            erasures[first..start].fill(1);
            return Marks {
                erasures,
                truncated_size: end,
                read: end,
            };
        }
        erasures[end..].fill(1);
        let read = last.expect("not all are lost") + 1;
        Marks {
            erasures,
            truncated_size: GF_ORDER,
            read,
        }
    }

    #[track_caller]
    fn check(random: &mut fastrand::Rng, data: usize, parity: usize, high: bool) {
        let Marks {
            erasures,
            truncated_size,
            read,
        } = marks(random, data, parity, high);
        let (mut ours, mut crates) = (erasures.clone(), erasures.clone());
        SmallEngine::eval_poly(&mut ours, truncated_size);
        DefaultEngine::eval_poly(&mut crates, truncated_size);
        // The work was no more than that: what lies behind was not touched.
        let in_use = if high {
            read
        } else {
            read.next_multiple_of(CHUNK)
        };
        let size = in_use.next_power_of_two();
        if size < GF_ORDER {
            assert_eq!(
                ours[size..],
                erasures[size..],
                "{data} + {parity}, high {high}"
            );
        }
        for position in 0..read {
            // Zero has two forms.
            let pair = [ours[position], crates[position]].map(|value| value % GF_MODULUS);
            assert_eq!(
                pair[0], pair[1],
                "{data} + {parity}, high {high}, at {position}"
            );
        }
    }

    #[test]
    fn products_equal_those_of_the_crate_for_short_messages() {
        let mut random = fastrand::Rng::with_seed(1);
        for round in 0..400 {
            let data = random.usize(1..=400);
            let parity = random.usize(1..=data + 32);
            check(&mut random, data, parity, round % 2 == 0);
        }
    }

    #[test]
    fn products_equal_those_of_the_crate_at_every_power_of_two() {
        let mut random = fastrand::Rng::with_seed(2);
        for bits in 0..15 {
            for data in [(1 << bits) - 1, 1 << bits, (1 << bits) + 1] {
                for parity in [1, data, data + 32] {
                    let fits =
                        |first: usize, second| first.next_power_of_two() + second <= GF_ORDER;
                    for high in [true, false] {
                        let (first, second) = if high { (parity, data) } else { (data, parity) };
                        if data > 0 && fits(first, second) {
                            check(&mut random, data, parity, high);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn the_whole_code_is_left_to_the_crate() {
        let mut random = fastrand::Rng::with_seed(3);
        assert!(weights(GF_ORDER / 2).is_some());
        assert!(weights(GF_ORDER).is_none());
        for (data, parity, high) in [(30_000, 20_000, true), (30_000, 32_768, false)] {
            let Marks {
                erasures,
                truncated_size,
                ..
            } = marks(&mut random, data, parity, high);
            let (mut ours, mut crates) = (erasures.clone(), erasures);
            SmallEngine::eval_poly(&mut ours, truncated_size);
            DefaultEngine::eval_poly(&mut crates, truncated_size);
            assert_eq!(ours, crates, "{data} + {parity}");
        }
    }

    /// Both decoders, given the same shards, restore what was encoded.
    fn restore(random: &mut fastrand::Rng, data: usize, parity: usize) {
        const SHARD_BYTES: usize = 66;
        let originals: Vec<[u8; SHARD_BYTES]> = (0..data)
            .map(|_| std::array::from_fn(|_| random.u8(..)))
            .collect();
        let recovery = reed_solomon_simd::encode(data, parity, &originals).unwrap();
        let mut come: Vec<usize> = (0..data + parity).collect();
        random.shuffle(&mut come);
        come.truncate(data);
        let mut ours =
            DefaultRateDecoder::new(data, parity, SHARD_BYTES, SmallEngine::default(), None)
                .unwrap();
        let mut crates = ReedSolomonDecoder::new(data, parity, SHARD_BYTES).unwrap();
        for index in come {
            if let Some(index) = index.checked_sub(data) {
                ours.add_recovery_shard(index, &recovery[index]).unwrap();
                crates.add_recovery_shard(index, &recovery[index]).unwrap();
            } else {
                ours.add_original_shard(index, originals[index]).unwrap();
                crates.add_original_shard(index, originals[index]).unwrap();
            }
        }
        let (ours, crates) = (ours.decode().unwrap(), crates.decode().unwrap());
        for (index, original) in originals.iter().enumerate() {
            let restored = ours.restored_original(index);
            assert_eq!(
                restored,
                crates.restored_original(index),
                "{data} + {parity}"
            );
            assert!(restored.is_none_or(|restored| restored == original));
        }
    }

    #[test]
    fn lost_shards_are_restored_for_many_shapes() {
        let mut random = fastrand::Rng::with_seed(4);
        for _ in 0..300 {
            let data = random.usize(1..=400);
            let parity = random.usize(1..=data + 32);
            restore(&mut random, data, parity);
        }
        for (data, parity) in [(4_096, 400), (10_000, 9_000), (20_000, 32), (30_000, 2_768)] {
            restore(&mut random, data, parity);
        }
    }

    #[test]
    fn arithmetic_is_modulo_65_535() {
        for a in [0, 1, 2, 32_767, 32_768, 65_533, 65_534, 65_535] {
            for b in [0, 1, 2, 32_767, 32_768, 65_533, 65_534, 65_535] {
                let wide = |value: GfElement| u64::from(value);
                let same =
                    |ours: GfElement, exact: u64| assert_eq!(wide(ours) % 65_535, exact % 65_535);
                same(add(a, b), wide(a) + wide(b));
                same(sub(a, b), wide(a) + 65_535 - wide(b));
                same(mul(a, b), wide(a) * wide(b));
            }
        }
    }
}
