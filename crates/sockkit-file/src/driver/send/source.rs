//! Sends from any readable source.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use crate::{EntryIndex, FailReason, FileSet, Manifest, store::OpenFileSet};

/// Provides the files of an offer. Implemented by [`FileSet`] for files on a
/// disk.
///
/// # Threads
/// All calls of one transfer, including those to its files, are made one after
/// another from one blocking thread
/// ([`spawn_blocking`](tokio::task::spawn_blocking)). The receiver waits while
/// a call takes its time.
///
/// ```
/// # mod sockkit { pub use ::sockkit_file as file; }
/// use std::io::Cursor;
///
/// use sockkit::file::{Entry, EntryIndex, FailReason, FileSource, Manifest, SourceFile};
///
/// struct Reports {
///     manifest: Manifest,
///     contents: Vec<String>,
/// }
///
/// impl Reports {
///     fn new(reports: Vec<(&str, String)>) -> Self {
///         let entry = |(name, text): &(&str, String)| Entry::file(*name, text.len() as u64);
///         Self {
///             manifest: Manifest::new(reports.iter().map(entry).collect()),
///             contents: reports.into_iter().map(|(_name, text)| text).collect(),
///         }
///     }
/// }
///
/// impl FileSource for Reports {
///     fn manifest(&self) -> &Manifest {
///         &self.manifest
///     }
///
///     fn open(&mut self, entry: EntryIndex) -> Result<Box<dyn SourceFile>, FailReason> {
///         Ok(Box::new(Cursor::new(self.contents[entry.as_usize()].clone())))
///     }
/// }
/// ```
pub trait FileSource: Send + 'static {
    /// The manifest, which must not change.
    fn manifest(&self) -> &Manifest;

    /// Opens a file of the manifest, at its start. Called once, in order, for
    /// each file that the receiver accepts.
    ///
    /// # Errors
    /// Why the file cannot be sent. The others are still sent.
    fn open(&mut self, entry: EntryIndex) -> Result<Box<dyn SourceFile>, FailReason>;
}

/// An open file that is being sent. It must be as long as announced in the
/// manifest, otherwise it fails as changed.
pub trait SourceFile: Read + Seek {
    /// Whether the data read so far is still that of the file. Called when
    /// everything has been read, before the receiver may keep it. Default: yes.
    fn is_unchanged(&self) -> bool {
        true
    }

    /// Whether nothing happened to the file that could be a change of its bytes, as
    /// another time, a new name or new rights could. If something did, they are read again,
    /// and their digest decides. Default: nothing did.
    fn is_untouched(&self) -> bool {
        true
    }
}

impl<T: AsRef<[u8]>> SourceFile for Cursor<T> {}

impl FileSource for FileSet {
    fn manifest(&self) -> &Manifest {
        self.manifest()
    }

    fn open(&mut self, entry: EntryIndex) -> Result<Box<dyn SourceFile>, FailReason> {
        Ok(Box::new(OpenFile(Self::open(self, entry)?)))
    }
}

/// A file on a disk.
struct OpenFile(OpenFileSet);

impl Read for OpenFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.file.read(buffer)
    }
}

impl Seek for OpenFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.file.seek(to)
    }
}

impl SourceFile for OpenFile {
    fn is_unchanged(&self) -> bool {
        self.0.is_as_long()
    }

    fn is_untouched(&self) -> bool {
        self.0.is_untouched()
    }
}
