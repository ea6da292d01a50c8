//! What the fuzz targets call: ordinary builds compile it and ordinary tests
//! run it over seeded garbage. Not part of the API.

use bytes::BytesMut;
use tokio_util::codec::Decoder;

use crate::{
    frame::{LengthPrefixed, Lines},
    pack::Format,
};

pub fn frame(input: &[u8]) {
    decode_all(LengthPrefixed::default(), input);
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

fn decode_all(mut codec: impl Decoder, input: &[u8]) {
    let mut source = BytesMut::from(input);
    while let Ok(Some(_)) = codec.decode_eof(&mut source) {}
    assert!(
        source.capacity() <= 4 * (input.len() + 64),
        "reserved what was announced"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Random bytes, and bytes that look like the format for a while.
    fn over_garbage(seed: u64, alphabet: &[u8], decode: fn(&[u8])) {
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
}
