//! Saying which interface: by index, name or address.

use std::{convert::Infallible, fmt, io, net::IpAddr, str::FromStr};

use super::{Interface, list};

/// Names one interface, the way a person does.
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
    /// The interface with this number.
    Index(u32),
    /// The interface with this name.
    Name(String),
    /// The interface with this address.
    Address(IpAddr),
}

/// No interface is what was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoSuchInterface {
    /// None matches now; it may have gone or not have come yet.
    #[error("no interface is {0}")]
    Unknown(InterfaceSelector),
    /// The system would not list them.
    #[error("cannot list interfaces")]
    List(#[from] io::Error),
}

impl InterfaceSelector {
    /// The interface that matches now.
    ///
    /// # Errors
    /// [`NoSuchInterface`] if none does.
    pub fn find(&self) -> Result<Interface, NoSuchInterface> {
        list()?
            .into_iter()
            .find(|interface| self.matches(interface))
            .ok_or_else(|| NoSuchInterface::Unknown(self.clone()))
    }

    /// Whether `interface` is meant.
    pub fn matches(&self, interface: &Interface) -> bool {
        match self {
            Self::Index(index) => interface.index == *index,
            Self::Name(name) => interface.name == *name,
            Self::Address(ip) => interface.addresses.iter().any(|address| address.ip == *ip),
        }
    }
}

/// A number is an index, an address is an address, and all else a name.
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
