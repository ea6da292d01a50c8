//! Goes through an offer before anything is written: limits, names, collisions.

use std::collections::{HashMap, HashSet};

use super::{
    error::{MessageKind, SessionError},
    message,
};
use crate::file::{EntryKind, EntryPath, Integrity, Manifest, NameError, RefuseReason};

/// What a receiver takes at most. A peer cannot change any of it.
#[derive(Clone, Debug)]
#[must_use = "limits do nothing until a receiver is given them"]
pub struct Limits {
    pub(crate) max_entries: usize,
    pub(crate) max_total_bytes: u64,
    pub(crate) max_manifest_bytes: u64,
    pub(crate) integrity: Integrity,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_entries: 100_000,
            max_total_bytes: 1 << 40,
            max_manifest_bytes: 16 << 20,
            integrity: Integrity::Blake3,
        }
    }
}

impl Limits {
    /// How long an offer may be on the wire: what
    /// [`max_manifest_bytes`](Self::max_manifest_bytes) was set to.
    pub fn offer_bytes(&self) -> u64 {
        self.max_manifest_bytes
    }

    /// Files and folders in one offer. Default: 100,000.
    ///
    /// A folder that no entry is, but that a path leads through, counts too.
    ///
    /// Each costs the receiver about 200 bytes of memory.
    pub fn max_entries(mut self, max_entries: usize) -> Self {
        self.max_entries = max_entries;
        self
    }

    /// Bytes of all files together. Default: 1 TiB.
    pub fn max_total_bytes(mut self, max_total_bytes: u64) -> Self {
        self.max_total_bytes = max_total_bytes;
        self
    }

    /// Length of the offer itself, in bytes. Default: 16 MiB.
    ///
    /// A folder that is not listed counts as if it were.
    pub fn max_manifest_bytes(mut self, max_manifest_bytes: u64) -> Self {
        self.max_manifest_bytes = max_manifest_bytes;
        self
    }

    /// The least that is accepted. Default: [`Integrity::Blake3`].
    pub fn integrity(mut self, integrity: Integrity) -> Self {
        self.integrity = integrity;
        self
    }

    /// # Errors
    /// The limit that the offer breaks.
    pub(crate) fn check(&self, manifest: &Manifest) -> Result<(), SessionError> {
        self.check_entries(manifest)?;
        let total = manifest.total_bytes();
        if total > self.max_total_bytes {
            return Err(SessionError::TooManyBytes {
                announced: total,
                limit: self.max_total_bytes,
            });
        }
        if manifest.integrity == Integrity::Unverified && self.integrity == Integrity::Blake3 {
            return Err(SessionError::Unverified);
        }
        Ok(())
    }

    /// Counts what would have to be made, and stops at the limit: few bytes of
    /// offer can lead through many folders.
    fn check_entries(&self, manifest: &Manifest) -> Result<(), SessionError> {
        let mut announced = manifest.entries.len();
        let mut implied_bytes = 0;
        let mut folders = HashSet::new();
        for entry in &manifest.entries {
            if entry.kind == EntryKind::Folder {
                folders.insert(entry.path.as_str());
            }
            let mut path = entry.path.as_str();
            while let Some((folder, _name)) = path.rsplit_once('/')
                && folders.insert(folder)
            {
                announced += 1;
                implied_bytes += message::ENTRY_HEAD_BYTES + folder.len() as u64;
                self.check_counts(announced, implied_bytes)?;
                path = folder;
            }
        }
        self.check_counts(announced, implied_bytes)
    }

    fn check_counts(&self, announced: usize, implied_bytes: u64) -> Result<(), SessionError> {
        if announced > self.max_entries {
            return Err(SessionError::TooManyEntries {
                announced,
                limit: self.max_entries,
            });
        }
        if implied_bytes > self.max_manifest_bytes {
            return Err(SessionError::TooLong {
                kind: MessageKind::Offer,
                announced: implied_bytes,
                limit: self.max_manifest_bytes,
            });
        }
        Ok(())
    }
}

/// What the rules say to one entry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reviewed {
    /// It may be written there.
    Allowed(EntryPath),
    /// Its name is refused.
    BadName(NameError),
    /// Some file system would take it for an earlier entry, or an earlier file
    /// for its folder.
    Collision,
}

impl Reviewed {
    /// The path, or what to answer.
    ///
    /// # Errors
    /// The reason for the peer.
    pub fn path(&self) -> Result<&EntryPath, RefuseReason> {
        match self {
            Self::Allowed(path) => Ok(path),
            Self::BadName(_) => Err(RefuseReason::Name),
            Self::Collision => Err(RefuseReason::Collision),
        }
    }
}

/// Judges each entry by its name and by the entries before it.
pub fn review(manifest: &Manifest) -> Vec<Reviewed> {
    let mut seen = Seen::default();
    manifest
        .entries
        .iter()
        .map(|entry| match EntryPath::parse(&entry.path) {
            Err(error) => Reviewed::BadName(error),
            Ok(path) if seen.admits(&path, entry.kind) => Reviewed::Allowed(path),
            Ok(_) => Reviewed::Collision,
        })
        .collect()
}

/// Folders by key, each with the one spelling that is allowed; files by key.
#[derive(Default)]
struct Seen {
    folders: HashMap<String, EntryPath>,
    files: HashSet<String>,
}

impl Seen {
    fn admits(&mut self, path: &EntryPath, kind: EntryKind) -> bool {
        // The common case, thousands of files in one folder, costs one look-up.
        let parent_fits = path
            .parent()
            .is_none_or(|parent| self.admits_folder(&parent));
        if !parent_fits {
            return false;
        }
        match kind {
            EntryKind::Folder => self.admits_folder(path),
            EntryKind::File => {
                let key = path.collision_key();
                !self.folders.contains_key(&key) && self.files.insert(key)
            }
        }
    }

    /// A folder may be named again, but only in the same spelling.
    fn admits_folder(&mut self, folder: &EntryPath) -> bool {
        let key = folder.collision_key();
        if let Some(spelling) = self.folders.get(&key) {
            return spelling == folder;
        }
        let fits = !self.files.contains(&key)
            && folder
                .parent()
                .is_none_or(|parent| self.admits_folder(&parent));
        if fits {
            self.folders.insert(key, folder.clone());
        }
        fits
    }
}
