//! Selects an interface by index, name or address.

use std::{convert::Infallible, fmt, io, net::IpAddr, str::FromStr};

use super::{Interface, list};

/// Selects one interface by index, name or address.
///
/// ```
/// # use sockkit_core as sockkit;
/// use sockkit::interfaces::InterfaceSelector;
///
/// assert_eq!("2".parse(), Ok(InterfaceSelector::Index(2)));
/// assert_eq!("eth0".parse(), Ok(InterfaceSelector::Name("eth0".to_owned())));
/// assert_eq!("127.0.0.1".parse(), Ok(InterfaceSelector::Address([127, 0, 0, 1].into())));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum InterfaceSelector {
    /// The interface with this index.
    Index(u32),
    /// The interface with this name.
    Name(String),
    /// The interface with this address.
    Address(IpAddr),
}

/// Error from selecting an interface.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoSuchInterface {
    /// No interface matches; it may have gone, or may appear later.
    #[error("no interface is {0}")]
    Unknown(InterfaceSelector),
    /// The operating system could not list the interfaces.
    #[error("cannot list interfaces")]
    List(#[from] io::Error),
}

impl InterfaceSelector {
    /// Returns the interface that matches now.
    ///
    /// # Errors
    /// [`NoSuchInterface`] if none matches.
    pub fn find(&self) -> Result<Interface, NoSuchInterface> {
        list()?
            .into_iter()
            .find(|interface| self.matches(interface))
            .ok_or_else(|| NoSuchInterface::Unknown(self.clone()))
    }

    /// Whether `interface` matches.
    pub fn matches(&self, interface: &Interface) -> bool {
        match self {
            Self::Index(index) => interface.index == *index,
            Self::Name(name) => interface.name == *name,
            Self::Address(ip) => interface.addresses.iter().any(|address| address.ip == *ip),
        }
    }
}

/// A number is an index, an IP address an address, and anything else a name.
impl FromStr for InterfaceSelector {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if let Ok(index) = text.parse() {
            Self::Index(index)
        } else if let Ok(address) = text.parse() {
            Self::Address(address)
        } else {
            Self::Name(text.to_owned())
        })
    }
}

impl fmt::Display for InterfaceSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => write!(f, "number {index}"),
            Self::Name(name) => write!(f, "named {name:?}"),
            Self::Address(address) => write!(f, "at {address}"),
        }
    }
}
