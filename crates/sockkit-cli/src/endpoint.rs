//! Where pictures go to or come from, as a URL.

use std::{fmt, net::SocketAddr, str::FromStr};

use anyhow::Context;
use tokio::net::lookup_host;

/// `udp://HOST:PORT`: a machine by name or address, or a multicast group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Endpoint(String);

impl Endpoint {
    /// The address this names.
    pub(crate) async fn resolve(&self) -> anyhow::Result<SocketAddr> {
        lookup_host(&self.0)
            .await
            .map(|mut found| found.next())
            .with_context(|| format!("cannot resolve {self}"))?
            .with_context(|| format!("{self} has no address"))
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        let well_formed = |rest: &&str| {
            rest.rsplit_once(':')
                .is_some_and(|(host, port)| is_host(host) && port.parse::<u16>().is_ok())
        };
        url.strip_prefix("udp://")
            .filter(well_formed)
            .map(|rest| Self(rest.to_owned()))
            .ok_or_else(|| "not udp://HOST:PORT (an IPv6 address goes in brackets)".to_owned())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "udp://{}", self.0)
    }
}

fn is_host(host: &str) -> bool {
    let bracketed = host.starts_with('[') && host.ends_with(']');
    !host.is_empty() && (bracketed || !host.contains([':', '/', '@', '[', ']']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_shown_alike() {
        for url in [
            "udp://239.1.2.3:5600",
            "udp://[::1]:5600",
            "udp://desk.lan:0",
        ] {
            assert_eq!(url.parse::<Endpoint>().unwrap().to_string(), url);
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for text in [
            "",
            "127.0.0.1:5600",
            "http://127.0.0.1:5600",
            "udp://",
            "udp://:5600",
            "udp://127.0.0.1",
            "udp://127.0.0.1:65536",
            "udp://::1:5600",
            "udp://host:1/path",
            "udp://user@host:1",
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }
}
