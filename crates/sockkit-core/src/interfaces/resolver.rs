//! The host name, and the settings of the name resolver.

use std::{io, net::IpAddr};

/// The host name and the resolver settings.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Host {
    /// The host name, as returned by `gethostname`.
    pub name: String,
    /// Search suffixes that are appended to short names.
    pub dns_suffixes: Vec<String>,
    /// The name servers, in the order in which they are queried.
    pub dns_servers: Vec<IpAddr>,
}

/// Reads the host name and the resolver settings.
///
/// The settings are read from `/etc/resolv.conf`, and are empty on a machine without
/// that file; on Windows they are those of the interfaces that are up.
///
/// # Errors
/// The operating system's error if the file exists and cannot be read, or the
/// interfaces cannot be listed.
pub fn host() -> io::Result<Host> {
    Ok(Host {
        name: host_name(),
        ..settings()?
    })
}

#[cfg(windows)]
fn settings() -> io::Result<Host> {
    let (dns_servers, dns_suffixes) = crate::sys::resolver::settings()?;
    Ok(Host {
        name: String::new(),
        dns_suffixes,
        dns_servers,
    })
}

#[cfg(not(windows))]
fn settings() -> io::Result<Host> {
    let settings = match std::fs::read_to_string("/etc/resolv.conf") {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    Ok(parse(&settings))
}

#[cfg(unix)]
fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

#[cfg(not(unix))]
fn host_name() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_default()
}

/// Parses resolv.conf(5). Malformed lines are skipped, as the resolver does.
#[cfg(any(test, not(windows)))]
fn parse(settings: &str) -> Host {
    let mut host = Host::default();
    for line in settings.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            // A scope (`fe80::1%eth0`) only selects the interface.
            Some("nameserver") => host.dns_servers.extend(
                words
                    .next()
                    .and_then(|address| address.split('%').next()?.parse::<IpAddr>().ok()),
            ),
            // The last of the two keywords applies.
            Some("search" | "domain") => {
                host.dns_suffixes = words.map(str::to_owned).collect();
            }
            _ => {}
        }
    }
    host
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read() {
        let host = parse(
            "# made by hand\nnameserver 10.0.0.1\nnameserver fe80::1%eth0\n\
             domain old.example\nsearch lan example.org\noptions ndots:2\n",
        );
        assert_eq!(
            host.dns_servers,
            [IpAddr::from([10, 0, 0, 1]), "fe80::1".parse().unwrap()]
        );
        assert_eq!(host.dns_suffixes, ["lan", "example.org"]);
    }

    #[test]
    fn nonsense_is_passed_over() {
        let host = parse("nameserver\nnameserver x.y\nsearch\n\u{0}\n;nameserver 1.2.3.4");
        assert_eq!(host, Host::default());
    }
}
