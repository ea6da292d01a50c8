//! Where pictures go to or come from, as a URL.

use std::{fmt, net::SocketAddr, str::FromStr};

use anyhow::Context;
use tokio::net::lookup_host;

/// `udp://HOST:PORT`, a machine by name or address or a multicast group, or
/// `tcp://HOST:PORT`, where the sender listens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Endpoint {
    pub(crate) transport: Transport,
    /// HOST:PORT.
    pub(crate) authority: String,
}

/// How pictures travel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

impl Endpoint {
    /// The address this names.
    pub(crate) async fn resolve(&self) -> anyhow::Result<SocketAddr> {
        lookup_host(&self.authority)
            .await
            .map(|mut found| found.next())
            .with_context(|| format!("cannot resolve {self}"))?
            .with_context(|| format!("{self} has no address"))
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        let well_formed = |rest: &str| {
            rest.rsplit_once(':')
                .is_some_and(|(host, port)| is_host(host) && port.parse::<u16>().is_ok())
        };
        for transport in [Transport::Udp, Transport::Tcp] {
            if let Some(rest) = url.strip_prefix(transport.scheme())
                && well_formed(rest)
            {
                let authority = rest.to_owned();
                return Ok(Self {
                    transport,
                    authority,
                });
            }
        }
        Err("not udp://HOST:PORT or tcp://HOST:PORT (an IPv6 address goes in brackets)".to_owned())
    }
}

impl Transport {
    fn scheme(self) -> &'static str {
        match self {
            Self::Udp => "udp://",
            Self::Tcp => "tcp://",
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.transport.scheme(), self.authority)
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
            "tcp://127.0.0.1:5600",
            "tcp://[fe80::1]:5600",
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
            "tcp://",
            "tcp://host",
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }
}
