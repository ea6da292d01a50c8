//! The other side as a user types it: a code, a name, or an address.

use std::fmt;

use sockkit::link::{
    Address, AddressDefaults, Host, Scheme,
    pairing::{Code, CodeError},
};

use crate::address;

/// Where to connect to, and by what the other side is recognised.
#[derive(Clone, Debug)]
pub(crate) enum Remote {
    /// The code that it shows, by whose number it is found on the network.
    Code(Code),
    /// A code, to be read from standard input.
    Typed,
    /// Its address, or a name.
    Address(Address),
}

impl Remote {
    fn parse(text: &str, defaults: AddressDefaults) -> anyhow::Result<Self> {
        if text == "-" {
            return Ok(Self::Typed);
        }
        // A code can be typed with other separators; an address has them, too.
        let may_be_code = !text.contains(['.', ':', '/', '[']);
        let is_numbered = text.starts_with(|first: char| first.is_ascii_digit());
        match text.parse::<Code>() {
            Ok(code) if may_be_code => Ok(Self::Code(code)),
            Err(error @ CodeError::Word { .. }) if may_be_code && is_numbered => Err(error.into()),
            _ => Ok(Self::Address(address::parse(defaults, text)?)),
        }
    }

    /// A name that is no host name of DNS: of a known peer, or announced on this network.
    pub(crate) fn name(&self, default_port: u16) -> Option<&str> {
        match self {
            Self::Address(at) => bare_name(at, default_port),
            _ => None,
        }
    }
}

/// The name in `at`, unless it is one of DNS or of this machine, or has a port: then the
/// host is known.
pub(crate) fn bare_name(at: &Address, default_port: u16) -> Option<&str> {
    match at.host() {
        Host::Name(name) if !name.contains('.') && name != "localhost" => {
            (at.port() == default_port).then_some(name)
        }
        _ => None,
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Only the number is public.
            Self::Code(code) => match code.number() {
                Some(number) => write!(f, "the side that shows code {number}"),
                None => f.write_str("the side that shows the code"),
            },
            Self::Typed => f.write_str("the side that shows the code"),
            Self::Address(at) => f.write_str(&address::shown(at)),
        }
    }
}

/// For clap, which names the option in errors.
pub(crate) fn files(text: &str) -> anyhow::Result<Remote> {
    Remote::parse(text, address::FILES)
}

/// Likewise for pictures. A host without a scheme is one where a camera listens, which it
/// does over TCP by default.
pub(crate) fn pictures(text: &str) -> anyhow::Result<Remote> {
    let remote = Remote::parse(text, address::PICTURES)?;
    let is_host = |at: &Address| {
        let is_named = bare_name(at, address::PICTURES_PORT).is_some();
        !is_named && at.group().is_none() && !at.is_unspecified()
    };
    Ok(match remote {
        Remote::Address(at) if !text.contains("://") && is_host(&at) => {
            Remote::Address(Address::new(Scheme::Tcp, at.host().clone(), at.port()))
        }
        remote => remote,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_names_and_addresses_are_told_apart() {
        for text in ["7-coral-lamp", "7 Coral LAMP", "coral-lamp-orbit"] {
            assert!(matches!(files(text), Ok(Remote::Code(_))), "{text}");
        }
        assert!(matches!(files("-"), Ok(Remote::Typed)));
        for text in [
            "desk",
            "coral-lamp",
            "coral-lamp-orbits",
            "192.168.1.20",
            "home.office.club",
            "tcp://coral-lamp-orbit",
            "[fe80::1%2]:7000",
            "quic://desk",
        ] {
            assert!(matches!(files(text), Ok(Remote::Address(_))), "{text}");
        }
        let slip = format!("{:#}", files("7-cora-lamp").unwrap_err());
        assert!(slip.contains(r#"did you mean "coral""#), "{slip}");
    }

    #[test]
    fn a_camera_without_a_scheme_is_where_cam_listens() {
        for (text, scheme) in [
            ("192.168.1.20", Scheme::Tcp),
            ("desk.lan:7000", Scheme::Tcp),
            ("udp://192.168.1.20", Scheme::Udp),
            ("239.1.2.3", Scheme::Udp),
            (":7000", Scheme::Udp),
        ] {
            let Ok(Remote::Address(at)) = pictures(text) else {
                panic!("{text} is an address");
            };
            assert_eq!(at.scheme(), scheme, "{text}");
        }
    }

    #[test]
    fn names_are_told_from_hosts() {
        let name = |text: &str| files(text).unwrap().name(5010).map(str::to_owned);
        assert_eq!(name("desk").as_deref(), Some("desk"));
        assert_eq!(name("quic://desk").as_deref(), Some("desk"));
        for text in [
            "desk:7000",
            "desk.lan",
            "localhost",
            "10.0.0.1",
            "7-coral-lamp",
        ] {
            assert_eq!(name(text), None, "{text}");
        }
    }
}
