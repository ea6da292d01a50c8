//! The key expressions of a name. Pure.

use std::net::{Ipv6Addr, SocketAddr};

use crate::AddressPath;

/// Where the messages of one name go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Keys {
    name: AddressPath,
}

impl Keys {
    /// `None` if it is a pattern, or empty.
    pub(crate) fn of(name: &AddressPath) -> Option<Self> {
        let is_name = !name.is_empty() && !name.is_pattern();
        is_name.then(|| Self { name: name.clone() })
    }

    /// What the publisher sends to all.
    pub(crate) fn messages(&self) -> String {
        format!("{PREFIX}/messages/{}", self.name)
    }

    /// What one subscriber sends to the publisher.
    pub(crate) fn to_publisher(&self, subscriber: Subscriber) -> String {
        format!("{PREFIX}/back/{}/{}", self.name, subscriber.text())
    }

    /// What all of them send.
    pub(crate) fn all_to_publisher(&self) -> String {
        format!("{PREFIX}/back/{}/*", self.name)
    }

    /// What the publisher replies to one subscriber.
    pub(crate) fn to_subscriber(&self, subscriber: Subscriber) -> String {
        format!("{PREFIX}/replies/{}/{}", self.name, subscriber.text())
    }

    /// The token that the publisher is there.
    pub(crate) fn token(&self) -> String {
        format!("{PREFIX}/publishers/{}", self.name)
    }

    /// The tokens of those that match.
    pub(crate) fn publishers(pattern: &AddressPath) -> String {
        let pattern = if pattern.is_empty() {
            "**"
        } else {
            pattern.as_str()
        };
        format!("{PREFIX}/publishers/{pattern}")
    }

    /// The name in a token.
    pub(crate) fn publisher(token: &str) -> Option<AddressPath> {
        let name = token.strip_prefix(PREFIX)?.strip_prefix("/publishers/")?;
        let name: AddressPath = name.parse().ok()?;
        Self::of(&name).map(|keys| keys.name)
    }
}

/// A subscriber, by a random number. To those above it is an address, like those of
/// subscribers that send datagrams.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Subscriber(u128);

impl Subscriber {
    /// Of a number that was drawn for it.
    pub(crate) fn new(number: u128) -> Self {
        Self(number)
    }

    /// Of a key as [`Keys::to_publisher`] makes it.
    pub(crate) fn of_key(key: &str) -> Option<Self> {
        let (_, text) = key.rsplit_once('/')?;
        let subscriber = Self(u128::from_str_radix(text, 16).ok()?);
        // Another form of the number would be another key.
        (subscriber.text() == text).then_some(subscriber)
    }

    pub(crate) fn address(self) -> SocketAddr {
        (Ipv6Addr::from_bits(self.0), 0).into()
    }

    pub(crate) fn of_address(address: SocketAddr) -> Option<Self> {
        match address {
            SocketAddr::V6(v6) => Some(Self(v6.ip().to_bits())),
            SocketAddr::V4(_) => None,
        }
    }

    fn text(self) -> String {
        format!("{:032x}", self.0)
    }
}

const PREFIX: &str = "sockkit/1";

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> AddressPath {
        text.parse().unwrap()
    }

    #[test]
    fn one_name_has_keys_and_a_pattern_has_none() {
        let keys = Keys::of(&name("site-a/porch")).unwrap();
        assert_eq!(keys.messages(), "sockkit/1/messages/site-a/porch");
        assert_eq!(Keys::publisher(&keys.token()), Some(name("site-a/porch")));
        for text in ["", "site-a/*", "**"] {
            assert_eq!(Keys::of(&name(text)), None);
        }
        assert_eq!(Keys::publishers(&name("")), "sockkit/1/publishers/**");
        for token in [
            "sockkit/1/publishers/",
            "sockkit/1/publishers/a/*",
            "sockkit/1/publishers/a b",
            "sockkit/2/publishers/a",
            "other",
        ] {
            assert_eq!(Keys::publisher(token), None, "{token}");
        }
    }

    #[test]
    fn a_subscriber_is_found_in_its_key_and_in_its_address() {
        let keys = Keys::of(&name("porch")).unwrap();
        let subscriber = Subscriber(0x0102_abcd);
        let key = keys.to_publisher(subscriber);
        assert_eq!(Subscriber::of_key(&key), Some(subscriber));
        assert_eq!(
            Subscriber::of_address(subscriber.address()),
            Some(subscriber)
        );
        for key in [
            "",
            "x",
            "a/",
            "a/1",
            "a/+0000000000000000000000000000001",
            &key.to_uppercase(),
        ] {
            assert_eq!(Subscriber::of_key(key), None, "{key}");
        }
    }
}
