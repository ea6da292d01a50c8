//! Fingerprints of public keys.

use std::{fmt, io, str::FromStr};

use rustls::{
    SupportedCipherSuite, crypto::ring, pki_types::CertificateDer, server::ParsedCertificate,
};

/// The SHA-256 digest of a public key, encoded as the `SubjectPublicKeyInfo` of
/// its certificate: other certificates for the same key have the same
/// fingerprint.
///
/// ```
/// # mod sockkit { pub use ::sockkit_link::quic; pub use ::sockkit_link as link; }
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// use sockkit::{link::Fingerprint, quic::Listener};
///
/// let listener = Listener::bind(([127, 0, 0, 1], 0).into())?;
/// // Groups of four, to be read out: 3f2a-09cc-…
/// let shown = listener.fingerprint().to_string();
/// assert_eq!(shown.split('-').count(), 16);
/// assert_eq!(shown.parse::<Fingerprint>()?, listener.fingerprint());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Parsing accepts hyphens, colons, spaces and either case.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Fingerprint([u8; BYTES]);

/// Text that is not a fingerprint.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a fingerprint: expected 64 hexadecimal digits, got {digits}")]
pub struct FingerprintError {
    digits: usize,
}

impl Fingerprint {
    /// Returns the 32 bytes.
    pub fn as_bytes(&self) -> &[u8; BYTES] {
        &self.0
    }

    /// The fingerprint of a certificate's key.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> io::Result<Self> {
        let parsed = ParsedCertificate::try_from(certificate);
        let parsed = parsed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(Self::of_key(&parsed.subject_public_key_info()))
    }

    /// The fingerprint of a `SubjectPublicKeyInfo`.
    pub(crate) fn of_key(key: &[u8]) -> Self {
        let suite = ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
        let SupportedCipherSuite::Tls13(suite) = suite else {
            unreachable!("the suite of that name is one of TLS 1.3")
        };
        let hash = suite.common.hash_provider.hash(key);
        let mut bytes = [0; BYTES];
        bytes.copy_from_slice(hash.as_ref());
        Self(bytes)
    }

    /// Formats it as 64 digits without separators, for files.
    #[cfg(feature = "pairing")]
    pub(crate) fn to_hex(self) -> String {
        self.to_string().replace('-', "")
    }
}

#[cfg(feature = "pairing")]
impl From<[u8; BYTES]> for Fingerprint {
    fn from(bytes: [u8; BYTES]) -> Self {
        Self(bytes)
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let separates = |c: &char| !matches!(c, '-' | ':' | ' ');
        let digits: Vec<_> = text.trim().chars().filter(separates).collect();
        let error = || FingerprintError {
            digits: digits.iter().filter(|c| c.is_ascii_hexdigit()).count(),
        };
        if digits.len() != 2 * BYTES {
            return Err(error());
        }
        let mut bytes = [0; BYTES];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            for digit in pair {
                let digit = digit.to_digit(16).ok_or_else(error)?;
                *byte = *byte << 4 | u8::try_from(digit).expect("it is below 16");
            }
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, pair) in self.0.chunks(2).enumerate() {
            let hyphen = if index == 0 { "" } else { "-" };
            write!(f, "{hyphen}{:02x}{:02x}", pair[0], pair[1])?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

const BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_back_however_it_is_spaced() {
        let shown = Fingerprint::of_key(b"key");
        let text = shown.to_string();
        for text in [
            text.clone(),
            text.to_uppercase(),
            text.replace('-', " "),
            text.replace('-', ":"),
            text.replace('-', ""),
            format!(" {text}\n"),
        ] {
            assert_eq!(text.parse(), Ok(shown), "{text}");
        }
    }

    #[test]
    fn too_short_too_long_and_other_digits_are_refused() {
        let text = Fingerprint::of_key(b"key").to_string();
        for bad in [
            String::new(),
            text[1..].to_owned(),
            format!("{text}0"),
            format!("g{}", &text[1..]),
            format!("٣{}", &text[1..]),
        ] {
            assert!(bad.parse::<Fingerprint>().is_err(), "{bad}");
        }
    }
}
