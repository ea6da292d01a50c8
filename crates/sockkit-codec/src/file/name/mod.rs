//! Decides which names from the network may become a path.
//!
//! A name is untrusted bytes until it has passed [`EntryPath::parse`].
//! Everything that accesses the file system takes an [`EntryPath`], never bytes
//! or a string. [`NameRules`] describe what the receiving system does not allow
//! beyond that.

mod deceptive;
mod rules;
mod target;
#[cfg(test)]
mod tests;

use std::{borrow::Borrow, fmt};

use unicode_normalization::UnicodeNormalization;

pub use self::{rules::NameRules, target::LinkTarget};
use crate::text::escape_name_bytes;

/// A path or a link target as announced by a peer: arbitrary bytes. `Display`
/// escapes them.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RawPath(Box<[u8]>);

impl RawPath {
    /// The bytes, with `/` between components on every system.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl<T: AsRef<[u8]>> From<T> for RawPath {
    fn from(bytes: T) -> Self {
        Self(bytes.as_ref().into())
    }
}

impl fmt::Display for RawPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape_name_bytes(&self.0))
    }
}

impl fmt::Debug for RawPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawPath({self})")
    }
}

/// A relative path that stays below the folder it is joined to.
///
/// It may contain every byte that is valid in a Unix name; [`NameRules`] tell
/// whether a particular system allows it.
///
/// ```
/// # use sockkit_codec as sockkit;
/// use sockkit::file::{EntryPath, NameError};
///
/// let path = EntryPath::parse("사진/바다.jpg")?;
/// assert_eq!(path.file_name(), "바다.jpg".as_bytes());
/// assert_eq!(EntryPath::parse("../.ssh/authorized_keys"), Err(NameError::Dots));
/// # Ok::<(), NameError>(())
/// ```
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct EntryPath(Box<[u8]>);

impl EntryPath {
    /// Checks every component; `/` separates them on every system.
    ///
    /// # Errors
    /// The first [`NameError`] that applies.
    pub fn parse(path: impl AsRef<[u8]>) -> Result<Self, NameError> {
        let path = path.as_ref();
        if path.len() > MAX_PATH_BYTES {
            return Err(NameError::PathTooLong {
                bytes: path.len(),
                limit: MAX_PATH_BYTES,
            });
        }
        let mut depth = 0;
        for component in components(path) {
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

    /// The path with `/` between its components, for file system calls. Use
    /// [`Display`](fmt::Display) to print it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The path as text; `None` if it is not UTF-8.
    pub fn to_str(&self) -> Option<&str> {
        str::from_utf8(&self.0).ok()
    }

    /// The last component.
    pub fn file_name(&self) -> &[u8] {
        split_last(&self.0).map_or(&*self.0, |(_folder, name)| name)
    }

    /// The containing folder; `None` at the top.
    pub fn parent(&self) -> Option<Self> {
        let (folder, _name) = split_last(&self.0)?;
        Some(Self(folder.into()))
    }

    /// The components, outermost first.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        components(&self.0)
    }

    /// The same path with another last component.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn with_file_name(&self, name: impl AsRef<[u8]>) -> Result<Self, NameError> {
        match split_last(&self.0) {
            Some((folder, _name)) => Self::parse([folder, name.as_ref()].join(&b'/')),
            None => Self::parse(name),
        }
    }

    /// The first character that could deceive a reader or a terminal: a control
    /// character, a direction override, or an invisible one. U+FFFD for bytes
    /// that are not UTF-8.
    pub fn deceptive(&self) -> Option<char> {
        deceptive::first(&self.0)
    }

    /// A key that is equal for paths which some file system treats as the same:
    /// decomposed, case-folded, without dots and spaces at the ends of names.
    pub(crate) fn collision_key(&self) -> String {
        let text = String::from_utf8_lossy(&self.0);
        // Upper case first: it merges characters that lower case alone keeps
        // apart (`ß` and `SS`, final and medial sigma).
        let folded: String = text.nfd().flat_map(char::to_uppercase).collect();
        let folded: String = folded.to_lowercase().nfd().collect();
        let trimmed = folded
            .split('/')
            .map(|name| name.trim_end_matches(['.', ' ']));
        trimmed.collect::<Vec<_>>().join("/")
    }
}

/// Order and hash are those of the bytes.
impl Borrow<[u8]> for EntryPath {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for EntryPath {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Escapes the path like [`escape_name`](crate::text::escape_name), because an
/// allowed path may still contain invisible characters.
/// [`as_bytes`](EntryPath::as_bytes) returns it unescaped.
impl fmt::Display for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape_name_bytes(&self.0))
    }
}

impl fmt::Debug for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntryPath({self})")
    }
}

/// Why a name from the network must not become a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The path or a component is empty: also a leading, doubled or trailing `/`.
    #[error("name or a part of it is empty, or the path is absolute")]
    Empty,
    /// A component is `.` or `..`.
    #[error("name has a part that is `.` or `..`")]
    Dots,
    /// A character that separates components, ends a string, or has a special
    /// meaning on the system.
    #[error("name contains {found:?}, which the system does not allow in names")]
    Separator {
        /// The character.
        found: char,
    },
    /// A control character, a direction override, or an invisible one.
    #[error("name contains {found:?}, which could deceive a reader or a terminal")]
    Deceptive {
        /// The character.
        found: char,
    },
    /// The system requires Unicode names, and this one is not UTF-8.
    #[error("name is not UTF-8")]
    NotUnicode,
    /// A device name such as `CON`, `NUL` or `COM1`, with any extension.
    #[error("name is that of a device on the system")]
    Device,
    /// It ends in a dot or a space, which the system would remove.
    #[error("name ends in a dot or a space")]
    Edge,
    /// It looks like one of this project's temporary files.
    #[error("name is reserved for unfinished transfers")]
    Reserved,
    /// The target of a link is absolute, or leads out of the folder.
    #[error("symbolic link leads out of the folder")]
    LeadsOut,
    /// The link target has `..` after a name, which may itself be a link.
    #[error("symbolic link has `..` after a name")]
    UpAfterName,
    /// A component is too long.
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
    /// Too many nested folders.
    #[error("path is {depth} folders deep, limit is {limit}")]
    TooDeep {
        /// How deep it is.
        depth: usize,
        /// The limit.
        limit: usize,
    },
}

/// Prefix of the temporary files of an unfinished transfer.
pub const TEMPORARY_PREFIX: &str = ".sockkit-";

fn check_component(component: &[u8]) -> Result<(), NameError> {
    if component.is_empty() {
        return Err(NameError::Empty);
    }
    if matches!(component, b"." | b"..") {
        return Err(NameError::Dots);
    }
    if component.len() > MAX_COMPONENT_BYTES {
        return Err(NameError::ComponentTooLong {
            bytes: component.len(),
            limit: MAX_COMPONENT_BYTES,
        });
    }
    if component.contains(&0) {
        return Err(NameError::Separator { found: '\0' });
    }
    let prefix = component.get(..TEMPORARY_PREFIX.len());
    if prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(TEMPORARY_PREFIX.as_bytes())) {
        return Err(NameError::Reserved);
    }
    Ok(())
}

fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/')
}

/// Splits it into the folder and the name in it; `None` without a separator.
pub(crate) fn split_last(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = path.iter().rposition(|&byte| byte == b'/')?;
    let (folder, name) = path.split_at(at);
    Some((folder, name.get(1..).unwrap_or_default()))
}

/// 255 UTF-16 units, the limit on Windows, take at most this many bytes in
/// UTF-8.
const MAX_COMPONENT_BYTES: usize = 765;
const MAX_PATH_BYTES: usize = 4_095;
const MAX_DEPTH: usize = 64;
