//! Checks an offer before anything is written: limits, names, collisions.

use std::collections::{HashMap, HashSet};

use super::{
    error::{MessageKind, SessionError},
    message,
};
use crate::file::{
    Entry, EntryKind, EntryPath, Integrity, LinkTarget, Manifest, NameError, NameRules,
    RefuseReason, name::split_last,
};

/// Limits of a receiver, which a peer cannot change.
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
    /// Maximum length of an offer on the wire, as set by
    /// [`max_manifest_bytes`](Self::max_manifest_bytes).
    pub fn offer_bytes(&self) -> u64 {
        self.max_manifest_bytes
    }

    /// Maximum number of files, folders and links in an offer. Default:
    /// 100,000.
    ///
    /// A folder that is only part of another entry's path counts, too.
    ///
    /// Each entry costs the receiver about 200 bytes of memory.
    pub fn max_entries(mut self, max_entries: usize) -> Self {
        self.max_entries = max_entries;
        self
    }

    /// Maximum total size of all files, in bytes. Default: 1 TiB.
    pub fn max_total_bytes(mut self, max_total_bytes: u64) -> Self {
        self.max_total_bytes = max_total_bytes;
        self
    }

    /// Maximum length of the offer itself, in bytes. Default: 16 MiB.
    ///
    /// A folder that is not listed counts as if it were.
    pub fn max_manifest_bytes(mut self, max_manifest_bytes: u64) -> Self {
        self.max_manifest_bytes = max_manifest_bytes;
        self
    }

    /// Minimum integrity to accept. Default: [`Integrity::Blake3`].
    pub fn integrity(mut self, integrity: Integrity) -> Self {
        self.integrity = integrity;
        self
    }

    /// Checks an offer that did not arrive through a session.
    ///
    /// # Errors
    /// [`SessionError`] if the offer exceeds a limit.
    pub fn check(&self, manifest: &Manifest) -> Result<(), SessionError> {
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

    /// Counts what would have to be created, and stops at the limit: a short
    /// offer can contain paths through many folders.
    fn check_entries(&self, manifest: &Manifest) -> Result<(), SessionError> {
        let mut announced = manifest.entries.len();
        let mut implied_bytes = 0;
        let mut folders = HashSet::new();
        for entry in &manifest.entries {
            let mut path = entry.path.as_bytes();
            if entry.kind == EntryKind::Folder {
                folders.insert(path);
            }
            while let Some((folder, _name)) = split_last(path)
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

/// Result of checking one entry.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reviewed {
    /// It may be written at this path.
    Allowed(EntryPath),
    /// It may be written at this path if the file system distinguishes its name from
    /// that of an earlier entry or its folder. Other file systems would confuse them.
    Twin(EntryPath),
    /// Its name is refused.
    BadName(NameError),
    /// It is a link whose target is refused.
    BadTarget(NameError),
    /// Its kind is unknown.
    UnknownKind,
    /// It collides with an earlier entry, or its folder collides with an
    /// earlier file or link.
    Collision,
    /// The receiver does not want it.
    Unwanted,
}

impl Reviewed {
    /// Returns the path, or the reason to send to the peer.
    ///
    /// # Errors
    /// The reason for the peer.
    pub fn path(&self) -> Result<&EntryPath, RefuseReason> {
        match self {
            Self::Allowed(path) | Self::Twin(path) => Ok(path),
            Self::BadName(_) => Err(RefuseReason::Name),
            Self::BadTarget(_) => Err(RefuseReason::Target),
            Self::UnknownKind => Err(RefuseReason::Kind),
            Self::Collision => Err(RefuseReason::Collision),
            Self::Unwanted => Err(RefuseReason::Unwanted),
        }
    }

    /// Whether some file systems would treat it as an earlier entry, so that
    /// only some can store it.
    pub fn is_twin(&self) -> bool {
        matches!(self, Self::Twin(_))
    }
}

/// Checks each entry against the naming rules of a system, and against the
/// entries before it. Names that Windows or macOS confuses collide under the rules of
/// either, unless that is the system this runs on: then its file system decides.
pub fn review(manifest: &Manifest, rules: NameRules) -> Vec<Reviewed> {
    let mut seen = Seen::default();
    let is_simulated = rules != NameRules::native() && rules != NameRules::Unix;
    let entries = manifest.entries.iter();
    entries
        .map(|entry| match judge(entry, rules) {
            Ok(path) => match seen.place(&path, &entry.kind) {
                Place::Free => Reviewed::Allowed(path),
                // Whether the file system here tells the names apart says nothing about
                // that of another system.
                Place::Twin if is_simulated => Reviewed::Collision,
                Place::Twin => Reviewed::Twin(path),
                Place::Taken => Reviewed::Collision,
            },
            Err(reviewed) => reviewed,
        })
        .collect()
}

/// Checks an entry on its own.
fn judge(entry: &Entry, rules: NameRules) -> Result<EntryPath, Reviewed> {
    let path = EntryPath::parse(entry.path.as_bytes()).map_err(Reviewed::BadName)?;
    rules.check(&path).map_err(Reviewed::BadName)?;
    match &entry.kind {
        EntryKind::File | EntryKind::Folder => {}
        EntryKind::Link { target } => {
            let target = LinkTarget::parse(&path, target.as_bytes());
            target
                .and_then(|target| rules.check_target(&target))
                .map_err(Reviewed::BadTarget)?;
        }
        EntryKind::Other(_) => return Err(Reviewed::UnknownKind),
    }
    Ok(path)
}

/// Whether a path is still free.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Place {
    Free,
    /// Free on file systems that compare names byte by byte.
    Twin,
    Taken,
}

/// The paths of earlier entries, and the folders in them.
#[derive(Default)]
struct Seen {
    folders: HashMap<EntryPath, Place>,
    /// Files and links.
    leaves: HashSet<EntryPath>,
    /// The first spelling of each name, by collision key.
    spellings: HashMap<String, EntryPath>,
}

impl Seen {
    fn place(&mut self, path: &EntryPath, kind: &EntryKind) -> Place {
        if *kind == EntryKind::Folder {
            return self.folder(path);
        }
        // In the common case, thousands of files in one folder, this costs one
        // lookup.
        let around = path
            .parent()
            .map_or(Place::Free, |parent| self.folder(&parent));
        if around == Place::Taken
            || self.folders.contains_key(path)
            || !self.leaves.insert(path.clone())
        {
            return Place::Taken;
        }
        self.spelling(path, around)
    }

    /// A folder may be listed again.
    fn folder(&mut self, folder: &EntryPath) -> Place {
        if let Some(place) = self.folders.get(folder) {
            return *place;
        }
        let around = folder
            .parent()
            .map_or(Place::Free, |parent| self.folder(&parent));
        if around == Place::Taken || self.leaves.contains(folder) {
            return Place::Taken;
        }
        let place = self.spelling(folder, around);
        self.folders.insert(folder.clone(), place);
        place
    }

    /// An entry inside a twin collides with nothing: on file systems that
    /// confuse the names, it is refused together with the twin.
    fn spelling(&mut self, path: &EntryPath, around: Place) -> Place {
        if around == Place::Twin {
            return around;
        }
        let first = self.spellings.entry(path.collision_key());
        match *first.or_insert_with(|| path.clone()) == *path {
            true => Place::Free,
            false => Place::Twin,
        }
    }
}
