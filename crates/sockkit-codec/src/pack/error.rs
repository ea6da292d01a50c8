//! Why formats, values and buffers do not fit together.

use std::fmt::{self, Display, Formatter};

use super::Value;

/// Why a text is not a format.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// A character that is no code, or not in this mode (`n N P` are native only).
    #[error("{code:?} at position {position} of the format is not a code here")]
    UnknownCode {
        /// The character.
        code: char,
        /// Its position in the format, in bytes.
        position: usize,
    },
    /// A repeat count with no code behind it.
    #[error("repeat count at position {position} of the format has no code")]
    CountWithoutCode {
        /// Position of the count in the format, in bytes.
        position: usize,
    },
    /// The packed size does not fit in memory's address range.
    #[error("format is larger than any memory from position {position} on")]
    TooLarge {
        /// Position of the count or code that is too much, in bytes.
        position: usize,
    },
}

/// Which value of which code an error is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Field {
    /// The code.
    pub code: char,
    /// Position of the code in the format, in bytes.
    pub position: usize,
    /// Which value it is, counted from 0.
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

/// Why values could not be packed. Always the caller's fault.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The format wants another number of values.
    #[error("format takes {expected} values, got {given}")]
    Count {
        /// Values that the format takes.
        expected: usize,
        /// Values that were given.
        given: usize,
    },
    /// The value is of the wrong type, or `c` got more or less than one byte.
    #[error("{field} needs {needs}, got {value}")]
    WrongType {
        /// Which value.
        field: Field,
        /// What the code needs.
        needs: &'static str,
        /// What was given.
        value: Value,
    },
    /// The integer does not fit the code.
    #[error("{field} must be {min} to {max}, got {value}")]
    IntOutOfRange {
        /// Which value.
        field: Field,
        /// Smallest value that fits.
        min: i128,
        /// Largest value that fits.
        max: i128,
        /// What was given.
        value: i128,
    },
    /// The number is finite, and infinite in the code's precision.
    #[error("{field} is too large for its precision: {value}")]
    FloatOutOfRange {
        /// Which value.
        field: Field,
        /// What was given.
        value: f64,
    },
    /// The buffer has no room for the packed bytes.
    #[error("{needed} bytes at offset {offset} do not fit a buffer of {available} bytes")]
    BufferTooShort {
        /// Bytes to pack.
        needed: usize,
        /// Where they should begin.
        offset: usize,
        /// Length of the buffer, in bytes.
        available: usize,
    },
    /// The packed bytes are more than `pack` allocates: use `pack_into`.
    #[error("format packs {size} bytes, limit is {limit}: pack into a buffer of your own")]
    TooLarge {
        /// Bytes to pack.
        size: usize,
        /// The limit in force, in bytes.
        limit: usize,
    },
}

/// Why bytes could not be unpacked: they are too few or too many.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// `unpack` takes exactly the format's size.
    #[error("format unpacks {expected} bytes, got {given}")]
    Length {
        /// Size of the format, in bytes.
        expected: usize,
        /// Length of the buffer, in bytes.
        given: usize,
    },
    /// `unpack_from` would read past the end.
    #[error("{needed} bytes at offset {offset} are not in a buffer of {available} bytes")]
    BufferTooShort {
        /// Size of the format, in bytes.
        needed: usize,
        /// Where they should begin.
        offset: usize,
        /// Length of the buffer, in bytes.
        available: usize,
    },
    /// `iter_unpack` takes whole records.
    #[error("{given} bytes are not a whole number of records of {record} bytes")]
    NotWhole {
        /// Size of the format, in bytes.
        record: usize,
        /// Length of the buffer, in bytes.
        given: usize,
    },
    /// `iter_unpack` by a format of size 0 would never end.
    #[error("format is of size 0, so records have no end")]
    EmptyRecord,
}
