//! Not implemented: a folder cannot be opened, so that everything that needs an
//! open folder is unreachable.

use std::{
    ffi::OsStr,
    fs::{File, Metadata},
    io,
    path::Path,
};

use super::Room;
use crate::{Entry, EntryPath, FileTime, LinkTarget};

/// A folder, which never exists.
#[derive(Debug)]
pub(crate) enum Folder {}

impl Folder {
    /// # Errors
    /// Always [`io::ErrorKind::Unsupported`].
    pub(crate) fn open(_path: &Path) -> io::Result<Self> {
        Err(unsupported())
    }

    pub(crate) fn below(&self, _path: &EntryPath) -> io::Result<Self> {
        match *self {}
    }

    pub(crate) fn make_below(
        &self,
        _path: &EntryPath,
        _mode_of: impl Fn(&[u8]) -> Mode,
    ) -> io::Result<Self> {
        match *self {}
    }

    pub(crate) fn open_file_below(&self, _path: &EntryPath) -> io::Result<File> {
        match *self {}
    }

    pub(crate) fn find(&self, _name: impl AsRef<[u8]>) -> io::Result<Option<Stat>> {
        match *self {}
    }

    pub(crate) fn open_file(&self, _name: impl AsRef<[u8]>) -> io::Result<File> {
        match *self {}
    }

    pub(in crate::store) fn read_link(
        &self,
        _name: impl AsRef<[u8]>,
    ) -> io::Result<Option<Vec<u8>>> {
        match *self {}
    }

    pub(in crate::store) fn link_new(
        &self,
        _target: &LinkTarget,
        _name: impl AsRef<[u8]>,
    ) -> io::Result<()> {
        match *self {}
    }

    pub(in crate::store) fn link_over(
        &self,
        _target: &LinkTarget,
        _name: impl AsRef<[u8]>,
    ) -> io::Result<()> {
        match *self {}
    }

    pub(in crate::store) fn confuses_names(&self) -> io::Result<bool> {
        match *self {}
    }

    pub(crate) fn lock_temporary(&self, _name: &str) -> io::Result<Option<File>> {
        match *self {}
    }

    pub(crate) fn lock_new(&self, _name: &str) -> io::Result<File> {
        match *self {}
    }

    pub(in crate::store) fn lock(&self, _name: &str) -> io::Result<Option<File>> {
        match *self {}
    }

    pub(in crate::store) fn names(&self, _name: &str, stat: &Stat) -> io::Result<bool> {
        match *stat {}
    }

    pub(crate) fn new_file_mode(&self) -> io::Result<Mode> {
        match *self {}
    }

    pub(in crate::store) fn names_with(&self, _prefix: &str) -> io::Result<Vec<String>> {
        match *self {}
    }

    pub(crate) fn rename_new(&self, _from: &str, _to: impl AsRef<[u8]>) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn rename_over(&self, _from: &str, _to: impl AsRef<[u8]>) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn remove(&self, _name: &str) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn room(&self) -> io::Result<Room> {
        match *self {}
    }
}

/// Metadata of a file in an open folder.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stat {}

/// Permissions of a file in an open folder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode;

/// The file system of an open folder.
pub(crate) type Dev = u64;

/// Reads and writes at an offset.
pub(crate) trait FileExt {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
}

impl FileExt for File {
    fn read_at(&self, _buffer: &mut [u8], _offset: u64) -> io::Result<usize> {
        Err(unsupported())
    }

    fn write_all_at(&self, _bytes: &[u8], _offset: u64) -> io::Result<()> {
        Err(unsupported())
    }
}

pub(in crate::store) fn is_own(stat: &Stat) -> bool {
    match *stat {}
}

pub(crate) fn is_file(stat: &Stat) -> bool {
    match *stat {}
}

pub(in crate::store) fn size_bytes(stat: &Stat) -> Option<u64> {
    match *stat {}
}

pub(in crate::store) fn modified_seconds(stat: &Stat) -> i64 {
    match *stat {}
}

pub(in crate::store) fn identity(stat: &Stat) -> (Dev, u64) {
    match *stat {}
}

pub(in crate::store) fn file_system(stat: &Stat) -> Dev {
    match *stat {}
}

pub(crate) fn is_link(stat: &Stat) -> bool {
    match *stat {}
}

pub(crate) fn is_bad_name(_error: &io::Error) -> bool {
    false
}

pub(crate) fn has_no_links(_error: &io::Error) -> bool {
    false
}

pub(in crate::store) fn mode_of(_entry: &Entry, new: Mode) -> Mode {
    new
}

pub(in crate::store) fn folder_mode(_entry: &Entry) -> Mode {
    Mode
}

pub(in crate::store) fn usual_folder_mode() -> Mode {
    Mode
}

pub(in crate::store) fn open_up(_file: &File, _mode: Mode, _replaced: Option<&Stat>) {}

pub(in crate::store) fn stat_of(_file: &File) -> io::Result<Stat> {
    Err(unsupported())
}

pub(in crate::store) fn set_modified(_file: &File, _modified: FileTime) -> io::Result<()> {
    Err(unsupported())
}

pub(crate) fn is_in_the_way(_error: &io::Error) -> bool {
    false
}

pub(in crate::store) fn file_time(_metadata: &Metadata) -> FileTime {
    unreachable!("{NO_FOLDER}")
}

pub(in crate::store) fn change_time(_metadata: &Metadata) -> (i64, i64) {
    unreachable!("{NO_FOLDER}")
}

pub(in crate::store) fn permissions(_metadata: &Metadata) -> u16 {
    unreachable!("{NO_FOLDER}")
}

/// A name that is not Unicode cannot be sent to other systems.
pub(in crate::store) fn bytes_of(name: &OsStr) -> Option<&[u8]> {
    name.to_str().map(str::as_bytes)
}

pub(in crate::store) fn is_for_owner(_metadata: &Metadata) -> bool {
    unreachable!("{NO_FOLDER}")
}

fn unsupported() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "sending and receiving files is not supported on Windows yet",
    )
}

/// Why the metadata of a folder walk is never used.
const NO_FOLDER: &str = "no folder is ever open here";
