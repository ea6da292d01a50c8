//! What can fail about groups.

use std::{io, net::IpAddr};

use super::{Group, NotAGroup};
use crate::{interfaces::NoSuchInterface, udp::UdpError};

/// Why a group was not joined, or a source not blocked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MulticastError {
    /// The address names a machine, not a group.
    #[error(transparent)]
    NotAGroup(#[from] NotAGroup),
    /// The address cannot be a sender to the group.
    #[error("{source_address} cannot be a source of {group}: another IP version, or no machine")]
    NotASource {
        /// The address asked for.
        source_address: IpAddr,
        /// The group.
        group: Group,
    },
    /// No interface is what was asked for.
    #[error(transparent)]
    Interface(#[from] NoSuchInterface),
    /// There is no interface to join by: none is up, or no route leads to the
    /// group.
    #[error("no interface leads to {group}; name one")]
    NoInterface {
        /// The group.
        group: Group,
    },
    /// The system refused the membership.
    #[error("cannot join {group} by interface {interface_index}")]
    Join {
        /// The group.
        group: Group,
        /// The interface.
        interface_index: u32,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused to block or unblock.
    #[error("cannot change whether {source_address} is heard in {group}")]
    Block {
        /// The group.
        group: Group,
        /// Who was to be blocked or unblocked.
        source_address: IpAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The endpoint is gone, and the membership with it.
    #[error("the endpoint is closed")]
    Closed,
    /// The endpoint failed.
    #[error(transparent)]
    Udp(#[from] UdpError),
    /// The operating system failed us.
    #[error("socket failed")]
    Io(#[from] io::Error),
}
