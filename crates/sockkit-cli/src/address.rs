//! Address defaults of each subcommand.

use std::net::IpAddr;

use anyhow::bail;
use sockkit::{
    interfaces::{self, Interface},
    link::{Address, AddressDefaults, Host, Scheme},
};

/// Files: one side listens and the other dials.
pub(crate) const FILES: AddressDefaults =
    AddressDefaults::new(&[Scheme::Tcp, Scheme::Quic], FILES_PORT);

/// Where files are listened for in the clear, unless the user chooses another address.
pub(crate) const FILES_LOCAL: &str = "127.0.0.1:5010";

/// Where files are listened for by a side that authenticates the other.
pub(crate) const FILES_ANY: &str = ":5010";

/// Pictures: `cam` sends or listens, and `view` receives or dials.
pub(crate) const PICTURES: AddressDefaults = AddressDefaults::new(
    &[Scheme::Udp, Scheme::Tcp, Scheme::Quic, Scheme::Zenoh],
    PICTURES_PORT,
);

/// Where `cam` sends pictures, or listens.
pub(crate) const DESTINATIONS: AddressDefaults = AddressDefaults::new(
    &[
        Scheme::Udp,
        Scheme::Tcp,
        Scheme::Quic,
        Scheme::Zenoh,
        Scheme::Rtp,
        Scheme::Rtsp,
    ],
    PICTURES_PORT,
);

/// Where `cam` listens for viewers and players.
pub(crate) const CONNECTED: AddressDefaults = AddressDefaults::new(
    &[Scheme::Tcp, Scheme::Quic, Scheme::Udp, Scheme::Rtsp],
    PICTURES_PORT,
);

/// Where `view` receives what cameras send to it.
pub(crate) const RECEIVED: AddressDefaults = AddressDefaults::new(&[Scheme::Udp], PICTURES_PORT);

/// The page of the browser viewer.
pub(crate) const WEB: AddressDefaults = AddressDefaults::new(&[Scheme::Tcp], WEB_PORT);

/// The page for files, beside a browser viewer.
pub(crate) const WEB_FILES: AddressDefaults = AddressDefaults::new(&[Scheme::Tcp], WEB_FILES_PORT);

/// As typed. A link-local address without its interface is rejected now: it is one on each
/// of them, and the system would call it an invalid argument.
pub(crate) fn parse(defaults: AddressDefaults, text: &str) -> anyhow::Result<Address> {
    let address = defaults.parse(text)?;
    if let Host::V6 { ip, zone: None } = address.host()
        && ip.is_unicast_link_local()
    {
        let here = link_local_interfaces();
        let first = here.first().map_or("INTERFACE", String::as_str);
        let here = match &here[..] {
            [] => "; no interface of this machine has such addresses".to_owned(),
            here => format!("; interfaces here: {}", here.join(", ")),
        };
        bail!("{ip} is link-local: add %INTERFACE, such as {ip}%{first}{here}");
    }
    Ok(address)
}

/// Names of those that have an address of this kind.
fn link_local_interfaces() -> Vec<String> {
    let has_one = |interface: &Interface| {
        let mut all = interface.addresses.iter();
        all.any(|address| matches!(address.ip, IpAddr::V6(ip) if ip.is_unicast_link_local()))
    };
    let interfaces = interfaces::list().unwrap_or_default();
    let with_one = interfaces.into_iter().filter(has_one);
    with_one.map(|interface| interface.name).collect()
}

/// For clap, which names the option in errors.
pub(crate) fn files(text: &str) -> anyhow::Result<Address> {
    parse(FILES, text)
}

/// Likewise for the destinations of pictures.
pub(crate) fn destination(text: &str) -> anyhow::Result<Address> {
    parse(DESTINATIONS, text)
}

/// Likewise for the browser viewer.
pub(crate) fn web(text: &str) -> anyhow::Result<Address> {
    parse(WEB, text)
}

/// Likewise for the page for files.
pub(crate) fn web_files(text: &str) -> anyhow::Result<Address> {
    parse(WEB_FILES, text)
}

/// The form that a user types, where an address without a scheme means TCP.
pub(crate) fn shown(address: &Address) -> String {
    match address.scheme() {
        Scheme::Tcp => format!("{}:{}", address.host(), address.port()),
        _ => address.to_string(),
    }
}

pub(crate) const FILES_PORT: u16 = 5010;
pub(crate) const PICTURES_PORT: u16 = 5006;
const WEB_PORT: u16 = 8088;
const WEB_FILES_PORT: u16 = 8089;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_port_and_its_schemes() {
        for (read, full) in [
            (files("desk.lan"), "tcp://desk.lan:5010"),
            (files("quic://[::1]"), "quic://[::1]:5010"),
            (destination("239.1.2.3"), "udp://239.1.2.3:5006"),
            (destination("tcp://:7000"), "tcp://:7000"),
            (destination("zenoh://hub/porch"), "zenoh://hub:7447/porch"),
            (destination("rtp://239.1.2.3"), "rtp://239.1.2.3:5004"),
            (parse(CONNECTED, "rtsp://"), "rtsp://:8554"),
            (web(""), "tcp://:8088"),
        ] {
            assert_eq!(read.unwrap().to_string(), full);
        }
        let error = files("udp://desk.lan:5010").unwrap_err().to_string();
        assert!(error.contains("quic://"), "{error}");
    }

    #[test]
    fn a_link_local_address_needs_its_interface() {
        for read in [
            files("[fe80::1]:7000"),
            files("quic://[fe80::1]"),
            destination("udp://[fe80::1]:5006"),
            web("[fe80::1]:8088"),
        ] {
            let error = read.unwrap_err().to_string();
            assert!(error.contains("such as fe80::1%"), "{error}");
        }
        for good in ["[fe80::1%lo]:7000", "[fd00::1]:7000", "[::1]:7000"] {
            assert!(files(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn what_is_shown_is_read_back() {
        for text in ["desk.lan:5010", "quic://[::1]:5010", "[fe80::1%2]:7000"] {
            assert_eq!(shown(&files(text).unwrap()), text);
        }
    }
}
