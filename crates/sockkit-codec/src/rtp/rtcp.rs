//! RTCP: the sender's clock beside its timestamps.
//!
//! Players use it to keep streams of one sender together, and to tell a sender that
//! left from one that is silent. What receivers report is not read.

use super::ticks;

/// What a sender has sent, and when.
///
/// # Source
/// RFC 3550, sections 6.4.1 (SR) and 6.5.1 (SDES with CNAME).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SenderReport {
    /// The stream that is reported on.
    pub ssrc: u32,
    /// The sender's clock, in microseconds since 1970.
    pub micros: u64,
    /// The stream's timestamp at that time.
    pub timestamp: u32,
    /// Packets sent, which wraps around.
    pub packets: u32,
    /// Bytes of payload sent, which wraps around.
    pub payload_bytes: u32,
}

impl SenderReport {
    /// Writes a compound packet: the report, and the name of the sender, of which at
    /// most 64 bytes are sent.
    ///
    /// ```
    /// # use sockkit_codec as sockkit;
    /// let report = sockkit::rtp::rtcp::SenderReport {
    ///     ssrc: 1,
    ///     micros: 0,
    ///     timestamp: 0,
    ///     packets: 0,
    ///     payload_bytes: 0,
    /// };
    /// // 1970 is 2,208,988,800 seconds after 1900, where NTP's time begins.
    /// assert_eq!(report.emit("camera")[8..12], 2_208_988_800_u32.to_be_bytes());
    /// ```
    #[must_use]
    pub fn emit(&self, name: &str) -> Vec<u8> {
        let mut packet = vec![0x80, SENDER_REPORT, 0, 6];
        packet.extend(self.ssrc.to_be_bytes());
        packet.extend(ntp(self.micros).to_be_bytes());
        for field in [self.timestamp, self.packets, self.payload_bytes] {
            packet.extend(field.to_be_bytes());
        }
        self.describe(name, &mut packet);
        packet
    }

    /// Writes the sender's last compound packet: as [`emit`](Self::emit), and that it leaves
    /// the stream, upon which players stop.
    ///
    /// # Source
    /// RFC 3550, section 6.6 (BYE).
    #[must_use]
    pub fn emit_bye(&self, name: &str) -> Vec<u8> {
        let mut packet = self.emit(name);
        packet.extend([0x81, BYE, 0, 1]);
        packet.extend(self.ssrc.to_be_bytes());
        packet
    }

    /// Appends the name, and zeros up to a whole word: at least one ends the list.
    fn describe(&self, name: &str, packet: &mut Vec<u8>) {
        let name: Vec<u8> = name.bytes().take(MAX_NAME_BYTES).collect();
        let chunk_words = 1 + (2 + name.len() + 1).div_ceil(4);
        let begin = packet.len();
        let [w1, w0] = u16::try_from(chunk_words).unwrap_or_default().to_be_bytes();
        packet.extend([0x81, SOURCE_DESCRIPTION, w1, w0]);
        packet.extend(self.ssrc.to_be_bytes());
        packet.extend([CNAME, u8::try_from(name.len()).unwrap_or_default()]);
        packet.extend(name);
        packet.resize(begin + 4 + 4 * chunk_words, 0);
    }

    /// The report at `micros` of a stream whose timestamps are its capture times plus
    /// `offset`.
    #[must_use]
    pub const fn at(mut self, micros: u64, offset: u32) -> Self {
        self.micros = micros;
        self.timestamp = ticks(micros).wrapping_add(offset);
        self
    }
}

/// Seconds since 1900 above, and their fraction below: 32 bits each.
fn ntp(micros: u64) -> u64 {
    let fraction = ((micros % 1_000_000) << 32) / 1_000_000;
    ((micros / 1_000_000 + SECONDS_TO_1970) << 32) | fraction
}

const SENDER_REPORT: u8 = 200;
const SOURCE_DESCRIPTION: u8 = 202;
const BYE: u8 = 203;
const CNAME: u8 = 1;
const MAX_NAME_BYTES: usize = 64;

/// From 1900, 17 leap days included.
const SECONDS_TO_1970: u64 = (70 * 365 + 17) * 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: SenderReport = SenderReport {
        ssrc: 0x0102_0304,
        micros: 1_500_000,
        timestamp: 5,
        packets: 6,
        payload_bytes: 7,
    };

    #[test]
    fn a_report_is_as_drawn() {
        let packet = REPORT.emit("cam");
        let expected = [
            &b"\x80\xc8\0\x06\x01\x02\x03\x04\x83\xaa\x7e\x81\x80\0\0\0"[..],
            b"\0\0\0\x05\0\0\0\x06\0\0\0\x07",
            b"\x81\xca\0\x03\x01\x02\x03\x04\x01\x03cam\0\0\0",
        ];
        assert_eq!(packet, expected.concat());
    }

    #[test]
    fn the_last_report_ends_with_a_bye() {
        let expected = [&REPORT.emit("cam")[..], b"\x81\xcb\0\x01\x01\x02\x03\x04"];
        assert_eq!(REPORT.emit_bye("cam"), expected.concat());
    }

    #[test]
    fn any_name_fills_whole_words() {
        for length in 0..200 {
            let packet = REPORT.emit(&"n".repeat(length));
            let words = usize::from(packet[31]);
            assert_eq!(packet.len(), 28 + 4 + 4 * words, "{length}");
            assert_eq!(packet.last(), Some(&0), "{length}");
        }
    }

    #[test]
    fn its_timestamp_is_that_of_a_picture_taken_then() {
        let report = REPORT.at(2_000_000, u32::MAX);
        assert_eq!((report.micros, report.timestamp), (2_000_000, 179_999));
    }
}
