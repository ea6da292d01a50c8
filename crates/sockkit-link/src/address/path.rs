//! Names and patterns of names, as the path of an address.

use std::{fmt, str::FromStr, sync::Arc};

/// A name such as `site-a/porch`, or a pattern of names such as `site-a/*`.
///
/// A name has up to eight parts, each of up to 64 letters, digits, `-`, `_` and `.`. In a
/// pattern `*` stands for one part, and `**` for any number of them. Names come from the
/// network, too; these print as they are.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AddressPath(
    /// One word, because errors hold several addresses; `None` if it is empty.
    Option<Arc<String>>,
);

/// Error from parsing a path.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{0:?} is not a name: use letters, digits, - _ and . in up to 8 parts, as in site-a/porch; * \
     stands for one part, ** for any"
)]
pub struct PathError(String);

impl AddressPath {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_deref().map_or("", String::as_str)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether it stands for any number of names.
    #[must_use]
    pub fn is_pattern(&self) -> bool {
        self.as_str().contains('*')
    }
}

impl FromStr for AddressPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let is_part = |part: &str| matches!(part, "*" | "**") || is_name(part);
        match text.split('/').count() <= MAX_PARTS && text.split('/').all(is_part) {
            true => Ok(Self(Some(Arc::new(text.to_owned())))),
            // A hostile name must not fill a screen.
            false => Err(PathError(text.chars().take(MAX_NAME_BYTES).collect())),
        }
    }
}

/// Whether it is one part of a name.
fn is_name(part: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&part.len())
        && part
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

impl fmt::Display for AddressPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

const MAX_PARTS: usize = 8;

const MAX_NAME_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_patterns_are_told_from_what_is_neither() {
        for (text, is_pattern) in [
            ("porch", false),
            ("site-a/porch_2.left", false),
            ("site-a/*", true),
            ("**", true),
            ("a/b/c/d/e/f/g/h", false),
        ] {
            let path: AddressPath = text.parse().unwrap();
            assert_eq!((path.as_str(), path.is_pattern()), (text, is_pattern));
        }
        for text in [
            "/porch",
            "porch/",
            "a//b",
            "a b",
            "a*",
            "$*",
            "a?x=1",
            "@/router",
            "a/b/c/d/e/f/g/h/i",
            "한글",
            "porch\u{1b}[31m",
            &"a".repeat(65),
        ] {
            assert!(text.parse::<AddressPath>().is_err(), "{text:?}");
        }
    }
}
