//! Goes through an offer before anything is written: limits, names, collisions.

use std::collections::{HashMap, HashSet};

use super::{
    error::{MessageKind, SessionError},
    message,
};
use crate::file::{
    Entry, EntryKind, EntryPath, Integrity, LinkTarget, Manifest, NameError, NameRules,
    RefuseReason, name::split_last,
};

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

    /// Files, folders and links in one offer. Default: 100,000.
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

/// What the rules say to one entry.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reviewed {
    /// It may be written there.
    Allowed(EntryPath),
    /// It may be written there by a file system that keeps its name apart from that of
    /// an earlier entry, or of a folder around one. Others would take it for that entry.
    Twin(EntryPath),
    /// Its name is refused.
    BadName(NameError),
    /// It is a link whose target is refused.
    BadTarget(NameError),
    /// Its kind is not known.
    UnknownKind,
    /// An earlier entry has its name, or an earlier file or link that of its folder.
    Collision,
    /// The receiver does not want it.
    Unwanted,
}

impl Reviewed {
    /// The path, or what to answer.
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

    /// Whether some file systems would take it for an earlier entry, and so only some
    /// can have it.
    pub fn is_twin(&self) -> bool {
        matches!(self, Self::Twin(_))
    }
}

/// Judges each entry by its name, on a system with such `rules`, and by the entries
/// before it.
pub fn review(manifest: &Manifest, rules: NameRules) -> Vec<Reviewed> {
    let mut seen = Seen::default();
    let entries = manifest.entries.iter();
    entries
        .map(|entry| match judge(entry, rules) {
            Ok(path) => match seen.place(&path, &entry.kind) {
                Place::Free => Reviewed::Allowed(path),
                Place::Twin => Reviewed::Twin(path),
                Place::Taken => Reviewed::Collision,
            },
            Err(reviewed) => reviewed,
        })
        .collect()
}

/// By itself alone.
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
    /// Where names are compared byte by byte.
    Twin,
    Taken,
}

/// The paths of earlier entries, and the folders that they lead through.
#[derive(Default)]
struct Seen {
    folders: HashMap<EntryPath, Place>,
    /// Files and links.
    leaves: HashSet<EntryPath>,
    /// By the key that confused names share, the spelling that came first.
    spellings: HashMap<String, EntryPath>,
}

impl Seen {
    fn place(&mut self, path: &EntryPath, kind: &EntryKind) -> Place {
        if *kind == EntryKind::Folder {
            return self.folder(path);
        }
        // The common case, thousands of files in one folder, costs one look-up.
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

    /// A folder may be named again.
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

    /// What is in a twin takes no place from anything: where names are confused, it is
    /// refused with it.
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
