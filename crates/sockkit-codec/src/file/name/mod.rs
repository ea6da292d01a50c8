//! Names from the network: which of them may become a path here.
//!
//! A name is data until it has passed [`EntryPath::parse`]. Everything that
//! touches the file system takes an [`EntryPath`], never a string.
//!
//! # Source
//! The rules of the strictest system are applied on every system, so that a
//! transfer means the same on each: Windows' device names, streams (`:`) and
//! trailing dots, Unix's separators, and the characters with which a terminal
//! or a reader can be deceived (Unicode UAX #9, UTR #36).

use std::{borrow::Borrow, fmt};

use unicode_normalization::UnicodeNormalization;

use crate::text::escape_name;

/// A relative path that stays below the folder it is joined to.
///
/// ```
/// use sockkit_codec::file::{EntryPath, NameError};
///
/// let path = EntryPath::parse("사진/바다.jpg")?;
/// assert_eq!(path.file_name(), "바다.jpg");
/// assert_eq!(EntryPath::parse("../.ssh/authorized_keys"), Err(NameError::Dots));
/// # Ok::<(), NameError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct EntryPath(Box<str>);

impl EntryPath {
    /// Checks every component; `/` separates them on every system.
    ///
    /// # Errors
    /// The first [`NameError`] that applies.
    pub fn parse(path: &str) -> Result<Self, NameError> {
        if path.len() > MAX_PATH_BYTES {
            return Err(NameError::PathTooLong {
                bytes: path.len(),
                limit: MAX_PATH_BYTES,
            });
        }
        let mut depth = 0;
        for component in path.split('/') {
            check_component(component)?;
            depth += 1;
        }
        if depth > MAX_DEPTH {
            return Err(NameError::TooDeep {
                depth,
                limit: MAX_DEPTH,
            });
        }
        Ok(Self(path.into()))
    }

    /// The path with `/` between its components. For a file system; to be printed,
    /// it is shown through [`Display`](fmt::Display).
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last component.
    pub fn file_name(&self) -> &str {
        self.0
            .rsplit_once('/')
            .map_or(&*self.0, |(_folder, name)| name)
    }

    /// The folder that holds it; `None` at the top.
    pub fn parent(&self) -> Option<Self> {
        let (folder, _name) = self.0.rsplit_once('/')?;
        Some(Self(folder.into()))
    }

    /// The components, outermost first.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// The same path with another last component.
    ///
    /// # Errors
    /// As of [`parse`](Self::parse).
    pub fn with_file_name(&self, name: &str) -> Result<Self, NameError> {
        match self.0.rsplit_once('/') {
            Some((folder, _name)) => Self::parse(&format!("{folder}/{name}")),
            None => Self::parse(name),
        }
    }

    /// Equal for two paths that some file system would take for one: the
    /// decomposed, case-folded form.
    pub(crate) fn collision_key(&self) -> String {
        // Upper case first: it unites what lower case alone keeps apart
        // (`ß` and `SS`, final and medial sigma).
        let folded: String = self.0.nfd().flat_map(char::to_uppercase).collect();
        folded.to_lowercase().nfd().collect()
    }
}

/// Its order and hash are those of the text.
impl Borrow<str> for EntryPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Shows it through [`escape_name`], for a path that is allowed may still hold a
/// character that no reader sees. [`as_str`](EntryPath::as_str) gives it as it is.
impl fmt::Display for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape_name(&self.0))
    }
}

/// Why a name from the network may not become a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The path or a component is empty: also a leading, doubled or trailing `/`.
    #[error("name or a part of it is empty, or the path is absolute")]
    Empty,
    /// A component is `.` or `..`, or only dots.
    #[error("name has a part made of dots alone")]
    Dots,
    /// A character that separates, names a drive or a stream, or ends a string.
    #[error("name holds {found:?}, which is a separator on some system")]
    Separator {
        /// The character.
        found: char,
    },
    /// A control character, a direction override, or an invisible one.
    #[error("name holds {found:?}, which could deceive a reader or a terminal")]
    Deceptive {
        /// The character.
        found: char,
    },
    /// `CON`, `NUL`, `COM1` and their like, with any extension.
    #[error("name is that of a device on some system")]
    Device,
    /// Ends in a dot or a space, or begins with a space.
    #[error("name begins with a space, or ends in a dot or a space")]
    Edge,
    /// Looks like this project's own temporary files.
    #[error("name is reserved for unfinished transfers")]
    Reserved,
    /// One component is too long for common file systems.
    #[error("a part of the name has {bytes} bytes, limit is {limit}")]
    ComponentTooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The whole path is too long.
    #[error("path has {bytes} bytes, limit is {limit}")]
    PathTooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Too many folders inside each other.
    #[error("path is {depth} folders deep, limit is {limit}")]
    TooDeep {
        /// How deep it is.
        depth: usize,
        /// The limit.
        limit: usize,
    },
}

/// What the temporary files of an unfinished transfer begin with.
pub const TEMPORARY_PREFIX: &str = ".sockkit-";

fn check_component(component: &str) -> Result<(), NameError> {
    if component.is_empty() {
        return Err(NameError::Empty);
    }
    if component.chars().all(|character| character == '.') {
        return Err(NameError::Dots);
    }
    if component.len() > MAX_COMPONENT_BYTES {
        return Err(NameError::ComponentTooLong {
            bytes: component.len(),
            limit: MAX_COMPONENT_BYTES,
        });
    }
    for found in component.chars() {
        if matches!(found, '\0' | '/' | '\\' | ':') {
            return Err(NameError::Separator { found });
        }
        if is_deceptive(found) {
            return Err(NameError::Deceptive { found });
        }
    }
    if component.ends_with(['.', ' ']) || component.starts_with(' ') {
        return Err(NameError::Edge);
    }
    if is_device(component) {
        return Err(NameError::Device);
    }
    let prefix = component.get(..TEMPORARY_PREFIX.len());
    if prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(TEMPORARY_PREFIX)) {
        return Err(NameError::Reserved);
    }
    Ok(())
}

/// Windows takes `nul.tar.gz` and `NUL .txt` for the device as well.
fn is_device(component: &str) -> bool {
    let stem = component.split('.').next().unwrap_or(component).trim_end();
    let stem = stem.to_ascii_uppercase();
    if matches!(
        stem.as_str(),
        "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$" | "CLOCK$"
    ) {
        return true;
    }
    let number = stem
        .strip_prefix("COM")
        .or_else(|| stem.strip_prefix("LPT"));
    let mut characters = number.unwrap_or_default().chars();
    // The superscripts count as digits to Windows.
    matches!(
        (characters.next(), characters.next()),
        (Some('0'..='9' | '¹' | '²' | '³'), None)
    )
}

/// Control characters, direction marks and overrides, line breaks that are not
/// ASCII, and characters without width. The joiners stay: Indic and Arabic
/// names, and emoji, need them.
fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{00ad}'
                | '\u{061c}'
                | '\u{180e}'
                | '\u{200b}'
                | '\u{200e}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// What ext4, NTFS, APFS and their like allow for one component.
const MAX_COMPONENT_BYTES: usize = 255;
const MAX_PATH_BYTES: usize = 4_095;
const MAX_DEPTH: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_pass() {
        for name in [
            "a",
            "a/b/c.txt",
            "사진/바다 1.jpg",
            ".bashrc",
            "..a",
            "a..b",
            "com",
            "COM10",
            "console.log",
            "nulls",
            "ＣＯＮ",
            "क्‍ष",
            "-rf",
            "a;b|c*?",
        ] {
            assert!(EntryPath::parse(name).is_ok(), "{name:?}");
        }
    }

    #[test]
    fn each_rule_refuses() {
        use NameError::{Deceptive, Device, Dots, Edge, Empty, Reserved, Separator};
        for (name, error) in [
            ("", Empty),
            ("/etc/passwd", Empty),
            ("a//b", Empty),
            ("a/", Empty),
            (".", Dots),
            ("..", Dots),
            ("...", Dots),
            ("a/../b", Dots),
            ("./a", Dots),
            ("a\\b", Separator { found: '\\' }),
            ("c:", Separator { found: ':' }),
            ("a\0", Separator { found: '\0' }),
            ("a\n", Deceptive { found: '\n' }),
            ("\u{202e}gpj.exe", Deceptive { found: '\u{202e}' }),
            ("nul", Device),
            ("Aux.txt", Device),
            ("com1", Device),
            ("LPT².x", Device),
            ("NUL .txt", Device),
            ("a.", Edge),
            ("a ", Edge),
            (" a", Edge),
            (".SOCKKIT-x", Reserved),
        ] {
            assert_eq!(EntryPath::parse(name), Err(error), "{name:?}");
        }
    }

    #[test]
    fn limits_hold_exactly_and_break_by_one() {
        let component = "a".repeat(MAX_COMPONENT_BYTES);
        assert!(EntryPath::parse(&component).is_ok());
        assert!(EntryPath::parse(&format!("{component}a")).is_err());

        let deep = vec!["a"; MAX_DEPTH].join("/");
        assert!(EntryPath::parse(&deep).is_ok());
        assert!(EntryPath::parse(&format!("{deep}/a")).is_err());

        let long = vec![component.as_str(); 16].join("/");
        assert_eq!(long.len(), MAX_PATH_BYTES);
        assert!(EntryPath::parse(&long).is_ok());
        assert!(EntryPath::parse(&format!("{long}a")).is_err());
    }

    #[test]
    fn a_path_comes_apart_at_its_last_separator() {
        let path = EntryPath::parse("a/b/c.txt").unwrap();
        assert_eq!(path.file_name(), "c.txt");
        assert_eq!(path.parent(), Some(EntryPath::parse("a/b").unwrap()));
        assert!(path.components().eq(["a", "b", "c.txt"]));
        assert_eq!(path.with_file_name("d").unwrap().as_str(), "a/b/d");
        assert_eq!(Borrow::<str>::borrow(&path), "a/b/c.txt");
        let top = EntryPath::parse("c.txt").unwrap();
        assert_eq!((top.file_name(), top.parent()), ("c.txt", None));
        assert_eq!(top.with_file_name("d").unwrap().as_str(), "d");
    }

    #[test]
    fn a_path_is_shown_escaped() {
        // A joiner is allowed, and is not seen.
        let path = EntryPath::parse("a\u{200d}b").unwrap();
        assert_eq!(path.to_string(), r"a\u{200d}b");
        assert_eq!(path.as_str(), "a\u{200d}b");
    }

    #[test]
    fn names_that_some_system_confuses_share_a_key() {
        let key = |name| EntryPath::parse(name).unwrap().collision_key();
        assert_eq!(key("README"), key("readme"));
        assert_eq!(key("straße"), key("STRASSE"));
        assert_eq!(
            key("한글"),
            key("\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}")
        );
        assert_eq!(key("é"), key("E\u{301}"));
        assert_ne!(key("a"), key("b"));
    }
}
