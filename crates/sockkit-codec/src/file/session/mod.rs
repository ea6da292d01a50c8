//! The conversation between sender and receiver, as two state machines that
//! open nothing and wait for nothing. The bytes: `docs/wire/file.md`.
//!
//! ```text
//!   sender                                   receiver
//!     hello ─────────────────────────────────▶
//!     ◀──────────────────────────────────── hello
//!     offer (manifest) ──────────────────────▶
//!     ◀─────── answer (per entry: send, refuse, resume, compare)
//!     block + digest, block + digest, file end ▶   for each entry, no pauses
//!     done ──────────────────────────────────▶
//!     ◀───────────── report (what could not be kept)
//! ```
//!
//! Each side is driven in the same way: put the peer's bytes in with
//! `handle_input`, carry out what it returns, and write whatever
//! `poll_transmit` gives until it gives `None`. The two sides do not share
//! code paths beyond the messages, so that each can be read alone.

#![warn(clippy::indexing_slicing)]

mod error;
mod message;
mod reader;
mod receiver;
mod review;
mod sender;
#[cfg(test)]
mod tests;

pub use self::{
    error::{Abort, MessageKind, SessionError},
    message::{Hello, Role, WORKING},
    receiver::{ReceiverEvent, ReceiverSession},
    review::{Limits, Reviewed, review},
    sender::{FileEncoder, Job, Plan, SenderEvent, SenderSession},
};
pub use super::{Answer, BlockHasher, DigestTree, FailReason, RefuseReason};
