//! The value of any option, for tables and reports.

use std::{fmt, net::Ipv4Addr, time::Duration};

use super::{Ecn, Linger, PathMtuDiscovery, TrafficClass};

/// The value of an option.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// On or off.
    Switch(bool),
    /// A number in the option's unit; `u64::MAX` means none.
    Number(u64),
    /// A duration; `None` means unlimited.
    Time(Option<Duration>),
    /// An IPv4 address.
    Address(Ipv4Addr),
    /// A name, such as an interface's or an algorithm's; empty if unset.
    Name(String),
    /// DSCP and ECN.
    TrafficClass(TrafficClass),
    /// How closing treats unsent bytes.
    Linger(Linger),
    /// Path MTU discovery.
    PathMtuDiscovery(PathMtuDiscovery),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Switch(true) => "on".to_owned(),
            Self::Switch(false) => "off".to_owned(),
            // The kernel's -1: no CPU yet, no limit.
            Self::Number(u64::MAX) => "none".to_owned(),
            Self::Number(number) => number.to_string(),
            Self::Time(Some(time)) => format!("{time:?}"),
            Self::Time(None) => "none".to_owned(),
            Self::Name(name) if name.is_empty() => "none".to_owned(),
            Self::Address(address) => address.to_string(),
            Self::Name(name) => name.clone(),
            Self::TrafficClass(class) => {
                let ecn = match class.ecn {
                    Ecn::NotCapable => "not-ECT",
                    Ecn::Capable0 => "ECT(0)",
                    Ecn::Capable1 => "ECT(1)",
                    Ecn::CongestionExperienced => "CE",
                };
                format!("DSCP {}, {ecn}", class.dscp.code())
            }
            Self::Linger(Linger::Background) => "background".to_owned(),
            Self::Linger(Linger::Wait(time)) => format!("wait {time:?}"),
            Self::Linger(Linger::Abort) => "abort".to_owned(),
            Self::PathMtuDiscovery(mode) => format!("{mode:?}").to_lowercase(),
        };
        f.pad(&text)
    }
}

/// `From` for the Rust types of the table, one line each.
macro_rules! value_from {
    ($($from:ty => |$value:ident| $into:expr;)*) => {$(
        impl From<$from> for Value {
            fn from($value: $from) -> Self {
                $into
            }
        }
    )*};
}

value_from! {
    bool => |value| Self::Switch(value);
    u8 => |value| Self::Number(value.into());
    u32 => |value| Self::Number(value.into());
    u64 => |value| Self::Number(value);
    usize => |value| Self::Number(value as u64);
    Duration => |value| Self::Time(Some(value));
    Option<Duration> => |value| Self::Time(value);
    Ipv4Addr => |value| Self::Address(value);
    String => |value| Self::Name(value);
    TrafficClass => |value| Self::TrafficClass(value);
    Linger => |value| Self::Linger(value);
    PathMtuDiscovery => |value| Self::PathMtuDiscovery(value);
}
