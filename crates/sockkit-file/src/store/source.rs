//! What is sent: walks folders, and opens files again when their turn comes.

use std::{
    collections::HashMap,
    fs::{self, File, Metadata},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::folder::{self, Folder, change_time, file_time};
use crate::{Entry, EntryKind, EntryPath, FailReason, FileTime, Integrity, Manifest, NameError};

/// Files and folders to offer.
///
/// Links inside folders are neither followed nor sent; devices, sockets and
/// pipes are not sent. A link that is named itself stands for what it leads to.
#[derive(Debug)]
pub struct Source {
    manifest: Manifest,
    /// For each entry the folder that its path is relative to.
    roots: Vec<Arc<Folder>>,
    skipped: Vec<Skipped>,
}

impl Source {
    /// Lists `paths` and everything below them. Reads the disk: call it where
    /// blocking is fine.
    ///
    /// # Errors
    /// If a named path does not exist or cannot be read, or two of them have
    /// the same name. What is wrong inside a folder is [skipped](Self::skipped).
    /// On Windows, for now, always: [`io::ErrorKind::Unsupported`].
    pub fn gather<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Result<Self, SourceError> {
        let mut source = Self {
            manifest: Manifest::default(),
            roots: Vec::new(),
            skipped: Vec::new(),
        };
        let mut names: HashMap<String, PathBuf> = HashMap::new();
        for path in paths {
            let path = path.as_ref();
            let real = fs::canonicalize(path).map_err(|error| SourceError::Io {
                path: path.to_owned(),
                error,
            })?;
            let (Some(parent), Some(name)) = (real.parent(), real.file_name()) else {
                return Err(SourceError::Nameless { path: real });
            };
            let Some(name) = name.to_str() else {
                return Err(SourceError::NotUnicode { path: real });
            };
            if let Some(first) = names.insert(name.to_owned(), real.clone()) {
                return Err(SourceError::SameName {
                    first,
                    second: real,
                });
            }
            let root = Folder::open(parent).map_err(|error| SourceError::Io {
                path: parent.to_owned(),
                error,
            })?;
            source.add(&Arc::new(root), &real, name);
        }
        Ok(source)
    }

    /// Whether blocks and files carry digests. Default: they do.
    #[must_use]
    pub fn integrity(mut self, integrity: Integrity) -> Self {
        self.manifest.integrity = integrity;
        self
    }

    /// What will be offered.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What was found and will not be offered.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Opens an entry and makes sure that it is still what was offered.
    pub(crate) fn open(&self, entry: u32) -> Result<OpenSource, FailReason> {
        let index = entry as usize;
        let (Some(root), Some(entry)) = (self.roots.get(index), self.manifest.entries.get(index))
        else {
            return Err(FailReason::Vanished);
        };
        let path = EntryPath::parse(&entry.path).map_err(|_renamed| FailReason::Vanished)?;
        let file = root
            .open_file_below(&path)
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => FailReason::Vanished,
                _ => {
                    // The peer is told no more than that.
                    tracing::warn!(%path, %error, "cannot read a file");
                    FailReason::Unreadable
                }
            })?;
        let metadata = file.metadata().map_err(|_io| FailReason::Unreadable)?;
        if metadata.len() != entry.size_bytes || file_time(&metadata) != entry.modified {
            return Err(FailReason::Changed);
        }
        let stamp = stamp(&metadata);
        Ok(OpenSource { file, stamp })
    }

    fn add(&mut self, root: &Arc<Folder>, real: &Path, path: &str) {
        let mut skip = |reason| {
            self.skipped.push(Skipped {
                path: real.to_owned(),
                reason,
            });
        };
        let metadata = match fs::symlink_metadata(real) {
            Ok(metadata) => metadata,
            Err(error) => return skip(SkipReason::Io(error.kind())),
        };
        if let Err(error) = EntryPath::parse(path) {
            return skip(SkipReason::Name(error));
        }
        let kind = match metadata.file_type() {
            kind if kind.is_file() => EntryKind::File,
            kind if kind.is_dir() => EntryKind::Folder,
            kind if kind.is_symlink() => return skip(SkipReason::Link),
            _ => return skip(SkipReason::Special),
        };
        let is_file = kind == EntryKind::File;
        self.roots.push(Arc::clone(root));
        self.manifest.entries.push(Entry {
            path: path.to_owned(),
            kind,
            size_bytes: if is_file { metadata.len() } else { 0 },
            modified: file_time(&metadata),
            executable: is_file && folder::is_executable(&metadata),
            is_private: folder::is_for_owner(&metadata),
        });
        if kind == EntryKind::Folder {
            self.add_folder(root, real, path);
        }
    }

    /// Sorted, so that the same folder is always offered in the same order.
    fn add_folder(&mut self, root: &Arc<Folder>, real: &Path, path: &str) {
        let listed = fs::read_dir(real).and_then(|found| {
            let names = found.map(|entry| Ok(entry?.file_name()));
            names.collect::<io::Result<Vec<_>>>()
        });
        let mut names = match listed {
            Ok(names) => names,
            Err(error) => {
                return self.skipped.push(Skipped {
                    path: real.to_owned(),
                    reason: SkipReason::Io(error.kind()),
                });
            }
        };
        names.sort_unstable();
        for name in names {
            let below = real.join(&name);
            match name.to_str() {
                Some(name) => self.add(root, &below, &format!("{path}/{name}")),
                None => self.skipped.push(Skipped {
                    path: below,
                    reason: SkipReason::NotUnicode,
                }),
            }
        }
    }
}

/// Something that was found and is not offered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Skipped {
    /// Where it is.
    pub path: PathBuf,
    /// Why.
    pub reason: SkipReason,
}

/// Why something is not offered.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SkipReason {
    /// Links are not sent.
    #[error("symbolic links are not sent")]
    Link,
    /// Neither a file nor a folder.
    #[error("neither a file nor a folder")]
    Special,
    /// No receiver would take the name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The name is not Unicode.
    #[error("name is not Unicode")]
    NotUnicode,
    /// It could not be looked at.
    #[error("{0}")]
    Io(io::ErrorKind),
}

/// Why the paths to send cannot be offered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// A named path does not exist or cannot be read.
    #[error("cannot read {}", shown(path))]
    Io {
        /// The path.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// The root of the file system has no name to send.
    #[error("{} has no name: name what is in it", shown(path))]
    Nameless {
        /// The path.
        path: PathBuf,
    },
    /// A name that is not Unicode cannot be sent.
    #[error("the name of {} is not Unicode: rename it", shown(path))]
    NotUnicode {
        /// The path.
        path: PathBuf,
    },
    /// They would become one at the receiver.
    #[error(
        "{} and {} have the same name: send them apart",
        shown(first),
        shown(second)
    )]
    SameName {
        /// One of them.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
}

/// The user gives the path, but another may have made the name: `send *`.
fn shown(path: &Path) -> String {
    crate::escape_name(&path.to_string_lossy())
}

/// A file as it was when it was opened.
#[derive(Debug)]
pub(crate) struct OpenSource {
    pub(crate) file: File,
    stamp: Stamp,
}

impl OpenSource {
    /// Whether anybody wrote to it since.
    pub(crate) fn is_unchanged(&self) -> bool {
        self.file
            .metadata()
            .is_ok_and(|metadata| stamp(&metadata) == self.stamp)
    }
}

/// Size, and the times of the last change to contents and inode.
type Stamp = (u64, FileTime, (i64, i64));

fn stamp(metadata: &Metadata) -> Stamp {
    (metadata.len(), file_time(metadata), change_time(metadata))
}
