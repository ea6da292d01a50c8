//! Files to send: walks folders, and opens each file when its turn comes.

use std::{
    collections::HashMap,
    fs::{self, File, Metadata},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::folder::{self, Folder, change_time, file_time};
use crate::{
    Entry, EntryIndex, EntryKind, EntryPath, FailReason, FileTime, Integrity, LeftOut,
    LeftOutReason, LinkTarget, Manifest, NameError,
};

/// Files and folders to offer.
///
/// Links inside a folder are sent as links, unless they are absolute or lead
/// out of that folder; none is followed. A link that is named itself is sent as
/// its target, under its own name. Devices, sockets and pipes are not sent.
#[derive(Debug)]
pub struct FileSet {
    manifest: Manifest,
    /// Where each entry was found.
    roots: Vec<Arc<Root>>,
    skipped: Vec<Skipped>,
}

/// A path named by the user.
#[derive(Debug)]
struct Root {
    /// The folder that contains it.
    folder: Folder,
    /// Its name in that folder, and in the offer.
    real: Vec<u8>,
    offered: Vec<u8>,
}

impl Root {
    /// The path of an entry, relative to the folder.
    fn real_path(&self, entry: &Entry) -> Option<EntryPath> {
        let below = entry.path.as_bytes().strip_prefix(&*self.offered)?;
        EntryPath::parse([&self.real, below].concat()).ok()
    }
}

impl FileSet {
    /// Lists `paths` and everything below them. Call it from a blocking thread,
    /// because it reads the disk.
    ///
    /// # Errors
    /// If a named path does not exist or cannot be read, or two of them have
    /// the same name. Problems inside a folder are [skipped](Self::skipped).
    pub fn gather<P: AsRef<Path>>(
        paths: impl IntoIterator<Item = P>,
    ) -> Result<Self, FileSetError> {
        let mut source = Self {
            manifest: Manifest::default(),
            roots: Vec::new(),
            skipped: Vec::new(),
        };
        let mut names: HashMap<Vec<u8>, PathBuf> = HashMap::new();
        for path in paths {
            let path = path.as_ref();
            let failed = |path: &Path, error| FileSetError::Io {
                path: path.to_owned(),
                error,
            };
            let found = fs::canonicalize(path).map_err(|error| failed(path, error))?;
            let (Some(parent), Some(real)) = (found.parent(), found.file_name()) else {
                return Err(FileSetError::Nameless { path: found });
            };
            // `.` and `..` are offered under their real names.
            let offered = path.file_name().unwrap_or(real);
            let (Some(real), Some(offered)) = (folder::bytes_of(real), folder::bytes_of(offered))
            else {
                return Err(FileSetError::NotUnicode { path: found });
            };
            if let Some(first) = names.insert(offered.to_owned(), path.to_owned()) {
                return Err(FileSetError::SameName {
                    first,
                    second: path.to_owned(),
                });
            }
            let root = Root {
                folder: Folder::open(parent).map_err(|error| failed(parent, error))?,
                real: real.to_owned(),
                offered: offered.to_owned(),
            };
            source.add(&Arc::new(root), &found, offered);
        }
        Ok(source)
    }

    /// Whether blocks and files carry digests. Default: yes.
    #[must_use]
    pub fn integrity(mut self, integrity: Integrity) -> Self {
        self.manifest.integrity = integrity;
        self
    }

    /// The manifest to offer.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What was found but will not be offered.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Opens an entry and checks that neither its size nor its time has changed since it
    /// was offered.
    #[cfg(any(feature = "group", feature = "web"))]
    pub(crate) fn open_unchanged(&self, entry: EntryIndex) -> Result<OpenFileSet, FailReason> {
        let opened = self.open(entry)?;
        let offered = self.manifest.entry(entry).map(|entry| entry.modified);
        match offered == Some(opened.stamp.modified) {
            true => Ok(opened),
            false => Err(FailReason::Changed),
        }
    }

    /// Opens an entry and checks that it is as long as it was offered. Its time may have
    /// changed: what is sent is what is there now.
    pub(crate) fn open(&self, entry: EntryIndex) -> Result<OpenFileSet, FailReason> {
        let index = entry.as_usize();
        let (Some(root), Some(entry)) = (self.roots.get(index), self.manifest.entries.get(index))
        else {
            return Err(FailReason::Vanished);
        };
        let path = root.real_path(entry).ok_or(FailReason::Vanished)?;
        let file = root
            .folder
            .open_file_below(&path)
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => FailReason::Vanished,
                _ => {
                    // The peer gets no further details.
                    tracing::warn!(%path, %error, "cannot read a file");
                    FailReason::Unreadable
                }
            })?;
        let metadata = file.metadata().map_err(|_io| FailReason::Unreadable)?;
        if metadata.len() != entry.size_bytes {
            return Err(FailReason::Changed);
        }
        let stamp = Stamp::of(&file, &metadata).map_err(|_io| FailReason::Unreadable)?;
        Ok(OpenFileSet { file, stamp })
    }

    fn add(&mut self, root: &Arc<Root>, real: &Path, path: &[u8]) {
        match offered(real, path) {
            Ok(entry) => {
                let is_folder = entry.kind == EntryKind::Folder;
                self.roots.push(Arc::clone(root));
                self.manifest.entries.push(entry);
                if is_folder {
                    self.add_folder(root, real, path);
                }
            }
            Err(reason) => self.skip(real, path, reason),
        }
    }

    /// `offered` is the path that it would have had.
    fn skip(&mut self, path: &Path, offered: &[u8], reason: SkipReason) {
        if let Some(code) = reason.for_receiver() {
            self.manifest.left_out += 1;
            let left_out = LeftOut::new(offered, code);
            self.manifest.left_out_entries.push(left_out);
        }
        self.skipped.push(Skipped {
            path: path.to_owned(),
            reason,
        });
    }

    /// Sorted, so that a folder is always offered in the same order.
    fn add_folder(&mut self, root: &Arc<Root>, real: &Path, path: &[u8]) {
        let listed = fs::read_dir(real).and_then(|found| {
            let names = found.map(|entry| Ok(entry?.file_name()));
            names.collect::<io::Result<Vec<_>>>()
        });
        let mut names = match listed {
            Ok(names) => names,
            Err(error) => return self.skip(real, path, SkipReason::Io(error.kind())),
        };
        names.sort_unstable();
        for name in names {
            let below = real.join(&name);
            match folder::bytes_of(&name) {
                Some(name) => self.add(root, &below, &[path, name].join(&b'/')),
                None => {
                    let shown = [path, name.to_string_lossy().as_bytes()].join(&b'/');
                    self.skip(&below, &shown, SkipReason::NotUnicode);
                }
            }
        }
    }
}

/// The entry for the file at `real`, offered under `path`.
fn offered(real: &Path, path: &[u8]) -> Result<Entry, SkipReason> {
    let failed = |error: io::Error| SkipReason::Io(error.kind());
    let metadata = fs::symlink_metadata(real).map_err(failed)?;
    let allowed = EntryPath::parse(path)?;
    let kind = metadata.file_type();
    let mut entry = if kind.is_file() {
        Entry::file(path, metadata.len())
    } else if kind.is_dir() {
        Entry::folder(path)
    } else if kind.is_symlink() {
        let target = fs::read_link(real).map_err(failed)?;
        let target = folder::target_of(&target).ok_or(SkipReason::NotUnicode)?;
        let parsed = LinkTarget::parse(&allowed, &target).map_err(SkipReason::Link)?;
        // The named folder is the outermost.
        if parsed.folders_left(&allowed).unwrap_or(0) == 0 {
            return Err(SkipReason::Link(NameError::LeadsOut));
        }
        Entry::link(path, target)
    } else {
        return Err(SkipReason::Special);
    };
    entry.modified = file_time(&metadata);
    if !kind.is_symlink() {
        entry.mode = folder::permissions(&metadata);
        entry.is_private = folder::is_for_owner(&metadata);
    }
    Ok(entry)
}

/// Something that was found but is not offered.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Skipped {
    /// Its path.
    pub path: PathBuf,
    /// The reason.
    pub reason: SkipReason,
}

/// Why something is not offered.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SkipReason {
    /// A link that no receiver would create.
    #[error("{0}")]
    Link(NameError),
    /// A device, a socket or a pipe.
    #[error("neither a file nor a folder")]
    Special,
    /// No receiver would accept the name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The name, or the target of the link, is not Unicode; on Windows only.
    #[error("name is not Unicode")]
    NotUnicode,
    /// Its metadata could not be read.
    #[error("{0}")]
    Io(io::ErrorKind),
}

impl SkipReason {
    /// Whether the receiver misses something; not if there is nothing to send,
    /// as with a socket, or with the leftovers of an unfinished transfer.
    pub fn is_loss(&self) -> bool {
        self.for_receiver().is_some()
    }

    fn for_receiver(self) -> Option<LeftOutReason> {
        match self {
            Self::Special | Self::Name(NameError::Reserved) => None,
            Self::Link(_) => Some(LeftOutReason::Link),
            Self::Name(_) => Some(LeftOutReason::Name),
            Self::NotUnicode => Some(LeftOutReason::NotUnicode),
            Self::Io(_) => Some(LeftOutReason::Unreadable),
        }
    }
}

/// Error from gathering the paths to send.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileSetError {
    /// A named path does not exist or cannot be read.
    #[error("cannot read {}", escape_path(path))]
    Io {
        /// The path.
        path: PathBuf,
        /// Error from the operating system.
        #[source]
        error: io::Error,
    },
    /// The root of the file system has no name to send.
    #[error("{} has no name: send what is in it", escape_path(path))]
    Nameless {
        /// The path.
        path: PathBuf,
    },
    /// A name that is not Unicode cannot be sent from Windows.
    #[error("the name of {} is not Unicode: rename it", escape_path(path))]
    NotUnicode {
        /// The path.
        path: PathBuf,
    },
    /// They would become one at the receiver.
    #[error(
        "{} and {} have the same name: send them separately",
        escape_path(first),
        escape_path(second)
    )]
    SameName {
        /// One of them.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
}

/// Escapes a local path: the user types it, but another user may have created
/// the name (`send *`).
pub fn escape_path(path: &Path) -> String {
    // There a backslash is in no name, but between two.
    if cfg!(windows) {
        let path = path.to_string_lossy();
        let names: Vec<_> = path.split('\\').map(crate::escape_name).collect();
        return names.join("\\");
    }
    match folder::bytes_of(path.as_os_str()) {
        Some(bytes) => crate::escape_name_bytes(bytes),
        None => crate::escape_name(&path.to_string_lossy()),
    }
}

/// An open file, and its metadata at that time.
#[derive(Debug)]
pub(crate) struct OpenFileSet {
    pub(crate) file: File,
    stamp: Stamp,
}

impl OpenFileSet {
    /// Reads at `offset`.
    #[cfg(feature = "web")]
    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        use folder::FileExt as _;

        self.file.read_at(buffer, offset)
    }

    /// Whether its size and the time of its last change are what they were.
    #[cfg(feature = "web")]
    pub(crate) fn is_unchanged(&self) -> bool {
        self.is_still(|now, then| {
            (now.size_bytes, now.modified) == (then.size_bytes, then.modified)
        })
    }

    /// Whether its size is what it was.
    pub(crate) fn is_as_long(&self) -> bool {
        self.is_still(|now, then| now.size_bytes == then.size_bytes)
    }

    /// Whether the times of its contents and of its inode are what they were: a change of
    /// the bytes, of rights, of a name, or of the times themselves shows there.
    pub(crate) fn is_untouched(&self) -> bool {
        self.is_still(|now, then| (now.modified, now.inode) == (then.modified, then.inode))
    }

    fn is_still(&self, same: impl Fn(&Stamp, &Stamp) -> bool) -> bool {
        let now = self.file.metadata();
        let now = now.and_then(|now| Stamp::of(&self.file, &now));
        now.is_ok_and(|now| same(&now, &self.stamp))
    }
}

/// What tells of changes.
#[derive(Clone, Copy, Debug)]
struct Stamp {
    size_bytes: u64,
    modified: FileTime,
    inode: (i64, i64),
}

impl Stamp {
    fn of(file: &File, metadata: &Metadata) -> io::Result<Self> {
        Ok(Self {
            size_bytes: metadata.len(),
            modified: file_time(metadata),
            inode: change_time(file, metadata)?,
        })
    }
}
