//! The length prefix, and its limits.

use super::{FrameReadError, FrameWriteError};

/// Wire format and maximum length of frames.
///
/// ```
/// # use sockkit_codec as sockkit;
/// use sockkit::frame::{FrameConfig, LengthOrder};
///
/// // What Python's `struct.pack('Q', n)` sends on today's machines.
/// let python = FrameConfig::default()
///     .order(LengthOrder::LittleEndian)
///     .max_receive_bytes(1 << 20);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use = "a config does nothing until a reader, writer or codec is given it"]
pub struct FrameConfig {
    order: LengthOrder,
    max_receive_bytes: usize,
    max_send_bytes: usize,
}

impl FrameConfig {
    /// Byte order of the length. Default: big-endian.
    pub fn order(mut self, order: LengthOrder) -> Self {
        self.order = order;
        self
    }

    /// Maximum payload length to accept from the peer. Default: 64 MiB.
    ///
    /// A longer announced length ends the connection before any memory is
    /// reserved. This also bounds the memory of one connection, up to a factor
    /// of two while a frame grows.
    pub fn max_receive_bytes(mut self, bytes: usize) -> Self {
        self.max_receive_bytes = bytes;
        self
    }

    /// Maximum payload length to send. Default: 64 MiB.
    ///
    /// Set it to the peer's limit: an error here reports the caller's mistake,
    /// an error there ends the connection.
    pub fn max_send_bytes(mut self, bytes: usize) -> Self {
        self.max_send_bytes = bytes;
        self
    }

    /// Returns the payload's length if it is within the limit.
    pub(super) fn parse_prefix(
        self,
        prefix: [u8; PREFIX_BYTES],
        offset: u64,
    ) -> Result<usize, FrameReadError> {
        let announced = match self.order {
            LengthOrder::BigEndian => u64::from_be_bytes(prefix),
            LengthOrder::LittleEndian => u64::from_le_bytes(prefix),
        };
        usize::try_from(announced)
            .ok()
            .filter(|&length| length <= self.max_receive_bytes)
            .ok_or(FrameReadError::TooLong {
                offset,
                announced,
                limit: self.max_receive_bytes,
            })
    }

    /// Returns the prefix of a frame with a payload of `length` bytes, for
    /// programs that write the payload themselves, for example one that many
    /// connections share.
    ///
    /// # Errors
    /// [`FrameWriteError::TooLong`] if the payload exceeds the send limit.
    pub fn prefix(&self, length: usize) -> Result<[u8; PREFIX_BYTES], FrameWriteError> {
        if length > self.max_send_bytes {
            return Err(FrameWriteError::TooLong {
                length,
                limit: self.max_send_bytes,
            });
        }
        Ok(self.write_prefix(length))
    }

    pub(super) fn write_prefix(self, length: usize) -> [u8; PREFIX_BYTES] {
        let length = length as u64;
        match self.order {
            LengthOrder::BigEndian => length.to_be_bytes(),
            LengthOrder::LittleEndian => length.to_le_bytes(),
        }
    }
}

impl Default for FrameConfig {
    fn default() -> Self {
        Self {
            order: LengthOrder::default(),
            max_receive_bytes: DEFAULT_MAX_BYTES,
            max_send_bytes: DEFAULT_MAX_BYTES,
        }
    }
}

/// Byte order of the length.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum LengthOrder {
    /// Most significant byte first: network order, Python's `'!Q'`.
    #[default]
    BigEndian,
    /// Least significant byte first: Python's native `'Q'` on x86 and ARM.
    LittleEndian,
}

/// Length of the prefix.
pub(super) const PREFIX_BYTES: usize = 8;

/// Enough for any picture and for the 4 MiB blocks of a file, many times over.
const DEFAULT_MAX_BYTES: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_is_big_endian_unless_told_otherwise() {
        let config = FrameConfig::default();
        assert_eq!(config.prefix(0x0102).unwrap(), [0, 0, 0, 0, 0, 0, 1, 2]);
        let config = config.order(LengthOrder::LittleEndian);
        assert_eq!(config.prefix(0x0102).unwrap(), [2, 1, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn limits_are_inclusive_and_apart() {
        let config = FrameConfig::default()
            .max_receive_bytes(5)
            .max_send_bytes(7);
        let prefix = |length: u64| length.to_be_bytes();

        assert_eq!(config.parse_prefix(prefix(5), 0).unwrap(), 5);
        assert!(matches!(
            config.parse_prefix(prefix(6), 40),
            Err(FrameReadError::TooLong {
                offset: 40,
                announced: 6,
                limit: 5
            })
        ));
        assert!(config.prefix(7).is_ok());
        assert!(matches!(
            config.prefix(8),
            Err(FrameWriteError::TooLong {
                length: 8,
                limit: 7
            })
        ));
    }

    #[test]
    fn absurd_lengths_are_refused_by_default() {
        for announced in [1 << 63, u64::MAX, (64 << 20) + 1] {
            let error = FrameConfig::default().parse_prefix(announced.to_be_bytes(), 0);
            assert!(matches!(error, Err(FrameReadError::TooLong { .. })));
        }
    }
}
