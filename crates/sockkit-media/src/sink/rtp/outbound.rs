//! What is to be written to one player.

use std::{io, time::Duration};

use bytes::{Buf, BytesMut};
use sockkit_codec::rtsp::{Response, interleaved_header};
use sockkit_link::channel::LagLimit;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::{feed::Prepared, now, packets::Packets, wall};

/// What is to be written, and how slowly the player takes it.
#[derive(Debug)]
pub(super) struct Outbound {
    bytes: BytesMut,
    /// Of which these are responses.
    response_bytes: usize,
    /// Whether all that was written has left this machine.
    pub(super) is_flushed: bool,
    pub(super) lag: LagLimit,
    /// Whether nothing more is read, and the connection ends when all is written.
    pub(super) is_last: bool,
}

impl Outbound {
    pub(super) fn new(write_timeout: Duration) -> Self {
        Self {
            bytes: BytesMut::new(),
            response_bytes: 0,
            is_flushed: true,
            lag: LagLimit::new(write_timeout),
            is_last: false,
        }
    }

    /// A client that does not read its responses is not asked for more.
    pub(super) fn takes_requests(&self) -> bool {
        !self.is_last && self.response_bytes < MAX_RESPONSE_BYTES
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_last && self.is_flushed
    }

    pub(super) fn push_response(&mut self, response: &Response) {
        self.begin_short();
        let bytes = response.to_bytes();
        self.response_bytes += bytes.len();
        self.bytes.extend_from_slice(&bytes);
    }

    /// A report that belongs to no picture.
    pub(super) fn push_report(&mut self, channel: u8, report: &[u8]) {
        self.begin_short();
        self.push_packet(channel, &[report]);
    }

    /// Of something short, which does not help the player to catch up.
    fn begin_short(&mut self) {
        if self.is_flushed {
            self.lag.handle_reply(now());
        }
        self.is_flushed = false;
    }

    /// Called when all before it has left. Returns the number of bytes.
    pub(super) fn push_picture(
        &mut self,
        picture: &Prepared,
        packets: &mut Packets,
        [rtp, rtcp]: [u8; 2],
    ) -> u64 {
        let headers = packets.headers(picture);
        for (header, fragment) in headers.iter().zip(picture.fragments.iter()) {
            self.push_packet(rtp, &[header, fragment.data()]);
        }
        if let Some(report) = packets.report(now(), wall()) {
            self.push_packet(rtcp, &[&report]);
        }
        self.lag.handle_message(now(), self.bytes.len());
        self.is_flushed = false;
        self.bytes.len() as u64
    }

    fn push_packet(&mut self, channel: u8, parts: &[&[u8]]) {
        let length = parts.iter().map(|part| part.len()).sum::<usize>();
        let length = u16::try_from(length).expect("a packet is shorter than a datagram");
        self.bytes
            .extend_from_slice(&interleaved_header(channel, length));
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
    }

    /// Writes some, or waits until what was written has left. Returns whether all has.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(super) async fn write(
        &mut self,
        writer: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<bool> {
        if self.bytes.has_remaining() {
            writer.write_buf(&mut self.bytes).await?;
            return Ok(false);
        }
        writer.flush().await?;
        self.lag.handle_taken(now())?;
        self.response_bytes = 0;
        self.is_flushed = true;
        if self.bytes.try_reclaim(MAX_IDLE_BYTES + 1) {
            self.bytes = BytesMut::new();
        }
        Ok(true)
    }
}

/// Responses that wait to be read.
const MAX_RESPONSE_BYTES: usize = 16 << 10;

/// A buffer of one large picture is not kept for the smaller ones.
const MAX_IDLE_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_large_picture_leaves_no_large_buffer() {
        let mut outbound = Outbound::new(Duration::MAX);
        for (packets, is_kept) in [(3, true), (40, false)] {
            for _ in 0..packets {
                outbound.push_report(0, &[0; 60_000]);
            }
            while !outbound.write(&mut tokio::io::sink()).await.unwrap() {}
            assert_eq!(outbound.bytes.try_reclaim(180_000), is_kept, "{packets}");
        }
    }
}
