//! SHA-256, which a page can compute and every system has a program for.

use std::{fmt, io};

use sha2::{Digest as _, Sha256};

/// A SHA-256 digest.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) struct Sha256Digest([u8; 32]);

impl Sha256Digest {
    /// Reads 64 hexadecimal digits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |at: u8| char::from(at).to_digit(16);
            let both = digit(pair[0])? << 4 | digit(pair[1])?;
            *byte = u8::try_from(both).ok()?;
        }
        Some(Self(digest))
    }

    /// The digest of what was hashed so far.
    pub(super) fn of(hasher: &Sha256) -> Self {
        Self(hasher.clone().finalize().into())
    }
}

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256Digest({self})")
    }
}

/// Passes the first `size_bytes` of a file to `take`; `false` if it is shorter.
pub(super) fn read_all(
    size_bytes: u64,
    read_at: impl Fn(&mut [u8], u64) -> io::Result<usize>,
    mut take: impl FnMut(&[u8]),
) -> io::Result<bool> {
    let mut buffer = vec![0; READ_BYTES];
    let mut offset = 0;
    while offset < size_bytes {
        let left = size_bytes - offset;
        let room = usize::try_from(left).map_or(READ_BYTES, |left| left.min(READ_BYTES));
        match read_at(&mut buffer[..room], offset)? {
            0 => return Ok(false),
            bytes => {
                take(&buffer[..bytes]);
                offset += bytes as u64;
            }
        }
    }
    Ok(true)
}

const READ_BYTES: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_is_written() {
        let empty = Sha256Digest::of(&Sha256::new());
        let text = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(empty.to_string(), text);
        assert_eq!(Sha256Digest::parse(text), Some(empty));
        assert_eq!(Sha256Digest::parse(&text.to_uppercase()), Some(empty));
        for bad in ["", &text[1..], &format!("{text}0"), &text.replace('e', "g")] {
            assert_eq!(Sha256Digest::parse(bad), None, "{bad}");
        }
    }
}
