//! Group membership.

use std::net::IpAddr;

#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(windows, path = "windows.rs")]
#[cfg_attr(not(any(target_os = "linux", windows)), path = "portable.rs")]
mod imp;

pub(crate) use imp::{change, set_outgoing_ipv4};

/// A change to a membership.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Change {
    Join,
    Leave,
    JoinSource(IpAddr),
    LeaveSource(IpAddr),
    Block(IpAddr),
    Unblock(IpAddr),
}
