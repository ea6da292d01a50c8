//! The name of the machine, and who translates names for it.

use std::{io, net::IpAddr};

/// What the machine is called, and whom it asks for names.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Host {
    /// Its own name: what `gethostname` gives.
    pub name: String,
    /// What is put behind short names before they are looked up.
    pub dns_suffixes: Vec<String>,
    /// The servers asked, in this order.
    pub dns_servers: Vec<IpAddr>,
}

/// Reads the name of the machine and its resolver's settings.
///
/// The settings are those of `/etc/resolv.conf`; a machine without that file
/// (Windows) has none here.
///
/// # Errors
/// What the system says if the file is there and cannot be read.
pub fn host() -> io::Result<Host> {
    let settings = match std::fs::read_to_string("/etc/resolv.conf") {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    Ok(Host {
        name: host_name(),
        ..parse(&settings)
    })
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

/// Reads resolv.conf(5); lines that make no sense are passed over, as the
/// resolver does.
fn parse(settings: &str) -> Host {
    let mut host = Host::default();
    for line in settings.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            // A scope (`fe80::1%eth0`) is the interface's matter.
            Some("nameserver") => host.dns_servers.extend(
                words
                    .next()
                    .and_then(|address| address.split('%').next()?.parse::<IpAddr>().ok()),
            ),
            // The last of the two keywords counts.
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
