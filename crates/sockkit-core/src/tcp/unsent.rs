//! Waits until written data has left the send buffer.

use std::{
    io,
    task::{Context, Poll, ready},
};

use tokio::{io::Interest, net::TcpStream};

/// Waits until the unsent data in the kernel is below half of
/// `TCP_NOTSENT_LOWAT`.
///
/// A write returns when the kernel has copied the data, possibly long before it
/// is sent. A sender of live data, such as pictures, can wait here and then
/// send the newest one. Without
/// [`TCP_NOTSENT_LOWAT`](crate::options::SocketOptions::not_sent_low_water_bytes)
/// this only waits for buffer space.
///
/// ```
/// # use sockkit_core as sockkit;
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// use sockkit::{options::SocketOptions, tcp};
/// # #[cfg(target_os = "linux")] {
///
/// let listener = tcp::Listener::bind("127.0.0.1:0".parse()?)?;
/// let mut client = tcp::connect(listener.local_addr()?).await?;
/// client.set_options(&SocketOptions::new().not_sent_low_water_bytes(8_192_u32))?;
/// tokio::io::AsyncWriteExt::write_all(&mut client, b"picture").await?;
/// tcp::unsent_below_lowat(client.get_ref()).await?;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Waits for as long as the peer accepts no data: add a timeout.
///
/// # Errors
/// If the socket has failed.
///
/// # Cancel safety
/// Cancel safe: it only waits.
pub async fn unsent_below_lowat(tcp: &TcpStream) -> io::Result<()> {
    tcp.async_io(Interest::WRITABLE, || poll_out(tcp)).await
}

/// The same for a task that polls. It replaces the waker of `poll_write`: call
/// both from the same task.
pub(crate) fn poll_unsent_below_lowat(
    tcp: &TcpStream,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    loop {
        ready!(tcp.poll_write_ready(cx))?;
        match tcp.try_io(Interest::WRITABLE, || poll_out(tcp)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            looked => return Poll::Ready(looked),
        }
    }
}

/// The runtime assumes the socket writable until a write fails, so ask the
/// kernel. Polling also makes the kernel notify the runtime when the answer
/// changes.
#[cfg(unix)]
fn poll_out(tcp: &TcpStream) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let mut asked = [PollFd::new(tcp, PollFlags::OUT)];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // Errors and hang-ups count as ready: the next write returns them.
    match poll(&mut asked, Some(&at_once))? {
        0 => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn poll_out(_: &TcpStream) -> io::Result<()> {
    Ok(())
}
