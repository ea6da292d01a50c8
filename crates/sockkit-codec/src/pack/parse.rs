//! Parses a format into items.

use super::{
    FormatError,
    code::{Kind, Layout, Mode},
};

/// A run of one code: `3h`, or `16s`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Item {
    pub(super) kind: Kind,
    pub(super) code: char,
    /// Position of the code in the format.
    pub(super) position: usize,
    /// Where the first value begins in the packed bytes.
    pub(super) offset: usize,
    /// Bytes of one value.
    pub(super) size: usize,
    /// Number of values.
    pub(super) repeat: usize,
}

/// Returns the items that carry values, the packed size, and the number of
/// values.
pub(super) fn parse(
    format: &str,
    mode: Mode,
    codes: &str,
) -> Result<(Vec<Item>, usize, usize), FormatError> {
    let (mut items, mut size, mut values) = (Vec::new(), 0, 0);
    let first = format.len() - codes.len();
    let mut characters = codes.char_indices().map(|(at, code)| (first + at, code));
    while let Some((start, mut code)) = characters.next() {
        if is_space(code) {
            continue;
        }
        let (mut position, mut count) = (start, 1);
        if code.is_ascii_digit() {
            count = 0;
            while let Some(digit) = code.to_digit(10) {
                count = add_digit(count, digit).ok_or(FormatError::TooLarge { position: start })?;
                (position, code) = characters
                    .next()
                    .ok_or(FormatError::CountWithoutCode { position: start })?;
            }
        }
        let kind =
            Kind::new(code, mode.layout).ok_or(FormatError::UnknownCode { code, position })?;
        let (offset, end) = place(kind, mode.layout, size, count)
            .ok_or(FormatError::TooLarge { position: start })?;
        size = end;
        let (size, repeat) = match kind {
            Kind::Pad => continue,
            Kind::Bytes | Kind::Pascal => (count, 1),
            _ => (kind.size_bytes(), count),
        };
        values += repeat;
        if repeat > 0 {
            items.push(Item {
                kind,
                code,
                position,
                offset,
                size,
                repeat,
            });
        }
    }
    Ok((items, size, values))
}

/// C's `isspace`, as used by CPython.
fn is_space(code: char) -> bool {
    matches!(code, ' ' | '\t'..='\r')
}

fn add_digit(count: usize, digit: u32) -> Option<usize> {
    bounded(count.checked_mul(10)?.checked_add(digit as usize)?)
}

/// Start and end of a run of `count` values placed after `size` bytes.
fn place(kind: Kind, layout: Layout, size: usize, count: usize) -> Option<(usize, usize)> {
    let offset = match layout {
        Layout::Native => size.checked_next_multiple_of(kind.size_bytes())?,
        Layout::Standard => size,
    };
    let end = offset.checked_add(count.checked_mul(kind.size_bytes())?)?;
    Some((bounded(offset)?, bounded(end)?))
}

/// No object in memory is larger than `isize::MAX`.
fn bounded(size: usize) -> Option<usize> {
    (size <= isize::MAX.unsigned_abs()).then_some(size)
}

#[cfg(test)]
mod tests {
    use crate::pack::{Format, FormatError};

    #[test]
    fn sizes_are_those_of_64_bit_linux() {
        for (format, size) in [
            ("", 0),
            ("@B", 1),
            ("4sl", 16),
            ("=4sl", 8),
            ("Q", 8),
            ("bq", 16),
            ("<bq", 9),
            ("qb", 9),
            ("qb0q", 16),
            (" 2h\t3x\ni ", 12),
            ("999999999999s", 999_999_999_999),
        ] {
            assert_eq!(
                Format::parse(format).unwrap().size_bytes(),
                size,
                "{format}"
            );
        }
    }

    #[test]
    fn errors_name_the_place() {
        let unknown = |code, position| FormatError::UnknownCode { code, position };
        for (format, error) in [
            ("<bz", unknown('z', 2)),
            ("<n", unknown('n', 1)),
            (" <b", unknown('<', 1)),
            ("3 i", unknown(' ', 1)),
            ("b\0", unknown('\0', 1)),
            ("b\u{e9}", unknown('\u{e9}', 1)),
            ("i12", FormatError::CountWithoutCode { position: 1 }),
            (
                "b9223372036854775808x",
                FormatError::TooLarge { position: 1 },
            ),
            (
                "b9223372036854775807x",
                FormatError::TooLarge { position: 1 },
            ),
            (
                "4611686018427387904h",
                FormatError::TooLarge { position: 0 },
            ),
            (
                "9223372036854775801bq",
                FormatError::TooLarge { position: 20 },
            ),
        ] {
            assert_eq!(Format::parse(format).unwrap_err(), error, "{format}");
        }
    }
}
