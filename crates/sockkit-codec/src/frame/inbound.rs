//! Turns received bytes into frames.

use std::mem;

use bytes::{Buf, Bytes};

use super::{FrameConfig, FrameReadError, config::PREFIX_BYTES};

/// Splits a byte stream into frames.
///
/// Pure: `FrameReader` drives it. Call [`take_frame`](Self::take_frame) until
/// it returns `None`, then add bytes with [`push`](Self::push), or read them
/// into [`spare`](Self::spare) if that saves a copy, and repeat.
#[derive(Debug)]
pub(super) struct Inbound {
    config: FrameConfig,
    /// Offset of the next frame in the stream.
    offset: u64,
    /// Received bytes that belong to no frame yet. After `take_frame` returned
    /// `None`, they are fewer than a prefix.
    ahead: Bytes,
    /// The frame whose prefix has arrived, while its payload is incomplete.
    partial: Option<Partial>,
}

impl Inbound {
    pub(super) fn new(config: FrameConfig) -> Self {
        Self {
            config,
            offset: 0,
            ahead: Bytes::new(),
            partial: None,
        }
    }

    /// Returns the next frame if it is complete.
    ///
    /// Errors are final: later calls return the same error.
    pub(super) fn take_frame(&mut self) -> Result<Option<Bytes>, FrameReadError> {
        if let Some(partial) = self.partial.take_if(|partial| partial.missing() == 0) {
            return Ok(Some(self.finish(Bytes::from(partial.payload))));
        }
        if self.partial.is_some() {
            return Ok(None);
        }
        let Some(&prefix) = self.ahead.first_chunk::<PREFIX_BYTES>() else {
            return Ok(None);
        };
        let length = self.config.parse_prefix(prefix, self.offset)?;
        self.ahead.advance(PREFIX_BYTES);
        if self.ahead.len() >= length {
            let payload = self.ahead.split_to(length);
            return Ok(Some(self.finish(payload)));
        }
        let mut partial = Partial::new(length);
        // Moved out, so that no read-ahead buffer stays allocated.
        partial.extend(&mem::take(&mut self.ahead));
        self.partial = Some(partial);
        Ok(None)
    }

    fn finish(&mut self, payload: Bytes) -> Bytes {
        self.offset += (PREFIX_BYTES + payload.len()) as u64;
        payload
    }

    /// Adds received bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let wanted = self.partial.as_ref().map_or(0, Partial::missing);
        let (payload, ahead) = bytes.split_at(wanted.min(bytes.len()));
        if let Some(partial) = &mut self.partial {
            partial.extend(payload);
        }
        self.ahead = if self.ahead.is_empty() {
            Bytes::copy_from_slice(ahead)
        } else {
            [&self.ahead, ahead].concat().into()
        };
    }

    /// Returns the buffer of the current payload to read into directly, if at
    /// least `worth` bytes of it may be reserved now.
    pub(super) fn spare(&mut self, worth: usize) -> Option<bytes::buf::Limit<&mut Vec<u8>>> {
        let partial = self.partial.as_mut()?;
        if partial.missing().min(partial.payload.len()) < worth {
            return None;
        }
        Some(partial.spare())
    }

    /// Returns the received bytes that are not part of a returned frame.
    pub(super) fn into_ahead(self) -> Bytes {
        match self.partial {
            Some(partial) => {
                let prefix = self.config.write_prefix(partial.length);
                [&prefix[..], &partial.payload, &self.ahead].concat().into()
            }
            None => self.ahead,
        }
    }

    /// Checks whether the stream may end here.
    pub(super) fn end(&self) -> Result<(), FrameReadError> {
        let (received, length) = match &self.partial {
            Some(partial) => (partial.payload.len() + PREFIX_BYTES, partial.length),
            None if self.ahead.is_empty() => return Ok(()),
            None => (self.ahead.len(), 0),
        };
        Err(FrameReadError::truncated(self.offset, received, length))
    }
}

/// A frame's payload while it is being received.
///
/// Its buffer is at most twice as large as what was received, and finally has
/// exactly the payload's size.
#[derive(Debug)]
struct Partial {
    payload: Vec<u8>,
    length: usize,
}

impl Partial {
    fn new(length: usize) -> Self {
        Self {
            payload: Vec::new(),
            length,
        }
    }

    fn missing(&self) -> usize {
        self.length - self.payload.len()
    }

    fn extend(&mut self, bytes: &[u8]) {
        if bytes.len() > self.spare_bytes() {
            self.grow(self.payload.len() + 2 * bytes.len());
        }
        self.payload.extend_from_slice(bytes);
    }

    fn spare(&mut self) -> bytes::buf::Limit<&mut Vec<u8>> {
        // Grows only when half of it is used, so that each byte is moved a
        // bounded number of times, however small the reads are.
        if self.spare_bytes() < self.missing().min(self.payload.len() / 2) {
            self.grow(self.payload.len());
        }
        let spare_bytes = self.spare_bytes();
        bytes::BufMut::limit(&mut self.payload, spare_bytes)
    }

    fn spare_bytes(&self) -> usize {
        self.payload.capacity().min(self.length) - self.payload.len()
    }

    fn grow(&mut self, additional: usize) {
        self.payload.reserve_exact(additional.min(self.missing()));
    }
}

#[cfg(test)]
mod tests {
    use bytes::BufMut;

    use super::*;

    fn frame(payload: &[u8]) -> Vec<u8> {
        [&(payload.len() as u64).to_be_bytes()[..], payload].concat()
    }

    /// Takes all frames out, after `bytes` came in one of the two ways.
    fn take_all(inbound: &mut Inbound, mut bytes: &[u8], worth: usize) -> Vec<Bytes> {
        let mut frames = Vec::new();
        while !bytes.is_empty() {
            if let Some(mut spare) = inbound.spare(worth) {
                let (now, later) = bytes.split_at(spare.remaining_mut().min(bytes.len()));
                assert!(!now.is_empty(), "room for nothing");
                spare.put_slice(now);
                bytes = later;
            } else {
                inbound.push(bytes);
                bytes = &[];
            }
            while let Some(frame) = inbound.take_frame().expect("valid input") {
                frames.push(frame);
            }
        }
        frames
    }

    #[test]
    fn frames_are_found_wherever_the_cut() {
        let payloads: [&[u8]; 5] = [b"hi", b"", &[7; 40], b"!", &[8; 9]];
        let wire = payloads.map(frame).concat();
        for cut in 0..=wire.len() {
            for worth in [1, 5, 1000] {
                let mut inbound = Inbound::new(FrameConfig::default());
                let mut frames = take_all(&mut inbound, &wire[..cut], worth);
                assert_eq!(
                    inbound.end().is_ok(),
                    [0, 10, 18, 66, 75, 92].contains(&cut)
                );
                frames.extend(take_all(&mut inbound, &wire[cut..], worth));
                assert_eq!(frames, payloads, "cut at byte {cut}, worth {worth}");
                assert!(inbound.end().is_ok());
            }
        }
    }

    #[test]
    fn memory_grows_with_what_came() {
        let announced = 1 << 20;
        for step in [1, 7, 1000, 64 << 10] {
            let mut inbound = Inbound::new(FrameConfig::default());
            inbound.push(&(announced as u64).to_be_bytes());
            let (mut came, mut moves, mut capacity) = (0, 0, 0);
            while came < announced {
                let now = step.min(announced - came);
                assert_eq!(take_all(&mut inbound, &vec![1; now][..], 4096).len(), {
                    came += now;
                    usize::from(came == announced)
                });
                let Some(partial) = &inbound.partial else {
                    break;
                };
                moves += usize::from(partial.payload.capacity() != capacity);
                capacity = partial.payload.capacity();
                assert!(capacity <= 2 * came, "{capacity} reserved for {came}");
            }
            assert!(moves <= 40, "{moves} moves in steps of {step}");
        }
    }

    /// With the first bytes of a payload of 1,000.
    fn begun(came: usize) -> Inbound {
        let mut inbound = Inbound::new(FrameConfig::default());
        inbound.push(&frame(&[5; 1_000])[..PREFIX_BYTES + came]);
        assert_eq!(inbound.take_frame().unwrap(), None);
        inbound
    }

    #[test]
    fn a_payload_is_read_to_directly_once_that_is_worth_it() {
        assert!(begun(60).spare(61).is_none());
        assert!(begun(60).spare(60).is_some());
        // Never more than is missing.
        assert!(begun(960).spare(41).is_none());
        let mut nearly = begun(960);
        assert_eq!(nearly.spare(40).unwrap().remaining_mut(), 40);
    }

    #[test]
    fn a_buffer_grows_when_less_than_half_of_it_is_free() {
        let mut inbound = begun(60);
        assert_eq!(inbound.spare(1).unwrap().remaining_mut(), 60);
        inbound.spare(1).unwrap().put_slice(&[5; 20]);
        // Of 80 that came, room for 40 is enough, and for 39 is not.
        assert_eq!(inbound.spare(1).unwrap().remaining_mut(), 40);
        inbound.spare(1).unwrap().put_slice(&[5]);
        assert_eq!(inbound.spare(1).unwrap().remaining_mut(), 81);
        // What is pushed makes room for as much again, and what fits moves nothing.
        let mut inbound = begun(60);
        let capacity = |inbound: &Inbound| inbound.partial.as_ref().unwrap().payload.capacity();
        assert_eq!(capacity(&inbound), 120);
        inbound.push(&[5; 60]);
        assert_eq!(capacity(&inbound), 120);
    }

    #[test]
    fn an_end_inside_a_frame_says_how_much_of_it_came() {
        for (came, expected) in [(3, 8), (8, 28), (13, 28)] {
            let mut inbound = Inbound::new(FrameConfig::default());
            inbound.push(&frame(b"ok"));
            inbound.push(&frame(&[1; 20])[..came]);
            assert_eq!(inbound.take_frame().unwrap().unwrap(), "ok");
            assert_eq!(inbound.take_frame().unwrap(), None);
            let FrameReadError::Truncated {
                offset,
                received,
                expected: announced,
            } = inbound.end().unwrap_err()
            else {
                panic!("the frame is cut");
            };
            assert_eq!((offset, received, announced), (10, came, expected));
        }
    }

    #[test]
    fn a_payload_ends_up_in_a_buffer_of_its_size() {
        let mut inbound = Inbound::new(FrameConfig::default());
        let wire = frame(&[3; 100_000]);
        inbound.push(&wire[..1000]);
        assert_eq!(inbound.take_frame().unwrap(), None);
        inbound.push(&wire[1000..]);
        let partial = inbound.partial.as_ref().unwrap();
        assert_eq!(partial.payload.capacity(), 100_000);
    }

    #[test]
    fn a_refused_frame_stays_refused() {
        let mut inbound = Inbound::new(FrameConfig::default().max_receive_bytes(3));
        inbound.push(&frame(b"abc"));
        inbound.push(&frame(b"abcd"));
        inbound.push(&frame(b"ok"));
        assert_eq!(inbound.take_frame().unwrap().unwrap(), "abc");
        for _ in 0..2 {
            assert!(matches!(
                inbound.take_frame(),
                Err(FrameReadError::TooLong {
                    offset: 11,
                    announced: 4,
                    limit: 3
                })
            ));
        }
    }

    #[test]
    fn the_longest_length_there_is_ends_as_truncated() {
        let config = FrameConfig::default().max_receive_bytes(usize::MAX);
        let mut inbound = Inbound::new(config);
        inbound.push(&[0xff; 8]);
        assert!(inbound.take_frame().expect("within the limit").is_none());
        let Err(FrameReadError::Truncated { expected, .. }) = inbound.end() else {
            panic!("a frame without its payload is complete");
        };
        assert_eq!(expected, usize::MAX);
    }
}
