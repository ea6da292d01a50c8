//! Messages as datagrams that survive loss.
//!
//! A [`Splitter`] cuts a message into `data` shards of equal length, adds
//! `parity` Reed–Solomon shards, and puts a header before each. A
//! [`Reassembler`] gives the message back as soon as any `data` of the shards
//! have come, in any order. The code is systematic: while nothing is lost, the
//! receiver copies each shard into place and computes nothing.
//!
//! ```
//! # use sockkit_codec as sockkit;
//! use std::{net::SocketAddr, time::{Duration, Instant}};
//! use sockkit::shard::{
//!     Kind, Parity, Reassembler, ReassemblyConfig, SplitConfig, Splitter, StreamId,
//! };
//!
//! let mut splitter = Splitter::new(SplitConfig::default(), StreamId(0x5eed));
//! let mut reassembler = Reassembler::new(ReassemblyConfig::default());
//! let picture = vec![7; 60_000];
//!
//! let shards = splitter.split(Kind(1), &picture, Parity::percent(20))?;
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
//! # What it protects from, and what not
//!
//! - Loss, reorder, duplication, several senders mixed on one socket: yes.
//! - A restarted sender, a shard forged without sight of the traffic, a bit
//!   flipped on the way: a message is delivered only if its CRC-32C fits.
//!   Shards whose headers disagree never meet in one message, so a forged
//!   header does not spoil the true message beside it.
//! - Memory: every count in a header meets a limit before anything is
//!   reserved, and what is held grows with the bytes that came, not with those
//!   announced. A host that fills the reassembler pushes out its own messages.
//! - A forged message number: it moves a stream only if the one after it comes
//!   too ([`Sequence`]).
//! - Somebody who sees the traffic and can send from the sender's address: in
//!   the clear, no. Such a peer can copy a header, send a wrong shard, and so have
//!   the message dropped, or forge a whole message with a right CRC. Only an
//!   authentication tag stops that: see [`seal`].
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
pub use reassemble::{Message, Older, Reassembler, ReassemblyConfig, ReassemblyStats};
pub use sequence::{Sequence, Step};
pub use split::{Shards, SplitConfig, Splitter};

/// Which sender, and which start of it, a message belongs to.
///
/// Draw it at random at each start: a receiver then never mixes the shards of
/// two runs, and nobody who does not see the traffic can guess it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct StreamId(pub u64);

/// What a message holds; the numbers belong to the protocol above.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Kind(pub u8);

impl Kind {
    /// The kind that the header of a datagram names, if there is a header; the
    /// rest of it is not looked at.
    #[must_use]
    pub fn of_datagram(datagram: &[u8]) -> Option<Self> {
        let header = datagram.get(..HEADER_BYTES)?;
        header.get(header::KIND_AT).copied().map(Self)
    }
}

/// The most bytes a UDP datagram carries over IPv4.
const UDP_PAYLOAD_MAX_BYTES: usize = 65_507;

/// The longest message by default, for sender and receiver.
const MESSAGE_MAX_BYTES: usize = 16 << 20;
