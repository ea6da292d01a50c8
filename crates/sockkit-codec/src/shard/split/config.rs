//! The sender's limits.

use super::super::{MESSAGE_MAX_BYTES, UDP_PAYLOAD_MAX_BYTES};

/// How large datagrams and messages may be.
#[derive(Clone, Debug)]
#[must_use = "a config does nothing until a splitter is given it"]
pub struct SplitConfig {
    pub(super) max_datagram_bytes: usize,
    pub(super) max_message_bytes: usize,
}

impl SplitConfig {
    /// The most bytes in one datagram, header included. Default: 1,400.
    ///
    /// 1,400 bytes of UDP payload are never fragmented on Ethernet. Raise it
    /// where the path allows (loopback, jumbo frames): fewer headers, fewer
    /// calls. Brought into 64 to 65,507; the shortest sealed one has 92.
    pub fn max_datagram_bytes(mut self, bytes: usize) -> Self {
        self.max_datagram_bytes = bytes.clamp(64, UDP_PAYLOAD_MAX_BYTES);
        self
    }

    /// The longest message. Default: 16 MiB; at most 4 GiB − 1.
    ///
    /// A receiver has its own limit and refuses what is over it.
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
