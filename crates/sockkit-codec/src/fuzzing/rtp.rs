//! A JPEG to be sent, and packets that arrive.

use bytes::Bytes;

use crate::rtp::jpeg::{Depacketizer, JpegFrame};

/// The input is a JPEG, and packets, each behind a byte of its length.
pub fn rtp(input: &[u8]) {
    let jpeg = Bytes::copy_from_slice(input);
    if let Ok(frame) = JpegFrame::new(&jpeg) {
        let sent: usize = frame.fragments(400).map(|part| part.data().len()).sum();
        assert!(sent < input.len(), "more data than the JPEG has");
    }
    let limit = 4 << 10;
    let mut pictures = Depacketizer::new(limit);
    let mut rest = input;
    while let Some((&length, after)) = rest.split_first() {
        let (packet, next) = after.split_at(after.len().min(length.into()));
        if let Ok(Some(picture)) = pictures.handle_packet(packet) {
            assert!(picture.len() <= limit + 2, "longer than the limit");
        }
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzzing::tests::over_garbage;

    /// Sound packets and JPEGs, some of them spoilt, are among the tests of `rtp::jpeg`.
    #[test]
    fn packets_of_garbage() {
        over_garbage(
            8,
            b"\xff\xd8\xc0\xdb\xda\0\x03\x11\x80\x9a\x40\x01\x28",
            rtp,
        );
    }
}
