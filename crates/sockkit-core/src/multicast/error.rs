//! Errors of multicast groups.

use std::{io, net::IpAddr};

use super::{Group, NotAGroup};
use crate::{interfaces::NoSuchInterface, udp::UdpError};

/// Error from joining a group, or from blocking a source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MulticastError {
    /// The address is not a multicast address.
    #[error(transparent)]
    NotAGroup(#[from] NotAGroup),
    /// The address cannot be a source of the group.
    #[error(
        "{source_address} cannot be a source of {group}: wrong IP version, or not a unicast address"
    )]
    NotASource {
        /// The requested address.
        source_address: IpAddr,
        /// The group.
        group: Group,
    },
    /// No interface matches the selector.
    #[error(transparent)]
    Interface(#[from] NoSuchInterface),
    /// There is no interface to join on: none is up, or no route leads to the
    /// group.
    #[error("no interface leads to {group}; specify one")]
    NoInterface {
        /// The group.
        group: Group,
    },
    /// The operating system rejected the membership.
    #[error("cannot join {group} on interface {interface_index}")]
    Join {
        /// The group.
        group: Group,
        /// The interface.
        interface_index: u32,
        /// Error from the operating system.
        source: io::Error,
    },
    /// The operating system rejected blocking or unblocking.
    #[error("cannot block or unblock {source_address} in {group}")]
    Block {
        /// The group.
        group: Group,
        /// The source to be blocked or unblocked.
        source_address: IpAddr,
        /// Error from the operating system.
        source: io::Error,
    },
    /// The endpoint was dropped, and its memberships with it.
    #[error("the endpoint is closed")]
    Closed,
    /// The endpoint failed.
    #[error(transparent)]
    Udp(#[from] UdpError),
    /// The operating system failed.
    #[error("socket failed")]
    Io(#[from] io::Error),
}
