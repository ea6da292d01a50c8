//! Descriptors on tokio's reactor.

#![expect(unsafe_code, reason = "tokio asks for a promise about the descriptor")]

use std::{io, os::fd::OwnedFd};

use tokio::io::unix::AsyncFd;

/// Registers a descriptor that has no other owner.
pub(crate) fn register(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open, is one descriptor for all its life, and
    // closes only when the `AsyncFd` drops it.
    unsafe { AsyncFd::register(descriptor) }.map_err(Into::into)
}
