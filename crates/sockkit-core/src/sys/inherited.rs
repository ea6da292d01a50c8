//! Descriptors that this process has inherited.

#![expect(unsafe_code, reason = "a number becomes an owned descriptor")]

use std::{
    io,
    os::fd::{FromRawFd, OwnedFd, RawFd},
};

/// Takes ownership of the `count` descriptors after standard error, and marks
/// them close-on-exec.
///
/// Call it once only: the caller becomes their owner.
///
/// # Errors
/// The operating system's error if one of them is not open; then none is taken.
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
