//! Entry points of the fuzz targets, compiled by `cargo fuzz` and tests only.
//! Tests run them over seeded garbage. Not part of the API.

#[cfg(feature = "file")]
mod file;
mod rtp;
mod rtsp;

use std::{net::SocketAddr, time::Instant};

use bytes::BytesMut;
use tokio_util::codec::Decoder;

use crate::{
    frame::{LengthPrefixed, Lines},
    pack::Format,
    shard::{Reassembler, ReassemblyConfig},
};

#[cfg(feature = "file")]
pub use self::file::file;
pub use self::{rtp::rtp, rtsp::rtsp};

pub fn frame(input: &[u8]) {
    let frames = decode_all(LengthPrefixed::default(), input);
    assert_eq!(frames, read_all(input), "reader and codec differ");
}

pub fn lines(input: &[u8]) {
    decode_all(Lines::default(), input);
}

/// The format is the input's first line; the rest is unpacked, and packed again.
pub fn pack(input: &[u8]) {
    let (format, packed) = match input.iter().position(|&byte| byte == b'\n') {
        Some(end) => (&input[..end], &input[end + 1..]),
        None => (input, &[][..]),
    };
    let Ok(format) = str::from_utf8(format).unwrap_or_default().parse::<Format>() else {
        return;
    };
    let Ok(values) = format.unpack_from(packed, 0) else {
        return;
    };
    let again = format.pack(&values).expect("unpacked values fit");
    // A NaN differs from itself, not in what it prints.
    let unpacked = format.unpack(&again).expect("packed to its own size");
    assert_eq!(format!("{values:?}"), format!("{unpacked:?}"));
}

/// The input is datagrams, each behind a byte of its length; they all arrive `now`.
pub fn shard(now: Instant, input: &[u8]) {
    let limit = 4 << 10;
    let config = ReassemblyConfig::default()
        .max_messages(4)
        .max_buffered_bytes(limit)
        .max_message_bytes(limit);
    let mut reassembler = Reassembler::new(config);
    let from = SocketAddr::from(([127, 0, 0, 1], 1));
    let mut rest = input;
    while let Some((&length, after)) = rest.split_first() {
        let (datagram, next) = after.split_at(after.len().min(length.into()));
        if let Ok(Some(message)) = reassembler.handle_datagram(now, from, datagram) {
            assert!(message.bytes.len() <= limit, "longer than the limit");
        }
        assert!(
            reassembler.buffered_bytes() <= limit,
            "holds more than the limit"
        );
        rest = next;
    }
}

fn decode_all<C: Decoder>(mut codec: C, input: &[u8]) -> Vec<C::Item> {
    let mut source = BytesMut::from(input);
    let mut items = Vec::new();
    while let Ok(Some(item)) = codec.decode_eof(&mut source) {
        items.push(item);
    }
    assert!(
        source.capacity() <= 4 * (input.len() + 64),
        "reserved what was announced"
    );
    items
}

/// The same frames from a stream that brings the input in two pieces.
fn read_all(input: &[u8]) -> Vec<bytes::Bytes> {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };
    use tokio::io::AsyncReadExt;

    let cut = usize::from(input.last().copied().unwrap_or_default()).min(input.len());
    let (one, other) = input.split_at(cut);
    let mut reader = crate::frame::FrameReader::new(one.chain(other));
    let mut frames = Vec::new();
    // Bytes in memory are always ready.
    while let Poll::Ready(Ok(Some(frame))) =
        pin!(reader.recv()).poll(&mut Context::from_waker(Waker::noop()))
    {
        frames.push(frame);
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::{MessageKind, Parity, SplitConfig, Splitter, StreamId};

    /// Random bytes, and bytes that look like the format for a while.
    pub(super) fn over_garbage(seed: u64, alphabet: &[u8], decode: fn(&[u8])) {
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..20_000 {
            let length = random.usize(..200);
            let mut input = vec![0; length];
            random.fill(&mut input);
            decode(&input);
            input.fill_with(|| random.choice(alphabet).copied().unwrap());
            decode(&input);
        }
    }

    #[test]
    fn frames_of_garbage() {
        over_garbage(1, &[0, 0, 0, 0, 0, 0, 0, 1, 20, 255], frame);
    }

    #[test]
    fn formats_of_garbage() {
        over_garbage(3, b"0123\n\n <>=!@xcbB?hHiIlLqQnNefdspP\xff\x7c\x7e", pack);
    }

    #[test]
    fn lines_of_garbage() {
        over_garbage(2, b"ab\r\n\xff\xc3\xa9", lines);
    }

    #[test]
    fn shards_of_garbage() {
        over_garbage(4, b"\0\0\0\0\x01\x02\x28", |input| {
            shard(Instant::now(), input);
        });
        // Good headers, some of them spoilt: these get past the parser.
        let mut random = fastrand::Rng::with_seed(4);
        let (message, parity) = ([7; 100], Parity::percent(50));
        let config = SplitConfig::default().max_datagram_bytes(64);
        for stream in 0..2_000 {
            let mut splitter = Splitter::new(config.clone(), StreamId(stream));
            let mut input = Vec::new();
            for _ in 0..4 {
                let shards = splitter.split(MessageKind(1), &message, parity).unwrap();
                for datagram in shards.datagrams() {
                    input.push(u8::try_from(datagram.len()).unwrap());
                    input.extend_from_slice(datagram);
                }
            }
            for _ in 0..random.usize(..6) {
                let place = random.usize(..input.len());
                input[place] = random.u8(..);
            }
            shard(Instant::now(), &input);
        }
    }
}
