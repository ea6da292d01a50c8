//! The course's file protocols, the half that opens nothing: what their few
//! messages are, and which names are safe.

use super::{EntryPath, NameError};

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
    match EntryPath::parse(name) {
        Ok(path) if path.parent().is_some() => Err(NameError::Separator { found: '/' }),
        Ok(path) => Ok(Some(path)),
        // Lines and long texts are contents, not an attempt to deceive.
        Err(NameError::Deceptive { found: '\n' | '\r' } | NameError::ComponentTooLong { .. }) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// What the course's receivers call the file: `new_` and its name.
///
/// # Errors
/// [`NameError`] if that is too long.
pub fn saved_as(name: &EntryPath) -> Result<EntryPath, NameError> {
    EntryPath::parse(&format!("new_{}", name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_told_from_contents_and_from_a_trap() {
        let name = parse_name(b"film.mkv").unwrap().unwrap();
        assert_eq!(saved_as(&name).unwrap().as_str(), "new_film.mkv");
        for contents in [&b"\xff\xd8"[..], b"first line\nsecond", &[b'a'; 300]] {
            assert_eq!(parse_name(contents), Ok(None));
        }
        for trap in ["../passwd", "a/b", ""] {
            assert!(parse_name(trap.as_bytes()).is_err(), "{trap}");
        }
    }
}
