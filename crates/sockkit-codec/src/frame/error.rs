//! Why frames and lines could not be read or written.

use std::io;

/// Why the next frame could not be received.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameReadError {
    /// The peer announces more than
    /// [`FrameConfig::max_receive_bytes`](super::FrameConfig::max_receive_bytes):
    /// drop it, or raise the limit if it is trusted.
    ///
    /// A common cause is a peer with the other
    /// [`LengthOrder`](super::LengthOrder).
    #[error("frame at byte {offset} announces {announced} bytes, limit is {limit}")]
    TooLong {
        /// Position of the frame in the stream, in bytes from its start.
        offset: u64,
        /// The length in the prefix, in bytes.
        announced: u64,
        /// The limit in force, in bytes.
        limit: usize,
    },
    /// The peer closed inside a frame: what it sent is incomplete.
    #[error(
        "stream ended inside the frame at byte {offset}: {received} of {expected} bytes came, prefix included"
    )]
    Truncated {
        /// Position of the frame in the stream, in bytes from its start.
        offset: u64,
        /// Bytes of the frame that came, prefix included.
        received: usize,
        /// Bytes of the whole frame; of its prefix if that is incomplete.
        expected: usize,
    },
    /// The stream failed: reconnecting may help.
    #[error("stream failed")]
    Io(#[from] io::Error),
}

/// Why a frame could not be sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameWriteError {
    /// The caller's payload is longer than
    /// [`FrameConfig::max_send_bytes`](super::FrameConfig::max_send_bytes).
    /// Nothing of it was sent and the stream is still good.
    #[error("payload of {length} bytes is over the send limit of {limit}")]
    TooLong {
        /// Length of the payload, in bytes.
        length: usize,
        /// The limit in force, in bytes.
        limit: usize,
    },
    /// The stream failed: reconnecting may help.
    #[error("stream failed")]
    Io(#[from] io::Error),
}

/// Why the next line could not be received.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LineReadError {
    /// The peer sent more than
    /// [`Lines::max_receive_bytes`](super::Lines::max_receive_bytes) without
    /// ending the line.
    #[error("line at byte {offset} is longer than the limit of {limit} bytes")]
    TooLong {
        /// Position of the line in the stream, in bytes from its start.
        offset: u64,
        /// The limit in force, in bytes.
        limit: usize,
    },
    /// The peer sent bytes that are not text.
    #[error("line at byte {offset} is not UTF-8 from its byte {valid_bytes} on")]
    NotUtf8 {
        /// Position of the line in the stream, in bytes from its start.
        offset: u64,
        /// How many bytes of the line are valid.
        valid_bytes: usize,
    },
    /// The peer closed inside a line: what it sent is incomplete.
    #[error("stream ended inside the line at byte {offset}, after {received} bytes of it")]
    Truncated {
        /// Position of the line in the stream, in bytes from its start.
        offset: u64,
        /// Bytes of the line that came.
        received: usize,
    },
    /// The stream failed: reconnecting may help.
    #[error("stream failed")]
    Io(#[from] io::Error),
}

/// Why a line could not be sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LineWriteError {
    /// The caller's text is longer than
    /// [`Lines::max_send_bytes`](super::Lines::max_send_bytes).
    #[error("line of {length} bytes is over the send limit of {limit}")]
    TooLong {
        /// Length of the text, in bytes.
        length: usize,
        /// The limit in force, in bytes.
        limit: usize,
    },
    /// The caller's text holds a line end, so the peer would see two lines.
    #[error("text has a line end at byte {index}, one line must have none")]
    LineEnd {
        /// Position of the first `\r` or `\n` in the text, in bytes.
        index: usize,
    },
    /// The stream failed: reconnecting may help.
    #[error("stream failed")]
    Io(#[from] io::Error),
}

/// An `io::Error` of the nearest kind, with all that is known in its text.
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
}
