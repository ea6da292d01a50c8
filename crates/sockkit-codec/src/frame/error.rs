//! Errors from reading and writing frames and lines.

use std::io;

use super::config::PREFIX_BYTES;

/// Error from receiving a frame.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameReadError {
    /// The announced length exceeds
    /// [`FrameConfig::max_receive_bytes`](super::FrameConfig::max_receive_bytes):
    /// drop the peer, or raise the limit if it is trusted.
    ///
    /// A common cause is a peer with the other
    /// [`LengthOrder`](super::LengthOrder).
    #[error("frame at byte {offset} announces {announced} bytes, limit is {limit}")]
    TooLong {
        /// Position of the frame in the stream, in bytes from its start.
        offset: u64,
        /// The length in the prefix, in bytes.
        announced: u64,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The peer closed inside a frame, which is incomplete.
    #[error(
        "stream ended inside the frame at byte {offset}: {received} of {expected} bytes received, prefix included"
    )]
    Truncated {
        /// Position of the frame in the stream, in bytes from its start.
        offset: u64,
        /// Bytes of the frame received, prefix included.
        received: usize,
        /// Length of the whole frame, or of its prefix if that is incomplete.
        expected: usize,
    },
    /// The stream failed: reconnecting may help.
    #[error("stream failed")]
    Io(#[from] io::Error),
}

impl FrameReadError {
    /// Of the frame that begins at `offset`, `received` bytes came. Its payload has
    /// `length` bytes: none as long as the prefix is incomplete.
    pub(super) fn truncated(offset: u64, received: usize, length: usize) -> Self {
        Self::Truncated {
            offset,
            received,
            expected: length.saturating_add(PREFIX_BYTES),
        }
    }
}

/// Error from sending a frame.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameWriteError {
    /// The payload exceeds
    /// [`FrameConfig::max_send_bytes`](super::FrameConfig::max_send_bytes).
    /// Nothing was sent, and the stream remains usable.
    #[error("payload of {length} bytes exceeds the send limit of {limit}")]
    TooLong {
        /// Length of the payload, in bytes.
        length: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The stream failed: reconnecting may help.
    #[error("stream failed")]
    Io(#[from] io::Error),
}

/// Error from receiving a line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LineReadError {
    /// The line exceeds
    /// [`Lines::max_receive_bytes`](super::Lines::max_receive_bytes).
    #[error("line at byte {offset} exceeds the limit of {limit} bytes")]
    TooLong {
        /// Position of the line in the stream, in bytes from its start.
        offset: u64,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The line is not valid UTF-8.
    #[error("line at byte {offset} is not valid UTF-8 after {valid_bytes} bytes")]
    NotUtf8 {
        /// Position of the line in the stream, in bytes from its start.
        offset: u64,
        /// Number of valid bytes at the start of the line.
        valid_bytes: usize,
    },
    /// The peer closed inside a line, which is incomplete.
    #[error("stream ended inside the line at byte {offset}, after {received} bytes of it")]
    Truncated {
        /// Position of the line in the stream, in bytes from its start.
        offset: u64,
        /// Bytes of the line received.
        received: usize,
    },
    /// The stream failed: reconnecting may help.
    #[error("stream failed")]
    Io(#[from] io::Error),
}

/// Error from sending a line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LineWriteError {
    /// The text exceeds
    /// [`Lines::max_send_bytes`](super::Lines::max_send_bytes).
    #[error("line of {length} bytes exceeds the send limit of {limit}")]
    TooLong {
        /// Length of the text, in bytes.
        length: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The text contains a line break, so the peer would see two lines.
    #[error("text contains a line break at byte {index}")]
    LineEnd {
        /// Position of the first `\r` or `\n` in the text, in bytes.
        index: usize,
    },
    /// The stream failed: reconnecting may help.
    #[error("stream failed")]
    Io(#[from] io::Error),
}

/// An `io::Error` of the nearest kind, with the whole text of the error.
macro_rules! into_io {
    ($($error:ident { $($variant:pat => $kind:ident),+ $(,)? })+) => {$(
        impl From<$error> for io::Error {
            fn from(error: $error) -> Self {
                let kind = match &error {
                    $($variant => io::ErrorKind::$kind,)+
                    $error::Io(source) => source.kind(),
                };
                Self::new(kind, error)
            }
        }
    )+};
}

into_io! {
    FrameReadError {
        FrameReadError::TooLong { .. } => InvalidData,
        FrameReadError::Truncated { .. } => UnexpectedEof,
    }
    FrameWriteError {
        FrameWriteError::TooLong { .. } => InvalidInput,
    }
    LineReadError {
        LineReadError::TooLong { .. } | LineReadError::NotUtf8 { .. } => InvalidData,
        LineReadError::Truncated { .. } => UnexpectedEof,
    }
    LineWriteError {
        LineWriteError::TooLong { .. } | LineWriteError::LineEnd { .. } => InvalidInput,
    }
}

/// What failed in one direction, told by the other: `?` in code that does both, and
/// `err_into().forward(sink)`. A failed stream stays one; all else becomes an
/// `io::Error` with the whole text.
macro_rules! into_each_other {
    ($($read:ident $write:ident)+) => {$(
        into_each_other!(@ $read => $write);
        into_each_other!(@ $write => $read);
    )+};
    (@ $from:ident => $to:ident) => {
        impl From<$from> for $to {
            fn from(error: $from) -> Self {
                Self::Io(match error {
                    $from::Io(source) => source,
                    error => error.into(),
                })
            }
        }
    };
}

into_each_other! {
    FrameReadError FrameWriteError
    LineReadError LineWriteError
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: impl Into<io::Error> + std::error::Error, kind: io::ErrorKind) {
        let text = error.to_string();
        let error = error.into();
        assert_eq!((error.kind(), error.to_string()), (kind, text));
    }

    #[test]
    fn an_io_error_has_the_nearest_kind_and_the_whole_text() {
        let reset = || io::Error::from(io::ErrorKind::ConnectionReset);
        let too_long = FrameReadError::TooLong {
            offset: 1,
            announced: 9,
            limit: 8,
        };
        check(too_long, io::ErrorKind::InvalidData);
        let cut = FrameReadError::Truncated {
            offset: 1,
            received: 2,
            expected: 8,
        };
        check(cut, io::ErrorKind::UnexpectedEof);
        check(FrameReadError::Io(reset()), io::ErrorKind::ConnectionReset);
        let too_long = FrameWriteError::TooLong {
            length: 9,
            limit: 8,
        };
        check(too_long, io::ErrorKind::InvalidInput);
        check(FrameWriteError::Io(reset()), io::ErrorKind::ConnectionReset);
        let no_text = LineReadError::NotUtf8 {
            offset: 1,
            valid_bytes: 0,
        };
        check(no_text, io::ErrorKind::InvalidData);
        let two_lines = LineWriteError::LineEnd { index: 3 };
        check(two_lines, io::ErrorKind::InvalidInput);
    }

    #[test]
    fn an_error_of_one_direction_is_told_by_the_other() {
        let reset = || io::Error::from(io::ErrorKind::ConnectionReset);
        let FrameWriteError::Io(source) = FrameReadError::Io(reset()).into() else {
            panic!("a failed stream is one");
        };
        // Not wrapped.
        assert!(source.get_ref().is_none());
        let too_long = LineWriteError::TooLong {
            length: 9,
            limit: 8,
        };
        let LineReadError::Io(source) = too_long.into() else {
            panic!("there is no such error of reading");
        };
        assert_eq!(source.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(
            source.to_string(),
            "line of 9 bytes exceeds the send limit of 8"
        );
    }
}
