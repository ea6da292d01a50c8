//! The handle of a joined group.

use std::{net::IpAddr, sync::Weak};

use super::{Group, MulticastError, Shared};
use crate::sys::group::Change;

/// Belonging to a group, until dropped.
#[derive(Debug)]
#[must_use = "dropping it leaves the group"]
pub struct Membership {
    /// Not an owner: closing the socket leaves every group.
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

    /// The interfaces by which the group is joined now, by index; none while
    /// they are away.
    pub fn interface_indexes(&self) -> Vec<u32> {
        self.shared
            .upgrade()
            .map(|shared| shared.memberships.interface_indexes(self.id))
            .unwrap_or_default()
    }

    /// Stops hearing what `source` sends to the group.
    ///
    /// # Errors
    /// [`MulticastError::Block`] if it is blocked already, or the membership is
    /// for one source only; [`MulticastError::NotASource`] if `source` is no
    /// machine's address.
    pub fn block(&self, source: IpAddr) -> Result<(), MulticastError> {
        self.filter(source, Change::Block(source))
    }

    /// Hears `source` again.
    ///
    /// # Errors
    /// [`MulticastError::Block`] if it is not blocked.
    pub fn unblock(&self, source: IpAddr) -> Result<(), MulticastError> {
        self.filter(source, Change::Unblock(source))
    }

    /// Leaves the group, as dropping does.
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
