//! One stream of packets: numbers, timestamps and reports.
//!
//! Pure: the caller passes the time and the random beginnings in.

use std::time::{Duration, Instant};

use sockkit_codec::rtp::{
    RtpHeader,
    jpeg::{Fragment, PAYLOAD_TYPE},
    rtcp::SenderReport,
    ticks,
};

use super::feed::Prepared;
use crate::picture::Timestamp;

/// Numbers the packets to one player or group.
#[derive(Debug)]
pub(super) struct Packets {
    ssrc: u32,
    sequence: u16,
    /// Added to each timestamp, which by RFC 3550 begins anywhere.
    offset: u32,
    packets: u32,
    payload_bytes: u32,
    report_at: Option<Instant>,
}

impl Packets {
    /// Begins where these random bits say.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "each field takes some of the bits"
    )]
    pub(super) fn new(random: u64) -> Self {
        let (ssrc, offset) = ((random >> 32) as u32, random as u32);
        Self {
            ssrc,
            sequence: random.rotate_left(16) as u16,
            offset,
            packets: 0,
            payload_bytes: 0,
            report_at: None,
        }
    }

    pub(super) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    pub(super) fn sequence(&self) -> u16 {
        self.sequence
    }

    /// The headers of a picture's packets: RTP's, and the payload's, after which the
    /// data of its fragment follows.
    pub(super) fn headers(&mut self, picture: &Prepared) -> Vec<Vec<u8>> {
        let timestamp = ticks(picture.captured.as_micros()).wrapping_add(self.offset);
        let fragments = picture.fragments.iter();
        fragments
            .map(|fragment| self.header(fragment, timestamp))
            .collect()
    }

    fn header(&mut self, fragment: &Fragment, timestamp: u32) -> Vec<u8> {
        let header = RtpHeader {
            payload_type: PAYLOAD_TYPE,
            is_marked: fragment.is_last(),
            sequence: self.sequence,
            timestamp,
            ssrc: self.ssrc,
        };
        self.sequence = self.sequence.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        let bytes = u32::try_from(fragment.payload_bytes()).unwrap_or_default();
        self.payload_bytes = self.payload_bytes.wrapping_add(bytes);
        [&header.emit(), fragment.header()].concat()
    }

    /// The report that is due, if one is: with the first picture, and then every few
    /// seconds.
    pub(super) fn report(&mut self, now: Instant, wall: Timestamp) -> Option<Vec<u8>> {
        if self.report_at.is_some_and(|at| now < at) {
            return None;
        }
        self.report_at = Some(now + REPORT_EVERY);
        Some(self.sent_at(wall).emit(&self.name()))
    }

    /// The last report, which says that nothing follows; `None` if nothing was sent.
    pub(super) fn bye(&self, wall: Timestamp) -> Option<Vec<u8>> {
        self.report_at?;
        Some(self.sent_at(wall).emit_bye(&self.name()))
    }

    fn sent_at(&self, wall: Timestamp) -> SenderReport {
        let report = SenderReport {
            ssrc: self.ssrc,
            micros: 0,
            timestamp: 0,
            packets: self.packets,
            payload_bytes: self.payload_bytes,
        };
        report.at(wall.as_micros(), self.offset)
    }

    /// As random as the identifier of the stream: the host's name would tell who it is.
    fn name(&self) -> String {
        format!("{:08x}", self.ssrc)
    }
}

/// RFC 3550's least interval.
const REPORT_EVERY: Duration = Duration::from_secs(5);
