//! The header of 36 bytes before each shard.

use bytes::{Buf, BufMut};

use super::{MessageKind, ShardError, StreamId, parity, seal::Envelope};

/// The header fields of a message; equal in all its shards.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +-------------------------------+---------------+---------------+
/// |         magic  "SK"           |  version = 1  |     kind      |
/// +-------------------------------+---------------+---------------+
/// |                           stream id                           |
/// |                                                               |
/// +---------------------------------------------------------------+
/// |                        message number                         |
/// |                                                               |
/// +---------------------------------------------------------------+
/// |                    message length in bytes                    |
/// +---------------------------------------------------------------+
/// |                     CRC-32C of the message                    |
/// +-------------------------------+-------------------------------+
/// |          shard index          |          data shards          |
/// +-------------------------------+-------------------------------+
/// |         parity shards         |             flags             |
/// +-------------------------------+-------------------------------+
/// ```
///
/// No flag is set, and the shard follows; or the datagram is
/// [sealed](super::seal), and the CRC is not here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct MessageHeader {
    pub(super) number: u64,
    pub(super) stream: StreamId,
    pub(super) crc: u32,
    pub(super) message_bytes: u32,
    pub(super) data: u16,
    pub(super) parity: u16,
    pub(super) kind: MessageKind,
}

impl MessageHeader {
    /// Parses one datagram: the message it belongs to, its index, its shard.
    ///
    /// Checks everything except the receiver's limits, so the result could have
    /// been sent by a conforming sender.
    pub(super) fn parse(datagram: &[u8]) -> Result<(Self, u16, &[u8]), ShardError> {
        let (mut head, flags) = outline(datagram)?;
        if flags & SEALED != 0 {
            return Err(ShardError::Sealed);
        }
        if flags != 0 {
            return Err(ShardError::UnknownFlags { got: flags });
        }
        let stream = StreamId(head.get_u64());
        let number = head.get_u64();
        let message_bytes = head.get_u32();
        let crc = head.get_u32();
        let index = head.get_u16();
        let data = head.get_u16();
        let parity = head.get_u16();
        let (_, shard) = datagram.split_at(HEADER_BYTES);
        let header = Self {
            number,
            stream,
            crc,
            message_bytes,
            data,
            parity,
            kind: MessageKind(datagram.get(KIND_AT).copied().unwrap_or_default()),
        };
        header.check_counts()?;
        header.check_shard(index, shard)?;
        Ok((header, index, shard))
    }

    /// Writes what comes before shard `index`.
    pub(super) fn emit(&self, index: u16, envelope: Envelope, mut target: &mut [u8]) {
        let is_sealed = envelope != Envelope::Plain;
        target.put_u16(MAGIC);
        target.put_u8(VERSION);
        target.put_u8(self.kind.0);
        target.put_u64(self.stream.0);
        target.put_u64(self.number);
        target.put_u32(self.message_bytes);
        target.put_u32(if is_sealed { 0 } else { self.crc });
        target.put_u16(index);
        target.put_u16(self.data);
        target.put_u16(self.parity);
        target.put_u16(envelope.flags());
        if is_sealed {
            // Where the position will be.
            target.put_u64(0);
            target.put_u32(self.crc);
        }
    }

    /// Length of each shard, in bytes.
    pub(super) fn shard_bytes(&self) -> usize {
        shard_bytes(self.message_bytes as usize, usize::from(self.data))
    }

    fn check_counts(&self) -> Result<(), ShardError> {
        let (data, parity) = (usize::from(self.data), usize::from(self.parity));
        let message_bytes = self.message_bytes as usize;
        let possible = (1..=DATA_SHARDS_MAX).contains(&data)
            && parity <= parity::max_shards(data)
            // The last data shard holds at least one byte of the message.
            && (data == 1 || (data - 1) * self.shard_bytes() < message_bytes);
        if possible {
            Ok(())
        } else {
            Err(ShardError::BadCounts {
                message_bytes: self.message_bytes,
                data: self.data,
                parity: self.parity,
            })
        }
    }

    fn check_shard(&self, index: u16, shard: &[u8]) -> Result<(), ShardError> {
        let shards = u32::from(self.data) + u32::from(self.parity);
        if u32::from(index) >= shards {
            return Err(ShardError::IndexOutOfRange { index, shards });
        }
        let expected = self.shard_bytes();
        if shard.len() != expected {
            return Err(ShardError::WrongLength {
                got: shard.len(),
                expected,
            });
        }
        Ok(())
    }
}

/// Checks that the datagram is a shard of a known version. Returns its header from
/// the stream id on, and the flags.
pub(super) fn outline(datagram: &[u8]) -> Result<(&[u8], u16), ShardError> {
    let Some((mut head, _)) = datagram.split_at_checked(HEADER_BYTES) else {
        return Err(ShardError::TooShort {
            got: datagram.len(),
            needed: HEADER_BYTES,
        });
    };
    let magic = head.get_u16();
    if magic != MAGIC {
        return Err(ShardError::NotAShard {
            got: magic,
            expected: MAGIC,
        });
    }
    let version = head.get_u8();
    if version != VERSION {
        return Err(ShardError::UnknownVersion {
            got: version,
            known: VERSION,
        });
    }
    head.advance(1);
    let (_, mut flags) = head.split_at(head.len() - FLAGS_BYTES);
    Ok((head, flags.get_u16()))
}

/// Length of each of `data` shards: equal, even, and never zero.
pub(super) fn shard_bytes(message_bytes: usize, data: usize) -> usize {
    message_bytes
        .div_ceil(data.max(1))
        .next_multiple_of(2)
        .max(2)
}

/// Length of the header, in bytes.
pub const HEADER_BYTES: usize = 36;

/// Offset of the kind in a header.
pub(super) const KIND_AT: usize = 3;

/// Offset of the checksum, unsealed.
pub(super) const CRC_AT: usize = 24;

/// The flag of a sealed datagram.
pub(super) const SEALED: u16 = 1;

/// The flag of a datagram sealed with ChaCha20-Poly1305.
pub(super) const CHACHA: u16 = 2;

/// With as many parity shards again, the total stays within the code's 2^16
/// elements.
pub(super) const DATA_SHARDS_MAX: usize = 32_000;

const FLAGS_BYTES: usize = 2;
const MAGIC: u16 = u16::from_be_bytes(*b"SK");
const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: MessageHeader = MessageHeader {
        number: 0x0102_0304_0506_0708,
        stream: StreamId(0x1112_1314_1516_1718),
        crc: 0x2122_2324,
        message_bytes: 5,
        data: 2,
        parity: 1,
        kind: MessageKind(9),
    };

    fn datagram() -> Vec<u8> {
        let mut bytes = vec![0; HEADER_BYTES + 4];
        HEADER.emit(2, Envelope::Plain, &mut bytes);
        bytes
    }

    /// Parses the good datagram with `bytes` written at `offset`.
    #[track_caller]
    fn check(offset: usize, bytes: &[u8], expected: ShardError) {
        let mut datagram = datagram();
        datagram[offset..offset + bytes.len()].copy_from_slice(bytes);
        assert_eq!(MessageHeader::parse(&datagram), Err(expected));
    }

    #[test]
    fn bytes_on_the_wire() {
        assert_eq!(
            datagram()[..HEADER_BYTES],
            *b"SK\x01\x09\
               \x11\x12\x13\x14\x15\x16\x17\x18\
               \x01\x02\x03\x04\x05\x06\x07\x08\
               \0\0\0\x05\x21\x22\x23\x24\0\x02\0\x02\0\x01\0\0"
        );
        assert_eq!(
            MessageHeader::parse(&datagram()),
            Ok((HEADER, 2, &[0; 4][..]))
        );
    }

    #[test]
    fn the_kind_is_known_from_a_whole_header() {
        let datagram = datagram();
        assert_eq!(MessageKind::of_datagram(&datagram), Some(HEADER.kind));
        assert_eq!(
            MessageKind::of_datagram(&datagram[..HEADER_BYTES - 1]),
            None
        );
    }

    #[test]
    fn cut_at_every_byte_is_refused() {
        let datagram = datagram();
        for cut in 0..datagram.len() {
            let error = MessageHeader::parse(&datagram[..cut]).unwrap_err();
            let expected = if cut < HEADER_BYTES {
                ShardError::TooShort {
                    got: cut,
                    needed: HEADER_BYTES,
                }
            } else {
                ShardError::WrongLength {
                    got: cut - HEADER_BYTES,
                    expected: 4,
                }
            };
            assert_eq!(error, expected, "cut at byte {cut}");
        }
    }

    #[test]
    fn another_protocol_version_or_flag_is_refused() {
        check(
            0,
            b"HT",
            ShardError::NotAShard {
                got: 0x4854,
                expected: 0x534b,
            },
        );
        check(2, &[2], ShardError::UnknownVersion { got: 2, known: 1 });
        check(34, &[0, 1], ShardError::Sealed);
        check(34, &[0, 2], ShardError::UnknownFlags { got: 2 });
    }

    #[test]
    fn counts_no_sender_makes_are_refused() {
        let counts = |message_bytes, data, parity| ShardError::BadCounts {
            message_bytes,
            data,
            parity,
        };
        check(30, &[0, 0], counts(5, 0, 1));
        // Four data shards of two bytes: the last would be empty.
        check(30, &[0, 4], counts(5, 4, 1));
        // And three, of a message that two of them hold.
        let of_four = [0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 3];
        check(20, &of_four, counts(4, 3, 1));
        check(30, &[0xff, 0xff], counts(5, 0xffff, 1));
        check(32, &[0xff, 0xff], counts(5, 2, 0xffff));
        check(32, &[0, 35], counts(5, 2, 35));
    }

    #[test]
    fn index_must_be_below_the_number_of_shards() {
        check(
            28,
            &[0, 3],
            ShardError::IndexOutOfRange {
                index: 3,
                shards: 3,
            },
        );
    }

    #[test]
    fn length_must_fit_the_shard() {
        check(
            20,
            &[0xff; 4],
            ShardError::WrongLength {
                got: 4,
                expected: 1 << 31,
            },
        );
    }

    #[test]
    fn an_empty_message_has_one_shard_of_two_bytes() {
        assert_eq!(shard_bytes(0, 1), 2);
        let empty = MessageHeader {
            message_bytes: 0,
            data: 1,
            ..HEADER
        };
        let mut datagram = vec![0; HEADER_BYTES + 2];
        empty.emit(0, Envelope::Plain, &mut datagram);
        assert_eq!(MessageHeader::parse(&datagram), Ok((empty, 0, &[0; 2][..])));
    }
}
