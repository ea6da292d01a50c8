//! Frames as a tokio-util codec.

use bytes::{Buf, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use super::{FrameConfig, FrameReadError, FrameWriteError, config::PREFIX_BYTES};

/// Length-prefixed frames for `Framed`, `FramedRead` and `FramedWrite`.
///
/// Unlike tokio-util's `LengthDelimitedCodec`, it does not reserve memory for
/// an announced length. For large frames, `FrameReader` and `FrameWriter` use
/// the same wire format with fewer copies.
///
/// ```
/// # use sockkit_codec as sockkit;
/// use bytes::{Bytes, BytesMut};
/// use sockkit::frame::LengthPrefixed;
/// use tokio_util::codec::{Decoder, Encoder};
///
/// let (mut codec, mut wire) = (LengthPrefixed::default(), BytesMut::new());
/// codec.encode(Bytes::from_static(b"hi"), &mut wire)?;
/// assert_eq!(wire[..], *b"\0\0\0\0\0\0\0\x02hi");
/// assert_eq!(codec.decode(&mut wire)?.as_deref(), Some(&b"hi"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct LengthPrefixed {
    config: FrameConfig,
    /// Offset of the next frame in the decoded stream.
    offset: u64,
}

impl LengthPrefixed {
    /// Creates a codec with the given configuration.
    pub fn new(config: FrameConfig) -> Self {
        Self { config, offset: 0 }
    }
}

impl Decoder for LengthPrefixed {
    type Item = Bytes;
    type Error = FrameReadError;

    fn decode(&mut self, source: &mut BytesMut) -> Result<Option<Bytes>, FrameReadError> {
        let Some(&prefix) = source.first_chunk::<PREFIX_BYTES>() else {
            return Ok(None);
        };
        let length = self.config.parse_prefix(prefix, self.offset)?;
        let missing = length.saturating_sub(source.len() - PREFIX_BYTES);
        if missing > 0 {
            // Grows with what was received: an announced length alone reserves
            // nothing.
            source.reserve(missing.min(source.len()));
            return Ok(None);
        }
        source.advance(PREFIX_BYTES);
        self.offset += (PREFIX_BYTES + length) as u64;
        Ok(Some(source.split_to(length).freeze()))
    }

    fn decode_eof(&mut self, source: &mut BytesMut) -> Result<Option<Bytes>, FrameReadError> {
        if let Some(frame) = self.decode(source)? {
            return Ok(Some(frame));
        }
        if source.is_empty() {
            return Ok(None);
        }
        let length = match source.first_chunk::<PREFIX_BYTES>() {
            Some(&prefix) => self.config.parse_prefix(prefix, self.offset)?,
            None => 0,
        };
        Err(FrameReadError::truncated(self.offset, source.len(), length))
    }
}

impl Encoder<Bytes> for LengthPrefixed {
    type Error = FrameWriteError;

    fn encode(&mut self, payload: Bytes, wire: &mut BytesMut) -> Result<(), FrameWriteError> {
        let prefix = self.config.prefix(payload.len())?;
        wire.reserve(PREFIX_BYTES + payload.len());
        wire.extend_from_slice(&prefix);
        wire.extend_from_slice(&payload);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes `wire` cut in two at every byte: framing must not see the cut.
    #[track_caller]
    fn check(wire: &[u8], expected: &[&[u8]]) {
        for cut in 0..=wire.len() {
            let (mut codec, mut source) = (LengthPrefixed::default(), BytesMut::new());
            let mut frames = Vec::new();
            for part in [&wire[..cut], &wire[cut..]] {
                source.extend_from_slice(part);
                while let Some(frame) = codec.decode(&mut source).expect("valid input") {
                    frames.push(frame);
                }
            }
            assert_eq!(frames, expected, "cut at byte {cut}");
            assert_eq!(codec.decode_eof(&mut source).expect("ends well"), None);
        }
    }

    #[test]
    fn a_frame_is_encoded_into_a_buffer_of_its_size() {
        let (mut codec, mut wire) = (LengthPrefixed::default(), BytesMut::new());
        codec
            .encode(Bytes::from(vec![7; 100]), &mut wire)
            .expect("under the limit");
        assert_eq!(wire[..PREFIX_BYTES], *b"\0\0\0\0\0\0\0\x64");
        assert_eq!(wire[PREFIX_BYTES..], [7; 100]);
        assert_eq!(wire.capacity(), PREFIX_BYTES + 100);
    }

    #[test]
    fn an_empty_frame_is_a_frame() {
        check(&[0; 8], &[b""]);
    }

    #[test]
    fn frames_are_found_wherever_the_cut() {
        check(
            b"\0\0\0\0\0\0\0\x02hi\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01!",
            &[b"hi", b"", b"!"],
        );
    }

    #[test]
    fn a_stream_that_ends_inside_a_frame_is_an_error() {
        let wire = b"\0\0\0\0\0\0\0\x02hi\0\0\0\0\0\0\0\x03hi";
        for end in [11, 17, 18, 20] {
            let (mut codec, mut source) = (LengthPrefixed::default(), BytesMut::from(&wire[..end]));
            assert_eq!(codec.decode_eof(&mut source).unwrap().unwrap(), "hi");
            let error = codec.decode_eof(&mut source).unwrap_err();
            let FrameReadError::Truncated {
                offset,
                received,
                expected,
            } = error
            else {
                panic!("{error}");
            };
            assert_eq!((offset, received), (10, end - 10));
            assert_eq!(expected, if end < 18 { 8 } else { 11 });
        }
    }

    #[test]
    fn what_is_announced_is_not_reserved() {
        let mut codec = LengthPrefixed::default();
        let mut source = BytesMut::from(&(64u64 << 20).to_be_bytes()[..]);
        source.extend_from_slice(&[7; 1024]);
        assert_eq!(codec.decode(&mut source).unwrap(), None);
        assert!(source.capacity() <= 4 * 1032, "{}", source.capacity());
    }
}
