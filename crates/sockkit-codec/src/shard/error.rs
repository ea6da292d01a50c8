//! Why a message could not be split, and why a datagram was refused.

use super::StreamId;

/// Why a message cannot be sent as shards. The caller's to mend.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// The message is longer than `SplitConfig::max_message_bytes`.
    #[error("message of {got} bytes, limit is {limit}")]
    MessageTooLong {
        /// Length of the message, in bytes.
        got: usize,
        /// The limit in force, in bytes.
        limit: usize,
    },
    /// The message needs more shards than the code has places.
    #[error("message needs {needed} data shards, limit is {limit}: raise max_datagram_bytes")]
    TooManyShards {
        /// Data shards needed at this datagram size.
        needed: usize,
        /// Data shards a message may have.
        limit: usize,
    },
}

/// Why a datagram, or the message it completed, was refused. The peer's fault,
/// or the network's; the receiver stays as good as before.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ShardError {
    /// The datagram is shorter than a header.
    #[error("datagram of {got} bytes, a header alone has {needed}")]
    TooShort {
        /// Length of the datagram, in bytes.
        got: usize,
        /// Length of the header, in bytes.
        needed: usize,
    },
    /// The datagram does not begin with the magic number: another protocol.
    #[error("datagram begins with {got:#06x}, a shard with {expected:#06x}")]
    NotAShard {
        /// The first two bytes.
        got: u16,
        /// The magic number.
        expected: u16,
    },
    /// The sender speaks a later version.
    #[error("shard of version {got}, this receiver knows {known}")]
    UnknownVersion {
        /// The version in the header.
        got: u8,
        /// The version known here.
        known: u8,
    },
    /// The sender uses a feature of a later version.
    #[error("shard has flags {got:#06x}, and not all are known here")]
    UnknownFlags {
        /// The flags in the header.
        got: u16,
    },
    /// The datagram is sealed, and has to be [opened](super::seal) first.
    #[error("datagram is sealed, and there is no key here")]
    Sealed,
    /// The datagram is in the clear where [sealed](super::seal) ones are taken
    /// alone.
    #[error("datagram is not sealed")]
    NotSealed,
    /// The message is longer than `ReassemblyConfig::max_message_bytes`.
    #[error("message announces {announced} bytes, limit is {limit}")]
    MessageTooLong {
        /// The length in the header, in bytes.
        announced: u32,
        /// The limit in force, in bytes.
        limit: usize,
    },
    /// No sender that follows the format cuts a message so.
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
    /// The shard is not as long as its header makes it.
    #[error("shard of {got} bytes, its header makes it {expected}")]
    WrongLength {
        /// Bytes after the header.
        got: usize,
        /// What the message length and the data count make of it.
        expected: usize,
    },
    /// The shards came, but what they make is not what was sent.
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
        /// The checksum of what came.
        computed: u32,
    },
}
