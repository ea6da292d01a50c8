//! Sends from whatever can be read.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use crate::{FailReason, FileSet, Manifest, store::OpenFileSet};

/// Gives the files of an offer. [`FileSet`] is one, for files on a disk.
///
/// # Threads
/// All calls of one transfer, and those to the files, come from one thread on which
/// blocking is fine, tokio's [`spawn_blocking`](tokio::task::spawn_blocking), one after
/// the other: while a call takes its time, the receiver waits.
///
/// ```
/// # mod sockkit { pub use ::sockkit_file as file; }
/// use std::io::Cursor;
///
/// use sockkit::file::{Entry, FailReason, FileSource, Manifest, SourceFile};
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
///     fn open(&mut self, entry: u32) -> Result<Box<dyn SourceFile>, FailReason> {
///         Ok(Box::new(Cursor::new(self.contents[entry as usize].clone())))
///     }
/// }
/// ```
pub trait FileSource: Send + 'static {
    /// What is offered. It does not change.
    fn manifest(&self) -> &Manifest;

    /// Opens a file of the manifest, at its beginning. Called once for each that the
    /// receiver takes, in their order.
    ///
    /// # Errors
    /// Why it cannot be sent. The others are.
    fn open(&mut self, entry: u32) -> Result<Box<dyn SourceFile>, FailReason>;
}

/// An open file that is being sent. It is as long as the manifest says, or fails as
/// changed.
pub trait SourceFile: Read + Seek {
    /// Whether the bytes that were read are still the file's: asked when all have been
    /// read, before the receiver may keep them. Default: yes.
    fn is_unchanged(&self) -> bool {
        true
    }
}

impl<T: AsRef<[u8]>> SourceFile for Cursor<T> {}

impl FileSource for FileSet {
    fn manifest(&self) -> &Manifest {
        self.manifest()
    }

    fn open(&mut self, entry: u32) -> Result<Box<dyn SourceFile>, FailReason> {
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
        self.0.is_unchanged()
    }
}
