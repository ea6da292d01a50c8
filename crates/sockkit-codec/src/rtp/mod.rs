//! RTP: pictures for players, in the clear.
//!
//! [`jpeg`] cuts a JPEG into payloads and puts it together again, [`RtpHeader`] goes
//! before each, [`rtcp::SenderReport`] tells a player the sender's clock, and
//! [`sdp::Description`] tells it where to listen. The control protocol is
//! [`rtsp`](crate::rtsp).
//!
//! # Source
//! RFC 3550 (RTP and RTCP), RFC 3551 (payload type 26), RFC 2435 (JPEG), RFC 8866 (SDP).

mod header;
pub mod jpeg;
pub mod rtcp;
pub mod sdp;

pub use self::header::{RtpError, RtpHeader};

/// Ticks a second of the timestamps of video.
pub const CLOCK_RATE_HZ: u32 = 90_000;

/// Converts a capture time in microseconds to ticks, which wrap around.
///
/// ```
/// # use sockkit_codec as sockkit;
/// assert_eq!(sockkit::rtp::ticks(1_000_000), 90_000);
/// ```
#[must_use]
pub const fn ticks(micros: u64) -> u32 {
    let ticks = micros as u128 * CLOCK_RATE_HZ as u128 / 1_000_000;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "RFC 3550, section 5.1: the timestamp wraps around"
    )]
    {
        ticks as u32
    }
}
