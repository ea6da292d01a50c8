//! Static descriptions of the options.

use std::{fmt, io};

use socket2::{Domain, SockRef, Type};

use super::{Live, OptionError, Value};

/// Description of one option: name, level, unit and meaning.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct OptionSpec {
    /// The constant's name, such as `SO_REUSEADDR`.
    pub name: &'static str,
    /// The method of [`SocketOptions`](super::SocketOptions) and
    /// [`Live`], such as `reuse_address`.
    pub method: &'static str,
    /// The layer that the option belongs to.
    pub level: Level,
    /// The sockets that have it.
    pub scope: Scope,
    /// The platforms that have it.
    pub platforms: Platforms,
    /// Whether it can be set, or only read.
    pub access: Access,
    /// The Rust type of its value.
    pub value_type: &'static str,
    /// The unit of a number; empty if it has none.
    pub unit: &'static str,
    /// Value on a fresh socket.
    pub default: &'static str,
    /// What it does, in one or two sentences.
    pub summary: &'static str,
    pub(super) read: fn(&Live<'_>) -> Result<Value, OptionError>,
}

/// The layer that owns an option, as in `setsockopt`'s second argument.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Level {
    /// `SOL_SOCKET`
    Socket,
    /// `IPPROTO_IP`
    Ipv4,
    /// `IPPROTO_IPV6`
    Ipv6,
    /// `IPPROTO_TCP`
    Tcp,
    /// `IPPROTO_UDP`
    Udp,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Socket => "SOL_SOCKET",
            Self::Ipv4 => "IPPROTO_IP",
            Self::Ipv6 => "IPPROTO_IPV6",
            Self::Tcp => "IPPROTO_TCP",
            Self::Udp => "IPPROTO_UDP",
        })
    }
}

/// Whether an option can be set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// Set and read.
    ReadWrite,
    /// Read only.
    ReadOnly,
}

/// The platforms on which an option exists.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Platforms {
    /// Linux, macOS and Windows.
    Everywhere,
    /// Linux and macOS.
    LinuxAndMac,
    /// Linux only.
    Linux,
}

impl fmt::Display for Platforms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Everywhere => "Linux, macOS, Windows",
            Self::LinuxAndMac => "Linux, macOS",
            Self::Linux => "Linux",
        })
    }
}

/// The kinds of socket that have an option.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Scope {
    family: Option<Family>,
    transport: Option<Transport>,
    /// The transport on Windows, where fewer sockets have it there.
    on_windows: Option<Transport>,
}

impl Scope {
    pub(super) const ANY: Self = Self::new(None, None);
    /// Windows rejects the option on a datagram socket; elsewhere it has no effect there.
    pub(super) const STREAM_ON_WINDOWS: Self = Self {
        on_windows: Some(Transport::Tcp),
        ..Self::ANY
    };
    pub(super) const TCP: Self = Self::new(None, Some(Transport::Tcp));
    pub(super) const UDP: Self = Self::new(None, Some(Transport::Udp));
    pub(super) const V4: Self = Self::new(Some(Family::V4), None);
    pub(super) const V6: Self = Self::new(Some(Family::V6), None);
    pub(super) const V4_UDP: Self = Self::new(Some(Family::V4), Some(Transport::Udp));
    pub(super) const V6_UDP: Self = Self::new(Some(Family::V6), Some(Transport::Udp));

    const fn new(family: Option<Family>, transport: Option<Transport>) -> Self {
        Self {
            family,
            transport,
            on_windows: None,
        }
    }

    /// How an option of this scope applies to a socket of that kind.
    pub(super) fn fit(self, kind: Kind) -> Fit {
        let on_windows = self.on_windows.filter(|_| cfg!(windows));
        let transport = on_windows.or(self.transport);
        if transport.is_some_and(|mine| mine != kind.transport) {
            return Fit::OtherTransport;
        }
        // Linux applies IPv4 options to IPv6 sockets as well, for the IPv4
        // traffic of a dual-stack socket.
        let both = cfg!(target_os = "linux") && self.family == Some(Family::V4);
        if both || self.family.is_none_or(|mine| mine == kind.family) {
            Fit::Yes
        } else {
            Fit::OtherFamily
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match self.family {
            None => "",
            Some(Family::V4) => "IPv4",
            Some(Family::V6) => "IPv6",
        };
        let transport = match self.transport {
            None => "",
            Some(Transport::Tcp) => "TCP",
            Some(Transport::Udp) => "UDP",
        };
        match (family, transport) {
            ("", "") if self.on_windows == Some(Transport::Tcp) => f.pad("all; TCP on Windows"),
            ("", "") => f.pad("all"),
            ("", one) | (one, "") => f.pad(one),
            (family, transport) => f.pad(&format!("{transport} over {family}")),
        }
    }
}

/// Whether an option applies to a socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fit {
    Yes,
    /// For the other IP version: skipped, and no error.
    OtherFamily,
    /// For the other transport: a bug in the program.
    OtherTransport,
}

/// IP version and transport of a socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Kind {
    pub(super) family: Family,
    pub(super) transport: Transport,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Family {
    V4,
    V6,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Transport {
    Tcp,
    Udp,
}

impl Kind {
    pub(super) fn of(socket: &SockRef<'_>) -> Result<Self, OptionError> {
        Self::ask(socket).map_err(OptionError::NotASocket)
    }

    fn ask(socket: &SockRef<'_>) -> io::Result<Self> {
        let family = match domain(socket)? {
            Domain::IPV4 => Family::V4,
            Domain::IPV6 => Family::V6,
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        };
        let transport = match socket.r#type()? {
            Type::STREAM => Transport::Tcp,
            Type::DGRAM => Transport::Udp,
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        };
        Ok(Self { family, transport })
    }

    /// A fresh socket of this kind.
    pub(super) fn create(self) -> io::Result<socket2::Socket> {
        let domain = match self.family {
            Family::V4 => Domain::IPV4,
            Family::V6 => Domain::IPV6,
        };
        let transport = match self.transport {
            Transport::Tcp => Type::STREAM,
            Transport::Udp => Type::DGRAM,
        };
        socket2::Socket::new(domain, transport, None)
    }
}

#[cfg(target_os = "linux")]
fn domain(socket: &SockRef<'_>) -> io::Result<Domain> {
    socket.domain()
}

/// On Windows an unbound socket has no local address.
#[cfg(windows)]
fn domain(socket: &SockRef<'_>) -> io::Result<Domain> {
    crate::sys::winsock::family(&**socket).map(Domain::from)
}

/// On other platforms the local address shows the family, bound or not.
#[cfg(not(any(target_os = "linux", windows)))]
fn domain(socket: &SockRef<'_>) -> io::Result<Domain> {
    socket.local_addr().map(|address| address.domain())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_windows_a_datagram_socket_has_no_option_of_streams() {
        let udp = Kind {
            family: Family::V4,
            transport: Transport::Udp,
        };
        let expected = if cfg!(windows) {
            Fit::OtherTransport
        } else {
            Fit::Yes
        };
        assert_eq!(Scope::STREAM_ON_WINDOWS.fit(udp), expected);
        let transport = Transport::Tcp;
        assert_eq!(
            Scope::STREAM_ON_WINDOWS.fit(Kind { transport, ..udp }),
            Fit::Yes
        );
    }
}
