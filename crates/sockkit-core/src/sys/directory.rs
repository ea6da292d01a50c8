//! Files in an open folder, on Windows: what std does by path, by handle.
//!
//! A name is looked up in the folder that the handle refers to, wherever that has
//! been moved, and is neither a path nor followed if it is a reparse point (a
//! symbolic link, a junction).
//!
//! # Source
//! Microsoft's "NtCreateFile", "FILE_RENAME_INFORMATION", and
//! "FILE_FS_FULL_SIZE_INFORMATION"; std's own `remove_dir_all` for Windows.

#![expect(unsafe_code, reason = "std opens and renames by path alone")]

use std::{
    fs::File,
    io::{self, ErrorKind},
    mem::offset_of,
    os::windows::io::{AsRawHandle, FromRawHandle},
    ptr,
    sync::atomic::{AtomicU32, Ordering},
};

use windows_sys::{
    Wdk::{
        Foundation::OBJECT_ATTRIBUTES,
        Storage::FileSystem::{
            FILE_CREATE, FILE_DIRECTORY_FILE, FILE_NON_DIRECTORY_FILE, FILE_OPEN,
            FILE_OPEN_REPARSE_POINT, FILE_RENAME_INFORMATION, FILE_RENAME_POSIX_SEMANTICS,
            FILE_RENAME_REPLACE_IF_EXISTS, FILE_SYNCHRONOUS_IO_NONALERT, FileFsFullSizeInformation,
            FileRenameInformation, FileRenameInformationEx, NtCreateFile,
            NtQueryVolumeInformationFile, NtSetInformationFile,
        },
    },
    Win32::{
        Foundation::{
            ERROR_DELETE_PENDING, ERROR_FILE_NOT_FOUND, ERROR_NO_MORE_FILES,
            ERROR_REPARSE_POINT_ENCOUNTERED, HANDLE, INVALID_HANDLE_VALUE, NTSTATUS,
            OBJ_CASE_INSENSITIVE, OBJ_DONT_REPARSE, RtlNtStatusToDosError, STATUS_DELETE_PENDING,
            STATUS_FILE_IS_A_DIRECTORY, STATUS_INVALID_PARAMETER, STATUS_REPARSE_POINT_ENCOUNTERED,
            UNICODE_STRING,
        },
        Storage::FileSystem::{
            BY_HANDLE_FILE_INFORMATION, DELETE, FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_NORMAL,
            FILE_ATTRIBUTE_REPARSE_POINT, FILE_BASIC_INFO, FILE_DISPOSITION_FLAG_DELETE,
            FILE_DISPOSITION_FLAG_POSIX_SEMANTICS, FILE_DISPOSITION_INFO, FILE_DISPOSITION_INFO_EX,
            FILE_GENERIC_READ, FILE_GENERIC_WRITE, FILE_ID_BOTH_DIR_INFO, FILE_ID_INFO,
            FILE_LIST_DIRECTORY, FILE_READ_ATTRIBUTES, FILE_SHARE_DELETE, FILE_SHARE_READ,
            FILE_SHARE_WRITE, FILE_TRAVERSE, FileBasicInfo, FileDispositionInfo,
            FileDispositionInfoEx, FileIdBothDirectoryInfo, FileIdBothDirectoryRestartInfo,
            FileIdInfo, GetFileInformationByHandle, GetFileInformationByHandleEx, SYNCHRONIZE,
            SetFileInformationByHandle,
        },
        System::IO::IO_STATUS_BLOCK,
    },
};

/// How a name in a folder is opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Opening {
    /// An existing folder.
    Folder,
    /// A folder that is created.
    NewFolder,
    /// An existing file, for reading.
    Read,
    /// An existing file, for reading and writing by this handle alone.
    Write,
    /// The same, created.
    New,
    /// Whatever has the name, for its metadata alone.
    Look,
    /// An existing file, to be renamed or deleted.
    Name,
}

/// Opens `name` in `folder`. A reparse point is opened itself if only looked at, renamed
/// or deleted, and is otherwise an error.
///
/// # Errors
/// [`ErrorKind::InvalidFilename`] if `name` could lead elsewhere,
/// `ERROR_REPARSE_POINT_ENCOUNTERED` if it is a reparse point,
/// [`ErrorKind::IsADirectory`] if it is a folder instead of a file; and those of
/// `NtCreateFile`.
pub fn open(folder: &File, name: &str, opening: Opening) -> io::Result<File> {
    let name = component(name)?;
    // Not known to Windows before version 1709, nor to others that imitate it.
    static DONT_REPARSE: AtomicU32 = AtomicU32::new(OBJ_DONT_REPARSE);
    let avoid = DONT_REPARSE.load(Ordering::Relaxed);
    let opened = match create(folder, &name, opening, avoid) {
        Err(STATUS_INVALID_PARAMETER) if avoid != 0 => {
            let opened = create(folder, &name, opening, 0);
            if opened != Err(STATUS_INVALID_PARAMETER) {
                DONT_REPARSE.store(0, Ordering::Relaxed);
            }
            opened
        }
        opened => opened,
    };
    // SAFETY: the call succeeded, so that the handle is open, and nothing else has it.
    let file = opened.map(|handle| unsafe { File::from_raw_handle(handle) });
    let file = file.map_err(error_of)?;
    let follows = !matches!(opening, Opening::Look | Opening::Name);
    if follows && look(&file)?.is_reparse_point() {
        return Err(reparse_point());
    }
    Ok(file)
}

fn create(folder: &File, name: &[u16], opening: Opening, avoid: u32) -> Result<HANDLE, NTSTATUS> {
    let (access, share, disposition, kind) = opening.asks();
    let bytes = u16::try_from(size_of_val(name)).map_err(|_long| STATUS_INVALID_PARAMETER)?;
    let unicode = UNICODE_STRING {
        Length: bytes,
        MaximumLength: bytes,
        Buffer: name.as_ptr().cast_mut(),
    };
    let object = OBJECT_ATTRIBUTES {
        Length: SIZE_OF_OBJECT,
        RootDirectory: folder.as_raw_handle(),
        ObjectName: &raw const unicode,
        Attributes: OBJ_CASE_INSENSITIVE | avoid,
        SecurityDescriptor: ptr::null(),
        SecurityQualityOfService: ptr::null(),
    };
    let mut handle = INVALID_HANDLE_VALUE;
    let mut status_block = IO_STATUS_BLOCK::default();
    // SAFETY: every pointer is to a place that lives during the call, and the name
    // is as long as its length says. The system only reads the name.
    let status = unsafe {
        NtCreateFile(
            &raw mut handle,
            access | SYNCHRONIZE,
            &raw const object,
            &raw mut status_block,
            ptr::null(),
            FILE_ATTRIBUTE_NORMAL,
            share,
            disposition,
            kind | FILE_OPEN_REPARSE_POINT | FILE_SYNCHRONOUS_IO_NONALERT,
            ptr::null(),
            0,
        )
    };
    if status < 0 { Err(status) } else { Ok(handle) }
}

impl Opening {
    /// Access, sharing, disposition and options of `NtCreateFile`.
    const fn asks(self) -> (u32, u32, u32, u32) {
        let any = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
        // Sharing no writes is the lock; deleting is shared, so that a locked file
        // can be renamed by its name.
        let locked = FILE_SHARE_READ | FILE_SHARE_DELETE;
        let write = FILE_GENERIC_READ | FILE_GENERIC_WRITE;
        let folder = FILE_LIST_DIRECTORY | FILE_TRAVERSE | FILE_READ_ATTRIBUTES;
        match self {
            Self::Folder => (folder, any, FILE_OPEN, FILE_DIRECTORY_FILE),
            Self::NewFolder => (folder, any, FILE_CREATE, FILE_DIRECTORY_FILE),
            Self::Read => (FILE_GENERIC_READ, any, FILE_OPEN, FILE_NON_DIRECTORY_FILE),
            Self::Write => (write, locked, FILE_OPEN, FILE_NON_DIRECTORY_FILE),
            Self::New => (write, locked, FILE_CREATE, FILE_NON_DIRECTORY_FILE),
            Self::Look => (FILE_READ_ATTRIBUTES, any, FILE_OPEN, 0),
            Self::Name => (DELETE, any, FILE_OPEN, FILE_NON_DIRECTORY_FILE),
        }
    }
}

/// Renames an open file (see [`Opening::Name`]) within `folder`.
///
/// # Errors
/// [`ErrorKind::AlreadyExists`] if the name is in use and not to be replaced, and those
/// of `NtSetInformationFile`.
pub fn rename(file: &File, folder: &File, name: &str, replace: bool) -> io::Result<()> {
    let name = component(name)?;
    let flags = match replace {
        // A program that reads the old file keeps it.
        true => FILE_RENAME_REPLACE_IF_EXISTS | FILE_RENAME_POSIX_SEMANTICS,
        false => FILE_RENAME_POSIX_SEMANTICS,
    };
    match set_name(file, folder, &name, flags, FileRenameInformationEx) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(error),
        // Before Windows 10, on FAT, and on most network shares: the same without
        // those semantics.
        Err(_unsupported) => {
            let flags = u32::from(replace);
            set_name(file, folder, &name, flags, FileRenameInformation)
        }
        Ok(()) => Ok(()),
    }
}

fn set_name(file: &File, folder: &File, name: &[u16], flags: u32, class: i32) -> io::Result<()> {
    let head = size_of::<FILE_RENAME_INFORMATION>();
    let bytes = head + size_of_val(name);
    // Of the structure's own alignment.
    let mut buffer = vec![0_u64; bytes.div_ceil(size_of::<u64>())];
    let information = buffer.as_mut_ptr().cast::<FILE_RENAME_INFORMATION>();
    let length = u32::try_from(bytes).map_err(|_long| ErrorKind::InvalidFilename)?;
    let name_bytes =
        u32::try_from(size_of_val(name)).map_err(|_long| ErrorKind::InvalidFilename)?;
    let mut status_block = IO_STATUS_BLOCK::default();
    // SAFETY: the buffer is aligned, zeroed, and has room for the structure and the
    // name behind it; `FileName` is the structure's last field, so that the name
    // begins within it and ends within the buffer. The handles are open.
    let status = unsafe {
        (*information).Anonymous.Flags = flags;
        (*information).RootDirectory = folder.as_raw_handle();
        (*information).FileNameLength = name_bytes;
        let place = (&raw mut (*information).FileName).cast::<u16>();
        ptr::copy_nonoverlapping(name.as_ptr(), place, name.len());
        NtSetInformationFile(
            file.as_raw_handle(),
            &raw mut status_block,
            information.cast(),
            length,
            class,
        )
    };
    succeed(status)
}

/// Deletes an open file (see [`Opening::Name`]): its name goes at once, or, on file
/// systems that cannot do that, with the last handle to it.
///
/// # Errors
/// Those of `SetFileInformationByHandle`.
pub fn delete(file: File) -> io::Result<()> {
    let at_once = FILE_DISPOSITION_INFO_EX {
        Flags: FILE_DISPOSITION_FLAG_DELETE | FILE_DISPOSITION_FLAG_POSIX_SEMANTICS,
    };
    set(&file, FileDispositionInfoEx, &at_once).or_else(|_unsupported| {
        let later = FILE_DISPOSITION_INFO { DeleteFile: true };
        set(&file, FileDispositionInfo, &later)
    })
}

fn set<T>(file: &File, class: i32, value: &T) -> io::Result<()> {
    let length = u32::try_from(size_of::<T>()).map_err(io::Error::other)?;
    // SAFETY: the system reads `length` bytes from a reference to that many.
    let done = unsafe {
        SetFileInformationByHandle(
            file.as_raw_handle(),
            class,
            ptr::from_ref(value).cast(),
            length,
        )
    };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Metadata of an open file.
#[derive(Clone, Copy, Debug)]
pub struct Stat {
    /// The volume, and the file in it.
    pub identity: (u64, u128),
    /// Its length.
    pub size_bytes: u64,
    /// When its contents last changed: units of 100 ns since 1601.
    pub modified: u64,
    /// How many names it has.
    pub links: u32,
    attributes: u32,
}

impl Stat {
    /// Whether it is a folder, and no reparse point.
    pub fn is_folder(&self) -> bool {
        self.attributes & FILE_ATTRIBUTE_DIRECTORY != 0 && !self.is_reparse_point()
    }

    /// Whether it is a file, and no reparse point.
    pub fn is_file(&self) -> bool {
        self.attributes & (FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_REPARSE_POINT) == 0
    }

    /// Whether it stands for something else: a symbolic link, a junction.
    pub fn is_reparse_point(&self) -> bool {
        self.attributes & FILE_ATTRIBUTE_REPARSE_POINT != 0
    }
}

/// The metadata of an open file.
///
/// # Errors
/// Those of `GetFileInformationByHandle`.
pub fn look(file: &File) -> io::Result<Stat> {
    let mut found = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: `found` is a live place for the structure, and integers only.
    if unsafe { GetFileInformationByHandle(file.as_raw_handle(), &raw mut found) } == 0 {
        return Err(io::Error::last_os_error());
    }
    let wide = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
    let short = (
        found.dwVolumeSerialNumber.into(),
        wide(found.nFileIndexHigh, found.nFileIndexLow).into(),
    );
    // The short numbers are not unique on ReFS, the long ones not known on FAT.
    let long = query::<FILE_ID_INFO>(file, FileIdInfo);
    let long = long.map(|id| {
        (
            id.VolumeSerialNumber,
            u128::from_le_bytes(id.FileId.Identifier),
        )
    });
    Ok(Stat {
        identity: long.unwrap_or(short),
        size_bytes: wide(found.nFileSizeHigh, found.nFileSizeLow),
        modified: wide(
            found.ftLastWriteTime.dwHighDateTime,
            found.ftLastWriteTime.dwLowDateTime,
        ),
        links: found.nNumberOfLinks,
        attributes: found.dwFileAttributes,
    })
}

/// When an open file, or its metadata, last changed: units of 100 ns since 1601.
///
/// # Errors
/// Those of `GetFileInformationByHandleEx`.
pub fn change_time(file: &File) -> io::Result<i64> {
    query::<FILE_BASIC_INFO>(file, FileBasicInfo).map(|found| found.ChangeTime)
}

fn query<T: Plain>(file: &File, class: i32) -> io::Result<T> {
    let mut found = T::default();
    let length = u32::try_from(size_of::<T>()).map_err(io::Error::other)?;
    // SAFETY: `found` is a live place of `length` bytes, and any bytes that the
    // system writes there make a valid `Plain`.
    let done = unsafe {
        GetFileInformationByHandleEx(
            file.as_raw_handle(),
            class,
            ptr::from_mut(&mut found).cast(),
            length,
        )
    };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(found)
}

/// Integers, or a structure of them: every bit pattern is a value.
///
/// # Safety
/// Implement it for such types only.
unsafe trait Plain: Default {}

// SAFETY: an integer and an array of integers.
unsafe impl Plain for FILE_ID_INFO {}
// SAFETY: a structure of integers.
unsafe impl Plain for FILE_BASIC_INFO {}

/// The names in an open folder, if they are Unicode.
///
/// # Errors
/// Those of `GetFileInformationByHandleEx`.
pub fn names(folder: &File) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    let mut buffer = vec![0_u64; LIST_WORDS];
    let mut class = FileIdBothDirectoryRestartInfo;
    loop {
        // SAFETY: the buffer is live, and as long as the call is told.
        let done = unsafe {
            GetFileInformationByHandleEx(
                folder.as_raw_handle(),
                class,
                buffer.as_mut_ptr().cast(),
                LIST_BYTES,
            )
        };
        if done == 0 {
            let error = io::Error::last_os_error();
            return match error.raw_os_error() {
                Some(code) if is_end_of_list(code) => Ok(names),
                _ => Err(error),
            };
        }
        class = FileIdBothDirectoryInfo;
        let bytes: Vec<u8> = buffer.iter().flat_map(|word| word.to_ne_bytes()).collect();
        parse_names(&bytes, &mut names);
    }
}

/// Whether the system has no names, or no more. The root of a volume has no `.`, so
/// that an empty one has no first name.
fn is_end_of_list(code: i32) -> bool {
    matches!(
        code.cast_unsigned(),
        ERROR_NO_MORE_FILES | ERROR_FILE_NOT_FOUND
    )
}

/// Reads a chain of `FILE_ID_BOTH_DIR_INFO`.
fn parse_names(mut bytes: &[u8], names: &mut Vec<String>) {
    let number = |bytes: &[u8], at: usize| {
        let word = bytes.get(at..)?.first_chunk::<4>()?;
        usize::try_from(u32::from_ne_bytes(*word)).ok()
    };
    while let (Some(next), Some(length)) = (number(bytes, 0), number(bytes, NAME_LENGTH_AT)) {
        let name = bytes.get(NAME_AT..).and_then(|rest| rest.get(..length));
        let units = name.unwrap_or_default().chunks_exact(2);
        let units: Vec<u16> = units
            .map(|pair| u16::from_ne_bytes([pair[0], pair[1]]))
            .collect();
        names.extend(String::from_utf16(&units));
        let rest = bytes.get(next..).filter(|_| next > 0);
        let Some(rest) = rest else { return };
        bytes = rest;
    }
}

/// Free bytes for this user, and the size of an allocation unit, on the volume of an
/// open folder.
///
/// # Errors
/// Those of `NtQueryVolumeInformationFile`.
pub fn room(folder: &File) -> io::Result<(u64, u64)> {
    let mut found = FullSize::default();
    let mut status_block = IO_STATUS_BLOCK::default();
    let length = u32::try_from(size_of::<FullSize>()).map_err(io::Error::other)?;
    // SAFETY: `found` is a live place of `length` bytes, and integers only.
    let status = unsafe {
        NtQueryVolumeInformationFile(
            folder.as_raw_handle(),
            &raw mut status_block,
            ptr::from_mut(&mut found).cast(),
            length,
            FileFsFullSizeInformation,
        )
    };
    succeed(status)?;
    let unit = u64::from(found.sectors_per_unit).saturating_mul(found.bytes_per_sector.into());
    let free = u64::try_from(found.free_units_for_caller).unwrap_or(0);
    Ok((free.saturating_mul(unit), unit))
}

/// `FILE_FS_FULL_SIZE_INFORMATION`.
#[derive(Default)]
#[repr(C)]
struct FullSize {
    units: i64,
    free_units_for_caller: i64,
    free_units: i64,
    sectors_per_unit: u32,
    bytes_per_sector: u32,
}

/// A name for the system, which takes a backslash as a path and a colon as a stream of
/// the file before it.
fn component(name: &str) -> io::Result<Vec<u16>> {
    let leads_elsewhere = |found: char| found.is_ascii_control() || r"\/:".contains(found);
    if matches!(name, "" | "." | "..") || name.contains(leads_elsewhere) {
        return Err(ErrorKind::InvalidFilename.into());
    }
    Ok(name.encode_utf16().collect())
}

fn succeed(status: NTSTATUS) -> io::Result<()> {
    if status < 0 {
        return Err(error_of(status));
    }
    Ok(())
}

fn error_of(status: NTSTATUS) -> io::Error {
    match status {
        // The system's own translation of both is "access denied".
        STATUS_FILE_IS_A_DIRECTORY => ErrorKind::IsADirectory.into(),
        STATUS_DELETE_PENDING => io::Error::from_raw_os_error(ERROR_DELETE_PENDING.cast_signed()),
        STATUS_REPARSE_POINT_ENCOUNTERED => reparse_point(),
        status => {
            // SAFETY: it takes any number.
            let code = unsafe { RtlNtStatusToDosError(status) };
            io::Error::from_raw_os_error(code.cast_signed())
        }
    }
}

fn reparse_point() -> io::Error {
    io::Error::from_raw_os_error(ERROR_REPARSE_POINT_ENCOUNTERED.cast_signed())
}

#[expect(clippy::cast_possible_truncation, reason = "48 bytes at most")]
const SIZE_OF_OBJECT: u32 = size_of::<OBJECT_ATTRIBUTES>() as u32;
/// Offsets in `FILE_ID_BOTH_DIR_INFO`.
const NAME_LENGTH_AT: usize = offset_of!(FILE_ID_BOTH_DIR_INFO, FileNameLength);
const NAME_AT: usize = offset_of!(FILE_ID_BOTH_DIR_INFO, FileName);
const LIST_WORDS: usize = 4_096;
const LIST_BYTES: u32 = 8 * 4_096;
