//! Limits of the sender.

use super::super::{MESSAGE_MAX_BYTES, UDP_PAYLOAD_MAX_BYTES};

/// Maximum sizes of datagrams and messages.
#[derive(Clone, Debug)]
#[must_use = "a config does nothing until a splitter is given it"]
pub struct SplitConfig {
    pub(super) max_datagram_bytes: usize,
    pub(super) max_message_bytes: usize,
}

impl SplitConfig {
    /// Maximum size of a datagram, header included, in bytes. Default: 1,400.
    ///
    /// 1,400 bytes of UDP payload are never fragmented on Ethernet. Use larger
    /// datagrams where the path supports them (loopback, jumbo frames), for
    /// fewer headers and calls. Clamped to 64..=65,507;
    /// sealed datagrams have at least 92.
    pub fn max_datagram_bytes(mut self, bytes: usize) -> Self {
        self.max_datagram_bytes = bytes.clamp(64, UDP_PAYLOAD_MAX_BYTES);
        self
    }

    /// Maximum length of a message. Default: 16 MiB; at most 4 GiB − 1.
    ///
    /// A receiver rejects messages that exceed its own limit.
    pub fn max_message_bytes(mut self, bytes: usize) -> Self {
        self.max_message_bytes = bytes.min(u32::MAX as usize);
        self
    }
}

impl Default for SplitConfig {
    fn default() -> Self {
        Self {
            max_datagram_bytes: 1_400,
            max_message_bytes: MESSAGE_MAX_BYTES,
        }
    }
}
