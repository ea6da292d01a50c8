//! Errors of formats, values and buffers.

use std::fmt::{self, Display, Formatter};

use super::Value;

/// Error from parsing a format.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// A character that is not a code, or not allowed in this mode (`n N P` are
    /// native only).
    #[error("{code:?} at position {position} of the format is not a code here")]
    UnknownCode {
        /// The character.
        code: char,
        /// Its position in the format, in bytes.
        position: usize,
    },
    /// A repeat count without a code.
    #[error("repeat count at position {position} of the format has no code")]
    CountWithoutCode {
        /// Position of the count in the format, in bytes.
        position: usize,
    },
    /// The packed size exceeds the address space.
    #[error("format is larger than any memory from position {position} on")]
    TooLarge {
        /// Position of the count or code that exceeds it, in bytes.
        position: usize,
    },
}

/// Which value, for which code, an error concerns.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Field {
    /// The code.
    pub code: char,
    /// Position of the code in the format, in bytes.
    pub position: usize,
    /// Index of the value, counted from 0.
    pub index: usize,
}

impl Display for Field {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            code,
            position,
            index,
        } = self;
        write!(
            formatter,
            "value {index} (code '{code}' at position {position})"
        )
    }
}

/// Error from packing values; always the caller's mistake.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The number of values differs from the format's.
    #[error("format takes {expected} values, got {given}")]
    Count {
        /// Number of values in the format.
        expected: usize,
        /// Number of given values.
        given: usize,
    },
    /// The value has the wrong type, or `c` got a number of bytes other than
    /// one.
    #[error("{field} needs {needs}, got {value}")]
    WrongType {
        /// Which value.
        field: Field,
        /// The type that the code requires.
        needs: &'static str,
        /// The given value.
        value: Value,
    },
    /// The integer is out of the code's range.
    #[error("{field} must be {min} to {max}, got {value}")]
    IntOutOfRange {
        /// Which value.
        field: Field,
        /// Minimum of the code.
        min: i128,
        /// Maximum of the code.
        max: i128,
        /// The given value.
        value: i128,
    },
    /// The number is finite, but would become infinite in the code's precision.
    #[error("{field} is too large for its precision: {value}")]
    FloatOutOfRange {
        /// Which value.
        field: Field,
        /// The given value.
        value: f64,
    },
    /// The buffer is too short for the packed bytes.
    #[error("{needed} bytes at offset {offset} do not fit a buffer of {available} bytes")]
    BufferTooShort {
        /// Number of bytes to pack.
        needed: usize,
        /// Offset at which they should start.
        offset: usize,
        /// Length of the buffer, in bytes.
        available: usize,
    },
    /// The packed bytes exceed what `pack` allocates: use `pack_into`.
    #[error("format packs {size} bytes, limit is {limit}: pack into a buffer of your own")]
    TooLarge {
        /// Number of bytes to pack.
        size: usize,
        /// The limit, in bytes.
        limit: usize,
    },
}

/// Error from unpacking bytes: too few or too many.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// `unpack` requires exactly the format's size.
    #[error("format unpacks {expected} bytes, got {given}")]
    Length {
        /// Size of the format, in bytes.
        expected: usize,
        /// Length of the buffer, in bytes.
        given: usize,
    },
    /// `unpack_from` would read beyond the end of the buffer.
    #[error("{needed} bytes at offset {offset} are not in a buffer of {available} bytes")]
    BufferTooShort {
        /// Size of the format, in bytes.
        needed: usize,
        /// Offset at which they should start.
        offset: usize,
        /// Length of the buffer, in bytes.
        available: usize,
    },
    /// `iter_unpack` requires complete records.
    #[error("{given} bytes are not a whole number of records of {record} bytes")]
    NotWhole {
        /// Size of the format, in bytes.
        record: usize,
        /// Length of the buffer, in bytes.
        given: usize,
    },
    /// `iter_unpack` with a format of size 0 would never end.
    #[error("format is of size 0, so records have no end")]
    EmptyRecord,
}

/// Why a value is not of the type that the program wants.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// It is of another kind.
    #[error("value {value} is no {wanted}")]
    WrongKind {
        /// The type wanted.
        wanted: &'static str,
        /// What it is.
        value: Value,
    },
    /// The integer does not fit the type.
    #[error("value {value} does not fit {wanted}")]
    OutOfRange {
        /// The type wanted.
        wanted: &'static str,
        /// What it is.
        value: i128,
    },
}
