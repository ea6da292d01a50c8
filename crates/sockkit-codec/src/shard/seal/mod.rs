//! Sealed datagrams: layout, positions, and replay detection.
//!
//! Each shard may be encrypted and authenticated. This module defines the
//! layout, numbers the datagrams and detects replays; the caller provides the
//! cipher (AEAD), as `sockkit-link` does.
//!
//! ```text
//!  0                  36           44                    -16
//! +------------------+------------+---------------------+-----+
//! | header: crc = 0, |  position  |  crc, shard         | tag |
//! | flags say sealed |            |  (encrypted)        |     |
//! +------------------+------------+---------------------+-----+
//!   associated data     the nonce
//! ```
//!
//! ```
//! # use sockkit_codec as sockkit;
//! use sockkit::shard::{
//!     MessageKind, Parity, SplitConfig, Splitter, StreamId,
//!     seal::{Position, Sealed, Suite},
//! };
//!
//! // // Not a cipher: every bit is inverted, and the tag is zeros.
//! let turn_over = |text: &mut [u8]| text.iter_mut().for_each(|byte| *byte = !*byte);
//! let mut splitter = Splitter::new(SplitConfig::default(), StreamId(7));
//! let (parts, parity) = ([&b"hello"[..]], Parity::NONE);
//! let shards = splitter.split_sealed(MessageKind(1), &parts, parity, Suite::Aes128Gcm, |unsealed| {
//!     unsealed.seal(Position(0), |_header, text| {
//!         turn_over(text);
//!         [0; 16]
//!     });
//! })?;
//!
//! let sealed = Sealed::parse(shards.as_bytes())?;
//! let mut buffer = Vec::new();
//! let opened = sealed.open(&mut buffer, |_header, text| {
//!     turn_over(text);
//!     true
//! });
//! assert!(opened.expect("it is right").ends_with(b"hello\0"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Source
//! The layout and the keys are described in `docs/wire/seal.md`.

use bytes::{Buf, BufMut};

use super::{HEADER_BYTES, ShardError, StreamId, header};

mod window;

pub use window::ReplayWindow;

/// The cipher of a stream, chosen by its sender and named in each datagram.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Suite {
    /// AES-128-GCM: the fastest on CPUs with instructions for it.
    Aes128Gcm,
    /// ChaCha20-Poly1305 (RFC 8439), fast on every CPU.
    ChaCha20Poly1305,
}

impl Suite {
    fn flags(self) -> u16 {
        match self {
            Self::Aes128Gcm => header::SEALED,
            Self::ChaCha20Poly1305 => header::SEALED | header::CHACHA,
        }
    }

    fn of_flags(flags: u16) -> Result<Self, ShardError> {
        let suites = [Self::Aes128Gcm, Self::ChaCha20Poly1305];
        let named = suites.into_iter().find(|suite| suite.flags() == flags);
        named.ok_or(match flags & header::SEALED {
            0 => ShardError::NotSealed,
            _ => ShardError::UnknownFlags { got: flags },
        })
    }
}

/// The position of a sealed datagram in its stream: it increases by one per
/// datagram, and is never used twice with one key.
///
/// The upper 41 bits are the epoch, each with its own key; the lower 23 count
/// the datagrams of that key.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Position(pub u64);

impl Position {
    /// Number of datagrams sealed with one key.
    pub const EPOCH_DATAGRAMS: u64 = 1 << 23;

    /// The epoch, which selects the stream's key.
    #[must_use]
    pub fn epoch(self) -> u64 {
        self.0 / Self::EPOCH_DATAGRAMS
    }

    /// The cipher's nonce: four zero bytes, then the position.
    #[must_use]
    pub fn nonce(self) -> [u8; 12] {
        let mut nonce = [0; 12];
        (&mut nonce[4..]).put_u64(self.0);
        nonce
    }
}

/// A datagram that was written but is not sealed yet.
#[derive(Debug)]
pub struct Unsealed<'a>(&'a mut [u8]);

impl<'a> Unsealed<'a> {
    /// `datagram` has room for a seal.
    pub(super) fn new(datagram: &'a mut [u8]) -> Self {
        Self(datagram)
    }

    /// Seals it at a position that was never used before with this key. `aead`
    /// gets the associated data, encrypts the text in place, and returns the
    /// tag.
    pub fn seal(self, position: Position, aead: impl FnOnce(&[u8], &mut [u8]) -> [u8; TAG_BYTES]) {
        let (header, rest) = self.0.split_at_mut(HEADER_BYTES);
        let (mut place, rest) = rest.split_at_mut(POSITION_BYTES);
        let (text, tag) = rest.split_at_mut(rest.len() - TAG_BYTES);
        place.put_u64(position.0);
        tag.copy_from_slice(&aead(header, text));
    }
}

/// A datagram that is marked as sealed. Do not trust any of its fields before
/// it is [opened](Self::open).
#[derive(Clone, Copy, Debug)]
pub struct Sealed<'a> {
    header: &'a [u8],
    stream: StreamId,
    suite: Suite,
    position: Position,
    /// Includes the tag.
    text: &'a [u8],
}

impl<'a> Sealed<'a> {
    /// Parses what is needed to open it.
    ///
    /// # Errors
    /// [`ShardError`] if it is not a shard, or [not
    /// sealed](ShardError::NotSealed).
    pub fn parse(datagram: &'a [u8]) -> Result<Self, ShardError> {
        let (mut stream, flags) = header::outline(datagram)?;
        let suite = Suite::of_flags(flags)?;
        let needed = HEADER_BYTES + SEAL_BYTES + SHARD_LEAST_BYTES;
        if datagram.len() < needed {
            return Err(ShardError::TooShort {
                got: datagram.len(),
                needed,
            });
        }
        let (header, rest) = datagram.split_at(HEADER_BYTES);
        let (mut position, text) = rest.split_at(POSITION_BYTES);
        Ok(Self {
            header,
            stream: StreamId(stream.get_u64()),
            suite,
            position: Position(position.get_u64()),
            text,
        })
    }

    /// The stream it claims to belong to.
    #[must_use]
    pub fn stream(&self) -> StreamId {
        self.stream
    }

    /// The cipher it names.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Its position in the stream.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Returns the datagram as it was before sealing, for a
    /// [`Reassembler`](super::Reassembler); `None` if it is not authentic.
    ///
    /// `aead` gets the associated data and the text followed by the tag; it
    /// decrypts the text in place, and returns whether the tag is correct.
    pub fn open<'b>(
        &self,
        buffer: &'b mut Vec<u8>,
        aead: impl FnOnce(&[u8], &mut [u8]) -> bool,
    ) -> Option<&'b [u8]> {
        // The text begins with the checksum. Decrypted over the header's last
        // four bytes, it leaves the shard where a plain datagram has it.
        let (start, mut end) = self.header.split_at(HEADER_BYTES - CRC_BYTES);
        buffer.clear();
        buffer.extend_from_slice(start);
        buffer.extend_from_slice(self.text);
        let (start, text) = buffer.split_at_mut(start.len());
        if !aead(self.header, text) {
            return None;
        }
        let (mut overlaid, _) = text.split_at_mut(CRC_BYTES);
        let (_, mut announced) = start.split_at_mut(header::CRC_AT);
        announced.put_slice(overlaid);
        overlaid.put_u16(end.get_u16());
        overlaid.put_u16(0);
        buffer.truncate(buffer.len() - TAG_BYTES);
        Some(buffer)
    }
}

/// What surrounds each shard of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Envelope {
    Plain,
    Sealed(Suite),
}

impl Envelope {
    pub(super) fn flags(self) -> u16 {
        match self {
            Self::Plain => 0,
            Self::Sealed(suite) => suite.flags(),
        }
    }

    /// Number of bytes before the shard.
    pub(super) fn before_shard(self) -> usize {
        match self {
            Self::Plain => HEADER_BYTES,
            Self::Sealed(_) => HEADER_BYTES + POSITION_BYTES + CRC_BYTES,
        }
    }

    /// Number of bytes after the shard.
    pub(super) fn after_shard(self) -> usize {
        match self {
            Self::Plain => 0,
            Self::Sealed(_) => TAG_BYTES,
        }
    }
}

/// Bytes that a seal adds to a datagram: position, checksum, tag.
pub const SEAL_BYTES: usize = POSITION_BYTES + CRC_BYTES + TAG_BYTES;

/// The cipher's tag.
pub const TAG_BYTES: usize = 16;

const POSITION_BYTES: usize = 8;
const CRC_BYTES: usize = 4;
const SHARD_LEAST_BYTES: usize = 2;

#[cfg(test)]
mod tests {
    use super::{
        super::{MessageKind, Parity, Reassembler, ReassemblyConfig, SplitConfig, Splitter},
        *,
    };

    const SUITES: [Suite; 2] = [Suite::Aes128Gcm, Suite::ChaCha20Poly1305];

    /// No cipher: it shows what went where.
    fn mark(header: &[u8], text: &mut [u8]) -> [u8; TAG_BYTES] {
        assert_eq!(header.len(), HEADER_BYTES);
        text.iter_mut().for_each(|byte| *byte ^= 0x55);
        [0xee; TAG_BYTES]
    }

    fn unmark(_header: &[u8], text: &mut [u8]) -> bool {
        let (text, tag) = text.split_at_mut(text.len() - TAG_BYTES);
        text.iter_mut().for_each(|byte| *byte ^= 0x55);
        *tag == [0xee; TAG_BYTES]
    }

    fn splitter() -> Splitter {
        Splitter::new(SplitConfig::default(), StreamId(0x0102_0304_0506_0708))
    }

    fn sealed(splitter: &mut Splitter, message: &[u8], parity: Parity) -> Vec<Vec<u8>> {
        let mut position = 0;
        let shards = splitter.split_sealed(
            MessageKind(1),
            &[message],
            parity,
            Suite::ChaCha20Poly1305,
            |unsealed| {
                unsealed.seal(Position(position), mark);
                position += 1;
            },
        );
        shards.unwrap().datagrams().map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn bytes_on_the_wire() {
        let one = sealed(&mut splitter(), b"hi!", Parity::NONE).remove(0);
        let crc = crc32c::crc32c(b"hi!").to_be_bytes().map(|byte| byte ^ 0x55);
        let shard = b"hi!\0".map(|byte| byte ^ 0x55);
        let expected = [
            b"SK\x01\x01\x01\x02\x03\x04\x05\x06\x07\x08\0\0\0\0\0\0\0\0",
            &[0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 3][..],
            &[0; 8],
            &crc,
            &shard,
            &[0xee; 16],
        ];
        assert_eq!(one, expected.concat());
    }

    #[test]
    fn what_is_opened_is_what_would_have_been_sent_in_the_clear() {
        for (length, parity) in [(0, 0), (1, 100), (1_336, 0), (1_337, 40), (60_000, 20)] {
            let message: Vec<u8> = (0..=250).cycle().take(length).collect();
            let parity = Parity::percent(parity);
            let sealed = sealed(&mut splitter(), &message, parity);
            let shard_bytes = sealed[0].len() - HEADER_BYTES - SEAL_BYTES;
            // Cut alike: plain datagrams of that length, less what the seal takes.
            let plain = SplitConfig::default().max_datagram_bytes(1_400 - SEAL_BYTES);
            let mut plain = Splitter::new(plain, StreamId(0x0102_0304_0506_0708));
            let plain = plain.split(MessageKind(1), &message, parity).unwrap();
            assert_eq!(plain.segment_bytes(), HEADER_BYTES + shard_bytes);
            assert_eq!(sealed.len(), plain.datagrams().len());
            let mut buffer = Vec::new();
            for (position, (sealed, plain)) in (0..).zip(sealed.iter().zip(plain.datagrams())) {
                let sealed = Sealed::parse(sealed).unwrap();
                assert_eq!(sealed.position(), Position(position));
                assert_eq!(sealed.stream(), StreamId(0x0102_0304_0506_0708));
                assert_eq!(sealed.open(&mut buffer, unmark), Some(plain), "{length}");
            }
        }
    }

    #[test]
    fn a_sealed_datagram_is_no_longer_than_a_plain_one_may_be() {
        for most in [92, 93, 200, 1_400, 65_507] {
            let config = SplitConfig::default().max_datagram_bytes(most);
            let mut splitter = Splitter::new(config, StreamId(1));
            let fits = vec![7; (most - HEADER_BYTES - SEAL_BYTES) & !1];
            let one = sealed(&mut splitter, &fits, Parity::NONE);
            assert_eq!((one.len(), one[0].len()), (1, most & !1), "{most}");
            let more = [&fits[..], &[7]].concat();
            assert_eq!(
                sealed(&mut splitter, &more, Parity::NONE).len(),
                2,
                "{most}"
            );
        }
        // At the shortest there is room for 28 bytes, as in the clear.
        let config = SplitConfig::default().max_datagram_bytes(64);
        let mut splitter = Splitter::new(config, StreamId(1));
        assert_eq!(sealed(&mut splitter, &[7; 29], Parity::NONE).len(), 2);
    }

    #[test]
    fn a_receiver_without_a_key_says_so() {
        let one = sealed(&mut splitter(), b"hi!", Parity::NONE).remove(0);
        let mut reassembler = Reassembler::new(ReassemblyConfig::default());
        let from = std::net::SocketAddr::from(([10, 0, 0, 1], 5_006));
        let now = std::time::Instant::now();
        let refused = reassembler.handle_datagram(now, from, &one);
        assert_eq!(refused.unwrap_err(), ShardError::Sealed);
        let plain = splitter()
            .split(MessageKind(1), b"hi!", Parity::NONE)
            .unwrap()
            .as_bytes()
            .to_vec();
        assert_eq!(Sealed::parse(&plain).unwrap_err(), ShardError::NotSealed);
    }

    #[test]
    fn cut_at_every_byte_it_is_refused_or_cut_in_the_text() {
        let one = sealed(&mut splitter(), b"hi!", Parity::NONE).remove(0);
        let needed = HEADER_BYTES + SEAL_BYTES + 2;
        for cut in 0..one.len() {
            match Sealed::parse(&one[..cut]) {
                Ok(_) => assert!(cut >= needed),
                Err(ShardError::TooShort { got, .. }) => assert!(got == cut && cut < needed),
                Err(error) => panic!("cut at byte {cut}: {error}"),
            }
        }
    }

    #[test]
    fn other_protocols_versions_and_flags_are_refused() {
        let one = sealed(&mut splitter(), b"hi!", Parity::NONE).remove(0);
        let with = |at: usize, byte: u8| {
            let mut changed = one.clone();
            changed[at] = byte;
            Sealed::parse(&changed).map(|sealed| sealed.suite())
        };
        assert!(matches!(with(0, b'H'), Err(ShardError::NotAShard { .. })));
        assert!(matches!(with(2, 2), Err(ShardError::UnknownVersion { .. })));
        assert_eq!(with(35, 1), Ok(Suite::Aes128Gcm));
        assert_eq!(with(35, 3), Ok(Suite::ChaCha20Poly1305));
        for (flags, expected) in [
            (0, ShardError::NotSealed),
            (2, ShardError::NotSealed),
            (5, ShardError::UnknownFlags { got: 5 }),
        ] {
            assert_eq!(with(35, flags), Err(expected));
        }
        assert_eq!(with(34, 1), Err(ShardError::UnknownFlags { got: 0x103 }));
    }

    #[test]
    fn what_is_not_authentic_is_not_given_out() {
        let one = sealed(&mut splitter(), b"hi!", Parity::NONE).remove(0);
        let mut buffer = Vec::new();
        let opened = Sealed::parse(&one).unwrap().open(&mut buffer, |_, _| false);
        assert_eq!(opened, None);
    }

    #[test]
    fn each_epoch_counts_its_own_datagrams() {
        let last = Position::EPOCH_DATAGRAMS - 1;
        assert_eq!(
            [0, last, last + 1].map(|at| Position(at).epoch()),
            [0, 0, 1]
        );
        assert_eq!(Position(u64::MAX).epoch(), (1 << 41) - 1);
        let nonce = Position(0x0102_0304_0506_0708).nonce();
        assert_eq!(nonce, [0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn the_suites_are_told_apart() {
        for suite in SUITES {
            assert_eq!(Suite::of_flags(suite.flags()), Ok(suite));
        }
    }
}
