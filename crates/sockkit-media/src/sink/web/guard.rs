//! Who may ask: keeps web pages from elsewhere away from the pictures.
//!
//! A page on any web site can make its visitor's browser send requests here.
//! The browser lets that page read the answers once the page's own host name
//! resolves to this machine (DNS rebinding), so a request must name this
//! machine the way its users do: by address, as `localhost`, or by a name that
//! was configured. An `Origin` header must say the same.
//!
//! Pure: it looks at header values alone.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Decides by the names this machine is known under.
#[derive(Clone, Debug, Default)]
pub(super) struct Guard {
    names: Vec<String>,
}

impl Guard {
    pub(super) fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self {
            names: names.into_iter().collect(),
        }
    }

    /// Checks the request's authority and the page it comes from, if it says.
    pub(super) fn check(&self, host: Option<&str>, origin: Option<&str>) -> Result<(), Refusal> {
        let host = host.ok_or(Refusal::NoHost)?;
        if !self.knows(host) {
            return Err(Refusal::ForeignHost);
        }
        match origin {
            Some(origin) if !self.is_ours(origin, host) => Err(Refusal::ForeignOrigin),
            _ => Ok(()),
        }
    }

    fn knows(&self, authority: &str) -> bool {
        let Some(name) = name_of(authority) else {
            return false;
        };
        is_address(name) || name.eq_ignore_ascii_case("localhost") || self.has(name)
    }

    fn has(&self, name: &str) -> bool {
        self.names
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name))
    }

    /// A page we served, or one of a configured name.
    fn is_ours(&self, origin: &str, host: &str) -> bool {
        let Some(authority) = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"))
        else {
            return false;
        };
        authority.eq_ignore_ascii_case(host)
            || name_of(authority).is_some_and(|name| self.has(name))
    }
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the request names no host")]
    NoHost,
    #[error(
        "the request's Host is neither an address nor localhost nor a configured name: \
         add the name to the viewer's names if it is this machine's"
    )]
    ForeignHost,
    #[error("the request comes from a page of another origin")]
    ForeignOrigin,
}

/// The host of `host[:port]`, without the brackets of an IPv6 address.
fn name_of(authority: &str) -> Option<&str> {
    let (name, rest) = match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None => match authority.find(':') {
            Some(colon) => authority.split_at(colon),
            None => (authority, ""),
        },
    };
    let port = rest.strip_prefix(':');
    let fits = rest.is_empty() || port.is_some_and(|port| port.parse::<u16>().is_ok());
    (fits && !name.is_empty()).then_some(name)
}

fn is_address(name: &str) -> bool {
    name.parse::<Ipv4Addr>().is_ok() || name.parse::<Ipv6Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(host: &str, origin: Option<&str>, expected: Result<(), Refusal>) {
        let guard = Guard::new(["camera.lan".to_owned()]);
        assert_eq!(
            guard.check(Some(host), origin),
            expected,
            "{host} {origin:?}"
        );
    }

    #[test]
    fn addresses_localhost_and_configured_names_may_ask() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:8088",
            "192.168.1.7:80",
            "[::1]",
            "[::1]:8088",
            "localhost",
            "LOCALHOST:8088",
            "Camera.LAN:8088",
        ] {
            check(host, None, Ok(()));
        }
    }

    #[test]
    fn other_names_may_not() {
        for host in [
            "evil.example",
            "evil.example:8088",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "camera.lan.evil.example",
            "127.0.0.1:evil",
            "[::1",
            "[::1]evil.example",
            "::1",
            "localhost:99999",
            "user@localhost",
            "2130706433",
            ":8088",
            "",
        ] {
            check(host, None, Err(Refusal::ForeignHost));
        }
    }

    #[test]
    fn a_request_without_host_is_refused() {
        assert_eq!(Guard::default().check(None, None), Err(Refusal::NoHost));
    }

    #[test]
    fn our_own_page_may_ask() {
        check("127.0.0.1:8088", Some("http://127.0.0.1:8088"), Ok(()));
        check("localhost:8088", Some("http://LOCALHOST:8088"), Ok(()));
        check("camera.lan", Some("https://camera.lan"), Ok(()));
        // A page that a proxy serves under the configured name.
        check("127.0.0.1:8088", Some("https://camera.lan:8443"), Ok(()));
    }

    #[test]
    fn pages_from_elsewhere_may_not() {
        for origin in [
            "http://evil.example",
            "http://127.0.0.1",
            "http://127.0.0.1:8089",
            "http://127.0.0.1:8088.evil.example",
            "null",
            "",
            "file://",
        ] {
            check("127.0.0.1:8088", Some(origin), Err(Refusal::ForeignOrigin));
        }
    }
}
