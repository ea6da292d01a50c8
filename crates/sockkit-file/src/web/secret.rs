//! The path that only those have who were given it.

use std::{fmt, io};

use subtle::ConstantTimeEq;

/// A path of one component with 128 random bits, such as
/// `/k5q2…x7/`.
///
/// `Display` shows it, with the slashes; `Debug` does not.
#[derive(Clone)]
pub struct SecretPath(String);

impl SecretPath {
    /// # Errors
    /// If the system's random source fails.
    pub(super) fn random() -> io::Result<Self> {
        let mut random = [0; SECRET_CHARS];
        getrandom::fill(&mut random).map_err(io::Error::from)?;
        // 26 characters of five bits each.
        let secret = random.map(|byte| char::from(ALPHABET[usize::from(byte & 31)]));
        Ok(Self(secret.iter().collect()))
    }

    /// The component, without slashes.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the request's path begins with it. How long that takes does not depend on
    /// how much of it is right.
    pub(super) fn begins(&self, path: &str) -> bool {
        let component = path.strip_prefix('/').unwrap_or(path);
        let component = component.split('/').next().unwrap_or_default();
        component.as_bytes().ct_eq(self.0.as_bytes()).into()
    }
}

impl fmt::Display for SecretPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.0)
    }
}

impl fmt::Debug for SecretPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretPath(…)")
    }
}

const SECRET_CHARS: usize = 26;

/// Without letters and digits that look alike.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_secret_opens() {
        let secret = SecretPath::random().unwrap();
        let path = secret.to_string();
        assert_eq!(path.len(), SECRET_CHARS + 2);
        assert!(secret.begins(&path));
        assert!(secret.begins(&format!("{path}file/3/name")));
        assert!(!secret.begins("/"));
        assert!(!secret.begins(""));
        assert!(!secret.begins(&format!("/{path}")));
        assert!(!secret.begins(&path[..SECRET_CHARS]));
        assert!(!secret.begins(&format!("/{}a/", secret.as_str())));
        assert!(!secret.begins(&SecretPath::random().unwrap().to_string()));
    }

    #[test]
    fn a_log_does_not_show_it() {
        let secret = SecretPath::random().unwrap();
        assert!(!format!("{secret:?}").contains(secret.as_str()));
    }
}
