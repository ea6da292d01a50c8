//! Notifies of changes to interfaces and addresses.

#[cfg(target_os = "linux")]
mod imp {
    use std::{io, os::fd::OwnedFd};

    use rustix::net::{
        AddressFamily, RecvFlags, SocketFlags, SocketType, bind, netlink, recv, socket_with,
    };
    use tokio::io::unix::AsyncFd;

    use crate::sys::async_fd;

    /// Notifies of changes from construction on.
    #[derive(Debug)]
    pub(crate) struct Changes {
        socket: AsyncFd<OwnedFd>,
    }

    impl Changes {
        pub(crate) fn watch() -> io::Result<Self> {
            let socket = socket_with(
                AddressFamily::NETLINK,
                SocketType::RAW,
                SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
                // NETLINK_ROUTE is protocol 0.
                None,
            )?;
            bind(&socket, &netlink::SocketAddrNetlink::new(0, GROUPS))?;
            Ok(Self {
                socket: async_fd::register(socket)?,
            })
        }

        /// Waits for a change; several in quick succession may be merged into
        /// one.
        ///
        /// # Cancel safety
        /// Cancel safe: no change is lost.
        pub(crate) async fn next(&self) -> io::Result<()> {
            let mut ready = self.socket.readable().await?;
            // The message only wakes the caller, which reads the interfaces
            // again.
            let mut message = [0; 8192];
            loop {
                match recv(self.socket.get_ref(), &mut message, RecvFlags::empty()) {
                    // More changes than the queue holds still count as a
                    // change.
                    Ok(_) | Err(rustix::io::Errno::NOBUFS | rustix::io::Errno::INTR) => {}
                    Err(rustix::io::Errno::AGAIN) => {
                        ready.clear_ready();
                        return Ok(());
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }

    /// `RTMGRP_LINK`, `RTMGRP_IPV4_IFADDR`, `RTMGRP_IPV6_IFADDR`, rtnetlink(7).
    const GROUPS: u32 = 0x1 | 0x10 | 0x100;
}

#[cfg(windows)]
use crate::sys::interface_changes as imp;

#[cfg(not(any(target_os = "linux", windows)))]
mod imp {
    use std::{io, time::Duration};

    /// On other platforms, assumes a change every second.
    #[derive(Debug)]
    pub(crate) struct Changes;

    impl Changes {
        pub(crate) fn watch() -> io::Result<Self> {
            Ok(Self)
        }

        pub(crate) async fn next(&self) -> io::Result<()> {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(())
        }
    }
}

pub(crate) use imp::Changes;
