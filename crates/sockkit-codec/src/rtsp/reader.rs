//! Finds requests in a byte stream.
#![warn(clippy::indexing_slicing)]

use bytes::{Buf, BytesMut};

use super::{Request, RequestError};

/// Finds the requests, and the interleaved packets between them, in what a client
/// sends.
///
/// Call [`push`](Self::push) with what has arrived, then [`poll`](Self::poll) until it
/// returns `None`. Bodies and packets are skipped as they arrive: at most the header of
/// one request is kept, and what was pushed at once.
#[derive(Debug, Default)]
pub struct RequestReader {
    buffer: BytesMut,
    /// Bytes to come that are not read.
    skip: usize,
    /// Start of the buffer that holds no end of a header.
    searched: usize,
}

/// What a client has sent.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Inbound {
    /// A request.
    Request(Request),
    /// A packet between requests, such as a receiver's report. Its data is skipped.
    Interleaved {
        /// Which channel it is on.
        channel: u8,
        /// Its length, in bytes.
        bytes: u16,
    },
}

impl RequestReader {
    /// Takes bytes that have arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        self.buffer
            .extend_from_slice(bytes.get(skipped..).unwrap_or_default());
    }

    /// Returns what is complete, or `None` if more bytes are needed.
    ///
    /// # Errors
    /// [`RequestError`], after which the stream cannot be followed.
    pub fn poll(&mut self) -> Result<Option<Inbound>, RequestError> {
        // Some clients send empty lines between requests.
        while self.searched == 0 && matches!(self.buffer.first(), Some(b'\r' | b'\n')) {
            self.buffer.advance(1);
        }
        if self.buffer.first() == Some(&b'$') {
            return Ok(self.interleaved());
        }
        let Some((head, end)) = self.end_of_head()? else {
            return Ok(None);
        };
        let request = Request::parse(self.buffer.get(..head).unwrap_or_default())?;
        self.consume(end + request.body_bytes);
        Ok(Some(Inbound::Request(request)))
    }

    /// Bytes that are kept.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.buffer.len()
    }

    fn interleaved(&mut self) -> Option<Inbound> {
        let &[_, channel, l1, l0] = self.buffer.first_chunk()?;
        let bytes = u16::from_be_bytes([l1, l0]);
        self.consume(4 + usize::from(bytes));
        Some(Inbound::Interleaved { channel, bytes })
    }

    /// Where the header of a request ends, and where its body begins.
    fn end_of_head(&mut self) -> Result<Option<(usize, usize)>, RequestError> {
        let limit = MAX_HEAD_BYTES;
        let rest = self.buffer.get(self.searched..).unwrap_or_default();
        let found = rest.windows(2).zip(self.searched..).find_map(|(two, at)| {
            // A line feed, and after it an empty line.
            let next = self.buffer.get(at + 1..).unwrap_or_default();
            match two {
                b"\n\n" => Some((at, at + 2)),
                b"\n\r" if next.starts_with(b"\r\n") => Some((at, at + 3)),
                _ => None,
            }
        });
        match found {
            Some((head, _)) if head > limit => Err(RequestError::TooLong { limit }),
            Some(found) => Ok(Some(found)),
            None if self.buffer.len() > limit + END_BYTES => Err(RequestError::TooLong { limit }),
            None => {
                // The end may have begun in the last bytes.
                self.searched = self.buffer.len().saturating_sub(END_BYTES);
                Ok(None)
            }
        }
    }

    /// Removes bytes, of which some may be to come.
    fn consume(&mut self, bytes: usize) {
        let here = bytes.min(self.buffer.len());
        self.buffer.advance(here);
        self.skip = bytes - here;
        self.searched = 0;
    }
}

const MAX_HEAD_BYTES: usize = 4 << 10;

/// A line feed, a carriage return and a line feed.
const END_BYTES: usize = 3;

/// What is kept of an incomplete request.
#[cfg(any(test, fuzzing))]
pub(crate) const MAX_PARTIAL_BYTES: usize = MAX_HEAD_BYTES + END_BYTES;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtsp::Method;

    /// What is found in `input`, cut in two at every byte.
    #[track_caller]
    fn check(input: &[u8], expected: &[&str]) {
        for cut in 0..=input.len() {
            let mut reader = RequestReader::default();
            let mut found = Vec::new();
            let (one, other) = input.split_at(cut);
            for part in [one, other] {
                reader.push(part);
                while let Some(inbound) = reader.poll().unwrap() {
                    found.push(match inbound {
                        Inbound::Request(request) => {
                            format!("{:?} {}", request.method, request.number)
                        }
                        Inbound::Interleaved { channel, bytes } => format!("{channel} {bytes}"),
                    });
                }
            }
            assert_eq!(found, expected, "cut at byte {cut}");
            let left = (reader.buffered_bytes(), reader.skip);
            assert_eq!(left, (0, 0), "cut at byte {cut}");
        }
    }

    #[test]
    fn requests_bodies_and_packets_are_told_apart() {
        let input = [
            &b"\r\nOPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"[..],
            b"$\x01\0\x05\r\n\r\n$",
            b"GET_PARAMETER / RTSP/1.0\r\nCSeq: 2\r\nContent-Length: 6\r\n\r\nx\r\n\r\n$",
            b"$\x03\0\0",
            b"PLAY / RTSP/1.0\nCSeq: 3\n\nTEARDOWN / RTSP/1.0\r\nCSeq: 4\n\r\n",
        ];
        let expected = [
            "Options 1",
            "1 5",
            "GetParameter 2",
            "3 0",
            "Play 3",
            "Teardown 4",
        ];
        check(&input.concat(), &expected);
    }

    #[test]
    fn a_header_over_the_limit_is_refused_early() {
        let head = |bytes: usize| {
            let line = "PLAY / RTSP/1.0\r\nCSeq: 1\r\nA: ";
            let filler = "a".repeat(bytes - line.len() - 1);
            format!("{line}{filler}\r\n\r\n")
        };
        let mut reader = RequestReader::default();
        reader.push(head(MAX_HEAD_BYTES).as_bytes());
        assert!(matches!(reader.poll(), Ok(Some(Inbound::Request(_)))));
        let limit = MAX_HEAD_BYTES;
        reader.push(head(limit + 1).as_bytes());
        assert_eq!(reader.poll(), Err(RequestError::TooLong { limit }));

        let mut reader = RequestReader::default();
        let mut pushed = 0;
        while reader.poll() == Ok(None) {
            reader.push(&[b'a'; 100]);
            pushed += 100;
        }
        assert!(pushed <= limit + 200, "{pushed}");
    }

    #[test]
    fn packets_take_no_memory() {
        let mut reader = RequestReader::default();
        for _ in 0..1_000 {
            reader.push(b"$\0\xff\xff");
            let packet = Inbound::Interleaved {
                channel: 0,
                bytes: u16::MAX,
            };
            assert_eq!(reader.poll(), Ok(Some(packet)));
            for _ in 0..15 {
                reader.push(&[b'$'; 4_369]);
                assert_eq!(reader.poll(), Ok(None));
                assert_eq!(reader.buffered_bytes(), 0);
            }
        }
        reader.push(b"PLAY / RTSP/1.0\r\nCSeq: 1\r\n\r\n");
        let found = reader.poll();
        assert!(
            matches!(&found, Ok(Some(Inbound::Request(request))) if request.method == Method::Play),
            "{found:?}"
        );
    }
}
