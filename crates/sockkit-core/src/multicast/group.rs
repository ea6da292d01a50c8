//! A multicast address.

use std::{fmt, net::IpAddr, str::FromStr};

use super::MulticastError;

/// A multicast address: 224.0.0.0/4 or ff00::/8.
///
/// # Source
/// RFC 5771 (IPv4), RFC 4291 §2.7 (IPv6).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Group(IpAddr);

/// The address is not a multicast address.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{address:?} is not a multicast group: groups are 224.0.0.0 to 239.255.255.255, and ff00::/8"
)]
#[non_exhaustive]
pub struct NotAGroup {
    /// The given text or address.
    pub address: Box<str>,
}

impl Group {
    /// Checks that `address` is a multicast address.
    ///
    /// # Errors
    /// [`NotAGroup`] if it is not.
    pub fn new(address: IpAddr) -> Result<Self, NotAGroup> {
        if address.is_multicast() {
            Ok(Self(address))
        } else {
            Err(NotAGroup {
                address: address.to_string().into(),
            })
        }
    }

    /// The address.
    pub fn ip(self) -> IpAddr {
        self.0
    }

    /// Returns `source` if it can be a source of this group.
    pub(super) fn check_source(self, source: IpAddr) -> Result<IpAddr, MulticastError> {
        let is_machine =
            !source.is_multicast() && !source.is_unspecified() && source != IpAddr::from([255; 4]);
        if is_machine && source.is_ipv4() == self.0.is_ipv4() {
            Ok(source)
        } else {
            Err(MulticastError::NotASource {
                source_address: source,
                group: self,
            })
        }
    }
}

impl TryFrom<IpAddr> for Group {
    type Error = NotAGroup;

    fn try_from(address: IpAddr) -> Result<Self, Self::Error> {
        Self::new(address)
    }
}

impl FromStr for Group {
    type Err = NotAGroup;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let not_a_group = || NotAGroup {
            address: text.into(),
        };
        Self::new(text.parse().map_err(|_| not_a_group())?).map_err(|_| not_a_group())
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_begin_and_end_where_the_standards_say() {
        for group in [
            "224.0.0.0",
            "224.0.0.255",
            "239.255.255.255",
            "ff00::",
            "ff02::1",
        ] {
            assert!(group.parse::<Group>().is_ok(), "{group}");
        }
        for other in [
            "223.255.255.255",
            "240.0.0.0",
            "255.255.255.255",
            "fe80::1",
            "::1",
            "x",
        ] {
            let error = other.parse::<Group>().unwrap_err();
            assert_eq!(&*error.address, other);
        }
    }

    #[test]
    fn a_source_is_a_machine_of_the_same_ip_version() {
        let group: Group = "232.1.1.1".parse().unwrap();
        assert!(group.check_source([10, 0, 0, 1].into()).is_ok());
        for other in ["232.1.1.1", "0.0.0.0", "255.255.255.255", "fd00::1"] {
            assert!(
                group.check_source(other.parse().unwrap()).is_err(),
                "{other}"
            );
        }
    }
}
