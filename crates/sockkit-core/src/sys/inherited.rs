//! Descriptors that this process was started with.

#![expect(unsafe_code, reason = "a number becomes an owned descriptor")]

use std::{
    io,
    os::fd::{FromRawFd, OwnedFd, RawFd},
};

/// Takes the `count` descriptors that follow standard error, and keeps them from
/// the programs that this one starts.
///
/// Call it once: it makes the caller their owner.
///
/// # Errors
/// What the system says if one of them is not open; then none is taken.
pub(crate) fn take(count: u32) -> io::Result<Vec<OwnedFd>> {
    let numbers = FIRST..FIRST.saturating_add_unsigned(count);
    for number in numbers.clone() {
        // SAFETY: a flag of a descriptor; a number that is none is an error.
        if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(numbers
        // SAFETY: it is open, as was just seen. By the protocol of socket
        // activation it is for the caller, who takes it once.
        .map(|number| unsafe { OwnedFd::from_raw_fd(number) })
        .collect())
}

/// `SD_LISTEN_FDS_START`.
const FIRST: RawFd = 3;
