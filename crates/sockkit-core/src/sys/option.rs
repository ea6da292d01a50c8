//! `getsockopt` and `setsockopt` for options of one machine word.

#![expect(unsafe_code, reason = "socket2 and rustix wrap only some options")]

use std::{
    ffi::c_int,
    io,
    os::fd::{AsFd, AsRawFd},
    ptr,
};

/// Reads one option.
///
/// # Errors
/// The error of `getsockopt`. `InvalidData` if the kernel returned another
/// size: the option is then not of this type.
pub(crate) fn get<T: Word>(socket: impl AsFd, level: c_int, name: c_int) -> io::Result<T> {
    let mut value = T::default();
    let mut length = socklen::<T>();
    // SAFETY: `value` is a live place of `length` bytes, and any bytes that
    // the kernel writes there make a valid `Word`.
    let status = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            ptr::from_mut(&mut value).cast(),
            &raw mut length,
        )
    };
    if status != 0 {
        return Err(io::Error::last_os_error());
    }
    if length != socklen::<T>() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(value)
}

/// Reads an option that is a structure, truncated to the buffer. Returns how
/// many bytes the kernel wrote.
///
/// # Errors
/// The error of `getsockopt`.
#[cfg(target_os = "linux")]
pub(crate) fn get_bytes(
    socket: impl AsFd,
    level: c_int,
    name: c_int,
    bytes: &mut [u8],
) -> io::Result<usize> {
    let room = libc::socklen_t::try_from(bytes.len()).unwrap_or(libc::socklen_t::MAX);
    let mut length = room;
    // SAFETY: `bytes` is a live place of at least `length` bytes.
    let status = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            bytes.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if status != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(length.min(room) as usize)
}

/// Sets one option.
///
/// # Errors
/// The error of `setsockopt`.
pub(crate) fn set<T: Word>(
    socket: impl AsFd,
    level: c_int,
    name: c_int,
    value: T,
) -> io::Result<()> {
    // SAFETY: `value` is a live place of the length given, without padding,
    // and the kernel copies it before the call returns.
    let status = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            ptr::from_ref(&value).cast(),
            socklen::<T>(),
        )
    };
    if status == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn socklen<T: Word>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).expect("a word is at most eight bytes")
}

/// A plain integer: no padding, and every bit pattern is a value.
///
/// # Safety
/// Implement it for integers only.
pub(crate) unsafe trait Word: Copy + Default {}

// SAFETY: an integer.
unsafe impl Word for c_int {}
// SAFETY: an integer.
unsafe impl Word for u64 {}
