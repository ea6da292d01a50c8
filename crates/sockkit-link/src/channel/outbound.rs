//! Splits messages into datagrams, plain or sealed. Pure.

use sockkit_codec::shard::{MessageKind, Parity, Shards, SplitError, Splitter, StreamId};

#[cfg(feature = "sealing")]
use crate::sealing::Sealer;

/// Splits the messages of one stream.
#[derive(Debug)]
pub(super) enum Outbound {
    Plain(Splitter),
    #[cfg(feature = "sealing")]
    Sealed(Box<Sealer>),
}

impl Outbound {
    pub(super) fn split(
        &mut self,
        kind: MessageKind,
        parts: &[&[u8]],
        parity: Parity,
    ) -> Result<Shards<'_>, SplitError> {
        match self {
            Self::Plain(splitter) => splitter.split_parts(kind, parts, parity),
            #[cfg(feature = "sealing")]
            Self::Sealed(sealer) => sealer.split_parts(kind, parts, parity),
        }
    }

    /// The datagrams of the last message again, if it is of this stream.
    pub(super) fn last(&self, stream: StreamId) -> Option<Shards<'_>> {
        match self {
            Self::Plain(splitter) => splitter.last().filter(|_| splitter.stream() == stream),
            #[cfg(feature = "sealing")]
            Self::Sealed(sealer) => sealer.last(stream),
        }
    }
}
