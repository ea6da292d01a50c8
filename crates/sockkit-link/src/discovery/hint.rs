//! Being recognised by those who know an identity, and by no others. Pure.

use ring::hmac::{HMAC_SHA256, Key, sign};

/// Tells those who know an identity that it is (or claims to be) this one. It has a
/// new nonce each time, so that for all others it leads nowhere.
///
/// It proves nothing: what is on the air can be copied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Hint {
    nonce: [u8; HINT_BYTES],
    tag: [u8; HINT_BYTES],
}

impl Hint {
    /// Of this identity, with a nonce that was drawn for this announcement.
    #[must_use]
    pub fn new(identity: &[u8; 32], nonce: [u8; 8]) -> Self {
        let tag = sign(&Key::new(HMAC_SHA256, identity), &nonce);
        let mut first = [0; HINT_BYTES];
        for (first, byte) in first.iter_mut().zip(tag.as_ref()) {
            *first = *byte;
        }
        Self { nonce, tag: first }
    }

    /// Whether it is of this identity, as far as a hint can tell.
    #[must_use]
    pub fn is_of(&self, identity: &[u8; 32]) -> bool {
        *self == Self::new(identity, self.nonce)
    }

    /// As it is announced: 32 digits, the nonce first.
    pub(super) fn emit(&self) -> String {
        let digits = |bytes: [u8; HINT_BYTES]| format!("{:016x}", u64::from_be_bytes(bytes));
        digits(self.nonce) + &digits(self.tag)
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_plain =
            text.len() == 4 * HINT_BYTES && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let (nonce, tag) = is_plain.then(|| text.split_at(2 * HINT_BYTES))?;
        let bytes = |digits| Some(u64::from_str_radix(digits, 16).ok()?.to_be_bytes());
        Some(Self {
            nonce: bytes(nonce)?,
            tag: bytes(tag)?,
        })
    }
}

const HINT_BYTES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_know_the_identity_recognise_it() {
        let (desk, porch) = ([1; 32], [2; 32]);
        let hint = Hint::new(&desk, [9; 8]);
        assert!(hint.is_of(&desk) && !hint.is_of(&porch));
    }

    #[test]
    fn for_others_two_of_them_have_nothing_in_common() {
        let (one, other) = (Hint::new(&[1; 32], [9; 8]), Hint::new(&[1; 32], [8; 8]));
        assert_ne!(one.nonce, other.nonce);
        assert_ne!(one.tag, other.tag);
    }

    #[test]
    fn what_is_announced_is_read_back_and_garbage_is_not() {
        let hint = Hint::new(&[1; 32], [0, 0, 0, 0, 0, 0, 0, 7]);
        let text = hint.emit();
        assert_eq!(text.len(), 32);
        assert_eq!(Hint::parse(&text), Some(hint));
        for bad in [
            "",
            "00",
            &text[1..],
            &format!("{text}0"),
            &text.replace('7', "+"),
            "é",
        ] {
            assert_eq!(Hint::parse(bad), None, "{bad:?}");
        }
    }
}
