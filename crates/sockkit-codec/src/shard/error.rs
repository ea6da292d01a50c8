//! Errors from splitting a message, and from receiving a datagram.

use super::StreamId;

/// Error from splitting a message; the caller's mistake.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// The message exceeds `SplitConfig::max_message_bytes`.
    #[error("message of {got} bytes, limit is {limit}")]
    MessageTooLong {
        /// Length of the message, in bytes.
        got: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The message needs more shards than the code supports.
    #[error("message needs {needed} data shards, limit is {limit}: raise max_datagram_bytes")]
    TooManyShards {
        /// Data shards needed at this datagram size.
        needed: usize,
        /// Maximum number of data shards of a message.
        limit: usize,
    },
}

/// Error about a datagram, or about the message that it completed. Caused by
/// the peer or the network; the receiver remains usable.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ShardError {
    /// The datagram is shorter than a header.
    #[error("datagram of {got} bytes is shorter than the header of {needed}")]
    TooShort {
        /// Length of the datagram, in bytes.
        got: usize,
        /// Length of the header, in bytes.
        needed: usize,
    },
    /// The datagram does not start with the magic number: another protocol.
    #[error("datagram starts with {got:#06x}, expected {expected:#06x}")]
    NotAShard {
        /// The first two bytes.
        got: u16,
        /// The magic number.
        expected: u16,
    },
    /// The sender uses a later version.
    #[error("shard of version {got}, this receiver supports {known}")]
    UnknownVersion {
        /// The version in the header.
        got: u8,
        /// The version of this receiver.
        known: u8,
    },
    /// The sender uses a feature of a later version.
    #[error("shard has flags {got:#06x}, not all of which are supported")]
    UnknownFlags {
        /// The flags in the header.
        got: u16,
    },
    /// The datagram is sealed, and must be [opened](super::seal) first.
    #[error("datagram is sealed, and there is no key here")]
    Sealed,
    /// The datagram is not sealed, but only [sealed](super::seal) ones are accepted.
    #[error("datagram is not sealed")]
    NotSealed,
    /// The message exceeds `ReassemblyConfig::max_message_bytes`.
    #[error("message announces {announced} bytes, limit is {limit}")]
    MessageTooLong {
        /// The length in the header, in bytes.
        announced: u32,
        /// The limit, in bytes.
        limit: usize,
    },
    /// Shard counts that no conforming sender uses for this message length.
    #[error("message of {message_bytes} bytes announces {data} data and {parity} parity shards")]
    BadCounts {
        /// Message length in the header, in bytes.
        message_bytes: u32,
        /// Data shards in the header.
        data: u16,
        /// Parity shards in the header.
        parity: u16,
    },
    /// The shard's index is not below the number of shards.
    #[error("shard index {index}, message has {shards} shards")]
    IndexOutOfRange {
        /// The index in the header.
        index: u16,
        /// Data and parity shards together.
        shards: u32,
    },
    /// The shard's length differs from what its header implies.
    #[error("shard of {got} bytes, its header implies {expected}")]
    WrongLength {
        /// Bytes after the header.
        got: usize,
        /// The length implied by the message length and the number of data
        /// shards.
        expected: usize,
    },
    /// All shards arrived, but the reassembled message is not what was sent.
    #[error(
        "message {number} of stream {stream:?} has CRC-32C {computed:#010x}, announced {announced:#010x}"
    )]
    Corrupt {
        /// The stream it came in.
        stream: StreamId,
        /// Its number in the stream.
        number: u64,
        /// The checksum in the headers.
        announced: u32,
        /// The checksum of the received message.
        computed: u32,
    },
}
