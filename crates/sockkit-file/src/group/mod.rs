//! One sender, many receivers: data once by multicast, then parity for what the
//! worst receiver lacks.
//!
//! Each member of the group has its own authenticated connection to the sender.
//! It carries everything that is believed: the offer, the digest of each block,
//! polls, and the end. Only shards are multicast, sealed with a key that all
//! members have. A member can therefore disturb the others, but not make them
//! accept other bytes.
//!
//! [`GroupSender`] and [`GroupReceiver`] are the two halves of the protocol; they
//! are pure.
//!
//! # Source
//! `docs/wire/group.md`.

mod layout;
mod message;
mod packet;
mod receiver;
mod repair;
mod sender;
#[cfg(test)]
mod simulated;

pub use self::{
    layout::{Layout, LayoutError, ShardId},
    message::{MessageError, ToMember, ToSender, Welcome},
    packet::{GroupKey, OVERHEAD_BYTES, Opened},
    receiver::{BlockChanged, GroupReceiver, Request},
    repair::{parity, restore},
    sender::{GroupSender, InvalidReport, Lack, MemberId, Step},
};
