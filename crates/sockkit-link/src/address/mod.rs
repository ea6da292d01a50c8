//! Addresses to bind or dial: a scheme, a host and a port.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6},
    str::FromStr,
};

use sockkit_core::interfaces::{InterfaceSelector, NoSuchInterface};
use tokio::net::lookup_host;

mod path;

pub use self::path::{AddressPath, PathError};

/// A transport, a host and a port, as typed by a user; of a router also what is asked of
/// it.
///
/// ```
/// # mod sockkit { pub use ::sockkit_link as link; }
/// use sockkit::link::{AddressDefaults, AddressError, Scheme};
///
/// const FILES: AddressDefaults = AddressDefaults::new(&[Scheme::Tcp, Scheme::Quic], 5010);
///
/// let desk = FILES.parse("desk.lan")?;
/// assert_eq!(desk.to_string(), "tcp://desk.lan:5010");
/// assert_eq!(FILES.parse("quic://[fe80::1%eth0]:7000")?.port(), 7000);
/// assert!(FILES.parse(":7000")?.is_unspecified());
/// assert!(FILES.parse("udp://desk.lan").is_err());
/// # Ok::<(), AddressError>(())
/// ```
///
/// Accepted forms: `HOST`, `HOST:PORT`, `:PORT`, `PORT`, an IPv6 address with
/// or without brackets, and any of these after `SCHEME://`. An IPv6 address may
/// carry a zone such as `%eth0` or `%2`. Routers have paths: `zenoh://HOST:PORT/PATH`.
/// `FromStr` accepts the form written by `Display`, which includes the scheme and the
/// port.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Address {
    scheme: Scheme,
    host: Host,
    port: u16,
    path: AddressPath,
}

/// Defaults for what an address omits, and the schemes that it may have.
#[derive(Clone, Copy, Debug)]
pub struct AddressDefaults {
    schemes: &'static [Scheme],
    port: Option<u16>,
}

/// The transport of an address.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Scheme {
    /// TCP, not encrypted.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// QUIC: a reliable, encrypted stream over UDP.
    Quic,
    /// UDP datagrams, to a host or a group.
    Udp,
    /// The routers of zenoh, between networks.
    Zenoh,
    /// RTP packets for players, to a host or a group; not encrypted.
    Rtp,
    /// RTSP, by which players ask for RTP packets; not encrypted.
    Rtsp,
}

/// The host of an address.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Host {
    /// Every local address; for binding only.
    Unspecified,
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address, with its zone if it is link-local.
    V6 {
        /// The address.
        ip: Ipv6Addr,
        /// Name or index of the interface.
        zone: Option<String>,
    },
    /// A name, resolved by the system.
    Name(String),
}

/// Error from parsing an address.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// The scheme is unknown, or not allowed here.
    #[error("{scheme}:// cannot be used here; use {allowed}")]
    Scheme {
        /// The given scheme.
        scheme: String,
        /// The allowed schemes.
        allowed: String,
    },
    /// The port is not a number from 0 to 65535.
    #[error("{0:?} is not a port: use a number from 0 to 65535")]
    Port(String),
    /// Neither the text nor the defaults contain a port.
    #[error("{0:?} has no port; write it as HOST:PORT")]
    NoPort(String),
    /// The host is neither an IP address nor a name.
    #[error("{0:?} is not a host: use a name, an IPv4 address, or an IPv6 address in brackets")]
    Host(String),
    /// The path is not a name.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// Error from resolving an address.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The resolver does not know the name, or has failed.
    #[error("cannot resolve {host}")]
    Resolver {
        /// The name.
        host: String,
        /// Error from the operating system.
        source: io::Error,
    },
    /// The zone does not match any local interface.
    #[error("no interface for the zone of {address}")]
    Zone {
        /// The address with its zone.
        address: String,
        /// The interface that was not found.
        source: NoSuchInterface,
    },
    /// An address without a host cannot be dialled.
    #[error("{address} has no host to connect to")]
    NoHost {
        /// The address.
        address: String,
    },
}

impl AddressDefaults {
    /// The allowed schemes, the first of which is the default, and the default
    /// port. `rtp://` and `rtsp://` have their own: 5004 and 8554.
    #[must_use]
    pub const fn new(schemes: &'static [Scheme], port: u16) -> Self {
        Self {
            schemes,
            port: Some(port),
        }
    }

    /// Parses an address.
    ///
    /// # Errors
    /// [`AddressError`], whose text says what to write instead.
    pub fn parse(self, text: &str) -> Result<Address, AddressError> {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (self.scheme(scheme)?, rest),
            None => (self.schemes.first().copied().unwrap_or(Scheme::Tcp), text),
        };
        let (rest, path) = match rest.split_once('/') {
            Some((rest, path)) if scheme.has_paths() => (rest, path),
            _ => (rest, ""),
        };
        let (host, port) = split_port(rest)?;
        let port = port
            .or_else(|| scheme.port())
            .or(self.port)
            .ok_or_else(|| AddressError::NoPort(text.to_owned()))?;
        Ok(Address {
            scheme,
            host: host.parse()?,
            port,
            path: path.parse()?,
        })
    }

    fn scheme(self, text: &str) -> Result<Scheme, AddressError> {
        let known = self.schemes.iter().find(|scheme| scheme.as_str() == text);
        known.copied().ok_or_else(|| AddressError::Scheme {
            scheme: text.to_owned(),
            allowed: self
                .schemes
                .iter()
                .map(|scheme| format!("{}://", scheme.as_str()))
                .collect::<Vec<_>>()
                .join(" or "),
        })
    }
}

impl Address {
    /// Creates an address from its parts.
    pub fn new(scheme: Scheme, host: Host, port: u16) -> Self {
        Self {
            scheme,
            host,
            port,
            path: AddressPath::default(),
        }
    }

    /// The same router, with another path.
    #[must_use]
    pub fn at(&self, path: AddressPath) -> Self {
        Self {
            path,
            ..self.clone()
        }
    }

    /// The transport.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port; 0 lets the system choose when it is bound.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What is asked of a router: a name, or a pattern. Empty for other transports.
    pub fn path(&self) -> &AddressPath {
        &self.path
    }

    /// Whether it means every local address.
    pub fn is_unspecified(&self) -> bool {
        match &self.host {
            Host::Unspecified => true,
            Host::V4(ip) => ip.is_unspecified(),
            Host::V6 { ip, .. } => ip.is_unspecified(),
            Host::Name(_) => false,
        }
    }

    /// The multicast group, if the host is one.
    pub fn group(&self) -> Option<IpAddr> {
        let ip = match &self.host {
            Host::V4(ip) => IpAddr::from(*ip),
            Host::V6 { ip, .. } => IpAddr::from(*ip),
            Host::Unspecified | Host::Name(_) => return None,
        };
        ip.is_multicast().then_some(ip)
    }

    /// Returns the socket addresses to dial, in the resolver's order; never
    /// empty.
    ///
    /// Waits as long as the system's resolver does: add a timeout.
    ///
    /// # Errors
    /// [`ResolveError`] if the host is unknown or missing.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn resolve(&self) -> Result<Vec<SocketAddr>, ResolveError> {
        match &self.host {
            Host::Unspecified => Err(ResolveError::NoHost {
                address: self.to_string(),
            }),
            Host::V4(_) | Host::V6 { .. } => self.to_bind().await,
            Host::Name(name) => {
                let failed = |source| ResolveError::Resolver {
                    host: name.clone(),
                    source,
                };
                let found = lookup_host((name.as_str(), self.port)).await;
                let found: Vec<_> = found.map_err(failed)?.collect();
                if found.is_empty() {
                    return Err(failed(io::ErrorKind::NotFound.into()));
                }
                Ok(found)
            }
        }
    }

    /// Returns the socket addresses to bind; never empty. Without a host, these
    /// are the unspecified addresses of IPv4 and IPv6.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn to_bind(&self) -> Result<Vec<SocketAddr>, ResolveError> {
        Ok(match &self.host {
            Host::Unspecified => vec![
                (Ipv4Addr::UNSPECIFIED, self.port).into(),
                (Ipv6Addr::UNSPECIFIED, self.port).into(),
            ],
            Host::V4(ip) => vec![(*ip, self.port).into()],
            Host::V6 { ip, zone } => {
                let scope = self.scope(zone.as_deref())?;
                vec![SocketAddrV6::new(*ip, self.port, 0, scope).into()]
            }
            Host::Name(_) => return Box::pin(self.resolve()).await,
        })
    }

    fn scope(&self, zone: Option<&str>) -> Result<u32, ResolveError> {
        let Some(zone) = zone else { return Ok(0) };
        if let Ok(index) = zone.parse() {
            return Ok(index);
        }
        let selector = InterfaceSelector::Name(zone.to_owned());
        selector
            .find()
            .map(|interface| interface.index)
            .map_err(|source| ResolveError::Zone {
                address: self.to_string(),
                source,
            })
    }
}

/// Splits off the port, if there is one. Text of digits alone is a port.
fn split_port(text: &str) -> Result<(&str, Option<u16>), AddressError> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(("", Some(port(text)?)));
    }
    if let Some(bracketed) = text.strip_prefix('[') {
        let (host, rest) = bracketed
            .split_once(']')
            .ok_or_else(|| AddressError::Host(text.to_owned()))?;
        // Brackets may contain an IPv6 address only.
        if !host.contains(':') {
            return Err(AddressError::Host(text.to_owned()));
        }
        return match rest.strip_prefix(':') {
            Some(digits) => Ok((host, Some(port(digits)?))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(AddressError::Host(text.to_owned())),
        };
    }
    match text.split_once(':') {
        // Two colons: an IPv6 address without brackets, and therefore without a
        // port.
        Some((_, rest)) if rest.contains(':') => Ok((text, None)),
        Some((host, digits)) => Ok((host, Some(port(digits)?))),
        None => Ok((text, None)),
    }
}

fn port(digits: &str) -> Result<u16, AddressError> {
    let is_plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let port = is_plain.then(|| digits.parse().ok()).flatten();
    port.ok_or_else(|| AddressError::Port(digits.to_owned()))
}

impl FromStr for Host {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || AddressError::Host(text.to_owned());
        if text.is_empty() || text == "*" {
            return Ok(Self::Unspecified);
        }
        if let Ok(ip) = text.parse() {
            return Ok(Self::V4(ip));
        }
        if text.contains(':') {
            let (ip, zone) = match text.split_once('%') {
                Some((ip, zone)) if is_zone(zone) => (ip, Some(zone.to_owned())),
                Some(_) => return Err(bad()),
                None => (text, None),
            };
            let ip = ip.parse().map_err(|_| bad())?;
            return Ok(Self::V6 { ip, zone });
        }
        if is_name(text) {
            return Ok(Self::Name(text.to_owned()));
        }
        Err(bad())
    }
}

/// RFC 1123, section 2.1, and the underscore used in practice. The last label
/// must not be a number, or 256.1.1.1 would be a name.
fn is_name(text: &str) -> bool {
    let labels = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let last = labels.rsplit('.').next().unwrap_or_default();
    labels.len() <= 253
        && labels.split('.').all(is_label)
        && !last.bytes().all(|byte| byte.is_ascii_digit())
}

/// The zone of a link-local address becomes its interface's index.
impl From<SocketAddr> for Host {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(v4) => Self::V4(*v4.ip()),
            SocketAddr::V6(v6) => Self::V6 {
                ip: *v6.ip(),
                zone: (v6.scope_id() != 0).then(|| v6.scope_id().to_string()),
            },
        }
    }
}

/// Whether it is a valid interface name or index.
fn is_zone(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'%' | b'[' | b']'))
}

impl Scheme {
    /// The text before `://`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Quic => "quic",
            Self::Udp => "udp",
            Self::Zenoh => "zenoh",
            Self::Rtp => "rtp",
            Self::Rtsp => "rtsp",
        }
    }

    /// Whether an address names what is asked of the host.
    fn has_paths(self) -> bool {
        self == Self::Zenoh
    }

    /// The port that is registered for it, whatever it is used for.
    const fn port(self) -> Option<u16> {
        match self {
            Self::Tcp | Self::Tls | Self::Quic | Self::Udp => None,
            Self::Zenoh => Some(7447),
            // RFC 3551, section 8.
            Self::Rtp => Some(5004),
            // `rtsp-alt`, since 554 needs privileges.
            Self::Rtsp => Some(8554),
        }
    }
}

/// Requires the scheme, and the port if the scheme has none; use
/// [`AddressDefaults::parse`] for shorter forms.
impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const ALL: AddressDefaults = AddressDefaults {
            schemes: &[
                Scheme::Tcp,
                Scheme::Tls,
                Scheme::Quic,
                Scheme::Udp,
                Scheme::Zenoh,
                Scheme::Rtp,
                Scheme::Rtsp,
            ],
            port: None,
        };
        ALL.parse(text)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme.as_str(), self.host, self.port)?;
        match self.path.is_empty() {
            true => Ok(()),
            false => write!(f, "/{}", self.path),
        }
    }
}

/// As before a port: IPv6 addresses are in brackets.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unspecified => Ok(()),
            Self::V4(ip) => ip.fmt(f),
            Self::V6 { ip, zone: None } => write!(f, "[{ip}]"),
            Self::V6 {
                ip,
                zone: Some(zone),
            } => write!(f, "[{ip}%{zone}]"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests;
