//! The pure half of the course's file protocols: their messages, and which
//! names are safe.

use super::{EntryPath, NameError, NameRules};

/// The first message of a receiver over TCP. Senders accept any text.
pub const READY: &[u8] = b"ready";
/// Reply of a receiver over UDP to a name.
pub const OK: &[u8] = b"OK";
/// How many bytes the course's programs read at once when they expect a name.
pub const MAX_NAME_BYTES: usize = 1_024;

/// Parses a received name; `None` if the bytes cannot be one: nothing separates
/// the name from the file contents that follow.
///
/// # Errors
/// [`NameError`] if it is a name, but not a safe file name.
pub fn parse_name(bytes: &[u8]) -> Result<Option<EntryPath>, NameError> {
    let Ok(name) = str::from_utf8(bytes) else {
        return Ok(None);
    };
    // Line breaks and long texts are file contents, not an attempt to deceive.
    if name.contains(['\n', '\r']) || name.len() > MAX_FILE_NAME_BYTES {
        return Ok(None);
    }
    check_name(name).map(Some)
}

/// Checks a file name. Stricter than [`EntryPath::parse`], because a receiver
/// of the course does not ask the user before it writes.
///
/// # Errors
/// [`NameError`] if it is not safe.
pub fn check_name(name: &str) -> Result<EntryPath, NameError> {
    let path = EntryPath::parse(name)?;
    if path.parent().is_some() {
        return Err(NameError::Separator { found: '/' });
    }
    NameRules::native().check(&path)?;
    match path.deceptive() {
        Some(found) => Err(NameError::Deceptive { found }),
        None => Ok(path),
    }
}

const MAX_FILE_NAME_BYTES: usize = 255;

/// The file name that the course's receivers use: `new_` and the name.
///
/// # Errors
/// [`NameError`] if that is too long.
pub fn saved_as(name: &EntryPath) -> Result<EntryPath, NameError> {
    let path = EntryPath::parse([b"new_", name.as_bytes()].concat())?;
    NameRules::native().check(&path)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_told_from_contents_and_from_a_trap() {
        let name = parse_name(b"film.mkv").unwrap().unwrap();
        assert_eq!(saved_as(&name).unwrap().to_str(), Some("new_film.mkv"));
        for contents in [&b"\xff\xd8"[..], b"first line\nsecond", &[b'a'; 300]] {
            assert_eq!(parse_name(contents), Ok(None));
        }
        for trap in ["../passwd", "a/b", "", "a\u{1b}[2J", "\u{202e}gpj.exe"] {
            assert!(parse_name(trap.as_bytes()).is_err(), "{trap}");
        }
        let long = parse_name(&[b'a'; 252]).unwrap().unwrap();
        assert!(saved_as(&long).is_err());
    }
}
