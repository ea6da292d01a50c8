//! The course's file protocols, the half that opens nothing: what their few
//! messages are, and which names are safe.

use super::{EntryPath, NameError, NameRules};

/// What a receiver over TCP says first. Any text would do.
pub const READY: &[u8] = b"ready";
/// What a receiver over UDP answers to a name.
pub const OK: &[u8] = b"OK";
/// What the course's programs read at once when they expect a name.
pub const MAX_NAME_BYTES: usize = 1_024;

/// The name that arrived; `None` if the bytes cannot be one: no mark keeps a
/// name apart from the file behind it.
///
/// # Errors
/// [`NameError`] if it is a name, but not safe as that of a file.
pub fn parse_name(bytes: &[u8]) -> Result<Option<EntryPath>, NameError> {
    let Ok(name) = str::from_utf8(bytes) else {
        return Ok(None);
    };
    // Lines and long texts are contents, not an attempt to deceive.
    if name.contains(['\n', '\r']) || name.len() > MAX_FILE_NAME_BYTES {
        return Ok(None);
    }
    check_name(name).map(Some)
}

/// The name as that of a file; stricter than [`EntryPath::parse`], for a receiver of the
/// course asks no user before it writes.
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

/// What the course's receivers call the file: `new_` and its name.
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
