//! The address of a peer, IP or Unix.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

/// The address of a peer or a listener.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum PeerAddress {
    /// An IP address and a port.
    Ip(SocketAddr),
    /// A Unix socket: its path, or its abstract name after an `@`. Clients
    /// usually have neither.
    Unix(Option<PathBuf>),
}

impl PeerAddress {
    /// The IP address, if it has one.
    pub fn ip(&self) -> Option<IpAddr> {
        self.socket_addr().map(|address| address.ip())
    }

    /// The IP address and the port, if it has them.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

impl From<SocketAddr> for PeerAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

#[cfg(unix)]
impl From<std::os::unix::net::SocketAddr> for PeerAddress {
    fn from(address: std::os::unix::net::SocketAddr) -> Self {
        let path = address.as_pathname().map(PathBuf::from);
        Self::Unix(path.or_else(|| abstract_name(&address)))
    }
}

#[cfg(target_os = "linux")]
fn abstract_name(address: &std::os::unix::net::SocketAddr) -> Option<PathBuf> {
    use std::os::{linux::net::SocketAddrExt, unix::ffi::OsStringExt};

    let name = address.as_abstract_name()?;
    let name = [b"@", name].concat();
    Some(std::ffi::OsString::from_vec(name).into())
}

#[cfg(all(unix, not(target_os = "linux")))]
fn abstract_name(_: &std::os::unix::net::SocketAddr) -> Option<PathBuf> {
    None
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(None) => f.write_str("unix"),
            // Chosen by the peer, so it may contain terminal control sequences.
            Self::Unix(Some(path)) => write!(f, "unix:{}", path.to_string_lossy().escape_debug()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_displayed_and_a_path_is_escaped() {
        let ip: SocketAddr = "[2001:db8::1]:80".parse().expect("an address");
        assert_eq!(PeerAddress::from(ip).to_string(), "[2001:db8::1]:80");
        assert_eq!(PeerAddress::Unix(None).to_string(), "unix");
        let path = |path: &str| PeerAddress::Unix(Some(path.into())).to_string();
        assert_eq!(path("/run/a.sock"), "unix:/run/a.sock");
        assert_eq!(path("@name\0"), r"unix:@name\0");
        assert_eq!(path("\u{1b}[2J\u{202e}"), r"unix:\u{1b}[2J\u{202e}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_abstract_name_is_kept() {
        use std::os::{linux::net::SocketAddrExt, unix::net};

        let address = net::SocketAddr::from_abstract_name("echo").expect("a name");
        assert_eq!(PeerAddress::from(address).to_string(), "unix:@echo");
    }
}
