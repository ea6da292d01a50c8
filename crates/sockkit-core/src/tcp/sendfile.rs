//! Sends a file to a socket through the kernel.

use std::{fs::File, io};

use rustix::fs::sendfile;
use tokio::{io::Interest, net::TcpStream};

/// Waits until the socket is writable, then sends as much as fits, at most
/// `bytes`. Returns 0 at the end of the file.
pub(super) async fn send_some(
    stream: &TcpStream,
    file: &File,
    offset: &mut u64,
    bytes: u64,
) -> io::Result<usize> {
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX).min(MAX_BYTES);
    let mut send = || Ok(sendfile(stream, file, Some(offset), bytes)?);
    stream.async_io(Interest::WRITABLE, &mut send).await
}

/// Limit of one call, during which other tasks of the thread have to wait.
const MAX_BYTES: usize = 1 << 20;
