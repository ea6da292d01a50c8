//! The handle of a group membership.

use std::{net::IpAddr, sync::Weak};

use super::{Group, MulticastError, Shared};
use crate::sys::group::Change;

/// Membership in a group. Dropping it leaves the group.
#[derive(Debug)]
#[must_use = "dropping it leaves the group"]
pub struct Membership {
    /// Not an owner: closing the socket leaves every group anyway.
    shared: Weak<Shared>,
    id: u64,
    group: Group,
}

impl Membership {
    pub(super) fn new(shared: Weak<Shared>, id: u64, group: Group) -> Self {
        Self { shared, id, group }
    }

    /// The group.
    pub fn group(&self) -> Group {
        self.group
    }

    /// Indexes of the interfaces on which the group is currently joined; empty
    /// while they are absent.
    pub fn interface_indexes(&self) -> Vec<u32> {
        self.shared
            .upgrade()
            .map(|shared| shared.memberships.interface_indexes(self.id))
            .unwrap_or_default()
    }

    /// Stops receiving from `source` in this group.
    ///
    /// # Errors
    /// [`MulticastError::Block`] if it is already blocked, or the membership is
    /// source-specific; [`MulticastError::NotASource`] if `source` is not a
    /// unicast address.
    pub fn block(&self, source: IpAddr) -> Result<(), MulticastError> {
        self.filter(source, Change::Block(source))
    }

    /// Receives from `source` again.
    ///
    /// # Errors
    /// [`MulticastError::Block`] if it is not blocked.
    pub fn unblock(&self, source: IpAddr) -> Result<(), MulticastError> {
        self.filter(source, Change::Unblock(source))
    }

    /// Leaves the group, as dropping it does.
    pub fn leave(self) {}

    fn filter(&self, source: IpAddr, change: Change) -> Result<(), MulticastError> {
        let source_address = self.group.check_source(source)?;
        let shared = self.shared.upgrade().ok_or(MulticastError::Closed)?;
        shared
            .memberships
            .filter(shared.udp.socket(), self.id, source_address, change)
            .map_err(|source| MulticastError::Block {
                group: self.group,
                source_address,
                source,
            })
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.memberships.remove(shared.udp.socket(), self.id);
        }
    }
}
