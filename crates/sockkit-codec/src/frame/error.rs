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
