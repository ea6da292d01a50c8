//! Settings for sending to a group, and what is told about it.

use std::{fmt, io, net::SocketAddr, sync::Arc};

use sockkit_core::interfaces::InterfaceSelector;

/// Settings for sending to a group.
#[derive(Clone, Debug)]
#[must_use = "a config does nothing until something is sent with it"]
pub struct GroupSendConfig {
    pub(super) name: String,
    pub(super) group: SocketAddr,
    pub(super) outgoing: Option<InterfaceSelector>,
    pub(super) bits_per_second: u64,
    pub(super) on_event: OnGroupEvent,
}

impl GroupSendConfig {
    /// Sends to a random address of the local scope, 239.255.0.0/16, and a random
    /// port.
    ///
    /// # Errors
    /// If the system's random source fails.
    pub fn random() -> io::Result<Self> {
        let mut random = [0; 4];
        getrandom::fill(&mut random)?;
        let [a, b, port @ ..] = random;
        // Where the system takes ports for connections from, others are used.
        let port = 0x4000 | u16::from_be_bytes(port) & 0x3fff;
        Ok(Self::to(([239, 255, a, b], port).into()))
    }

    /// Sends to this multicast address and port.
    pub fn to(group: SocketAddr) -> Self {
        Self {
            name: String::new(),
            group,
            outgoing: None,
            bits_per_second: DEFAULT_BITS_PER_SECOND,
            on_event: OnGroupEvent::default(),
        }
    }

    /// Display name shown to the users at the members. Default: empty.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The interface on which to multicast. Default: that of the route.
    pub fn outgoing(mut self, interface: InterfaceSelector) -> Self {
        self.outgoing = Some(interface);
        self
    }

    /// Maximum rate in bits per second on an Ethernet. Less is used while most
    /// members lose much. Default: 80 Mbit/s.
    pub fn bits_per_second(mut self, bits_per_second: u64) -> Self {
        self.bits_per_second = bits_per_second.max(MIN_BITS_PER_SECOND);
        self
    }

    /// Callback for events. Default: none.
    pub fn on_event(mut self, on_event: OnGroupEvent) -> Self {
        self.on_event = on_event;
        self
    }
}

/// A callback for [`GroupEvent`]s, which must not block.
#[derive(Clone, Default)]
pub struct OnGroupEvent(Option<Arc<dyn Fn(GroupEvent) + Send + Sync>>);

impl OnGroupEvent {
    /// Calls `told` for each event.
    pub fn new(told: impl Fn(GroupEvent) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(told)))
    }

    pub(super) fn tell(&self, event: GroupEvent) {
        if let Some(told) = &self.0 {
            told(event);
        }
    }
}

impl fmt::Debug for OnGroupEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnGroupEvent").finish_non_exhaustive()
    }
}

/// What happened while sending to a group. `member` is the label with which it
/// was admitted.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum GroupEvent {
    /// A member has accepted the offer.
    Ready {
        /// Which member.
        member: String,
    },
    /// A member does not hear the group, and is served over its connection.
    Deaf {
        /// Which member.
        member: String,
    },
    /// A member has ended.
    Ended {
        /// Which member, and how.
        member: MemberSummary,
    },
    /// Bytes of files were multicast for the first time.
    Sent {
        /// How many.
        bytes: u64,
    },
    /// Everything was multicast, with repairs; members fetch what they still lack.
    Over,
}

/// How a member ended.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct MemberSummary {
    /// The label with which it was admitted.
    pub label: String,
    /// Its outcome.
    pub outcome: MemberOutcome,
}

/// Outcome of one member.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum MemberOutcome {
    /// It has everything, verified.
    Complete,
    /// It has everything but so many files, which it refused or could not keep.
    Without(u32),
    /// It disconnected, or was given up, for this reason.
    Failed(String),
}

/// Result of a transfer to a group.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct GroupSummary {
    /// Every member that was admitted, in order; one that came back is there once. Of
    /// more than 10,000, some that failed are left out.
    pub members: Vec<MemberSummary>,
    /// Bytes of the datagrams that were multicast.
    pub multicast_bytes: u64,
    /// Bytes of files that members fetched over their connections.
    pub fetched_bytes: u64,
}

const DEFAULT_BITS_PER_SECOND: u64 = 80_000_000;
const MIN_BITS_PER_SECOND: u64 = 100_000;
