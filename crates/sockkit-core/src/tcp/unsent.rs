//! Whether what was written has left.

use std::{
    io,
    task::{Context, Poll, ready},
};

use tokio::{io::Interest, net::TcpStream};

/// Waits until the kernel has sent what it took: less than half of
/// `TCP_NOTSENT_LOWAT` has yet to leave.
///
/// A write returns when the kernel has copied the bytes, which may be long
/// before they leave. Whoever has something better to send by then, as a live
/// picture that is newer, waits here before it decides. Without
/// [`TCP_NOTSENT_LOWAT`](crate::options::SocketOptions::not_sent_low_water_bytes)
/// this is merely room to write.
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
/// It waits as long as the peer takes nothing: give it a deadline.
///
/// # Errors
/// If the socket has failed.
///
/// # Cancel safety
/// Cancel safe: it only waits.
pub async fn unsent_below_lowat(tcp: &TcpStream) -> io::Result<()> {
    tcp.async_io(Interest::WRITABLE, || poll_out(tcp)).await
}

/// The same for a task that polls. It takes the place of its waker from
/// `poll_write`: call both from one task.
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

/// The runtime believes in room until a write fails; the kernel knows. Being
/// asked, it also tells the runtime's poller when the answer changes.
#[cfg(unix)]
fn poll_out(tcp: &TcpStream) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let mut asked = [PollFd::new(tcp, PollFlags::OUT)];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // An error or a hang-up is an answer, too: the next write tells which.
    match poll(&mut asked, Some(&at_once))? {
        0 => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn poll_out(_: &TcpStream) -> io::Result<()> {
    Ok(())
}
