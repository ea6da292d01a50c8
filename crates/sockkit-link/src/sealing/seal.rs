//! The sending half: seals each datagram at its own position.

use std::fmt;

use ring::aead::{Aad, LessSafeKey, Nonce};
use sockkit_codec::shard::{
    MessageKind, Parity, Shards, SplitError, Splitter, StreamId,
    seal::{Position, Suite, Unsealed},
};

use super::{Direction, Key, key::fastest};

/// Splits the messages of one stream into sealed datagrams.
pub struct Sealer {
    splitter: Splitter,
    key: EpochKeys,
}

impl Sealer {
    /// Seals what `splitter` splits. Its stream id must be random at each
    /// start: the same id would reuse keys and positions.
    ///
    /// Uses the cipher that is faster on this machine's CPU.
    pub fn new(key: Key, direction: Direction, splitter: Splitter) -> Self {
        Self::with_suite(key, direction, splitter, fastest())
    }

    /// As [`new`](Self::new), with this cipher.
    pub fn with_suite(key: Key, direction: Direction, splitter: Splitter, suite: Suite) -> Self {
        let epoch = Position(0).epoch();
        let current = key.derive(suite, direction, splitter.stream(), epoch);
        Self {
            key: EpochKeys {
                key,
                suite,
                direction,
                next: Position(0),
                epoch,
                current,
            },
            splitter,
        }
    }

    /// The position of the next datagram, which a receiver may be
    /// [told](super::ToldStream).
    #[must_use]
    pub fn position(&self) -> Position {
        self.key.next
    }

    /// The number of the next message.
    #[must_use]
    pub fn next_number(&self) -> u64 {
        self.splitter.next_number()
    }

    /// The stream.
    #[must_use]
    pub fn stream(&self) -> StreamId {
        self.splitter.stream()
    }

    /// Continues with the first position of a later epoch, whose key is made from
    /// this one. An epoch that is not later changes nothing: positions only grow.
    pub fn begin_epoch(&mut self, epoch: u64, key: Key) {
        if epoch > self.key.next.epoch() {
            self.key.begin(epoch, key, self.splitter.stream());
        }
    }

    #[cfg(test)]
    pub(super) fn skip_to(&mut self, position: Position) {
        self.key.next = position;
    }

    /// As [`Splitter::split_parts`].
    ///
    /// # Errors
    /// As [`Splitter::split_parts`].
    pub fn split_parts(
        &mut self,
        kind: MessageKind,
        parts: &[&[u8]],
        parity: Parity,
    ) -> Result<Shards<'_>, SplitError> {
        let (key, stream) = (&mut self.key, self.splitter.stream());
        self.splitter
            .split_sealed(kind, parts, parity, key.suite, |unsealed| {
                let epoch = key.next.epoch();
                if epoch != key.epoch {
                    key.current = key.key.derive(key.suite, key.direction, stream, epoch);
                    key.epoch = epoch;
                }
                key.seal(unsealed);
            })
    }

    /// Returns the sealed datagrams of the last message again, if it is of this
    /// stream. Sent twice, they are what was sent before: no position is reused.
    #[must_use]
    pub fn last(&self, stream: StreamId) -> Option<Shards<'_>> {
        let splitter = &self.splitter;
        splitter.last().filter(|_| splitter.stream() == stream)
    }
}

/// The keys of a stream, one per epoch.
struct EpochKeys {
    key: Key,
    suite: Suite,
    direction: Direction,
    next: Position,
    epoch: u64,
    current: LessSafeKey,
}

impl EpochKeys {
    fn begin(&mut self, epoch: u64, key: Key, stream: StreamId) {
        self.next = Position(epoch * Position::EPOCH_DATAGRAMS);
        self.current = key.derive(self.suite, self.direction, stream, epoch);
        (self.epoch, self.key) = (epoch, key);
    }

    fn seal(&mut self, unsealed: Unsealed<'_>) {
        let position = self.next;
        // At a million datagrams a second the last one is 580,000 years away.
        self.next = Position(position.0 + 1);
        unsealed.seal(position, |header, text| {
            let nonce = Nonce::assume_unique_for_key(position.nonce());
            let tag = self
                .current
                .seal_in_place_separate_tag(nonce, Aad::from(header), text);
            let tag = tag.expect("a datagram is shorter than the cipher's limit");
            tag.as_ref().try_into().expect("a tag of 16 bytes")
        });
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer")
            .field("splitter", &self.splitter)
            .field("suite", &self.key.suite)
            .field("direction", &self.key.direction)
            .field("next", &self.key.next)
            .finish_non_exhaustive()
    }
}
