//! Decodes packed bytes to values.

use super::{
    Value,
    code::{ByteOrder, Kind, Mode, Sign},
    half,
};

/// Decodes one value from `source`, which has the item's size.
pub(super) fn decode(kind: Kind, mode: Mode, source: &[u8]) -> Value {
    match kind {
        Kind::Pad | Kind::Char | Kind::Bytes => Value::Bytes(source.to_vec()),
        Kind::Bool => Value::Bool(source.iter().any(|&byte| byte != 0)),
        Kind::Int { bytes, sign } => {
            let unsigned = i128::from(u64::from_be_bytes(big_endian(mode.order, source)));
            let (_, signed_max) = Sign::Signed.range(bytes);
            Value::Int(if sign == Sign::Signed && unsigned > signed_max {
                unsigned - (1 << (8 * bytes))
            } else {
                unsigned
            })
        }
        Kind::Half => Value::Float(half::to_f64(u16::from_be_bytes(big_endian(
            mode.order, source,
        )))),
        Kind::Single => Value::Float(f32::from_be_bytes(big_endian(mode.order, source)).into()),
        Kind::Double => Value::Float(f64::from_be_bytes(big_endian(mode.order, source))),
        Kind::Pascal => {
            let (length, text) = source.split_first().unwrap_or((&0, &[]));
            let text = text.get(..usize::from(*length)).unwrap_or(text);
            Value::Bytes(text.to_vec())
        }
    }
}

/// The last `N` bytes in big-endian order, padded with zeros in front.
fn big_endian<const N: usize>(order: ByteOrder, source: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    let slots = bytes.iter_mut().rev();
    match order {
        ByteOrder::Big => slots
            .zip(source.iter().rev())
            .for_each(|(slot, byte)| *slot = *byte),
        ByteOrder::Little => slots.zip(source).for_each(|(slot, byte)| *slot = *byte),
    }
    bytes
}
