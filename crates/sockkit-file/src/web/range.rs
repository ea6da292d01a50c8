//! Which part of a file a client asks for, and the name that it saves it under. Pure.
//!
//! # Source
//! RFC 9110, 14.1.2 and 14.2; RFC 6266 and RFC 8187 for names.

use std::{fmt::Write as _, ops::Range};

/// What a `Range` header asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum RequestedRange {
    /// All of it: without the header, or with one that may be ignored.
    Whole,
    /// A part that is not empty.
    Part(Range<u64>),
    /// Nothing that the file has.
    Unsatisfiable,
}

/// Several ranges at once are not served: the client gets everything.
pub(super) fn requested(header: Option<&str>, size_bytes: u64) -> RequestedRange {
    let Some(spec) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else {
        return RequestedRange::Whole;
    };
    let Some((first, last)) = spec.trim().split_once('-') else {
        return RequestedRange::Whole;
    };
    let (first, last) = (first.trim(), last.trim());
    let part = match (number(first), number(last)) {
        (Some(first), Some(last)) if last < first => return RequestedRange::Whole,
        (Some(first), Some(last)) => first..last.saturating_add(1).min(size_bytes),
        (Some(first), None) if last.is_empty() => first..size_bytes,
        (None, Some(suffix)) if first.is_empty() => size_bytes.saturating_sub(suffix)..size_bytes,
        _ => return RequestedRange::Whole,
    };
    match part.is_empty() {
        true => RequestedRange::Unsatisfiable,
        false => RequestedRange::Part(part),
    }
}

/// Digits only, saturating.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// The header that makes a browser save a file under the last component of `path`.
pub(super) fn disposition(path: &[u8]) -> String {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
    let name = String::from_utf8_lossy(name);
    let plain: String = name.chars().map(plain).collect();
    let mut header = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''");
    for byte in name.bytes() {
        match byte {
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                header.push(char::from(byte));
            }
            byte => write!(header, "%{byte:02X}").expect("a string takes everything"),
        }
    }
    header
}

/// For clients that do not know `filename*`.
fn plain(character: char) -> char {
    match character {
        ' '..='~' if !"\"\\%/".contains(character) => character,
        _ => '_',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_served_in_each_of_its_forms() {
        for (header, expected) in [
            ("bytes=0-", 0..10),
            ("bytes=4-", 4..10),
            ("bytes=4-4", 4..5),
            ("bytes=4-99", 4..10),
            ("bytes=-3", 7..10),
            ("bytes=-99", 0..10),
            (" bytes= 1 - 2 ", 1..3),
            ("bytes=0-99999999999999999999999", 0..10),
        ] {
            assert_eq!(
                requested(Some(header), 10),
                RequestedRange::Part(expected),
                "{header}"
            );
        }
    }

    #[test]
    fn anything_else_is_the_whole_or_nothing() {
        for header in ["", "bytes", "bytes=", "bytes=-", "lines=1-2", "bytes=4-2"] {
            assert_eq!(
                requested(Some(header), 10),
                RequestedRange::Whole,
                "{header}"
            );
        }
        for header in ["bytes=0-1,4-5", "bytes=a-b", "bytes=--1", "bytes=+1-2"] {
            assert_eq!(
                requested(Some(header), 10),
                RequestedRange::Whole,
                "{header}"
            );
        }
        for header in ["bytes=10-", "bytes=99-100", "bytes=-0"] {
            assert_eq!(
                requested(Some(header), 10),
                RequestedRange::Unsatisfiable,
                "{header}"
            );
        }
        assert_eq!(requested(None, 10), RequestedRange::Whole);
        assert_eq!(
            requested(Some("bytes=0-"), 0),
            RequestedRange::Unsatisfiable
        );
    }

    #[test]
    fn a_name_cannot_end_the_header() {
        assert_eq!(
            disposition("a/b \"c\"\r\n%가.txt".as_bytes()),
            "attachment; filename=\"b _c_____.txt\"; \
             filename*=UTF-8''b%20%22c%22%0D%0A%25%EA%B0%80.txt"
        );
        assert!(disposition(b"\xff").is_ascii());
    }
}
