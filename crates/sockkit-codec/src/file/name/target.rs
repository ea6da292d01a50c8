//! Checks the target of a symbolic link before the link is created.

use std::fmt;

use super::{EntryPath, NameError, check_component, components};
use crate::text::escape_name_bytes;

/// The target of a symbolic link: relative, and inside the folder that the
/// link's own path is relative to.
///
/// `..` is allowed at the beginning only. After a name it could lead anywhere,
/// because that name may be another link.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LinkTarget(Box<[u8]>);

impl LinkTarget {
    /// Checks where a link at `link` would lead.
    ///
    /// # Errors
    /// The first [`NameError`] that applies.
    pub fn parse(link: &EntryPath, target: impl AsRef<[u8]>) -> Result<Self, NameError> {
        let target = target.as_ref();
        if target.len() > super::MAX_PATH_BYTES {
            return Err(NameError::PathTooLong {
                bytes: target.len(),
                limit: super::MAX_PATH_BYTES,
            });
        }
        match target.first() {
            None => return Err(NameError::Empty),
            Some(b'/') => return Err(NameError::LeadsOut),
            Some(_) => {}
        }
        let mut named = false;
        for component in components(target) {
            match component {
                b"" | b"." => {}
                b".." if named => return Err(NameError::UpAfterName),
                b".." => {}
                name => {
                    check_component(name)?;
                    named = true;
                }
            }
        }
        let target = Self(target.into());
        match target.folders_left(link) {
            Some(_) => Ok(target),
            None => Err(NameError::LeadsOut),
        }
    }

    /// The target, as written into the link.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// How many of the folders around `link` it stays in; `None` if it leaves
    /// all of them.
    pub fn folders_left(&self, link: &EntryPath) -> Option<usize> {
        let folders = link.components().count() - 1;
        let up = components(&self.0).filter(|component| *component == b"..");
        folders.checked_sub(up.count())
    }

    /// Its components.
    pub(super) fn names(&self) -> impl Iterator<Item = &[u8]> {
        components(&self.0).filter(|component| !matches!(*component, b"" | b"." | b".."))
    }
}

impl fmt::Display for LinkTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape_name_bytes(&self.0))
    }
}
