//! The codes of a format.

/// Byte order, sizes and alignment, selected by the first character.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Mode {
    pub(super) order: ByteOrder,
    pub(super) layout: Layout,
}

impl Mode {
    /// Splits off the first character if it is one of the five; native
    /// otherwise. Also returns the rest of the format.
    pub(super) fn split(format: &str) -> (Self, &str) {
        const NATIVE: ByteOrder = if cfg!(target_endian = "big") {
            ByteOrder::Big
        } else {
            ByteOrder::Little
        };
        let rest = || format.get(1..).unwrap_or_default();
        let (order, layout, rest) = match format.as_bytes().first() {
            Some(b'@') => (NATIVE, Layout::Native, rest()),
            Some(b'=') => (NATIVE, Layout::Standard, rest()),
            Some(b'<') => (ByteOrder::Little, Layout::Standard, rest()),
            Some(b'>' | b'!') => (ByteOrder::Big, Layout::Standard, rest()),
            _ => (NATIVE, Layout::Native, format),
        };
        (Self { order, layout }, rest)
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ByteOrder {
    Big,
    Little,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Layout {
    Native,
    Standard,
}

/// The type of value that a code packs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Pad,
    Char,
    Bool,
    Int {
        bytes: usize,
        sign: Sign,
    },
    Half,
    Single,
    Double,
    /// `s`: the repeat count is the length.
    Bytes,
    /// `p`: the repeat count is the length, including one length byte.
    Pascal,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sign {
    Signed,
    Unsigned,
    /// `P`: packed from either, unpacked as unsigned.
    Either,
}

impl Kind {
    pub(super) fn new(code: char, layout: Layout) -> Option<Self> {
        let native = layout == Layout::Native;
        let int = |bytes, sign| Self::Int { bytes, sign };
        Some(match code {
            'x' => Self::Pad,
            'c' => Self::Char,
            '?' => Self::Bool,
            'b' => int(1, Sign::Signed),
            'B' => int(1, Sign::Unsigned),
            'h' => int(2, Sign::Signed),
            'H' => int(2, Sign::Unsigned),
            'i' => int(4, Sign::Signed),
            'I' => int(4, Sign::Unsigned),
            'l' => int(if native { 8 } else { 4 }, Sign::Signed),
            'L' => int(if native { 8 } else { 4 }, Sign::Unsigned),
            'q' => int(8, Sign::Signed),
            'Q' => int(8, Sign::Unsigned),
            'n' if native => int(8, Sign::Signed),
            'N' if native => int(8, Sign::Unsigned),
            'P' if native => int(8, Sign::Either),
            'e' => Self::Half,
            'f' => Self::Single,
            'd' => Self::Double,
            's' => Self::Bytes,
            'p' => Self::Pascal,
            _ => return None,
        })
    }

    /// Bytes of one, and, in the native layout, its alignment.
    pub(super) fn size_bytes(self) -> usize {
        match self {
            Self::Pad | Self::Char | Self::Bool | Self::Bytes | Self::Pascal => 1,
            Self::Int { bytes, .. } => bytes,
            Self::Half => 2,
            Self::Single => 4,
            Self::Double => 8,
        }
    }

    /// What a value must be, in words for an error.
    pub(super) fn needs(self) -> &'static str {
        match self {
            Self::Pad => "no value",
            Self::Char => "exactly one byte",
            Self::Bool => "a truth value",
            Self::Int { .. } => "an integer",
            Self::Half | Self::Single | Self::Double => "a number",
            Self::Bytes | Self::Pascal => "bytes",
        }
    }
}

impl Sign {
    /// Smallest and largest value of `bytes` bytes.
    pub(super) fn range(self, bytes: usize) -> (i128, i128) {
        let bits = 8 * bytes;
        let (signed_min, unsigned_max) = (-(1 << (bits - 1)), (1 << bits) - 1);
        match self {
            Self::Signed => (signed_min, -signed_min - 1),
            Self::Unsigned => (0, unsigned_max),
            Self::Either => (signed_min, unsigned_max),
        }
    }
}
