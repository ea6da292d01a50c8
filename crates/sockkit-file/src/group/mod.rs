//! One sender, many receivers: data once by multicast, then parity for what the
//! worst receiver lacks.
//!
//! Each member of the group has its own authenticated connection to the sender.
//! It carries everything that is believed: the offer, the digest of each block,
//! polls, and the end. Only shards are multicast, sealed with a key that all
//! members have. A member can therefore disturb the others, but not make them
//! accept other bytes.
//!
//! [`GroupOffer::send`] sends to a group, and [`join`] receives from one.
//! [`GroupSender`] and [`GroupReceiver`] are the two halves of the protocol; they
//! are pure.
//!
//! # Source
//! `docs/wire/group.md`.

mod active;
mod bundle;
mod config;
mod error;
mod frames;
mod identify;
mod layout;
mod member;
mod message;
mod packet;
mod patience;
mod rate;
mod receive;
mod receiver;
mod repair;
mod roster;
mod send;
mod sender;
#[cfg(test)]
mod simulated;
mod source;
#[cfg(test)]
mod tests;

pub use self::{
    bundle::ReadError,
    config::{
        GroupEvent, GroupSendConfig, GroupSummary, MemberOutcome, MemberSummary, OnGroupEvent,
    },
    error::GroupError,
    identify::{Preceded, SenderKind, identify},
    layout::{Layout, LayoutError, ShardId},
    message::{MessageError, ToMember, ToSender, Welcome},
    packet::{GroupKey, OVERHEAD_BYTES, Opened},
    receive::{JoinConfig, JoinedGroup, join},
    receiver::{BlockChanged, GroupReceiver, Request},
    roster::NewMember,
    send::GroupOffer,
    sender::{GroupSender, InvalidReport, Lack, MemberId, Step},
};
