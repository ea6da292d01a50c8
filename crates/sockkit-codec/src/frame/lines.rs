//! Text lines as a tokio-util codec.

use bytes::{Buf, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use super::{LineReadError, LineWriteError};

/// UTF-8 lines of limited length for `Framed`, `FramedRead` and `FramedWrite`.
///
/// `\n` ends a line; a `\r` before it (as in telnet) is part of the line break.
/// Lines are sent with `\n`. A stream that ends inside a line is an error,
/// because the rest may be lost.
///
/// ```
/// # use sockkit_codec as sockkit;
/// use bytes::BytesMut;
/// use sockkit::frame::Lines;
/// use tokio_util::codec::Decoder;
///
/// let (mut codec, mut wire) = (Lines::default(), BytesMut::from("one\r\ntw"));
/// assert_eq!(codec.decode(&mut wire)?.as_deref(), Some("one"));
/// assert_eq!(codec.decode(&mut wire)?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a codec does nothing until `Framed` is given it"]
pub struct Lines {
    max_receive_bytes: usize,
    max_send_bytes: usize,
    /// Offset of the next line in the decoded stream.
    offset: u64,
    /// Number of bytes of the next line already searched for `\n`.
    searched: usize,
}

impl Lines {
    /// Maximum length of a received line, without the line break. Default: 64
    /// KiB.
    pub fn max_receive_bytes(mut self, bytes: usize) -> Self {
        self.max_receive_bytes = bytes;
        self
    }

    /// Maximum length of a sent line, without the line break. Default: 64 KiB.
    pub fn max_send_bytes(mut self, bytes: usize) -> Self {
        self.max_send_bytes = bytes;
        self
    }

    fn too_long(&self) -> LineReadError {
        LineReadError::TooLong {
            offset: self.offset,
            limit: self.max_receive_bytes,
        }
    }
}

impl Decoder for Lines {
    type Item = String;
    type Error = LineReadError;

    fn decode(&mut self, source: &mut BytesMut) -> Result<Option<String>, LineReadError> {
        let fresh = source.get(self.searched..).unwrap_or_default();
        let Some(end) = fresh.iter().position(|&byte| byte == b'\n') else {
            self.searched = source.len();
            let line = source.strip_suffix(b"\r").unwrap_or(source);
            if line.len() > self.max_receive_bytes {
                return Err(self.too_long());
            }
            return Ok(None);
        };
        let wire = source.get(..self.searched + end).unwrap_or_default();
        let line = wire.strip_suffix(b"\r").unwrap_or(wire);
        if line.len() > self.max_receive_bytes {
            return Err(self.too_long());
        }
        let line = str::from_utf8(line).map_err(|error| LineReadError::NotUtf8 {
            offset: self.offset,
            valid_bytes: error.valid_up_to(),
        });
        let (line, taken) = (line?.to_owned(), wire.len() + 1);
        source.advance(taken);
        self.offset += taken as u64;
        self.searched = 0;
        Ok(Some(line))
    }

    fn decode_eof(&mut self, source: &mut BytesMut) -> Result<Option<String>, LineReadError> {
        match self.decode(source)? {
            None if !source.is_empty() => Err(LineReadError::Truncated {
                offset: self.offset,
                received: source.len(),
            }),
            line => Ok(line),
        }
    }
}

impl<T: AsRef<str>> Encoder<T> for Lines {
    type Error = LineWriteError;

    fn encode(&mut self, line: T, wire: &mut BytesMut) -> Result<(), LineWriteError> {
        let line = line.as_ref();
        if line.len() > self.max_send_bytes {
            return Err(LineWriteError::TooLong {
                length: line.len(),
                limit: self.max_send_bytes,
            });
        }
        if let Some(index) = line.find(['\r', '\n']) {
            return Err(LineWriteError::LineEnd { index });
        }
        wire.reserve(line.len() + 1);
        wire.extend_from_slice(line.as_bytes());
        wire.extend_from_slice(b"\n");
        Ok(())
    }
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            max_receive_bytes: DEFAULT_MAX_BYTES,
            max_send_bytes: DEFAULT_MAX_BYTES,
            offset: 0,
            searched: 0,
        }
    }
}

/// Longer than any line that a user types.
const DEFAULT_MAX_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn decode_all(
        codec: &mut Lines,
        wire: &[u8],
        cut: usize,
    ) -> Result<Vec<String>, LineReadError> {
        let (mut source, mut lines) = (BytesMut::new(), Vec::new());
        for part in [&wire[..cut], &wire[cut..]] {
            source.extend_from_slice(part);
            while let Some(line) = codec.decode(&mut source)? {
                lines.push(line);
            }
        }
        assert_eq!(codec.decode_eof(&mut source)?, None);
        Ok(lines)
    }

    #[test]
    fn a_line_is_encoded_into_a_buffer_of_its_size() {
        let mut wire = BytesMut::new();
        let line = "x".repeat(100);
        Lines::default()
            .encode(&line, &mut wire)
            .expect("under the limit");
        assert_eq!(wire, format!("{line}\n"));
        assert_eq!(wire.capacity(), 101);
    }

    #[track_caller]
    fn check(wire: &[u8], expected: &[&str]) {
        for cut in 0..=wire.len() {
            let lines = decode_all(&mut Lines::default(), wire, cut).expect("valid input");
            assert_eq!(lines, expected, "cut at byte {cut}");
        }
    }

    #[test]
    fn both_line_ends_end_a_line() {
        check(
            b"one\r\n\ntwo\n\r\nt\rhree\n",
            &["one", "", "two", "", "t\rhree"],
        );
        check("\u{d55c}\u{ae00}\n".as_bytes(), &["\u{d55c}\u{ae00}"]);
    }

    #[test]
    fn the_limit_counts_the_line_alone() {
        for (wire, fits) in [
            (&b"abc\n"[..], true),
            (b"abc\r\n", true),
            (b"abcd\n", false),
            (b"abc\r\r\n", false),
        ] {
            for cut in 0..=wire.len() {
                let mut codec = Lines::default().max_receive_bytes(3);
                let result = decode_all(&mut codec, wire, cut);
                assert_eq!(result.is_ok(), fits, "{wire:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_line_without_end_is_refused_at_the_limit() {
        let mut codec = Lines::default().max_receive_bytes(3);
        let error = codec.decode(&mut BytesMut::from("abcd")).unwrap_err();
        assert!(matches!(
            error,
            LineReadError::TooLong {
                offset: 0,
                limit: 3
            }
        ));
    }

    #[test]
    fn errors_say_where() {
        let mut source = BytesMut::from(&b"ok\nab\xff\n"[..]);
        let mut codec = Lines::default();
        codec.decode(&mut source).unwrap();
        let error = codec.decode(&mut source).unwrap_err();
        assert!(matches!(
            error,
            LineReadError::NotUtf8 {
                offset: 3,
                valid_bytes: 2
            }
        ));

        let mut source = BytesMut::from(&b"ok\nab"[..]);
        let mut codec = Lines::default();
        codec.decode_eof(&mut source).unwrap();
        let error = codec.decode_eof(&mut source).unwrap_err();
        assert!(matches!(
            error,
            LineReadError::Truncated {
                offset: 3,
                received: 2
            }
        ));
    }

    #[test]
    fn one_line_is_sent_as_one() {
        let (mut codec, mut wire) = (Lines::default().max_send_bytes(3), BytesMut::new());
        codec.encode("abc", &mut wire).unwrap();
        assert_eq!(wire, "abc\n");
        for (bad, expected) in [("abcd", "4 bytes"), ("a\nb", "byte 1"), ("\r", "byte 0")] {
            let error = codec.encode(bad, &mut wire).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert_eq!(wire, "abc\n");
    }
}
