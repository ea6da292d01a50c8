//! Large messages as datagrams, with parity against loss.
//!
//! A [`Splitter`] cuts a message into `data` shards of equal length, adds
//! `parity` Reed–Solomon shards, and puts a header before each. A
//! [`Reassembler`] returns the message as soon as any `data` of the shards have
//! arrived, in any order. The code is systematic: as long as nothing is lost,
//! the receiver only copies each shard into place.
//!
//! ```
//! # use sockkit_codec as sockkit;
//! use std::{net::SocketAddr, time::{Duration, Instant}};
//! use sockkit::shard::{
//!     MessageKind, Parity, Reassembler, ReassemblyConfig, SplitConfig, Splitter, StreamId,
//! };
//!
//! let mut splitter = Splitter::new(SplitConfig::default(), StreamId(0x5eed));
//! let mut reassembler = Reassembler::new(ReassemblyConfig::default());
//! let picture = vec![7; 60_000];
//!
//! let shards = splitter.split(MessageKind(1), &picture, Parity::percent(20))?;
//! let from = SocketAddr::from(([127, 0, 0, 1], 5006));
//! let mut arrived = None;
//! // The first nine of 53 datagrams are lost.
//! for datagram in shards.datagrams().skip(9) {
//!     if let Some(message) = reassembler.handle_datagram(Instant::now(), from, datagram)? {
//!         arrived = Some(message.bytes);
//!     }
//! }
//! assert_eq!(arrived.as_deref(), Some(&picture[..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it protects against
//!
//! - Loss, reordering, duplication, several senders on one socket.
//! - A restarted sender, a shard forged without seeing the traffic, flipped bits:
//!   a message is delivered only if its CRC-32C matches. Shards with different
//!   headers are never combined in one message, so a forged header does not
//!   damage the genuine message.
//! - Memory exhaustion: every count in a header is compared with a limit before
//!   memory is reserved, and memory grows with the bytes received, not with the
//!   announced length. A host that fills the reassembler displaces its own
//!   messages.
//! - A forged message number: it advances a stream only if its successor arrives,
//!   too ([`Sequence`]).
//!
//! Without sealing it does not protect against an attacker who sees the traffic and
//! can send from the sender's address. Such an attacker can copy a header and send a
//! wrong shard, so that the message is dropped, or forge a whole message with a
//! correct CRC. Only an authentication tag prevents this: see [`seal`].
//!
//! # Source
//! The layout on the wire is drawn in `docs/wire/shard.md`.

#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

mod error;
mod header;
mod parity;
mod reassemble;
pub mod seal;
mod sequence;
mod split;

pub use error::{ShardError, SplitError};
pub use header::HEADER_BYTES;
pub use parity::Parity;
pub use reassemble::{
    Missing, Older, ReassembledMessage, Reassembler, ReassemblyConfig, ReassemblyStats, ShardCounts,
};
pub use sequence::{Sequence, Step};
pub use split::{Shards, SplitConfig, Splitter};

/// Identifies a sender, and one run of it.
///
/// Choose it at random at each start: a receiver then never mixes the shards of
/// two runs, and a host that does not see the traffic cannot guess it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct StreamId(pub u64);

/// The kind of a message, as defined by the protocol above.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MessageKind(pub u8);

impl MessageKind {
    /// Reads the kind from the header of a datagram, if there is a header. Does
    /// not check the other fields.
    #[must_use]
    pub fn of_datagram(datagram: &[u8]) -> Option<Self> {
        let header = datagram.get(..HEADER_BYTES)?;
        header.get(header::KIND_AT).copied().map(Self)
    }
}

/// Maximum payload of a UDP datagram over IPv4.
const UDP_PAYLOAD_MAX_BYTES: usize = 65_507;

/// Default maximum length of a message, for sender and receiver.
const MESSAGE_MAX_BYTES: usize = 16 << 20;
