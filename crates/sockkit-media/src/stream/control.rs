//! Control messages: clock requests and replies, and reports of receivers.
//!
//! Pure. Numbers are big-endian.
//!
//! ```text
//!       0       1       2       3       4       5       6       7
//!   +-------+-------+-------+-------+-------+-------+-------+-------+
//!  0| 'S'     'K'     'C'     'T'   |version| what  |       0       |
//!   +-------+-------+-------+-------+-------+-------+-------+-------+
//!    clock request (what = 1)        clock reply (what = 2)
//!  8|             nonce             |             nonce             |
//! 16|               0               | when the request came         |
//! 24|               0               | when the reply left           |
//!    receiver report (what = 3)
//!  8|       pictures received       |         pictures lost         |
//! 24|       pictures late           | age p50, µs   | age p99, µs   |
//! 40|       shards sent             |         shards lost           |
//!    repair request (what = 4)
//!  8|           stream id           |        message number         |
//! 24| first shard   |       0       |   which from there on, ...    |
//! 40|  ... a bit for each of 128    |
//!   +-------+-------+-------+-------+-------+-------+-------+-------+
//! ```
#![warn(clippy::indexing_slicing)]

use std::time::Duration;

use bytes::{Buf, BufMut};
use sockkit_codec::shard::{Missing, ShardCounts, StreamId};

use super::Stats;
use crate::picture::Timestamp;

/// One message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ControlMessage {
    /// Requests the peer's clock.
    ClockRequest { nonce: u64 },
    /// The reply, with the same nonce. Never longer than the request.
    ClockReply {
        nonce: u64,
        received: Timestamp,
        sent: Timestamp,
    },
    /// A receiver's statistics.
    Report(Report),
    /// A receiver asks for shards of the last picture once more.
    Repair(Missing),
}

/// A receiver's report of its statistics.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// Pictures received completely.
    pub received: u64,
    /// Pictures that never arrived completely.
    pub lost: u64,
    /// Pictures that arrived too late to show.
    pub late: u64,
    /// Median age of the last pictures when they were ready to show; zero if
    /// unknown.
    pub age_p50: Duration,
    /// 99th percentile of the age.
    pub age_p99: Duration,
    /// Shards of its pictures that the sender sent, parity included, as the
    /// receiver counts; zero where there are none, and while it does not know.
    pub shards_sent: u64,
    /// Those of them that did not come.
    pub shards_lost: u64,
}

impl Report {
    /// The report of a receiver with these statistics.
    pub(super) fn of(stats: &Stats, shards: ShardCounts) -> Self {
        Self {
            received: stats.received,
            lost: stats.lost,
            late: stats.late,
            age_p50: stats.age_p50.unwrap_or_default(),
            age_p99: stats.age_p99.unwrap_or_default(),
            shards_sent: shards.sent,
            shards_lost: shards.sent.saturating_sub(shards.arrived),
        }
    }

    /// Whether the values are possible: reports are not authenticated.
    pub(super) fn is_plausible(&self) -> bool {
        let counts = [self.received, self.lost, self.late];
        counts.iter().all(|count| *count <= MAX_PICTURES)
            && self.shards_lost <= self.shards_sent
            && self.age_p50 <= self.age_p99
            && self.age_p99 <= MAX_AGE
    }
}

impl ControlMessage {
    /// Encodes the message.
    pub(crate) fn emit(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(REPORT_BYTES);
        bytes.put_slice(&MAGIC);
        bytes.put_u8(VERSION);
        bytes.put_u8(match self {
            Self::ClockRequest { .. } => CLOCK_REQUEST,
            Self::ClockReply { .. } => CLOCK_REPLY,
            Self::Report(_) => REPORT,
            Self::Repair(_) => REPAIR,
        });
        bytes.put_u16(0);
        match *self {
            Self::ClockRequest { nonce } => {
                bytes.put_u64(nonce);
                // As long as the reply, so that the sender is no amplifier for
                // spoofed requests.
                bytes.put_bytes(0, CLOCK_BYTES - bytes.len());
            }
            Self::ClockReply {
                nonce,
                received,
                sent,
            } => {
                bytes.put_u64(nonce);
                bytes.put_u64(received.as_micros());
                bytes.put_u64(sent.as_micros());
            }
            Self::Report(report) => {
                bytes.put_u64(report.received);
                bytes.put_u64(report.lost);
                bytes.put_u64(report.late);
                bytes.put_u32(micros(report.age_p50));
                bytes.put_u32(micros(report.age_p99));
                bytes.put_u64(report.shards_sent);
                bytes.put_u64(report.shards_lost);
            }
            Self::Repair(missing) => {
                bytes.put_u64(missing.stream.0);
                bytes.put_u64(missing.number);
                bytes.put_u16(missing.first);
                bytes.put_bytes(0, 6);
                bytes.put_u128(missing.mask);
            }
        }
        bytes
    }

    /// Whether a message claims to be one of these, in any version.
    pub(super) fn is_one(message: &[u8]) -> bool {
        message.starts_with(&MAGIC)
    }

    /// Parses a message; `None` if it is not one of this version.
    pub(crate) fn parse(mut message: &[u8]) -> Option<Self> {
        let length = message.len();
        if length < CLOCK_BYTES || message.get(..4) != Some(&MAGIC) {
            return None;
        }
        message.advance(MAGIC.len());
        let (version, what, _reserved) = (message.get_u8(), message.get_u8(), message.get_u16());
        if version != VERSION {
            return None;
        }
        match what {
            CLOCK_REQUEST => Some(Self::ClockRequest {
                nonce: message.get_u64(),
            }),
            CLOCK_REPLY => Some(Self::ClockReply {
                nonce: message.get_u64(),
                received: Timestamp::from_micros(message.get_u64()),
                sent: Timestamp::from_micros(message.get_u64()),
            }),
            REPORT if length >= SHORT_REPORT_BYTES => {
                let mut report = Report {
                    received: message.get_u64(),
                    lost: message.get_u64(),
                    late: message.get_u64(),
                    age_p50: Duration::from_micros(message.get_u32().into()),
                    age_p99: Duration::from_micros(message.get_u32().into()),
                    ..Report::default()
                };
                if length >= REPORT_BYTES {
                    report.shards_sent = message.get_u64();
                    report.shards_lost = message.get_u64();
                }
                Some(Self::Report(report))
            }
            REPAIR if length >= REPAIR_BYTES => {
                let (stream, number) = (StreamId(message.get_u64()), message.get_u64());
                let first = message.get_u16();
                message.advance(6);
                let mask = message.get_u128();
                Some(Self::Repair(Missing::new(stream, number, first, mask)))
            }
            _ => None,
        }
    }
}

fn micros(age: Duration) -> u32 {
    u32::try_from(age.as_micros()).unwrap_or(u32::MAX)
}

const MAGIC: [u8; 4] = *b"SKCT";
const VERSION: u8 = 1;
const CLOCK_REQUEST: u8 = 1;
const CLOCK_REPLY: u8 = 2;
const REPORT: u8 = 3;
const REPAIR: u8 = 4;

/// A thousand pictures a second for 34 years.
const MAX_PICTURES: u64 = 1 << 40;

/// Older pictures are not live. A wrong clock can make them look old; such an age
/// is meaningless.
const MAX_AGE: Duration = Duration::from_secs(600);

/// Clock request and reply.
const CLOCK_BYTES: usize = 32;

/// A report without shards, such as of earlier receivers.
const SHORT_REPORT_BYTES: usize = 40;

const REPAIR_BYTES: usize = 48;

/// Maximum length of these messages.
const REPORT_BYTES: usize = 56;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fuzzing, hostile};

    fn all() -> [ControlMessage; 4] {
        [
            ControlMessage::ClockRequest {
                nonce: 0x0102_0304_0506_0708,
            },
            ControlMessage::ClockReply {
                nonce: 0x0102_0304_0506_0708,
                received: Timestamp::from_micros(0x1112_1314_1516_1718),
                sent: Timestamp::from_micros(0x2122_2324_2526_2728),
            },
            ControlMessage::Report(Report {
                received: 1,
                lost: 2,
                late: 3,
                age_p50: Duration::from_micros(4),
                age_p99: Duration::from_micros(5),
                shards_sent: 7,
                shards_lost: 6,
            }),
            ControlMessage::Repair(Missing::new(StreamId(0x0102_0304_0506_0708), 9, 10, 5)),
        ]
    }

    #[test]
    fn bytes_are_those_of_the_document() {
        let [request, reply, report, repair] = all().map(|control| control.emit());
        assert_eq!(
            request,
            *b"SKCT\x01\x01\0\0\x01\x02\x03\x04\x05\x06\x07\x08\
               \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
        );
        assert_eq!(
            reply,
            *b"SKCT\x01\x02\0\0\x01\x02\x03\x04\x05\x06\x07\x08\
               \x11\x12\x13\x14\x15\x16\x17\x18\x21\x22\x23\x24\x25\x26\x27\x28"
        );
        assert_eq!(
            report,
            *b"SKCT\x01\x03\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\
               \0\0\0\0\0\0\0\x03\0\0\0\x04\0\0\0\x05\
               \0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\x06"
        );
        assert_eq!(
            repair,
            *b"SKCT\x01\x04\0\0\x01\x02\x03\x04\x05\x06\x07\x08\
               \0\0\0\0\0\0\0\x09\0\x0a\0\0\0\0\0\0\
               \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x05"
        );
    }

    #[test]
    fn a_reply_is_never_longer_than_its_request() {
        let [request, reply, ..] = all();
        assert_eq!(request.emit().len(), reply.emit().len());
    }

    #[test]
    fn all_come_back_and_every_cut_is_refused() {
        for control in all() {
            let message = control.emit();
            assert_eq!(ControlMessage::parse(&message), Some(control));
            // Of a report the second half may be missing.
            let shortest = match control {
                ControlMessage::Report(_) => SHORT_REPORT_BYTES,
                _ => message.len(),
            };
            for cut in 0..shortest {
                assert_eq!(ControlMessage::parse(&message[..cut]), None, "cut at {cut}");
            }
        }
    }

    #[test]
    fn a_report_without_shards_is_read() {
        let [_, _, report, _] = all();
        let long = report.emit();
        for length in SHORT_REPORT_BYTES..REPORT_BYTES {
            let Some(ControlMessage::Report(short)) = ControlMessage::parse(&long[..length]) else {
                panic!("{length} bytes are refused");
            };
            assert_eq!(
                (short.received, short.shards_sent, short.shards_lost),
                (1, 0, 0)
            );
        }
    }

    #[test]
    fn ten_thousand_hostile_ones_are_refused_or_read() {
        let sound = all().map(|control| control.emit());
        hostile::check(&sound, fuzzing::control, |length| length + 1_024);
    }

    #[test]
    fn other_versions_and_kinds_are_refused() {
        for (at, byte) in [(0, b'X'), (3, 0), (4, 2), (5, 0), (5, 5), (5, 3), (5, 4)] {
            let mut message = all()[0].emit();
            message[at] = byte;
            assert_eq!(ControlMessage::parse(&message), None, "byte {at} = {byte}");
        }
    }
}
