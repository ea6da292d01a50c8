//! The protocol between sender and receiver, as two pure state machines. Wire
//! format: `docs/wire/file.md`.
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
//! Both sides are driven in the same way: pass the peer's bytes to
//! `handle_input`, handle the event it returns, and write what `poll_transmit`
//! returns until it returns `None`. The two sides share only the messages, so
//! that each can be read on its own.

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
    message::{Hello, Role, WORKING, decode_manifest, encode_manifest},
    receiver::{ReceiverEvent, ReceiverSession},
    review::{Limits, Reviewed, review},
    sender::{FileEncoder, Job, Plan, SenderEvent, SenderSession},
};
pub use super::{Answer, BlockHasher, DigestTree, FailReason, RefuseReason};
