//! The values that formats pack and unpack.

use std::{
    any::type_name,
    fmt::{self, Display, Formatter},
};

use super::ValueError;

/// A value to pack, or an unpacked one.
///
/// Convert numbers, `bool`, text and bytes with `into()`, and back with `try_into()`:
///
/// ```
/// # use sockkit_codec as sockkit;
/// use sockkit::pack::{Format, Value};
///
/// let values = Format::parse(">Hd4s")?.unpack(b"\0\x07\x40\x35\x80\0\0\0\0\0room")?;
/// let [sensor, degrees, place] = <[Value; 3]>::try_from(values).expect("as many as codes");
/// assert_eq!(u16::try_from(sensor)?, 7);
/// assert_eq!(f64::try_from(degrees)?, 21.5);
/// assert_eq!(Vec::<u8>::try_from(place)?, b"room");
/// assert!(u8::try_from(Value::Int(300)).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// For `b B h H i I l L q Q n N P`; wide enough for all of them.
    Int(i128),
    /// For `e f d`.
    Float(f64),
    /// For `?`.
    Bool(bool),
    /// For `c s p`.
    Bytes(Vec<u8>),
}

impl Value {
    /// The integer, if it is one.
    pub fn as_int(&self) -> Option<i128> {
        match self {
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The floating-point number, if it is one.
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// The Boolean, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The bytes, if it is bytes.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(value) => Some(value),
            _ => None,
        }
    }
}

/// Bytes are shown as ASCII text, others escaped (`\xff`).
impl Display for Value {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => value.fmt(formatter),
            Self::Float(value) => write!(formatter, "{value:?}"),
            Self::Bool(value) => value.fmt(formatter),
            Self::Bytes(value) => value.escape_ascii().fmt(formatter),
        }
    }
}

macro_rules! from_integers {
    ($($integer:ty)*) => {$(
        impl From<$integer> for Value {
            fn from(value: $integer) -> Self {
                Self::Int(value.into())
            }
        }
    )*};
}

from_integers!(i8 u8 i16 u16 i32 u32 i64 u64 i128);

impl From<f32> for Value {
    fn from(value: f32) -> Self {
        Self::Float(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(value)
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Bytes(value.to_vec())
    }
}

impl<const N: usize> From<[u8; N]> for Value {
    fn from(value: [u8; N]) -> Self {
        Self::Bytes(value.to_vec())
    }
}

impl<const N: usize> From<&[u8; N]> for Value {
    fn from(value: &[u8; N]) -> Self {
        Self::Bytes(value.to_vec())
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        value.as_bytes().into()
    }
}

macro_rules! try_into_integers {
    ($($integer:ty)*) => {$(
        impl TryFrom<Value> for $integer {
            type Error = ValueError;

            fn try_from(value: Value) -> Result<Self, ValueError> {
                let Value::Int(value) = value else {
                    return Err(wrong_kind::<Self>(value));
                };
                value.try_into().map_err(|_| ValueError::OutOfRange {
                    wanted: type_name::<Self>(),
                    value,
                })
            }
        }
    )*};
}

try_into_integers!(i8 u8 i16 u16 i32 u32 i64 u64 usize i128);

macro_rules! try_into_others {
    ($($kind:ident => $other:ty),+ $(,)?) => {$(
        impl TryFrom<Value> for $other {
            type Error = ValueError;

            fn try_from(value: Value) -> Result<Self, ValueError> {
                match value {
                    Value::$kind(value) => Ok(value),
                    value => Err(wrong_kind::<Self>(value)),
                }
            }
        }
    )+};
}

try_into_others! {
    Float => f64,
    Bool => bool,
    Bytes => Vec<u8>,
}

fn wrong_kind<T>(value: Value) -> ValueError {
    ValueError::WrongKind {
        wanted: type_name::<T>(),
        value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_become_those_that_they_fit() {
        assert_eq!(u8::try_from(Value::Int(255)), Ok(255));
        assert_eq!(i8::try_from(Value::Int(-128)), Ok(-128));
        assert_eq!(i128::try_from(Value::Int(i128::MAX)), Ok(i128::MAX));
        for (value, wanted) in [(256, "u8"), (-1, "u8"), (i128::MAX, "u8")] {
            let error = u8::try_from(Value::Int(value));
            assert_eq!(error, Err(ValueError::OutOfRange { wanted, value }));
        }
        assert!(usize::try_from(Value::Int(-1)).is_err());
    }

    #[test]
    fn no_kind_is_taken_for_another() {
        let values: [Value; 4] = [1.into(), 1.0.into(), true.into(), b"1".into()];
        for (index, value) in values.into_iter().enumerate() {
            let fits = [
                u16::try_from(value.clone()).is_ok(),
                f64::try_from(value.clone()).is_ok(),
                bool::try_from(value.clone()).is_ok(),
                Vec::<u8>::try_from(value).is_ok(),
            ];
            assert_eq!(fits.iter().position(|fits| *fits), Some(index));
            assert_eq!(fits.iter().filter(|fits| **fits).count(), 1);
        }
        let error = u16::try_from(Value::from("seven")).unwrap_err();
        assert_eq!(error.to_string(), "value seven is no u16");
    }
}
