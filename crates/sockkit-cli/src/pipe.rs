//! Standard input as a file to send, and standard output as the place of a file that
//! arrives.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
};

use anyhow::{Context, ensure};
use sockkit::file::{
    Digest, Entry, EntryIndex, EntryKind, EntryPath, FailReason, FileSet, FileSink, FileSource,
    Manifest, RefuseReason, SourceFile,
};

use crate::skipped::Skipped;

/// What `send` has to give.
pub(crate) enum Given {
    Files(FileSet),
    Input(Input),
}

impl Given {
    /// What was found and is not sent.
    pub(crate) fn skipped(&self) -> Skipped {
        match self {
            Self::Files(files) => Skipped::of(files),
            Self::Input(_) => Skipped::default(),
        }
    }
}

impl FileSource for Given {
    fn manifest(&self) -> &Manifest {
        match self {
            Self::Files(source) => source.manifest(),
            Self::Input(input) => &input.manifest,
        }
    }

    fn open(&mut self, entry: EntryIndex) -> Result<Box<dyn SourceFile>, FailReason> {
        match self {
            Self::Files(source) => FileSource::open(source, entry),
            Self::Input(input) => match input.file.take() {
                Some(file) => Ok(Box::new(Spooled(file))),
                None => Err(FailReason::Vanished),
            },
        }
    }
}

/// Standard input, kept in a file without a name: an offer says how long a file is, and
/// a pipe does not.
pub(crate) struct Input {
    manifest: Manifest,
    file: Option<File>,
}

impl Input {
    /// Reads standard input to its end, however long that takes.
    ///
    /// # Errors
    /// If the name cannot be a file's, or there is no room for what comes.
    pub(crate) fn read(name: &str) -> anyhow::Result<Self> {
        let path = EntryPath::parse(name).context("--name cannot be the name of a file")?;
        ensure!(path.parent().is_none(), "--name names one file, not a path");
        let spooled = || -> io::Result<(File, u64)> {
            let mut file = tempfile::tempfile()?;
            let bytes = io::copy(&mut io::stdin().lock(), &mut file)?;
            file.rewind()?;
            Ok((file, bytes))
        };
        let (file, bytes) = spooled().context("cannot keep standard input until it is sent")?;
        Ok(Self {
            manifest: Manifest::new(vec![Entry::file(name, bytes)]),
            file: Some(file),
        })
    }
}

/// A file that has no name, so that nothing but this program writes to it.
struct Spooled(File);

impl Read for Spooled {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Seek for Spooled {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

impl SourceFile for Spooled {}

/// Writes verified blocks to standard output, one file after the other.
#[derive(Default)]
pub(crate) struct Output {
    error: Option<io::Error>,
}

impl Output {
    /// Folders say nothing here, and cost nothing.
    pub(crate) fn takes(entry: &Entry) -> bool {
        !matches!(entry.kind, EntryKind::Link { .. })
    }

    /// Why not everything was written.
    pub(crate) fn into_error(self) -> Option<io::Error> {
        self.error
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), RefuseReason> {
        let mut out = io::stdout().lock();
        let written = out.write_all(bytes).and_then(|()| out.flush());
        written.map_err(|error| {
            self.error = Some(error);
            RefuseReason::Io
        })
    }
}

impl FileSink for Output {
    fn accept(
        &mut self,
        _entry: EntryIndex,
        _path: &EntryPath,
        offered: &Entry,
    ) -> Result<(), RefuseReason> {
        match Self::takes(offered) {
            true => Ok(()),
            false => Err(RefuseReason::Unwanted),
        }
    }

    fn block(&mut self, _entry: EntryIndex, bytes: &[u8]) -> Result<(), RefuseReason> {
        self.write(bytes)
    }

    fn end(&mut self, _entry: EntryIndex, _digest: Option<Digest>) -> Result<(), RefuseReason> {
        self.write(&[])
    }
}
