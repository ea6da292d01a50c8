//! Socket activation: sockets opened by a service manager.
//!
//! systemd and compatible service managers bind the addresses of a service and
//! start it when the first client connects. The service needs no privilege for
//! a port below 1024, and clients are not refused while it restarts.
//!
//! ```no_run
//! # use sockkit_core as sockkit;
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use sockkit::{
//!     activation::{self, Activated},
//!     server::{Peer, Server, ServerConfig, Stream},
//!     tcp::Listener,
//! };
//!
//! let mut listeners = Vec::new();
//! for socket in activation::sockets()? {
//!     if let Activated::TcpListener(listener) = socket.socket {
//!         listeners.push(Listener::from_std(listener)?);
//!     }
//! }
//! if listeners.is_empty() {
//!     // Started from a shell.
//!     listeners.push(Listener::bind(([127, 0, 0, 1], 7).into())?);
//! }
//! let server = Server::start(listeners, ServerConfig::default(), async |_: Stream, _: Peer| Ok(()))?;
//! server.run_until_ctrl_c().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Source
//! sd_listen_fds(3): `LISTEN_PID`, `LISTEN_FDS`, `LISTEN_FDNAMES`.

use std::{
    env, io,
    net::{TcpListener, UdpSocket},
    os::{fd::OwnedFd, unix::net::UnixListener},
    sync::atomic::{AtomicBool, Ordering},
};

use socket2::{Domain, SockRef, Type};

use crate::sys::inherited;

/// A socket opened by the service manager.
#[derive(Debug)]
#[non_exhaustive]
pub struct ActivatedSocket {
    /// Its name in the unit file (`FileDescriptorName=`), if there is one.
    pub name: Option<String>,
    /// The socket.
    pub socket: Activated,
}

/// Kinds of sockets that are recognised.
#[derive(Debug)]
#[non_exhaustive]
pub enum Activated {
    /// A TCP listener, for
    /// [`tcp::Listener::from_std`](crate::tcp::Listener::from_std).
    TcpListener(TcpListener),
    /// A Unix socket listener, for tokio's `UnixListener::from_std` once it is
    /// non-blocking.
    UnixListener(UnixListener),
    /// A bound UDP socket, for [`UdpEndpoint::from_std`](crate::udp::UdpEndpoint::from_std).
    Udp(UdpSocket),
    /// Any other descriptor.
    Other(OwnedFd),
}

/// Returns the sockets passed to this process; empty if the process was not
/// started by socket activation.
///
/// Ownership passes to the caller: a second call returns none.
///
/// # Errors
/// `InvalidInput` if the environment variables are malformed, or the operating
/// system's error for a descriptor.
pub fn sockets() -> io::Result<Vec<ActivatedSocket>> {
    let variable = |name| env::var(name).ok();
    let (pid, count) = (variable("LISTEN_PID"), variable("LISTEN_FDS"));
    let Some(count) = handed_over(pid.as_deref(), count.as_deref(), std::process::id())? else {
        return Ok(Vec::new());
    };
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(Vec::new());
    }
    let names = variable("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':').map(str::to_owned);
    inherited::take(count)?
        .into_iter()
        .map(|fd| {
            Ok(ActivatedSocket {
                name: names.next().filter(|name| !name.is_empty()),
                socket: Activated::new(fd)?,
            })
        })
        .collect()
}

/// Number of descriptors passed to process `own`; `None` if there are none for
/// it.
fn handed_over(pid: Option<&str>, count: Option<&str>, own: u32) -> io::Result<Option<u32>> {
    let (Some(pid), Some(count)) = (pid, count) else {
        return Ok(None);
    };
    // Meant for the parent process.
    if pid.parse() != Ok(own) {
        return Ok(None);
    }
    match count.parse() {
        Ok(count @ 0..=MAX_SOCKETS) => Ok(Some(count)),
        _ => {
            let message = format!("LISTEN_FDS is {count:?}, which is no number of sockets");
            Err(io::Error::new(io::ErrorKind::InvalidInput, message))
        }
    }
}

impl Activated {
    fn new(fd: OwnedFd) -> io::Result<Self> {
        let (domain, kind, listens) = {
            let socket = SockRef::from(&fd);
            let domain = socket.local_addr()?.domain();
            (domain, socket.r#type()?, listens(&socket))
        };
        let is_ip = domain == Domain::IPV4 || domain == Domain::IPV6;
        Ok(match kind {
            Type::STREAM if is_ip && listens => Self::TcpListener(fd.into()),
            Type::STREAM if domain == Domain::UNIX && listens => Self::UnixListener(fd.into()),
            Type::DGRAM if is_ip => Self::Udp(fd.into()),
            _ => Self::Other(fd),
        })
    }
}

#[cfg(target_os = "linux")]
fn listens(socket: &SockRef<'_>) -> bool {
    socket.is_listener().unwrap_or(false)
}

/// A stream socket without a peer is a listener.
#[cfg(not(target_os = "linux"))]
fn listens(socket: &SockRef<'_>) -> bool {
    socket.peer_addr().is_err()
}

/// Whether the descriptors were already taken.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// More than any real unit file lists.
const MAX_SOCKETS: u32 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_process_that_is_meant_takes_sockets() {
        let told = |pid, count| handed_over(pid, count, 77).map_err(|error| error.kind());
        assert_eq!(told(None, None), Ok(None));
        assert_eq!(told(Some("77"), None), Ok(None));
        assert_eq!(told(Some("78"), Some("1")), Ok(None));
        assert_eq!(told(Some("77"), Some("2")), Ok(Some(2)));
        for count in ["", "-1", "two", "1025", "4294967297"] {
            let refused = told(Some("77"), Some(count));
            assert_eq!(refused, Err(io::ErrorKind::InvalidInput), "{count:?}");
        }
    }

    #[test]
    fn a_socket_is_what_it_is() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(tcp.local_addr().unwrap()).unwrap();
        let udp = UdpSocket::bind("[::1]:0").unwrap();
        let folder = env::temp_dir().join(format!("sockkit-activation-{}", std::process::id()));
        let unix = UnixListener::bind(&folder).unwrap();
        std::fs::remove_file(&folder).unwrap();
        let kind = |fd: OwnedFd| Activated::new(fd).unwrap();
        assert!(matches!(kind(tcp.into()), Activated::TcpListener(_)));
        assert!(matches!(kind(client.into()), Activated::Other(_)));
        assert!(matches!(kind(udp.into()), Activated::Udp(_)));
        assert!(matches!(kind(unix.into()), Activated::UnixListener(_)));
    }
}
