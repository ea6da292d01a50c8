//! The header before each payload.
#![warn(clippy::indexing_slicing)]

/// An RTP header without contributing sources and extensions.
///
/// ```text
///  0                   1                   2                   3
/// |V=2|P|X|  CC   |M|     PT      |            sequence           |
/// |                           timestamp                           |
/// |                             SSRC                              |
/// ```
///
/// ```
/// # use sockkit_codec as sockkit;
/// use sockkit::rtp::RtpHeader;
///
/// let header = RtpHeader {
///     payload_type: 26,
///     is_marked: true,
///     sequence: 7,
///     timestamp: 90_000,
///     ssrc: 1,
/// };
/// let packet = [&header.emit()[..], b"payload"].concat();
/// let (parsed, payload) = RtpHeader::parse(&packet)?;
/// assert_eq!((parsed, payload), (header, &b"payload"[..]));
/// # Ok::<(), sockkit::rtp::RtpError>(())
/// ```
///
/// # Source
/// RFC 3550, section 5.1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RtpHeader {
    /// Format of the payload, 0 to 127.
    pub payload_type: u8,
    /// The marker bit: set in the last packet of a picture.
    pub is_marked: bool,
    /// Counts packets, and wraps around.
    pub sequence: u16,
    /// When the picture was captured, in ticks of the payload's clock.
    pub timestamp: u32,
    /// Identifies the stream.
    pub ssrc: u32,
}

/// Why bytes are no RTP packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RtpError {
    /// It ends within its header, or within what the header announces.
    #[error("packet of {length} bytes is cut off")]
    CutOff {
        /// Length of the packet, in bytes.
        length: usize,
    },
    /// It has another version.
    #[error("version {0} is not RTP version 2")]
    Version(u8),
}

impl RtpHeader {
    /// Length of a header, in bytes.
    pub const BYTES: usize = 12;

    /// Writes it.
    #[must_use]
    pub fn emit(&self) -> [u8; Self::BYTES] {
        let [s1, s0] = self.sequence.to_be_bytes();
        let [t3, t2, t1, t0] = self.timestamp.to_be_bytes();
        let [i3, i2, i1, i0] = self.ssrc.to_be_bytes();
        let marker = u8::from(self.is_marked) << 7;
        let kind = marker | (self.payload_type & PAYLOAD_TYPE);
        [VERSION << 6, kind, s1, s0, t3, t2, t1, t0, i3, i2, i1, i0]
    }

    /// Reads a packet. Returns its header and its payload, without contributing
    /// sources, extension and padding.
    ///
    /// # Errors
    /// [`RtpError`] if it is cut off, or of another version.
    pub fn parse(packet: &[u8]) -> Result<(Self, &[u8]), RtpError> {
        let cut_off = RtpError::CutOff {
            length: packet.len(),
        };
        let (header, rest) = packet.split_first_chunk().ok_or(cut_off)?;
        let &[first, kind, s1, s0, t3, t2, t1, t0, i3, i2, i1, i0] = header;
        if first >> 6 != VERSION {
            return Err(RtpError::Version(first >> 6));
        }
        let sources = 4 * usize::from(first & SOURCES);
        let mut payload = rest.get(sources..).ok_or(cut_off)?;
        if first & EXTENSION != 0 {
            let (&[_, _, l1, l0], rest) = payload.split_first_chunk().ok_or(cut_off)?;
            let words = usize::from(u16::from_be_bytes([l1, l0]));
            payload = rest.get(4 * words..).ok_or(cut_off)?;
        }
        if first & PADDING != 0 {
            // The last byte counts itself.
            let padding = usize::from(*payload.last().ok_or(cut_off)?).max(1);
            let length = payload.len().checked_sub(padding).ok_or(cut_off)?;
            payload = payload.get(..length).ok_or(cut_off)?;
        }
        let header = Self {
            payload_type: kind & PAYLOAD_TYPE,
            is_marked: kind & !PAYLOAD_TYPE != 0,
            sequence: u16::from_be_bytes([s1, s0]),
            timestamp: u32::from_be_bytes([t3, t2, t1, t0]),
            ssrc: u32::from_be_bytes([i3, i2, i1, i0]),
        };
        Ok((header, payload))
    }
}

const VERSION: u8 = 2;
const PADDING: u8 = 0x20;
const EXTENSION: u8 = 0x10;
const SOURCES: u8 = 0x0f;
const PAYLOAD_TYPE: u8 = 0x7f;

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: RtpHeader = RtpHeader {
        payload_type: 26,
        is_marked: true,
        sequence: 0x1234,
        timestamp: 0x5678_9abc,
        ssrc: 0xdef0_1234,
    };

    /// The fields of RFC 3550's picture, by hand.
    #[test]
    fn a_header_is_as_drawn() {
        let bytes = *b"\x80\x9a\x12\x34\x56\x78\x9a\xbc\xde\xf0\x12\x34";
        assert_eq!(HEADER.emit(), bytes);
        assert_eq!(RtpHeader::parse(&bytes), Ok((HEADER, &b""[..])));
    }

    #[test]
    fn sources_extension_and_padding_are_skipped() {
        let mut packet = HEADER.emit().to_vec();
        packet[0] |= PADDING | EXTENSION | 2;
        packet.extend([9; 8]);
        packet.extend([0xbe, 0xde, 0, 1, 7, 7, 7, 7]);
        packet.extend(b"payload\0\0\x03");
        assert_eq!(RtpHeader::parse(&packet), Ok((HEADER, &b"payload"[..])));
        for length in 0..packet.len() - 3 {
            // A byte of the payload becomes the padding's length: it may fit, but not more.
            if let Ok((_, payload)) = RtpHeader::parse(&packet[..length]) {
                assert!(payload.len() < length);
            }
        }
    }

    #[test]
    fn a_header_cut_anywhere_is_an_error() {
        for length in 0..RtpHeader::BYTES {
            let packet = HEADER.emit();
            let cut = RtpHeader::parse(&packet[..length]);
            assert_eq!(cut, Err(RtpError::CutOff { length }));
        }
        assert_eq!(
            RtpHeader::parse(&[0x40; 12]),
            Err(RtpError::Version(1)),
            "RTP version 1"
        );
    }
}
