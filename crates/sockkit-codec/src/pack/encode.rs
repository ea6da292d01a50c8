//! Encodes values to packed bytes.

use super::{
    Field, PackError, Value,
    code::{ByteOrder, Kind, Layout, Mode, Sign},
    half,
};

/// Writes `value` to `target`, which is zeroed and has the item's size.
pub(super) fn encode(
    field: Field,
    kind: Kind,
    mode: Mode,
    value: &Value,
    target: &mut [u8],
) -> Result<(), PackError> {
    let wrong_type = || PackError::WrongType {
        field,
        needs: kind.needs(),
        value: value.clone(),
    };
    let out_of_range = |value| PackError::FloatOutOfRange { field, value };
    match kind {
        Kind::Pad => {}
        Kind::Bool => target.fill(truth(value).into()),
        Kind::Int { bytes, sign } => {
            let number = integer(value).ok_or_else(wrong_type)?;
            check_range(field, number, sign, bytes)?;
            put(mode.order, &number.to_le_bytes(), target);
        }
        Kind::Half => {
            let number = float(value).ok_or_else(wrong_type)?;
            let half = half::from_f64(number).ok_or_else(|| out_of_range(number))?;
            put(mode.order, &half.to_le_bytes(), target);
        }
        Kind::Single => {
            let number = float(value).ok_or_else(wrong_type)?;
            let single = single(number, mode.layout).ok_or_else(|| out_of_range(number))?;
            put(mode.order, &single.to_le_bytes(), target);
        }
        Kind::Double => {
            let number = float(value).ok_or_else(wrong_type)?;
            put(mode.order, &number.to_le_bytes(), target);
        }
        Kind::Char => match value {
            Value::Bytes(bytes) if bytes.len() == 1 => target.copy_from_slice(bytes),
            _ => return Err(wrong_type()),
        },
        Kind::Bytes => copy(value.as_bytes().ok_or_else(wrong_type)?, target),
        Kind::Pascal => {
            let bytes = value.as_bytes().ok_or_else(wrong_type)?;
            if let Some((length, text)) = target.split_first_mut() {
                *length = u8::try_from(bytes.len().min(text.len())).unwrap_or(u8::MAX);
                copy(bytes, text);
            }
        }
    }
    Ok(())
}

/// Copies as much of `bytes` as fits.
fn copy(bytes: &[u8], target: &mut [u8]) {
    for (slot, byte) in target.iter_mut().zip(bytes) {
        *slot = *byte;
    }
}

/// Writes the low bytes of `little_endian` to `target`.
fn put(order: ByteOrder, little_endian: &[u8], target: &mut [u8]) {
    copy(little_endian, target);
    if order == ByteOrder::Big {
        target.reverse();
    }
}

/// Python's truth value: `False` for zero and empty values.
fn truth(value: &Value) -> bool {
    match value {
        Value::Int(number) => *number != 0,
        Value::Float(number) => *number != 0.0,
        Value::Bool(truth) => *truth,
        Value::Bytes(bytes) => !bytes.is_empty(),
    }
}

fn integer(value: &Value) -> Option<i128> {
    match value {
        Value::Int(number) => Some(*number),
        Value::Bool(truth) => Some((*truth).into()),
        Value::Float(_) | Value::Bytes(_) => None,
    }
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Float(number) => Some(*number),
        // Rounds to nearest, ties to even, as Python does.
        #[expect(clippy::cast_precision_loss, reason = "that is what a float is")]
        Value::Int(number) => Some(*number as f64),
        Value::Bool(truth) => Some((*truth).into()),
        Value::Bytes(_) => None,
    }
}

fn check_range(field: Field, value: i128, sign: Sign, bytes: usize) -> Result<(), PackError> {
    let (min, max) = sign.range(bytes);
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(PackError::IntOutOfRange {
        field,
        min,
        max,
        value,
    })
}

/// Rounds like a half; a native `f`, however, follows the C cast and may become
/// infinite.
fn single(number: f64, layout: Layout) -> Option<f32> {
    #[expect(clippy::cast_possible_truncation, reason = "rounds to nearest")]
    let single = number as f32;
    (layout == Layout::Native || !single.is_infinite() || number.is_infinite()).then_some(single)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_native_single_overflows() {
        assert_eq!(single(1e39, Layout::Native), Some(f32::INFINITY));
        assert_eq!(single(1e39, Layout::Standard), None);
        assert_eq!(single(f64::INFINITY, Layout::Standard), Some(f32::INFINITY));
    }
}
