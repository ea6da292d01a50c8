//! A private network namespace.

#![expect(unsafe_code, reason = "rustix has no safe call for it")]

use std::io;

use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Moves the calling thread into a new network namespace.
///
/// # Errors
/// If the process lacks the privilege.
pub fn enter_new_network_namespace() -> io::Result<()> {
    // SAFETY: the flag NEWNET alone leaves the descriptor table shared, which
    // is all that `unshare_unsafe` asks for.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.map_err(io::Error::from)
}
