//! The messages of `docs/wire/pair.md`. Pure.

use super::exchange::{Element, Tag};

/// The dialler's first message, up to the part that depends on the method.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Hello {
    pub(super) way: Way,
    pub(super) number: u16,
}

/// How the dialler asks to be accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Way {
    /// By its key.
    Known,
    /// By a code, whose element follows.
    Code,
}

/// Why a peer was not accepted, as sent to it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Its key is not known there.
    #[error("it does not know this machine; pair with the code that it shows")]
    Unknown,
    /// Its key is known, but lacks this right.
    #[error(
        "it knows this machine, but does not allow this; its user can, with `sockkit peers rights`"
    )]
    NotAllowed,
    /// No code is shown, or no longer.
    #[error("it shows no code now, or another one")]
    NoCode,
    /// The number of the code differs.
    #[error("it shows a code with another number; check the code")]
    OtherNumber,
    /// The code is wrong.
    #[error("the code is wrong, or there is an attacker in between")]
    Wrong,
    /// Other attempts are running, or there were too many.
    #[error("too many attempts there; try again in a minute")]
    Busy,
    /// It supports another version.
    #[error("it uses another version of the handshake; use the same sockkit on both sides")]
    Version,
    /// It received a malformed message.
    #[error("it received a malformed message")]
    Malformed,
    /// It cannot read or write its list of peers, or its random source failed.
    #[error("it has an internal error; see its own output")]
    Internal,
}

impl Hello {
    pub(super) const BYTES: usize = 8;

    pub(super) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(MAGIC);
        bytes[4] = VERSION;
        bytes[5] = match self.way {
            Way::Known => 0,
            Way::Code => 1,
        };
        bytes[6..].copy_from_slice(&self.number.to_be_bytes());
        bytes
    }

    pub(super) fn parse(bytes: [u8; Self::BYTES]) -> Result<Self, Refusal> {
        if bytes[..4] != *MAGIC {
            return Err(Refusal::Malformed);
        }
        if bytes[4] != VERSION {
            return Err(Refusal::Version);
        }
        let number = u16::from_be_bytes([bytes[6], bytes[7]]);
        match bytes[5] {
            0 if number == 0 => Ok(Self {
                way: Way::Known,
                number,
            }),
            1 => Ok(Self {
                way: Way::Code,
                number,
            }),
            _ => Err(Refusal::Malformed),
        }
    }
}

impl Refusal {
    const ALL: [Self; 9] = [
        Self::Unknown,
        Self::NotAllowed,
        Self::NoCode,
        Self::OtherNumber,
        Self::Wrong,
        Self::Busy,
        Self::Version,
        Self::Malformed,
        Self::Internal,
    ];

    pub(super) fn byte(self) -> u8 {
        match self {
            Self::Unknown => 1,
            Self::NotAllowed => 2,
            Self::NoCode => 3,
            Self::OtherNumber => 4,
            Self::Wrong => 5,
            Self::Busy => 6,
            Self::Version => 7,
            Self::Malformed => 8,
            Self::Internal => 9,
        }
    }
}

/// Decodes a status byte. An unknown refusal of a later version is a
/// [`Refusal::Version`].
pub(super) fn status(byte: u8) -> Result<(), Refusal> {
    if byte == PROCEED {
        return Ok(());
    }
    let refusal = Refusal::ALL.into_iter().find(|one| one.byte() == byte);
    Err(refusal.unwrap_or(Refusal::Version))
}

/// A message that continues the exchange.
pub(super) fn proceed(with: &[u8]) -> Vec<u8> {
    [&[PROCEED], with].concat()
}

/// A display name, prefixed with its length.
pub(super) fn name(name: &str) -> Vec<u8> {
    let cut = (0..=MAX_NAME_BYTES.min(name.len())).rev();
    let end = cut.into_iter().find(|&end| name.is_char_boundary(end));
    let name = &name[..end.unwrap_or_default()];
    let length = u8::try_from(name.len()).expect("it was cut");
    [&[length], name.as_bytes()].concat()
}

pub(super) const PROCEED: u8 = 0;
pub(super) const ELEMENT_BYTES: usize = size_of::<Element>();
pub(super) const TAG_BYTES: usize = size_of::<Tag>();

const MAGIC: &[u8; 4] = b"SKPR";
pub(super) const VERSION: u8 = 1;
const MAX_NAME_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_is_read_back() {
        for hello in [
            Hello {
                way: Way::Known,
                number: 0,
            },
            Hello {
                way: Way::Code,
                number: 0,
            },
            Hello {
                way: Way::Code,
                number: 0x0102,
            },
        ] {
            assert_eq!(Hello::parse(hello.to_bytes()), Ok(hello));
        }
        assert_eq!(
            Hello {
                way: Way::Code,
                number: 7
            }
            .to_bytes(),
            *b"SKPR\x01\x01\x00\x07"
        );
    }

    #[test]
    fn another_magic_version_or_way_is_refused() {
        for (bytes, refusal) in [
            (b"SKPT\x01\x01\x00\x07", Refusal::Malformed),
            (b"SKPR\x00\x01\x00\x07", Refusal::Version),
            (b"SKPR\x02\x01\x00\x07", Refusal::Version),
            (b"SKPR\x01\x02\x00\x07", Refusal::Malformed),
            (b"SKPR\x01\x00\x00\x07", Refusal::Malformed),
        ] {
            assert_eq!(Hello::parse(*bytes), Err(refusal));
        }
    }

    #[test]
    fn each_refusal_has_a_byte_and_no_other() {
        assert_eq!(status(0), Ok(()));
        for (byte, refusal) in (1..).zip(Refusal::ALL) {
            assert_eq!(refusal.byte(), byte);
            assert_eq!(status(byte), Err(refusal));
        }
        assert_eq!(status(10), Err(Refusal::Version));
        assert_eq!(status(255), Err(Refusal::Version));
    }

    #[test]
    fn a_name_is_cut_between_letters() {
        assert_eq!(name("desk"), b"\x04desk");
        assert_eq!(name(""), [0]);
        let long = "책".repeat(40);
        assert_eq!(name(&long).len(), 1 + 63);
        assert_eq!(name(&"x".repeat(65)).len(), 1 + 64);
    }
}
