//! A file to a socket, through the kernel.

use std::{fs::File, io};

use rustix::fs::sendfile;
use tokio::{io::Interest, net::TcpStream};

/// Sends what the socket has room for, once it has room, and at most `bytes`.
/// 0 is the end of the file.
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

/// One call's worth: other tasks of the thread wait meanwhile.
const MAX_BYTES: usize = 1 << 20;
