//! Frames waiting to be written.

use std::{collections::VecDeque, io::IoSlice};

use bytes::{Buf, Bytes, BytesMut};

use super::{FrameConfig, FrameWriteError, config::PREFIX_BYTES};

/// Frames waiting to be written, as one [`Buf`].
///
/// Short payloads are copied one behind the other, so that many frames become
/// one piece. Long payloads are kept as they are and joined by a vectored
/// write.
#[derive(Debug)]
pub(super) struct Outbound {
    config: FrameConfig,
    /// Complete pieces, oldest first.
    pieces: VecDeque<Bytes>,
    /// The piece to which short frames and prefixes are appended.
    tail: BytesMut,
    /// Bytes in `pieces` and `tail`.
    remaining: usize,
}

impl Outbound {
    pub(super) fn new(config: FrameConfig) -> Self {
        Self {
            config,
            pieces: VecDeque::new(),
            tail: BytesMut::new(),
            remaining: 0,
        }
    }

    /// Adds one frame.
    pub(super) fn push(&mut self, payload: Bytes) -> Result<(), FrameWriteError> {
        let prefix = self.config.prefix(payload.len())?;
        self.remaining += PREFIX_BYTES + payload.len();
        if payload.len() < COPY_BELOW_BYTES {
            self.tail.reserve(PREFIX_BYTES + payload.len());
            self.tail.extend_from_slice(&prefix);
            self.tail.extend_from_slice(&payload);
        } else {
            self.tail.extend_from_slice(&prefix);
            self.pieces.push_back(self.tail.split().freeze());
            self.pieces.push_back(payload);
        }
        Ok(())
    }
}

impl Buf for Outbound {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.front().map_or(&self.tail, |piece| piece)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let tail = (!self.tail.is_empty()).then_some(&self.tail[..]);
        let pieces = self.pieces.iter().map(|piece| &piece[..]).chain(tail);
        let mut filled = 0;
        for (slice, piece) in slices.iter_mut().zip(pieces) {
            *slice = IoSlice::new(piece);
            filled += 1;
        }
        filled
    }

    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.remaining, "advanced past the last frame");
        self.remaining -= count;
        while let Some(piece) = self.pieces.front_mut() {
            if count < piece.len() {
                piece.advance(count);
                return;
            }
            count -= piece.len();
            self.pieces.pop_front();
        }
        if count == self.tail.len() {
            // Keeps the buffer's capacity, which `advance` would consume.
            self.tail.clear();
        } else {
            self.tail.advance(count);
        }
    }
}

/// Payloads of at least this size are sent without copying. Below it, a copy is
/// cheaper than another element in a vectored write.
const COPY_BELOW_BYTES: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partial_write_leaves_the_rest() {
        let payloads = [
            1,
            0,
            COPY_BELOW_BYTES,
            3,
            COPY_BELOW_BYTES - 1,
            2 * COPY_BELOW_BYTES,
        ]
        .map(|length| Bytes::from(vec![7; length]));
        let mut wire = Vec::new();
        for payload in &payloads {
            wire.extend_from_slice(&(payload.len() as u64).to_be_bytes());
            wire.extend_from_slice(payload);
        }
        for step in [1, 5, 1000, COPY_BELOW_BYTES, 100_000] {
            let mut outbound = Outbound::new(FrameConfig::default());
            for payload in &payloads {
                outbound.push(payload.clone()).expect("under the limit");
            }
            let mut sent = Vec::new();
            while outbound.has_remaining() {
                let mut slices = [IoSlice::new(&[]); 4];
                let filled = outbound.chunks_vectored(&mut slices);
                let offered: Vec<u8> = slices[..filled]
                    .iter()
                    .flat_map(|slice| slice.to_vec())
                    .collect();
                assert!(offered.starts_with(outbound.chunk()));
                let now = offered.len().min(step);
                sent.extend_from_slice(&offered[..now]);
                outbound.advance(now);
            }
            assert_eq!(sent, wire, "in steps of {step}");
        }
    }

    #[test]
    fn a_long_payload_is_not_copied() {
        let payload = Bytes::from(vec![7; COPY_BELOW_BYTES]);
        let mut outbound = Outbound::new(FrameConfig::default());
        outbound.push(payload.clone()).expect("under the limit");
        outbound.advance(PREFIX_BYTES);
        assert_eq!(outbound.chunk().as_ptr(), payload.as_ptr());
    }

    #[test]
    fn short_frames_are_one_piece_whose_buffer_is_kept() {
        let mut outbound = Outbound::new(FrameConfig::default());
        outbound
            .push(Bytes::from_static(b"hi"))
            .expect("under the limit");
        assert_eq!(outbound.tail.capacity(), PREFIX_BYTES + 2);
        let mut slices = [IoSlice::new(&[]); 2];
        assert_eq!(outbound.chunks_vectored(&mut slices), 1);
        outbound.advance(3);
        assert_eq!(outbound.chunk(), b"\0\0\0\0\x02hi");
        let capacity = outbound.tail.capacity();
        outbound.advance(7);
        assert_eq!(
            (outbound.remaining(), outbound.tail.capacity()),
            (0, capacity)
        );
        assert_eq!(outbound.chunks_vectored(&mut [IoSlice::new(&[])]), 0);
    }

    #[test]
    fn a_refused_frame_leaves_no_trace() {
        let mut outbound = Outbound::new(FrameConfig::default().max_send_bytes(2));
        assert!(outbound.push(Bytes::from_static(b"abc")).is_err());
        assert!(!outbound.has_remaining());
    }
}
