//! A parsed format, to pack and unpack with.

use std::{ops::Range, str::FromStr};

use super::{
    Field, FormatError, PackError, UnpackError, Value,
    code::Mode,
    decode::decode,
    encode::encode,
    parse::{Item, parse},
};

/// A format of Python's `struct`, parsed once.
///
/// ```
/// # use sockkit_codec as sockkit;
/// use sockkit::pack::Format;
///
/// let point = Format::parse("<hhB")?;
/// let mut wire = Vec::new();
/// for (x, y) in [(1, -1), (300, 7)] {
///     wire.extend(point.pack(&[x.into(), y.into(), 255.into()])?);
/// }
/// for values in point.iter_unpack(&wire)? {
///     println!("{} {}", values[0], values[1]);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Format {
    mode: Mode,
    items: Vec<Item>,
    size: usize,
    values: usize,
}

impl Format {
    /// Parses a format.
    ///
    /// # Errors
    /// [`FormatError`] tells which character is wrong.
    pub fn parse(format: &str) -> Result<Self, FormatError> {
        let (mode, codes) = Mode::split(format);
        let (items, size, values) = parse(format, mode, codes)?;
        Ok(Self {
            mode,
            items,
            size,
            values,
        })
    }

    /// Size of the packed bytes: Python's `calcsize`.
    pub fn size_bytes(&self) -> usize {
        self.size
    }

    /// Number of values in the format.
    pub fn value_count(&self) -> usize {
        self.values
    }

    /// The code of each value, in order.
    pub fn fields(&self) -> impl Iterator<Item = Field> {
        self.places().map(|(field, _, _)| field)
    }

    /// Packs `values` into new bytes.
    ///
    /// # Errors
    /// [`PackError`] tells which value does not fit and why. More than 64 MiB
    /// is rejected with [`PackError::TooLarge`].
    pub fn pack(&self, values: &[Value]) -> Result<Vec<u8>, PackError> {
        self.check_count(values)?;
        if self.size > MAX_PACK_BYTES {
            return Err(PackError::TooLarge {
                size: self.size,
                limit: MAX_PACK_BYTES,
            });
        }
        let mut packed = vec![0; self.size];
        self.encode(&mut packed, values)?;
        Ok(packed)
    }

    /// Packs `values` into `buffer` at `offset`; padding becomes zero.
    ///
    /// # Errors
    /// [`PackError::BufferTooShort`] if they do not fit, otherwise as
    /// [`pack`](Self::pack). After an error about a value, the values before it
    /// have already been written.
    pub fn pack_into(
        &self,
        buffer: &mut [u8],
        offset: usize,
        values: &[Value],
    ) -> Result<(), PackError> {
        self.check_count(values)?;
        let available = buffer.len();
        let target = buffer
            .get_mut(offset..)
            .and_then(|rest| rest.get_mut(..self.size))
            .ok_or(PackError::BufferTooShort {
                needed: self.size,
                offset,
                available,
            })?;
        target.fill(0);
        self.encode(target, values)
    }

    /// Unpacks `packed`, which must have exactly the format's size.
    ///
    /// # Errors
    /// [`UnpackError::Length`] if the length differs.
    pub fn unpack(&self, packed: &[u8]) -> Result<Vec<Value>, UnpackError> {
        if packed.len() != self.size {
            return Err(UnpackError::Length {
                expected: self.size,
                given: packed.len(),
            });
        }
        Ok(self.decode(packed))
    }

    /// Unpacks as many bytes as the format's size, from `offset` on.
    ///
    /// # Errors
    /// [`UnpackError::BufferTooShort`] if there are fewer.
    pub fn unpack_from(&self, buffer: &[u8], offset: usize) -> Result<Vec<Value>, UnpackError> {
        buffer
            .get(offset..)
            .and_then(|rest| rest.get(..self.size))
            .map(|packed| self.decode(packed))
            .ok_or(UnpackError::BufferTooShort {
                needed: self.size,
                offset,
                available: buffer.len(),
            })
    }

    /// Unpacks consecutive records.
    ///
    /// # Errors
    /// [`UnpackError::NotWhole`] if the last record is incomplete,
    /// [`UnpackError::EmptyRecord`] if the format has size 0.
    pub fn iter_unpack(
        &self,
        buffer: &[u8],
    ) -> Result<impl ExactSizeIterator<Item = Vec<Value>>, UnpackError> {
        if self.size == 0 {
            return Err(UnpackError::EmptyRecord);
        }
        if !buffer.len().is_multiple_of(self.size) {
            return Err(UnpackError::NotWhole {
                record: self.size,
                given: buffer.len(),
            });
        }
        Ok(buffer
            .chunks_exact(self.size)
            .map(|record| self.decode(record)))
    }

    fn check_count(&self, values: &[Value]) -> Result<(), PackError> {
        if values.len() == self.values {
            return Ok(());
        }
        Err(PackError::Count {
            expected: self.values,
            given: values.len(),
        })
    }

    /// Writes `values` to `target`, which is zeroed and has the format's size.
    fn encode(&self, target: &mut [u8], values: &[Value]) -> Result<(), PackError> {
        for ((field, item, place), value) in self.places().zip(values) {
            let slot = target.get_mut(place).expect("items end within the size");
            encode(field, item.kind, self.mode, value, slot)?;
        }
        Ok(())
    }

    /// Decodes `packed`, which has the format's size.
    fn decode(&self, packed: &[u8]) -> Vec<Value> {
        self.places()
            .map(|(_, item, place)| {
                let source = packed.get(place).expect("items end within the size");
                decode(item.kind, self.mode, source)
            })
            .collect()
    }

    /// Every value in order: its field, its item, its byte range.
    fn places(&self) -> impl Iterator<Item = (Field, &Item, Range<usize>)> {
        let runs = self.items.iter().flat_map(|item| {
            (0..item.repeat).map(move |turn| (item, item.offset + turn * item.size))
        });
        runs.enumerate().map(|(index, (item, start))| {
            let field = Field {
                code: item.code,
                position: item.position,
                index,
            };
            (field, item, start..start + item.size)
        })
    }
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(format: &str) -> Result<Self, FormatError> {
        Self::parse(format)
    }
}

/// Limit of [`Format::pack`]: `'999999999999s'` is a short text.
const MAX_PACK_BYTES: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn format(text: &str) -> Format {
        Format::parse(text).expect("a good format")
    }

    #[test]
    fn errors_name_code_place_and_value() {
        for (text, values, message) in [
            (
                ">IH",
                vec![1.into(), 65_536.into()],
                "value 1 (code 'H' at position 2) must be 0 to 65535, got 65536",
            ),
            (
                "<2h3b",
                vec![0.into(), 0.into(), 0.into(), (-129).into(), 0.into()],
                "value 3 (code 'b' at position 4) must be -128 to 127, got -129",
            ),
            (
                "i",
                vec![1.5.into()],
                "value 0 (code 'i' at position 0) needs an integer, got 1.5",
            ),
            (
                "c",
                vec!["ab".into()],
                "value 0 (code 'c' at position 0) needs exactly one byte, got ab",
            ),
            (
                "<e",
                vec![65520.0.into()],
                "value 0 (code 'e' at position 1) is too large for its precision: 65520",
            ),
            ("2i", vec![1.into()], "format takes 2 values, got 1"),
        ] {
            let error = format(text).pack(&values).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn a_huge_format_allocates_nothing() {
        let huge = format("999999999999s");
        let error = huge.pack(&["a".into()]).unwrap_err();
        assert!(matches!(
            error,
            PackError::TooLarge {
                size: 999_999_999_999,
                ..
            }
        ));
        assert!(huge.pack_into(&mut [0; 9], 0, &["a".into()]).is_err());
        assert!(huge.unpack(b"a").is_err());
        assert!(format("999999999999B").pack(&[1.into()]).is_err());
    }

    #[test]
    fn the_pack_limit_is_inclusive() {
        assert_eq!(format("67108864x").pack(&[]).unwrap().len(), 64 << 20);
        assert!(format("67108865x").pack(&[]).is_err());
    }

    #[test]
    fn pack_into_touches_its_bytes_only() {
        let (format, mut buffer) = (format("<bxh"), [9; 8]);
        format
            .pack_into(&mut buffer, 2, &[1.into(), 2.into()])
            .unwrap();
        assert_eq!(buffer, [9, 9, 1, 0, 2, 0, 9, 9]);
        assert_eq!(
            format.unpack_from(&buffer, 2).unwrap(),
            [1.into(), 2.into()]
        );
        for offset in [5, 9, usize::MAX] {
            let error = format.pack_into(&mut buffer, offset, &[1.into(), 2.into()]);
            assert!(matches!(
                error,
                Err(PackError::BufferTooShort {
                    needed: 4,
                    available: 8,
                    ..
                })
            ));
            assert!(format.unpack_from(&buffer, offset).is_err());
        }
    }

    #[test]
    fn records_are_whole() {
        let format = format("<h");
        let records: Vec<_> = format.iter_unpack(&[1, 0, 2, 0]).unwrap().collect();
        assert_eq!(records, [[1.into()], [2.into()]]);
        let error = format.iter_unpack(&[1, 0, 2]).err();
        assert_eq!(
            error,
            Some(UnpackError::NotWhole {
                record: 2,
                given: 3
            })
        );
        let empty = Format::parse("0h").unwrap();
        assert_eq!(empty.iter_unpack(&[]).err(), Some(UnpackError::EmptyRecord));
    }

    #[test]
    fn text_is_cut_and_filled() {
        assert_eq!(format("3s").pack(&["ab".into()]).unwrap(), b"ab\0");
        assert_eq!(format("3s").pack(&["abcd".into()]).unwrap(), b"abc");
        assert_eq!(format("4p").pack(&["abcd".into()]).unwrap(), b"\x03abc");
        assert_eq!(format("4p").unpack(b"\xffabc").unwrap(), ["abc".into()]);
        assert_eq!(format("4p").unpack(b"\x01abc").unwrap(), ["a".into()]);
        let long = format("300p").pack(&[vec![7; 400].into()]).unwrap();
        assert_eq!((long[0], long[299]), (255, 7));
        for empty in ["0s", "0p"] {
            assert_eq!(format(empty).pack(&["a".into()]).unwrap(), b"");
            assert_eq!(format(empty).unpack(b"").unwrap(), ["".into()]);
        }
    }
}
