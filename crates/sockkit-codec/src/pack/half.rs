//! IEEE 754 half-precision floats, for the code `e`.

/// Rounds once, to nearest with ties to even. `None` if a finite number would
/// become infinite.
pub(super) fn from_f64(number: f64) -> Option<u16> {
    let sign = if number.is_sign_negative() { SIGN } else { 0 };
    if number.is_nan() {
        // One NaN of each sign: a half cannot carry a double's payload.
        return Some(sign | NAN);
    }
    if number.is_infinite() {
        return Some(sign | INFINITY);
    }
    // Subnormal numbers share the exponent of the smallest normal number.
    let exponent = (number.to_bits() >> 52 & 0x7ff).max(BIAS - 14);
    if exponent > BIAS + 15 {
        return None;
    }
    // A power of two, so that only the following conversion rounds.
    let places = number.abs() * f64::from_bits((2 * BIAS + 10 - exponent) << 52);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 2048: what rounds up to that is the next exponent's first"
    )]
    let places = places.round_ties_even() as u64;
    let magnitude = u16::try_from(((exponent + 14 - BIAS) << 10) + places).ok()?;
    (magnitude < INFINITY).then_some(sign | magnitude)
}

/// Exact; one NaN of each sign, as when packing.
pub(super) fn to_f64(half: u16) -> f64 {
    let (exponent, fraction) = (u64::from(half >> 10 & 0x1f), half & 0x3ff);
    let magnitude = match (exponent, fraction) {
        (0x1f, 0) => f64::INFINITY,
        (0x1f, _) => f64::NAN,
        (0, _) => f64::from(fraction) * power(1),
        _ => f64::from(0x400 | fraction) * power(exponent),
    };
    magnitude.copysign(if half & SIGN == 0 { 1.0 } else { -1.0 })
}

/// The unit in the last place of a half with this exponent: 2^-24 for the
/// smallest.
fn power(exponent: u64) -> f64 {
    f64::from_bits((BIAS - 25 + exponent) << 52)
}

const SIGN: u16 = 0x8000;
const INFINITY: u16 = 0x7c00;
const NAN: u16 = 0x7e00;
/// Exponent bias of an `f64`.
const BIAS: u64 = 1_023;

#[cfg(test)]
mod tests {
    use super::*;

    /// What CPython's `struct.pack('<e', x)` gives; `None` is its `OverflowError`.
    #[test]
    fn rounds_as_python_does() {
        let (last, tie) = (f64::powi(2.0, -24), f64::powi(2.0, -11));
        for (number, expected) in [
            (0.0, Some(0)),
            (1.0, Some(0x3c00)),
            (2.0, Some(0x4000)),
            (1.0 / 3.0, Some(0x3555)),
            (0.1, Some(0x2e66)),
            (1000.3, Some(0x63d1)),
            (1.0 + tie, Some(0x3c00)),
            (1.0 + 3.0 * tie, Some(0x3c02)),
            (1.0 + tie + f64::powi(2.0, -40), Some(0x3c01)),
            (2049.0, Some(0x6800)),
            (2051.0, Some(0x6802)),
            (4095.5, Some(0x6c00)),
            (65504.0, Some(0x7bff)),
            (65_519.999_999_999_99, Some(0x7bff)),
            (65520.0, None),
            (65536.0, None),
            (1e300, None),
            (f64::MAX, None),
            (last, Some(1)),
            (last / 2.0, Some(0)),
            (last / 2.0 * (1.0 + f64::EPSILON), Some(1)),
            (1.5 * last, Some(2)),
            (2.5 * last, Some(2)),
            (1e-5, Some(0xa8)),
            (f64::powi(2.0, -14) - last, Some(0x3ff)),
            (f64::powi(2.0, -14) - last / 2.0, Some(0x400)),
            (f64::powi(2.0, -14), Some(0x400)),
            (f64::powi(2.0, -14).next_down(), Some(0x400)),
            (f64::MIN_POSITIVE, Some(0)),
            (5e-324, Some(0)),
            (f64::INFINITY, Some(0x7c00)),
            (f64::NAN.copysign(1.0), Some(0x7e00)),
            (f64::from_bits(0x7ff8_0000_0000_0123), Some(0x7e00)),
        ] {
            assert_eq!(from_f64(number), expected, "{number}");
            let negative = expected.map(|half| half | SIGN);
            assert_eq!(from_f64(-number), negative, "-{number}");
        }
    }

    #[test]
    fn every_half_comes_back() {
        for half in 0..=u16::MAX {
            let number = to_f64(half);
            assert_eq!(number.is_sign_negative(), half & SIGN != 0, "{half:#06x}");
            let is_nan = half & !SIGN > INFINITY;
            assert_eq!(number.is_nan(), is_nan, "{half:#06x}");
            let expected = if is_nan { half & SIGN | NAN } else { half };
            assert_eq!(from_f64(number), Some(expected), "{number}");
        }
    }

    /// Of any two neighbours, what is nearer rounds there, and the middle to the
    /// even one.
    #[test]
    fn between_neighbours_the_nearer_wins() {
        for half in 0..INFINITY - 1 {
            let (low, high) = (to_f64(half), to_f64(half + 1));
            assert!(low < high, "{half:#06x}");
            let middle = f64::midpoint(low, high);
            let even = half + (half & 1);
            assert_eq!(from_f64(middle), Some(even), "{middle}");
            assert_eq!(from_f64(middle.next_down()), Some(half), "below {middle}");
            assert_eq!(from_f64(middle.next_up()), Some(half + 1), "above {middle}");
        }
        assert_eq!(to_f64(INFINITY - 1), 65504.0);
        assert_eq!(to_f64(1), f64::powi(2.0, -24));
    }
}
