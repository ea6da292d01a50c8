//! The datagrams of the course's video.
//!
//! Pure. The format has no picture number: an index that goes back far, or
//! repeats, starts the next picture.

#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use sockkit_media::picture::{Picture, PixelFormat};

/// Width of the course's pictures.
pub const WIDTH_PX: u32 = 640;

/// Height of the course's pictures.
pub const HEIGHT_PX: u32 = 480;

/// Size of a datagram: the index, then a twentieth of the picture.
pub(super) const DATAGRAM_BYTES: usize = 1 + BLOCK_BYTES;

/// Splits a picture's BGR pixels into datagrams: the index byte, and the block
/// that follows it.
pub(super) fn cut(pixels: &[u8]) -> impl Iterator<Item = (&'static [u8], &[u8])> {
    INDEXES
        .chunks_exact(1)
        .zip(pixels.chunks_exact(BLOCK_BYTES))
}

/// Reassembles datagrams. It holds one picture, and reuses the memory of
/// returned pictures when they are dropped.
///
/// ```text
///   pixels   one byte, then the 20 blocks
///   room     the byte before a block, for its index, and the block itself
/// ```
#[derive(Debug)]
pub(crate) struct Assembler {
    pixels: BytesMut,
    /// The byte of the previous block that the room overlaps.
    overlapped: u8,
    given: VecDeque<Bytes>,
    /// One bit for each block received.
    present: u32,
    highest: u8,
    broken: u64,
}

impl Default for Assembler {
    fn default() -> Self {
        Self {
            pixels: blank(),
            overlapped: 0,
            given: VecDeque::new(),
            present: 0,
            highest: 0,
            broken: 0,
        }
    }
}

impl Assembler {
    /// Processes a datagram; returns the picture that it completes.
    ///
    /// Ignores datagrams of other formats.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn handle_datagram(&mut self, datagram: &[u8]) -> Option<Picture> {
        self.room()
            .get_mut(..datagram.len())?
            .copy_from_slice(datagram);
        self.handle_filled(datagram.len())
    }

    /// Returns the buffer for the next datagram, to be reported to
    /// [`handle_filled`](Self::handle_filled). It is the place of the next
    /// expected block, so that nothing is copied if that block arrives.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        let due = self.due();
        self.overlapped = self.room_at(due).first().copied().unwrap_or_default();
        self.room_at(due)
    }

    /// Processes the datagram of that length received into
    /// [`room`](Self::room); returns the picture that it completes.
    ///
    /// Ignores datagrams of other formats.
    pub(crate) fn handle_filled(&mut self, bytes: usize) -> Option<Picture> {
        let (due, overlapped) = (self.due(), self.overlapped);
        let index = std::mem::replace(self.room_at(due).first_mut()?, overlapped);
        if bytes != DATAGRAM_BYTES || usize::from(index) >= BLOCKS {
            return None;
        }
        let bit = 1 << index;
        if self.present & bit != 0 || index.saturating_add(REORDER) < self.highest {
            self.broken += 1;
            self.begin();
        }
        if usize::from(index) != due {
            let block = 1 + due * BLOCK_BYTES..1 + (due + 1) * BLOCK_BYTES;
            let place = 1 + usize::from(index) * BLOCK_BYTES;
            self.pixels.copy_within(block, place);
        }
        self.present |= bit;
        self.highest = self.highest.max(index);
        if self.present != ALL {
            return None;
        }
        self.begin();
        let spare = self.spare();
        let whole = std::mem::replace(&mut self.pixels, spare).freeze();
        self.given.push_back(whole.clone());
        Picture::new(PixelFormat::Bgr, WIDTH_PX, HEIGHT_PX, whole.slice(1..)).ok()
    }

    /// The first missing block; there always is one.
    fn due(&self) -> usize {
        self.present.trailing_ones() as usize
    }

    fn room_at(&mut self, block: usize) -> &mut [u8] {
        let at = block * BLOCK_BYTES;
        self.pixels
            .get_mut(at..at + DATAGRAM_BYTES)
            .unwrap_or_default()
    }

    /// Memory for the next picture. Fresh pages cost as much as copying the
    /// picture, so the memory of an earlier picture is reused if it is free.
    fn spare(&mut self) -> BytesMut {
        for _ in 0..self.given.len() {
            match self.given.pop_front().map(Bytes::try_into_mut) {
                Some(Ok(free)) => return free,
                Some(Err(shared)) => self.given.push_back(shared),
                None => {}
            }
        }
        self.given.truncate(MAX_GIVEN - 1);
        blank()
    }

    /// Number of incomplete pictures.
    pub(crate) fn broken(&self) -> u64 {
        self.broken
    }

    fn begin(&mut self) {
        self.present = 0;
        self.highest = 0;
    }
}

fn blank() -> BytesMut {
    BytesMut::zeroed(1 + BLOCKS * BLOCK_BYTES)
}

const BLOCKS: usize = 20;
const BLOCK_BYTES: usize = 46_080;
const INDEXES: [u8; BLOCKS] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
];
const ALL: u32 = (1 << BLOCKS) - 1;

/// How far a datagram may be reordered within its picture.
const REORDER: u8 = 10;

/// Number of pictures whose memory may be reused: one in progress, one being
/// shown, and one more.
const MAX_GIVEN: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fuzzing, hostile};

    fn picture(shade: u8) -> Picture {
        let texture = (0..=250_u8).cycle().take(921_600);
        let pixels: Vec<u8> = texture.map(|at| at.wrapping_add(shade)).collect();
        Picture::new(PixelFormat::Bgr, 640, 480, pixels).unwrap()
    }

    fn datagrams(shade: u8) -> Vec<Vec<u8>> {
        cut(picture(shade).data())
            .map(|(index, block)| [index, block].concat())
            .collect()
    }

    #[test]
    fn a_picture_is_twenty_datagrams_and_comes_back() {
        let datagrams = datagrams(3);
        assert_eq!(datagrams.len(), 20);
        assert!(datagrams.iter().all(|one| one.len() == 46_081));
        let mut assembler = Assembler::default();
        let mut shuffled = datagrams.clone();
        shuffled.swap(3, 9);
        for order in [datagrams, shuffled] {
            let whole: Vec<_> = order
                .iter()
                .filter_map(|datagram| assembler.handle_datagram(datagram))
                .collect();
            assert!(whole == [picture(3)]);
        }
        assert_eq!(assembler.broken(), 0);
    }

    #[test]
    fn whichever_datagram_is_lost_no_picture_is_torn() {
        for lost in 0..20 {
            let mut assembler = Assembler::default();
            let mut whole = Vec::new();
            for shade in 0..3 {
                for (index, datagram) in datagrams(shade).iter().enumerate() {
                    if (shade, index) != (0, lost) {
                        whole.extend(assembler.handle_datagram(datagram));
                    }
                }
            }
            assert!(whole == [picture(1), picture(2)], "without datagram {lost}");
            assert_eq!(assembler.broken(), 1);
        }
    }

    #[test]
    fn memory_is_used_again_and_never_while_somebody_looks() {
        let mut assembler = Assembler::default();
        let mut kept = Vec::new();
        for shade in 0..10 {
            for datagram in datagrams(shade) {
                kept.extend(assembler.handle_datagram(&datagram));
            }
            assert!(assembler.given.len() <= MAX_GIVEN);
        }
        assert!(
            (0..10)
                .zip(&kept)
                .all(|(shade, kept)| *kept == picture(shade))
        );
        drop(kept);
        let places: Vec<_> = (0..10)
            .filter_map(|shade| {
                let datagrams = datagrams(shade);
                datagrams
                    .iter()
                    .find_map(|datagram| assembler.handle_datagram(datagram))
            })
            .map(|picture| picture.data().as_ptr())
            .collect();
        assert!(places[4..].iter().all(|place| places[..4].contains(place)));
    }

    /// Datagrams as the fuzz target takes them: each behind its length.
    fn written(datagrams: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for datagram in datagrams {
            bytes.extend_from_slice(&u16::try_from(datagram.len()).unwrap().to_le_bytes());
            bytes.extend_from_slice(datagram);
        }
        bytes
    }

    #[test]
    fn ten_thousand_hostile_datagrams_make_no_picture() {
        let whole = datagrams(1);
        assert!(fuzzing::course_video(&written(&whole)));
        let mut random = fastrand::Rng::with_seed(1);
        let mut assembler = Assembler::default();
        let used = allocation_counter::measure(|| {
            for _ in 0..hostile::INPUTS {
                let mut datagram = whole[random.usize(..BLOCKS)].clone();
                // All of them lack a byte, have one too many, or are for no block.
                match random.u8(..3) {
                    0 => datagram.truncate(random.usize(..DATAGRAM_BYTES)),
                    1 => datagram.push(0),
                    _ => datagram[0] = random.u8(20..),
                }
                assert!(assembler.handle_datagram(&datagram).is_none());
            }
        });
        // No more than the test's own datagram.
        assert!(used.bytes_max <= 4 * DATAGRAM_BYTES as u64, "{used:?}");
    }

    #[test]
    fn hostile_datagrams_between_good_ones_tear_no_picture() {
        let sound: Vec<_> = (0..3).map(datagrams).collect();
        let mut random = fastrand::Rng::with_seed(2);
        let mut assembler = Assembler::default();
        for number in 0..100 {
            for datagram in &sound[number % 3] {
                let mut spoilt = datagram.clone();
                spoilt.truncate(random.usize(..DATAGRAM_BYTES));
                assert!(assembler.handle_datagram(&spoilt).is_none());
                if let Some(whole) = assembler.handle_datagram(datagram) {
                    assert!(whole == picture(u8::try_from(number % 3).unwrap()));
                }
            }
        }
        assert_eq!(assembler.broken(), 0);
    }
}
