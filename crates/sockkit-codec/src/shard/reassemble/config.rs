//! The limits of a reassembler.

use std::time::Duration;

use super::super::MESSAGE_MAX_BYTES;

/// Limits of a [`Reassembler`](super::Reassembler).
#[derive(Clone, Debug)]
#[must_use = "a config does nothing until a reassembler is given it"]
pub struct ReassemblyConfig {
    pub(super) max_message_bytes: usize,
    pub(super) max_messages: usize,
    pub(super) max_buffered_bytes: usize,
    pub(super) max_streams: usize,
    pub(super) max_age: Duration,
    pub(super) older: Older,
}

impl ReassemblyConfig {
    /// Maximum length of a message. Default: 16 MiB.
    ///
    /// Also bounds the decoder's memory to at most four times as much.
    pub fn max_message_bytes(mut self, bytes: usize) -> Self {
        self.max_message_bytes = bytes;
        self
    }

    /// Maximum number of messages in flight from all senders. Default: 64; at
    /// least 1.
    ///
    /// Each shard that does not belong to the previous shard's message costs a
    /// search through them.
    pub fn max_messages(mut self, messages: usize) -> Self {
        self.max_messages = messages.max(1);
        self
    }

    /// Maximum memory for incomplete messages and spare buffers, in bytes.
    /// Default: 64 MiB.
    ///
    /// A message that is longer never completes.
    pub fn max_buffered_bytes(mut self, bytes: usize) -> Self {
        self.max_buffered_bytes = bytes;
        self
    }

    /// Number of streams whose delivered messages are remembered. Default: 64;
    /// at least 1.
    ///
    /// A late duplicate of a whole message is delivered twice if its stream has
    /// been forgotten.
    pub fn max_streams(mut self, streams: usize) -> Self {
        self.max_streams = streams.max(1);
        self
    }

    /// How long after its first shard an incomplete message is dropped.
    /// Default: 2 s.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// What happens to older messages when a newer one is delivered. Default:
    /// [`Older::Keep`].
    pub fn older(mut self, older: Older) -> Self {
        self.older = older;
        self
    }
}

impl Default for ReassemblyConfig {
    fn default() -> Self {
        Self {
            max_message_bytes: MESSAGE_MAX_BYTES,
            max_messages: 64,
            max_buffered_bytes: 64 << 20,
            max_streams: 64,
            max_age: Duration::from_secs(2),
            older: Older::Keep,
        }
    }
}

/// What happens to a stream's incomplete messages when a newer one of the same
/// kind is delivered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Older {
    /// They may still complete: every message matters.
    Keep,
    /// They are dropped at once: only the newest picture matters.
    GiveUp,
}
