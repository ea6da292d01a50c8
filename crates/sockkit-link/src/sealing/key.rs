//! Derives the key of each stream, direction and epoch from a shared secret.

use std::{fmt, io};

use ring::{
    aead::{AES_128_GCM, Algorithm, CHACHA20_POLY1305, LessSafeKey, UnboundKey},
    hkdf::{HKDF_SHA256, Prk, Salt},
};
use sockkit_codec::shard::{StreamId, seal::Suite};

/// The secret shared by both sides of sealed streams, and the sender's
/// identity.
#[derive(Clone)]
pub struct Key {
    secret: Prk,
    sender: [u8; 32],
}

/// The direction of a datagram. Each has its own keys, so a datagram cannot be
/// reflected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// From the side with destinations to the receivers.
    FromSender,
    /// Replies of a receiver.
    ToSender,
}

impl Key {
    /// Creates a key from a secret of 256 random bits. Do not use a password.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self {
            secret: Salt::new(HKDF_SHA256, &[]).extract(secret),
            sender: [0; 32],
        }
    }

    /// Sets the sender's identity, if both sides know it. Default: zeros.
    pub fn of_sender(mut self, identity: [u8; 32]) -> Self {
        self.sender = identity;
        self
    }

    /// Derives the key of one epoch.
    pub(super) fn derive(
        &self,
        suite: Suite,
        direction: Direction,
        stream: StreamId,
        epoch: u64,
    ) -> LessSafeKey {
        let (algorithm, label): (&'static Algorithm, &[u8]) = match suite {
            Suite::Aes128Gcm => (&AES_128_GCM, b"sockkit seal 1 AES-128-GCM"),
            Suite::ChaCha20Poly1305 => (&CHACHA20_POLY1305, b"sockkit seal 1 ChaCha20-Poly1305"),
        };
        let direction = match direction {
            Direction::FromSender => [0],
            Direction::ToSender => [1],
        };
        let (stream, epoch) = (stream.0.to_be_bytes(), epoch.to_be_bytes());
        let info = [label, &stream, &epoch, &self.sender, &direction];
        let expanded = self.secret.expand(&info, algorithm);
        let expanded = expanded.expect("a key is shorter than HKDF can make");
        LessSafeKey::new(UnboundKey::from(expanded))
    }
}

/// Returns a secret for [`Key::new`], from the operating system.
///
/// # Errors
/// If the system's random source fails.
pub fn random_secret() -> io::Result<[u8; 32]> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)?;
    Ok(secret)
}

impl Direction {
    /// The opposite direction.
    #[must_use]
    pub fn back(self) -> Self {
        match self {
            Self::FromSender => Self::ToSender,
            Self::ToSender => Self::FromSender,
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The secret must not end up in a log.
        f.write_str("Key")
    }
}

/// The suite that is faster on this machine.
pub(super) fn fastest() -> Suite {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    let has_aes = std::arch::is_x86_feature_detected!("aes")
        && std::arch::is_x86_feature_detected!("pclmulqdq");
    #[cfg(target_arch = "aarch64")]
    let has_aes = std::arch::is_aarch64_feature_detected!("aes")
        && std::arch::is_aarch64_feature_detected!("pmull");
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
    let has_aes = false;
    match has_aes {
        true => Suite::Aes128Gcm,
        false => Suite::ChaCha20Poly1305,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_printed() {
        let shown = format!("{:?}", Key::new(&[0x5e; 32]).of_sender([0x5e; 32]));
        assert_eq!(shown, "Key");
    }

    /// What one key seals the other opens, or not.
    fn are_equal(one: &LessSafeKey, other: &LessSafeKey) -> bool {
        use ring::aead::{Aad, Nonce};

        if one.algorithm() != other.algorithm() {
            return false;
        }
        let nonce = || Nonce::assume_unique_for_key([0; 12]);
        let mut text = vec![1, 2, 3];
        one.seal_in_place_append_tag(nonce(), Aad::empty(), &mut text)
            .unwrap();
        other
            .open_in_place(nonce(), Aad::empty(), &mut text)
            .is_ok()
    }

    #[test]
    fn each_part_of_the_description_makes_another_key() {
        use Direction::{FromSender, ToSender};
        use Suite::{Aes128Gcm, ChaCha20Poly1305};

        let (key, other) = (Key::new(&[1; 32]), Key::new(&[2; 32]));
        let named = key.clone().of_sender([3; 32]);
        let mut keys = Vec::new();
        for suite in [Aes128Gcm, ChaCha20Poly1305] {
            for key in [&key, &other, &named] {
                for direction in [FromSender, ToSender] {
                    for (stream, epoch) in [(1, 0), (1, 1), (2, 0), (0, 1)] {
                        keys.push(key.derive(suite, direction, StreamId(stream), epoch));
                    }
                }
            }
        }
        for (place, one) in keys.iter().enumerate() {
            for (other_place, other) in keys.iter().enumerate() {
                assert_eq!(are_equal(one, other), place == other_place);
            }
        }
    }
}
