//! Checks that the process may open the descriptors that every subcommand
//! needs.

/// Fails if this process may not open another [`NEEDED`] descriptors.
pub(crate) fn check() -> anyhow::Result<()> {
    #[cfg(unix)]
    {
        use anyhow::Context as _;
        use std::{io, os::unix::net::UnixStream};

        let pairs: io::Result<Vec<_>> = (0..NEEDED / 2).map(|_| UnixStream::pair()).collect();
        pairs.map(drop).with_context(|| {
            format!("cannot open {NEEDED} files and sockets: allow more with `ulimit -n 1024`")
        })?;
    }
    Ok(())
}

/// The runtime needs about eight, and panics if it gets none for signals. What
/// a subcommand opens after that fails with an error of its own.
#[cfg(unix)]
const NEEDED: usize = 12;
